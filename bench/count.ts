/**
 * `count`: users counted by 10 s of their registration and post code, with the newest registration, in update mode, into
 * nothing. What comes out in update mode depends on where batches end, so the values are checked once more by the same
 * query in append mode (Weir) and in batch (Spark) after the first round, and from the store (Kafka Streams) after every
 * one; and no row may be late.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { jobName } from '../core/ids.ts';
import type { BenchCluster } from './cluster.ts';
import { COUNT_DELAY_MS, expectedCounts } from './data/expected-users.ts';
import { kafkaStreamsSystem } from './peers/kafka-streams/run.ts';
import { sparkSystem } from './peers/spark/run.ts';
import { spark35, spark4 } from './peers/spark/spark.ts';
import type { PeerEvent } from './peers/process.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { benchOverUsers, usersJob } from './users-topic.ts';
import { differences, untilRead, weirSystem } from './weir-run.ts';

export const defaults: SuiteDefaults = { records: 16_000_000, rounds: 3, peers: ['spark', 'spark35', 'kafka-streams'] };

const SETTLE_LIMIT_MS = 30_000;

export const jobText = (name: string, outputMode: 'append' | 'update'): string =>
  usersJob({
    name,
    source: `watermark: { column: registered_date, delay: ${COUNT_DELAY_MS / 1000}s }`,
    query: `SELECT unix_millis(w.start) AS start, post_code, n, unix_millis(newest) AS newest FROM
  (SELECT window(registered_date, '10 seconds') AS w, post_code, count(*) AS n, max(registered_date) AS newest
   FROM users WHERE post_code IS NOT NULL GROUP BY window(registered_date, '10 seconds'), post_code)`,
    sink: '{ connector: blackhole }',
    outputMode,
  });

/** False when a result was wrong. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  const { records, seed, threads } = options;
  const expected = expectedCounts(seed, records);
  const check = (answer: PeerEvent): readonly string[] =>
    differences({ rows: answer['rows'], crc: answer['crc'] }, { rows: expected.groups, crc: expected.crc });
  return await benchOverUsers(
    'count',
    options,
    async ({ cluster, peer, compare }) =>
      await compare({
        weir: () =>
          weirSystem({
            cluster,
            name: (index) => `count-${index}`,
            text: (name) => jobText(name, 'update'),
            records,
            threads,
            check: async (name, counters, index) => [
              ...differences({ ...counters, late: await lateRows(cluster, name) }, { read: records, dead: 0, late: 0 }),
              ...(index === 0 ? await checkFinal(cluster, `${name}-final`, records, expected) : []),
            ],
          }),
        spark: () => sparkSystem(spark4, { ...peer, check }),
        spark35: () => sparkSystem(spark35, { ...peer, check }),
        'kafka-streams': () => kafkaStreamsSystem({ ...peer, check, settings: () => ({ passed: expected.passed }) }),
      }),
  );
}

async function lateRows(cluster: BenchCluster, name: string): Promise<number> {
  const row = await cluster.store.readOwnership(jobName(name));
  const head = row === undefined ? undefined : await cluster.store.readEpochs(jobName(name), row.run);
  return Object.values(head?.late ?? {}).reduce((sum, rows) => sum + rows, 0);
}

/** The same query in append mode: what comes out are the groups that the watermark has passed. */
async function checkFinal(
  cluster: BenchCluster,
  name: string,
  records: number,
  expected: { readonly closed: number; readonly hash: number },
): Promise<readonly string[]> {
  await cluster.apply(name, jobText(name, 'append'));
  let counters = await untilRead(cluster, name, records);
  // The last windows close in an epoch without records.
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  while (counters.rowsOut < expected.closed && performance.now() < deadline) {
    await sleep(100);
    counters = await untilRead(cluster, name, records);
  }
  const hash = (await cluster.workerMetric('weir_blackhole_hash', name)) ?? 0;
  await cluster.act(name, 'stop');
  return differences({ finalGroups: counters.rowsOut, hash }, { finalGroups: expected.closed, hash: expected.hash });
}
