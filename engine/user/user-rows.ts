/**
 * Rows of user code as bytes and back, in the form of engine/state/row-codec.ts. How values look in user code:
 * core/job/user-functions.ts. Values that user code gives are checked against the schema: numbers that are whole where
 * the type is, within its range; text as text; no column that the schema does not have.
 */
import { unreachable } from '../../core/assert.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { ByteReader } from '../state/byte-reader.ts';
import { putByte, putF64, putVarint } from '../state/bytes-out.ts';

interface UserValueCodec {
  /** Throws TypeError; `place` names the value in it. */
  write(value: unknown, out: ByteBuffer, place: string): void;
  read(reader: ByteReader): unknown;
}

const US_PER_MS = 1000;
const DAY_MS = 86_400_000;
/** Days that a DATE holds: years 1 to 9999. */
const DATE_PATTERN = /^(-?\d{4,6})-(\d\d)-(\d\d)$/;

function wrong(place: string, wanted: string, value: unknown): TypeError {
  return new TypeError(`${place} takes ${wanted}, not ${nameOf(value)}`);
}

/** What a value is, never the value itself: messages end in dead letters and logs. */
function nameOf(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value === 'number' && !Number.isInteger(value)) return 'a number with a fraction';
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : `a ${typeof value}`;
}

/** Whole numbers of 1, 2 or 4 bytes. */
class SmallIntegers implements UserValueCodec {
  readonly #width: 1 | 2 | 4;
  readonly #type: string;

  constructor(width: 1 | 2 | 4, type: string) {
    this.#width = width;
    this.#type = type;
  }

