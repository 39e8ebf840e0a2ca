/** What people type into cqlsh, on one table: answers and refusals. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ErrorCode } from '../../core/errors.ts';
import { isWeirError } from '../../core/errors.ts';
import { parseCqlType } from '../../core/table/cql-type.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { buildRows, shapeOf } from '../../test/conformance/rows.ts';
import { EmbeddedStore } from './store.ts';

const events: TableSchema = {
  keyspace: 'shop',
  table: 'events',
  columns: Object.entries({
    city: 'text',
    day: 'date',
    at: 'timestamp',
    price: 'decimal',
    kind: 'text',
    n: 'int',
    id: 'uuid',
    raw: 'blob',
    ok: 'boolean',
  }).map(([name, type]) => ({
    name,
    type: parseCqlType(type),
  })),
  partitionKey: ['city', 'day'],
  clusteringKey: ['at', 'price'],
  clusteringOrder: ['desc', 'asc'],
};
const one: TableSchema = {
  keyspace: 'shop',
  table: 'One',
  columns: [
    { name: 'Id', type: { kind: 'bigint' } },
    { name: 'v', type: { kind: 'text' } },
  ],
  partitionKey: ['Id'],
  clusteringKey: [],
};

const uuid = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const at = (minute: number): string => `2024-05-01T12:0${minute}:00.000Z`;
const rows = [
  ['Bath', '2024-05-01', at(1), '1.5', 'sale', 1, uuid(1), '0x01', true],
  ['Bath', '2024-05-01', at(1), '-2', 'sale', 2, uuid(2), '0x02', false],
  ['Bath', '2024-05-01', at(1), '10', 'rent', 3, uuid(3), null, true],
  ['Bath', '2024-05-01', at(3), '7', 'rent', 4, uuid(4), '0x', null],
  ['Bath', '2024-05-02', at(2), '7', 'sale', 5, uuid(5), '0x05', true],
  ['York', '2024-05-01', at(2), '7.00', "it's", 6, uuid(6), '0x06', true],
];

let store: EmbeddedStore;

before(async () => {
  store = new EmbeddedStore(await import('node:sqlite'), null);
  store.createTable(events);
  store.createTable(one);
  const insert = (schema: TableSchema, values: readonly (readonly unknown[])[]): void => {
    const shape = shapeOf(schema);
    const block = buildRows(
      shape,
      values.map((row, index) => ({ op: 'upsert' as const, values: row, timestamp: 1000 + index })),
    );
    store.writeRows({
      keyspace: schema.keyspace,
      table: schema.table,
      columns: shape.columns.map((column) => column.name),
      rowCount: block.rowCount,
      rows: block.bytes,
    });
  };
  insert(events, rows);
  insert(one, [
    [7, 'seven'],
    ['9007199254740993', 'big'],
  ]);
});
after(() => store.close());

const P = `city = 'Bath' AND day = '2024-05-01'`;

const answers: readonly (readonly [cql: string, rows: readonly (readonly unknown[])[]])[] = [
  // In partitions rows are sorted by time downwards, then by price upwards, as numbers.
  [`SELECT n FROM shop.events WHERE ${P}`, [[4], [2], [1], [3]]],
  [`select N from SHOP.EVENTS where CITY = 'Bath' and DAY = '2024-05-01' limit 2;`, [[4], [2]]],
  [`SELECT n FROM shop.events WHERE ${P} ORDER BY at DESC`, [[4], [2], [1], [3]]],
  [`SELECT n FROM shop.events WHERE ${P} ORDER BY at ASC`, [[3], [1], [2], [4]]],
  [`SELECT n FROM shop.events WHERE ${P} ORDER BY at ASC, price DESC LIMIT 1`, [[3]]],
  [`SELECT n FROM shop.events WHERE ${P} AND at = '${at(1)}'`, [[2], [1], [3]]],
  [`SELECT n FROM shop.events WHERE ${P} AND at = ${Date.parse(at(1))} AND price = 1.50`, [[1]]],
  [`SELECT n FROM shop.events WHERE ${P} AND at = '${at(1)}' AND price > -2`, [[1], [3]]],
  [`SELECT n FROM shop.events WHERE ${P} AND at = '${at(1)}' AND price >= -2 AND price < 10`, [[2], [1]]],
  [`SELECT n FROM shop.events WHERE ${P} AND at < '${at(3)}'`, [[2], [1], [3]]],
  [`SELECT n FROM shop.events WHERE ${P} AND at <= '${at(3)}' AND at > '${at(1)}'`, [[4]]],
  [`SELECT n FROM shop.events WHERE ${P} AND at IN ('${at(1)}', '${at(3)}') AND price = 7`, [[4]]],
  [`SELECT n FROM shop.events WHERE city IN ('York', 'Bath') AND day = '2024-05-01' AND at = '${at(2)}'`, [[6]]],
  [`SELECT n FROM shop.events WHERE ${P} AND at IN ('${at(1)}', '${at(3)}', '${at(1)}')`, [[4], [2], [1], [3]]],
  [`SELECT n FROM shop.events WHERE ${P} AND at IN ('${at(1)}', '${at(3)}') ORDER BY at ASC`, [[3], [1], [2], [4]]],
  [`SELECT n FROM shop.events WHERE city IN () AND day = '2024-05-01'`, []],
  [`SELECT n FROM shop.events WHERE city = 'Nowhere' AND day = '2024-05-01'`, []],
  [`SELECT n FROM shop.events WHERE n >= 5 ALLOW FILTERING`, [[5], [6]]],
  [`SELECT n FROM shop.events WHERE kind = 'it''s' ALLOW FILTERING`, [[6]]],
  [`SELECT n FROM shop.events WHERE kind = $$it's$$ ALLOW FILTERING`, [[6]]],
  [`SELECT n FROM shop.events WHERE ok = false ALLOW FILTERING`, [[2]]],
  [`SELECT n FROM shop.events WHERE id = ${uuid(3)} ALLOW FILTERING`, [[3]]],
  [`SELECT n FROM shop.events WHERE raw = 0x05 ALLOW FILTERING`, [[5]]],
  [`SELECT n FROM shop.events WHERE city = 'York' ALLOW FILTERING`, [[6]]],
  [`SELECT count(*) FROM shop.events`, [[6]]],
  [`SELECT COUNT(1) AS total FROM shop.events WHERE ${P}`, [[4]]],
  [`SELECT count(*) FROM shop.events WHERE price = 7 ALLOW FILTERING`, [[3]]],
  [`SELECT writetime(kind), n AS number FROM shop.events WHERE ${P} LIMIT 1`, [[1003, 4]]],
  [`SELECT raw, ok FROM shop.events WHERE ${P} AND at = '${at(3)}'`, [['0x', null]]],
  [`SELECT "v" FROM shop."One" WHERE "Id" = 7`, [['seven']]],
  [`SELECT * FROM shop."One" WHERE "Id" = 9007199254740993`, [['9007199254740993', 'big']]],
  [`SELECT v FROM shop."One" -- a comment\n /* and another */ WHERE "Id" = 7`, [['seven']]],
  [`DESCRIBE KEYSPACES`, [['shop', 'keyspace', 'shop']]],
  [
    `desc tables;`,
    [
      ['shop', 'table', 'One'],
      ['shop', 'table', 'events'],
    ],
  ],
];

for (const [cql, expected] of answers) {
  test(`answer: ${cql.replaceAll('\n', ' ')}`, () => assert.deepEqual(store.query(cql).rows, expected));
}

test('all columns: the key first, the others by name', () => {
  const { columns } = store.query('SELECT * FROM shop.events LIMIT 1');
  assert.deepEqual(
    columns.map((column) => column.name),
    ['city', 'day', 'at', 'price', 'id', 'kind', 'n', 'ok', 'raw'],
  );
  assert.deepEqual(
    columns.slice(0, 4).map((column) => column.type),
    ['text', 'date', 'timestamp', 'decimal'],
  );
});

test('DESCRIBE prints a table as CREATE TABLE would make it', () => {
  for (const cql of ['DESCRIBE TABLE shop.events', 'DESC shop.events']) {
    const [row] = store.query(cql).rows;
    assert.match(
      String(row?.[3]),
      /CREATE TABLE shop\.events \([^]*price decimal,[^]*PRIMARY KEY \(\(city, day\), at, price\)\n\) WITH CLUSTERING ORDER BY \(at DESC, price ASC\);/,
    );
  }
  assert.match(
    String(store.query('DESCRIBE TABLE shop."One"').rows[0]?.[3]),
    /CREATE TABLE shop\."One" \(\n {4}"Id" bigint,/,
  );
  assert.equal(store.query('DESCRIBE KEYSPACE shop').rows.length, 2);
  assert.equal(store.query('DESCRIBE shop').rows.length, 2);
});

const refusals: readonly (readonly [cql: string, code: ErrorCode, message: RegExp])[] = [
  ['', 'SQL_SYNTAX', /empty/],
  ['SELEC * FROM shop.events', 'SQL_SYNTAX', /Line 1, column 1: .*"SELEC"/],
  ['SELECT *\nFORM shop.events', 'SQL_SYNTAX', /Line 2, column 1: FROM is missing before "FORM"/],
  ['SELECT * FROM', 'SQL_SYNTAX', /a table is missing before "the end"/],
  ['SELECT * FROM shop.events WHERE', 'SQL_SYNTAX', /a column is missing/],
  ['SELECT * FROM shop.events WHERE city', 'SQL_SYNTAX', /a comparison is missing/],
  [`SELECT * FROM shop.events WHERE city = "Bath"`, 'SQL_SYNTAX', /single quotes: 'Bath'/],
  [`SELECT * FROM shop.events WHERE city = 'Bath`, 'SQL_SYNTAX', /closing quote/],
  ['SELECT * FROM shop.events LIMIT 0', 'SQL_SYNTAX', /LIMIT/],
  ['SELECT * FROM shop.events; SELECT 1', 'SQL_SYNTAX', /"SELECT" is not expected/],
  ['SELECT * FROM shop.events WHERE n = #', 'SQL_SYNTAX', /"#" is not part of CQL/],
  ['SELECT * FROM events', 'SQL_SEMANTIC', /keyspace\.events/],
  ['SELECT * FROM shop.nothing', 'NOT_FOUND', /shop\.nothing/],
  ['SELECT * FROM shop.one', 'NOT_FOUND', /shop\.one/],
  ['SELECT nope FROM shop.events', 'NOT_FOUND', /"nope"; it has city, day/],
  [`SELECT n FROM shop.events WHERE nope = 1`, 'NOT_FOUND', /"nope"/],
  ['DESCRIBE KEYSPACE nothing', 'NOT_FOUND', /nothing/],
  ['DESCRIBE TABLE shop.nothing', 'NOT_FOUND', /shop\.nothing/],
  [
    `SELECT n FROM shop.events WHERE city = 5 AND day = '2024-05-01'`,
    'SQL_SEMANTIC',
    /5 is not a value of the CQL type text/,
  ],
  [`SELECT n FROM shop.events WHERE city = NULL ALLOW FILTERING`, 'SQL_SEMANTIC', /NULL/],
  [`SELECT n FROM shop.events WHERE city = 'Bath'`, 'SQL_SEMANTIC', /partition key column day .*ALLOW FILTERING/],
  [
    `SELECT n FROM shop.events WHERE city > 'A' AND day = '2024-05-01'`,
    'SQL_SEMANTIC',
    /partition key column city .*ALLOW FILTERING/,
  ],
  [
    `SELECT n FROM shop.events WHERE ${P} AND city IN ('York', 'Bath')`,
    'SQL_SEMANTIC',
    /city is compared more than once/,
  ],
  [`SELECT n FROM shop.events WHERE n = 5`, 'SQL_SEMANTIC', /ALLOW FILTERING/],
  [`SELECT n FROM shop.events WHERE ${P} AND n = 5`, 'SQL_SEMANTIC', /condition on n .*ALLOW FILTERING/],
  [`SELECT n FROM shop.events WHERE ${P} AND price = 5`, 'SQL_SEMANTIC', /condition on price .*ALLOW FILTERING/],
  [`SELECT n FROM shop.events ORDER BY at`, 'SQL_SEMANTIC', /partition key/],
  [`SELECT n FROM shop.events WHERE ${P} ORDER BY n`, 'SQL_SEMANTIC', /clustering columns .*not "n"/],
  [`SELECT n FROM shop.events WHERE ${P} ORDER BY at ASC, price ASC`, 'SQL_SEMANTIC', /all of it reversed/],
  ['SELECT writetime(city) FROM shop.events', 'SQL_SEMANTIC', /primary key/],
  [
    "UPDATE shop.events SET n = 1 WHERE city = 'x'",
    'UNSUPPORTED',
    /^UPDATE is not supported on embedded tables; rows come from jobs\./,
  ],
  ['INSERT INTO shop.events (city) VALUES (1)', 'UNSUPPORTED', /^INSERT/],
  ['DELETE FROM shop.events', 'UNSUPPORTED', /^DELETE/],
  ['TRUNCATE shop.events', 'UNSUPPORTED', /^TRUNCATE/],
  ['DROP KEYSPACE shop', 'UNSUPPORTED', /^DROP/],
  ['CREATE TABLE a.b (id int PRIMARY KEY)', 'UNSUPPORTED', /^CREATE/],
  ['ALTER TABLE shop.events ADD x int', 'UNSUPPORTED', /^ALTER/],
  ['USE shop', 'UNSUPPORTED', /^USE .*keyspace\.table/],
  ['SELECT DISTINCT city, day FROM shop.events', 'UNSUPPORTED', /^SELECT DISTINCT/],
  ['SELECT JSON * FROM shop.events', 'UNSUPPORTED', /^SELECT JSON/],
  ['SELECT max(n) FROM shop.events', 'UNSUPPORTED', /^the function max/],
  ['SELECT count(n) FROM shop.events', 'UNSUPPORTED', /count\(\*\)/],
  ['SELECT count(*), n FROM shop.events', 'UNSUPPORTED', /beside columns/],
  ['SELECT n FROM shop.events GROUP BY city', 'UNSUPPORTED', /^GROUP BY/],
  ['SELECT n FROM shop.events PER PARTITION LIMIT 1', 'UNSUPPORTED', /^PER PARTITION LIMIT/],
  [`SELECT n FROM shop.events WHERE token(city, day) > 5`, 'UNSUPPORTED', /^token\(\)/],
  [`SELECT n FROM shop.events WHERE kind LIKE 'a%'`, 'UNSUPPORTED', /^LIKE/],
  [`SELECT n FROM shop.events WHERE kind = 'a' OR n = 1`, 'UNSUPPORTED', /^OR/],
  [`SELECT n FROM shop.events WHERE (at, price) > (1, 2)`, 'UNSUPPORTED', /several columns/],
  ['DESCRIBE CLUSTER', 'UNSUPPORTED', /^DESCRIBE CLUSTER/],
  ['DESCRIBE INDEX shop.x', 'UNSUPPORTED', /^DESCRIBE INDEX/],
];

