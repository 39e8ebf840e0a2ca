import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { deadLetterReasons, isWeirError } from '../../core/errors.ts';
import type { Schema } from '../../core/types.ts';
import type { AggregatePlan, OutputMode, StatePlan } from '../plan/epoch-plan.ts';
import { windowFields } from '../plan/logical-plan.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { isClose, partialSchema, planOf, referenceOf, type Wanted } from './aggregate-reference.fixture.ts';
import { Aggregate } from './aggregate.ts';
import { PartialAggregate } from './partial-aggregate.ts';
import { overOneBatch, runOperator, scopeOf } from './test-epoch.ts';
import { Epochs } from './test-state.ts';

const keys: Schema = [
  { name: 'k', type: { kind: 'string' }, nullable: true },
  { name: 'window', type: { kind: 'struct', fields: windowFields }, nullable: false },
];
const input: Schema = [
  ...keys,
  { name: 'i', type: { kind: 'int' }, nullable: true },
  { name: 'l', type: { kind: 'bigint' }, nullable: true },
  { name: 'd', type: { kind: 'double' }, nullable: true },
  { name: 'm', type: { kind: 'decimal', precision: 10, scale: 2 }, nullable: true },
  { name: 'm38', type: { kind: 'decimal', precision: 30, scale: 2 }, nullable: true },
  { name: 's', type: { kind: 'string' }, nullable: true },
  { name: 'b', type: { kind: 'boolean' }, nullable: true },
  { name: 'f', type: { kind: 'boolean' }, nullable: true },
  { name: 'half', type: { kind: 'double' }, nullable: false },
  { name: 'yes', type: { kind: 'boolean' }, nullable: false },
  {
    name: 'n',
    type: { kind: 'struct', fields: [{ name: 'x', type: { kind: 'int' }, nullable: true }] },
    nullable: true,
  },
  { name: 'e', type: { kind: 'double' }, nullable: true },
];
const [I, L, D, M, M38, S, B, F, HALF, YES, N, E] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];

const wanted: readonly Wanted[] = [
  { name: 'count', inputs: [] },
  { name: 'count', inputs: [S] },
  { name: 'count', inputs: [I, S] },
  { name: 'count', inputs: [S], distinct: true },
  { name: 'count', inputs: [I, S], distinct: true, filter: F },
  { name: 'count', inputs: [], filter: F },
  { name: 'count_if', inputs: [B] },
  { name: 'sum', inputs: [I] },
  { name: 'sum', inputs: [L] },
  { name: 'sum', inputs: [D] },
  { name: 'sum', inputs: [M] },
  { name: 'sum', inputs: [M38], filter: F },
  { name: 'sum', inputs: [I], distinct: true },
  { name: 'avg', inputs: [D] },
  { name: 'avg', inputs: [M] },
  { name: 'avg', inputs: [M38] },
  { name: 'avg', inputs: [D], distinct: true },
  ...[I, L, D, M, M38, S, B, N].flatMap((column) => [
    { name: 'min', inputs: [column] },
    { name: 'max', inputs: [column] },
  ]),
  { name: 'first', inputs: [S] },
  { name: 'first', inputs: [S, YES] },
  { name: 'last', inputs: [I] },
  { name: 'last', inputs: [I, YES] },
  { name: 'any_value', inputs: [D] },
  { name: 'bool_and', inputs: [B] },
  { name: 'bool_or', inputs: [B] },
  { name: 'bit_and', inputs: [I] },
  { name: 'bit_or', inputs: [L] },
  { name: 'bit_xor', inputs: [L] },
  { name: 'collect_list', inputs: [S] },
  { name: 'collect_list', inputs: [I], distinct: true },
  { name: 'collect_set', inputs: [D] },
  { name: 'collect_list', inputs: [N], filter: F },
  { name: 'min_by', inputs: [S, D] },
  { name: 'max_by', inputs: [I, S] },
  { name: 'stddev', inputs: [D] },
  { name: 'stddev_pop', inputs: [D] },
  { name: 'variance', inputs: [D], distinct: true },
  { name: 'var_pop', inputs: [D] },
  { name: 'skewness', inputs: [D] },
  { name: 'kurtosis', inputs: [D] },
  { name: 'covar_pop', inputs: [D, E] },
  { name: 'covar_samp', inputs: [D, E] },
  { name: 'corr', inputs: [D, E] },
  { name: 'approx_count_distinct', inputs: [S] },
  { name: 'percentile', inputs: [D, HALF] },
  { name: 'median', inputs: [D] },
  { name: 'percentile_approx', inputs: [I, HALF] },
  { name: 'mode', inputs: [S] },
];

