/**
 * Which types turn into which, after Spark's ANSI rules (org.apache.spark.sql.catalyst.analysis.AnsiTypeCoercion,
 * Cast.canAnsiCast, DecimalPrecisionTypeCoercion).
 */
import type { CastMode, Expr } from '../../core/ast.ts';
import type { DataType } from '../../core/types.ts';

export const BOOLEAN: DataType = { kind: 'boolean' };
export const INT: DataType = { kind: 'int' };
export const BIGINT: DataType = { kind: 'bigint' };
export const FLOAT: DataType = { kind: 'float' };
export const DOUBLE: DataType = { kind: 'double' };
export const STRING: DataType = { kind: 'string' };
export const BINARY: DataType = { kind: 'binary' };
export const DATE: DataType = { kind: 'date' };
export const TIMESTAMP: DataType = { kind: 'timestamp' };
export const NULL: DataType = { kind: 'null' };

const DECIMAL_PRECISION_MAX = 38;
/** Scale that a result of arithmetic keeps when its digits do not fit. */
const DECIMAL_SCALE_KEPT = 6;

const integralWidth: Partial<Record<DataType['kind'], number>> = { tinyint: 1, smallint: 2, int: 3, bigint: 4 };
const integralDigits: Partial<Record<DataType['kind'], number>> = { tinyint: 3, smallint: 5, int: 10, bigint: 20 };

export function isIntegral(type: DataType): boolean {
  return integralWidth[type.kind] !== undefined;
}

export function isFractional(type: DataType): boolean {
  return type.kind === 'float' || type.kind === 'double';
}

export function isNumeric(type: DataType): boolean {
  return isIntegral(type) || isFractional(type) || type.kind === 'decimal';
}

function isAtomic(type: DataType): boolean {
  return (
    type.kind !== 'array' &&
    type.kind !== 'map' &&
    type.kind !== 'struct' &&
    type.kind !== 'null' &&
    type.kind !== 'interval'
  );
}

/** Equal but for what says whether parts may be null, and for the names of struct fields in other case. */
function sameType(a: DataType, b: DataType): boolean {
  if (a.kind === 'decimal' && b.kind === 'decimal') return a.precision === b.precision && a.scale === b.scale;
  if (a.kind === 'array' && b.kind === 'array') return sameType(a.element, b.element);
  if (a.kind === 'map' && b.kind === 'map') return sameType(a.key, b.key) && sameType(a.value, b.value);
  if (a.kind === 'struct' && b.kind === 'struct') {
    return (
      a.fields.length === b.fields.length &&
      a.fields.every((field, index) => {
        const other = b.fields[index];
        return (
          other !== undefined &&
          field.name.toLowerCase() === other.name.toLowerCase() &&
          sameType(field.type, other.type)
        );
      })
    );
  }
  if (a.kind === 'interval' && b.kind === 'interval') return a.unit === b.unit;
  return a.kind === b.kind;
}

/** A decimal type of at most 38 digits: when too long, digits behind the point go first, but 6 of them stay. */
export function boundedDecimal(precision: number, scale: number): DataType {
  if (precision <= DECIMAL_PRECISION_MAX) return { kind: 'decimal', precision, scale };
  const whole = precision - scale;
  const kept = Math.max(DECIMAL_PRECISION_MAX - whole, Math.min(scale, DECIMAL_SCALE_KEPT));
  return { kind: 'decimal', precision: DECIMAL_PRECISION_MAX, scale: kept };
}

/** The decimal that holds every value of an integral type, or the decimal itself. */
export function asDecimal(type: DataType): { readonly precision: number; readonly scale: number } | undefined {
  if (type.kind === 'decimal') return type;
  const digits = integralDigits[type.kind];
  return digits === undefined ? undefined : { precision: digits, scale: 0 };
}

/** The decimal both decimals widen to. */
function widerDecimal(
  a: { readonly precision: number; readonly scale: number },
  b: { readonly precision: number; readonly scale: number },
): DataType {
  const scale = Math.max(a.scale, b.scale);
  const whole = Math.max(a.precision - a.scale, b.precision - b.scale);
  return boundedDecimal(whole + scale, scale);
}

