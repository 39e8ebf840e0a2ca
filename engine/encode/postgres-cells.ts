/**
 * Values of columns as PostgreSQL's binary COPY has them: `i32 length | bytes`, length -1 for NULL. One writer per column,
 * made for its pair of types.
 *
 * Source: PostgreSQL's documentation of COPY, "Binary Format", and the receive functions of its types.
 */
import { deadLetterReasons } from '../../core/errors.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import type { DataType } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { BytesColumn, Column } from '../column-batch.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { CELL_OK, writeI64, writeUuid } from './cells.ts';
import { isNull, JsonWriter } from './json-writer.ts';

const reason = (code: DeadLetterReason): number => deadLetterReasons.indexOf(code);
const WRONG_TYPE = reason('FIELD_WRONG_TYPE');
const OUT_OF_RANGE = reason('FIELD_OUT_OF_RANGE');

/** PostgreSQL counts from 2000-01-01. */
const EPOCH_US = 946_684_800_000_000;
const EPOCH_DAYS = 10_957;
const NUMERIC_BASE = 10_000n;
const NUMERIC_NEGATIVE = 0x4000;
const JSONB_VERSION = 1;
const ZERO_ESCAPE = Buffer.from('\\u0000');

/** Appends the value of a row; gives {@link CELL_OK} or the index of a dead letter reason. */
export type CellWriter = (out: ByteBuffer, column: Column, row: number) => number;

type Write = (out: ByteBuffer, column: Column, row: number) => number;

/** The type that holds every value of a column; undefined for VOID and intervals. */
export function postgresTypeOf(type: DataType): string | undefined {
  switch (type.kind) {
    case 'null':
    case 'interval':
      return undefined;
    case 'tinyint':
    case 'smallint':
      return 'smallint';
    case 'int':
      return 'integer';
    case 'float':
      return 'real';
    case 'double':
      return 'double precision';
    case 'decimal':
      return `numeric(${type.precision},${type.scale})`;
    case 'string':
      return 'text';
    case 'binary':
      return 'bytea';
    case 'timestamp':
      return 'timestamp with time zone';
    case 'array':
    case 'map':
    case 'struct':
      return 'jsonb';
    default:
      return type.kind;
  }
}

/** A writer of values of `from` into a column of type `to`, as `format_type` prints it; undefined where there is none. */
export function postgresCell(from: DataType, to: string, timeZone: TimeZone): CellWriter | undefined {
  const write = writerOf(from, to, timeZone);
  if (write === undefined) return undefined;
  return (out, column, row) => {
    if (!isNull(column, row)) return write(out, column, row);
    out.reserve(4);
    out.view.setInt32(out.length, -1);
    out.length += 4;
    return CELL_OK;
  };
}

const integerKinds = ['tinyint', 'smallint', 'int', 'bigint'];
/** Width of PostgreSQL's integers, and how many of the kinds above fit. */
const integerTypes: ReadonlyMap<string, readonly [bytes: number, kinds: number]> = new Map([
  ['smallint', [2, 2]],
  ['integer', [4, 3]],
  ['bigint', [8, 4]],
]);

