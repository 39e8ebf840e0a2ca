/**
 * `memory`: resident size of the worker while it works off ten million records that lie there, and while records for a
 * table come ten times as fast as the table takes them: it must not grow with what waits.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchCluster } from './cluster.ts';
import { megabytes, round } from './measure/statistics.ts';
import { usageOf } from './measure/process-usage.ts';
import { PROJECTION } from './noop.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { print } from './throughput.ts';
import { ALL_COLUMNS, clusterWithUsers, usersJob } from './users-topic.ts';
import { committedCounters } from './weir-run.ts';

export const defaults: SuiteDefaults = { records: 10_000_000, rounds: 1, peers: [] };

const SAMPLE_MS = 250;
const LIMIT_MB = 250;
/** Seconds of the overload. */
const OVERLOAD_SECONDS = 60;

interface Sample {
  readonly read: number;
  readonly rssMb: number;
}

/** False when the memory of the worker was above its limit. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  await using cluster = await clusterWithUsers(options, true);
  const parts = [
    { part: 'backlog', query: PROJECTION, sink: '{ connector: blackhole }', seconds: Number.POSITIVE_INFINITY },
    {
      part: 'overload',
      query: ALL_COLUMNS,
      sink: '{ connector: cassandra, keyspace: weir_bench, table: memory, primaryKey: [id], create: true }',
      seconds: OVERLOAD_SECONDS,
    },
  ].filter(({ part }) => options.only.length === 0 || options.only.includes(part));
  let within = true;
  for (const { part, query, sink, seconds } of parts) {
    const started = await cluster.startWeir(options.threads);
    const name = `memory-${part}`;
    await cluster.apply(name, usersJob({ name, query, sink }));
    const samples = await sampled(cluster, name, started.workerPid, options.records, seconds);
    const worker = usageOf(started.workerPid);
    const master = usageOf(started.masterPid);
    await cluster.act(name, 'stop');
    await cluster.stopWeir();
    const quarters = [0.25, 0.5, 0.75, 1].map((share) => samples[Math.ceil(samples.length * share) - 1]);
    const second = samples.slice(samples.length >> 1).map(({ rssMb }) => rssMb);
    const first = samples.slice(samples.length >> 2, samples.length >> 1).map(({ rssMb }) => rssMb);
    within &&= megabytes(worker.peakRssBytes) <= LIMIT_MB;
    print({
      bench: 'memory',
      part,
      system: 'weir',
      records: samples.at(-1)?.read,
      workerPeakRssMb: megabytes(worker.peakRssBytes),
      masterPeakRssMb: megabytes(master.peakRssBytes),
      atQuarters: quarters,
      /** Largest of the second half to the largest of the second quarter: 1 is flat. */
      ratio: round(Math.max(...second) / Math.max(...first), 3),
      limitMb: LIMIT_MB,
      problems: [],
    });
  }
  return within;
}

async function sampled(
  cluster: BenchCluster,
  name: string,
  pid: number,
  records: number,
  seconds: number,
): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const until = performance.now() + seconds * 1000;
  for (;;) {
    const { read } = await committedCounters(cluster, name);
    samples.push({ read, rssMb: megabytes(usageOf(pid).rssBytes) });
    if (read >= records || performance.now() > until) return samples;
    await sleep(SAMPLE_MS);
  }
}
