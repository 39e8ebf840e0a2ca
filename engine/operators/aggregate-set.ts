import { assert, must } from '../../core/assert.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { Column, Int32Column } from '../column-batch.ts';
import type { AggregatePlan } from '../plan/epoch-plan.ts';
import { type AggregateDef, aggregateOf, APPROX_COUNT_DISTINCT_RSD } from '../sql/aggregates.ts';
import { BOOLEAN, DOUBLE } from '../sql/coercion.ts';
import type { Accumulator, GroupedRows } from './aggregate-accumulator.ts';
import { ApproxCountDistinct } from './aggregate-approx-count.ts';
import { Collect, Distinct, Mode, Percentile } from './aggregate-collections.ts';
import { Counted, SignedSum } from './aggregate-signed.ts';
import { type MomentFunction, Moments, type PairFunction, Pairs } from './aggregate-statistics.ts';
import { Average, Count, Sum } from './aggregate-sums.ts';
import { Bits, Edge, Extreme, ExtremeBy } from './aggregate-values.ts';

/** Called for a row that an aggregate cannot take. */
export type AggregateFailure = (row: number, reason: DeadLetterReason, aggregate: string) => void;

interface Member {
  readonly name: string;
  readonly filter: number;
  readonly accumulator: Accumulator;
  readonly buffers: Schema;
}

/** All aggregates of one operator, over the same slots. See {@link Accumulator}. */
export class AggregateSet {
  readonly plans: readonly AggregatePlan[];
  /** The buffers of all aggregates, in order. */
  readonly bufferSchema: Schema;
  readonly #members: readonly Member[];

