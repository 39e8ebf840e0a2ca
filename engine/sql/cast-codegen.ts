/** Code of CAST: short ways for what jobs do often, {@link castValue} for the rest. */
import type { Expr } from '../../core/ast.ts';
import type { DataType } from '../../core/types.ts';
import type { Gen, Result, Val } from './codegen.ts';
import { reprOf } from './repr.ts';
import { asDecimal, castNeverFails, isFractional, isIntegral } from './coercion.ts';
import { castValue, tryCastValue } from './runtime/casts.ts';
import { castTextToDate, castTextToTimestamp } from './runtime/time.ts';
import { checkByte, checkInt, checkLong, checkShort, doubleToInt, doubleToLong } from './runtime/numbers.ts';

export function emitCast(g: Gen, expr: Extract<Expr, { kind: 'cast' }>): Val {
  const { input, type: to } = expr;
  const from = input.type;
  if (from.kind === 'null') {
    g.expr(input);
    return g.nullVal(to);
  }
  const fails = !castNeverFails(from, to);
  if (fails && expr.mode === 'ansi') g.fails();
  const code = (val: Val): Result =>
    (expr.mode === 'try' ? partsOf(g, val, from, to) : null) ?? castCode(g, val, from, to);
  return g.strict([input], to, ([val]) => code(val as Val), {
    mayBeNull: to.kind === 'decimal' && isFractional(from),
    guarded: fails && expr.mode === 'try',
  });
}

/** try_cast of values with parts: each is tried by itself. */
function partsOf(g: Gen, val: Val, from: DataType, to: DataType): Result | null {
  if (to.kind !== 'array' && to.kind !== 'map' && to.kind !== 'struct') return null;
  return { boxed: `${g.fn(tryCastValue)}(${g.boxed(val)}, ${g.constant(from)}, ${g.constant(to)}, rt.zone)` };
}

function castCode(g: Gen, val: Val, from: DataType, to: DataType): Result {
  return (
    shortWay(g, val, from, to) ?? {
      boxed: `${g.fn(castValue)}(${g.boxed(val)}, ${g.constant(from)}, ${g.constant(to)}, rt.zone)`,
    }
  );
}

function shortWay(g: Gen, val: Val, from: DataType, to: DataType): Result | undefined {
  if ((from.kind === 'binary' && to.kind === 'string') || (from.kind === 'string' && to.kind === 'binary')) {
    return { same: { ...val, type: to } };
  }
  if (from.kind === 'string' && to.kind === 'date') return { value: `${g.fn(castTextToDate)}(${g.bytes(val)})` };
  if (from.kind === 'string' && to.kind === 'timestamp')
    return { value: `${g.fn(castTextToTimestamp)}(${g.bytes(val)}, rt.zone)` };
  if (to.kind === 'decimal') return toWiderDecimal(g, val, from, to);
  if (isIntegral(from) || isFractional(from)) return numberToNumber(g, val, from, to);
  if (from.kind === 'boolean' && isIntegral(to))
    return { value: reprOf(to) === 'big' ? `(${val.v} ? 1n : 0n)` : `(${val.v} ? 1 : 0)` };
  return undefined;
}

/** A whole number or decimal as a decimal that has room for all of its digits. */
function toWiderDecimal(
  g: Gen,
  val: Val,
  from: DataType,
  to: Extract<DataType, { kind: 'decimal' }>,
): Result | undefined {
  const own = asDecimal(from);
  if (own === undefined || to.scale < own.scale) return undefined;
  if (to.precision - to.scale < own.precision - own.scale) return undefined;
  const value = reprOf(from) === 'big' ? val.v : `BigInt(${val.v})`;
  const shift = to.scale - own.scale;
  return { value: shift === 0 ? value : `${value} * ${g.constant(10n ** BigInt(shift))}` };
}

const checks = { tinyint: checkByte, smallint: checkShort, int: checkInt } as const;
const widths: Partial<Record<DataType['kind'], number>> = { tinyint: 1, smallint: 2, int: 3, bigint: 4 };

function numberToNumber(g: Gen, val: Val, from: DataType, to: DataType): Result | undefined {
  const plain = from.kind === 'bigint' ? `Number(${val.v})` : val.v;
  switch (to.kind) {
    case 'boolean':
      return { value: from.kind === 'bigint' ? `${val.v} !== 0n` : `${val.v} !== 0` };
    case 'double':
      return { value: plain };
    case 'float':
      return { value: `Math.fround(${plain})` };
    case 'bigint':
      if (isFractional(from)) return { value: `${g.fn(doubleToLong)}(${val.v})` };
      return { value: from.kind === 'bigint' ? `${g.fn(checkLong)}(${val.v})` : `BigInt(${val.v})` };
    case 'tinyint':
    case 'smallint':
    case 'int': {
      if (isFractional(from)) return { value: `${g.fn(checks[to.kind])}(${g.fn(doubleToInt)}(${val.v}))` };
      if ((widths[from.kind] ?? 9) <= (widths[to.kind] ?? 0)) return { value: val.v };
      return { value: `${g.fn(checks[to.kind])}(${plain})` };
    }
    default:
      return undefined;
  }
}
