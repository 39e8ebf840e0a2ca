/**
 * `kafka`: users filtered, their last names in capitals, back to a topic as JSON, at least once, not compressed. The
 * records of the output topic are read back and compared.
 */
import { crc32 } from 'node:zlib';
import type { BenchCluster } from './cluster.ts';
import { expectedTable, mainJobRow } from './data/expected-users.ts';
import type { ExpectedTable } from './data/expected-users.ts';
import { kafkaStreamsSystem } from './peers/kafka-streams/run.ts';
import { sparkSystem } from './peers/spark/run.ts';
import { spark4 } from './peers/spark/spark.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { compare, systemsOf } from './throughput.ts';
import { readWholeTopic } from './topic-reader.ts';
import { ALL_COLUMNS, USERS_TOPIC, clusterWithUsers, usersJob } from './users-topic.ts';
import { differences, weirSystem } from './weir-run.ts';

export const defaults: SuiteDefaults = { records: 4_000_000, rounds: 3, peers: ['spark', 'kafka-streams'] };

const COMPRESSION = 'none';

/** False when a result was wrong. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  const { records, seed, threads, partitions } = options;
  const expected = expectedTable(seed, records);
  await using cluster = await clusterWithUsers(options);
  const common = {
    bench: 'kafka',
    brokers: cluster.brokers ?? '',
    topic: USERS_TOPIC,
    records,
    serverPids: cluster.serverPids,
  };
  const outputOf = (system: string, index: number): string => `out-${system}-${index}`;
  const create = async (system: string, index: number): Promise<void> =>
    await cluster.writer.createTopic(outputOf(system, index), partitions);
  const peer = (system: string) => ({
    ...common,
    prepare: async (index: number) => await create(system, index),
    settings: (index: number) => ({ output: outputOf(system, index), compression: COMPRESSION }),
    checkRound: async (index: number) => await checkTopic(cluster, outputOf(system, index), expected),
  });
  const systems = systemsOf(options, {
    weir: () =>
      weirSystem({
        cluster,
        name: (index) => `kafka-${index}`,
        text: (name) =>
          usersJob({
            name,
            query: ALL_COLUMNS,
            sink: `{ connector: kafka, topic: ${outputOf('weir', indexOf(name))}, key: id, compression: ${COMPRESSION} }`,
          }),
        records,
        threads,
        prepare: async (name) => await create('weir', indexOf(name)),
        check: async (name, counters) => [
          ...differences({ ...counters }, { read: records, passed: expected.passed, dead: 0 }),
          ...(await checkTopic(cluster, outputOf('weir', indexOf(name)), expected)),
        ],
      }),
    spark: () => sparkSystem(spark4, peer('spark')),
    'kafka-streams': () => kafkaStreamsSystem(peer('kafka-streams')),
  });
  return await compare({ bench: 'kafka', records, rounds: options.rounds, figure: 'recordsPerCpuSecondWarm' }, systems);
}

function indexOf(name: string): number {
  return Number(name.slice(name.lastIndexOf('-') + 1));
}

interface Output {
  readonly id: string;
  readonly last_name: string;
  readonly post_code: number;
  readonly email: string;
  readonly registered_date: string;
  readonly picture: string;
}

/** Reads the topic from its beginning. */
async function checkTopic(cluster: BenchCluster, topic: string, expected: ExpectedTable): Promise<readonly string[]> {
  let rows = 0;
  let crc = 0;
  await readWholeTopic(cluster.brokers ?? '', topic, (value) => {
    const row = JSON.parse(String(value)) as Output;
    rows++;
    crc ^= crc32(mainJobRow({ ...row, registeredMs: Date.parse(row.registered_date) }));
  });
  return differences({ rowsInTopic: rows, crc: crc >>> 0 }, { rowsInTopic: expected.passed, crc: expected.crc });
}
