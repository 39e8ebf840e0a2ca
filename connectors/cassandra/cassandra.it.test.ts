/** The contract suites against a real node, and what only Cassandra has. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { parseCqlType } from '../../core/table/cql-type.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { blobStoreContract, damageChunks } from '../../test/conformance/blob-store.ts';
import { metaStoreContract } from '../../test/conformance/meta-store.ts';
import { buildRows, shapeOf } from '../../test/conformance/rows.ts';
import { tableStoreContract } from '../../test/conformance/table-store.ts';
import { globalServices, uniqueName } from '../../test/services/services.ts';
import { ChunkedBlobStore } from '../../core/blobs/chunked-store.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { CassandraChunkTable } from './chunk-table.ts';
import { CassandraClient, type CassandraOptions } from './client.ts';
import { CassandraMetaStore } from './meta-store.ts';
import { CassandraTableStore } from './table-store.ts';

const services = globalServices();
const permit = { valid: () => true, check: () => undefined };

async function optionsOfNode(): Promise<CassandraOptions> {
  const { address } = await services.cassandra();
  return { contactPoints: address.split(','), replicationFactor: 1 };
}

metaStoreContract('Cassandra', async () => {
  const options = await optionsOfNode();
  const clients = [new CassandraClient(options), new CassandraClient(options)] as const;
  return {
    store: new CassandraMetaStore(clients[0]),
    second: new CassandraMetaStore(clients[1]),
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
});

blobStoreContract('Cassandra', async () => {
  const options = await optionsOfNode();
  const clients = [new CassandraClient(options), new CassandraClient(options)] as const;
  await new CassandraMetaStore(clients[0]).prepare();
  const table = new CassandraChunkTable(clients[0]);
  const parts = { clock: systemClock, rng: systemRng };
  return {
    store: new ChunkedBlobStore(table, parts),
    second: new ChunkedBlobStore(new CassandraChunkTable(clients[1]), parts),
    damage: (id, how) => damageChunks(table, id, how),
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
});

for (const fastBatches of [true, false]) {
  tableStoreContract(`Cassandra, ${fastBatches ? 'own batches' : "the driver's batches"}`, async () => {
    const client = new CassandraClient(await optionsOfNode());
    const store = new CassandraTableStore(client, { fastBatches });
    assert.equal(store.fastBatches, fastBatches, 'the installed driver is the one that batch-frame.ts knows');
    return { store, close: () => client.close() };
  });
}

describe('Cassandra beyond the contract', () => {
  const keyspace = uniqueName('beyond');
  let client: CassandraClient;
  let store: CassandraTableStore;

  before(async () => {
    client = new CassandraClient(await optionsOfNode());
    store = new CassandraTableStore(client);
    const dataCenter = await client.localDataCenter('SINK_UNAVAILABLE');
    await store.query(
      `CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', '${dataCenter}': 1}`,
    );
  });
  after(async () => {
    await store?.query(`DROP KEYSPACE ${keyspace}`);
    await client?.close();
  });

  test('user-defined types are described, written and printed', async () => {
    await store.query(`CREATE TYPE ${keyspace}.point (x int, y int)`);
    await store.query(`CREATE TYPE ${keyspace}.place (name text, at frozen<point>)`);
    await store.query(
      `CREATE TABLE ${keyspace}.udts (id int PRIMARY KEY, one frozen<place>, many list<frozen<point>>, odd duration, v vector<float, 2>)`,
    );
    const schema = await store.describe(keyspace, 'udts');
    assert.ok(schema);
    const types = new Map(schema.columns.map((column) => [column.name, column.type]));
    assert.deepEqual([types.get('odd')?.kind, types.get('v')?.kind], ['custom', 'custom']);
    const shape = shapeOf(schema, ['one', 'many']);
    const writer = await store.open(shape);
    const place = { name: 'home', at: { x: 1, y: null } };
    await writer.write(
      buildRows(shape, [{ op: 'upsert', values: [1, place, [{ x: 1, y: 2 }]], timestamp: 1 }]),
      permit,
    );
    const result = await store.query(`SELECT one, many, odd FROM ${keyspace}.udts`);
    assert.deepEqual(result.rows, [[place, [{ x: 1, y: 2 }], null]]);
    assert.equal(result.columns[0]?.type, `${keyspace}.place`);
  });

  test('a counter is refused by name', async () => {
    await store.query(`CREATE TABLE ${keyspace}.hits (id int PRIMARY KEY, n counter)`);
    const schema: TableSchema = {
      keyspace,
      table: 'hits',
      columns: [
        { name: 'id', type: parseCqlType('int') },
        { name: 'n', type: parseCqlType('bigint') },
      ],
      partitionKey: ['id'],
      clusteringKey: [],
    };
    await assert.rejects(
      store.open(shapeOf(schema)),
      (error) => isWeirError(error, 'SINK_SCHEMA') && /column n .*counter/.test(error.message),
    );
  });

  test('statements go through, but not USE', async () => {
    await store.query(`CREATE TABLE ${keyspace}.people (id int PRIMARY KEY, name text)`);
    await store.query(`INSERT INTO ${keyspace}.people (id, name) VALUES (1, 'Ada')`);
    const answer = await store.query(`SELECT id, name, writetime(name) AS w FROM ${keyspace}.people /* all */`);
    assert.deepEqual(answer.rows[0]?.slice(0, 2), [1, 'Ada']);
    for (const cql of [`USE ${keyspace}`, ` /* x */ use ${keyspace};`, `-- y\nUSE ${keyspace}`]) {
      await assert.rejects(store.query(cql), (error) => isWeirError(error, 'UNSUPPORTED'), cql);
    }
  });

  test('a query reads over many pages', async () => {
    const schema: TableSchema = {
      keyspace,
      table: 'pages',
      columns: [
        { name: 'p', type: parseCqlType('int') },
        { name: 'c', type: parseCqlType('int') },
      ],
      partitionKey: ['p'],
      clusteringKey: ['c'],
    };
    await store.create(schema);
    const shape = shapeOf(schema);
    const writer = await store.open(shape);
    await writer.write(
      buildRows(
        shape,
        Array.from({ length: 12_000 }, (_, c) => ({ op: 'upsert' as const, values: [1, c], timestamp: 1 })),
      ),
      permit,
    );
    assert.equal((await store.query(`SELECT c FROM ${keyspace}.pages`)).rows.length, 12_000);
  });

  test('what was written can be told by its timestamp', async () => {
    const schema: TableSchema = {
      keyspace,
      table: 'times',
      columns: [
        { name: 'id', type: parseCqlType('int') },
        { name: 'v', type: parseCqlType('text') },
      ],
      partitionKey: ['id'],
      clusteringKey: [],
    };
    await store.create(schema);
    const shape = shapeOf(schema);
    const writer = await store.open(shape);
    await writer.write(
      buildRows(shape, [{ op: 'upsert', values: [1, 'x'], timestamp: 1_700_000_000_123_457 }]),
      permit,
    );
    assert.deepEqual((await store.query(`SELECT writetime(v) FROM ${keyspace}.times`)).rows, [[1_700_000_000_123_457]]);
  });

  test('a data center that is not there is a mistake of the settings', async () => {
    const wrong = new CassandraClient({ ...client.options, localDataCenter: 'nowhere' });
    await assert.rejects(
      new CassandraTableStore(wrong).describe('a', 'b'),
      (error) => isWeirError(error) && /nowhere/.test(error.message),
    );
    await wrong.close();
  });
});

test('a node that is not there is named', async () => {
  const client = new CassandraClient({ contactPoints: ['127.0.0.1:1'], replicationFactor: 1 });
  await assert.rejects(
    new CassandraMetaStore(client).listJobs(),
    (error) =>
      isWeirError(error, 'STORE_UNAVAILABLE') && /127\.0\.0\.1:1 does not answer.*ECONNREFUSED/.test(error.message),
  );
  await assert.rejects(new CassandraTableStore(client).describe('a', 'b'), (error) =>
    isWeirError(error, 'SINK_UNAVAILABLE'),
  );
  await client.close();
});
