/**
 * Values of columns as CQL bind values (native protocol v4, section 6): `i32 length | bytes`. One encoder per column,
 * made for its pair of types; it writes straight from the column's bytes.
 */
import { deadLetterReasons, WeirError } from '../../core/errors.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import { VALUE_NULL } from '../../core/row-block.ts';
import type { CqlType } from '../../core/table/schema.ts';
import { formatCqlType } from '../../core/table/schema.ts';
import type { DataType } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { BytesColumn, Column } from '../column-batch.ts';
import { parseDate, parseTimestamp } from '../scan/text-times.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { hexDigit } from '../scan/utf8.ts';
import { copyBytes } from './copy.ts';
import { parseInet, parseTimeOfDay } from './parse-text.ts';
import { appendDate, appendInteger, appendText, appendTimestamp, decimalText } from './text.ts';

const reason = (code: DeadLetterReason): number => deadLetterReasons.indexOf(code);
const WRONG_TYPE = reason('FIELD_WRONG_TYPE');
const OUT_OF_RANGE = reason('FIELD_OUT_OF_RANGE');
/** Everything was written. */
export const CELL_OK = -1;

const RAW_BYTES = 0;
const ASCII = 1;
const UUID_TEXT = 2;
const INET_TEXT = 3;
const TIME_TEXT = 4;
const TIMESTAMP_TEXT = 5;
const DATE_TEXT = 6;
const BOOLEAN = 10;
const SMALL_INTEGER = 11;
const LARGE_INTEGER = 12;
const FLOATING = 13;
const TIMESTAMP = 14;
const DATE = 15;
const VARINT = 16;
const DECIMAL = 17;
const TIMESTAMP_AS_DATE = 18;
const DATE_AS_TIMESTAMP = 19;
const AS_TEXT = 20;
const LIST = 21;
const MAP = 22;
const STRUCT = 23;

/** Bytes of a fixed-width CQL number. */
const integerBytes: Readonly<Record<string, number>> = { tinyint: 1, smallint: 2, int: 4, bigint: 8, counter: 8 };
const integerKinds = ['tinyint', 'smallint', 'int', 'bigint'];
const numberKinds = [...integerKinds, 'decimal', 'float', 'double'];

function methodOf(from: DataType, to: CqlType): number | undefined {
  const target = to.kind;
  switch (from.kind) {
    case 'string':
      if (target === 'text' || target === 'blob') return RAW_BYTES;
      if (target === 'ascii') return ASCII;
      if (target === 'uuid' || target === 'timeuuid') return UUID_TEXT;
      if (target === 'inet') return INET_TEXT;
      if (target === 'time') return TIME_TEXT;
      if (target === 'timestamp') return TIMESTAMP_TEXT;
      return target === 'date' ? DATE_TEXT : undefined;
    case 'binary':
      return target === 'blob' ? RAW_BYTES : undefined;
    case 'array':
      return target === 'list' || target === 'set' ? LIST : undefined;
    case 'map':
      return target === 'map' ? MAP : undefined;
    case 'struct':
      return target === 'tuple' || target === 'udt' ? STRUCT : undefined;
    default:
      return scalarMethod(from, target);
  }
}

function scalarMethod(from: DataType, target: CqlType['kind']): number | undefined {
  if (target === 'text' || target === 'ascii') return AS_TEXT;
  if (from.kind === 'boolean') return target === 'boolean' ? BOOLEAN : undefined;
  if (from.kind === 'timestamp')
    return target === 'timestamp' ? TIMESTAMP : target === 'date' ? TIMESTAMP_AS_DATE : undefined;
  if (from.kind === 'date') return target === 'date' ? DATE : target === 'timestamp' ? DATE_AS_TIMESTAMP : undefined;
  if (!numberKinds.includes(from.kind)) return undefined;
  if (target === 'float' || target === 'double') return FLOATING;
  const exact = integerKinds.includes(from.kind) || from.kind === 'decimal';
  if (!exact) return undefined;
  if (target === 'decimal') return DECIMAL;
  if (from.kind === 'decimal' && from.scale !== 0) return undefined;
  if (target === 'varint') return VARINT;
  if (integerBytes[target] === undefined) return undefined;
  return from.kind === 'bigint' || from.kind === 'decimal' ? LARGE_INTEGER : SMALL_INTEGER;
}

const NOT_BYTES = new DataView(new ArrayBuffer(0));