const nullable = <T extends BoxedValue>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.option(value, { nil: null, freq: 4 });

/** Sums of these doubles are exact, in whatever order. */
const double = fc.integer({ min: -8, max: 8 }).map((value) => value / 4);

const row = fc.tuple(
  nullable(fc.constantFrom('a', 'b', 'ü', '')),
  fc.nat(5).map((second) => [second * 1e6, (second + 1) * 1e6] as BoxedValue),
  nullable(fc.integer({ min: -5, max: 5 })),
  nullable(fc.bigInt({ min: -(2n ** 55n), max: 2n ** 55n })),
  nullable(double),
  nullable(fc.bigInt({ min: -(10n ** 9n), max: 10n ** 9n })),
  nullable(fc.bigInt({ min: -(10n ** 29n), max: 10n ** 29n })),
  nullable(fc.constantFrom('', 'x', 'yy', 'zoë', 'a longer text, to be kept as bytes')),
  nullable(fc.boolean()),
  nullable(fc.boolean()),
  fc.constant(0.5),
  fc.constant(true),
  nullable(fc.integer({ min: 0, max: 3 }).map((x) => [x] as BoxedValue)),
  nullable(double),
) as fc.Arbitrary<BoxedValue[]>;

const epoch = fc.record({
  rows: fc.array(row, { maxLength: 12 }),
  cuts: fc.array(fc.nat(12), { maxLength: 3 }),
  advance: fc.nat(2),
  restart: fc.boolean(),
});

function statePlan(plans: readonly AggregatePlan[], mode: OutputMode): Extract<StatePlan, { kind: 'aggregate' }> {
  const eventTime = { column: 1, kind: 'window' } as const;
  return { kind: 'aggregate', keyCount: 2, aggregates: plans, eventTime, mode, watermarkLagUs: 0 };
}

/** One map task's rows as partial aggregates. */
function partial(plans: readonly AggregatePlan[], rows: readonly (readonly unknown[])[], keyCount = 2): BoxedValue[][] {
  const output = partialSchema(keys.slice(0, keyCount), plans);
  const plan = { kind: 'partialAggregate', keyCount, aggregates: plans } as const;
  const ran = runOperator(() => overOneBatch(new PartialAggregate(plan, output)), { input, output }, rows, scopeOf());
  assert.deepEqual(ran.failures, []);
  return ran.rows;
}

function cut<T>(rows: readonly T[], cuts: readonly number[]): T[][] {
  const places = [...cuts.map((at) => Math.min(at, rows.length)), rows.length].sort((a, b) => a - b);
  return places.map((to, index) => rows.slice(places[index - 1] ?? 0, to));
}

function keyOf([k, window]: readonly BoxedValue[]): string {
  return JSON.stringify([k, window]);
}

function endOf(values: readonly BoxedValue[]): number {
  return (values[1] as readonly number[])[1]!;
}

function assertRows(
  plans: readonly AggregatePlan[],
  actual: BoxedValue[][],
  groups: ReadonlyMap<string, BoxedValue[][]>,
): void {
  assert.deepEqual(actual.map(keyOf).sort(), [...groups.keys()].sort());
  for (const values of actual) {
    const rows = groups.get(keyOf(values))!;
    for (const [index, plan] of plans.entries()) {
      const result = values[2 + index]!;
      const expected = referenceOf(plan, rows);
      assert.ok(isClose(result, expected), `${plan.name}: ${String(result)} instead of ${String(expected)}`);
    }
  }
}

