/**
 * The table of aggregate functions: what a query may write over groups of rows, its types after Spark's rules, and the
 * columns that hold a group's partial result on its way through exchanges and snapshots. How the columns are filled is
 * engine/operators/aggregate-accumulators.ts.
 */
import { assert, must } from '../../core/assert.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import type { AggregatePlan } from '../plan/epoch-plan.ts';
import { BIGINT, BINARY, BOOLEAN, canImplicitlyCast, DOUBLE, isIntegral, isNumeric, STRING } from './coercion.ts';

/** What an argument is before the call is typed. */
export interface AggregateArg {
  readonly type: DataType;
  readonly nullable: boolean;
}

/** A call that fits: the types its arguments are cast to, and what it gives. */
export interface AggregateTyping {
  readonly args: readonly DataType[];
  readonly type: DataType;
  readonly nullable: boolean;
}

/** How a function keeps its partial result; several functions share one. */
export type AggregateFamily =
  | 'count'
  | 'countIf'
  | 'sum'
  | 'avg'
  | 'min'
  | 'max'
  | 'first'
  | 'last'
  | 'boolAnd'
  | 'boolOr'
  | 'bitAnd'
  | 'bitOr'
  | 'bitXor'
  | 'collectList'
  | 'collectSet'
  | 'minBy'
  | 'maxBy'
  | 'moments'
  | 'covariance'
  | 'correlation'
  | 'approxCountDistinct'
  | 'percentile'
  | 'percentileApprox'
  | 'mode';

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

type Resolve = AggregateDef['resolve'];

interface Spec {
  readonly names: readonly string[];
  readonly usage: string;
  readonly about: string;
  readonly family: AggregateFamily;
  readonly countsDuplicates?: boolean;
  readonly constants?: readonly number[];
  readonly resolve: Resolve;
}

// ---- typing -----------------------------------------------------------------------------------------------------

function countOf(args: readonly AggregateArg[], least: number, most = least): string | undefined {
  if (args.length >= least && args.length <= most) return undefined;
  const wanted = least === most ? `${least}` : `${least} to ${most}`;
  return `takes ${wanted} ${wanted === '1' ? 'argument' : 'arguments'}, not ${args.length}`;
}

/** The argument's own type where it is a number; strings and NULL become DOUBLE. */
function numberArg(arg: AggregateArg): DataType | string {
  if (isNumeric(arg.type)) return arg.type;
  if (arg.type.kind === 'string' || arg.type.kind === 'null') return DOUBLE;
  return `takes a number, not ${formatType(arg.type)}`;
}

function castArg(arg: AggregateArg, to: DataType): DataType | string {
  return canImplicitlyCast(arg.type, to) ? to : `takes ${formatType(to)}, not ${formatType(arg.type)}`;
}

function orderable(type: DataType): boolean {
  switch (type.kind) {
    case 'map':
    case 'interval':
      return false;
    case 'array':
      return orderable(type.element);
    case 'struct':
      return type.fields.every((field) => orderable(field.type));
    default:
      return true;
  }
}

/** NULL alone has no column: BOOLEAN stands for it. */
function known(type: DataType): DataType {
  return type.kind === 'null' ? BOOLEAN : type;
}

/** A decimal cut at 38 digits, its scale kept (Spark's DecimalType.bounded). */
function decimalOf(precision: number, scale: number): DataType {
  return { kind: 'decimal', precision: Math.min(precision, 38), scale: Math.min(scale, 38) };
}

function sumType(type: DataType): DataType {
  if (isIntegral(type)) return BIGINT;
  return type.kind === 'decimal' ? decimalOf(type.precision + 10, type.scale) : DOUBLE;
}

const resolveCount: Resolve = (args) => ({
  args: args.map(({ type }) => known(type)),
  type: BIGINT,
  nullable: false,
});

const resolveSum: Resolve = (args) => {
  const wrong = countOf(args, 1);
  if (wrong !== undefined) return wrong;
  const type = numberArg(args[0] as AggregateArg);
  return typeof type === 'string' ? type : { args: [type], type: sumType(type), nullable: true };
};

const resolveAvg: Resolve = (args) => {
  const wrong = countOf(args, 1);
  if (wrong !== undefined) return wrong;
  const type = numberArg(args[0] as AggregateArg);
  if (typeof type === 'string') return type;
  if (type.kind === 'decimal') {
    return { args: [type], type: decimalOf(type.precision + 4, type.scale + 4), nullable: true };
  }
  return { args: [DOUBLE], type: DOUBLE, nullable: true };
};

