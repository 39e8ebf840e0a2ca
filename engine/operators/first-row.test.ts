import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isWeirError } from '../../core/errors.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { FirstRow, keepsOneRow } from './first-row.ts';
import { Rank } from './rank.ts';
import { Epochs } from './test-state.ts';

const INT: DataType = { kind: 'int' };
const TEXT: DataType = { kind: 'string' };
type Plan = ConstructorParameters<typeof Rank>[0];

/** Keys `k` and `ts`, then columns that rows are sorted by, and others. */
const schema: Schema = [
  { name: 'k', type: TEXT, nullable: true },
  { name: 'ts', type: { kind: 'timestamp' }, nullable: true },
  { name: 'n', type: INT, nullable: true },
  { name: 's', type: TEXT, nullable: true },
  { name: 'd', type: { kind: 'double' }, nullable: true },
  { name: 'm', type: { kind: 'decimal', precision: 30, scale: 2 }, nullable: true },
  { name: 'l', type: { kind: 'bigint' }, nullable: true },
  { name: 'u', type: { kind: 'array', element: INT, containsNull: true }, nullable: true },
];
const [K, TS, N, S, D, M, L, U] = [0, 1, 2, 3, 4, 5, 6, 7];

const call = (name: Plan['calls'][number]['function'], type: DataType = INT): Plan['calls'][number] => ({
  function: name,
  column: -1,
  offset: 1,
  default: -1,
  name,
  type,
});

function planOf(change: Partial<Plan>): Plan {
  return {
    kind: 'rank',
    keyCount: 2,
    by: [{ column: N, descending: true, nullsFirst: false }],
    calls: [call('row_number'), call('rank', { kind: 'bigint' }), call('dense_rank')],
    limit: 1,
    eventTime: null,
    mode: 'update',
    watermarkLagUs: 0,
    ...change,
  };
}

const firstRows = (plan: Plan) => new Epochs(() => new FirstRow(plan, [schema]), [{ schema, keys: [0, 1] }]);
const ranks = (plan: Plan) => new Epochs(() => new Rank(plan, [schema]), [{ schema, keys: [0, 1] }]);
const row = (n: number | null, s: string, k = 'a') => [k, 0, n, s, null, null, null, null];

test('a row that stands before the one of its key takes its place, which is withdrawn first; an equal one does not', () => {
  const epochs = firstRows(planOf({}));
  const step = (...rows: readonly (readonly unknown[])[]) => {
    const { rows: given, deletes } = epochs.run([rows], {});
    return given.map(([n, s, , , , , number], index) => [n, s, number, deletes[index]]);
  };
  assert.deepEqual(step(row(1, 'one'), row(3, 'three'), row(2, 'two')), [[3, 'three', 1, false]]);
  assert.deepEqual(step(row(3, 'later'), row(2, 'two')), []);
  assert.deepEqual(step(row(5, 'b', 'b'), row(4, 'four'), row(7, 'seven')), [
    [3, 'three', 1, true],
    [5, 'b', 1, false],
    [7, 'seven', 1, false],
  ]);
  assert.equal(epochs.operator.figures().rows, 2);
});

test('only a rank that keeps one row of each key and compares plain values is one', () => {
  assert.equal(keepsOneRow(planOf({}), schema), true);
  for (const change of [
    { limit: 2 },
    { limit: null },
    { ties: true as const },
    { calls: [call('row_number'), call('lag')] },
    { by: [{ column: U, descending: false, nullsFirst: true }] },
  ])
    assert.equal(keepsOneRow(planOf(change), schema), false, JSON.stringify(change));
});

test('stored rows of another number are refused', () => {
  const rank = ranks(planOf({ limit: 2 }));
  rank.run([[row(1, 'a'), row(2, 'b')]], {});
  const [group = 0] = rank.operator.groups();
  assert.throws(
    () => new FirstRow(planOf({}), [schema]).restoreGroup(group, rank.operator.encodeGroup(group)),
    (error) => isWeirError(error) && error.code === 'STATE_DAMAGED',
  );
});

const some = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null, freq: 4 });
const rowOf = fc.tuple(
  some(fc.constantFrom('a', 'b', 'c')),
  some(fc.constantFrom(1, 2, 3)),
  some(fc.nat(3)),
  some(fc.constantFrom('', 'x', 'a longer text, to be kept as bytes')),
  some(fc.constantFrom(0, -0, 1.5, Number.NaN, -Infinity)),
  some(fc.constantFrom(0n, 10n ** 25n, -(10n ** 25n))),
  some(fc.constantFrom(0n, -1n, 2n ** 40n, -(2n ** 40n))),
  some(fc.array(some(fc.nat(2)), { maxLength: 2 })),
);
const epochOf = fc.record({
  frames: fc.array(fc.array(rowOf, { maxLength: 8 }), { maxLength: 3 }),
  evictUs: fc.constantFrom(-Infinity, 1, 2, 3),
  /** Who goes on with the state; they store the same. */
  swap: fc.boolean(),
});
const sortOf = fc
  .uniqueArray(fc.constantFrom(K, TS, N, S, D, M, L), { minLength: 1, maxLength: 3 })
  .chain((columns) =>
    fc.tuple(
      ...columns.map((column) =>
        fc.record({ column: fc.constant(column), descending: fc.boolean(), nullsFirst: fc.boolean() }),
      ),
    ),
  );

test('property: it gives what Rank gives, and stores the same, whichever of them goes on', () => {
  for (const mode of ['update', 'append', 'complete'] as const) {
    const eventTimes =
      mode === 'update'
        ? [null, { column: TS, kind: 'timestamp' as const }]
        : [{ column: TS, kind: 'timestamp' as const }];
    for (const eventTime of eventTimes) {
      fc.assert(
        fc.property(sortOf, fc.array(epochOf, { maxLength: 6 }), (by, list) => {
          const plan = planOf({ by, mode, eventTime });
          let [own, rank] = [firstRows(plan), ranks(plan)];
          let evictUs = -Infinity;
          for (const { frames, evictUs: wanted, swap } of list) {
            if (swap) {
              const [first, second] = [firstRows(plan), ranks(plan)];
              for (const group of rank.operator.groups())
                first.operator.restoreGroup(group, rank.operator.encodeGroup(group));
              for (const group of own.operator.groups())
                second.operator.restoreGroup(group, own.operator.encodeGroup(group));
              [own, rank] = [first, second];
            }
            const lateUs = evictUs;
            evictUs = Math.max(evictUs, wanted);
            const arrivals = frames.map((rows) => ({ port: 0, rows }));
            const [a, b] = [own, rank].map((epochs) => epochs.runFrames(arrivals, { lateUs, evictUs }));
            assert.deepEqual(a, b);
            assert.deepEqual(own.operator.groups(), rank.operator.groups());
            for (const group of rank.operator.groups())
              assert.deepEqual(own.operator.encodeGroup(group), rank.operator.encodeGroup(group));
            const [figures, others] = [own, rank].map(({ operator }) => operator.figures());
            assert.deepEqual([figures?.rows, figures?.evicted], [others?.rows, others?.evicted]);
            if (!swap) assert.deepEqual(own.operator.changedGroups(), rank.operator.changedGroups());
            for (const { operator } of [own, rank]) operator.clearChanged();
          }
        }),
        { numRuns: 100 },
      );
    }
  }
});
