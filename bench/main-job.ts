/**
 * The main job on real processes: users as JSON out of four partitions, checked, filtered and projected, into a sink.
 *
 * Throughput: N records lie in the topic, a master and a worker are up, the job is submitted; the clock runs from the
 * submit to the commit of the last record. CPU seconds are those of master and worker, not of the servers. "Warm" is
 * what comes after the first half or the first 2 M records, whichever is less.
 * Latency: a new run of the same job while records come in at a fixed rate, whatever becomes of them (open loop).
 *
 * Counts are checked against the generator; a mismatch is an exit code of 1.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { RecordBatcher } from '../cli/record-batcher.ts';
import type { LaneCounters } from '../core/lane/position.ts';
import { addCounters, zeroCounters } from '../core/lane/position.ts';
import { jobName } from '../core/ids.ts';
import { UserGenerator } from '../jobs/producers/random-user.ts';
import type { JobView } from '../master/views.ts';
import { BenchCluster } from './cluster.ts';
import type { BenchSink, MainJobOptions } from './options.ts';
import { cpuSecondsOf, usageOf } from './process-usage.ts';
import type { ExpectedRows } from './user-row-hash.ts';
import { expectedRows } from './user-row-hash.ts';

const WARM_UP_RECORDS = 2_000_000;
const POLL_MS = 5;
const STALL_MS = 120_000;
/** Seconds at the start of the latency phase that do not count. */
const LATENCY_WARM_UP_SECONDS = 10;
/** The master sums figures over so many seconds. */
const FIGURES_WINDOW_SECONDS = 5;
/** Users are looked up one by one in a table: so many of them. */
const SAMPLE = 500;

/** Returns the exit code. */
export async function benchMainJob(options: MainJobOptions): Promise<number> {
  let failed = false;
  for (const sink of options.sinks) {
    const line = await benchSink(sink, options);
    process.stdout.write(`${JSON.stringify(line)}\n`);
    failed ||= line.problems.length > 0;
  }
  return failed ? 1 : 0;
}

type ResultLine = Readonly<Record<string, unknown>> & { readonly problems: readonly string[] };

async function benchSink(sink: BenchSink, options: MainJobOptions): Promise<ResultLine> {
  await using cluster = await BenchCluster.start({ cassandra: sink === 'cassandra', store: options.store });
  const problems: string[] = [];
  note(`${sink}: ${options.records} records into ${cluster.described}`);
  const preloadSeconds = await preload(cluster, 'bench_users', options);
  const started = await cluster.startWeir(options.threads);
  const pids = [started.masterPid, started.workerPid];

  const throughput = await measureThroughput(cluster, sink, options, pids);
  const expected = expectedRows(new UserGenerator(options.seed), options.records);
  const { counters } = throughput;
  check(problems, 'records read', counters.read, options.records);
  check(problems, 'records passed', counters.passed, expected.passed);
  check(problems, 'records filtered', counters.filtered, options.records - expected.passed);
  check(problems, 'dead letters', counters.dead, 0);
  await checkSink(problems, cluster, sink, options, expected);

  const latency = options.rate > 0 ? await measureLatency(cluster, sink, options) : null;
  const usage = { master: usageOf(started.masterPid), worker: usageOf(started.workerPid) };
  return {
    bench: 'main-job',
    sink,
    store: options.store,
    records: options.records,
    partitions: options.partitions,
    cores: availableParallelism(),
    threads: options.threads ?? availableParallelism(),
    wallSeconds: round(throughput.wallSeconds, 2),
    cpuSeconds: round(throughput.cpuSeconds, 2),
    recordsPerSecond: Math.round(options.records / throughput.wallSeconds),
    recordsPerCpuSecond: Math.round(options.records / throughput.cpuSeconds),
    recordsPerCpuSecondWarm: Math.round(throughput.warmRecords / throughput.warmCpuSeconds),
    warmRecords: throughput.warmRecords,
    rowsPerSecond: Math.round(counters.rowsOut / throughput.wallSeconds),
    rowsPerCpuSecond: Math.round(counters.rowsOut / throughput.cpuSeconds),
    serverCpuSeconds: round(throughput.serverCpuSeconds, 2),
    latency,
    peakRssMb: { master: megabytes(usage.master.peakRssBytes), worker: megabytes(usage.worker.peakRssBytes) },
    readySeconds: round(started.readySeconds, 3),
    submitToFirstCommitSeconds: round(throughput.firstCommitSeconds, 3),
    preloadSeconds: round(preloadSeconds, 1),
    problems,
  };
}

function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

