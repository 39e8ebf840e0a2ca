/** What may be made before anything is measured: peers, encoded topics, answers. All of it is kept in the cache. */
import { expectedCounts, expectedProjection, expectedTable } from './data/expected-users.ts';
import { encodedFile } from './data/preload.ts';
import { usersOf } from './users-topic.ts';
import { nexmarkOf } from './nexmark.ts';
import { installBento } from './peers/bento/run.ts';
import { PeerMissing } from './peers/install.ts';
import { kafkaStreamsCommand } from './peers/kafka-streams/run.ts';
import { installSpark, spark35, spark4 } from './peers/spark/spark.ts';
import { note } from './throughput.ts';

const SEED = 1;
const PARTITIONS = 4;

/** Everything that a bench with so many records needs. */
export const preparations = {
  noop: async (records: number): Promise<void> => {
    expectedProjection(SEED, records);
    await users(records);
  },
  count: async (records: number): Promise<void> => {
    expectedCounts(SEED, records);
    await users(records);
  },
  cassandra: async (records: number): Promise<void> => {
    expectedTable(SEED, records);
    expectedTable(SEED, records, 'simple');
    await users(records);
  },
  kafka: async (records: number): Promise<void> => {
    expectedTable(SEED, records);
    await users(records);
  },
  scale: async (records: number): Promise<void> => {
    expectedProjection(SEED, records);
    await users(records);
  },
  memory: async (records: number): Promise<void> => await users(records),
  nexmark: async (records: number): Promise<void> => {
    await encodedFile(nexmarkOf(SEED, PARTITIONS, records));
  },
} as const;

async function users(records: number): Promise<void> {
  await encodedFile(usersOf(SEED, PARTITIONS, records));
}

/** Installs the peers; says what is missing. */
export function installPeers(): void {
  const peers = {
    'Spark 4': () => installSpark(spark4),
    'Spark 3.5': () => installSpark(spark35),
    'Kafka Streams': () => kafkaStreamsCommand({}),
    Bento: () => installBento(),
  };
  for (const [name, install] of Object.entries(peers)) {
    try {
      install();
    } catch (error) {
      if (!(error instanceof PeerMissing)) throw error;
      note(`${name} is missing: ${error.message}`);
    }
  }
}
