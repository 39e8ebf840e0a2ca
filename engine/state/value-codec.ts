/**
 * Values of columns as bytes and back. A row is its values one behind the other, each in a form that tells its own end,
 * so equal rows have equal bytes and no row is the beginning of another:
 *
 *     string, binary     varint (length + 1), bytes                    0 = NULL
 *     boolean, tinyint   1, byte                                       0 = NULL
 *     smallint           1, 2 bytes                                    numbers are little-endian
 *     int, date          1, 4 bytes
 *     float … timestamp  1, 8 bytes of the double; one NaN
 *     bigint, decimal    1, 8 bytes, or 16 beyond 18 digits
 *     array              varint (count + 1), elements
 *     map                varint (count + 1), key, value, key, value …
 *     struct             1, fields
 */
import { unreachable } from '../../core/assert.ts';
import type { DataType } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type {
  BigDecimalColumn,
  BytesColumn,
  Column,
  Float64Column,
  Int32Column,
  Int64Column,
  ListColumn,
  MapColumn,
  StructColumn,
} from '../column-batch.ts';
import type { ColumnBuilder } from '../scan/column-builder.ts';
import type { ByteReader } from './byte-reader.ts';
import { putVarint } from './bytes-out.ts';

/** One value's codec: bound to a column, it writes that column's rows. */
export interface ValueCodec {
  bind(column: Column): void;
  write(row: number, out: ByteBuffer): void;
  /** Puts the value at the reader's place into a builder's row. `text` of the column is where the reader reads. */
  read(reader: ByteReader, into: ColumnBuilder, row: number): void;
  /**
   * Adds what the values of `rows[0 … count)` take to `sizes`; false = some of them can only be written row by row.
   * Codecs without it and {@link put} write all values so.
   */
  measure?(rows: Int32Array, count: number, sizes: Int32Array): boolean;
  /** Writes the same values column-wise, each at its `at`, which it moves behind the value. */
  put?(rows: Int32Array, count: number, at: Int32Array, bytes: Uint8Array, view: DataView): void;
}

class BytesCodec implements ValueCodec {
  #column!: BytesColumn;

  bind(column: Column): void {
    this.#column = column as BytesColumn;
  }

  write(row: number, out: ByteBuffer): void {
    const { data, start, length } = this.#column;
    const size = length[row]!;
    if (size < 0x7f) {
      out.reserve(size + 2);
      out.bytes[out.length++] = size + 1;
      if (size <= 0) return;
    } else {
      putVarint(out, size + 1);
    }
    const from = start[row]!;
    out.append(data, from, from + size);
  }

  measure(rows: Int32Array, count: number, sizes: Int32Array): boolean {
    const { length } = this.#column;
    for (let index = 0; index < count; index++) {
      const size = length[rows[index]!]!;
      if (size >= 0x7f) return false;
      sizes[index]! += size < 0 ? 1 : size + 1;
    }
    return true;
  }

  put(rows: Int32Array, count: number, at: Int32Array, bytes: Uint8Array): void {
    const { data, start, length } = this.#column;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const size = length[row]!;
      let to = at[index]!;
      bytes[to++] = size + 1;
      const end = start[row]! + size;
      for (let from = start[row]!; from < end; from++) bytes[to++] = data[from]!;
      at[index] = to;
    }
  }

  read(reader: ByteReader, into: ColumnBuilder, row: number): void {
    const length = reader.varint() - 1;
    into.length[row] = length;
    if (length < 0) return;
    const start = reader.skip(length);
    into.start[row] = start;
    into.nonAscii[row] = hasHighBytes(reader.bytes, start, start + length);
  }
}

function hasHighBytes(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) if (bytes[at]! >= 0x80) return 1;
  return 0;
}

function measureFixed(valid: Uint8Array, width: number, rows: Int32Array, count: number, sizes: Int32Array): boolean {
  for (let index = 0; index < count; index++) sizes[index]! += valid[rows[index]!] === 0 ? 1 : 1 + width;
  return true;
}

class Int32Codec implements ValueCodec {
  readonly #width: 1 | 2 | 4;
  #column!: Int32Column;

  constructor(width: 1 | 2 | 4) {
    this.#width = width;
  }