const resolveExtreme: Resolve = (args) => {
  const wrong = countOf(args, 1);
  if (wrong !== undefined) return wrong;
  const type = known((args[0] as AggregateArg).type);
  return orderable(type)
    ? { args: [type], type, nullable: true }
    : `takes values that have an order, not ${formatType(type)}`;
};

/** first(value [, ignoreNulls]). */
const resolveFirst: Resolve = (args) => {
  const wrong = countOf(args, 1, 2);
  if (wrong !== undefined) return wrong;
  const type = known((args[0] as AggregateArg).type);
  const ignoreNulls = args[1];
  if (ignoreNulls !== undefined && ignoreNulls.type.kind !== 'boolean')
    return `takes TRUE or FALSE as its second argument, not ${formatType(ignoreNulls.type)}`;
  return { args: ignoreNulls === undefined ? [type] : [type, BOOLEAN], type, nullable: true };
};

function resolveBoolean(type: DataType, nullable: boolean): Resolve {
  return (args) => {
    const wrong = countOf(args, 1);
    if (wrong !== undefined) return wrong;
    const arg = castArg(args[0] as AggregateArg, BOOLEAN);
    return typeof arg === 'string' ? arg : { args: [arg], type, nullable };
  };
}

const resolveBits: Resolve = (args) => {
  const wrong = countOf(args, 1);
  if (wrong !== undefined) return wrong;
  const { type } = args[0] as AggregateArg;
  return isIntegral(type) ? { args: [type], type, nullable: true } : `takes a whole number, not ${formatType(type)}`;
};

function resolveCollect(set: boolean): Resolve {
  return (args) => {
    const wrong = countOf(args, 1);
    if (wrong !== undefined) return wrong;
    const element = known((args[0] as AggregateArg).type);
    if (set && !orderable(element)) return `takes values that can be compared, not ${formatType(element)}`;
    return { args: [element], type: { kind: 'array', element, containsNull: false }, nullable: false };
  };
}

const resolveBy: Resolve = (args) => {
  const wrong = countOf(args, 2);
  if (wrong !== undefined) return wrong;
  const type = known((args[0] as AggregateArg).type);
  const by = known((args[1] as AggregateArg).type);
  return orderable(by)
    ? { args: [type, by], type, nullable: true }
    : `takes an order by values that have one, not ${formatType(by)}`;
};

function resolveDoubles(count: number): Resolve {
  return (args) => {
    const wrong = countOf(args, count);
    if (wrong !== undefined) return wrong;
    for (const arg of args) {
      const type = castArg(arg, DOUBLE);
      if (typeof type === 'string') return type;
    }
    return { args: args.map(() => DOUBLE), type: DOUBLE, nullable: true };
  };
}

const resolveApproxCount: Resolve = (args) => {
  const wrong = countOf(args, 1, 2);
  if (wrong !== undefined) return wrong;
  const type = known((args[0] as AggregateArg).type);
  const rsd = args[1] === undefined ? DOUBLE : castArg(args[1], DOUBLE);
  if (typeof rsd === 'string') return rsd;
  return { args: args.length === 1 ? [type] : [type, rsd], type: BIGINT, nullable: false };
};

/** The percentage or percentages, in [0, 1]. */
function percentages(arg: AggregateArg): DataType | string {
  const to: DataType = arg.type.kind === 'array' ? { kind: 'array', element: DOUBLE, containsNull: false } : DOUBLE;
  return castArg(arg, to);
}

function resolvePercentile(exact: boolean): Resolve {
  return (args) => {
    const wrong = countOf(args, 2, exact ? 2 : 3);
    if (wrong !== undefined) return wrong;
    const own = args[0] as AggregateArg;
    const given = exact ? castArg(own, DOUBLE) : approxInput(own);
    if (typeof given === 'string') return given;
    const at = percentages(args[1] as AggregateArg);
    if (typeof at === 'string') return at;
    const accuracy = args[2] === undefined ? [] : [castArg(args[2], BIGINT)];
    if (typeof accuracy[0] === 'string') return accuracy[0];
    const type: DataType = at.kind === 'array' ? { kind: 'array', element: given, containsNull: false } : given;
    return { args: [given, at, ...(accuracy as DataType[])], type, nullable: true };
  };
}

function approxInput(arg: AggregateArg): DataType | string {
  return arg.type.kind === 'date' || arg.type.kind === 'timestamp' ? arg.type : numberArg(arg);
}

