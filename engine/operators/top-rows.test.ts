import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Schema } from '../../core/types.ts';
import { batchOf } from './test-batch.ts';
import { TopRows } from './top-rows.ts';

const schema: Schema = [
  { name: 'score', type: { kind: 'bigint' }, nullable: true },
  { name: 'k', type: { kind: 'string' }, nullable: true },
  { name: 'n', type: { kind: 'int' }, nullable: true },
];
const by = [{ column: 0, descending: true, nullsFirst: false }];

const rowsOf = (count: number): Int32Array => Int32Array.from({ length: count }, (_, row) => row);

test('one of each key stays, the first of equal ones', () => {
  const top = new TopRows([1], { by, most: 1 }, schema);
  const batch = batchOf(schema, [
    [1n, 'a', 0],
    [3n, 'a', 0],
    [null, 'b', 0],
    [3n, 'a', 0],
    [2n, null, 0],
    [0n, 'b', 0],
  ]);
  assert.deepEqual([...top.select(batch, rowsOf(6))], [1, 4, 5]);
  assert.deepEqual([...top.select(batch, Int32Array.of(0, 3, 5))], [3, 5]);
  assert.deepEqual([...top.select(batchOf(schema, []), rowsOf(0))], []);
});

const value = fc.record({
  score: fc.option(fc.bigInt({ min: 0n, max: 3n }), { freq: 6 }),
  k: fc.option(fc.constantFrom('a', 'b'), { freq: 6 }),
  n: fc.constantFrom(1, 2),
});

test('property: a row stays unless so many of its key come before it, batch after batch', () => {
  const shape = fc.record({ most: fc.integer({ min: 1, max: 4 }), ties: fc.boolean(), isFixed: fc.boolean() });
  fc.assert(
    fc.property(shape, fc.array(fc.array(value, { maxLength: 20 }), { maxLength: 3 }), (given, batches) => {
      const { most, ties, isFixed } = given;
      const keys = isFixed ? [2] : [1, 2];
      const top = new TopRows(keys, { by, most, ...(ties ? ({ ties: true } as const) : {}) }, schema);
      for (const values of batches) {
        const rank = ({ score }: (typeof values)[number]): bigint => score ?? -1n;
        const expected = values.flatMap((own, row) => {
          const before = values.filter(
            (other, place) =>
              other.n === own.n &&
              (isFixed || other.k === own.k) &&
              (rank(other) > rank(own) || (!ties && rank(other) === rank(own) && place < row)),
          );
          return before.length < most ? [row] : [];
        });
        const batch = batchOf(
          schema,
          values.map(({ score, k, n }) => [score, k, n]),
        );
        assert.deepEqual([...top.select(batch, rowsOf(values.length))], expected);
      }
    }),
    { numRuns: 500 },
  );
});
