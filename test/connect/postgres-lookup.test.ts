/** Lookups in PostgreSQL against a real server: what is found, what is refused, and a server that crashes or stands still. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { PostgresLookups } from '../../connectors/postgres/postgres-lookup.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
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

  test('connections that have fallen silent are given up with the requests on them', async (context) => {
    const path = await SilentPath.open(server.port);
    context.after(() => path.close());
    const source = await open('shop.users', ['name'], ['id'], server.url.replace(`:${server.port}`, `:${path.port}`));
    // As many as the pool has.
    await Promise.all(Array.from({ length: 8 }, () => source.ask([['1']], never)));
    path.silence();
    const late = new AbortController();
    const asked = Array.from({ length: 8 }, () => source.ask([['1']], late.signal));
    setTimeout(() => late.abort(new WeirError('LOOKUP_UNAVAILABLE', 'late')), 100);
    await Promise.all(asked.map((request) => assert.rejects(request)));
    assert.deepEqual(valuesOf(await source.ask([['1']], never)), [['n1']]);

    // A connection that breaks under a request fails that request, and nothing else.
    path.silence();
    const broken = source.ask([['1']], never);
    setTimeout(() => path.breakOff(), 100);
    await rejects(broken, 'LOOKUP_UNAVAILABLE', /table shop\.users: PostgreSQL does not answer/);
    assert.deepEqual(valuesOf(await source.ask([['1']], never)), [['n1']]);
  });
});

/** A way to the server on which connections can fall silent, as on a network that loses all they send. */
class SilentPath {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #silent = new Set<Socket>();

  private constructor(target: number) {
    this.#server = createServer((near) => {
      const far = connect(target, '127.0.0.1');
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#open.add(one);
        one.on('data', (bytes) => {
          if (!this.#silent.has(one)) other.write(bytes);
        });
        one.on('error', () => undefined);
        one.on('close', () => other.destroy());
      }
    });
  }

  static async open(target: number): Promise<SilentPath> {
    const path = new SilentPath(target);
    await once(path.#server.listen(0, '127.0.0.1'), 'listening');
    return path;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Nothing comes through on the connections that there are; others may be opened. */
  silence(): void {
    for (const socket of this.#open) this.#silent.add(socket);
  }

  /** The connections that there are end without a word. */
  breakOff(): void {
    for (const socket of this.#open) socket.destroy();
    this.#open.clear();
  }

  close(): void {
    this.breakOff();
    this.#server.close();
  }
}