  bind(column: Column): void {
    this.#column = column as Int32Column;
  }

  write(row: number, out: ByteBuffer): void {
    out.reserve(5);
    const { bytes } = out;
    const at = out.length;
    if (this.#column.valid[row] === 0) {
      bytes[at] = 0;
      out.length = at + 1;
      return;
    }
    const value = this.#column.values[row]!;
    bytes[at] = 1;
    bytes[at + 1] = value;
    if (this.#width > 1) bytes[at + 2] = value >> 8;
    if (this.#width > 2) {
      bytes[at + 3] = value >> 16;
      bytes[at + 4] = value >> 24;
    }
    out.length = at + 1 + this.#width;
  }

  measure(rows: Int32Array, count: number, sizes: Int32Array): boolean {
    return measureFixed(this.#column.valid, this.#width, rows, count, sizes);
  }

  put(rows: Int32Array, count: number, at: Int32Array, bytes: Uint8Array, view: DataView): void {
    const { valid, values } = this.#column;
    const width = this.#width;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      let to = at[index]!;
      if (valid[row] === 0) {
        bytes[to] = 0;
        at[index] = to + 1;
        continue;
      }
      bytes[to++] = 1;
      const value = values[row]!;
      if (width === 4) view.setInt32(to, value, true);
      else if (width === 2) view.setInt16(to, value, true);
      else bytes[to] = value;
      at[index] = to + width;
    }
  }

  read(reader: ByteReader, into: ColumnBuilder, row: number): void {
    const valid = reader.byte();
    into.valid[row] = valid;
    if (valid === 0) return;
    const at = reader.skip(this.#width);
    const { view } = reader;
    into.i32[row] =
      this.#width === 1 ? view.getInt8(at) : this.#width === 2 ? view.getInt16(at, true) : view.getInt32(at, true);
  }
}

const NAN_HIGH_WORD = 0x7ff80000;

class Float64Codec implements ValueCodec {
  readonly #oneZero: boolean;
  #column!: Float64Column;

  constructor(oneZero: boolean) {
    this.#oneZero = oneZero;
  }

  bind(column: Column): void {
    this.#column = column as Float64Column;
  }

  write(row: number, out: ByteBuffer): void {
    out.reserve(9);
    const at = out.length;
    if (this.#column.valid[row] === 0) {
      out.bytes[at] = 0;
      out.length = at + 1;
      return;
    }
    out.bytes[at] = 1;
    const value = this.#column.values[row]!;
    if (value !== value) {
      // NaN has many forms; this is the one that all of them become.
      out.view.setInt32(at + 1, 0, true);
      out.view.setInt32(at + 5, NAN_HIGH_WORD, true);
    } else {
      out.view.setFloat64(at + 1, this.#oneZero && value === 0 ? 0 : value, true);
    }
    out.length = at + 9;
  }

  measure(rows: Int32Array, count: number, sizes: Int32Array): boolean {
    return measureFixed(this.#column.valid, 8, rows, count, sizes);
  }

  put(rows: Int32Array, count: number, at: Int32Array, bytes: Uint8Array, view: DataView): void {
    const { valid, values } = this.#column;
    const oneZero = this.#oneZero;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const to = at[index]!;
      if (valid[row] === 0) {
        bytes[to] = 0;
        at[index] = to + 1;
        continue;
      }
      bytes[to] = 1;
      const value = values[row]!;
      if (value !== value) {
        view.setInt32(to + 1, 0, true);
        view.setInt32(to + 5, NAN_HIGH_WORD, true);
      } else view.setFloat64(to + 1, oneZero && value === 0 ? 0 : value, true);
      at[index] = to + 9;
    }
  }

  read(reader: ByteReader, into: ColumnBuilder, row: number): void {
    const valid = reader.byte();
    into.valid[row] = valid;
    if (valid !== 0) into.f64[row] = reader.f64();
  }
}

class Int64Codec implements ValueCodec {
  #column!: Int64Column;

  bind(column: Column): void {
    this.#column = column as Int64Column;
  }

  write(row: number, out: ByteBuffer): void {
    out.reserve(9);
    const at = out.length;
    if (this.#column.valid[row] === 0) {
      out.bytes[at] = 0;
      out.length = at + 1;
      return;
    }
    const { words } = this.#column;
    out.bytes[at] = 1;
    out.view.setInt32(at + 1, words[2 * row]!, true);
    out.view.setInt32(at + 5, words[2 * row + 1]!, true);
    out.length = at + 9;
  }

  measure(rows: Int32Array, count: number, sizes: Int32Array): boolean {
    return measureFixed(this.#column.valid, 8, rows, count, sizes);
  }

  put(rows: Int32Array, count: number, at: Int32Array, bytes: Uint8Array, view: DataView): void {
    const { valid, words } = this.#column;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const to = at[index]!;
      if (valid[row] === 0) {
        bytes[to] = 0;
        at[index] = to + 1;
        continue;
      }
      bytes[to] = 1;
      view.setInt32(to + 1, words[2 * row]!, true);
      view.setInt32(to + 5, words[2 * row + 1]!, true);
      at[index] = to + 9;
    }
  }

  read(reader: ByteReader, into: ColumnBuilder, row: number): void {
    const valid = reader.byte();
    into.valid[row] = valid;
    if (valid === 0) return;
    const at = reader.skip(8);
    into.words[2 * row] = reader.view.getInt32(at, true);
    into.words[2 * row + 1] = reader.view.getInt32(at + 4, true);
  }
}

/** Unscaled values of at most 38 digits: they fit 128 bits. */
class WideCodec implements ValueCodec {
  #column!: BigDecimalColumn;

  bind(column: Column): void {
    this.#column = column as BigDecimalColumn;
  }

  write(row: number, out: ByteBuffer): void {
    out.reserve(17);
    const at = out.length;
    if (this.#column.valid[row] === 0) {
      out.bytes[at] = 0;
      out.length = at + 1;
      return;
    }
    const value = this.#column.values[row]!;
    out.bytes[at] = 1;
    out.view.setBigUint64(at + 1, BigInt.asUintN(64, value), true);
    out.view.setBigInt64(at + 9, BigInt.asIntN(64, value >> 64n), true);
    out.length = at + 17;
  }

  read(reader: ByteReader, into: ColumnBuilder, row: number): void {
    const valid = reader.byte();
    into.valid[row] = valid;
    if (valid === 0) return;
    const at = reader.skip(16);
    into.big[row] = (reader.view.getBigInt64(at + 8, true) << 64n) | reader.view.getBigUint64(at, true);
  }
}

class ListCodec implements ValueCodec {
  readonly #element: ValueCodec;
  #column!: ListColumn;

  constructor(element: ValueCodec) {
    this.#element = element;
  }

  bind(column: Column): void {
    this.#column = column as ListColumn;
    this.#element.bind(this.#column.element);
  }

  write(row: number, out: ByteBuffer): void {
    const length = this.#column.length[row]!;
    putVarint(out, length + 1);
    const start = this.#column.start[row]!;
    for (let index = 0; index < length; index++) this.#element.write(start + index, out);
  }

  read(reader: ByteReader, into: ColumnBuilder, row: number): void {
    const length = reader.varint() - 1;
    into.length[row] = length;
    const element = into.children[0]!;
    into.start[row] = element.count;
    for (let index = 0; index < length; index++) this.#element.read(reader, element, element.append());
  }
}

class MapCodec implements ValueCodec {
  readonly #key: ValueCodec;
  readonly #value: ValueCodec;
  readonly #ordered: boolean;
  #column!: MapColumn;

  constructor(key: ValueCodec, value: ValueCodec, ordered: boolean) {
    this.#key = key;
    this.#value = value;
    this.#ordered = ordered;
  }

  bind(column: Column): void {
    this.#column = column as MapColumn;
    this.#key.bind(this.#column.keys);
    this.#value.bind(this.#column.values);
  }

  write(row: number, out: ByteBuffer): void {
    const length = this.#column.length[row]!;
    putVarint(out, length + 1);
    const start = this.#column.start[row]!;
    const begin = out.length;
    const ends: number[] = [];
    for (let index = 0; index < length; index++) {
      this.#key.write(start + index, out);
      this.#value.write(start + index, out);
      ends.push(out.length);
    }
    if (this.#ordered && length > 1) sortEntries(out, begin, ends);
  }

  read(reader: ByteReader, into: ColumnBuilder, row: number): void {
    const length = reader.varint() - 1;
    into.length[row] = length;
    const [keys, values] = into.children as [ColumnBuilder, ColumnBuilder];
    into.start[row] = keys.count;
    for (let index = 0; index < length; index++) {
      this.#key.read(reader, keys, keys.append());
      this.#value.read(reader, values, values.append());
    }
  }
}

/** Maps with the same entries in another order are the same key. */
function sortEntries(out: ByteBuffer, begin: number, ends: readonly number[]): void {
  const entries = ends.map((end, index) => out.bytes.slice(index === 0 ? begin : ends[index - 1]!, end));
  entries.sort((a, b) => Buffer.compare(a, b));
  out.length = begin;
  for (const entry of entries) out.append(entry);
}

class StructCodec implements ValueCodec {
  readonly #fields: readonly ValueCodec[];
  #column!: StructColumn;

  constructor(fields: readonly ValueCodec[]) {
    this.#fields = fields;
  }

  bind(column: Column): void {
    this.#column = column as StructColumn;
    for (const [index, field] of this.#fields.entries()) field.bind(this.#column.fields[index]!);
  }

  write(row: number, out: ByteBuffer): void {
    out.reserve(1);
    const valid = this.#column.valid[row]!;
    out.bytes[out.length++] = valid;
    if (valid === 0) return;
    for (const field of this.#fields) field.write(row, out);
  }

  measure(rows: Int32Array, count: number, sizes: Int32Array): boolean {
    const { valid } = this.#column;
    for (let index = 0; index < count; index++) {
      if (valid[rows[index]!] === 0) return false;
      sizes[index]! += 1;
    }
    return measureAll(this.#fields, rows, count, sizes);
  }

  put(rows: Int32Array, count: number, at: Int32Array, bytes: Uint8Array, view: DataView): void {
    for (let index = 0; index < count; index++) {
      bytes[at[index]!] = 1;
      at[index]! += 1;
    }
    putAll(this.#fields, rows, count, at, bytes, view);
  }

  read(reader: ByteReader, into: ColumnBuilder, row: number): void {
    const valid = reader.byte();
    if (valid === 0) {
      into.setNull(row);
      return;
    }
    into.valid[row] = 1;
    for (let index = 0; index < this.#fields.length; index++) {
      this.#fields[index]!.read(reader, into.children[index]!, row);
    }
  }
}

export function measureAll(codecs: readonly ValueCodec[], rows: Int32Array, count: number, sizes: Int32Array): boolean {
  return codecs.every((codec) => codec.measure?.(rows, count, sizes) === true);
}

export function putAll(
  codecs: readonly ValueCodec[],
  rows: Int32Array,
  count: number,
  at: Int32Array,
  bytes: Uint8Array,
  view: DataView,
): void {
  for (const codec of codecs) codec.put?.(rows, count, at, bytes, view);
}

/** `canonical`: one zero, maps in one order. */
export function codecOf(type: DataType, canonical: boolean): ValueCodec {
  switch (type.kind) {
    case 'string':
    case 'binary':
      return new BytesCodec();
    case 'null':
    case 'boolean':
    case 'tinyint':
      return new Int32Codec(1);
    case 'smallint':
      return new Int32Codec(2);
    case 'int':
    case 'date':
      return new Int32Codec(4);
    case 'float':
    case 'double':
    case 'timestamp':
    case 'interval':
      return new Float64Codec(canonical);
    case 'bigint':
      return new Int64Codec();
    case 'decimal':
      return type.precision <= 18 ? new Int64Codec() : new WideCodec();
    case 'array':
      return new ListCodec(codecOf(type.element, canonical));
    case 'map':
      return new MapCodec(codecOf(type.key, canonical), codecOf(type.value, canonical), canonical);
    case 'struct':
      return new StructCodec(type.fields.map((field) => codecOf(field.type, canonical)));
    default:
      return unreachable(type);
  }
}

/** A type that a column builder knows, with the same bytes. */
export function buildable(type: DataType): DataType {
  return type.kind === 'null' ? { kind: 'boolean' } : type.kind === 'interval' ? { kind: 'double' } : type;
}