for (const mode of ['append', 'update', 'complete'] as const) {
  test(`${mode}: results are those of all rows at once, however rows are split and state is moved`, () => {
    const plans = planOf(input, wanted);
    const schema = partialSchema(keys, plans);
    fc.assert(
      fc.property(fc.array(epoch, { maxLength: 6 }), fc.infiniteStream(fc.nat(99)), (epochs, dice) => {
        const runner = new Epochs(() => new Aggregate(statePlan(plans, mode), [schema]), [{ schema, keys: [0, 1] }]);
        const twin = new Epochs(() => new Aggregate(statePlan(plans, mode), [schema]), [{ schema, keys: [0, 1] }]);
        const groups = new Map<string, BoxedValue[][]>();
        let late = -Infinity;
        let evict = -Infinity;
        for (const { rows, cuts, advance, restart } of epochs) {
          const living = rows.filter((values) => endOf(values) > late);
          const touched = new Set(living.map(keyOf));
          for (const values of living) groups.set(keyOf(values), [...(groups.get(keyOf(values)) ?? []), values]);
          const frames = cut(living, cuts).map((part) => ({ port: 0, rows: partial(plans, part) }));
          const watermarks = { lateUs: late, evictUs: evict };
          const folded = runner.runFrames(frames, watermarks);
          assert.deepEqual(folded.failures, []);
          const isFinal = (group: BoxedValue[][]): boolean => endOf(group[0]!) <= evict;
          const expected = [...groups].filter(([key, group]) =>
            mode === 'complete' ? true : mode === 'update' ? touched.has(key) : isFinal(group),
          );
          assertRows(plans, folded.rows, new Map(expected));
          const evicted = mode === 'complete' ? [] : [...groups].filter(([, group]) => isFinal(group));
          for (const [key] of evicted) groups.delete(key);
          const { rows: held, evicted: gone } = runner.operator.figures();
          assert.deepEqual({ held, gone }, { held: groups.size, gone: evicted.length });

          // The twin is restored after every epoch, its groups in any order: it gives the same rows in the same places.
          const other = twin.runFrames(frames, watermarks);
          assert.deepEqual(byGroup(other), byGroup(folded));
          if (restart) {
            twin.restart((list) => list.toSorted(() => dice.next().value - 50));
            assert.deepEqual(snapshot(twin), snapshot(runner));
          }
          late = evict;
          if (advance > 0) evict = (evict === -Infinity ? 0 : evict) + advance * 1e6;
        }
      }),
      { numRuns: 20 },
    );
  });
}

function byGroup({ rows, groups }: { rows: BoxedValue[][]; groups: readonly number[] }): BoxedValue[][][] {
  return Array.from({ length: 256 }, (_, group) => rows.filter((_row, index) => groups[index] === group));
}

function snapshot({ operator }: Epochs): [number, string][] {
  return operator.groups().map((group) => [group, Buffer.from(operator.encodeGroup(group)!).toString('hex')]);
}

test('changed groups are those that rows came for or that lost some', () => {
  const plans = planOf(input, [{ name: 'count', inputs: [] }]);
  const schema = partialSchema(keys, plans);
  const runner = new Epochs(() => new Aggregate(statePlan(plans, 'append'), [schema]), [{ schema, keys: [0, 1] }]);
  const rowOf = (k: string, second: number): unknown[] => [k, [second * 1e6, (second + 1) * 1e6]];
  runner.run([partial(plans, [rowOf('a', 0), rowOf('b', 5)])], {});
  const { operator } = runner;
  assert.equal(operator.changedGroups().length, 2);
  assert.deepEqual(operator.changedGroups(), operator.groups());
  operator.clearChanged();
  runner.run([[]], { evictUs: 999_999 });
  assert.deepEqual(operator.changedGroups(), []);
  const { rows, groups } = runner.run([[]], { evictUs: 1e6 });
  assert.deepEqual(rows, [['a', [0, 1e6], 1n]]);
  assert.deepEqual(operator.changedGroups(), groups);
  assert.equal(operator.encodeGroup(groups[0]!), null);
});

test('a dropped group is gone, whatever comes under its place afterwards', () => {
  const plans = planOf(input, [{ name: 'count', inputs: [] }]);
  const schema = partialSchema(keys, plans);
  const runner = new Epochs(() => new Aggregate(statePlan(plans, 'append'), [schema]), [{ schema, keys: [0, 1] }]);
  const frame = (second: number): BoxedValue[][] => partial(plans, [['a', [second * 1e6, (second + 1) * 1e6]]]);
  const [group] = (runner.run([frame(0)], {}), runner.operator.groups());
  runner.operator.dropGroup(group!);
  assert.deepEqual(runner.operator.groups(), []);
  assert.equal(runner.operator.encodeGroup(group!), null);
  assert.deepEqual(runner.run([frame(7)], { evictUs: 2e6 }).rows, []);
  assert.deepEqual(runner.run([[]], { evictUs: 8e6 }).rows, [['a', [7e6, 8e6], 1n]]);
});

test('in update mode a group that is final already comes out once more and is forgotten', () => {
  const plans = planOf(input, [{ name: 'count', inputs: [] }]);
  const schema = partialSchema(keys, plans);
  const runner = new Epochs(() => new Aggregate(statePlan(plans, 'update'), [schema]), [{ schema, keys: [0, 1] }]);
  const frame = partial(plans, [['a', [0, 1e6]]]);
  assert.deepEqual(runner.run([frame], { evictUs: 1e6 }).rows, [['a', [0, 1e6], 1n]]);
  assert.deepEqual(runner.operator.figures().rows, 0);
});

