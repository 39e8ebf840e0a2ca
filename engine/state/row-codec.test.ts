import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isWeirError } from '../../core/errors.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { ColumnBatch } from '../column-batch.ts';
import { batchOf, rowsOfBatch } from '../operators/test-batch.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { ByteReader } from './byte-reader.ts';
import { KeyEncoder, keyGroupOf } from './key-encoder.ts';
import { RowCodec } from './row-codec.ts';
import { RowStore } from './row-store.ts';
import { StateColumns } from './state-columns.ts';

const types: DataType[] = [
  { kind: 'boolean' },
  { kind: 'tinyint' },
  { kind: 'smallint' },
  { kind: 'int' },
  { kind: 'date' },
  { kind: 'bigint' },
  { kind: 'double' },
  { kind: 'timestamp' },
  { kind: 'decimal', precision: 12, scale: 2 },
  { kind: 'decimal', precision: 38, scale: 4 },
  { kind: 'string' },
  { kind: 'binary' },
];

const nestedTypes: DataType[] = [
  { kind: 'array', element: { kind: 'string' }, containsNull: true },
  { kind: 'map', key: { kind: 'string' }, value: { kind: 'int' }, valueContainsNull: true },
  {
    kind: 'struct',
    fields: [
      { name: 'a', type: { kind: 'int' }, nullable: true },
      { name: 'b', type: { kind: 'array', element: { kind: 'double' }, containsNull: true }, nullable: true },
    ],
  },
];

function valueOf(type: DataType): fc.Arbitrary<BoxedValue> {
  const value = ((): fc.Arbitrary<BoxedValue> => {
    switch (type.kind) {
      case 'boolean':
        return fc.boolean();
      case 'tinyint':
        return fc.integer({ min: -128, max: 127 });
      case 'smallint':
        return fc.integer({ min: -32768, max: 32767 });
      case 'int':
      case 'date':
        return fc.integer();
      case 'timestamp':
        return fc.maxSafeInteger();
      case 'double':
      case 'float':
        return fc.double();
      case 'bigint':
        return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
      case 'decimal': {
        const limit = 10n ** BigInt(type.precision) - 1n;
        return fc.bigInt({ min: -limit, max: limit });
      }
      case 'string':
        return fc.string({ unit: 'grapheme', maxLength: 200 });
      case 'binary':
        return fc.uint8Array({ maxLength: 10 });
      case 'array':
        return fc.array(valueOf(type.element), { maxLength: 4 });
      case 'map':
        return fc
          .uniqueArray(fc.tuple(fc.string({ maxLength: 3 }), valueOf(type.value)), {
            selector: ([key]) => key,
            maxLength: 3,
          })
          .map((entries) => ({ keys: entries.map(([key]) => key), values: entries.map(([, item]) => item) }));
      case 'struct':
        return fc.tuple(...type.fields.map((field) => valueOf(field.type)));
      default:
        return fc.constant(null);
    }
  })();
  return fc.option(value, { nil: null });
}

/** Binary values as arrays of one class. */
function valuesOf(schema: Schema, batch: ColumnBatch): BoxedValue[][] {
  return rowsOfBatch(schema, batch).map((row) =>
    row.map((value) => (value instanceof Uint8Array ? Uint8Array.from(value) : value)),
  );
}

const schemaAndRows = fc
  .array(fc.constantFrom(...types, ...nestedTypes), { minLength: 1, maxLength: 5 })
  .chain((chosen) =>
    fc.record({
      schema: fc.constant<Schema>(chosen.map((type, index) => ({ name: `c${index}`, type, nullable: true }))),
      rows: fc.array(fc.tuple(...chosen.map(valueOf)), { maxLength: 20 }),
    }),
  );

test('rows come back from their bytes as they were', () => {
  fc.assert(
    fc.property(schemaAndRows, ({ schema, rows }) => {
      const batch = batchOf(schema, rows);
      const codec = new RowCodec(schema).bind(batch.columns);
      const out = new ByteBuffer();
      const starts = rows.map((_, row) => codec.encode(row, out));
      const ids = Int32Array.from(rows.keys());
      const columns = codec.decodeAll(out.bytes, starts, ids, rows.length);
      assert.deepEqual(valuesOf(schema, { ...batch, columns }), valuesOf(schema, batch));
    }),
  );
});

test('rows encoded all at once have the bytes that each of them has alone', () => {
  fc.assert(
    fc.property(schemaAndRows, fc.array(fc.nat(40)), fc.boolean(), ({ schema, rows }, picks, canonical) => {
      const batch = batchOf(schema, rows);
      const picked = Int32Array.from(picks.filter((row) => row < rows.length));
      const codec = new RowCodec(schema, canonical).bind(batch.columns);
      const one = new ByteBuffer();
      const starts = [...picked].map((row) => codec.encode(row, one));
      const all = new ByteBuffer();
      const found = new Int32Array(picked.length + 1);
      codec.encodeAll(picked, picked.length, all, found);
      assert.deepEqual([...found], [...starts, one.length]);
      assert.deepEqual(all.copy(), one.copy());
    }),
  );
});

