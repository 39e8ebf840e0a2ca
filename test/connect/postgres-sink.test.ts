/** The PostgreSQL sink against a real server: its contract, what the planner reads of tables, and what may go wrong. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { PostgresSinks } from '../../connectors/postgres/postgres-sinks.ts';
import { replaceTable } from '../../connectors/postgres/replace-table.ts';
import type { Clock } from '../../core/clock.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { isWeirError } from '../../core/errors.ts';
import type { BatchPart, FormatColumn, LanePlace, RowFormat, SinkColumn } from '../../core/row-sink.ts';
import { rowSinkContract } from '../../sdk/testing/sink-contract.ts';
import { PostgresServer } from './postgres-server.ts';

const id: FormatColumn = { input: 0, name: 'id', from: { kind: 'int' }, to: 'integer' };
const appended = { kind: 'postgres', columns: [id], keyCount: 0 } as const satisfies RowFormat;
const keyed: RowFormat = { kind: 'postgres', columns: [id], keyCount: 1 };
const always = { valid: () => true, check: () => undefined };

/** Tuples of one integer. */
function tuples(ids: readonly number[]): Pick<BatchPart, 'bytes' | 'ends'> {
  const bytes = Buffer.alloc(ids.length * 10);
  ids.forEach((value, index) => {
    bytes.writeInt16BE(1, index * 10);
    bytes.writeInt32BE(4, index * 10 + 2);
    bytes.writeInt32BE(value, index * 10 + 6);
  });
  return { bytes, ends: Uint32Array.from(ids, (_, index) => (index + 1) * 10) };
}

function part(ids: readonly number[], deletes: Uint8Array | null = null): BatchPart {
  const base = { directory: '', rowCount: ids.length, deletes, groups: null, unit: 'u' };
  return { ...base, ...tuples(ids), offsets: Float64Array.from(ids) };
}

function place(from: number, to: number): LanePlace {
  return { kind: 'lane', job: 'j', run: 1, lane: 'u/t/0', from, to, continues: false };
}

let server: PostgresServer;
const opened: PostgresSinks[] = [];
before(async () => {
  server = await PostgresServer.start();
});
after(async () => {
  await Promise.all(opened.map((connector) => connector.close()));
  await server?.dispose();
});

function connect(url = server.url, clock: Clock = systemClock): PostgresSinks {
  const secret = (text: string): string => text.replace('${env:WEIR_SECRET_PG}', 'weir-test');
  const connector = new PostgresSinks({
    clock,
    rng: systemRng,
    defaultUrl: url,
    secret,
    requireHost: () => Promise.resolve(),
  });
  opened.push(connector);
  return connector;
}

const tableOf = (job: string): string => `public.${job.replaceAll('-', '_')}`;

rowSinkContract(
  'PostgreSQL',
  () => {
    const connector = connect();
    return Promise.resolve({
      open: async (job) => {
        const settings = { url: null, table: tableOf(job) };
        const columns = [{ name: 'id', type: 'integer', required: false, hasDefault: false }];
        await connector.create(settings, { columns, primaryKey: [], uniqueKeys: [] });
        return await connector.open({ job, name: 'postgres', format: appended, settings });
      },
      encode: tuples,
      read: async (job) => (await server.query(`SELECT id FROM ${tableOf(job)}`)).map((row) => Number(row['id'])),
      close: () => Promise.resolve(),
    });
  },
  { lanes: true, epochs: true, exactlyOnce: true },
);

