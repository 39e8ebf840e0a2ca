/** Lookups in Cassandra against a real node: what is found, what is refused, and a node that is gone. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ErrorCode } from '../../core/errors.ts';
import { isWeirError } from '../../core/errors.ts';
import type { LookupAnswer, LookupSource, LookupTable } from '../../core/lookup.ts';
import { globalServices, uniqueName } from '../../test/services/services.ts';
import { CassandraClient } from './client.ts';
import { CassandraLookups } from './cassandra-lookup.ts';
import { CassandraTableStore } from './table-store.ts';

const services = globalServices();
const never = new AbortController().signal;
const keyspace = uniqueName('lookups');

describe('lookups in Cassandra', { timeout: 180_000 }, () => {
  let client: CassandraClient;
  let lookups: CassandraLookups;
  before(async () => {
    const { address } = await services.cassandra();
    client = new CassandraClient({ contactPoints: address.split(','), replicationFactor: 1 });
    const tables = new CassandraTableStore(client);
    lookups = new CassandraLookups(client, tables);
    const driver = await client.driver('SINK_UNAVAILABLE');
    const run = (cql: string): Promise<unknown> => driver.execute(cql);
    await run(`CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    await run(
      `CREATE TABLE ${keyspace}.users (id bigint PRIMARY KEY, name text, at timestamp, tags list<text>, big bigint, price decimal)`,
    );
    await run(
      `INSERT INTO ${keyspace}.users (id, name, at, tags, big, price) VALUES (7, 'Ada', '2024-05-01T00:00:00Z', ['x'], 9007199254740993, 1.50)`,
    );
    for (let id = 1200; id < 1300; id++) await run(`INSERT INTO ${keyspace}.users (id, name) VALUES (${id}, 'n${id}')`);
    await run(
      `CREATE TABLE ${keyspace}.prices (org uuid, day date, vip boolean, price int, PRIMARY KEY (org, day, vip))`,
    );
    await run(
      `INSERT INTO ${keyspace}.prices (org, day, vip, price) VALUES (00000000-0000-0000-0000-000000000001, '2024-05-01', true, 5)`,
    );
  });
  after(async () => {
    const driver = await client.driver('SINK_UNAVAILABLE');
    await driver.execute(`DROP KEYSPACE ${keyspace}`);
    await client.close();
  });

  const open = (table: string, columns: readonly string[], key: readonly string[] = ['id']): Promise<LookupSource> => {
    const plan: LookupTable = {
      job: 'j',
      name: 't',
      connector: 'cassandra',
      settings: { keyspace, table },
      columns: columns.map((name) => ({ name, type: 'STRING' })),
      key,
    };
    return lookups.open(plan);
  };
  const valuesOf = (answers: readonly LookupAnswer[]): unknown[] =>
    answers.map((answer) => (answer.kind === 'row' ? answer.values : answer.kind));
  const rejects = async (work: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> => {
    await assert.rejects(work, (error) => {
      assert.ok(isWeirError(error, code), String(error));
      assert.match(error.message, message);
      return true;
    });
  };

  test('rows of every type, in the order of the keys; a text that is no key has no row', async () => {
    const source = await open('users', ['id', 'name', 'at', 'tags', 'big', 'price']);
    assert.deepEqual(valuesOf(await source.ask([['8'], ['7'], ['seven'], ['']], never)), [
      'none',
      [7, 'Ada', '2024-05-01T00:00:00.000Z', ['x'], '9007199254740993', '1.50'],
      'none',
      'none',
    ]);
  });

  test('many keys at once', async () => {
    const source = await open('users', ['name']);
    const keys = Array.from({ length: source.keysMax }, (_, index) => [String(1200 + index)]);
    const found = valuesOf(await source.ask(keys, never));
    assert.equal(found.filter((values) => values !== 'none').length, 100);
    assert.deepEqual(found[99], ['n1299']);
  });

  test('a key of several columns, in any order, of types that are no text', async () => {
    const source = await open('prices', ['price'], ['day', 'org', 'vip']);
    const org = '00000000-0000-0000-0000-000000000001';
    const answers = await source.ask(
      [
        ['2024-05-01', org, 'true'],
        ['2024-05-01', org, 'false'],
        ['2024-05-01', "x' OR '1'='1", 'true'],
      ],
      never,
    );
    assert.deepEqual(valuesOf(answers), [[5], 'none', 'none']);
  });

  test('what is not there is refused when it is opened', async () => {
    await rejects(
      open('nothing', ['id']),
      'LOOKUP_REFUSED',
      /job j, lookup t, table .*\.nothing: there is no such table/,
    );
    await rejects(open('users', ['id', 'nme']), 'LOOKUP_REFUSED', /it has no column nme/);
  });

  test('a table that goes away meanwhile', async () => {
    const driver = await client.driver('SINK_UNAVAILABLE');
    await driver.execute(`CREATE TABLE ${keyspace}.going (id int PRIMARY KEY, name text)`);
    const source = await open('going', ['name']);
    assert.deepEqual(valuesOf(await source.ask([['1']], never)), ['none']);
    await driver.execute(`DROP TABLE ${keyspace}.going`);
    await rejects(source.ask([['1']], never), 'LOOKUP_REFUSED', /going.*correct the table or the job/);
  });

  test('a node that does not answer is unavailable', async () => {
    const gone = new CassandraClient({ contactPoints: ['127.0.0.1:1'], replicationFactor: 1 });
    const source = new CassandraLookups(gone, new CassandraTableStore(gone));
    const table = {
      job: 'j',
      name: 't',
      connector: 'cassandra',
      settings: { keyspace, table: 'users' },
      columns: [],
      key: [],
    };
    await rejects(source.open(table), 'LOOKUP_UNAVAILABLE', /lookup t, table/);
    await gone.close();
  });
});
