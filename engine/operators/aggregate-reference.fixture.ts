/** Aggregates computed the plain way, over all rows of a group at once, for tests to compare with. */
import type { DataType, Schema } from '../../core/types.ts';
import type { AggregatePlan } from '../plan/epoch-plan.ts';
import { aggregateByName, bufferSchemaOf } from '../sql/aggregates.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { compareBoxed } from '../sql/runtime/compare.ts';

export interface Wanted {
  readonly name: string;
  /** Columns of the input. */
  readonly inputs: readonly number[];
  readonly distinct?: boolean;
  readonly filter?: number;
}

/** The plan of calls over columns that have the types the functions take. */
export function planOf(schema: Schema, wanted: readonly Wanted[]): AggregatePlan[] {
  return wanted.map(({ name, inputs, distinct = false, filter = -1 }, index) => {
    const args = inputs.map((input) => schema[input]!);
    const typing = aggregateByName(name)!.resolve(args);
    if (typeof typing === 'string') throw new Error(`${name} ${typing}`);
    return {
      function: aggregateByName(name)!.name,
      distinct,
      inputs,
      inputTypes: typing.args,
      filter,
      name: `${name}_${index}`,
      type: typing.type,
      nullable: typing.nullable,
    };
  });
}

export function partialSchema(keys: Schema, plans: readonly AggregatePlan[]): Schema {
  return [...keys, ...bufferSchemaOf(plans)];
}

type Rows = readonly (readonly BoxedValue[])[];

function identityOf(value: BoxedValue): string {
  return JSON.stringify(value === 0 ? 0 : value, (_, item: unknown) =>
    typeof item === 'bigint' ? `${item}n` : typeof item === 'number' && Number.isNaN(item) ? 'NaN' : item,
  );
}

/** The result of one call over a group's rows, in their order. */
export function referenceOf(plan: AggregatePlan, all: Rows): BoxedValue {
  const rows = plan.filter < 0 ? all : all.filter((row) => row[plan.filter] === true);
  let args = rows.map((row) => plan.inputs.map((input) => row[input] ?? null));
  if (plan.distinct) {
    const seen = new Set<string>();
    args = args.filter((tuple) => {
      const identity = tuple.map(identityOf).join();
      return !seen.has(identity) && seen.add(identity);
    });
  }
  const complete = args.filter((tuple) => tuple.every((value) => value !== null));
  const values = complete.map((tuple) => tuple[0] as never);
  const type = plan.inputTypes[0] ?? { kind: 'null' };
  const numbers = complete.map((tuple) => tuple[0] as number);
  switch (plan.function) {
    case 'count':
      return BigInt(complete.length);
    case 'count_if':
      return BigInt(numbers.filter(Boolean).length);
    case 'sum':
      return sumOf(values, plan.type);
    case 'avg':
      return averageOf(values, type, plan.type);
    case 'min':
      return values.toSorted((a, b) => compareBoxed(a, b, type))[0] ?? null;
    case 'max':
      return values.toSorted((a, b) => compareBoxed(b, a, type))[0] ?? null;
    case 'first':
    case 'any_value':
    case 'last': {
      const kept = args.filter((tuple) => tuple[1] !== true || tuple[0] !== null);
      return kept.at(plan.function === 'last' ? -1 : 0)?.[0] ?? null;
    }
    case 'bool_and':
      return values.length === 0 ? null : numbers.every(Boolean);
    case 'bool_or':
      return values.length === 0 ? null : numbers.some(Boolean);
    case 'bit_and':
    case 'bit_or':
    case 'bit_xor':
      return bitsOf(plan.function, values);
    case 'collect_list':
      return values;
    case 'collect_set': {
      const seen = new Set<string>();
      return values.filter((value) => !seen.has(identityOf(value)) && seen.add(identityOf(value)));
    }
    case 'min_by':
    case 'max_by':
      return extremeBy(plan, args);
    case 'percentile':
    case 'median':
    case 'percentile_approx':
      return percentileOf(plan, complete, type);
    case 'mode':
      return modeOf(values, type);
    case 'approx_count_distinct':
      return BigInt(new Set(values.map(identityOf)).size);
    default:
      return statisticOf(plan.function, complete as number[][]);
  }
}

function sumOf(values: readonly (number | bigint)[], type: DataType): BoxedValue {
  if (values.length === 0) return null;
  if (type.kind === 'double') return (values as number[]).reduce((sum, value) => sum + value, 0);
  return values.reduce<bigint>((sum, value) => sum + BigInt(value), 0n);
}

