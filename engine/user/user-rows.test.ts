import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { batchOf, rowsOfBatch } from '../operators/test-batch.ts';
import { parseColumns } from '../sql/parser.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { RowCodec } from '../state/row-codec.ts';
import { UserRows } from './user-rows.ts';

/** The row as columns hold it, and as user code sees it. */
const schema = parseColumns(
  `t TINYINT, s SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, b BOOLEAN, x STRING, y BINARY, day DATE, ts TIMESTAMP,
   small DECIMAL(9,2), wide DECIMAL(30,3), list ARRAY<INT>, map MAP<STRING, BIGINT>, deep STRUCT<a: INT, b: ARRAY<STRING>>`,
);

function written(schema: Schema, row: unknown, loose = false): Uint8Array {
  const out = new ByteBuffer();
  new UserRows(schema, loose).write(row, out, 'row');
  return out.copy();
}

function read(schema: Schema, bytes: Uint8Array): Record<string, unknown> {
  return new UserRows(schema).read(new ByteReader().reset(bytes));
}

/** A row's bytes as the engine writes them. */
function encoded(schema: Schema, row: readonly unknown[]): Uint8Array {
  const out = new ByteBuffer();
  new RowCodec(schema).bind(batchOf(schema, [row]).columns).encode(0, out);
  return out.copy();
}

const boxed = [
  -3,
  -300,
  70_000,
  -(2n ** 62n),
  1.5,
  Math.PI,
  true,
  'grün',
  Uint8Array.of(0, 255),
  19_844,
  1_714_564_800_000_123,
  -1250n,
  -(10n ** 25n),
  [1, null, 3],
  { keys: ['a', 'b'], values: [1n, null] },
  [7, ['p', null]],
];
const seen = {
  t: -3,
  s: -300,
  i: 70_000,
  l: -(2n ** 62n),
  f: 1.5,
  d: Math.PI,
  b: true,
  x: 'grün',
  y: Uint8Array.of(0, 255),
  day: '2024-05-01',
  ts: 1_714_564_800_000.123,
  small: '-12.50',
  wide: '-10000000000000000000000.000',
  list: [1, null, 3],
  map: new Map([
    ['a', 1n],
    ['b', null],
  ]),
  deep: { a: 7, b: ['p', null] },
};

test('user code sees what the engine holds, and writes the same bytes', () => {
  const bytes = encoded(schema, boxed);
  assert.deepEqual(read(schema, bytes), seen);
  assert.deepEqual(written(schema, seen), bytes);
  const nulls = schema.map(() => null);
  assert.deepEqual(Object.values(read(schema, encoded(schema, nulls))), nulls);
  assert.deepEqual(written(schema, {}), encoded(schema, nulls));
  assert.deepEqual(
    Buffer.from(written(schema, { l: 5, ts: new Date(7), small: 3n })),
    Buffer.from(written(schema, { l: 5n, ts: 7, small: '3' })),
  );
});

test('values that do not fit are refused, without telling them', () => {
  const tries: readonly (readonly [type: string, value: unknown, message: RegExp])[] = [
    ['TINYINT', 128, /row\.v takes TINYINT/],
    ['INT', 1.5, /takes INT, not a number with a fraction/],
    ['INT', '1', /takes INT, not a string/],
    ['BIGINT', 2 ** 60, /takes BIGINT/],
    ['BIGINT', 2n ** 63n, /takes BIGINT/],
    ['STRING', 5, /takes STRING, not a number/],
    ['STRING NOT NULL', null, /takes STRING NOT NULL, not NULL/],
    ['DATE', '2024-02-30', /takes DATE/],
    ['TIMESTAMP', Number.NaN, /takes TIMESTAMP as ms since 1970, not NaN/],
    ['DECIMAL(4,2)', '100.00', /takes DECIMAL\(4,2\)/],
    ['DECIMAL(4,2)', '1.234', /takes DECIMAL\(4,2\)/],
    ['DECIMAL(4,2)', 1.5, /takes DECIMAL\(4,2\)/],
    ['ARRAY<INT>', [1, 'x'], /row\.v\[1\] takes INT/],
    ['MAP<STRING, INT>', {}, /takes a Map, not Object/],
    ['STRUCT<a: INT>', { a: 1, b: 2 }, /row\.v has no column b; its columns are a/],
    ['BINARY', 'x', /takes BINARY/],
    ['BOOLEAN', 1, /takes BOOLEAN/],
  ];
  for (const [type, value, message] of tries)
    assert.throws(
      () => written(parseColumns(`v ${type}`), { v: value }),
      (error: unknown) => {
        assert.ok(error instanceof TypeError);
        assert.match(error.message, message);
        return true;
      },
    );
  for (const row of [null, 5, 'x', [1], new Map()])
    assert.throws(() => written(schema, row), /row takes an object with the columns t, s, i/);
});

test('columns may be called as they like', () => {
  const odd = parseColumns('`__proto__` STRING, constructor INT');
  const row = Object.fromEntries([
    ['__proto__', 'p'],
    ['constructor', 1],
  ]);
  const again = read(odd, written(odd, row));
  assert.deepEqual(Object.entries(again), Object.entries(row));
  assert.deepEqual(Object.entries(read(odd, written(odd, {}))), [
    ['__proto__', null],
    ['constructor', null],
  ]);
});

test('property: numbers and texts come back through columns', () => {
  const decimal: DataType = { kind: 'decimal', precision: 30, scale: 4 };
  const some: Schema = [
    { name: 'd', type: decimal, nullable: true },
    { name: 's', type: { kind: 'string' }, nullable: true },
    { name: 'ts', type: { kind: 'timestamp' }, nullable: true },
    { name: 'day', type: { kind: 'date' }, nullable: true },
  ];
  const row = fc.tuple(
    fc.bigInt({ min: -(10n ** 29n), max: 10n ** 29n }),
    fc.string({ unit: 'grapheme' }),
    // Times of which ms tell every µs: 1830 to 2109.
    fc.integer({ min: -4_398_046_511_104_000, max: 4_398_046_511_104_000 }),
    fc.integer({ min: -700_000, max: 2_900_000 }),
  );
  fc.assert(
    fc.property(row, (values) => {
      const bytes = encoded(some, values);
      const again = written(some, read(some, bytes));
      assert.deepEqual(again, bytes);
      const columns = new RowCodec(some).decodeAll(again, [0], [0], 1);
      const batch = { ...batchOf(some, [values]), columns };
      assert.deepEqual(rowsOfBatch(some, batch), [values]);
    }),
  );
});
