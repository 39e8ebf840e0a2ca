/**
 * `nexmark`: queries of Nexmark from JSON in Kafka, without a sink. First each answer is checked on 100,000 events against
 * plain TypeScript, then the events per CPU-second are measured. `--only q5,q7` takes some.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchCluster } from './cluster.ts';
import { NexmarkEvents, NEXMARK_EVENTS_PER_SECOND } from './data/nexmark.ts';
import { createTopic, preload } from './data/preload.ts';
import type { Preload } from './data/preload.ts';
import type { AnswerRow, NexmarkInput } from './nexmark/oracle.ts';
import { answers, inputOf, rowsOf } from './nexmark/oracle.ts';
import type { NexmarkQuery, QueryName } from './nexmark/queries.ts';
import { NEXMARK_TOPIC, nexmarkJob, queries, queryNames } from './nexmark/queries.ts';
import { median, round } from './measure/statistics.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import type { Run } from './run-meter.ts';
import { RoundsInTime, note, print } from './throughput.ts';
import { readWholeTopic } from './topic-reader.ts';
import { differences, runWeir, untilRead } from './weir-run.ts';

export const defaults: SuiteDefaults = { records: 4_000_000, rounds: 3, peers: [] };

const CHECKED_EVENTS = 100_000;
const SETTLE_LIMIT_MS = 60_000;
/** The last events of the checked list happen so much later that windows and sessions before them end. */
const CLOSING_EVENTS = 50;
const CLOSING_MS = 3_600_000;
/** Must-goals, events per CPU-second. */
const goals: Readonly<Partial<Record<QueryName, number>>> = {
  q0: 1_000_000,
  q1: 1_000_000,
  q2: 1_000_000,
  q5: 600_000,
  q7: 600_000,
  q8: 500_000,
  q11: 500_000,
  q12: 500_000,
  q17: 500_000,
  q18: 400_000,
};

/** False when an answer was wrong. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  const wanted = queryNames.filter((name) => options.only.length === 0 || options.only.includes(name));
  const problems = await checkAnswers(options, wanted);
  if (options.records > 0) await measure(options, wanted, problems);
  else for (const [query, of] of problems) print({ bench: 'nexmark', query, system: 'weir', problems: of });
  return [...problems.values()].every((of) => of.length === 0);
}

/** The event of the checked list: the last ones an hour later, in every partition. */
function checkedEvent(events: NexmarkEvents, index: number): ReturnType<NexmarkEvents['at']> {
  if (index < CHECKED_EVENTS - CLOSING_EVENTS) return events.at(index);
  return events.at(index + (CLOSING_MS / 1000) * NEXMARK_EVENTS_PER_SECOND);
}

async function checkAnswers(
  options: SuiteOptions,
  wanted: readonly QueryName[],
): Promise<Map<QueryName, readonly string[]>> {
  await using cluster = await BenchCluster.start({ cassandra: false, store: 'real' });
  const events = new NexmarkEvents(options.seed);
  const list = Array.from({ length: CHECKED_EVENTS }, (_, index) => checkedEvent(events, index));
  await preload(cluster.writer, {
    topic: NEXMARK_TOPIC,
    partitions: options.partitions,
    records: CHECKED_EVENTS,
    dataset: `nexmark-checked-${options.seed}`,
    recordAt: (index) => ({ key: null, value: Buffer.from(JSON.stringify(list[index])) }),
  });
  const input = inputOf(list);
  await cluster.startWeir(options.threads);
  const problems = new Map<QueryName, readonly string[]>();
  for (const name of wanted) {
    try {
      problems.set(name, await checkAnswer(cluster, name, input));
    } catch (error) {
      problems.set(name, [error instanceof Error ? error.message.slice(0, 600) : String(error)]);
    }
    note(`${name}: ${problems.get(name)?.join('; ') || 'as the oracle has it'}`);
  }
  return problems;
}

async function checkAnswer(cluster: BenchCluster, name: QueryName, input: NexmarkInput): Promise<readonly string[]> {
  const query: NexmarkQuery = queries[name];
  const job = `nexmark-${name}`;
  const topic = `out-${name}`;
  await createTopic(cluster.writer, topic, 1);
  await cluster.apply(job, nexmarkJob(job, query, topic));
  await untilRead(cluster, job, CHECKED_EVENTS);
  // The last windows end in an epoch without records, after the last one of those that were read.
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const rows = await rowsIn(cluster.brokers ?? '', topic, name);
    const problems = compared(name === 'q12' ? summed(rows) : rows, answers[name](input));
    if (problems.length > 0 && performance.now() < deadline) {
      await sleep(1000);
      continue;
    }
    await cluster.act(job, 'stop');
    return problems;
  }
}

