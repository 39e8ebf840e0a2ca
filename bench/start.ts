/**
 * `start`: cold processes until they take work, submit until the first row is committed, and `npm start` until its first
 * row. Files are in the page cache after the first round.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../test/services/java-server.ts';
import { MasterClient } from '../cli/client.ts';
import { treeOf } from './measure/process-usage.ts';
import { median, round } from './measure/statistics.ts';
import { PROJECTION } from './noop.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { print } from './throughput.ts';
import { clusterWithUsers, usersJob } from './users-topic.ts';
import { committedCounters } from './weir-run.ts';

export const defaults: SuiteDefaults = { records: 20_000, rounds: 5, peers: [] };

const root = fileURLToPath(new URL('..', import.meta.url));
const LIMIT_MS = 240_000;
const GRACE_MS = 10_000;

/** False when `npm start` gave no row. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  const ready: number[] = [];
  const firstRow: number[] = [];
  {
    await using cluster = await clusterWithUsers(options);
    for (let index = 0; index < options.rounds; index++) {
      const started = await cluster.startWeir(options.threads);
      ready.push(started.readySeconds);
      const name = `start-${index}`;
      const submittedAt = performance.now();
      await cluster.apply(name, usersJob({ name, query: PROJECTION, sink: '{ connector: blackhole }' }));
      while ((await committedCounters(cluster, name)).rowsOut === 0) await sleep(2);
      firstRow.push((performance.now() - submittedAt) / 1000);
      await cluster.act(name, 'stop');
      await cluster.stopWeir();
    }
  }
  const dev: number[] = [];
  const problems: string[] = [];
  for (let index = 0; index < options.rounds; index++) {
    try {
      dev.push(await devUntilFirstRow());
    } catch (error) {
      problems.push(String(error).slice(0, 300));
    }
  }
  print({
    bench: 'start',
    system: 'weir',
    rounds: options.rounds,
    processesReadySeconds: round(median(ready), 3),
    submitToFirstRowSeconds: round(median(firstRow), 3),
    npmStartToFirstRowSeconds: dev.length === 0 ? null : round(median(dev), 3),
    ofEachRound: { ready: ready.map(inMs), firstRow: firstRow.map(inMs), npmStart: dev.map(inMs) },
    problems,
  });
  return problems.length === 0;
}

function inMs(seconds: number): number {
  return Math.round(seconds * 1000);
}

/** `npm start` in a folder of its own, until a job of its has given a row. */
async function devUntilFirstRow(): Promise<number> {
  const home = await mkdtemp(join(tmpdir(), 'weir-bench-dev-'));
  const [http = 0, grpc = 0, embedded = 0] = await freePorts(3);
  const { KAFKA_BROKERS: _brokers, CASSANDRA_CONTACT_POINTS: _points, ...inherited } = process.env;
  const flags = ['--port', String(http), '--grpc-port', String(grpc), '--embedded-port', String(embedded)];
  const startedAt = performance.now();
  const child = spawn('npm', ['start', '--silent', '--', ...flags], {
    cwd: root,
    env: { ...inherited, HOME: home, WEIR_TOKEN: 'bench' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-300);
  });
  try {
    const client = new MasterClient({ address: `http://127.0.0.1:${http}`, token: 'bench' });
    while (!(await hasRow(client))) {
      if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}: ${said}`);
      if (performance.now() - startedAt > LIMIT_MS) throw new Error(`npm start gave no row in ${LIMIT_MS} ms`);
      await sleep(10);
    }
    return (performance.now() - startedAt) / 1000;
  } finally {
    await endTree(child.pid ?? 0);
    await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** Ends a process and all that descend from it, and waits for a while until they are gone. */
async function endTree(root: number): Promise<void> {
  const tree = treeOf([root]).toReversed();
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const deadline = performance.now() + GRACE_MS;
    for (const pid of tree) sent(pid, signal);
    while (tree.some((pid) => sent(pid, 0)) && performance.now() < deadline) await sleep(20);
  }
}

/** False when the process is gone. */
function sent(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

async function hasRow(client: MasterClient): Promise<boolean> {
  try {
    const jobs = await client.jobs();
    return jobs.some(({ counters }) => counters.rowsOut > 0);
  } catch {
    // not there yet
  }
  return false;
}