describe('a PostgreSQL table', { timeout: 120_000 }, () => {
  const expectFailure = async (work: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> => {
    await assert.rejects(work, (error) => {
      assert.ok(isWeirError(error, code), String(error));
      assert.match(error.message, message);
      return true;
    });
  };
  const open = (
    table: string,
    format: RowFormat = appended,
    connector = connect(),
  ): ReturnType<PostgresSinks['open']> =>
    connector.open({ job: 'j', name: 'postgres', format, settings: { url: null, table } });

  test('is described with types, keys and what rows must have', async () => {
    await server.query(`CREATE SCHEMA shop; CREATE TABLE shop.items (id bigint GENERATED ALWAYS AS IDENTITY,
      code varchar(8) NOT NULL, price numeric(10,2), at timestamptz(3) DEFAULT now(), PRIMARY KEY (id), UNIQUE (code, price))`);
    const table = await connect().describe({ url: null, table: 'shop.items' });
    assert.deepEqual(table, {
      columns: [
        { name: 'id', type: 'bigint', required: true, hasDefault: true },
        { name: 'code', type: 'character varying(8)', required: true, hasDefault: false },
        { name: 'price', type: 'numeric(10,2)', required: false, hasDefault: false },
        { name: 'at', type: 'timestamp(3) with time zone', required: false, hasDefault: true },
      ],
      primaryKey: ['id'],
      uniqueKeys: [['code', 'price']],
    });
    assert.equal(await connect().describe({ url: null, table: 'shop.nothing' }), undefined);
  });

  test('that exists is given the columns it lacks', async () => {
    const connector = connect();
    const settings = { url: null, table: 'public.widened' };
    const column = (name: string): { name: string; type: string; required: boolean; hasDefault: boolean } => ({
      name,
      type: 'integer',
      required: name === 'a',
      hasDefault: false,
    });
    await connector.create(settings, { columns: [column('a')], primaryKey: ['a'], uniqueKeys: [] });
    await connector.create(settings, { columns: [column('a'), column('b')], primaryKey: ['a'], uniqueKeys: [] });
    assert.deepEqual(
      (await connector.describe(settings))?.columns.map(({ name }) => name),
      ['a', 'b'],
    );
  });

  test('that many make at once, and widen at once, is made once', async () => {
    const column = (name: string): SinkColumn => ({ name, type: 'integer', required: false, hasDefault: false });
    const connectors = Array.from({ length: 6 }, () => connect());
    for (let round = 0; round < 10; round++) {
      const settings = { url: null, table: `s${round}.many` };
      for (const columns of [[column('a')], [column('a'), column('b')]])
        await Promise.all(
          connectors.map((connector) => connector.create(settings, { columns, primaryKey: ['a'], uniqueKeys: [] })),
        );
      const made = await connect().describe(settings);
      assert.deepEqual(
        made?.columns.map(({ name }) => name),
        ['a', 'b'],
      );
    }
  });

  test('with a key: later rows replace earlier ones, and rows go', async () => {
    await server.query('CREATE TABLE keyed (id integer PRIMARY KEY)');
    const sink = await open('public.keyed', keyed);
    await sink.write({ place: place(0, 5), parts: [part([0, 1, 2]), part([2, 3, 4])] }, always);
    await sink.write({ place: place(5, 7), parts: [part([5, 6], Uint8Array.of(0, 1))] }, always);
    const gone = { ...part([1, 7]), offsets: Float64Array.of(7, 8), deletes: Uint8Array.of(1, 0) };
    await sink.write({ place: place(7, 9), parts: [gone] }, always);
    assert.deepEqual(
      (await server.query('SELECT id FROM keyed ORDER BY id')).map((row) => row['id']),
      [0, 2, 3, 4, 5, 7],
    );
  });

  test('a password in a reference, and a wrong one', async () => {
    const url = `postgres://weir:\${env:WEIR_SECRET_PG}@127.0.0.1:${server.port}/postgres`;
    assert.equal(await connect().describe({ url, table: 'public.none' }), undefined);
    const wrong = connect(server.url.replace('weir-test', 'guessed')).describe({ url: null, table: 'public.none' });
    await expectFailure(wrong, 'UNAUTHORIZED', /table public\.none: PostgreSQL says: password authentication failed/);
  });

  test('what the table refuses names table, column or constraint and no value', async () => {
    await server.query('CREATE TABLE checked (id integer CONSTRAINT small CHECK (id < 3), other text NOT NULL)');
    const refused = (await open('public.checked')).write({ place: place(0, 1), parts: [part([1])] }, always);
    await expectFailure(refused, 'SINK_REFUSED', /column other.*filter such rows/);
    await server.query('ALTER TABLE checked DROP COLUMN other');
    const beyond = (await open('public.checked')).write({ place: place(0, 1), parts: [part([7])] }, always);
    await expectFailure(beyond, 'SINK_REFUSED', /constraint small/);
    await server.query('ALTER TABLE checked DROP COLUMN id');
    const lost = (await open('public.checked')).write({ place: place(0, 1), parts: [part([1])] }, always);
    await expectFailure(lost, 'SINK_SCHEMA', /column "id".*apply the job again/);
  });

  test('a user without the right to write', async () => {
    await server.query(
      "CREATE TABLE closed (id integer); CREATE USER guest PASSWORD 'weir-test'; GRANT ALL ON weir_positions TO guest; GRANT ALL ON SCHEMA public TO guest",
    );
    const sink = await open('public.closed', appended, connect(server.url.replace('weir:', 'guest:')));
    const refused = sink.write({ place: place(0, 1), parts: [part([1])] }, always);
    await expectFailure(refused, 'UNAUTHORIZED', /permission denied for table closed.*grant/);
  });

  test('an export takes the place of the rows that were there', async () => {
    const columns = [
      { name: 'who', type: 'text' },
      { name: 'n', type: 'bigint' },
      { name: 'price', type: 'decimal' },
      { name: 'tags', type: 'list<text>' },
      { name: 'at', type: 'timestamp' },
    ];
    const row = ['a"b', '9007199254740993', '1.50', ['x'], '2024-05-01T00:00:00.000Z'];
    await replaceTable(server.url, 'out.totals', { columns, rows: [[null, null, null, null, null]] });
    await replaceTable(server.url, 'out.totals', { columns, rows: Array.from({ length: 1500 }, () => row) });
    const found = await server.query('SELECT DISTINCT who, n, price::text AS price, tags, at FROM out.totals');
    assert.deepEqual(found, [
      { who: 'a"b', n: '9007199254740993', price: '1.50', tags: ['x'], at: new Date(row[4] as string) },
    ]);
    assert.deepEqual(await server.query('SELECT count(*)::int AS n FROM out.totals'), [{ n: 1500 }]);
  });

  test('a run that was replaced may not write any more', async () => {
    await server.query('CREATE TABLE replaced (id integer)');
    const sink = await open('public.replaced');
    await sink.write({ place: { ...place(0, 1), run: 2 }, parts: [part([0])] }, always);
    const older = sink.write({ place: place(1, 2), parts: [part([1])] }, always);
    await expectFailure(older, 'SINK_REFUSED', /run 2 of the job has written here, and this is run 1/);
  });

  test('a server that crashes or stands still delays rows and loses none', async () => {
    // The server forgets what was committed without waiting when it crashes.
    await server.query('SET synchronous_commit = on; CREATE TABLE delayed (id integer)');
    const sink = await open('public.delayed');
    await sink.write({ place: place(0, 100), parts: [part(Array.from({ length: 100 }, (_, index) => index))] }, always);
    await server.crash();
    const written = sink.write({ place: place(100, 101), parts: [part([100])] }, always);
    while (sink.stats().blockedBy === null) await sleep(10);
    assert.match(sink.stats().blockedBy ?? '', /PostgreSQL does not answer|PostgreSQL says/);
    await server.restart();
    await written;
    server.pause();
    const slow = sink.write({ place: place(101, 102), parts: [part([101])] }, always);
    await sleep(300);
    server.resume();
    await slow;
    assert.equal(sink.stats().blockedBy, null);
    assert.deepEqual(await server.query('SELECT count(*)::int AS n, max(id) AS last FROM delayed'), [
      { n: 102, last: 101 },
    ]);
  });

  test('a transaction that the server does not end in time is given up with its connection, and done again', async () => {
    await server.query('CREATE TABLE hung (id integer)');
    /** The two minutes of a transaction are over at once. */
    const hasty: Clock = {
      ...systemClock,
      timer: (ms, work) => systemClock.timer(ms === 120_000 ? 300 : ms, work),
    };
    const sink = await open('public.hung', appended, connect(server.url, hasty));
    await sink.write({ place: place(0, 2), parts: [part([0, 1])] }, always);
    server.pause();
    const written = sink.write({ place: place(2, 4), parts: [part([2, 3])] }, always);
    try {
      while (sink.stats().blockedBy === null) await sleep(10);
      assert.match(sink.stats().blockedBy ?? '', /table public\.hung: PostgreSQL does not answer .*it is tried again/);
    } finally {
      server.resume();
    }
    await written;
    assert.ok(sink.stats().retries > 0);
    const ids = (await server.query('SELECT id FROM hung ORDER BY id')).map((row) => row['id']);
    assert.deepEqual(ids, [0, 1, 2, 3]);
  });
});
