/**
 * CQL values (native protocol v4, §6 "data types") to and from what people read and type. The bytes are those of bind
 * values and of cells: the same on Cassandra, on embedded tables and in a RowBlock.
 *
 * Printable values are what JSON carries: numbers where a double holds them exactly, else text; timestamps, dates and
 * times as ISO text; uuids, inets and decimals as text; blobs as `0x…`; lists, sets and tuples as arrays; maps and
 * user-defined types as objects.
 */
import { WeirError } from '../errors.ts';
import { formatCqlType, type CqlScalar, type CqlType } from './schema.ts';

const MS_PER_DAY = 86_400_000;
const NANOS_PER_SECOND = 1_000_000_000n;
/** A CQL date counts days from here, so that 1970-01-01 is 2^31. */
const DATE_EPOCH = 2 ** 31;
/** The largest distance from 1970 a JavaScript date can express, ms. */
const DATE_MS_MAX = 8.64e15;

const utf8 = new TextDecoder('utf-8');
const utf8Encoder = new TextEncoder();

// ------------------------------------------------------------------------------------------------ bytes to printable

/**
 * The value that `bytes` are, printable as JSON; null for null. An empty value of a type that is never empty is null,
 * as cqlsh shows it.
 *
 * Throws: RangeError when the bytes cannot be of this type.
 */
export function decodeValue(type: CqlType, bytes: Uint8Array | null): unknown {
  if (bytes === null) return null;
  switch (type.kind) {
    case 'list':
    case 'set':
      return readElements(bytes).map((element) => decodeValue(type.element, element));
    case 'map':
      return decodeMap(type.key, type.value, bytes);
    case 'tuple':
      return readFields(bytes, type.elements.length).map((field, index) => decodeValue(type.elements[index]!, field));
    case 'udt': {
      const fields = readFields(bytes, type.fields.length);
      return Object.fromEntries(
        type.fields.map((field, index) => [field.name, decodeValue(field.type, fields[index] ?? null)]),
      );
    }
    case 'custom':
      return hex(bytes);
    default:
      return decodeScalar(type.kind, bytes);
  }
}