/** Writes the first N users of the seed; seconds it took. */
async function preload(cluster: BenchCluster, topic: string, options: MainJobOptions): Promise<number> {
  const startedAt = performance.now();
  const limits = { lingerMs: 5, batchBytes: 128 * 1024, waitingBytesMax: 32 * 1024 * 1024 };
  await cluster.writer.createTopic(topic, options.partitions);
  const batcher = new RecordBatcher(cluster.writer, topic, options.partitions, cluster.clock, limits);
  const users = new UserGenerator(options.seed);
  for (let index = 0; index < options.records;) {
    const count = Math.min(1000, options.records - index);
    const first = index;
    await batcher.send(Array.from({ length: count }, (_, at) => users.bytesAt(first + at)));
    index += count;
  }
  await batcher.flush();
  return (performance.now() - startedAt) / 1000;
}

function jobFile(name: string, topic: string, sink: BenchSink): string {
  const sinks = {
    blackhole: '{ connector: blackhole }',
    cassandra: `{ connector: cassandra, keyspace: weir_bench, table: ${name.replaceAll('-', '_')}, primaryKey: [id], create: true }`,
    kafka: `{ connector: kafka, topic: ${outputTopic(name)}, key: id }`,
  };
  return `
apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  users:
    connector: kafka
    topic: ${topic}
    startingOffsets: earliest
    schema: >
      id STRING NOT NULL, first_name STRING, last_name STRING, gender STRING, address STRING, post_code INT,
      email STRING, username STRING, dob TIMESTAMP, registered_date TIMESTAMP, phone STRING, picture STRING
query: |
  SELECT id, first_name, upper(last_name) AS last_name, gender, address, post_code, email, username,
         dob, registered_date, phone, picture
  FROM users WHERE post_code IS NOT NULL
sinks: [${sinks[sink]}]
`;
}

interface Throughput {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly warmRecords: number;
  readonly warmCpuSeconds: number;
  readonly serverCpuSeconds: number;
  readonly firstCommitSeconds: number;
  readonly counters: LaneCounters;
}

async function measureThroughput(
  cluster: BenchCluster,
  sink: BenchSink,
  options: MainJobOptions,
  pids: readonly number[],
): Promise<Throughput> {
  const name = `bench-${sink}`;
  if (sink === 'kafka') await cluster.writer.createTopic(outputTopic(name), options.partitions);
  const warmFrom = Math.min(WARM_UP_RECORDS, Math.floor(options.records / 2));
  const serverCpuBefore = cpuSecondsOf(cluster.serverPids);
  const cpuBefore = cpuSecondsOf(pids);
  const submittedAt = performance.now();
  await cluster.apply(name, jobFile(name, 'bench_users', sink));
  let firstCommitAt: number | undefined;
  let warm: { readonly records: number; readonly cpu: number } | undefined;
  let counters = zeroCounters;
  let progressedAt = performance.now();
  let shownAt = progressedAt;
  while (counters.read < options.records) {
    const now = await committedCounters(cluster, name);
    if (now.read > counters.read) progressedAt = performance.now();
    counters = now;
    if (counters.rowsOut > 0) firstCommitAt ??= performance.now();
    if (warm === undefined && counters.read >= warmFrom) warm = { records: counters.read, cpu: cpuSecondsOf(pids) };
    if (performance.now() - progressedAt > STALL_MS)
      throw new Error(
        `no progress for ${STALL_MS / 1000} s at ${JSON.stringify(counters)}: ${await describeJob(cluster, name)}`,
      );
    if (performance.now() - shownAt > 5000) {
      shownAt = performance.now();
      note(`${counters.read} of ${options.records} records after ${Math.round((shownAt - submittedAt) / 1000)} s`);
    }
    await sleep(firstCommitAt === undefined ? POLL_MS : 50);
  }
  const wallSeconds = (performance.now() - submittedAt) / 1000;
  const cpuAfter = cpuSecondsOf(pids);
  await cluster.act(name, 'stop');
  return {
    wallSeconds,
    cpuSeconds: cpuAfter - cpuBefore,
    warmRecords: counters.read - (warm?.records ?? 0),
    warmCpuSeconds: cpuAfter - (warm?.cpu ?? cpuBefore),
    serverCpuSeconds: cpuSecondsOf(cluster.serverPids) - serverCpuBefore,
    firstCommitSeconds: ((firstCommitAt ?? Number.NaN) - submittedAt) / 1000,
    counters,
  };
}

/** What the lanes' checkpoints say, straight from the metadata store. */
async function committedCounters(cluster: BenchCluster, name: string): Promise<LaneCounters> {
  const row = await cluster.store.readOwnership(jobName(name));
  if (row === undefined) return zeroCounters;
  const lanes = await cluster.store.readLanes(jobName(name), row.run);
  return lanes.reduce((sum, lane) => addCounters(sum, lane.position.counters), zeroCounters);
}

