/** What the function table says of one function; see `functions.ts` for the table itself. */
import type { Expr } from '../../core/ast.ts';
import type { DataType } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import type { CallExpr, Gen, Result, Val } from './codegen.ts';
import { BIGINT, canImplicitlyCast, castTo, commonType, DOUBLE, isIntegral, isNumeric, NULL } from './coercion.ts';

export type FunctionGroup =
  | 'operator'
  | 'conditional'
  | 'string'
  | 'number'
  | 'time'
  | 'nested'
  | 'json'
  | 'protobuf'
  | 'avro'
  | 'hash'
  | 'misc'
  | 'generator';

/** A call that fits: its arguments as the function takes them, and what it gives. */
export interface Typing {
  readonly args: readonly Expr[];
  readonly type: DataType;
  readonly nullable: boolean;
}

/** Why a call does not fit, as the end of a sentence, and which argument is to blame. */
export interface Complaint {
  readonly complaint: string;
  readonly arg?: number;
}

/** What typing a call may ask of its surroundings. */
export interface TypingContext {
  /** A number of its own for each call, for functions that draw values: uuid(), rand(). */
  nextSite(): number;
}

export interface FunctionDef {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly group: FunctionGroup;
  /** `substring(text, position [, length])`. */
  readonly usage: string;
  /** One sentence. */
  readonly about: string;
  /** True when the value depends on the record's place and not only on the arguments: uuid(), current_timestamp(). */
  readonly perRecord: boolean;
  /** False when two runs over the same record may differ. */
  readonly deterministic: boolean;
  readonly type: (args: readonly Expr[], context: TypingContext) => Typing | Complaint;
  /**
   * What a lambda at place `index` is called with, given the arguments that are not lambdas (undefined: one that is);
   * undefined where no lambda belongs.
   */
  readonly lambdaParams?: (index: number, args: readonly (Expr | undefined)[]) => readonly LambdaInput[] | undefined;
  readonly emit: (g: Gen, call: CallExpr) => Val;
  /** Of a function that is known and not offered: what does the same. */
  readonly instead?: string;
}

export interface LambdaInput {
  readonly type: DataType;
  readonly nullable: boolean;
}

export function isComplaint(outcome: Typing | Complaint): outcome is Complaint {
  return 'complaint' in outcome;
}

/** What a parameter takes: a type, or a family of types that keeps the argument's own. */
export type Param = DataType | 'any' | 'numeric' | 'integral' | 'array' | 'map' | 'struct' | 'lambda';

const familyNames: Record<Extract<Param, string>, string> = {
  any: 'a value',
  numeric: 'a number',
  integral: 'a whole number',
  array: 'an ARRAY',
  map: 'a MAP',
  struct: 'a STRUCT',
  lambda: 'a lambda (x -> …)',
};

/** The argument as the parameter takes it, or what the parameter wants. */
export function fit(arg: Expr, param: Param): Expr | Complaint {
  if (typeof param !== 'string') {
    if (arg.kind !== 'lambda' && canImplicitlyCast(arg.type, param)) return castTo(arg, param);
    return { complaint: `takes ${formatType(param)} here, not ${describeArg(arg)}` };
  }
  const own = fitFamily(arg, param);
  return own ?? { complaint: `takes ${familyNames[param]} here, not ${describeArg(arg)}` };
}

function describeArg(arg: Expr): string {
  return arg.kind === 'lambda' ? 'a lambda' : formatType(arg.type);
}

function fitFamily(arg: Expr, family: Extract<Param, string>): Expr | undefined {
  if ((family === 'lambda') !== (arg.kind === 'lambda')) return undefined;
  switch (family) {
    case 'any':
    case 'lambda':
      return arg;
    case 'numeric':
      if (arg.type.kind === 'string' || arg.type.kind === 'null') return castTo(arg, DOUBLE);
      return isNumeric(arg.type) ? arg : undefined;
    case 'integral':
      if (arg.type.kind === 'string' || arg.type.kind === 'null') return castTo(arg, BIGINT);
      return isIntegral(arg.type) ? arg : undefined;
    case 'array':
    case 'map':
      if (arg.type.kind === 'null') return castTo(arg, emptyTypes[family]);
      return arg.type.kind === family ? arg : undefined;
    case 'struct':
      return arg.type.kind === family ? arg : undefined;
  }
}

/** What NULL is where an array or map stands. */
const emptyTypes: Record<'array' | 'map', DataType> = {
  array: { kind: 'array', element: NULL, containsNull: true },
  map: { kind: 'map', key: NULL, value: NULL, valueContainsNull: true },
};

/** Fits arguments to parameters; the last `optional` parameters may be missing, `rest` takes all that follow. */
export function fitAll(
  args: readonly Expr[],
  params: readonly Param[],
  optional = 0,
  rest?: Param,
): readonly Expr[] | Complaint {
  const least = params.length - optional;
  if (args.length < least || (rest === undefined && args.length > params.length)) {
    return {
      complaint: `takes ${countText(least, rest === undefined ? params.length : Infinity)}, not ${args.length}`,
    };
  }
  const fitted: Expr[] = [];
  for (const [index, arg] of args.entries()) {
    const outcome = fit(arg, params[index] ?? rest ?? 'any');
    if ('complaint' in outcome) return { ...outcome, arg: index };
    fitted.push(outcome);
  }
  return fitted;
}

