/**
 * Stateful jobs on real processes, into the blackhole. Each phase prints one JSON line.
 *
 * Throughput: records lie in the topics, one master and one worker are up, a job is submitted; CPU seconds are those of
 * the worker from the submit to the commit of the last record; "warm" is what comes after the first half. The streams are
 * those of the long test of stateful jobs, with 20,000 records to a second of event time: windows end, sessions close and
 * state is forgotten as it would be live.
 * Keys: as many keys as asked for in one table of counts: memory, cost of a whole snapshot, time of a restore.
 * Latency: counts by key and minute in update mode, records coming in at a fixed rate whatever becomes of them.
 *
 * Counts are checked; a mismatch is an exit code of 1.
 */
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { jobName, partition as partitionId } from '../core/ids.ts';
import { encodeRecordBatch } from '../core/record-batch-encoder.ts';
import type { EpochHead } from '../core/epoch/types.ts';
import type { RecordMaker } from '../test/support/load.ts';
import type { StreamConfig } from '../test/e2e/state-stream.ts';
import * as stream from '../test/e2e/state-stream.ts';
import { BenchCluster } from './cluster.ts';
import { usageOf } from './measure/process-usage.ts';

const POLL_MS = 50;
const STALL_MS = 120_000;
const RECORDS_PER_BATCH = 2000;
const LATENCY_WARM_UP_SECONDS = 10;
const FIGURES_WINDOW_SECONDS = 5;
const LATENCY_KEYS = 1000;
const ALWAYS = { valid: () => true, check: () => undefined };
const stateJobs = ['windows', 'sessions', 'dedup', 'join'] as const;
type BenchJob = (typeof stateJobs)[number];

export interface StateOptions {
  readonly records: number;
  readonly jobs: readonly BenchJob[];
  /** 0 leaves the phase out. */
  readonly keys: number;
  readonly rates: readonly number[];
  readonly latencySeconds: number;
  readonly store: 'embedded' | 'real';
  /** Threads of the worker; null = one per core. */
  readonly threads: number | null;
}

export const stateUsage = `npm run bench -- state [--records N] [--jobs windows,sessions,dedup,join] [--keys N] [--rates N,N]
                          [--latency-seconds N] [--store embedded|real] [--threads N]`;

/** Throws a TypeError for what does not exist. */
export function parseStateOptions(args: readonly string[]): StateOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      records: { type: 'string', default: '4000000' },
      jobs: { type: 'string', default: stateJobs.join(',') },
      keys: { type: 'string', default: '5000000' },
      rates: { type: 'string', default: '1000,10000,100000' },
      'latency-seconds': { type: 'string', default: '30' },
      store: { type: 'string', default: 'real' },
      threads: { type: 'string' },
    },
  });
  if (values.store !== 'embedded' && values.store !== 'real') throw new TypeError(`there is no store ${values.store}`);
  const list = (text: string): string[] => text.split(',').filter((word) => word !== '');
  const unknown = list(values.jobs).find((name) => !stateJobs.some((job) => job === name));
  if (unknown !== undefined) throw new TypeError(`there is no job ${unknown}`);
  return {
    records: wholeNumber('records', values.records),
    jobs: stateJobs.filter((job) => list(values.jobs).includes(job)),
    keys: wholeNumber('keys', values.keys),
    rates: list(values.rates).map((rate) => wholeNumber('rates', rate)),
    latencySeconds: wholeNumber('latency-seconds', values['latency-seconds']),
    store: values.store,
    threads: values.threads === undefined ? null : wholeNumber('threads', values.threads),
  };
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text.replaceAll('_', ''));
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`--${name} is ${text}; it takes a whole number`);
  return value;
}

type Line = Readonly<Record<string, unknown>> & { readonly problems: readonly string[] };

/** Returns the exit code. */
export async function benchState(options: StateOptions): Promise<number> {
  let failed = false;
  const print = (line: Line): void => {
    const machine = { store: options.store, cores: availableParallelism(), load: loadavg()[0] };
    process.stdout.write(`${JSON.stringify({ bench: 'state', ...line, ...machine })}\n`);
    failed ||= line.problems.length > 0;
  };
  if (options.jobs.length > 0 && options.records > 0) await benchThroughput(options, print);
  if (options.keys > 0) await benchKeys(options, print);
  if (options.rates.length > 0) await benchLatency(options, print);
  return failed ? 1 : 0;
}