async function describeJob(cluster: BenchCluster, name: string): Promise<string> {
  const { row, lanes } = await cluster.job(name);
  return JSON.stringify({
    state: row.state,
    reason: row.reason,
    lanes: lanes.map(({ lane, state, message }) => ({ lane, state, message })),
  });
}

function outputTopic(name: string): string {
  return `${name}-out`;
}

async function checkSink(
  problems: string[],
  cluster: BenchCluster,
  sink: BenchSink,
  options: MainJobOptions,
  expected: ExpectedRows,
): Promise<void> {
  if (sink === 'blackhole') {
    const hash = await cluster.workerMetric('weir_blackhole_hash', 'bench-blackhole');
    if (hash === undefined) problems.push('the worker does not tell the hash of its rows');
    else check(problems, 'xor of all rows', hash, expected.hash);
    if (hash === expected.hash) note(`the values of all ${expected.passed} rows are checked: their xor is ${hash}`);
  }
  if (sink === 'kafka') {
    const source = cluster.connections.source('kafka', {});
    const { partitions } = await source.describe(outputTopic('bench-kafka'));
    const ends = await source.offsets(outputTopic('bench-kafka'), partitions, 'latest');
    check(
      problems,
      'records in the output topic',
      [...ends.values()].reduce((sum, end) => sum + end, 0),
      expected.passed,
    );
  }
  if (sink === 'cassandra') {
    const users = new UserGenerator(options.seed);
    const tables = cluster.connections.tables('cassandra', {});
    for (let sample = 0; sample < Math.min(SAMPLE, options.records); sample++) {
      const { key, value } = users.at(Math.floor((sample * options.records) / Math.min(SAMPLE, options.records)));
      const found = await tables.query(`SELECT last_name, email FROM weir_bench.bench_cassandra WHERE id = '${key}'`);
      const user = JSON.parse(value) as {
        readonly last_name: string;
        readonly email: string;
        readonly post_code: number | null;
      };
      const wanted = user.post_code === null ? [] : [[user.last_name.toUpperCase(), user.email]];
      if (JSON.stringify(found.rows) !== JSON.stringify(wanted))
        problems.push(`user ${key} is ${JSON.stringify(found.rows)} instead of ${JSON.stringify(wanted)}`);
    }
  }
}

function check(problems: string[], what: string, got: number, wanted: number): void {
  if (got !== wanted) problems.push(`${what}: ${got} instead of ${wanted}`);
}

interface Latency {
  readonly rate: number;
  readonly seconds: number;
  /** Median over windows of 5 s of the window's p50; worst window's p99. Send time → acknowledged by the sink. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly p99MsMedian: number | null;
}

async function measureLatency(cluster: BenchCluster, sink: BenchSink, options: MainJobOptions): Promise<Latency> {
  const name = `bench-latency-${sink}`;
  const topic = 'bench_latency';
  await cluster.writer.createTopic(topic, options.partitions);
  if (sink === 'kafka') await cluster.writer.createTopic(outputTopic(name), options.partitions);
  await cluster.apply(name, jobFile(name, topic, sink));
  await cluster.waitFor(
    name,
    (view) => view.lanes.length === options.partitions && view.lanes.every((lane) => lane.state === 'running'),
  );
  const batcher = new RecordBatcher(cluster.writer, topic, options.partitions, cluster.clock, {
    lingerMs: 0,
    batchBytes: 128 * 1024,
    waitingBytesMax: 64 * 1024 * 1024,
  });
  const users = new UserGenerator(options.seed + 1);
  const startedAt = performance.now();
  const totalSeconds = LATENCY_WARM_UP_SECONDS + options.latencySeconds;
  const windows: JobView[] = [];
  let sent = 0;
  let nextWindowAt = LATENCY_WARM_UP_SECONDS + FIGURES_WINDOW_SECONDS;
  for (let seconds = 0; seconds < totalSeconds; seconds = (performance.now() - startedAt) / 1000) {
    const due = Math.floor(seconds * options.rate);
    if (due > sent) {
      const first = sent;
      await batcher.send(Array.from({ length: due - sent }, (_, at) => users.bytesAt(first + at)));
      sent = due;
    }
    if (seconds >= nextWindowAt) {
      nextWindowAt += FIGURES_WINDOW_SECONDS;
      windows.push(await cluster.job(name));
    }
    await sleep(1);
  }
  await batcher.flush();
  await cluster.act(name, 'stop');
  const p50s = windows.flatMap((view) => view.latencyMsP50 ?? []).toSorted((a, b) => a - b);
  const p99s = windows.flatMap((view) => view.latencyMsP99 ?? []).toSorted((a, b) => a - b);
  return {
    rate: options.rate,
    seconds: options.latencySeconds,
    p50Ms: p50s[p50s.length >> 1] ?? null,
    p99Ms: p99s.at(-1) ?? null,
    p99MsMedian: p99s[p99s.length >> 1] ?? null,
  };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
