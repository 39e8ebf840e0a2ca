import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import type { DataType, Schema } from '../../core/types.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { FixedKeys } from './fixed-keys.ts';
import type { KeyTable } from './key-table.ts';
import { ByteKeys, keyTableOf } from './key-table.ts';
import { batchOf, rowsOfBatch } from './test-batch.ts';

const window: DataType = {
  kind: 'struct',
  fields: ['start', 'end'].map((name) => ({ name, type: { kind: 'timestamp' }, nullable: true })),
};
const types: readonly DataType[] = [
  { kind: 'boolean' },
  { kind: 'int' },
  { kind: 'date' },
  { kind: 'bigint' },
  { kind: 'double' },
  { kind: 'decimal', precision: 12, scale: 2 },
  window,
  { kind: 'struct', fields: [{ name: 'w', type: window, nullable: true }] },
];

/** Few values of each type, so that keys meet again. */
function valueOf(type: DataType): fc.Arbitrary<BoxedValue> {
  switch (type.kind) {
    case 'boolean':
      return fc.constantFrom(null, true, false);
    case 'bigint':
    case 'decimal':
      return fc.constantFrom(null, 0n, 1n, -1n, 2n ** 32n, 999_999_999_999n);
    case 'double':
      return fc.constantFrom(null, 0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY);
    case 'struct':
      return fc.option(fc.tuple(...type.fields.map((field) => valueOf(field.type))), { nil: null });
    default:
      return fc.constantFrom(null, 0, 1, 2, -1);
  }
}

const keyed = fc.array(fc.constantFrom(...types), { minLength: 1, maxLength: 3 }).chain((chosen) =>
  fc.record({
    types: fc.constant(chosen),
    batches: fc.array(fc.array(fc.tuple(...chosen.map(valueOf)), { maxLength: 60 }), { maxLength: 3 }),
    picks: fc.array(fc.nat(60), { maxLength: 80 }),
  }),
);

test('keys of fixed width are told apart as their bytes are, batch after batch', () => {
  fc.assert(
    fc.property(keyed, ({ types: chosen, batches, picks }) => {
      const schema: Schema = chosen.map((type, index) => ({ name: `k${index}`, type, nullable: true }));
      const fixed = keyTableOf(chosen);
      assert.ok(fixed instanceof FixedKeys);
      const bytes = new ByteKeys(chosen);
      for (const table of [fixed, bytes]) {
        table.assign(batchOf(schema, [chosen.map(() => null)]).columns, Int32Array.of(0), 1, new Int32Array(1));
        table.reset();
      }
      for (const rows of batches) {
        const { columns } = batchOf(schema, rows);
        const picked = Int32Array.from([...rows.keys(), ...picks.filter((row) => row < rows.length)]);
        const ids = (table: KeyTable): Int32Array => {
          const given = new Int32Array(picked.length);
          table.assign(columns, picked, picked.length, given);
          return given;
        };
        const keys = (table: KeyTable): BoxedValue[][] =>
          rowsOfBatch(schema, { ...batchOf(schema, []), rowCount: table.size, columns: table.columns() });
        const ofFixed = ids(fixed);
        const ofBytes = ids(bytes);
        assert.equal(fixed.size, bytes.size);
        const keysOfFixed = keys(fixed);
        const keysOfBytes = keys(bytes);
        for (let index = 0; index < ofFixed.length; index++)
          assert.deepEqual(keysOfFixed[ofFixed[index]!], keysOfBytes[ofBytes[index]!]);
        assert.equal(new Set(keysOfFixed.map((key) => inspect(key))).size, fixed.size);
      }
    }),
  );
});

test('keys of one hash are told apart', () => {
  // Among so many numbers several pairs share 32 bits.
  const count = 400_000;
  const values = Float64Array.from({ length: count }, (_, row) => row * 1.000_000_7);
  const columns = [{ kind: 'f64' as const, values, valid: new Uint8Array(count).fill(1) }];
  const table = new FixedKeys([{ kind: 'double' }]);
  const rows = Int32Array.from({ length: count }, (_, row) => row);
  const first = new Int32Array(count);
  table.assign(columns, rows, count, first);
  assert.equal(table.size, count);
  assert.equal(new Set(first).size, count);
  const again = new Int32Array(count);
  table.assign(columns, rows, count, again);
  assert.deepEqual(again, first);
});

test('keys with text are told by their bytes', () => {
  assert.ok(keyTableOf([{ kind: 'int' }, { kind: 'string' }]) instanceof ByteKeys);
});