function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

// ---------------------------------------------------------------------------------------------------------- throughput

const config: StreamConfig = { seed: 5, eventsPerSecond: 20_000 };

const queries: Readonly<Record<BenchJob, string>> = {
  windows: `SELECT unix_millis(w.start) AS f, k, n FROM
    (SELECT window(ts, '10 seconds') AS w, k, count(*) AS n FROM events GROUP BY window(ts, '10 seconds'), k)`,
  sessions: `SELECT u, unix_millis(w.start) AS f, n, s FROM
    (SELECT session_window(ts, '5 seconds') AS w, u, count(*) AS n, sum(v) AS s FROM events
     GROUP BY session_window(ts, '5 seconds'), u)`,
  dedup: 'SELECT d, unix_millis(ts) AS t FROM (SELECT DISTINCT ON (d, ts) d, ts FROM events)',
  join: `SELECT e.id, m.id AS m, e.v FROM events e
    LEFT JOIN marks m ON e.id = m.ref AND m.ts BETWEEN e.ts AND e.ts + INTERVAL 5 SECONDS`,
};

async function benchThroughput(options: StateOptions, print: (line: Line) => void): Promise<void> {
  await using cluster = await BenchCluster.start({ cassandra: false, store: options.store });
  const { records, jobs } = options;
  note(`${records} records into ${cluster.described}`);
  const marks = Math.floor((records * stream.marksPerSecond(config)) / config.eventsPerSecond);
  await preload(cluster, stream.EVENTS_TOPIC, stream.EVENT_PARTITIONS, records, stream.eventMaker(config));
  await preload(cluster, stream.MARKS_TOPIC, stream.MARK_PARTITIONS, marks, stream.markMaker(config));
  const { workerPid, masterPid } = await cluster.startWeir(options.threads);
  for (const job of jobs) {
    const total = records + (job === 'join' ? marks : 0);
    const before = { worker: usageOf(workerPid).cpuSeconds, master: usageOf(masterPid).cpuSeconds };
    const startedAt = performance.now();
    await cluster.apply(job, jobFile(job, stream.sourcesOf(job === 'join'), queries[job], 'append'));
    let warm: { readonly read: number; readonly cpu: number } | undefined;
    const head = await untilRead(cluster, job, total, (read) => {
      if (read >= total / 2) warm ??= { read, cpu: usageOf(workerPid).cpuSeconds };
    });
    const usage = usageOf(workerPid);
    const seconds = (performance.now() - startedAt) / 1000;
    const view = await cluster.job(job);
    await cluster.act(job, 'stop');
    const cpu = usage.cpuSeconds - before.worker;
    const late = Object.values(head.late).reduce((sum, rows) => sum + rows, 0);
    print({
      phase: 'throughput',
      job,
      records: total,
      wallSeconds: round(seconds, 2),
      workerCpuSeconds: round(cpu, 2),
      masterCpuSeconds: round(usageOf(masterPid).cpuSeconds - before.master, 2),
      recordsPerCpuSecond: Math.round(total / cpu),
      recordsPerCpuSecondWarm:
        warm === undefined ? null : Math.round((total - warm.read) / (usage.cpuSeconds - warm.cpu)),
      rowsOut: head.counters.rowsOut,
      epochs: head.committed + 1,
      stateRows: view.epochs?.stateOperators.map(({ numRowsTotal }) => numRowsTotal),
      rssMb: megabytes(usage.rssBytes),
      peakRssMb: megabytes(usage.peakRssBytes),
      problems: late === 0 ? [] : [`${late} rows were late`],
    });
  }
}

function jobFile(name: string, sources: string, query: string, outputMode: string): string {
  return `
apiVersion: weir/v1
kind: Job
name: ${name}
sources:${sources}
query: |
  ${query.replaceAll('\n', '\n  ')}
sinks: [{ connector: blackhole }]
outputMode: ${outputMode}
`;
}

/** Writes the first records of a stream, round robin over the partitions. */
async function preload(
  cluster: BenchCluster,
  topic: string,
  partitions: number,
  records: number,
  make: RecordMaker,
): Promise<void> {
  await cluster.writer.createTopic(topic, partitions);
  const each = Math.floor(records / partitions);
  for (let seq = 0; seq < each; seq += RECORDS_PER_BATCH) {
    const count = Math.min(RECORDS_PER_BATCH, each - seq);
    await append(cluster, topic, partitions, count, (partition, index) => make(partition, seq + index));
  }
}

