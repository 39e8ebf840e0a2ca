import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { copyOf } from '../epoch/frame.ts';
import type { AggregatePlan } from '../plan/epoch-plan.ts';
import { type BoxedValue, readValue } from '../sql/runtime/boxed.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { utc } from '../sql/runtime/time.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { identity } from './aggregate-accumulator.ts';
import { isClose, planOf, referenceOf } from './aggregate-reference.fixture.ts';
import { encodeSections, restoreSections } from './aggregate-sections.ts';
import { AggregateSet } from './aggregate-set.ts';
import { noOrigins } from './picked-rows.ts';
import { batchOf } from './test-batch.ts';

const schema: Schema = [
  { name: 'i', type: { kind: 'int' }, nullable: true },
  { name: 'l', type: { kind: 'bigint' }, nullable: true },
  { name: 'd', type: { kind: 'double' }, nullable: true },
  { name: 'm', type: { kind: 'decimal', precision: 10, scale: 2 }, nullable: true },
  { name: 'm38', type: { kind: 'decimal', precision: 30, scale: 2 }, nullable: true },
  { name: 's', type: { kind: 'string' }, nullable: true },
  { name: 'b', type: { kind: 'boolean' }, nullable: true },
  { name: 'half', type: { kind: 'double' }, nullable: false },
];
const [I, L, D, M, M38, S, B, HALF] = [0, 1, 2, 3, 4, 5, 6, 7];

const wanted = [
  { name: 'count', inputs: [] },
  { name: 'count', inputs: [S] },
  { name: 'count', inputs: [I, S] },
  { name: 'count', inputs: [S], distinct: true },
  { name: 'count', inputs: [I, S], distinct: true, filter: B },
  { name: 'count_if', inputs: [B] },
  ...[I, L, D, M, M38].flatMap((column) => [
    { name: 'sum', inputs: [column] },
    { name: 'min', inputs: [column], filter: B },
    { name: 'max', inputs: [column] },
  ]),
  ...[D, M, M38].map((column) => ({ name: 'avg', inputs: [column] })),
  { name: 'sum', inputs: [I], distinct: true },
  { name: 'avg', inputs: [D], distinct: true },
  { name: 'min', inputs: [S] },
  { name: 'bool_and', inputs: [B] },
  { name: 'bool_or', inputs: [B] },
  { name: 'bit_xor', inputs: [L] },
  { name: 'bit_and', inputs: [I] },
  { name: 'collect_list', inputs: [I] },
  { name: 'collect_set', inputs: [S] },
  { name: 'max_by', inputs: [I, I] },
  { name: 'stddev_pop', inputs: [D] },
  { name: 'corr', inputs: [D, D] },
  { name: 'approx_count_distinct', inputs: [S] },
  { name: 'percentile', inputs: [D, HALF] },
  { name: 'mode', inputs: [S] },
];
const plans: readonly AggregatePlan[] = planOf(schema, wanted).map((plan) => ({ ...plan, signed: true }));

const row = fc.tuple(
  fc.option(fc.integer({ min: -5, max: 5 })),
  fc.option(fc.bigInt({ min: -(2n ** 55n), max: 2n ** 55n })),
  fc.option(fc.integer({ min: -8, max: 8 }).map((value) => value / 4)),
  fc.option(fc.bigInt({ min: -(10n ** 9n), max: 10n ** 9n })),
  fc.option(fc.bigInt({ min: -(10n ** 29n), max: 10n ** 29n })),
  fc.option(fc.constantFrom('', 'x', 'yy', 'zoë')),
  fc.option(fc.boolean()),
  fc.constant(0.5),
) as fc.Arbitrary<BoxedValue[]>;

/** Partial results of one group, as they come through an exchange. */
function partial(rows: readonly BoxedValue[][]): readonly Column[] {
  const set = new AggregateSet(plans);
  set.ensure(1);
  set.clear(0);
  const { columns } = batchOf(schema, rows);
  set.update(columns, identity(rows.length), new Int32Array(rows.length), rows.length, assert.fail);
  return copyOf({ rowCount: 1, columns: set.buffers(new Int32Array(1), 1), origins: noOrigins(1) }).columns;
}

function results(set: AggregateSet): BoxedValue[] {
  const columns = set.results(Int32Array.of(2), 1);
  return plans.map(({ type }, index) => readValue(new Runtime(utc), columns[index]!, 0, type));
}

/** Values of sets and lists in no order. */
function unordered(value: BoxedValue): BoxedValue {
  return Array.isArray(value) ? (value as BoxedValue[]).toSorted((a, b) => (String(a) < String(b) ? -1 : 1)) : value;
}

test('what is taken back leaves the aggregates of the rest', () => {
  const steps = fc.array(
    fc.record({
      added: fc.array(row, { maxLength: 4 }),
      taken: fc.array(fc.nat(30), { maxLength: 4 }),
      moves: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      let set = new AggregateSet(plans);
      set.ensure(3);
      set.clear(2);
      let rows: BoxedValue[][] = [];
      for (const { added, taken, moves } of all) {
        const gone = new Set(taken.filter((index) => index < rows.length));
        const slot = Int32Array.of(2);
        const past = partial(rows.filter((_, index) => gone.has(index)));
        set.merge(past, 0, identity(1), slot, 1, assert.fail, true);
        set.merge(partial(added), 0, identity(1), slot, 1, assert.fail);
        rows = [...rows.filter((_, index) => !gone.has(index)), ...added];
        if (moves) {
          const bytes = new ByteBuffer();
          encodeSections(set, slot, bytes);
          set = new AggregateSet(plans);
          set.ensure(3);
          set.clear(2);
          restoreSections(set, slot, new ByteReader().reset(bytes.copy()), null);
          const again = new ByteBuffer();
          encodeSections(set, slot, again);
          assert.deepEqual(again.copy(), bytes.copy());
        }
        for (const [index, actual] of results(set).entries()) {
          const plan = plans[index]!;
          const expected = referenceOf(plan, rows);
          const place = `${plan.name} of ${rows.length} rows: ${String(actual)} for ${String(expected)}`;
          assert.ok(isClose(unordered(actual), unordered(expected)), place);
        }
      }
    }),
    { numRuns: 40 },
  );
});

test('sums of doubles that lose digits are what they would be without the lost ones', () => {
  const sum = planOf(schema, [{ name: 'sum', inputs: [D] }]).map((plan): AggregatePlan => ({ ...plan, signed: true }));
  const values = [1e300, 0.1, Infinity, -1e300, 2 ** -1074, Number.NaN, 1e16, 1];
  const set = new AggregateSet(sum);
  set.ensure(1);
  set.clear(0);
  const fold = (value: number, past: boolean): void => {
    const part = new AggregateSet(sum);
    part.ensure(1);
    part.clear(0);
    part.update(batchOf(schema, [[null, null, value]]).columns, identity(1), identity(1), 1, assert.fail);
    set.merge(part.buffers(identity(1), 1), 0, identity(1), identity(1), 1, assert.fail, past);
  };
  const result = (): unknown => readValue(new Runtime(utc), set.result(0, identity(1), 1), 0, { kind: 'double' });
  for (const value of values) fold(value, false);
  assert.deepEqual(result(), Number.NaN);
  fold(Number.NaN, true);
  assert.equal(result(), Infinity);
  fold(Infinity, true);
  assert.equal(result(), 1e16 + 1.1);
  fold(1e16, true);
  assert.equal(result(), 1.1);
  for (const value of [1, -1e300, 1e300, 0.1]) fold(value, true);
  assert.equal(result(), 2 ** -1074);
  fold(2 ** -1074, true);
  assert.equal(result(), null);
});
