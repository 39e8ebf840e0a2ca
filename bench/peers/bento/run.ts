/** Bento, a stateless pipeline tool in Go: one process with two pipeline threads, built from the Go module proxy. */
import { spawn } from 'node:child_process';
import { copyFileSync, createReadStream, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../../test/services/java-server.ts';
import type { Run } from '../../run-meter.ts';
import { RunMeter, warmUpRecords } from '../../run-meter.ts';
import type { System } from '../../throughput.ts';
import { differences } from '../../weir-run.ts';
import { installed, runOrMissing } from '../install.ts';
import type { PeerJob } from '../run-peer.ts';

const VERSION = '1.10.0';
const program = fileURLToPath(new URL('main.go', import.meta.url));
const pipelines = fileURLToPath(new URL('pipelines.yaml', import.meta.url));
const POLL_MS = 50;
const STALL_MS = 300_000;

export interface BentoJob extends PeerJob {
  /** Rows that come out, and of `noop` the xor of the CRC-32 of their values, joined by `|`. */
  readonly expected: { readonly passed: number; readonly crc: number };
  readonly contactPoint?: string;
}

/** Builds it when it is not there, which takes minutes. Path of the binary. Throws PeerMissing. */
export function installBento(): string {
  const directory = installed(`bento-${VERSION}`, (scratch) => {
    copyFileSync(program, join(scratch, 'main.go'));
    const env = { ...process.env, GOFLAGS: '-mod=mod' };
    const go = (...args: string[]): void => runOrMissing('Bento', 'go', args, { cwd: scratch, env });
    go('mod', 'init', 'bench-bento');
    go('get', `github.com/warpstreamlabs/bento@v${VERSION}`);
    go('build', '-o', 'bento', '.');
  });
  return join(directory, 'bento');
}

/** Throws PeerMissing. */
export function bentoSystem(job: BentoJob): System {
  const binary = installBento();
  return {
    name: 'bento',
    version: `${VERSION}, 2 pipeline threads`,
    warmUp: `process started before each round; warm figures leave out the first ${warmUpRecords(job.records)} records`,
    run: async (index) => await runBento(binary, job, index),
  };
}

/** The part of pipelines.yaml behind `--- # NAME`, with `$NAME` replaced. */
function pipelineOf(name: string, values: Readonly<Record<string, string>>): string {
  const parts = readFileSync(pipelines, 'utf8').split(/^--- # /m);
  const part = parts.find((text) => text.startsWith(`${name}\n`));
  if (part === undefined) throw new Error(`pipelines.yaml has no part ${name}`);
  return part.slice(name.length).replaceAll(/\$([A-Z_]+)/g, (_, variable: string) => values[variable] ?? '');
}

async function runBento(binary: string, job: BentoJob, index: number): Promise<Run> {
  await job.prepare?.(index);
  const run = await follow(binary, job, index, job.bench, {});
  const problems = [
    ...run.problems,
    ...(job.bench === 'noop' && index === 0 ? await checkNoop(binary, job) : []),
    ...((await job.checkRound?.(index)) ?? []),
  ];
  return { ...run, problems };
}

/** The projection once more, into a file of lines. */
async function checkNoop(binary: string, job: BentoJob): Promise<readonly string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-bento-'));
  try {
    const file = join(directory, 'rows.txt');
    const { problems } = await follow(binary, job, 0, 'noop-check', { rows: file });
    let rows = 0;
    let crc = 0;
    for await (const line of createInterface({ input: createReadStream(file) })) {
      rows++;
      crc ^= crc32(line);
    }
    const { expected } = job;
    return [...problems, ...differences({ rows, crc: crc >>> 0 }, { rows: expected.passed, crc: expected.crc })];
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** One process from its start until as many rows are out as there should be. */
async function follow(
  binary: string,
  job: BentoJob,
  index: number,
  pipeline: string,
  more: Readonly<Record<string, unknown>>,
): Promise<Run> {
  const { records, serverPids, expected } = job;
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-bento-'));
  const [port = 0] = await freePorts(1);
  const config = join(directory, 'pipeline.yaml');
  const settings = { ...job.settings?.(index), ...more };
  await writeFile(
    config,
    pipelineOf(pipeline, {
      PORT: String(port),
      BROKERS: job.brokers,
      TOPIC: job.topic,
      GROUP: `bento-${pipeline}-${index}-${process.pid}`,
      CASSANDRA: job.contactPoint ?? '',
      ...Object.fromEntries(Object.entries(settings).map(([key, value]) => [key.toUpperCase(), String(value)])),
    }),
  );
  const child = spawn(binary, ['-c', config], { stdio: ['ignore', 'pipe', 'pipe'] });
  let tail = '';
  const keep = (chunk: Buffer): void => {
    tail = (tail + chunk.toString()).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const meter = new RunMeter({ pids: [child.pid ?? 0], serverPids, records });
  try {
    let progressedAt = performance.now();
    let sent = 0;
    while (sent < expected.passed) {
      if (child.exitCode !== null) throw new Error(`Bento ended:\n${tail}`);
      const now = await metric(port, 'output_sent');
      if (now > sent) progressedAt = performance.now();
      if (performance.now() - progressedAt > STALL_MS) throw new Error(`Bento stands at ${sent} rows:\n${tail}`);
      sent = now;
      meter.progress(Math.round((sent / expected.passed) * records));
      await sleep(POLL_MS);
    }
    const run = meter.finish(0);
    return { ...run, problems: [...run.problems, ...differences({ sent }, { sent: expected.passed })] };
  } finally {
    child.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** Sum of a counter over its labels; 0 while the process does not answer. */
async function metric(port: number, name: string): Promise<number> {
  try {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? ([0-9.e+]+)$`, 'gm'))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  } catch {
    return 0;
  }
}
