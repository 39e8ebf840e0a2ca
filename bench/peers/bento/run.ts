/** Bento, a stateless pipeline tool in Go: one process with two pipeline threads, built from the Go module proxy. */
import { copyFileSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../../test/services/java-server.ts';
import { cpuSecondsOf, treeCpu, treePeakRss } from '../../measure/process-usage.ts';
import type { Run, System } from '../../throughput.ts';
import { warmUpRecords } from '../../throughput.ts';
import { installed, runOrMissing } from '../install.ts';
import type { PeerJob } from '../run-peer.ts';

const VERSION = '1.10.0';
const program = fileURLToPath(new URL('main.go', import.meta.url));
const pipelines = fileURLToPath(new URL('pipelines.yaml', import.meta.url));
const POLL_MS = 50;
const STALL_MS = 120_000;

export interface BentoJob extends PeerJob {
  /** Rows that come out. */
  readonly passed: number;
  readonly contactPoint?: string;
}

/** Builds it when it is not there, which takes minutes. Path of the binary. Throws PeerMissing. */
function installBento(): string {
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
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-bento-'));
  const [port = 0] = await freePorts(1);
  const config = join(directory, 'pipeline.yaml');
  await writeFile(
    config,
    pipelineOf(job.bench, {
      PORT: String(port),
      BROKERS: job.brokers,
      TOPIC: job.topic,
      GROUP: `bento-${job.bench}-${index}-${process.pid}`,
      CASSANDRA: job.contactPoint ?? '',
      ...Object.fromEntries(
        Object.entries(job.settings?.(index) ?? {}).map(([key, value]) => [key.toUpperCase(), String(value)]),
      ),
    }),
  );
  const serversBefore = cpuSecondsOf(job.serverPids);
  const startedAt = performance.now();
  const child = spawn(binary, ['-c', config], { stdio: ['ignore', 'pipe', 'pipe'] });
  let tail = '';
  const keep = (chunk: Buffer): void => {
    tail = (tail + chunk.toString()).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const pid = child.pid ?? 0;
  try {
    let firstAt: number | undefined;
    let warm: { readonly read: number; readonly cpuSeconds: number; readonly at: number } | undefined;
    let progressedAt = performance.now();
    let sent = 0;
    while (sent < job.passed) {
      if (child.exitCode !== null) throw new Error(`Bento ended:\n${tail}`);
      const now = await metric(port, 'output_sent');
      if (now > sent) progressedAt = performance.now();
      if (performance.now() - progressedAt > STALL_MS) throw new Error(`Bento stands at ${sent} rows:\n${tail}`);
      sent = now;
      if (sent > 0) firstAt ??= performance.now();
      const read = Math.round((sent / job.passed) * job.records);
      if (warm === undefined && read >= warmUpRecords(job.records)) {
        const { user, system } = treeCpu([pid]);
        warm = { read, cpuSeconds: user + system, at: performance.now() };
      }
      await sleep(POLL_MS);
    }
    const endedAt = performance.now();
    const cpu = treeCpu([pid]);
    const run = {
      wallSeconds: (endedAt - startedAt) / 1000,
      cpu,
      warm: {
        records: job.records - (warm?.read ?? 0),
        cpuSeconds: cpu.user + cpu.system - (warm?.cpuSeconds ?? 0),
        wallSeconds: (endedAt - (warm?.at ?? startedAt)) / 1000,
      },
      serverCpuSeconds: cpuSecondsOf(job.serverPids) - serversBefore,
      peakRssBytes: treePeakRss([pid]),
      readySeconds: 0,
      firstRecordSeconds: ((firstAt ?? endedAt) - startedAt) / 1000,
    };
    const problems = [
      ...(sent === job.passed ? [] : [`${sent} rows instead of ${job.passed}`]),
      ...((await job.checkRound?.(index)) ?? []),
    ];
    return { ...run, problems };
  } finally {
    child.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
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