test('a global aggregate has a row from the first epoch on, of nothing too', () => {
  const plans = planOf(input, [
    { name: 'count', inputs: [] },
    { name: 'max', inputs: [I] },
  ]);
  const schema = partialSchema([], plans);
  const plan = { ...statePlan(plans, 'complete'), keyCount: 0, eventTime: null };
  const runner = new Epochs(() => new Aggregate(plan, [schema]), [{ schema, keys: [] }]);
  assert.deepEqual(runner.run([partial(plans, [], 0)], {}).rows, [[0n, null]]);
  runner.restart();
  assert.deepEqual(runner.run([partial(plans, [['a', [0, 1], 7]], 0)], {}).rows, [[1n, 7]]);
  assert.deepEqual(runner.run([[]], {}).rows, [[1n, 7]]);
});

test('a row that overflows a sum counts nowhere within its batch; later the rest of its group does', () => {
  const plans = planOf(input, [
    { name: 'count', inputs: [] },
    { name: 'sum', inputs: [L] },
  ]);
  const output = partialSchema(keys, plans);
  const most = 2n ** 63n - 1n;
  const plan = { kind: 'partialAggregate', keyCount: 2, aggregates: plans } as const;
  const rows = [most, 1n, -5n].map((l) => ['a', [0, 1e6], 0, l]);
  const ran = runOperator(() => overOneBatch(new PartialAggregate(plan, output)), { input, output }, rows, scopeOf());
  assert.deepEqual(ran.rows, [['a', [0, 1e6], 2n, most - 5n]]);
  assert.deepEqual(ran.failures, [
    { record: 1, reason: deadLetterReasons.indexOf('ARITHMETIC_OVERFLOW'), place: 'sum_1' },
  ]);
  const runner = new Epochs(
    () => new Aggregate(statePlan(plans, 'update'), [output]),
    [{ schema: output, keys: [0, 1] }],
  );
  runner.run([ran.rows], {});
  const later = runner.run([[['a', [0, 1e6], 1n, 6n]]], {});
  assert.deepEqual(later.rows, [['a', [0, 1e6], 3n, most - 5n]]);
  assert.equal(later.failures.length, 1);
});

test('a changed job takes over the aggregates that it still has', () => {
  const old = planOf(input, [
    { name: 'count', inputs: [] },
    { name: 'collect_list', inputs: [S] },
    { name: 'sum', inputs: [I] },
  ]);
  const schema = partialSchema(keys, old);
  const runner = new Epochs(() => new Aggregate(statePlan(old, 'complete'), [schema]), [{ schema, keys: [0, 1] }]);
  runner.run([partial(old, [['a', [0, 1e6], 5, null, null, null, null, 'x']])], {});
  const [count, , sum] = old as [AggregatePlan, AggregatePlan, AggregatePlan];
  const max = { ...planOf(input, [{ name: 'max', inputs: [I] }])[0]!, name: 'most' };
  const plans = [max, sum, count];
  const next = new Aggregate(statePlan(plans, 'complete'), [partialSchema(keys, plans)]);
  for (const group of runner.operator.groups())
    next.restoreGroup(group, runner.operator.encodeGroup(group), [-1, 2, 0]);
  const changed = new Epochs(() => next, [{ schema: partialSchema(keys, plans), keys: [0, 1] }]);
  assert.deepEqual(changed.run([[]], {}).rows, [['a', [0, 1e6], null, 5n, 1n]]);
  const other = { ...statePlan(plans, 'complete'), keyCount: 1, eventTime: null };
  const moved = new Aggregate(other, [partialSchema(keys.slice(0, 1), plans)]);
  const [group] = runner.operator.groups();
  assert.throws(
    () => moved.restoreGroup(group!, runner.operator.encodeGroup(group!)),
    (error) => isWeirError(error, 'STATE_INCOMPATIBLE'),
  );
});

