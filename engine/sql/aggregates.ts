/**
 * The table of aggregate functions: what a query may write over groups of rows, its types after Spark's rules, and the
 * columns that hold a group's partial result on its way through exchanges and snapshots. How the columns are filled is
 * engine/operators/aggregate-accumulators.ts.
 */
import { assert, must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import type { AggregatePlan } from '../plan/epoch-plan.ts';
import { type AggregateFamily, bufferColumns } from './aggregate-buffers.ts';
import {
  type AggregateArg,
  type AggregateTyping,
  type Resolve,
  resolveApproxCount,
  resolveAvg,
  resolveBits,
  resolveBoolean,
  resolveBy,
  resolveCollect,
  resolveCount,
  resolveDoubles,
  resolveExtreme,
  resolveFirst,
  resolveMode,
  resolvePercentile,
  resolveSum,
} from './aggregate-typing.ts';
import { BIGINT, BOOLEAN } from './coercion.ts';

/** An aggregate function. */
export interface AggregateDef {
  /** The first of `names`: how typed calls and stored plans say it. */
  readonly name: string;
  /** All names a query may write, small. */
  readonly names: readonly string[];
  readonly usage: string;
  /** One sentence. */
  readonly about: string;
  readonly family: AggregateFamily;
  /** False where equal arguments count once anyway: DISTINCT then changes nothing. */
  readonly countsDuplicates: boolean;
  /** Indexes of arguments that must be constants. */
  readonly constants: readonly number[];
  /** The typing of a call, or why it does not fit, as the end of a sentence: `takes a number, not BINARY`. */
  resolve(args: readonly AggregateArg[]): AggregateTyping | string;
  /** The partial result of a planned call, as columns. All are nullable. */
  bufferSchema(plan: AggregatePlan): Schema;
}

/** What `approx_count_distinct` aims at when the query does not say: relative standard deviation. */
export const APPROX_COUNT_DISTINCT_RSD = 0.05;

interface Spec {
  readonly names: readonly string[];
  readonly usage: string;
  readonly about: string;
  readonly family: AggregateFamily;
  readonly countsDuplicates?: boolean;
  readonly constants?: readonly number[];
  readonly resolve: Resolve;
}

const moments = (names: readonly string[], about: string): Spec => ({
  names,
  usage: `${names[0]}(number)`,
  about,
  family: 'moments',
  resolve: resolveDoubles(1),
});

const specs: readonly Spec[] = [
  {
    names: ['count'],
    usage: 'count(*), count(value, …)',
    about: 'The number of rows, or of rows in which no argument is NULL.',
    family: 'count',
    resolve: resolveCount,
  },
  {
    names: ['count_if'],
    usage: 'count_if(condition)',
    about: 'The number of rows for which the condition holds.',
    family: 'countIf',
    resolve: resolveBoolean(BIGINT, false),
  },
  {
    names: ['sum'],
    usage: 'sum(number)',
    about: 'The sum; NULL when there is no number.',
    family: 'sum',
    resolve: resolveSum,
  },
  {
    names: ['avg', 'mean'],
    usage: 'avg(number)',
    about: 'The mean; NULL when there is no number.',
    family: 'avg',
    resolve: resolveAvg,
  },
  {
    names: ['min'],
    usage: 'min(value)',
    about: 'The least value; NaN is the greatest number.',
    family: 'min',
    countsDuplicates: false,
    resolve: resolveExtreme,
  },
  {
    names: ['max'],
    usage: 'max(value)',
    about: 'The greatest value; NaN is the greatest number.',
    family: 'max',
    countsDuplicates: false,
    resolve: resolveExtreme,
  },
  {
    names: ['first', 'first_value'],
    usage: 'first(value [, ignoreNulls])',
    about: 'The value of the first row, in the order in which rows are read.',
    family: 'first',
    countsDuplicates: false,
    constants: [1],
    resolve: resolveFirst,
  },
  {
    names: ['last', 'last_value'],
    usage: 'last(value [, ignoreNulls])',
    about: 'The value of the last row, in the order in which rows are read.',
    family: 'last',
    countsDuplicates: false,
    constants: [1],
    resolve: resolveFirst,
  },
  {
    names: ['any_value'],
    usage: 'any_value(value [, ignoreNulls])',
    about: 'The value of some row: here the first.',
    family: 'first',
    countsDuplicates: false,
    constants: [1],
    resolve: resolveFirst,
  },
  {
    names: ['bool_and', 'every'],
    usage: 'bool_and(condition)',
    about: 'True when the condition holds for all rows where it is not NULL.',
    family: 'boolAnd',
    countsDuplicates: false,
    resolve: resolveBoolean(BOOLEAN, true),
  },
  {
    names: ['bool_or', 'some', 'any'],
    usage: 'bool_or(condition)',
    about: 'True when the condition holds for a row.',
    family: 'boolOr',
    countsDuplicates: false,
    resolve: resolveBoolean(BOOLEAN, true),
  },
  {
    names: ['bit_and'],
    usage: 'bit_and(number)',
    about: 'The bitwise AND of all numbers.',
    family: 'bitAnd',
    countsDuplicates: false,
    resolve: resolveBits,
  },
  {
    names: ['bit_or'],
    usage: 'bit_or(number)',
    about: 'The bitwise OR of all numbers.',
    family: 'bitOr',
    countsDuplicates: false,
    resolve: resolveBits,
  },
  {
    names: ['bit_xor'],
    usage: 'bit_xor(number)',
    about: 'The bitwise exclusive OR of all numbers.',
    family: 'bitXor',
    resolve: resolveBits,
  },
  {
    names: ['collect_list', 'array_agg'],
    usage: 'collect_list(value)',
    about: 'All values that are not NULL, in the order in which rows are read.',
    family: 'collectList',
    resolve: resolveCollect(false),
  },
  {
    names: ['collect_set'],
    usage: 'collect_set(value)',
    about: 'All values that are not NULL, each once, in the order of their first rows.',
    family: 'collectSet',
    countsDuplicates: false,
    resolve: resolveCollect(true),
  },
  {
    names: ['min_by'],
    usage: 'min_by(value, order)',
    about: 'The value of the row whose order is least.',
    family: 'minBy',
    countsDuplicates: false,
    resolve: resolveBy,
  },
  {
    names: ['max_by'],
    usage: 'max_by(value, order)',
    about: 'The value of the row whose order is greatest.',
    family: 'maxBy',
    countsDuplicates: false,
    resolve: resolveBy,
  },
  moments(['stddev', 'std', 'stddev_samp'], 'The standard deviation of a sample; NULL for fewer than two numbers.'),
  moments(['stddev_pop'], 'The standard deviation of a whole population.'),
  moments(['variance', 'var_samp'], 'The variance of a sample; NULL for fewer than two numbers.'),
  moments(['var_pop'], 'The variance of a whole population.'),
  moments(['skewness'], 'The skewness.'),
  moments(['kurtosis'], 'The excess kurtosis.'),
  {
    names: ['covar_pop'],
    usage: 'covar_pop(x, y)',
    about: 'The covariance of a whole population.',
    family: 'covariance',
    resolve: resolveDoubles(2),
  },
  {
    names: ['covar_samp'],
    usage: 'covar_samp(x, y)',
    about: 'The covariance of a sample; NULL for fewer than two pairs.',
    family: 'covariance',
    resolve: resolveDoubles(2),
  },
  {
    names: ['corr'],
    usage: 'corr(x, y)',
    about: "Pearson's coefficient of correlation.",
    family: 'correlation',
    resolve: resolveDoubles(2),
  },
  {
    names: ['approx_count_distinct'],
    usage: 'approx_count_distinct(value [, relativeError])',
    about: 'About the number of different values, in constant space (HyperLogLog++).',
    family: 'approxCountDistinct',
    countsDuplicates: false,
    constants: [1],
    resolve: resolveApproxCount,
  },
  {
    names: ['percentile'],
    usage: 'percentile(number, percentage)',
    about: 'The exact percentile, between neighbours in proportion; keeps every different number.',
    family: 'percentile',
    constants: [1],
    resolve: resolvePercentile(true),
  },
  {
    names: ['median'],
    usage: 'median(number)',
    about: 'The exact median; keeps every different number.',
    family: 'percentile',
    resolve: resolveDoubles(1),
  },
  {
    names: ['percentile_approx', 'approx_percentile'],
    usage: 'percentile_approx(number, percentage [, accuracy])',
    about: 'The least number that so many numbers do not exceed; exact here: keeps every different number.',
    family: 'percentileApprox',
    constants: [1, 2],
    resolve: resolvePercentile(false),
  },
  {
    names: ['mode'],
    usage: 'mode(value)',
    about: 'The most frequent value, the least of several; keeps every different value.',
    family: 'mode',
    resolve: resolveMode,
  },
];

function define({ names, usage, about, family, countsDuplicates = true, constants = [], resolve }: Spec): AggregateDef {
  return {
    name: must(names[0], () => 'an aggregate function lacks a name'),
    names,
    usage,
    about,
    family,
    countsDuplicates,
    constants,
    resolve,
    bufferSchema(plan) {
      return bufferColumns(family, plan, countsDuplicates);
    },
  };
}

const byName = new Map<string, AggregateDef>();
for (const spec of specs) {
  const definition = define(spec);
  for (const name of definition.names) {
    assert(!byName.has(name), () => `two aggregate functions are called ${name}`);
    byName.set(name, definition);
  }
}

/** The aggregate function of a name or alias, written small. */
export function aggregateByName(name: string): AggregateDef | undefined {
  return byName.get(name);
}

/** All names of aggregate functions, aliases included. */
export const aggregateNames: readonly string[] = [...byName.keys()];

/** All aggregate functions, each once. */
export const aggregateFunctions: readonly AggregateDef[] = [...new Set(byName.values())];

/** The function of a planned call. */
export function aggregateOf(plan: AggregatePlan): AggregateDef {
  return must(byName.get(plan.function), () => `the plan names the unknown aggregate ${plan.function}`);
}

/** The buffers of planned calls, in order: what follows the keys in partial aggregates. */
export function bufferSchemaOf(plans: readonly AggregatePlan[]): Schema {
  return plans.flatMap((plan) => aggregateOf(plan).bufferSchema(plan));
}