test('a store and columns of state give back what was put under an id last', () => {
  fc.assert(
    fc.property(schemaAndRows, fc.array(fc.tuple(fc.nat(9), fc.boolean())), ({ schema, rows }, steps) => {
      const batch = batchOf(schema, rows);
      const own = valuesOf(schema, batch);
      const nulls = schema.map(() => null);
      const columns = new StateColumns(schema);
      columns.ensure(11);
      const store = new RowStore(schema).bind(batch.columns);
      const model: BoxedValue[][] = Array.from({ length: 11 }, () => nulls);
      const ids: number[] = [];
      for (const [id, isSet] of steps) {
        const row = (id * 7 + ids.length) % Math.max(1, rows.length);
        if (isSet && rows.length > 0) {
          columns.set(id, batch.columns, row);
          model[id] = own[row]!;
          ids.push(store.add(row));
        } else if (ids.length > 0) {
          columns.clear(id);
          model[id] = nulls;
          store.remove(ids.pop()!);
        }
        columns.copy(10, id);
        model[10] = model[id]!;
      }
      const all = Int32Array.from({ length: 11 }, (_, id) => id);
      const gathered = valuesOf(schema, { ...batch, rowCount: 11, columns: columns.gather(all, 11) });
      assert.deepEqual(gathered, model);
      assert.equal(store.size, ids.length);
      const wanted = ids.map((id) => {
        const out = new ByteBuffer();
        store.encode(id, out);
        const decoder = new RowCodec(schema).decoder();
        decoder.add(new ByteReader().reset(out.bytes, 0, out.length));
        return valuesOf(schema, { ...batch, rowCount: 1, columns: decoder.columns(out.bytes) })[0];
      });
      const stored = store.gather([...ids, -1], ids.length + 1);
      assert.deepEqual(valuesOf(schema, { ...batch, rowCount: ids.length + 1, columns: stored }), [...wanted, nulls]);
    }),
  );
});

function keysOf(type: DataType, values: readonly BoxedValue[]): string[] {
  const schema: Schema = [{ name: 'k', type, nullable: true }];
  const encoder = new KeyEncoder([type]).bind(
    batchOf(
      schema,
      values.map((value) => [value]),
    ).columns,
  );
  return values.map((_, row) => {
    const out = new ByteBuffer();
    encoder.encode(row, out);
    return Buffer.from(out.bytes.subarray(0, out.length)).toString('hex');
  });
}

test('keys are equal exactly when SQL groups the values together', () => {
  const doubles = keysOf({ kind: 'double' }, [
    0,
    -0,
    Number.NaN,
    new Float64Array(new BigUint64Array([0xfff8000000000001n]).buffer)[0]!,
    null,
    1,
  ]);
  assert.equal(doubles[0], doubles[1], 'zeros are one key');
  assert.equal(doubles[2], doubles[3], 'NaNs are one key');
  assert.equal(new Set(doubles).size, 4);
  const texts = keysOf({ kind: 'string' }, [null, '', 'null', '\0']);
  assert.equal(new Set(texts).size, 4);
  const map: DataType = { kind: 'map', key: { kind: 'string' }, value: { kind: 'int' }, valueContainsNull: true };
  const maps = keysOf(map, [
    { keys: ['a', 'b'], values: [1, 2] },
    { keys: ['b', 'a'], values: [2, 1] },
    { keys: ['b', 'a'], values: [1, 2] },
  ]);
  assert.equal(maps[0], maps[1]);
  assert.notEqual(maps[0], maps[2]);
});

test('two columns never make the key of two others', () => {
  const schema: Schema = [
    { name: 'a', type: { kind: 'string' }, nullable: true },
    { name: 'b', type: { kind: 'string' }, nullable: true },
  ];
  const text = fc.option(fc.string({ maxLength: 3 }), { nil: null });
  fc.assert(
    fc.property(fc.tuple(text, text), fc.tuple(text, text), (one, other) => {
      const batch = batchOf(schema, [one, other]);
      const encoder = new KeyEncoder(schema.map(({ type }) => type)).bind(batch.columns);
      const out = new ByteBuffer();
      encoder.encode(0, out);
      const between = encoder.encode(1, out);
      const isEqual = Buffer.compare(out.bytes.subarray(0, between), out.bytes.subarray(between, out.length)) === 0;
      assert.equal(isEqual, one[0] === other[0] && one[1] === other[1]);
    }),
  );
});

test('key groups spread and stay what they are', () => {
  const counts = new Int32Array(256);
  for (let n = 0; n < 25_600; n++) {
    const bytes = Buffer.from(`customer_${n}`);
    counts[keyGroupOf(bytes, 0, bytes.length)]!++;
  }
  assert.ok(Math.min(...counts) > 50 && Math.max(...counts) < 160, `${Math.min(...counts)} to ${Math.max(...counts)}`);
  const [key] = keysOf({ kind: 'string' }, ['customer_1']);
  const bytes = Buffer.from(key!, 'hex');
  assert.equal(key, '0b637573746f6d65725f31');
  assert.equal(keyGroupOf(bytes, 0, bytes.length), 45);
});

test('bytes that end too early are named as damaged', () => {
  const schema: Schema = [{ name: 'a', type: { kind: 'string' }, nullable: true }];
  const out = new ByteBuffer();
  new RowCodec(schema).bind(batchOf(schema, [['some text']]).columns).encode(0, out);
  for (let end = 0; end < out.length; end++) {
    const decoder = new RowCodec(schema).decoder();
    assert.throws(
      () => decoder.add(new ByteReader().reset(out.bytes, 0, end)),
      (error) => isWeirError(error, 'STATE_DAMAGED'),
    );
  }
});
