/**
 * `kafka`: users filtered, their last names in capitals, back to a topic as JSON, at least once, not compressed. The
 * records of the output topic are counted in every round, and read back and compared in the first.
 */
import { crc32 } from 'node:zlib';
import { createTopic } from './data/preload.ts';
import { expectedTable, mainJobRow } from './data/expected-users.ts';
import type { ExpectedTable } from './data/expected-users.ts';
import { kafkaStreamsSystem } from './peers/kafka-streams/run.ts';
import { sparkSystem } from './peers/spark/run.ts';
import { spark35, spark4 } from './peers/spark/spark.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { readWholeTopic, recordsIn, removeTopic } from './topic-reader.ts';
import { ALL_COLUMNS, benchOverUsers, roundOf, usersJob } from './users-topic.ts';
import { differences, weirSystem } from './weir-run.ts';

export const defaults: SuiteDefaults = { records: 4_000_000, rounds: 3, peers: ['spark', 'spark35', 'kafka-streams'] };

const COMPRESSION = 'none';

/** False when a result was wrong. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  const { records, seed, threads, partitions } = options;
  const expected = expectedTable(seed, records);
  const outputOf = (system: string, index: number): string => `out-${system}-${index}`;
  return await benchOverUsers('kafka', options, async ({ cluster, peer, compare }) => {
    const brokers = cluster.brokers ?? '';
    /** Topics that were looked at. They go when the next one comes: whoever wrote to them is gone by then. */
    const finished: string[] = [];
    const create = async (system: string, index: number): Promise<void> => {
      for (const topic of finished.splice(0)) await removeTopic(brokers, topic);
      await createTopic(cluster.writer, outputOf(system, index), partitions);
    };
    const check = async (system: string, index: number): Promise<readonly string[]> => {
      finished.push(outputOf(system, index));
      return await checkTopic(brokers, outputOf(system, index), expected, index === 0);
    };
    const writingPeer = (system: string) => ({
      ...peer,
      prepare: async (index: number) => await create(system, index),
      settings: (index: number) => ({ output: outputOf(system, index), compression: COMPRESSION }),
      checkRound: async (index: number) => await check(system, index),
    });
    return await compare({
      weir: () =>
        weirSystem({
          cluster,
          name: (index) => `kafka-${index}`,
          text: (name) =>
            usersJob({
              name,
              query: ALL_COLUMNS,
              sink: `{ connector: kafka, topic: ${outputOf('weir', roundOf(name))}, key: id, compression: ${COMPRESSION} }`,
            }),
          records,
          threads,
          prepare: async (name) => await create('weir', roundOf(name)),
          check: async (name, counters) => [
            ...differences({ ...counters }, { read: records, passed: expected.passed, dead: 0 }),
            ...(await check('weir', roundOf(name))),
          ],
        }),
      spark: () => sparkSystem(spark4, writingPeer('spark')),
      spark35: () => sparkSystem(spark35, writingPeer('spark35')),
      'kafka-streams': () => kafkaStreamsSystem(writingPeer('kafka-streams')),
    });
  });
}

interface Output {
  readonly id: string;
  readonly last_name: string;
  readonly post_code: number;
  readonly email: string;
  readonly registered_date: string;
  readonly picture: string;
}

/** Counts the records of the topic and, where the values are to be compared as well, reads them from the beginning. */
async function checkTopic(
  brokers: string,
  topic: string,
  expected: ExpectedTable,
  values: boolean,
): Promise<readonly string[]> {
  const inTopic = differences({ rowsInTopic: await recordsIn(brokers, topic) }, { rowsInTopic: expected.passed });
  if (!values) return inTopic;
  let rows = 0;
  let crc = 0;
  await readWholeTopic(brokers, topic, (value) => {
    const row = JSON.parse(String(value)) as Output;
    rows++;
    crc ^= crc32(mainJobRow({ ...row, registeredMs: Date.parse(row.registered_date) }));
  });
  return [
    ...inTopic,
    ...differences({ rowsRead: rows, crc: crc >>> 0 }, { rowsRead: expected.passed, crc: expected.crc }),
  ];
}