/** What the topic says: all its records, or the last one of each key. */
async function rowsIn(brokers: string, topic: string, name: QueryName): Promise<readonly AnswerRow[]> {
  const query: NexmarkQuery = queries[name];
  const latest = new Map<string, AnswerRow>();
  const all: AnswerRow[] = [];
  await readWholeTopic(brokers, topic, (value, key) => {
    if (query.key === undefined) all.push(rowsOf[name](JSON.parse(String(value)) as Record<string, unknown>));
    else if (value === null) latest.delete(String(key));
    else latest.set(String(key), rowsOf[name](JSON.parse(value.toString()) as Record<string, unknown>));
  });
  return query.key === undefined ? all : [...latest.values()];
}

/** Of q12 the windows are of the clock: bids by bidder over all of them. */
function summed(rows: readonly AnswerRow[]): readonly AnswerRow[] {
  return [...Map.groupBy(rows, ([bidder]) => Number(bidder))].map(([bidder, of]) => [
    bidder,
    of.reduce((sum, [, n]) => sum + Number(n), 0),
  ]);
}

/** Both lists as bags. */
function compared(got: readonly AnswerRow[], wanted: readonly AnswerRow[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const row of wanted) counts.set(row.join('|'), (counts.get(row.join('|')) ?? 0) + 1);
  for (const row of got) counts.set(row.join('|'), (counts.get(row.join('|')) ?? 0) - 1);
  const missing = [...counts].filter(([, count]) => count > 0);
  const extra = [...counts].filter(([, count]) => count < 0);
  if (missing.length === 0 && extra.length === 0) return [];
  return [
    `${got.length} rows instead of ${wanted.length}: ${missing.length} missing (${missing[0]?.[0]}), ${extra.length} too many (${extra[0]?.[0]})`,
  ];
}

/** The events as they are preloaded to be measured. */
export function nexmarkOf(seed: number, partitions: number, records: number): Preload {
  const events = new NexmarkEvents(seed);
  const recordAt: Preload['recordAt'] = (index) => events.bytesAt(index);
  return { topic: NEXMARK_TOPIC, partitions, records, dataset: `nexmark-${seed}`, recordAt };
}

async function measure(
  options: SuiteOptions,
  wanted: readonly QueryName[],
  problems: Map<QueryName, readonly string[]>,
): Promise<void> {
  const { records, partitions, seed, threads, rounds, minutes } = options;
  await using cluster = await BenchCluster.start({ cassandra: false, store: 'real' });
  await preload(cluster.writer, nexmarkOf(seed, partitions, records));
  const inTime = new RoundsInTime({ rounds: wanted.length, minutes });
  for (const name of wanted) {
    if (!inTime.next()) break;
    const runs: Run[] = [];
    try {
      for (let index = 0; index < rounds; index++)
        runs.push(
          await runWeir(
            {
              cluster,
              name: (at) => `nexmark-${name}-${at}`,
              text: (job) => nexmarkJob(job, queries[name], null),
              records,
              threads,
              check: async (_, { read, dead }) =>
                await Promise.resolve(differences({ read, dead }, { read: records, dead: 0 })),
            },
            index,
          ),
        );
    } catch (error) {
      problems.set(name, [...(problems.get(name) ?? []), String(error).slice(0, 600)]);
    }
    const warm = median(runs.map((run) => run.warm.records / run.warm.cpuSeconds));
    print({
      bench: 'nexmark',
      query: name,
      system: 'weir',
      records,
      rounds: runs.length,
      eventsPerCpuSecondWarm: Math.round(warm),
      eventsPerCpuSecond: Math.round(median(runs.map((run) => records / (run.cpu.user + run.cpu.system)))),
      eventsPerSecond: Math.round(median(runs.map((run) => records / run.wallSeconds))),
      peakRssMb: Math.round(median(runs.map((run) => run.peakRssBytes)) / 1024 / 1024),
      goal: goals[name] ?? null,
      ratio: goals[name] === undefined ? null : round(warm / goals[name], 2),
      problems: [...(problems.get(name) ?? []), ...runs.flatMap((run) => run.problems)],
    });
  }
}