function writerOf(from: DataType, to: string, timeZone: TimeZone): Write | undefined {
  const { name, args } = parseType(to);
  const integer = integerTypes.get(name);
  const rank = integerKinds.indexOf(from.kind);
  if (integer !== undefined) return rank >= 0 && rank < integer[1] ? integerWriter(integer[0]) : undefined;
  switch (name) {
    case 'boolean':
      return from.kind === 'boolean' ? boolean : undefined;
    case 'real':
      return from.kind === 'float' ? floating(4) : undefined;
    case 'double precision':
      return from.kind === 'float' || from.kind === 'double' || (rank >= 0 && rank < 3) ? floating(8) : undefined;
    case 'numeric':
      return numericWriter(from, rank, args);
    case 'text':
    case 'character varying':
    case 'character':
      return from.kind === 'string' ? textWriter(args[0] ?? Number.POSITIVE_INFINITY) : jsonText(from, timeZone, 0);
    case 'bytea':
      return from.kind === 'binary' ? bytes : undefined;
    case 'uuid':
      return from.kind === 'string' ? uuid : undefined;
    case 'date':
      return from.kind === 'date' ? date : undefined;
    case 'timestamp with time zone':
      return from.kind === 'timestamp' ? (out, column, row) => timestamp(out, numberAt(column, row)) : undefined;
    case 'timestamp without time zone':
      if (from.kind !== 'timestamp') return undefined;
      return (out, column, row) => {
        const utcUs = numberAt(column, row);
        return timestamp(out, utcUs + timeZone.offsetAtUtc(utcUs));
      };
    case 'jsonb':
      return jsonText(from, timeZone, JSONB_VERSION);
    case 'json':
      return jsonText(from, timeZone, 0);
    default:
      return undefined;
  }
}

/** `timestamp(3) with time zone` is `timestamp with time zone` and 3. */
function parseType(text: string): { readonly name: string; readonly args: readonly number[] } {
  const match = /^([a-z ]+?)\s*\(([\d,\s-]+)\)(.*)$/.exec(text);
  if (match === null) return { name: text, args: [] };
  return { name: `${match[1]}${match[3]}`, args: (match[2] ?? '').split(',').map(Number) };
}

function numberAt(column: Column, row: number): number {
  return 'values' in column && column.kind !== 'map' ? Number(column.values[row]!) : 0;
}

function integerWriter(width: number): Write {
  return (out, column, row) => {
    out.reserve(12);
    if (width === 8) {
      if (column.kind === 'i64') {
        out.view.setInt32(out.length, 8);
        out.view.setBigInt64(out.length + 4, column.values[row]!);
        out.length += 12;
        return CELL_OK;
      }
      return writeI64(out, numberAt(column, row));
    }
    out.view.setInt32(out.length, width);
    if (width === 4) out.view.setInt32(out.length + 4, numberAt(column, row));
    else out.view.setInt16(out.length + 4, numberAt(column, row));
    out.length += 4 + width;
    return CELL_OK;
  };
}

const boolean: Write = (out, column, row) => {
  out.reserve(5);
  out.view.setInt32(out.length, 1);
  out.bytes[out.length + 4] = numberAt(column, row) === 0 ? 0 : 1;
  out.length += 5;
  return CELL_OK;
};

function floating(width: 4 | 8): Write {
  return (out, column, row) => {
    out.reserve(12);
    out.view.setInt32(out.length, width);
    if (width === 4) out.view.setFloat32(out.length + 4, numberAt(column, row));
    else out.view.setFloat64(out.length + 4, numberAt(column, row));
    out.length += 4 + width;
    return CELL_OK;
  };
}

const date: Write = (out, column, row) => {
  out.reserve(8);
  out.view.setInt32(out.length, 4);
  out.view.setInt32(out.length + 4, numberAt(column, row) - EPOCH_DAYS);
  out.length += 8;
  return CELL_OK;
};

function timestamp(out: ByteBuffer, us: number): number {
  out.reserve(12);
  return writeI64(out, us - EPOCH_US);
}

const bytes: Write = (out, column, row) => {
  const { data, start, length } = column as BytesColumn;
  out.reserve(4 + length[row]!);
  out.view.setInt32(out.length, length[row]!);
  out.length += 4;
  const from = start[row]!;
  out.append(data, from, from + length[row]!);
  return CELL_OK;
};

const uuid: Write = (out, column, row) => {
  const { data, start, length } = column as BytesColumn;
  out.reserve(20);
  return writeUuid(out, data, start[row]!, length[row]!);
};