/** The type that both turn into without loss of meaning (comparisons, CASE, UNION, array), or undefined. */
export function commonType(a: DataType, b: DataType): DataType | undefined {
  if (a.kind === 'null') return b;
  if (b.kind === 'null') return a;
  if (isNumeric(a) && isNumeric(b)) return commonNumeric(a, b);
  if (a.kind === 'string' && b.kind === 'string') return a;
  if (a.kind === 'string') return promotedString(b);
  if (b.kind === 'string') return promotedString(a);
  if ((a.kind === 'date' && b.kind === 'timestamp') || (a.kind === 'timestamp' && b.kind === 'date')) return TIMESTAMP;
  if (a.kind === 'array' && b.kind === 'array') {
    const element = commonType(a.element, b.element);
    return element && { kind: 'array', element, containsNull: a.containsNull || b.containsNull };
  }
  if (a.kind === 'map' && b.kind === 'map') {
    const key = commonType(a.key, b.key);
    const value = commonType(a.value, b.value);
    return key && value && { kind: 'map', key, value, valueContainsNull: a.valueContainsNull || b.valueContainsNull };
  }
  if (a.kind === 'struct' && b.kind === 'struct') {
    if (a.fields.length !== b.fields.length) return undefined;
    const fields = a.fields.map((field, index) => {
      const other = b.fields[index];
      const type = other === undefined ? undefined : commonType(field.type, other.type);
      return type && { name: field.name, type, nullable: field.nullable || other?.nullable === true };
    });
    return fields.every((field) => field !== undefined) ? { kind: 'struct', fields } : undefined;
  }
  return sameType(a, b) ? a : undefined;
}

function commonNumeric(a: DataType, b: DataType): DataType {
  const aWidth = integralWidth[a.kind];
  const bWidth = integralWidth[b.kind];
  if (aWidth !== undefined && bWidth !== undefined) return aWidth >= bWidth ? a : b;
  if (a.kind === 'float' && b.kind === 'float') return a;
  // An integer or decimal beside a float becomes a double, so that no digits are lost.
  if (isFractional(a) || isFractional(b)) return DOUBLE;
  const left = asDecimal(a);
  const right = asDecimal(b);
  return left === undefined || right === undefined ? DOUBLE : widerDecimal(left, right);
}

/** What a string becomes beside a value of another type. */
function promotedString(other: DataType): DataType | undefined {
  if (isIntegral(other)) return BIGINT;
  if (isFractional(other) || other.kind === 'decimal') return DOUBLE;
  return isAtomic(other) ? other : undefined;
}

/** May a value of `from` stand where a function takes `to`? Numbers may lose digits, and raise where they do not fit. */
export function canImplicitlyCast(from: DataType, to: DataType): boolean {
  if (sameType(from, to) || from.kind === 'null') return true;
  if (isNumeric(from) && isNumeric(to)) return true;
  if (to.kind === 'string') return isAtomic(from);
  if (from.kind === 'string') return isAtomic(to);
  if (from.kind === 'date' && to.kind === 'timestamp') return true;
  if (from.kind === 'timestamp' && to.kind === 'date') return true;
  if (from.kind === 'array' && to.kind === 'array') return canImplicitlyCast(from.element, to.element);
  if (from.kind === 'map' && to.kind === 'map')
    return canImplicitlyCast(from.key, to.key) && canImplicitlyCast(from.value, to.value);
  if (from.kind === 'struct' && to.kind === 'struct') {
    return (
      from.fields.length === to.fields.length &&
      from.fields.every((field, index) => canImplicitlyCast(field.type, (to.fields[index] ?? field).type))
    );
  }
  return false;
}

/** Does every number of `from` have its equal, or nearest neighbour, in `to`? */
function isWider(from: DataType, to: DataType): boolean {
  const fromWidth = integralWidth[from.kind];
  const toWidth = integralWidth[to.kind];
  if (fromWidth !== undefined && toWidth !== undefined) return fromWidth <= toWidth;
  if (isFractional(to)) return isNumeric(from) && !(from.kind === 'double' && to.kind === 'float');
  const digits = asDecimal(from);
  if (to.kind !== 'decimal' || digits === undefined) return false;
  return to.scale >= digits.scale && to.precision - to.scale >= digits.precision - digits.scale;
}