  constructor(plans: readonly AggregatePlan[]) {
    this.plans = plans;
    this.#members = plans.map((plan) => ({
      name: plan.name,
      filter: plan.filter,
      accumulator: accumulatorOf(plan),
      buffers: aggregateOf(plan).bufferSchema(plan),
    }));
    this.bufferSchema = this.#members.flatMap((member) => member.buffers);
  }

  /** Room for the slots below `capacity`. New slots are empty once they have been cleared. */
  ensure(capacity: number): void {
    for (const { accumulator } of this.#members) accumulator.ensure(capacity);
  }

  clear(slot: number): void {
    for (const { accumulator } of this.#members) accumulator.clear(slot);
  }

  /** Adds input rows: `rows[i]` of the columns to `slots[i]`, for i below `count`. */
  update(columns: readonly Column[], rows: Int32Array, slots: Int32Array, count: number, fail: AggregateFailure): void {
    for (const { accumulator, filter, name } of this.#members) {
      const input: GroupedRows = { columns, rows, slots, count, fail: (row, reason) => fail(row, reason, name) };
      accumulator.update(filter < 0 ? input : filtered(input, columns[filter] as Int32Column));
    }
  }

  /** Adds partial results: as {@link update}; the buffers are the columns from `first` on. `past`: takes them back. */
  merge(
    columns: readonly Column[],
    first: number,
    rows: Int32Array,
    slots: Int32Array,
    count: number,
    fail: AggregateFailure,
    past = false,
  ): void {
    let at = first;
    for (const { accumulator, buffers, name } of this.#members) {
      const own = columns.slice(at, at + buffers.length);
      const input: GroupedRows = { columns: own, rows, slots, count, fail: (row, reason) => fail(row, reason, name) };
      if (past) {
        assert(accumulator.retract !== undefined, () => `${name} cannot take rows back`);
        accumulator.retract(input);
      } else accumulator.merge(input);
      at += buffers.length;
    }
  }

  /** Adds partial results of the one aggregate `index`: the columns are its buffers. */
  mergeOne(index: number, columns: readonly Column[], rows: Int32Array, slots: Int32Array, count: number): void {
    const { accumulator } = must(this.#members[index], () => `there is no aggregate ${index}`);
    accumulator.merge({ columns, rows, slots, count, fail: () => undefined });
  }

  /** Adds what slot `from` holds to `to`, behind it; `from` is empty then. */
  absorb(to: number, from: number): void {
    for (const { accumulator } of this.#members) {
      accumulator.absorb(to, from);
      accumulator.clear(from);
    }
  }

  /** The buffers of the slots `slots[0 … count)`. */
  buffers(slots: Int32Array, count: number): Column[] {
    return this.#members.flatMap(({ accumulator }) => accumulator.buffers(slots, count));
  }

  /** The results of one aggregate. */
  result(index: number, slots: Int32Array, count: number): Column {
    return must(this.#members[index], () => `there is no aggregate ${index}`).accumulator.result(slots, count);
  }

  /** A column per aggregate. */
  results(slots: Int32Array, count: number): Column[] {
    return this.#members.map(({ accumulator }) => accumulator.result(slots, count));
  }

  /** Memory held. */
  get bytes(): number {
    return this.#members.reduce((sum, { accumulator }) => sum + accumulator.bytes, 0);
  }
}

function filtered(input: GroupedRows, flags: Int32Column): GroupedRows {
  const rows = new Int32Array(input.count);
  const slots = new Int32Array(input.count);
  let count = 0;
  for (let index = 0; index < input.count; index++) {
    const row = input.rows[index]!;
    if (flags.valid[row] === 0 || flags.values[row] === 0) continue;
    rows[count] = row;
    slots[count++] = input.slots[index]!;
  }
  return { ...input, rows, slots, count };
}

function accumulatorOf(plan: AggregatePlan): Accumulator {
  const definition = aggregateOf(plan);
  if (plan.signed === true) return signedOf(plan, definition);
  if (!plan.distinct || !definition.countsDuplicates || plan.inputs.length === 0) return plainOf(plan);
  if (definition.family === 'count') return new Distinct(plan.inputs, plan.inputTypes, null);
  const inner = { ...plan, distinct: false, filter: -1, inputs: plan.inputs.map((_, index) => index) };
  return new Distinct(plan.inputs, plan.inputTypes, () => plainOf(inner));
}

/** The function over rows that may be withdrawn again. */
function signedOf(plan: AggregatePlan, { family, countsDuplicates, name }: AggregateDef): Accumulator {
  if (!plan.distinct || plan.inputs.length === 0) {
    if (family === 'count') return new Count(plan.inputs, false);
    if (family === 'countIf') return new Count(plan.inputs, true);
    if (family === 'sum' || family === 'avg') {
      const type = must(plan.inputTypes[0], () => `${name} lacks its argument`);
      return new SignedSum(plan.inputs[0] ?? -1, type, plan.type, family === 'avg');
    }
  }
  const { signed: _, ...unsigned } = plan;
  const inner = { ...unsigned, distinct: false, filter: -1, inputs: plan.inputs.map((_input, index) => index) };
  return new Counted(plan.inputs, plan.inputTypes, () => plainOf(inner), !plan.distinct && countsDuplicates);
}

/** The function without DISTINCT. */
function plainOf(plan: AggregatePlan): Accumulator {
  const { family, name, bufferSchema } = aggregateOf(plan);
  const input = plan.inputs[0] ?? -1;
  const second = plan.inputs[1] ?? -1;
  const typeOf = (index: number): DataType =>
    must(plan.inputTypes[index], () => `the aggregate ${plan.function} lacks its argument ${index}`);
  switch (family) {
    case 'count':
      return new Count(plan.inputs, false);
    case 'countIf':
      return new Count(plan.inputs, true);
    case 'sum':
      return new Sum(input, plan.type);
    case 'avg':
      return new Average(input, must(bufferSchema(plan)[0], () => 'avg has a sum').type, plan.type);
    case 'min':
      return new Extreme(input, plan.type, -1);
    case 'max':
      return new Extreme(input, plan.type, 1);
    case 'first':
    case 'last':
      return new Edge(input, second, plan.type, family === 'last');
    case 'boolAnd':
      return new Bits(input, BOOLEAN, 'and');
    case 'boolOr':
      return new Bits(input, BOOLEAN, 'or');
    case 'bitAnd':
      return new Bits(input, plan.type, 'and');
    case 'bitOr':
      return new Bits(input, plan.type, 'or');
    case 'bitXor':
      return new Bits(input, plan.type, 'xor');
    case 'collectList':
    case 'collectSet':
      return new Collect(input, typeOf(0), family === 'collectSet');
    case 'minBy':
      return new ExtremeBy([input, second], plan.type, typeOf(1), -1);
    case 'maxBy':
      return new ExtremeBy([input, second], plan.type, typeOf(1), 1);
    case 'moments':
      return new Moments(input, name as MomentFunction);
    case 'covariance':
    case 'correlation':
      return new Pairs(input, second, name as PairFunction);
    case 'approxCountDistinct':
      return new ApproxCountDistinct(input, typeOf(0), second, APPROX_COUNT_DISTINCT_RSD);
    case 'percentile':
    case 'percentileApprox': {
      const at = second < 0 ? DOUBLE : typeOf(1);
      const types = { value: typeOf(0), at, result: plan.type };
      return new Percentile({ value: input, at: second }, types, family === 'percentile');
    }
    case 'mode':
      return new Mode(input, typeOf(0));
  }
}
