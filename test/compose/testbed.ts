/** What tests of the compose file share: which images there are, patience, requests to a master, how containers are confined. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ComposeProject } from './docker.ts';
import { missingImages } from './docker.ts';

export const KAFKA_IMAGE = 'apache/kafka:4.1.1';
export const CASSANDRA_IMAGE = 'cassandra:5.0.6';
/** As pinned, and what may stand in for it. */
export const NODE_TAGS: readonly string[] = ['24.21.0-bookworm-slim', '24-bookworm-slim'];
/** As pinned, and what may stand in for it. */
export const PYTHON_TAGS: readonly string[] = ['3.11.14-slim-bookworm', '3.11-slim-bookworm'];
/** For a machine that is busy with other things too; nothing is measured by it. */
const PATIENCE_MS = 240_000;

/** The first tag of an image that is here or to be had; '' = none. */
export async function firstTag(name: string, tags: readonly string[]): Promise<string> {
  for (const tag of tags) if ((await missingImages([`${name}:${tag}`])).length === 0) return tag;
  return '';
}

/** Throws: AssertionError, with the names. */
export function requireImages(missing: readonly string[]): void {
  const names = missing.join(', ');
  assert.deepEqual(missing, [], `images that are neither on this machine nor in a registry it reaches: ${names}`);
}

/** Tries until `check` passes; then its value. What it last threw is the failure, with the end of the logs of `services`. */
export async function eventually<T>(
  { project, services }: { readonly project: ComposeProject; readonly services: readonly string[] },
  what: string,
  check: () => Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) {
        const logs = await project.logs(...services);
        throw new Error(`${what}: not after ${patienceMs / 1000} s: ${String(error)}\n${logs}`, { cause: error });
      }
      await sleep(500);
    }
  }
}

/** The answer of the master at `port` to whoever has `bearer`. */
export async function askAs(
  bearer: string,
  port: number,
  method: string,
  path: string,
  text?: string,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/yaml' };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers,
    ...(text === undefined ? {} : { body: text }),
  });
  return { status: response.status, body: await response.json() };
}

/** User 1000, a root that cannot be written to, no capabilities and none to be had. Throws: AssertionError. */
export async function assertConfined(project: ComposeProject, service: string): Promise<void> {
  const script =
    'id -u; (touch /app/x 2>/dev/null && echo written) || echo read-only; grep -E "CapEff|NoNewPrivs" /proc/self/status';
  const output = await project.run('exec', '-T', service, 'sh', '-c', script);
  assert.match(output, /^1000\nread-only\nCapEff:\s+0+\nNoNewPrivs:\s+1\n$/, service);
}

/** Throws: AssertionError while the container's own health check says otherwise. */
export async function assertHealthy(project: ComposeProject, service: string): Promise<void> {
  const container = (await project.containers()).find((candidate) => candidate.Service === service);
  assert.equal(container?.Health, 'healthy', `${service} is ${container?.State} and ${container?.Health}`);
}

/** The lines of the first block of shell commands under a heading of a page. Throws: AssertionError when there is none. */
export function commandsOf(page: string, heading: string): readonly string[] {
  const [, section = ''] = page.split(new RegExp(`^#+ ${heading}$`, 'm'));
  const [, block = ''] = /^```sh\n([^]*?)^```$/m.exec(section) ?? [];
  assert.notEqual(block, '', `there are no commands under "${heading}"`);
  return block.trim().split('\n');
}
