/** Lookups in PostgreSQL against a real server: what is found, what is refused, and a server that crashes or stands still. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PostgresLookups } from '../../connectors/postgres/postgres-lookup.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { isWeirError } from '../../core/errors.ts';
import type { LookupAnswer, LookupSource, LookupTable } from '../../core/lookup.ts';
import { PostgresServer } from './postgres-server.ts';

const never = new AbortController().signal;

describe('lookups in PostgreSQL', { timeout: 120_000 }, () => {
  let server: PostgresServer;
  const opened: PostgresLookups[] = [];
  before(async () => {
    server = await PostgresServer.start();
    await server.query(`CREATE SCHEMA shop;
      CREATE TABLE shop.users (id bigint PRIMARY KEY, name text, score numeric(20,2), at timestamptz, tags jsonb, photo bytea, big bigint);
      INSERT INTO shop.users SELECT n, 'n' || n, n + 0.5, '2024-05-01T00:00:00Z', '["x"]', '\\x0102', 9007199254740993
        FROM generate_series(1, 2000) AS n;
      CREATE TABLE shop.prices (country varchar(2), day date, price integer, PRIMARY KEY (country, day));
      INSERT INTO shop.prices VALUES ('NO', '2024-05-01', 7), ('NO', '2024-05-02', 8);
      CREATE TABLE shop.things (id uuid PRIMARY KEY, name text);
      INSERT INTO shop.things VALUES ('00000000-0000-0000-0000-000000000001', 'one');
      CREATE TABLE shop.several (id integer, name text); INSERT INTO shop.several VALUES (1, 'a'), (1, 'b'), (2, 'c')`);
  });
  after(async () => {
    await Promise.all(opened.map((connector) => connector.close()));
    await server?.dispose();
  });

  const open = async (
    table: string,
    columns: readonly string[],
    key: readonly string[] = ['id'],
    url = server.url,
  ): Promise<LookupSource> => {
    const connector = new PostgresLookups({ defaultUrl: url, secret: String, requireHost: () => Promise.resolve() });
    opened.push(connector);
    const plan: LookupTable = {
      job: 'j',
      name: 't',
      connector: 'postgres',
      settings: { url: null, table },
      columns: columns.map((name) => ({ name, type: 'STRING' })),
      key,
    };
    return await connector.open(plan);
  };
  const valuesOf = (answers: readonly LookupAnswer[]): unknown =>
    JSON.parse(JSON.stringify(answers.map((answer) => (answer.kind === 'row' ? answer.values : answer.kind))));
  const rejects = async (work: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> => {
    await assert.rejects(work, (error) => {
      assert.ok(isWeirError(error, code), String(error));
      assert.match(error.message, message);
      return true;
    });
  };

  test('rows of every type by one round trip, in the order of the keys', async () => {
    const source = await open('shop.users', ['id', 'name', 'score', 'at', 'tags', 'photo', 'big']);
    const [row, none, other] = await source.ask([['7'], ['-1'], ['2000']], never);
    assert.equal(
      JSON.stringify(row),
      '{"kind":"row","values":[7,"n7",7.50,"2024-05-01T00:00:00+00:00",["x"],"AQI=",9007199254740993]}',
    );
    assert.deepEqual(none, { kind: 'none' });
    assert.equal(other?.kind, 'row');
    const many = await source.ask(
      Array.from({ length: 3000 }, (_, id) => [String(id)]),
      never,
    );
    assert.equal(many.filter(({ kind }) => kind === 'row').length, 2000);
  });

  test('keys of several columns, and of types that have no text of their own', async () => {
    const prices = await open('shop.prices', ['price'], ['country', 'day']);
    const answers = await prices.ask(
      [
        ['NO', '2024-05-02'],
        ['SE', '2024-05-02'],
        ['NO', 'tomorrow, perhaps'],
      ],
      never,
    );
    assert.deepEqual(valuesOf(answers), [[8], 'none', 'none']);
    const things = await open('shop.things', ['name']);
    const one = '00000000-0000-0000-0000-000000000001';
    assert.deepEqual(valuesOf(await things.ask([['x'], [one], ["'); DROP TABLE shop.things; --"]], never)), [
      'none',
      ['one'],
      'none',
    ]);
  });

  test('a key that has several rows is bad, and the others are found', async () => {
    const source = await open('shop.several', ['name']);
    const [first, second] = await source.ask([['1'], ['2']], never);
    assert.ok(first?.kind === 'bad');
    assert.match(first.message, /job j, lookup t, table shop\.several has several rows for a key/);
    assert.deepEqual(second, { kind: 'row', values: ['c'] });
  });

  test('what is not there is refused when it is opened', async () => {
    await rejects(open('shop.nothing', ['id']), 'LOOKUP_REFUSED', /table shop\.nothing: there is no such table/);
    await rejects(open('shop.users', ['id', 'nme']), 'LOOKUP_REFUSED', /it has no column nme/);
    const wrong = server.url.replace('weir-test', 'guessed');
    await rejects(open('shop.users', ['id'], ['id'], wrong), 'UNAUTHORIZED', /password authentication failed/);
  });

  test('a user who may not read', async () => {
    await server.query("CREATE USER reader PASSWORD 'weir-test'; GRANT USAGE ON SCHEMA shop TO reader");
    const source = await open('shop.users', ['id'], ['id'], server.url.replace('weir:', 'reader:'));
    await rejects(source.ask([['1']], never), 'UNAUTHORIZED', /permission denied for table users/);
  });

  test('a server that crashes is unavailable, and answers again when it is back', async () => {
    const source = await open('shop.users', ['name']);
    await source.ask([['1']], never);
    await server.crash();
    await rejects(source.ask([['1']], never), 'LOOKUP_UNAVAILABLE', /lookup t, table shop\.users/);
    await server.restart();
    assert.deepEqual(valuesOf(await source.ask([['1']], never)), [['n1']]);
  });
});