function averageOf(values: readonly (number | bigint)[], type: DataType, result: DataType): BoxedValue {
  if (values.length === 0) return null;
  if (type.kind !== 'decimal' || result.kind !== 'decimal')
    return (values as number[]).reduce((sum, value) => sum + value, 0) / values.length;
  const sum = (values as bigint[]).reduce((total, value) => total + value, 0n);
  const scaled = sum * 10n ** BigInt(38 - type.scale);
  const half = (value: bigint, by: bigint): bigint =>
    value < 0n ? -((-value * 2n + by) / (2n * by)) : (value * 2n + by) / (2n * by);
  return half(half(scaled, BigInt(values.length)), 10n ** BigInt(38 - result.scale));
}

function bitsOf(name: string, values: readonly (number | bigint)[]): BoxedValue {
  if (values.length === 0) return null;
  const join = (a: bigint, b: bigint): bigint => (name === 'bit_and' ? a & b : name === 'bit_or' ? a | b : a ^ b);
  const joined = values.map(BigInt).reduce(join);
  return typeof values[0] === 'bigint' ? joined : Number(joined);
}

function extremeBy(plan: AggregatePlan, args: readonly (readonly BoxedValue[])[]): BoxedValue {
  const order = plan.inputTypes[1]!;
  const sign = plan.function === 'max_by' ? 1 : -1;
  let best: readonly BoxedValue[] | undefined;
  for (const tuple of args) {
    if (tuple[1] === null) continue;
    if (best === undefined || compareBoxed(best[1]!, tuple[1]!, order) * sign <= 0) best = tuple;
  }
  return best?.[0] ?? null;
}

function percentileOf(plan: AggregatePlan, complete: readonly (readonly BoxedValue[])[], type: DataType): BoxedValue {
  if (complete.length === 0) return null;
  const sorted = complete.map((tuple) => tuple[0]!).sort((a, b) => compareBoxed(a, b, type));
  const at = (complete[0]![1] ?? 0.5) as number;
  if (plan.function === 'percentile_approx') return sorted[Math.max(0, Math.ceil(at * sorted.length) - 1)]!;
  const place = (sorted.length - 1) * at;
  const low = sorted[Math.floor(place)] as number;
  const high = sorted[Math.ceil(place)] as number;
  return low === high ? low : (Math.ceil(place) - place) * low + (place - Math.floor(place)) * high;
}

function modeOf(values: readonly BoxedValue[], type: DataType): BoxedValue {
  const counts = new Map<string, { value: BoxedValue; count: number }>();
  for (const value of values) {
    const entry = counts.get(identityOf(value)) ?? { value, count: 0 };
    entry.count++;
    counts.set(identityOf(value), entry);
  }
  const best = [...counts.values()].sort((a, b) => b.count - a.count || compareBoxed(a.value, b.value, type))[0];
  return best?.value ?? null;
}

function statisticOf(name: string, pairs: readonly number[][]): BoxedValue {
  const n = pairs.length;
  if (n === 0) return null;
  const mean = (column: number): number => pairs.reduce((sum, pair) => sum + pair[column]!, 0) / n;
  const xMean = mean(0);
  const power = (exponent: number): number => pairs.reduce((sum, pair) => sum + (pair[0]! - xMean) ** exponent, 0);
  switch (name) {
    case 'stddev':
      return n === 1 ? null : Math.sqrt(power(2) / (n - 1));
    case 'stddev_pop':
      return Math.sqrt(power(2) / n);
    case 'variance':
      return n === 1 ? null : power(2) / (n - 1);
    case 'var_pop':
      return power(2) / n;
    case 'skewness':
      return power(2) === 0 ? null : (Math.sqrt(n) * power(3)) / power(2) ** 1.5;
    case 'kurtosis':
      return power(2) === 0 ? null : (n * power(4)) / power(2) ** 2 - 3;
  }
  const yMean = mean(1);
  const products = pairs.reduce((sum, pair) => sum + (pair[0]! - xMean) * (pair[1]! - yMean), 0);
  if (name === 'covar_pop') return products / n;
  if (name === 'covar_samp') return n === 1 ? null : products / (n - 1);
  const ySquares = pairs.reduce((sum, pair) => sum + (pair[1]! - yMean) ** 2, 0);
  return n === 1 || power(2) * ySquares === 0 ? null : products / Math.sqrt(power(2) * ySquares);
}

/** Equal, with doubles compared to nine digits. */
export function isClose(a: BoxedValue, b: BoxedValue): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
    return a === b || Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
  }
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => isClose(item as BoxedValue, b[index] as BoxedValue));
  return a === b;
}