for (const [cql, code, message] of refusals) {
  test(`refusal: ${cql.replaceAll('\n', ' ')}`, () => {
    assert.throws(
      () => store.query(cql),
      (error: unknown) => {
        assert.ok(isWeirError(error), String(error));
        assert.equal(error.code, code, error.message);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test('an answer too large for one message asks for a LIMIT', () => {
  const wide: TableSchema = {
    keyspace: 'shop',
    table: 'wide',
    columns: [
      { name: 'id', type: { kind: 'int' } },
      { name: 'v', type: { kind: 'text' } },
    ],
    partitionKey: ['id'],
    clusteringKey: [],
  };
  store.createTable(wide);
  const text = 'x'.repeat(1024 * 1024);
  for (let id = 0; id < 40; id++) {
    const block = buildRows(shapeOf(wide), [{ op: 'upsert', values: [id, text], timestamp: 1 }]);
    store.writeRows({ keyspace: 'shop', table: 'wide', columns: ['id', 'v'], rowCount: 1, rows: block.bytes });
  }
  assert.throws(
    () => store.query('SELECT * FROM shop.wide'),
    (error) => isWeirError(error, 'UNSUPPORTED') && /LIMIT/.test(error.message),
  );
  assert.equal(store.query('SELECT * FROM shop.wide LIMIT 5').rows.length, 5);
  assert.deepEqual(store.query('SELECT count(*) FROM shop.wide').rows, [[40]]);
});