function countText(least: number, most: number): string {
  const arguments_ = (count: number): string => (count === 1 ? '1 argument' : `${count} arguments`);
  if (least === most) return arguments_(least);
  return most === Infinity ? `at least ${arguments_(least)}` : `${least} to ${arguments_(most)}`;
}

/** All arguments from `first` on, cast to the one type they have in common. */
export function unify(
  args: readonly Expr[],
  first = 0,
): { readonly args: readonly Expr[]; readonly type: DataType } | Complaint {
  let type: DataType = NULL;
  for (let index = first; index < args.length; index++) {
    const arg = args[index] as Expr;
    const common = commonType(type, arg.type);
    if (common === undefined) {
      return {
        complaint: `takes values of one type, but ${formatType(arg.type)} does not go with ${formatType(type)}`,
        arg: index,
      };
    }
    type = common;
  }
  return { args: args.map((arg, index) => (index < first ? arg : castTo(arg, type))), type };
}

/** Digits of a whole-number literal. */
export function literalDigits(arg: Expr): { readonly precision: number; readonly scale: number } | undefined {
  if (arg.kind !== 'literal' || arg.value === null || !isIntegral(arg.type)) return undefined;
  return { precision: String(arg.value).replace('-', '').length, scale: 0 };
}

export function anyNullable(args: readonly Expr[]): boolean {
  return args.some((arg) => arg.nullable);
}

interface Basics {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group: FunctionGroup;
  readonly usage: string;
  readonly about: string;
}

type ResultType = DataType | ((args: readonly Expr[]) => DataType | Complaint);

interface StrictSpec extends Basics {
  readonly params: readonly Param[];
  readonly optional?: number;
  readonly rest?: Param;
  readonly returns: ResultType;
  /** May be NULL though no argument is. */
  readonly mayBeNull?: boolean;
  readonly perRecord?: boolean;
  /** May raise for a record. */
  readonly fails?: boolean;
}

function typingOf(spec: StrictSpec): FunctionDef['type'] {
  return (given) => {
    const args = fitAll(given, spec.params, spec.optional ?? 0, spec.rest);
    if ('complaint' in args) return args;
    const type = typeof spec.returns === 'function' ? spec.returns(args) : spec.returns;
    if ('complaint' in type) return type;
    return { args, type, nullable: spec.mayBeNull === true || anyNullable(args) };
  };
}

/** A function that is NULL when an argument is; `body` writes its code over arguments that are there. */
export function strictFunction(
  spec: StrictSpec & { readonly body: (g: Gen, vals: readonly Val[], call: CallExpr) => Result },
): FunctionDef {
  return {
    ...basicsOf(spec),
    perRecord: spec.perRecord ?? false,
    deterministic: true,
    type: typingOf(spec),
    emit(g, call) {
      if (spec.fails === true) g.fails();
      return g.strict(call.args, call.type, (vals) => spec.body(g, vals, call), { mayBeNull: spec.mayBeNull === true });
    },
  };
}

/**
 * A function over boxed JS values that is NULL when an argument is. `call` gives null for NULL (say `mayBeNull`) and
 * may raise. `extra` adds constants known when the call is compiled (types, time zone).
 */
export function valueFunction(
  spec: StrictSpec & {
    readonly call: (...args: never[]) => unknown;
    readonly extra?: (call: CallExpr) => readonly unknown[];
  },
): FunctionDef {
  return strictFunction({
    fails: true,
    ...spec,
    body: (g, vals, call) => {
      const extra = (spec.extra?.(call) ?? []).map((value) => g.constant(value));
      return { boxed: `${g.fn(spec.call)}(${[...vals.map((val) => g.boxed(val)), ...extra].join(', ')})` };
    },
  });
}

/** A function over boxed JS values that sees NULLs as null. */
export function nullAwareFunction(
  spec: Basics & {
    readonly type: FunctionDef['type'];
    readonly call: (...args: never[]) => unknown;
    readonly extra?: (call: CallExpr) => readonly unknown[];
  },
): FunctionDef {
  return {
    ...basicsOf(spec),
    perRecord: false,
    deterministic: true,
    type: spec.type,
    emit(g, call) {
      g.fails();
      const args = call.args.map((arg) => g.boxedOrNull(g.expr(arg)));
      const extra = (spec.extra?.(call) ?? []).map((value) => g.constant(value));
      return g.fromBoxed(call.type, `${g.fn(spec.call)}(${[...args, ...extra].join(', ')})`, call.nullable);
    },
  };
}

/** A function that writes its own code. */
export function customFunction(
  spec: Basics & {
    readonly type: FunctionDef['type'];
    readonly emit: FunctionDef['emit'];
    readonly perRecord?: boolean;
  },
): FunctionDef {
  return {
    ...basicsOf(spec),
    perRecord: spec.perRecord ?? false,
    deterministic: true,
    type: spec.type,
    emit: spec.emit,
  };
}

function basicsOf({
  name,
  aliases = [],
  group,
  usage,
  about,
}: Basics): Pick<FunctionDef, 'name' | 'aliases' | 'group' | 'usage' | 'about'> {
  return { name, aliases, group, usage, about };
}