/** Writes the values of one column. Bound to a batch's column by {@link bind}. */
export class CellEncoder {
  readonly #method: number;
  /** Bytes of a fixed-width number; 8 = double or bigint. */
  readonly #width: number;
  readonly #scale: number;
  readonly #timeZone: TimeZone;
  readonly #from: DataType;
  readonly #children: readonly (CellEncoder | null)[];
  /** For structs: the index of the source field of each target field, -1 = none. */
  readonly #fields: readonly number[];
  #column: Column | null = null;
  #data: Uint8Array | null = null;
  #view: DataView = NOT_BYTES;

  /** Throws: SINK_SCHEMA when the one cannot be written as the other. */
  constructor(from: DataType, to: CqlType, timeZone: TimeZone, place: string) {
    const method = methodOf(from, to);
    if (method === undefined) {
      throw new WeirError(
        'SINK_SCHEMA',
        `column ${place} is ${formatType(from)} and cannot be written as ${formatCqlType(to)}`,
      );
    }
    this.#method = method;
    this.#from = from;
    this.#width = to.kind === 'float' ? 4 : (integerBytes[to.kind] ?? 8);
    this.#scale = from.kind === 'decimal' ? from.scale : 0;
    this.#timeZone = timeZone;
    const child = (type: DataType, target: CqlType, name: string): CellEncoder =>
      new CellEncoder(type, target, timeZone, `${place}${name}`);
    if (from.kind === 'array' && (to.kind === 'list' || to.kind === 'set')) {
      this.#children = [child(from.element, to.element, '[]')];
      this.#fields = [];
    } else if (from.kind === 'map' && to.kind === 'map') {
      this.#children = [child(from.key, to.key, '.key'), child(from.value, to.value, '.value')];
      this.#fields = [];
    } else if (from.kind === 'struct' && (to.kind === 'udt' || to.kind === 'tuple')) {
      const targets = to.kind === 'udt' ? to.fields : to.elements.map((type) => ({ name: '', type }));
      const indexes = targets.map(({ name }, index) =>
        to.kind === 'tuple'
          ? index < from.fields.length
            ? index
            : -1
          : from.fields.findIndex((field) => sameName(field.name, name)),
      );
      this.#fields = indexes;
      this.#children = targets.map(({ type }, index) => {
        const field = from.fields[indexes[index]!];
        return field === undefined ? null : child(field.type, type, `.${field.name}`);
      });
    } else {
      this.#children = [];
      this.#fields = [];
    }
  }

  /** The column to write from, until the next call. */
  bind(column: Column): void {
    this.#column = column;
    switch (column.kind) {
      case 'bytes':
        if (this.#data === column.data) return;
        this.#data = column.data;
        this.#view = new DataView(column.data.buffer, column.data.byteOffset, column.data.byteLength);
        return;
      case 'list':
        this.#children[0]?.bind(column.element);
        return;
      case 'map':
        this.#children[0]?.bind(column.keys);
        this.#children[1]?.bind(column.values);
        return;
      case 'struct':
        this.#fields.forEach((field, index) => {
          const child = this.#children[index];
          const source = column.fields[field];
          if (child !== null && child !== undefined && source !== undefined) child.bind(source);
        });
        return;
      default:
      // Numbers are read from the column itself.
    }
  }

  /** Forgets the batch, so that its memory may go. */
  release(): void {
    this.#column = null;
    this.#data = null;
    this.#view = NOT_BYTES;
    for (const child of this.#children) child?.release();
  }

  /**
   * Appends the value of `row`; null as `nullLength` (-1 null or -2 unset). {@link CELL_OK}, or an index into
   * `deadLetterReasons`: what was appended then means nothing.
   */
  write(out: ByteBuffer, row: number, nullLength: number): number {
    const column = this.#column!;
    switch (column.kind) {
      case 'bytes': {
        const length = column.length[row]!;
        if (length < 0) return writeAbsent(out, nullLength);
        if (this.#method !== RAW_BYTES) return this.#fromText(out, column, row, length);
        out.reserve(4 + length);
        const at = out.length;
        out.view.setInt32(at, length);
        copyBytes(column.data, this.#view, column.start[row]!, length, out.bytes, out.view, at + 4);
        out.length = at + 4 + length;
        return CELL_OK;
      }
      case 'list':
      case 'map':
        return column.length[row]! < 0
          ? writeAbsent(out, nullLength)
          : this.#elements(out, column.start[row]!, column.length[row]!);
      case 'struct':
        return column.valid[row] === 0 ? writeAbsent(out, nullLength) : this.#struct(out, row);
      default:
        if (column.valid[row] === 0) return writeAbsent(out, nullLength);
        out.reserve(12);
        return this.#number(out, column, row);
    }
  }

  #number(
    out: ByteBuffer,
    column: Exclude<Column, { kind: 'bytes' | 'list' | 'map' | 'struct' }>,
    row: number,
  ): number {
    const value = column.values[row]!;
    switch (this.#method) {
      case SMALL_INTEGER:
        return this.#integer(out, Number(value));
      case TIMESTAMP:
        return writeI64(out, Math.floor(Number(value) / 1000));
      case BOOLEAN:
        return writeFixed(out, 1, value === 0 ? 0 : 1);
      case DATE:
        return writeFixed(out, 4, Number(value) + 0x80000000);
      case FLOATING:
        return this.#floating(out, this.#scale === 0 ? Number(value) : Number(decimalText(BigInt(value), this.#scale)));
      case LARGE_INTEGER:
        if (this.#width === 8 && column.kind === 'i64') {
          const at = out.length;
          out.view.setInt32(at, 8);
          out.view.setInt32(at + 4, column.words[2 * row + 1]!);
          out.view.setInt32(at + 8, column.words[2 * row]!);
          out.length = at + 12;
          return CELL_OK;
        }
        if (this.#width === 8) return writeBig64(out, BigInt(value));
        return this.#integer(out, Number(value));
      case VARINT:
        writeVarintValue(out, BigInt(value));
        return CELL_OK;
      case DECIMAL: {
        const lengthAt = out.length;
        out.length += 4;
        // The scale takes the place of the inner length, the length is that of both.
        writeVarintValue(out, BigInt(value));
        out.view.setInt32(lengthAt, out.length - lengthAt - 4);
        out.view.setInt32(lengthAt + 4, this.#scale);
        return CELL_OK;
      }
      case TIMESTAMP_AS_DATE: {
        const utcUs = Number(value);
        return writeFixed(out, 4, Math.floor((utcUs + this.#timeZone.offsetAtUtc(utcUs)) / DAY_US) + 0x80000000);
      }
      case DATE_AS_TIMESTAMP: {
        const localUs = Number(value) * DAY_US;
        return writeI64(out, Math.floor((localUs - this.#timeZone.offsetAtLocal(localUs)) / 1000));
      }
      default:
        return this.#asText(out, value);
    }
  }

  #integer(out: ByteBuffer, value: number): number {
    if (this.#width === 8) return writeI64(out, value);
    const limit = 2 ** (this.#width * 8 - 1);
    return value >= -limit && value < limit ? writeFixed(out, this.#width, value) : OUT_OF_RANGE;
  }

  #floating(out: ByteBuffer, value: number): number {
    const at = out.length;
    out.view.setInt32(at, this.#width);
    if (this.#width === 4) out.view.setFloat32(at + 4, value);
    else out.view.setFloat64(at + 4, value);
    out.length = at + 4 + this.#width;
    return CELL_OK;
  }

  #asText(out: ByteBuffer, value: number | bigint): number {
    const lengthAt = out.length;
    out.length += 4;
    switch (this.#from.kind) {
      case 'boolean':
        appendText(out, value === 0 ? 'false' : 'true');
        break;
      case 'date':
        appendDate(out, Number(value));
        break;
      case 'timestamp':
        appendTimestamp(out, Number(value), this.#timeZone.offsetAtUtc(Number(value)));
        break;
      case 'decimal':
        appendText(out, decimalText(BigInt(value), this.#scale));
        break;
      case 'tinyint':
      case 'smallint':
      case 'int':
        appendInteger(out, Number(value));
        break;
      default:
        appendText(out, String(value));
    }
    out.view.setInt32(lengthAt, out.length - lengthAt - 4);
    return CELL_OK;
  }

  #fromText(out: ByteBuffer, column: BytesColumn, row: number, length: number): number {
    const start = column.start[row]!;
    const end = start + length;
    const { data } = column;
    out.reserve(20 + length);
    switch (this.#method) {
      case UUID_TEXT:
        return writeUuid(out, data, start, length);
      case ASCII: {
        for (let at = start; at < end; at++) if (data[at]! >= 0x80) return WRONG_TYPE;
        out.view.setInt32(out.length, length);
        out.length += 4;
        out.append(data, start, end);
        return CELL_OK;
      }
      case INET_TEXT: {
        const address = parseInet(data, start, end);
        if (address === undefined) return WRONG_TYPE;
        out.view.setInt32(out.length, address.length);
        out.length += 4;
        out.append(address);
        return CELL_OK;
      }
      case TIME_TEXT: {
        const nanos = parseTimeOfDay(data, start, end);
        return Number.isNaN(nanos) ? WRONG_TYPE : writeI64(out, nanos);
      }
      case TIMESTAMP_TEXT: {
        const utcUs = parseTimestamp(data, start, end, this.#timeZone);
        return Number.isNaN(utcUs) ? WRONG_TYPE : writeI64(out, Math.floor(utcUs / 1000));
      }
      default: {
        const days = parseDate(data, start, end);
        return Number.isNaN(days) ? WRONG_TYPE : writeFixed(out, 4, days + 0x80000000);
      }
    }
  }

  /** A list, set or map: the number of elements, then each as a value. Cassandra takes no nulls in them. */
  #elements(out: ByteBuffer, start: number, count: number): number {
    const lengthAt = out.length;
    out.reserve(8);
    out.view.setInt32(lengthAt + 4, count);
    out.length += 8;
    for (let element = start; element < start + count; element++) {
      for (const child of this.#children) {
        const at = out.length;
        const failure = child!.write(out, element, VALUE_NULL);
        if (failure !== CELL_OK) return failure;
        if (out.view.getInt32(at) < 0) return WRONG_TYPE;
      }
    }
    out.view.setInt32(lengthAt, out.length - lengthAt - 4);
    return CELL_OK;
  }

  #struct(out: ByteBuffer, row: number): number {
    const lengthAt = out.length;
    out.reserve(4);
    out.length += 4;
    for (const child of this.#children) {
      const failure = child === null ? writeAbsent(out, VALUE_NULL) : child.write(out, row, VALUE_NULL);
      if (failure !== CELL_OK) return failure;
    }
    out.view.setInt32(lengthAt, out.length - lengthAt - 4);
    return CELL_OK;
  }
}

const DAY_US = 86_400_000_000;

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** A value of no bytes: null or unset. */
export function writeAbsent(out: ByteBuffer, length: number): number {
  out.reserve(4);
  out.view.setInt32(out.length, length);
  out.length += 4;
  return CELL_OK;
}

function writeFixed(out: ByteBuffer, width: number, value: number): number {
  const at = out.length;
  out.view.setInt32(at, width);
  if (width === 4) out.view.setInt32(at + 4, value);
  else if (width === 2) out.view.setInt16(at + 4, value);
  else out.view.setInt8(at + 4, value);
  out.length = at + 4 + width;
  return CELL_OK;
}

/** Appends a safe integer as an 8-byte value. */
export function writeI64(out: ByteBuffer, value: number): number {
  const at = out.length;
  out.view.setInt32(at, 8);
  out.view.setInt32(at + 4, Math.floor(value / 4294967296));
  out.view.setInt32(at + 8, value | 0);
  out.length = at + 12;
  return CELL_OK;
}

function writeBig64(out: ByteBuffer, value: bigint): number {
  if (BigInt.asIntN(64, value) !== value) return OUT_OF_RANGE;
  out.view.setInt32(out.length, 8);
  out.view.setBigInt64(out.length + 4, value);
  out.length += 12;
  return CELL_OK;
}

/** Two's complement in as few bytes as hold the sign, as java.math.BigInteger writes it. */
function writeVarintValue(out: ByteBuffer, value: bigint): void {
  const lengthAt = out.length;
  let bytes = 1;
  for (let limit = 128n; value >= limit || value < -limit; limit <<= 8n) bytes++;
  out.reserve(4 + bytes);
  out.view.setInt32(lengthAt, bytes);
  let rest = value;
  for (let at = lengthAt + 3 + bytes; at > lengthAt + 3; at--) {
    out.bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  out.length = lengthAt + 4 + bytes;
}

/** `8-4-4-4-12` hexadecimal digits as 16 bytes. */
export function writeUuid(out: ByteBuffer, data: Uint8Array, start: number, length: number): number {
  if (length !== 36) return WRONG_TYPE;
  const { bytes } = out;
  let to = out.length + 4;
  for (let at = 0; at < 36;) {
    if (at === 8 || at === 13 || at === 18 || at === 23) {
      if (data[start + at] !== 0x2d) return WRONG_TYPE;
      at++;
      continue;
    }
    const high = hexDigit(data[start + at]!);
    const low = hexDigit(data[start + at + 1]!);
    if ((high | low) < 0) return WRONG_TYPE;
    bytes[to++] = (high << 4) | low;
    at += 2;
  }
  out.view.setInt32(out.length, 16);
  out.length = to;
  return CELL_OK;
}
