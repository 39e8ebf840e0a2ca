/** What functions over arrays and maps share: types of their arguments, and definitions in short. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import { commonType, NULL } from '../coercion.ts';
import {
  type Complaint,
  customFunction,
  type FunctionDef,
  type Param,
  type Typing,
  valueFunction,
} from '../function-table.ts';

export type ArrayType = Extract<DataType, { kind: 'array' }>;
export type MapType = Extract<DataType, { kind: 'map' }>;

export const arrayOf = (element: DataType, containsNull: boolean): ArrayType => ({
  kind: 'array',
  element,
  containsNull,
});

/** The type of an argument that is an array; NULL is one of NULLs. */
export function arrayType(expr: Expr | undefined): ArrayType {
  return expr?.type.kind === 'array' ? expr.type : arrayOf(NULL, true);
}

/** The type of an argument that is a map; NULL is one of NULLs. */
export function mapType(expr: Expr | undefined): MapType {
  return expr?.type.kind === 'map' ? expr.type : { kind: 'map', key: NULL, value: NULL, valueContainsNull: true };
}

/** Types of results: that of the first argument, that of its elements. */
export const same = ([list]: readonly Expr[]): DataType => list?.type ?? NULL;
export const elementOf = ([list]: readonly Expr[]): DataType => arrayType(list).element;

/** The type in which two values are compared; texts go with texts only. */
export function comparableType(a: DataType, b: DataType): DataType | undefined {
  if ((a.kind === 'string') !== (b.kind === 'string') && a.kind !== 'null' && b.kind !== 'null') return undefined;
  return commonType(a, b);
}

interface FittedSpec {
  readonly name: string;
  readonly usage: string;
  readonly about: string;
  readonly params: readonly Param[];
  readonly returns: (args: readonly Expr[]) => DataType | Complaint;
  readonly mayBeNull?: boolean;
  readonly optional?: number;
  readonly call: (...args: never[]) => unknown;
  /** Constants behind the arguments. */
  readonly extra?: (args: readonly Expr[]) => readonly unknown[];
}

/** A strict function of arrays and maps whose parameters are fitted one by one. */
export function fittedFunction({ extra, ...spec }: FittedSpec): FunctionDef {
  return valueFunction({
    ...spec,
    group: 'nested',
    ...(extra === undefined ? {} : { extra: (call) => extra(call.args) }),
  });
}

/** A strict function over boxed values with a typing of its own. */
export function typedFunction(spec: {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly about: string;
  readonly mayBeNull: boolean;
  readonly type: (args: readonly Expr[]) => Typing | Complaint;
  readonly call: (...args: never[]) => unknown;
  /** So many arguments make the result NULL when they are; the others come as null. All of them unless told. */
  readonly strictCount?: number;
}): FunctionDef {
  return customFunction({
    name: spec.name,
    aliases: spec.aliases ?? [],
    group: 'nested',
    usage: spec.usage,
    about: spec.about,
    type: spec.type,
    emit(g, call) {
      g.fails();
      const strictArgs = call.args.slice(0, spec.strictCount);
      const otherArgs = call.args.slice(strictArgs.length);
      return g.strict(
        strictArgs,
        call.type,
        (vals) => {
          const others = otherArgs.map((arg) => g.boxedOrNull(g.expr(arg)));
          return { boxed: `${g.fn(spec.call)}(${[...vals.map((val) => g.boxed(val)), ...others].join(', ')})` };
        },
        { mayBeNull: spec.mayBeNull },
      );
    },
  });
}
