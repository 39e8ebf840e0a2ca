/**
 * `cassandra`: the main job, users into a table of twelve columns with a text primary key. The floor is a bare batch
 * writer: the same rows from memory, bound and sent by the driver in unlogged batches, no Kafka, no parsing. The table is
 * read back and compared.
 */
import { crc32 } from 'node:zlib';
import cassandra from 'cassandra-driver';
import { expectedTable, mainJobRow } from './data/expected-users.ts';
import type { ExpectedTable } from './data/expected-users.ts';
import { bareWriterSystem } from './peers/bare/cassandra-writer.ts';
import { bentoSystem } from './peers/bento/run.ts';
import { sparkSystem } from './peers/spark/run.ts';
import { spark35 } from './peers/spark/spark.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import type { UsersBench } from './users-topic.ts';
import { ALL_COLUMNS, benchOverUsers, roundOf, usersJob } from './users-topic.ts';
import { differences, weirSystem } from './weir-run.ts';

export const defaults: SuiteDefaults = { records: 1_000_000, rounds: 3, peers: ['spark35', 'bento'] };

const KEYSPACE = 'weir_bench';
const FETCH_ROWS = 5000;
const READ_TIMEOUT_MS = 60_000;
/** The bare writer tells of its progress 20 times a second, and Cassandra does not notice. */
const POLL_MS = 100;

/** False when a result was wrong. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  return await benchOverUsers('cassandra', options, async (users) => await withClient(users, options), true);
}

async function withClient(users: UsersBench, options: SuiteOptions): Promise<boolean> {
  const contactPoint = users.cluster.contactPoint ?? '';
  const client = new cassandra.Client({
    contactPoints: [contactPoint],
    localDataCenter: 'datacenter1',
    socketOptions: { readTimeout: READ_TIMEOUT_MS },
  });
  try {
    await client.execute(
      `CREATE KEYSPACE IF NOT EXISTS ${KEYSPACE} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
    );
    return await compareWriters(users, options, client, contactPoint);
  } finally {
    await client.shutdown();
  }
}

async function compareWriters(
  { cluster, peer, compare }: UsersBench,
  { records, seed, threads }: SuiteOptions,
  client: cassandra.Client,
  contactPoint: string,
): Promise<boolean> {
  const expected = expectedTable(seed, records);
  const tableOf = (system: string, index: number): string => `users_${system}_${index}`;
  const create = async (table: string): Promise<void> => {
    await client.execute(`CREATE TABLE ${KEYSPACE}.${table} (id text PRIMARY KEY, first_name text, last_name text,
      gender text, address text, post_code int, email text, username text, dob timestamp,
      registered_date timestamp, phone text, picture text)`);
  };
  const check = async (table: string, rows = expected): Promise<readonly string[]> => {
    const problems = await checkTable(client, table, rows);
    await client.execute(`DROP TABLE ${KEYSPACE}.${table}`);
    return problems;
  };
  const writingPeer = (system: string) => ({
    ...peer,
    contactPoint,
    prepare: async (index: number) => await create(tableOf(system, index)),
    settings: (index: number) => ({ keyspace: KEYSPACE, table: tableOf(system, index) }),
    checkRound: async (index: number) => await check(tableOf(system, index)),
  });
  const [host = '', port = ''] = contactPoint.split(':');
  return await compare({
    weir: () =>
      weirSystem({
        cluster,
        name: (index) => `cassandra-${index}`,
        text: (name) =>
          usersJob({
            name,
            query: ALL_COLUMNS,
            sink: `{ connector: cassandra, keyspace: ${KEYSPACE}, table: ${tableOf('weir', roundOf(name))}, primaryKey: [id] }`,
          }),
        records,
        threads,
        pollMs: POLL_MS,
        prepare: async (name) => await create(tableOf('weir', roundOf(name))),
        check: async (name, counters) => [
          ...differences({ ...counters }, { read: records, passed: expected.passed, dead: 0 }),
          ...(await check(tableOf('weir', roundOf(name)))),
        ],
      }),
    floor: () => bareWriterSystem({ ...writingPeer('bare'), seed }),
    spark35: () =>
      sparkSystem(spark35, {
        ...writingPeer('spark35'),
        conf: {
          'spark.cassandra.connection.host': host,
          'spark.cassandra.connection.port': port,
          'spark.cassandra.output.batch.grouping.key': 'replica_set',
        },
      }),
    bento: () => {
      const rows = expectedTable(seed, records, 'simple');
      const checkRound = async (index: number) => await check(tableOf('bento', index), rows);
      return bentoSystem({ ...writingPeer('bento'), expected: rows, checkRound });
    },
  });
}

/** Reads every row. */
async function checkTable(
  client: cassandra.Client,
  table: string,
  expected: ExpectedTable,
): Promise<readonly string[]> {
  let rows = 0;
  let crc = 0;
  let pageState: string | undefined;
  do {
    const result: cassandra.types.ResultSet = await client.execute(
      `SELECT id, last_name, post_code, email, registered_date, picture FROM ${KEYSPACE}.${table}`,
      [],
      { fetchSize: FETCH_ROWS, prepare: true, ...(pageState === undefined ? {} : { pageState }) },
    );
    for (const row of result.rows) {
      rows++;
      crc ^= crc32(
        mainJobRow({
          id: String(row.get(0)),
          last_name: String(row.get(1)),
          post_code: Number(row.get(2)),
          email: String(row.get(3)),
          registeredMs: (row.get(4) as Date).getTime(),
          picture: String(row.get(5)),
        }),
      );
    }
    pageState = result.pageState;
  } while (pageState !== undefined && pageState !== null);
  return differences({ rowsInTable: rows, crc: crc >>> 0 }, { rowsInTable: expected.passed, crc: expected.crc });
}