/** PostgreSQL's text holds no zero byte. */
function textWriter(charactersMax: number): Write {
  return (out, column, row) => {
    const { data, start, length } = column as BytesColumn;
    const from = start[row]!;
    const to = from + length[row]!;
    let characters = 0;
    for (let at = from; at < to; at++) {
      const byte = data[at]!;
      if (byte === 0) return WRONG_TYPE;
      if ((byte & 0xc0) !== 0x80) characters++;
    }
    return characters > charactersMax ? OUT_OF_RANGE : bytes(out, column, row);
  };
}

/** Nested values as JSON; with a version byte before it for jsonb. */
function jsonText(from: DataType, timeZone: TimeZone, version: number): Write | undefined {
  if (from.kind !== 'array' && from.kind !== 'map' && from.kind !== 'struct') return undefined;
  const json = new JsonWriter(timeZone);
  return (out, column, row) => {
    const lengthAt = out.length;
    out.reserve(5);
    out.length += 4;
    if (version > 0) out.bytes[out.length++] = version;
    const textAt = out.length;
    json.write(out, from, column, row);
    if (holdsZero(out.bytes, textAt, out.length)) return WRONG_TYPE;
    out.view.setInt32(lengthAt, out.length - lengthAt - 4);
    return CELL_OK;
  };
}

/** Is the escape of a zero character in the JSON text? A backslash before it, itself escaped, makes it plain text. */
function holdsZero(data: Uint8Array, from: number, to: number): boolean {
  const text = Buffer.from(data.buffer, data.byteOffset + from, to - from);
  for (let at = text.indexOf(ZERO_ESCAPE); at >= 0; at = text.indexOf(ZERO_ESCAPE, at + 1)) {
    let before = at;
    while (before > 0 && text[before - 1] === 0x5c) before--;
    if ((at - before) % 2 === 0) return true;
  }
  return false;
}

// ---- numeric ----------------------------------------------------------------------------------------------------

function numericWriter(from: DataType, rank: number, [precision, scale = 0]: readonly number[]): Write | undefined {
  if (from.kind === 'decimal') {
    const fits = precision === undefined || (from.scale <= scale && from.precision - from.scale <= precision - scale);
    return fits ? (out, column, row) => numeric(out, valueAt(column, row), from.scale) : undefined;
  }
  if (rank < 0) return undefined;
  const digits = [3, 5, 10, 19][rank] ?? 19;
  if (precision !== undefined && precision - scale < digits) return undefined;
  return (out, column, row) => numeric(out, valueAt(column, row), 0);
}

function valueAt(column: Column, row: number): bigint {
  return column.kind === 'i64' || column.kind === 'big' ? column.values[row]! : BigInt(numberAt(column, row));
}

/** `ndigits | weight | sign | dscale | digits`, each 16 bits; digits of base 10000 around the decimal point. */
function numeric(out: ByteBuffer, unscaled: bigint, scale: number): number {
  const fraction = Math.ceil(scale / 4);
  let rest = (unscaled < 0n ? -unscaled : unscaled) * 10n ** BigInt(fraction * 4 - scale);
  const digits: number[] = [];
  for (; rest > 0n; rest /= NUMERIC_BASE) digits.push(Number(rest % NUMERIC_BASE));
  const weight = digits.length - fraction - 1;
  let zeros = 0;
  while (zeros < digits.length && digits[zeros] === 0) zeros++;
  const count = digits.length - zeros;
  out.reserve(12 + 2 * count);
  const at = out.length;
  out.view.setInt32(at, 8 + 2 * count);
  out.view.setInt16(at + 4, count);
  out.view.setInt16(at + 6, count === 0 ? 0 : weight);
  out.view.setUint16(at + 8, unscaled < 0n ? NUMERIC_NEGATIVE : 0);
  out.view.setUint16(at + 10, scale);
  for (let index = 0; index < count; index++)
    out.view.setInt16(at + 12 + 2 * index, digits[digits.length - 1 - index]!);
  out.length = at + 12 + 2 * count;
  return CELL_OK;
}