/** One batch of `count` records into every partition. */
async function append(
  cluster: BenchCluster,
  topic: string,
  partitions: number,
  count: number,
  make: RecordMaker,
): Promise<void> {
  const timestampMs = cluster.clock.now();
  const appends = Array.from({ length: partitions }, (_, partition) => {
    const records = Array.from({ length: count }, (_, index) => ({ ...make(partition, index), timestampMs }));
    return { topic, partition: partitionId(partition), batch: encodeRecordBatch(records) };
  });
  await cluster.writer.append(appends, ALWAYS);
}

/** The head once `total` records are committed. */
async function untilRead(
  cluster: BenchCluster,
  job: string,
  total: number,
  onProgress: (read: number) => void = () => undefined,
): Promise<EpochHead> {
  let read = -1;
  let progressedAt = performance.now();
  for (let shownAt = progressedAt; ;) {
    const row = await cluster.store.readOwnership(jobName(job));
    const head = row === undefined ? undefined : await cluster.store.readEpochs(jobName(job), row.run);
    const now = performance.now();
    if (head !== undefined && head.counters.read > read) {
      read = head.counters.read;
      progressedAt = now;
      onProgress(read);
      if (read >= total) return head;
    }
    if (now - progressedAt > STALL_MS)
      throw new Error(`job ${job} stands at ${read} of ${total}: ${JSON.stringify((await cluster.job(job)).row)}`);
    if (now - shownAt > 5000) {
      shownAt = now;
      note(`${job}: ${read} of ${total} records`);
    }
    await sleep(POLL_MS);
  }
}

// ---------------------------------------------------------------------------------------------------------------- keys

const KEY_SOURCE = `
  keyed:
    connector: kafka
    topic: keyed
    startingOffsets: earliest
    format: json
    schema: k STRING NOT NULL, v BIGINT NOT NULL`;

async function benchKeys(options: StateOptions, print: (line: Line) => void): Promise<void> {
  await using cluster = await BenchCluster.start({ cassandra: false, store: options.store });
  const { threads } = options;
  const partitions = stream.EVENT_PARTITIONS;
  const keys = Math.floor(options.keys / partitions) * partitions;
  note(`${keys} keys into ${cluster.described}`);
  const encoder = new TextEncoder();
  const make: RecordMaker = (partition, seq) => ({
    key: null,
    value: encoder.encode(`{"k":"customer_${seq * partitions + partition}","v":${seq % 1000}}`),
  });
  await preload(cluster, 'keyed', partitions, keys, make);
  const { workerPid } = await cluster.startWeir(threads);
  const job = 'keys';
  await cluster.apply(
    job,
    jobFile(job, KEY_SOURCE, 'SELECT k, count(*) AS n, sum(v) AS s FROM keyed GROUP BY k', 'update'),
  );
  const startedAt = performance.now();
  await untilRead(cluster, job, keys);
  const loadSeconds = (performance.now() - startedAt) / 1000;
  await sleep(7000);
  const loaded = usageOf(workerPid);
  const savedAt = performance.now();
  const savepoint = await cluster.savepoint(job, 'all');
  const savepointMs = performance.now() - savedAt;
  const saved = usageOf(workerPid);
  const view = await cluster.job(job);
  const operators = view.epochs?.stateOperators ?? [];
  const rows = operators.reduce((sum, { numRowsTotal }) => sum + numRowsTotal, 0);
  const killedAt = performance.now();
  const newPid = await cluster.replaceWorker(threads);
  const committed = view.epochs?.committed ?? -1;
  await append(cluster, 'keyed', partitions, 1, (partition) => make(partition, 0));
  await cluster.waitFor(job, ({ epochs }) => (epochs?.committed ?? -1) > committed);
  const resumedMs = performance.now() - killedAt;
  const restore = await cluster.workerMetrics('weir_restore_duration_seconds_sum', job);
  const restored = usageOf(newPid);
  print({
    phase: 'keys',
    keys,
    stateRows: rows,
    stateBytes: operators.reduce((sum, { memoryUsedBytes }) => sum + memoryUsedBytes, 0),
    loadSeconds: round(loadSeconds, 1),
    loadCpuSeconds: round(loaded.cpuSeconds, 1),
    rssMb: megabytes(loaded.rssBytes),
    peakRssMb: megabytes(loaded.peakRssBytes),
    snapshotBytes: savepoint.bytes,
    snapshotMs: Math.round(savepointMs),
    snapshotCpuMs: Math.round((saved.cpuSeconds - loaded.cpuSeconds) * 1000),
    restoreMs: restore.map((seconds) => Math.round(seconds * 1000)),
    killToCommitMs: Math.round(resumedMs),
    restoreCpuSeconds: round(restored.cpuSeconds, 1),
    restoredRssMb: megabytes(restored.rssBytes),
    problems: rows === keys ? [] : [`${rows} rows of state instead of ${keys}`],
  });
}