function decodeScalar(kind: CqlScalar, bytes: Uint8Array): unknown {
  if (kind === 'text' || kind === 'ascii') return utf8.decode(bytes);
  if (kind === 'blob') return hex(bytes);
  if (bytes.byteLength === 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (kind) {
    case 'boolean':
      return bytes[0] !== 0;
    case 'tinyint':
      return view.getInt8(0);
    case 'smallint':
      return view.getInt16(0);
    case 'int':
      return view.getInt32(0);
    case 'bigint':
    case 'counter':
      return printableInteger(view.getBigInt64(0));
    case 'varint':
      return printableInteger(readVarint(bytes));
    case 'decimal':
      return formatDecimal(readVarint(bytes.subarray(4)), view.getInt32(0));
    case 'float':
      return printableFloat(shortestFloat32(view.getFloat32(0)));
    case 'double':
      return printableFloat(view.getFloat64(0));
    case 'timestamp':
      return formatTimestamp(view.getBigInt64(0));
    case 'date':
      return formatDate(view.getUint32(0) - DATE_EPOCH);
    case 'time':
      return formatTime(view.getBigInt64(0));
    case 'uuid':
    case 'timeuuid':
      return formatUuid(bytes);
    case 'inet':
      return formatInet(bytes);
  }
}

function decodeMap(keyType: CqlType, valueType: CqlType, bytes: Uint8Array): unknown {
  const entries: [string, unknown][] = [];
  const items = readElements(bytes, 2);
  for (let index = 0; index < items.length; index += 2) {
    const key = decodeValue(keyType, items[index] ?? null);
    entries.push([
      typeof key === 'string' ? key : JSON.stringify(key),
      decodeValue(valueType, items[index + 1] ?? null),
    ]);
  }
  // Own properties whatever the key is called, so `__proto__` is a key like any other.
  return Object.fromEntries(entries);
}

/** Elements of a collection: i32 count, then a `[value]` each (`perItem` of them for each counted item). */
function readElements(bytes: Uint8Array, perItem = 1): (Uint8Array | null)[] {
  if (bytes.byteLength === 0) return [];
  const count = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(0) * perItem;
  if (count * 4 > bytes.byteLength - 4)
    throw new RangeError(`a collection of ${bytes.byteLength} bytes cannot hold ${count} values`);
  return readSequence(bytes, 4, count);
}

/** Fields of a tuple or user-defined type; those added to the type after the value was written are null. */
function readFields(bytes: Uint8Array, count: number): (Uint8Array | null)[] {
  return readSequence(bytes, 0, count);
}

function readSequence(bytes: Uint8Array, start: number, count: number): (Uint8Array | null)[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: (Uint8Array | null)[] = [];
  for (let at = start; values.length < count;) {
    if (at >= bytes.byteLength) {
      values.push(null);
      continue;
    }
    const length = view.getInt32(at);
    at += 4;
    if (at + Math.max(0, length) > bytes.byteLength) throw new RangeError('a collection ends within a value');
    values.push(length < 0 ? null : bytes.subarray(at, at + length));
    at += Math.max(0, length);
  }
  return values;
}

function printableInteger(value: bigint): number | string {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value.toString();
}

/** JSON has no NaN and no infinities, and would turn -0 into 0. */
function printableFloat(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** The number with the fewest digits that rounds to the same float, so that 0.1f prints as 0.1. */
function shortestFloat32(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}

function readVarint(bytes: Uint8Array): bigint {
  const unsigned = BigInt(bytes.byteLength === 0 ? 0 : hex(bytes));
  return BigInt.asIntN(bytes.byteLength * 8, unsigned);
}

/** The exact value as plain digits; from 400 digits on with an exponent, as a hostile scale would print for ever. */
function formatDecimal(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? '-' : '';
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString();
  if (Math.abs(scale) > 400) return `${sign}${digits}E${-scale}`;
  if (scale <= 0) return unscaled === 0n ? '0' : `${sign}${digits}${'0'.repeat(-scale)}`;
  const padded = digits.padStart(scale + 1, '0');
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

function formatTimestamp(ms: bigint): string {
  const number = Number(ms);
  return Math.abs(number) <= DATE_MS_MAX ? new Date(number).toISOString() : `${ms} ms`;
}

function formatDate(days: number): string {
  const ms = days * MS_PER_DAY;
  if (Math.abs(ms) > DATE_MS_MAX) return `${days} days`;
  const text = new Date(ms).toISOString();
  return text.slice(0, text.indexOf('T'));
}

function formatTime(nanos: bigint): string {
  const seconds = Number(nanos / NANOS_PER_SECOND);
  const two = (value: number): string => String(value).padStart(2, '0');
  const fraction = String(nanos % NANOS_PER_SECOND).padStart(9, '0');
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${fraction}`;
}

function formatUuid(bytes: Uint8Array): string {
  const digits = hex(bytes).slice(2);
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
}

function formatInet(bytes: Uint8Array): string {
  if (bytes.byteLength === 4) return bytes.join('.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const groups: string[] = [];
  for (let at = 0; at < bytes.byteLength; at += 2) groups.push(view.getUint16(at).toString(16));
  // RFC 5952: the longest run of two or more zero groups becomes "::".
  const runs = [...groups.join(':').matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const text = groups.join(':');
  const run = runs[0];
  if (run === undefined) return text;
  const before = text.slice(0, run.index);
  const after = text.slice(run.index + run[0].length);
  return `${before}::${after.replace(/^:/, '')}`;
}

function hex(bytes: Uint8Array): string {
  let text = '0x';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

// ------------------------------------------------------------------------------------------------ printable to bytes

/**
 * Bytes of a printable value: the inverse of {@link decodeValue}; bigints and bytes are taken too. null gives null.
 *
 * Throws: SQL_SEMANTIC when the value is not one of the type.
 */
export function encodeValue(type: CqlType, value: unknown): Uint8Array | null {
  if (value === null) return null;
  switch (type.kind) {
    case 'list':
    case 'set':
      return writeElements(expectArray(type, value).map((element) => encodeValue(type.element, element)));
    case 'map':
      return writeElements(
        Object.entries(expectObject(type, value)).flatMap(([key, item]) => [
          encodeValue(type.key, mapKey(type.key, key)),
          encodeValue(type.value, item),
        ]),
        2,
      );
    case 'tuple':
      return writeSequence(
        expectArray(type, value).map((element, index) =>
          encodeValue(type.elements[index] ?? misfit(type, value), element),
        ),
      );
    case 'udt': {
      const fields = new Map(Object.entries(expectObject(type, value)));
      return writeSequence(type.fields.map((field) => encodeValue(field.type, fields.get(field.name) ?? null)));
    }
    case 'custom':
      return value instanceof Uint8Array ? value : (parseBlob(String(value)) ?? misfit(type, value));
    default:
      return encodeScalar(type.kind, value) ?? misfit(type, value);
  }
}

/** A constant of a CQL text, as its parser found it. */
export type CqlLiteral =
  | { readonly kind: 'string'; readonly text: string }
  /** Digits as written: `12`, `-1.50`, `1e3`, `NaN`, `Infinity`. */
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'uuid'; readonly text: string }
  /** `0x…`. */
  | { readonly kind: 'blob'; readonly text: string }
  | { readonly kind: 'null' };

const literalKinds: Readonly<Record<CqlLiteral['kind'], readonly CqlScalar[]>> = {
  string: ['ascii', 'text', 'timestamp', 'date', 'time', 'inet'],
  number: [
    'tinyint',
    'smallint',
    'int',
    'bigint',
    'counter',
    'varint',
    'decimal',
    'float',
    'double',
    'timestamp',
    'date',
    'time',
  ],
  boolean: ['boolean'],
  uuid: ['uuid', 'timeuuid'],
  blob: ['blob'],
  null: [],
};

/**
 * Bytes of a constant compared with or written to a column of `type`; null for NULL. Which constant suits which type is
 * Cassandra's rule: a uuid has no quotes, a timestamp may be text or ms.
 *
 * Throws: SQL_SEMANTIC when it does not suit.
 */
export function encodeLiteral(type: CqlType, literal: CqlLiteral): Uint8Array | null {
  if (literal.kind === 'null') return null;
  const text = literal.kind === 'boolean' ? String(literal.value) : literal.text;
  if (!(literalKinds[literal.kind] as readonly string[]).includes(type.kind))
    misfit(type, literal.kind === 'string' ? `'${text}'` : text);
  if (type.kind === 'date' && literal.kind === 'number') {
    // A bare number is what is stored: days with 1970-01-01 in the middle.
    const days = parseInteger(text) ?? misfit(type, text);
    return encodeScalar('date', days - BigInt(DATE_EPOCH)) ?? misfit(type, text);
  }
  if (literal.kind === 'boolean') return encodeValue(type, literal.value);
  return encodeValue(type, text);
}

/** undefined when the value is none of the kind. Text is read as people write the kind. */
function encodeScalar(kind: CqlScalar, value: unknown): Uint8Array | undefined {
  switch (kind) {
    case 'text':
      return typeof value === 'string' ? utf8Encoder.encode(value) : undefined;
    case 'ascii':
      return typeof value === 'string' && isAscii(value) ? utf8Encoder.encode(value) : undefined;
    case 'blob':
      return value instanceof Uint8Array ? value : typeof value === 'string' ? parseBlob(value) : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? Uint8Array.of(value ? 1 : 0) : undefined;
    case 'tinyint':
      return fixedInteger(value, 1);
    case 'smallint':
      return fixedInteger(value, 2);
    case 'int':
      return fixedInteger(value, 4);
    case 'bigint':
    case 'counter':
      return fixedInteger(value, 8);
    case 'varint': {
      const integer = parseInteger(value);
      return integer === undefined ? undefined : writeVarint(integer);
    }
    case 'decimal':
      return encodeDecimal(value);
    case 'float':
    case 'double':
      return encodeFloat(kind, value);
    case 'timestamp':
      return fixedInteger(typeof value === 'string' ? parseTimestamp(value) : value, 8);
    case 'date':
      return encodeDate(value);
    case 'time':
      return encodeTime(value);
    case 'uuid':
    case 'timeuuid':
      return typeof value === 'string' ? parseUuid(value) : undefined;
    case 'inet':
      return typeof value === 'string' ? parseInet(value) : undefined;
  }
}

function misfit(type: CqlType, value: unknown): never {
  const shown =
    typeof value === 'string'
      ? value
      : JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item));
  throw new WeirError(
    'SQL_SEMANTIC',
    `${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown} is not a value of the CQL type ${formatCqlType(type)}.`,
  );
}

function expectArray(type: CqlType, value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : misfit(type, value);
}

function expectObject(type: CqlType, value: unknown): object {
  return typeof value === 'object' && value !== null ? value : misfit(type, value);
}

/** Keys of printable maps are text; those that were not text were written as JSON. */
function mapKey(type: CqlType, key: string): unknown {
  switch (type.kind) {
    case 'boolean':
      return key === 'true' ? true : key === 'false' ? false : key;
    case 'list':
    case 'set':
    case 'map':
    case 'tuple':
    case 'udt':
      return JSON.parse(key) as unknown;
    default:
      return key;
  }
}

function writeElements(values: readonly (Uint8Array | null)[], perItem = 1): Uint8Array {
  const count = new Uint8Array(4);
  new DataView(count.buffer).setInt32(0, values.length / perItem);
  return concatBytes([count, writeSequence(values)]);
}

function writeSequence(values: readonly (Uint8Array | null)[]): Uint8Array {
  return concatBytes(
    values.flatMap((value) => {
      const length = new Uint8Array(4);
      new DataView(length.buffer).setInt32(0, value === null ? -1 : value.byteLength);
      return value === null ? [length] : [length, value];
    }),
  );
}

function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) return false;
  return true;
}

function parseInteger(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value === 'string' && /^-?\d{1,1000}$/.test(value)) return BigInt(value);
  return undefined;
}

function fixedInteger(value: unknown, byteCount: 1 | 2 | 4 | 8): Uint8Array | undefined {
  const integer = parseInteger(value);
  if (integer === undefined || BigInt.asIntN(byteCount * 8, integer) !== integer) return undefined;
  const eight = new Uint8Array(8);
  new DataView(eight.buffer).setBigInt64(0, integer);
  return eight.slice(8 - byteCount);
}

/** Two's complement, as few bytes as hold the sign. */
function writeVarint(value: bigint): Uint8Array {
  let byteCount = 1;
  while (BigInt.asIntN(byteCount * 8, value) !== value) byteCount++;
  const bytes = new Uint8Array(byteCount);
  let rest = BigInt.asUintN(byteCount * 8, value);
  for (let index = byteCount - 1; index >= 0; index--) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

function encodeDecimal(value: unknown): Uint8Array | undefined {
  const match = /^(-?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,10}))?$/.exec(String(value));
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return undefined;
  const scale = fraction.length - Number(exponent);
  const digits = BigInt(whole + fraction);
  const scaleBytes = fixedInteger(scale, 4);
  return scaleBytes === undefined ? undefined : concatBytes([scaleBytes, writeVarint(sign === '-' ? -digits : digits)]);
}

function encodeFloat(kind: 'float' | 'double', value: unknown): Uint8Array | undefined {
  const number =
    typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : undefined;
  if (number === undefined || (Number.isNaN(number) && value !== 'NaN' && !Number.isNaN(value))) return undefined;
  const bytes = new Uint8Array(kind === 'float' ? 4 : 8);
  const view = new DataView(bytes.buffer);
  if (kind === 'float') view.setFloat32(0, number);
  else view.setFloat64(0, number);
  return bytes;
}

/**
 * ms of a timestamp as CQL writes it: `2024-05-01`, `2024-05-01 12:30`, `2024-05-01T12:30:00.123+0200`, or a number of
 * ms. Without a zone it is UTC.
 */
function parseTimestamp(text: string): bigint | undefined {
  if (/^-?\d+$/.test(text)) return BigInt(text);
  const raw = /^(-?\d+) ms$/.exec(text);
  if (raw !== null) return BigInt(raw[1]!);
  const match = /^([+-]?\d{4,6}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?)? ?(Z|[+-]\d\d(?::?\d\d)?)?$/.exec(
    text,
  );
  if (match === null) return undefined;
  const [, day = '', minutes = '00:00', seconds = ':00', zone = 'Z'] = match;
  const offset = zone === 'Z' ? zone : `${zone.slice(0, 3)}:${zone.length > 3 ? zone.slice(-2) : '00'}`;
  const ms = Date.parse(`${day}T${minutes}${seconds.slice(0, 7)}${offset}`);
  return Number.isNaN(ms) ? undefined : BigInt(ms);
}

function encodeDate(value: unknown): Uint8Array | undefined {
  let days = parseInteger(typeof value === 'string' ? (/^(-?\d+) days$/.exec(value)?.[1] ?? value) : value);
  if (days === undefined && typeof value === 'string' && /^[+-]?\d{4,6}-\d\d-\d\d$/.test(value)) {
    const ms = Date.parse(`${value}T00:00:00Z`);
    if (!Number.isNaN(ms)) days = BigInt(ms / MS_PER_DAY);
  }
  if (days === undefined || BigInt.asIntN(32, days) !== days) return undefined;
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, Number(days) + DATE_EPOCH);
  return bytes;
}

function encodeTime(value: unknown): Uint8Array | undefined {
  const match = typeof value === 'string' ? /^([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?$/.exec(value) : null;
  if (match === null) {
    const nanos = parseInteger(value);
    return nanos !== undefined && nanos >= 0n && nanos < 86_400n * NANOS_PER_SECOND
      ? fixedInteger(nanos, 8)
      : undefined;
  }
  const [, hours = '', minutes = '', seconds = '', fraction = ''] = match;
  const whole = BigInt(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds));
  return fixedInteger(whole * NANOS_PER_SECOND + BigInt(fraction.padEnd(9, '0')), 8);
}

function parseUuid(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) return undefined;
  return parseBlob(`0x${text.replaceAll('-', '')}`);
}

function parseBlob(text: string): Uint8Array | undefined {
  if (!/^0x(?:[0-9a-f]{2})*$/i.test(text)) return undefined;
  const bytes = new Uint8Array((text.length - 2) / 2);
  for (let index = 0; index < bytes.byteLength; index++)
    bytes[index] = Number.parseInt(text.slice(2 + 2 * index, 4 + 2 * index), 16);
  return bytes;
}

function parseInet(text: string): Uint8Array | undefined {
  if (text.includes(':')) return parseInet6(text);
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined;
  return Uint8Array.from(parts, Number);
}

function parseInet6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}