/** mode(value [, deterministic]): the second argument changes nothing, the least of equally frequent values always wins. */
const resolveMode: Resolve = (args) => {
  const wrong = countOf(args, 1, 2);
  if (wrong !== undefined) return wrong;
  const type = known((args[0] as AggregateArg).type);
  const deterministic = args[1];
  if (deterministic !== undefined && deterministic.type.kind !== 'boolean')
    return `takes TRUE or FALSE as its second argument, not ${formatType(deterministic.type)}`;
  return orderable(type)
    ? { args: deterministic === undefined ? [type] : [type, BOOLEAN], type, nullable: true }
    : `takes values that can be compared, not ${formatType(type)}`;
};

// ---- the table --------------------------------------------------------------------------------------------------

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

// ---- partial results as columns ---------------------------------------------------------------------------------

function inputType(plan: AggregatePlan, index: number): DataType {
  return must(plan.inputTypes[index], () => `the aggregate ${plan.function} lacks its argument ${index}`);
}

/** One entry per different value, with the number of rows. */
function counted(value: DataType, nullable = false): DataType {
  return {
    kind: 'array',
    containsNull: false,
    element: {
      kind: 'struct',
      fields: [
        { name: 'value', type: value, nullable },
        { name: 'count', type: BIGINT, nullable: false },
      ],
    },
  };
}

function distinctArguments(plan: AggregatePlan): DataType {
  const single = plan.inputTypes.length === 1;
  const element: DataType = single
    ? inputType(plan, 0)
    : {
        kind: 'struct',
        fields: plan.inputTypes.map((type, index) => ({ name: `_${index}`, type, nullable: true })),
      };
  return { kind: 'array', element, containsNull: single };
}

/** Where rows may be withdrawn again. */
function signedParts(family: AggregateFamily, plan: AggregatePlan): readonly (readonly [string, DataType])[] {
  if (!plan.distinct || plan.inputTypes.length === 0) {
    if (family === 'count' || family === 'countIf') return [['count', BIGINT]];
    if (family === 'sum' || family === 'avg')
      return [
        ['sum', STRING],
        ['count', BIGINT],
      ];
  }
  const fields = plan.inputTypes.map((type, index) => ({ name: `_${index}`, type, nullable: true }));
  return [['values', counted(fields.length === 1 ? inputType(plan, 0) : { kind: 'struct', fields }, true)]];
}

function parts(family: AggregateFamily, plan: AggregatePlan): readonly (readonly [string, DataType])[] {
  switch (family) {
    case 'count':
    case 'countIf':
      return [['count', BIGINT]];
    case 'sum':
      return [['sum', plan.type]];
    case 'avg':
      return [
        ['sum', sumType(inputType(plan, 0))],
        ['count', BIGINT],
      ];
    case 'min':
    case 'max':
    case 'boolAnd':
    case 'boolOr':
    case 'bitAnd':
    case 'bitOr':
    case 'bitXor':
      return [['value', plan.type]];
    case 'first':
    case 'last':
      return [
        ['value', plan.type],
        ['set', BOOLEAN],
      ];
    case 'collectList':
    case 'collectSet':
      return [['values', plan.type]];
    case 'minBy':
    case 'maxBy':
      return [
        ['value', plan.type],
        ['order', inputType(plan, 1)],
      ];
    case 'moments': {
      const order = plan.function === 'kurtosis' ? 4 : plan.function === 'skewness' ? 3 : 2;
      return ['n', 'avg', 'm2', 'm3', 'm4'].slice(0, order + 1).map((part) => [part, DOUBLE] as const);
    }
    case 'covariance':
      return ['n', 'xAvg', 'yAvg', 'ck'].map((part) => [part, DOUBLE] as const);
    case 'correlation':
      return ['n', 'xAvg', 'yAvg', 'ck', 'xMk', 'yMk'].map((part) => [part, DOUBLE] as const);
    case 'approxCountDistinct':
      return [['registers', BINARY]];
    case 'percentile':
    case 'percentileApprox':
      return plan.inputTypes.length === 1
        ? [['values', counted(inputType(plan, 0))]]
        : [
            ['values', counted(inputType(plan, 0))],
            ['at', inputType(plan, 1)],
          ];
    case 'mode':
      return [['values', counted(inputType(plan, 0))]];
  }
}

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
      const columns: readonly (readonly [string, DataType])[] =
        plan.signed === true
          ? signedParts(family, plan)
          : plan.distinct && countsDuplicates && plan.inputTypes.length > 0
            ? [['distinct', distinctArguments(plan)]]
            : parts(family, plan);
      return columns.map(([part, type]) => ({ name: `${plan.name}.${part}`, type, nullable: true }));
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