// ------------------------------------------------------------------------------------------------------------- latency

const TIMED_SOURCE = `
  timed:
    connector: kafka
    topic: timed
    startingOffsets: latest
    format: json
    schema: k STRING NOT NULL, v BIGINT NOT NULL, ts TIMESTAMP NOT NULL
    watermark: { column: ts, delay: 10s }`;
const TIMED_QUERY = `SELECT unix_millis(w.start) AS f, k, n FROM
  (SELECT window(ts, '1 minute') AS w, k, count(*) AS n FROM timed GROUP BY window(ts, '1 minute'), k)`;

async function benchLatency(options: StateOptions, print: (line: Line) => void): Promise<void> {
  await using cluster = await BenchCluster.start({ cassandra: false, store: options.store });
  const { workerPid, masterPid } = await cluster.startWeir(options.threads);
  const partitions = stream.EVENT_PARTITIONS;
  await cluster.writer.createTopic('timed', partitions);
  const encoder = new TextEncoder();
  for (const rate of options.rates) {
    const job = `latency-${rate}`;
    await cluster.apply(job, jobFile(job, TIMED_SOURCE, TIMED_QUERY, 'update'));
    await cluster.waitFor(job, ({ row, epochs }) => row.state === 'running' && epochs !== null);
    const startedAt = performance.now();
    const total = LATENCY_WARM_UP_SECONDS + options.latencySeconds;
    const windows: { readonly p50: number; readonly p99: number }[] = [];
    const before = { worker: usageOf(workerPid).cpuSeconds, master: usageOf(masterPid).cpuSeconds };
    let nextWindowAt = LATENCY_WARM_UP_SECONDS + FIGURES_WINDOW_SECONDS;
    let sent = 0;
    for (let seconds = 0; seconds < total; seconds = (performance.now() - startedAt) / 1000) {
      const due = Math.floor((seconds * rate) / partitions) - sent;
      if (due > 0) {
        const ts = new Date(cluster.clock.now()).toISOString();
        await append(cluster, 'timed', partitions, due, (partition, index) => {
          const key = ((sent + index) * 7919 + partition * 31) % LATENCY_KEYS;
          return { key: null, value: encoder.encode(`{"k":"key_${key}","v":${index},"ts":"${ts}"}`) };
        });
        sent += due;
      }
      if (seconds >= nextWindowAt) {
        nextWindowAt += FIGURES_WINDOW_SECONDS;
        const { latencyMsP50: p50, latencyMsP99: p99 } = await cluster.job(job);
        if (p50 !== null && p99 !== null) windows.push({ p50, p99 });
      }
      await sleep(1);
    }
    const view = await cluster.job(job);
    const p50s = windows.map(({ p50 }) => p50).toSorted((a, b) => a - b);
    const p99s = windows.map(({ p99 }) => p99).toSorted((a, b) => a - b);
    const cpu = { worker: usageOf(workerPid).cpuSeconds, master: usageOf(masterPid).cpuSeconds };
    await cluster.act(job, 'stop');
    print({
      phase: 'latency',
      rate,
      seconds: options.latencySeconds,
      sentPerSecond: Math.round((sent * partitions) / total),
      p50Ms: p50s[p50s.length >> 1] ?? null,
      p99Ms: p99s.at(-1) ?? null,
      p99MsMedian: p99s[p99s.length >> 1] ?? null,
      epochMsP50: view.epochs?.epochMsP50,
      epochMsP99: view.epochs?.epochMsP99,
      epochs: (view.epochs?.committed ?? -1) + 1,
      lag: view.lag,
      workerCpuPerSecond: round((cpu.worker - before.worker) / total, 2),
      masterCpuPerSecond: round((cpu.master - before.master) / total, 2),
      problems: windows.length === 0 ? ['no latency was measured'] : [],
    });
  }
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