/** May CAST(… AS …) be written at all? */
export function canCast(from: DataType, to: DataType): boolean {
  if (sameType(from, to) || from.kind === 'null') return true;
  if (to.kind === 'string') return true;
  if (from.kind === 'interval') return isIntegral(to) || to.kind === 'decimal';
  if (from.kind === 'array' && to.kind === 'array') return canCast(from.element, to.element);
  if (from.kind === 'map' && to.kind === 'map') return canCast(from.key, to.key) && canCast(from.value, to.value);
  if (from.kind === 'struct' && to.kind === 'struct') {
    return (
      from.fields.length === to.fields.length &&
      from.fields.every((field, index) => canCast(field.type, (to.fields[index] ?? field).type))
    );
  }
  if (!isAtomic(from) || !isAtomic(to)) return false;
  if (from.kind === 'string') return true;
  if (isNumeric(from)) return isNumeric(to) || to.kind === 'boolean' || to.kind === 'timestamp';
  if (from.kind === 'boolean') return isNumeric(to);
  if (from.kind === 'date') return to.kind === 'timestamp';
  if (from.kind === 'timestamp') return to.kind === 'date' || isNumeric(to);
  return false;
}

/** Casts that never raise, whatever the value. */
export function castNeverFails(from: DataType, to: DataType): boolean {
  if (from.kind === 'null' || to.kind === 'string' || to.kind === 'boolean')
    return from.kind !== 'string' || to.kind === 'string';
  if (from.kind === 'array' && to.kind === 'array') return castNeverFails(from.element, to.element);
  if (from.kind === 'date' && to.kind === 'timestamp') return true;
  if (from.kind === 'timestamp' && to.kind === 'date') return true;
  if (from.kind === 'timestamp' && (to.kind === 'bigint' || isFractional(to))) return true;
  if (from.kind === 'string') return to.kind === 'binary';
  if (isNumeric(from) && isFractional(to)) return true;
  if (to.kind === 'binary') return true;
  if (isIntegral(from) && to.kind === 'timestamp') return from.kind !== 'bigint';
  if (from.kind === 'boolean') return to.kind !== 'decimal' || to.precision > to.scale;
  return sameType(from, to) || isWider(from, to);
}

/** The expression as `to`; the same object where it has that type. */
export function castTo(expr: Expr, to: DataType, mode: CastMode = 'ansi'): Expr {
  if (sameType(expr.type, to)) return expr;
  // NaN and the infinities are no decimals: NULL in every mode.
  const mayVanish = to.kind === 'decimal' && isFractional(expr.type);
  const nullable = expr.nullable || mayVanish || (mode === 'try' && !castNeverFails(expr.type, to));
  return { kind: 'cast', type: to, nullable, input: expr, mode };
}

/** A cast between types whose columns hold the same bytes, so that a column can be passed on as it is. */
export function isFreeCast(from: DataType, to: DataType): boolean {
  if (sameType(from, to)) return true;
  if (from.kind === 'decimal' && to.kind === 'decimal') {
    return from.scale === to.scale && from.precision <= to.precision && from.precision <= 18 === to.precision <= 18;
  }
  if (isIntegral(from) && isIntegral(to)) return from.kind !== 'bigint' && to.kind !== 'bigint' && isWider(from, to);
  if (from.kind === 'float') return to.kind === 'double';
  return (from.kind === 'binary' && to.kind === 'string') || (from.kind === 'string' && to.kind === 'binary');
}

/** Can equal values of the type be found by their bytes? Maps have no order of their own. */
export function isGroupable(type: DataType): boolean {
  switch (type.kind) {
    case 'map':
    case 'interval':
      return false;
    case 'array':
      return isGroupable(type.element);
    case 'struct':
      return type.fields.every((field) => isGroupable(field.type));
    default:
      return true;
  }
}
