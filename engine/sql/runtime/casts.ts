/** Conversions between types after Spark's ANSI casts: what cannot be converted raises CAST_INVALID. */
import type { DataType } from '../../../core/types.ts';
import { unreachable } from '../../../core/assert.ts';
import type { BoxedMap, BoxedValue } from './boxed.ts';
import {
  checkByte,
  checkDecimal,
  checkInt,
  checkLong,
  checkShort,
  decimalToDouble,
  doubleToDecimal,
  doubleToInt,
  doubleToLong,
  formatDecimal,
  formatDouble,
  formatFloat,
  parseDecimal,
  powerOfTen,
  rescale,
} from './numbers.ts';
import { orNull, raiseCastInvalid } from './runtime.ts';
import {
  dateOfTimestamp,
  formatDate,
  formatInterval,
  formatTimestamp,
  parseDate,
  parseTimestamp,
  timestampOfDate,
} from './time.ts';
import type { TimeZone } from '../../scan/time-zone.ts';

const SECOND_US = 1_000_000;
const integerPattern = /^[+-]?\d+$/;

/** What Spark's trimAll takes away: white space and control characters at both ends. */
function trimAll(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code <= 0x20 || code === 0x7f;
}

export function parseInteger(input: string): bigint {
  const text = trimAll(input);
  if (!integerPattern.test(text) || text.length > 40) raiseCastInvalid();
  return BigInt(text.startsWith('+') ? text.slice(1) : text);
}

/** A whole number between the limits. Small ones take the short way. */
function parseNumberWithin(input: string, min: number, max: number): number {
  const text = trimAll(input);
  if (!integerPattern.test(text)) raiseCastInvalid();
  const value = Number(text);
  if (!(value >= min && value <= max)) raiseCastInvalid();
  return value + 0;
}

function parseLong(input: string): bigint {
  const value = parseInteger(input);
  if (BigInt.asIntN(64, value) !== value) raiseCastInvalid();
  return value;
}

const doublePattern = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[dDfF]?$/;
const specialDoubles = new Map([
  ['nan', Number.NaN],
  ['inf', Infinity],
  ['+inf', Infinity],
  ['infinity', Infinity],
  ['+infinity', Infinity],
  ['-inf', -Infinity],
  ['-infinity', -Infinity],
]);

export function parseDouble(input: string): number {
  const text = trimAll(input);
  if (doublePattern.test(text)) return Number(text.replace(/[dDfF]$/, ''));
  return specialDoubles.get(text.toLowerCase()) ?? raiseCastInvalid();
}

function parseBoolean(input: string): boolean {
  switch (trimAll(input).toLowerCase()) {
    case 't':
    case 'true':
    case 'y':
    case 'yes':
    case '1':
      return true;
    case 'f':
    case 'false':
    case 'n':
    case 'no':
    case '0':
      return false;
    default:
      return raiseCastInvalid();
  }
}

/** A value that is NULL only when it was before, as a value of another type. */
export function castValue(value: BoxedValue, from: DataType, to: DataType, zone: TimeZone): BoxedValue {
  if (value === null) return null;
  if (
    from.kind === to.kind &&
    from.kind !== 'decimal' &&
    from.kind !== 'array' &&
    from.kind !== 'map' &&
    from.kind !== 'struct'
  )
    return value;
  switch (to.kind) {
    case 'string':
      return castToString(value, from, zone);
    case 'boolean':
      return typeof value === 'string' ? parseBoolean(value) : Number(value) !== 0;
    case 'tinyint':
    case 'smallint':
    case 'int':
      return castToInt(value, from, to.kind);
    case 'bigint':
      return castToLong(value, from);
    case 'float':
      return Math.fround(castToDouble(value, from));
    case 'double':
      return castToDouble(value, from);
    case 'decimal':
      return castToDecimal(value, from, to.precision, to.scale);
    case 'date':
      return typeof value === 'string'
        ? (parseDate(value) ?? raiseCastInvalid())
        : dateOfTimestamp(value as number, zone);
    case 'timestamp':
      return castToTimestamp(value, from, zone);
    case 'binary':
      return typeof value === 'string' ? Buffer.from(value, 'utf8') : raiseCastInvalid();
    case 'array': {
      const element = from.kind === 'array' ? from.element : from;
      return (value as readonly BoxedValue[]).map((item) => castValue(item, element, to.element, zone));
    }
    case 'map': {
      if (from.kind !== 'map') return raiseCastInvalid();
      const map = value as BoxedMap;
      return {
        keys: map.keys.map((key) => castValue(key, from.key, to.key, zone)),
        values: map.values.map((item) => castValue(item, from.value, to.value, zone)),
      };
    }
    case 'struct': {
      if (from.kind !== 'struct') return raiseCastInvalid();
      const fields = value as readonly BoxedValue[];
      return to.fields.map((field, index) =>
        castValue(fields[index] ?? null, from.fields[index]?.type ?? field.type, field.type, zone),
      );
    }
    case 'null':
    case 'interval':
      return raiseCastInvalid();
    default:
      return unreachable(to);
  }
}

/**
 * The value as another type, NULL for what cannot be converted: elements of arrays, values of maps and fields of structs
 * each by itself. A key of a map that cannot be converted raises.
 */
