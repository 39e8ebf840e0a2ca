/**
 * `noop`: users as JSON out of Kafka are parsed, filtered and projected to five fields, and go nowhere. Count and xor of
 * the projected values are checked against the generator, so that nothing is skipped: of Weir and Kafka Streams in every
 * round, of Spark and Bento (whose sinks keep nothing) by the same projection once more after the first.
 */
import type { LaneCounters } from '../core/lane/position.ts';
import type { BenchCluster } from './cluster.ts';
import type { ExpectedRows } from './data/expected-users.ts';
import { expectedProjection } from './data/expected-users.ts';
import { bentoSystem } from './peers/bento/run.ts';
import { kafkaStreamsSystem } from './peers/kafka-streams/run.ts';
import { sparkSystem } from './peers/spark/run.ts';
import { spark35, spark4 } from './peers/spark/spark.ts';
import type { PeerEvent } from './peers/process.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { benchOverUsers, usersJob } from './users-topic.ts';
import { differences, weirSystem } from './weir-run.ts';

export const defaults: SuiteDefaults = {
  records: 16_000_000,
  rounds: 3,
  peers: ['spark', 'spark35', 'kafka-streams', 'bento'],
};

/** Five fields of the users with a post code. */
export const PROJECTION = 'SELECT id, first_name, last_name, post_code, email FROM users WHERE post_code IS NOT NULL';

/** What is wrong with the counts and values of a job that projected all users into a blackhole. */
export async function projectionCheck(
  cluster: BenchCluster,
  name: string,
  counters: LaneCounters,
  records: number,
  expected: ExpectedRows,
): Promise<readonly string[]> {
  const { passed, hash } = expected;
  return differences(
    { ...counters, hash: await cluster.workerMetric('weir_blackhole_hash', name) },
    { read: records, passed, filtered: records - passed, dead: 0, hash },
  );
}

/** False when a result was wrong. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  const { records, seed, threads } = options;
  const expected = expectedProjection(seed, records);
  const check = (answer: PeerEvent): readonly string[] =>
    differences({ rows: answer['rows'], crc: answer['crc'] }, { rows: expected.passed, crc: expected.crc });
  return await benchOverUsers(
    'noop',
    options,
    async ({ cluster, peer, compare }) =>
      await compare({
        weir: () =>
          weirSystem({
            cluster,
            name: (index) => `noop-${index}`,
            text: (name) => usersJob({ name, query: PROJECTION, sink: '{ connector: blackhole }' }),
            records,
            threads,
            check: async (name, counters) => await projectionCheck(cluster, name, counters, records, expected),
          }),
        spark: () => sparkSystem(spark4, { ...peer, check }),
        spark35: () => sparkSystem(spark35, { ...peer, check }),
        'kafka-streams': () => kafkaStreamsSystem({ ...peer, check }),
        bento: () => bentoSystem({ ...peer, expected }),
      }),
  );
}
