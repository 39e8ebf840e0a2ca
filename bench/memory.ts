/**
 * `memory`: resident size of the worker while it works off ten million records that lie there (`backlog`), and while a
 * generator offers ten times as many records for a table as the table takes (`overload`): it must not grow with what waits.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { partition } from '../core/ids.ts';
import { zeroCounters } from '../core/lane/position.ts';
import type { LogWriter } from '../core/ports.ts';
import { encodeRecordBatch } from '../core/record-batch-encoder.ts';
import type { BenchCluster } from './cluster.ts';
import { alwaysPermitted, createTopic } from './data/preload.ts';
import { BenchUsers } from './data/users.ts';
import { megabytes, round } from './measure/statistics.ts';
import { usageOf } from './measure/process-usage.ts';
import { PROJECTION } from './noop.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { print } from './throughput.ts';
import { ALL_COLUMNS, USERS_TOPIC, clusterWithUsers, usersJob } from './users-topic.ts';
import { committedOrFormer } from './weir-run.ts';

export const defaults: SuiteDefaults = { records: 10_000_000, rounds: 1, seconds: 60, peers: [] };

const SAMPLE_MS = 250;
const LIMIT_SECONDS = 600;
const OVERLOAD_TOPIC = 'bench_overload';
/** Times as many records as are read. */
const OVERLOAD = 10;
const FIRST_RECORDS = 100_000;
const BATCH_RECORDS = 500;
const APPENDS_UNDER_WAY = 3;

interface Sample {
  readonly read: number;
  readonly rssMb: number;
}

interface Part {
  readonly part: 'backlog' | 'overload';
  readonly topic: string;
  readonly query: string;
  readonly sink: string;
  /** Lets the records come; returns what ends that, and then says how many came. */
  readonly offer: (readNow: () => number) => () => Promise<number>;
  /** Whether the part is over. */
  readonly over: (read: number, seconds: number) => boolean;
}

/** False when nothing was read. Whether memory is flat is a goal, not a check. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  await using cluster = await clusterWithUsers(options, true);
  await createTopic(cluster.writer, OVERLOAD_TOPIC, options.partitions);
  const parts: readonly Part[] = [
    {
      part: 'backlog',
      topic: USERS_TOPIC,
      query: PROJECTION,
      sink: '{ connector: blackhole }',
      offer: () => async () => await Promise.resolve(options.records),
      over: (read) => read >= options.records,
    },
    {
      part: 'overload',
      topic: OVERLOAD_TOPIC,
      query: ALL_COLUMNS,
      sink: '{ connector: cassandra, keyspace: weir_bench, table: memory, primaryKey: [id], create: true }',
      offer: (readNow) => overload(cluster.writer, options, readNow),
      over: (_, seconds) => seconds >= options.seconds,
    },
  ];
  let right = true;
  for (const part of parts)
    if (options.only.length === 0 || options.only.includes(part.part))
      right = (await runPart(cluster, options, part)) && right;
  return right;
}

async function runPart(cluster: BenchCluster, options: SuiteOptions, of: Part): Promise<boolean> {
  const { part, topic, query, sink, offer, over } = of;
  const started = await cluster.startWeir(options.threads);
  const name = `memory-${part}`;
  await cluster.apply(name, usersJob({ name, query, sink, topic }));
  const samples: Sample[] = [];
  const stopOffering = offer(() => samples.at(-1)?.read ?? 0);
  const startedAt = performance.now();
  let firstAt: number | undefined;
  let counters = zeroCounters;
  for (;;) {
    counters = await committedOrFormer(cluster, name, counters);
    const { read } = counters;
    samples.push({ read, rssMb: megabytes(usageOf(started.workerPid).rssBytes) });
    const now = performance.now();
    if (read > 0) firstAt ??= now;
    if (over(read, (now - (firstAt ?? now)) / 1000) || now - startedAt > LIMIT_SECONDS * 1000) break;
    await sleep(SAMPLE_MS);
  }
  const offered = await stopOffering();
  const worker = megabytes(usageOf(started.workerPid).peakRssBytes);
  const master = megabytes(usageOf(started.masterPid).peakRssBytes);
  await cluster.act(name, 'stop');
  await cluster.stopWeir();
  const read = samples.at(-1)?.read ?? 0;
  const largest = (from: number, to: number): number =>
    Math.max(
      ...samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to)).map(({ rssMb }) => rssMb),
    );
  const problems = read === 0 ? ['nothing was read'] : [];
  print({
    bench: 'memory',
    part,
    system: 'weir',
    records: read,
    offeredToTaken: read === 0 ? null : round(offered / read, 1),
    workerPeakRssMb: worker,
    masterPeakRssMb: master,
    atQuarters: [0.25, 0.5, 0.75, 1].map((share) => samples[Math.ceil(samples.length * share) - 1]),
    /** Largest of the second half to the largest of the second quarter: 1 is flat. */
    ratio: round(largest(0.5, 1) / largest(0.25, 0.5), 3),
    problems,
  });
  return problems.length === 0;
}

/**
 * Writes users, ten times as many as the job has read by then, and some to begin with. Returns what stops it and says how
 * many there were.
 */
function overload(writer: LogWriter, { partitions, seed }: SuiteOptions, readNow: () => number): () => Promise<number> {
  const users = new BenchUsers(seed);
  const made = Array.from({ length: partitions }, (_, partition) => {
    const indexes = Array.from({ length: BATCH_RECORDS }, (__, index) => index * partitions + partition);
    return encodeRecordBatch(indexes.map((index) => ({ ...users.bytesAt(index), timestampMs: Date.now() })));
  });
  let offered = 0;
  let stopped = false;
  const write = async (): Promise<void> => {
    while (!stopped) {
      if (offered >= FIRST_RECORDS + OVERLOAD * readNow()) {
        await sleep(5);
        continue;
      }
      offered += BATCH_RECORDS * partitions;
      const appends = made.map((batch, at) => ({ topic: OVERLOAD_TOPIC, partition: partition(at), batch }));
      await writer.append(appends, alwaysPermitted);
    }
  };
  const writing = Promise.all(Array.from({ length: APPENDS_UNDER_WAY }, write));
  return async () => {
    stopped = true;
    await writing;
    return offered;
  };
}
