/** Types of aggregate functions, after Spark's rules: what they take, what their arguments become, what they give. */
import { type DataType, formatType } from '../../core/types.ts';
import { BIGINT, BOOLEAN, canImplicitlyCast, DOUBLE, isGroupable, isIntegral, isNumeric } from './coercion.ts';

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

/** The typing of a call, or why it does not fit, as the end of a sentence: `takes a number, not BINARY`. */
export type Resolve = (args: readonly AggregateArg[]) => AggregateTyping | string;

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

/** NULL alone has no column: BOOLEAN stands for it. */
function known(type: DataType): DataType {
  return type.kind === 'null' ? BOOLEAN : type;
}

/** A decimal cut at 38 digits, its scale kept (Spark's DecimalType.bounded). */
function decimalOf(precision: number, scale: number): DataType {
  return { kind: 'decimal', precision: Math.min(precision, 38), scale: Math.min(scale, 38) };
}

/** What a sum of the type is. */
export function sumType(type: DataType): DataType {
  if (isIntegral(type)) return BIGINT;
  return type.kind === 'decimal' ? decimalOf(type.precision + 10, type.scale) : DOUBLE;
}

/** count(*), count(a, …). */
export const resolveCount: Resolve = (args) => ({
  args: args.map(({ type }) => known(type)),
  type: BIGINT,
  nullable: false,
});

/** sum(number). */
export const resolveSum: Resolve = (args) => {
  const wrong = countOf(args, 1);
  if (wrong !== undefined) return wrong;
  const type = numberArg(args[0] as AggregateArg);
  return typeof type === 'string' ? type : { args: [type], type: sumType(type), nullable: true };
};

/** avg(number): DOUBLE, and DECIMAL of decimals. */
export const resolveAvg: Resolve = (args) => {
  const wrong = countOf(args, 1);
  if (wrong !== undefined) return wrong;
  const type = numberArg(args[0] as AggregateArg);
  if (typeof type === 'string') return type;
  if (type.kind === 'decimal') {
    return { args: [type], type: decimalOf(type.precision + 4, type.scale + 4), nullable: true };
  }
  return { args: [DOUBLE], type: DOUBLE, nullable: true };
};

/** min and max. */
export const resolveExtreme: Resolve = (args) => {
  const wrong = countOf(args, 1);
  if (wrong !== undefined) return wrong;
  const type = known((args[0] as AggregateArg).type);
  return isGroupable(type)
    ? { args: [type], type, nullable: true }
    : `takes values that have an order, not ${formatType(type)}`;
};

/** first(value [, ignoreNulls]). */
export const resolveFirst: Resolve = (args) => {
  const wrong = countOf(args, 1, 2);
  if (wrong !== undefined) return wrong;
  const type = known((args[0] as AggregateArg).type);
  const ignoreNulls = args[1];
  if (ignoreNulls !== undefined && ignoreNulls.type.kind !== 'boolean')
    return `takes TRUE or FALSE as its second argument, not ${formatType(ignoreNulls.type)}`;
  return { args: ignoreNulls === undefined ? [type] : [type, BOOLEAN], type, nullable: true };
};

/** A condition. */
export function resolveBoolean(type: DataType, nullable: boolean): Resolve {
  return (args) => {
    const wrong = countOf(args, 1);
    if (wrong !== undefined) return wrong;
    const arg = castArg(args[0] as AggregateArg, BOOLEAN);
    return typeof arg === 'string' ? arg : { args: [arg], type, nullable };
  };
}

/** bit_and and its kind. */
export const resolveBits: Resolve = (args) => {
  const wrong = countOf(args, 1);
  if (wrong !== undefined) return wrong;
  const { type } = args[0] as AggregateArg;
  return isIntegral(type) ? { args: [type], type, nullable: true } : `takes a whole number, not ${formatType(type)}`;
};

/** collect_list and collect_set. */
export function resolveCollect(set: boolean): Resolve {
  return (args) => {
    const wrong = countOf(args, 1);
    if (wrong !== undefined) return wrong;
    const element = known((args[0] as AggregateArg).type);
    if (set && !isGroupable(element)) return `takes values that can be compared, not ${formatType(element)}`;
    return { args: [element], type: { kind: 'array', element, containsNull: false }, nullable: false };
  };
}

/** min_by and max_by. */
export const resolveBy: Resolve = (args) => {
  const wrong = countOf(args, 2);
  if (wrong !== undefined) return wrong;
  const type = known((args[0] as AggregateArg).type);
  const by = known((args[1] as AggregateArg).type);
  return isGroupable(by)
    ? { args: [type, by], type, nullable: true }
    : `takes an order by values that have one, not ${formatType(by)}`;
};

/** So many numbers, all as DOUBLE. */
export function resolveDoubles(count: number): Resolve {
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

/** approx_count_distinct(value [, relativeError]). */
export const resolveApproxCount: Resolve = (args) => {
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

/** percentile(number, percentage) and percentile_approx(number, percentage [, accuracy]). */
export function resolvePercentile(exact: boolean): Resolve {
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
export const resolveMode: Resolve = (args) => {
  const wrong = countOf(args, 1, 2);
  if (wrong !== undefined) return wrong;
  const type = known((args[0] as AggregateArg).type);
  const deterministic = args[1];
  if (deterministic !== undefined && deterministic.type.kind !== 'boolean')
    return `takes TRUE or FALSE as its second argument, not ${formatType(deterministic.type)}`;
  return isGroupable(type)
    ? { args: deterministic === undefined ? [type] : [type, BOOLEAN], type, nullable: true }
    : `takes values that can be compared, not ${formatType(type)}`;
};