test('aggregates that are stored alike are told apart by what a changed job says, not by their looks', () => {
  const sums = planOf(input, [
    { name: 'sum', inputs: [I] },
    { name: 'sum', inputs: [I] },
  ]);
  const schema = partialSchema(keys, sums);
  const runner = new Epochs(() => new Aggregate(statePlan(sums, 'complete'), [schema]), [{ schema, keys: [0, 1] }]);
  runner.run([[['a', [0, 1e6], 1n, 5n, 1n, 7n].slice(0, schema.length)]], {});
  const [row] = runner.run([[]], {}).rows;
  assert.ok(row);
  const [group] = runner.operator.groups();
  const bytes = runner.operator.encodeGroup(group!);
  const read = (plans: readonly AggregatePlan[], places: readonly number[] | null): unknown => {
    const next = new Aggregate(statePlan([...plans], 'complete'), [partialSchema(keys, plans)]);
    next.restoreGroup(group!, bytes, places);
    return new Epochs(() => next, [{ schema: partialSchema(keys, plans), keys: [0, 1] }])
      .run([[]], {})
      .rows[0]?.slice(2);
  };
  const [first, second] = sums as [AggregatePlan, AggregatePlan];
  assert.deepEqual(read([second, first], [1, 0]), [row[3], row[2]]);
  assert.deepEqual(read([{ ...first, name: 'other' }, second], null), row.slice(2));
  assert.deepEqual(read([{ ...first, name: second.name }], [-1]), [null], 'the same looks, another meaning');
  for (const [plans, places] of [
    [[first], null],
    [[first, second], [0]],
    [[first], [2]],
    [planOf(input, [{ name: 'max', inputs: [I] }]), [0]],
  ] as const)
    assert.throws(
      () => read(plans, places),
      (error) => isWeirError(error, 'STATE_INCOMPATIBLE'),
    );
});

test('damaged state is named, wherever it ends', () => {
  const plans = planOf(input, wanted);
  const schema = partialSchema(keys, plans);
  const make = (): Aggregate => new Aggregate(statePlan(plans, 'complete'), [schema]);
  const runner = new Epochs(make, [{ schema, keys: [0, 1] }]);
  runner.run([partial(plans, [['a', [0, 1e6], 5, 1n, 2, 3n, 4n, 'x', true, true, 0.5, true, [1]]])], {});
  const [group] = runner.operator.groups();
  const bytes = runner.operator.encodeGroup(group!)!;
  for (let end = 0; end < bytes.length; end += 7) {
    assert.throws(
      () => make().restoreGroup(group!, bytes.slice(0, end)),
      (error) => isWeirError(error, 'STATE_DAMAGED') || isWeirError(error, 'STATE_INCOMPATIBLE'),
    );
  }
});

test('doubles: NaN is the greatest, zeros are one value', () => {
  const plans = planOf(input, [
    { name: 'min', inputs: [D] },
    { name: 'max', inputs: [D] },
    { name: 'count', inputs: [D], distinct: true },
    { name: 'sum', inputs: [D] },
  ]);
  const rowsOf = (...values: number[]): unknown[][] => values.map((value) => ['a', [0, 1e6], null, null, value]);
  const output = partialSchema(keys, plans);
  const runner = new Epochs(
    () => new Aggregate(statePlan(plans, 'update'), [output]),
    [{ schema: output, keys: [0, 1] }],
  );
  assert.deepEqual(runner.run([partial(plans, rowsOf(0, -0, 5, Number.NaN))], {}).rows, [
    ['a', [0, 1e6], 0, Number.NaN, 3n, Number.NaN],
  ]);
  assert.deepEqual(runner.run([partial(plans, rowsOf(-1, Number.NaN))], {}).rows, [
    ['a', [0, 1e6], -1, Number.NaN, 4n, Number.NaN],
  ]);
});

test('approximate counts of many values lie within the error asked for, and survive splitting', () => {
  const plans = planOf(input, [{ name: 'approx_count_distinct', inputs: [S] }]);
  const output = partialSchema(keys, plans);
  for (const count of [100, 1500, 20_000]) {
    const rows = Array.from({ length: count }, (_, n) => ['a', [0, 1e6], null, null, null, null, null, `user ${n}`]);
    const make = (): Aggregate => new Aggregate(statePlan(plans, 'update'), [output]);
    const runner = new Epochs(make, [{ schema: output, keys: [0, 1] }]);
    runner.run([partial(plans, rows.slice(0, count / 2))], {});
    runner.restart();
    const { rows: results } = runner.run([partial(plans, rows.slice(count / 4))], {});
    const estimate = Number(results[0]![2]);
    assert.ok(Math.abs(estimate - count) < 0.15 * count, `${estimate} for ${count}`);
    assert.deepEqual(
      results,
      new Epochs(make, [{ schema: output, keys: [0, 1] }]).run([partial(plans, rows)], {}).rows,
    );
  }
});