export function tryCastValue(value: BoxedValue, from: DataType, to: DataType, zone: TimeZone): BoxedValue {
  if (value === null) return null;
  if (from.kind === 'array' && to.kind === 'array')
    return (value as readonly BoxedValue[]).map((item) => tryCastValue(item, from.element, to.element, zone));
  if (from.kind === 'map' && to.kind === 'map') {
    const { keys, values } = value as BoxedMap;
    return {
      keys: keys.map((key) => castValue(key, from.key, to.key, zone)),
      values: values.map((item) => tryCastValue(item, from.value, to.value, zone)),
    };
  }
  if (from.kind === 'struct' && to.kind === 'struct') {
    const fields = value as readonly BoxedValue[];
    return to.fields.map((field, index) =>
      tryCastValue(fields[index] ?? null, from.fields[index]?.type ?? field.type, field.type, zone),
    );
  }
  return castOrNull(value, from, to, zone);
}

const castOrNull = orNull(castValue);

const INT_RANGE: Readonly<Record<'tinyint' | 'smallint' | 'int', readonly [number, number]>> = {
  tinyint: [-128, 127],
  smallint: [-32768, 32767],
  int: [-2147483648, 2147483647],
};

/** A day-time interval in whole seconds, a year-month interval in months. */
function intervalNumber(value: number, unit: 'months' | 'microseconds'): number {
  return unit === 'months' ? value : Math.trunc(value / SECOND_US);
}

function castToInt(value: BoxedValue, from: DataType, to: 'tinyint' | 'smallint' | 'int'): number {
  if (typeof value === 'string') return parseNumberWithin(value, INT_RANGE[to][0], INT_RANGE[to][1]);
  let whole: number;
  if (from.kind === 'interval') return castToInt(intervalNumber(value as number, from.unit), { kind: 'int' }, to);
  if (typeof value === 'boolean') whole = value ? 1 : 0;
  else if (typeof value === 'bigint') whole = Number(from.kind === 'decimal' ? value / powerOfTen(from.scale) : value);
  else whole = doubleToInt(from.kind === 'timestamp' ? Math.floor((value as number) / SECOND_US) : (value as number));
  return to === 'int' ? checkInt(whole) : to === 'smallint' ? checkShort(whole) : checkByte(whole);
}

function castToLong(value: BoxedValue, from: DataType): bigint {
  if (typeof value === 'string') return parseLong(value);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'bigint') return checkLong(from.kind === 'decimal' ? value / powerOfTen(from.scale) : value);
  if (from.kind === 'interval') return BigInt(intervalNumber(value as number, from.unit));
  return doubleToLong(from.kind === 'timestamp' ? Math.floor((value as number) / SECOND_US) : (value as number));
}

function castToDouble(value: BoxedValue, from: DataType): number {
  if (typeof value === 'string') return parseDouble(value);
  if (typeof value === 'bigint') return from.kind === 'decimal' ? decimalToDouble(value, from.scale) : Number(value);
  return from.kind === 'timestamp' ? (value as number) / SECOND_US : Number(value);
}

function castToDecimal(value: BoxedValue, from: DataType, precision: number, scale: number): bigint | null {
  if (typeof value === 'string')
    return checkDecimal(parseDecimal(trimAll(value), scale) ?? raiseCastInvalid(), precision);
  if (typeof value === 'bigint')
    return checkDecimal(rescale(value, from.kind === 'decimal' ? from.scale : 0, scale), precision);
  if (typeof value === 'boolean') return checkDecimal(rescale(value ? 1n : 0n, 0, scale), precision);
  if (from.kind === 'timestamp' || (from.kind === 'interval' && from.unit === 'microseconds'))
    return checkDecimal(rescale(BigInt(value as number), 6, scale), precision);
  if (from.kind === 'float' || from.kind === 'double') return doubleToDecimal(value as number, precision, scale);
  return checkDecimal(rescale(BigInt(value as number), 0, scale), precision);
}

function castToTimestamp(value: BoxedValue, from: DataType, zone: TimeZone): number {
  if (typeof value === 'string') return parseTimestamp(value, zone) ?? raiseCastInvalid();
  if (typeof value === 'bigint')
    return from.kind === 'decimal' ? Number(rescale(value, from.scale, 6)) : Number(checkLong(value * 1_000_000n));
  if (from.kind === 'date') return timestampOfDate(value as number, zone);
  if (from.kind === 'float' || from.kind === 'double') {
    if (!Number.isFinite(value)) raiseCastInvalid();
    return Math.trunc((value as number) * SECOND_US);
  }
  return Number(value) * SECOND_US;
}

export function castToString(value: BoxedValue, from: DataType, zone: TimeZone): string {
  if (value === null) return 'null';
  switch (from.kind) {
    case 'string':
      return value as string;
    case 'float':
      return formatFloat(value as number);
    case 'double':
      return formatDouble(value as number);
    case 'decimal':
      return formatDecimal(value as bigint, from.scale);
    case 'date':
      return formatDate(value as number);
    case 'timestamp':
      return formatTimestamp(value as number, zone);
    case 'interval':
      return formatInterval(value as number, from.unit);
    case 'binary':
      return Buffer.from(value as Uint8Array).toString('utf8');
    case 'array':
      return `[${(value as readonly BoxedValue[]).map((item) => castToString(item, from.element, zone)).join(', ')}]`;
    case 'struct': {
      const fields = value as readonly BoxedValue[];
      return `{${from.fields.map((field, index) => castToString(fields[index] ?? null, field.type, zone)).join(', ')}}`;
    }
    case 'map': {
      const map = value as BoxedMap;
      const entries = map.keys.map(
        (key, index) =>
          `${castToString(key, from.key, zone)} -> ${castToString(map.values[index] ?? null, from.value, zone)}`,
      );
      return `{${entries.join(', ')}}`;
    }
    default:
      return String(value);
  }
}