  write(value: unknown, out: ByteBuffer, place: string): void {
    const number = typeof value === 'bigint' ? Number(value) : value;
    const bound = 2 ** (8 * this.#width - 1);
    if (typeof number !== 'number' || !Number.isInteger(number) || number < -bound || number >= bound)
      throw wrong(place, this.#type, value);
    putByte(out, 1);
    for (let shift = 0; shift < 8 * this.#width; shift += 8) putByte(out, (number >> shift) & 0xff);
  }

  read(reader: ByteReader): unknown {
    const at = reader.skip(this.#width);
    const { view } = reader;
    if (this.#width === 4) return view.getInt32(at, true);
    return this.#width === 2 ? view.getInt16(at, true) : view.getInt8(at);
  }
}

class Booleans implements UserValueCodec {
  write(value: unknown, out: ByteBuffer, place: string): void {
    if (typeof value !== 'boolean') throw wrong(place, 'BOOLEAN', value);
    putByte(out, 1);
    putByte(out, value ? 1 : 0);
  }

  read(reader: ByteReader): unknown {
    return reader.byte() !== 0;
  }
}

class Dates implements UserValueCodec {
  write(value: unknown, out: ByteBuffer, place: string): void {
    const parts = typeof value === 'string' ? DATE_PATTERN.exec(value) : null;
    const [year, month, day] = (parts ?? []).slice(1).map(Number);
    const date = new Date(0);
    date.setUTCFullYear(year ?? Number.NaN, (month ?? 0) - 1, day);
    const ms = date.getTime();
    if (Number.isNaN(ms) || date.getUTCMonth() + 1 !== month || date.getUTCDate() !== day)
      throw wrong(place, "DATE as a text like '2024-05-01'", value);
    putByte(out, 1);
    out.reserve(4);
    out.view.setInt32(out.length, ms / DAY_MS, true);
    out.length += 4;
  }

  read(reader: ByteReader): unknown {
    const days = reader.view.getInt32(reader.skip(4), true);
    const date = new Date(days * DAY_MS);
    const pad = (number: number, width: number): string => String(Math.abs(number)).padStart(width, '0');
    const year = date.getUTCFullYear();
    return `${year < 0 ? '-' : ''}${pad(year, 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
  }
}

class Doubles implements UserValueCodec {
  readonly #isFloat: boolean;

  constructor(isFloat: boolean) {
    this.#isFloat = isFloat;
  }

  write(value: unknown, out: ByteBuffer, place: string): void {
    if (typeof value !== 'number') throw wrong(place, this.#isFloat ? 'FLOAT' : 'DOUBLE', value);
    putByte(out, 1);
    putF64(out, Number.isNaN(value) ? Number.NaN : this.#isFloat ? Math.fround(value) : value);
  }

  read(reader: ByteReader): unknown {
    return reader.f64();
  }
}

class Times implements UserValueCodec {
  write(value: unknown, out: ByteBuffer, place: string): void {
    const ms = value instanceof Date ? value.getTime() : value;
    if (typeof ms !== 'number' || !Number.isFinite(ms)) throw wrong(place, 'TIMESTAMP as ms since 1970', value);
    putByte(out, 1);
    putF64(out, usOf(ms));
  }

  read(reader: ByteReader): unknown {
    return msOf(reader.f64());
  }
}

/** µs of a time that user code gives in ms. */
export function usOf(ms: number): number {
  return Math.round(ms * US_PER_MS);
}

/** A time as user code sees it. */
export function msOf(us: number): number {
  return us / US_PER_MS;
}

class Bigints implements UserValueCodec {
  write(value: unknown, out: ByteBuffer, place: string): void {
    const whole = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
    if (typeof whole !== 'bigint' || BigInt.asIntN(64, whole) !== whole) throw wrong(place, 'BIGINT', value);
    putLong(out, whole);
  }

  read(reader: ByteReader): unknown {
    return reader.view.getBigInt64(reader.skip(8), true);
  }
}

function putLong(out: ByteBuffer, value: bigint): void {
  putByte(out, 1);
  out.reserve(8);
  out.view.setBigInt64(out.length, value, true);
  out.length += 8;
}

/** `'12.50'`: never a double, which would lose digits. Fewer digits behind the point than the scale are filled up. */
class Decimals implements UserValueCodec {
  readonly #precision: number;
  readonly #scale: number;

  constructor(precision: number, scale: number) {
    this.#precision = precision;
    this.#scale = scale;
  }

  write(value: unknown, out: ByteBuffer, place: string): void {
    const unscaled = this.#parse(typeof value === 'bigint' || Number.isSafeInteger(value) ? String(value) : value);
    if (unscaled === undefined) {
      const type = `DECIMAL(${this.#precision},${this.#scale})`;
      throw wrong(place, `${type} as a text like '12.50'`, value);
    }
    if (this.#precision <= 18) {
      putLong(out, unscaled);
      return;
    }
    putByte(out, 1);
    out.reserve(16);
    out.view.setBigUint64(out.length, BigInt.asUintN(64, unscaled), true);
    out.view.setBigInt64(out.length + 8, BigInt.asIntN(64, unscaled >> 64n), true);
    out.length += 16;
  }

  read(reader: ByteReader): unknown {
    const { view } = reader;
    let unscaled: bigint;
    if (this.#precision <= 18) unscaled = view.getBigInt64(reader.skip(8), true);
    else {
      const at = reader.skip(16);
      unscaled = (view.getBigInt64(at + 8, true) << 64n) | view.getBigUint64(at, true);
    }
    const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(this.#scale + 1, '0');
    const point = digits.length - this.#scale;
    const text = this.#scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`;
    return unscaled < 0n ? `-${text}` : text;
  }

  #parse(value: unknown): bigint | undefined {
    const parts = typeof value === 'string' ? /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(value) : null;
    if (parts === null) return undefined;
    const [, sign = '', whole = '', fraction = ''] = parts;
    if (fraction.length > this.#scale) return undefined;
    const unscaled = BigInt(whole + fraction.padEnd(this.#scale, '0'));
    if (unscaled >= 10n ** BigInt(this.#precision)) return undefined;
    return sign === '-' ? -unscaled : unscaled;
  }
}

class Texts implements UserValueCodec {
  write(value: unknown, out: ByteBuffer, place: string): void {
    if (typeof value !== 'string') throw wrong(place, 'STRING', value);
    const bytes = Buffer.from(value, 'utf8');
    putVarint(out, bytes.length + 1);
    out.append(bytes);
  }

  read(reader: ByteReader): unknown {
    const length = reader.varint() - 1;
    if (length < 0) return null;
    const at = reader.skip(length);
    const { bytes } = reader;
    return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('utf8');
  }
}

class Binaries implements UserValueCodec {
  write(value: unknown, out: ByteBuffer, place: string): void {
    if (!(value instanceof Uint8Array)) throw wrong(place, 'BINARY as a Uint8Array', value);
    putVarint(out, value.length + 1);
    out.append(value);
  }

  read(reader: ByteReader): unknown {
    const length = reader.varint() - 1;
    if (length < 0) return null;
    const at = reader.skip(length);
    return reader.bytes.slice(at, at + length);
  }
}

class Lists implements UserValueCodec {
  readonly #element: Nullable;

  constructor(element: Nullable) {
    this.#element = element;
  }

  write(value: unknown, out: ByteBuffer, place: string): void {
    if (!Array.isArray(value)) throw wrong(place, 'a list', value);
    putVarint(out, value.length + 1);
    for (const [index, element] of (value as unknown[]).entries())
      this.#element.write(element, out, `${place}[${index}]`);
  }

  read(reader: ByteReader): unknown {
    const length = reader.varint() - 1;
    return length < 0 ? null : Array.from({ length }, () => this.#element.read(reader));
  }
}

class Maps implements UserValueCodec {
  readonly #key: Nullable;
  readonly #value: Nullable;

  constructor(key: Nullable, value: Nullable) {
    this.#key = key;
    this.#value = value;
  }

  write(value: unknown, out: ByteBuffer, place: string): void {
    if (!(value instanceof Map)) throw wrong(place, 'a Map', value);
    putVarint(out, value.size + 1);
    for (const [key, item] of value as Map<unknown, unknown>) {
      this.#key.write(key, out, `a key of ${place}`);
      this.#value.write(item, out, `a value of ${place}`);
    }
  }

  read(reader: ByteReader): unknown {
    const length = reader.varint() - 1;
    if (length < 0) return null;
    return new Map(Array.from({ length }, () => [this.#key.read(reader), this.#value.read(reader)] as const));
  }
}

class Structs implements UserValueCodec {
  readonly #row: UserRows;

  constructor(row: UserRows) {
    this.#row = row;
  }

  write(value: unknown, out: ByteBuffer, place: string): void {
    putByte(out, 1);
    this.#row.write(value, out, place);
  }

  read(reader: ByteReader): unknown {
    return this.#row.read(reader);
  }
}

/** A value that may be NULL. Codecs of text, lists and maps read their NULL themselves: it is in the length. */
class Nullable {
  readonly #codec: UserValueCodec;
  readonly #hasFlag: boolean;
  readonly #nullable: boolean;
  readonly #type: string;

  constructor(type: DataType, nullable: boolean) {
    this.#codec = codecOf(type);
    this.#hasFlag = !['string', 'binary', 'array', 'map'].includes(type.kind);
    this.#nullable = nullable;
    this.#type = formatType(type);
  }

  write(value: unknown, out: ByteBuffer, place: string): void {
    if (value !== null && value !== undefined) this.#codec.write(value, out, place);
    else if (this.#nullable) putByte(out, 0);
    else throw wrong(place, `${this.#type} NOT NULL`, value);
  }

  read(reader: ByteReader): unknown {
    if (this.#hasFlag && reader.byte() === 0) return null;
    return this.#codec.read(reader);
  }
}

function codecOf(type: DataType): UserValueCodec {
  switch (type.kind) {
    case 'null':
    case 'boolean':
      return new Booleans();
    case 'tinyint':
      return new SmallIntegers(1, 'TINYINT');
    case 'smallint':
      return new SmallIntegers(2, 'SMALLINT');
    case 'int':
      return new SmallIntegers(4, 'INT');
    case 'date':
      return new Dates();
    case 'bigint':
      return new Bigints();
    case 'float':
    case 'double':
    case 'interval':
      return new Doubles(type.kind === 'float');
    case 'timestamp':
      return new Times();
    case 'decimal':
      return new Decimals(type.precision, type.scale);
    case 'string':
      return new Texts();
    case 'binary':
      return new Binaries();
    case 'array':
      return new Lists(new Nullable(type.element, type.containsNull));
    case 'map':
      return new Maps(new Nullable(type.key, false), new Nullable(type.value, type.valueContainsNull));
    case 'struct':
      return new Structs(new UserRows(type.fields));
    default:
      return unreachable(type);
  }
}

/** Rows of one schema. */
export class UserRows {
  readonly schema: Schema;
  readonly #names: ReadonlySet<string>;
  readonly #columns: readonly Nullable[];

  /** `loose`: NULL is let through in every column: for rows that come from a query, not from user code. */
  constructor(schema: Schema, loose = false) {
    this.schema = schema;
    this.#names = new Set(schema.map(({ name }) => name));
    this.#columns = schema.map(({ type, nullable }) => new Nullable(type, nullable || loose));
  }

  /** Appends a row. Throws TypeError, after which what was appended is to be taken back. */
  write(row: unknown, out: ByteBuffer, place: string): void {
    if (typeof row !== 'object' || row === null || Array.isArray(row) || row instanceof Map)
      throw wrong(place, `an object with the columns ${[...this.#names].join(', ')}`, row);
    const given = row as Readonly<Record<string, unknown>>;
    for (const name of Object.keys(given))
      if (!this.#names.has(name))
        throw new TypeError(`${place} has no column ${name}; its columns are ${[...this.#names].join(', ')}`);
    for (let index = 0; index < this.schema.length; index++) {
      const { name } = this.schema[index]!;
      const value = Object.hasOwn(given, name) ? given[name] : null;
      this.#columns[index]!.write(value, out, `${place}.${name}`);
    }
  }

  /** Reads a row at the reader's place. */
  read(reader: ByteReader): Record<string, unknown> {
    // Own properties however they are called: a column may be named __proto__.
    return Object.fromEntries(this.schema.map(({ name }, index) => [name, this.#columns[index]!.read(reader)]));
  }
}

/** One value of a type, never NULL: keys of map state. */
export class UserValues {
  readonly #codec: Nullable;

  constructor(type: DataType) {
    this.#codec = new Nullable(type, false);
  }

  write(value: unknown, out: ByteBuffer, place: string): void {
    this.#codec.write(value, out, place);
  }

  read(reader: ByteReader): unknown {
    return this.#codec.read(reader);
  }
}
