import { unreachable } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import { type DataType, formatType, type Schema } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';

/** One of the columns that rows are sorted by. */
export interface SortColumn {
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** Reads a bound column's row into bytes whose order is the order of the values. */
interface OrderedCodec {
  bind(column: Column): void;
  write(row: number, out: ByteBuffer): void;
}

const NULL_FIRST = 0;
const PRESENT = 1;
const NULL_LAST = 2;

/**
 * Rows as bytes that compare, one by one and unsigned, as the rows do by SQL's ORDER BY: NULLs where the column says,
 * text by its bytes, zeros alike, NaN above all numbers, lists and structs by their first difference.
 *
 *     keys.bind(batch.columns);  keys.encode(row, out)
 */
export class SortKeys {
  readonly #columns: readonly SortColumn[];
  readonly #codecs: readonly OrderedCodec[];

  /** Throws: UNSUPPORTED for a type that has no order. */
  constructor(schema: Schema, columns: readonly SortColumn[]) {
    this.#columns = columns;
    this.#codecs = columns.map(({ column, descending, nullsFirst }) => {
      const type = schema[column]?.type;
      if (type === undefined) throw new RangeError(`sort column ${column} is no column`);
      // The bytes of descending columns are turned round as a whole: NULL is then to stand at the other end.
      return codecOf(type, nullsFirst !== descending);
    });
  }

  bind(columns: readonly Column[]): this {
    this.#codecs.forEach((codec, index) => codec.bind(columns[this.#columns[index]!.column]!));
    return this;
  }

  /** Appends the key of a row of the bound columns; the position where it begins. */
  encode(row: number, out: ByteBuffer): number {
    const start = out.length;
    for (let index = 0; index < this.#codecs.length; index++) {
      const from = out.length;
      this.#codecs[index]!.write(row, out);
      if (!this.#columns[index]!.descending) continue;
      const { bytes } = out;
      for (let at = from; at < out.length; at++) bytes[at] = bytes[at]! ^ 0xff;
    }
    return start;
  }
}

/** Below zero when the first bytes come first. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): number {
  const length = aLength < bLength ? aLength : bLength;
  for (let index = 0; index < length; index++) {
    const difference = a[aStart + index]! - b[bStart + index]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

function codecOf(type: DataType, nullsFirst: boolean): OrderedCodec {
  const none = nullsFirst ? NULL_FIRST : NULL_LAST;
  switch (type.kind) {
    case 'null':
    case 'boolean':
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'date':
      return new OrderedInt32(none);
    case 'float':
    case 'double':
    case 'timestamp':
    case 'interval':
      return new OrderedFloat64(none);
    case 'bigint':
      return new OrderedInt64(none);
    case 'decimal':
      return type.precision <= 18 ? new OrderedInt64(none) : new OrderedWide(none);
    case 'string':
    case 'binary':
      return new OrderedBytes(none);
    case 'array':
      return new OrderedList(none, codecOf(type.element, true));
    case 'struct':
      return new OrderedStruct(
        none,
        type.fields.map((field) => codecOf(field.type, true)),
      );
    case 'map':
      throw new WeirError(
        'UNSUPPORTED',
        `rows cannot be sorted by a value of type ${formatType(type)}: it has no order`,
      );
    default:
      return unreachable(type);
  }
}

function putByte(out: ByteBuffer, byte: number): void {
  out.reserve(1);
  out.bytes[out.length++] = byte;
}

class OrderedInt32 implements OrderedCodec {
  readonly #none: number;
  #values = new Int32Array(0);
  #valid = new Uint8Array(0);

  constructor(none: number) {
    this.#none = none;
  }

  bind(column: Column): void {
    if (column.kind !== 'i32') throw new TypeError(`cannot sort a ${column.kind} column as i32`);
    this.#values = column.values as Int32Array<ArrayBuffer>;
    this.#valid = column.valid as Uint8Array<ArrayBuffer>;
  }

  write(row: number, out: ByteBuffer): void {
    if (this.#valid[row] === 0) return putByte(out, this.#none);
    putByte(out, PRESENT);
    out.reserve(4);
    out.view.setInt32(out.length, this.#values[row]! ^ 0x80000000);
    out.length += 4;
  }
}

class OrderedFloat64 implements OrderedCodec {
  readonly #none: number;
  #values = new Float64Array(0);
  #valid = new Uint8Array(0);

  constructor(none: number) {
    this.#none = none;
  }

  bind(column: Column): void {
    if (column.kind !== 'f64') throw new TypeError(`cannot sort a ${column.kind} column as f64`);
    this.#values = column.values as Float64Array<ArrayBuffer>;
    this.#valid = column.valid as Uint8Array<ArrayBuffer>;
  }

  write(row: number, out: ByteBuffer): void {
    if (this.#valid[row] === 0) return putByte(out, this.#none);
    putByte(out, PRESENT);
    out.reserve(8);
    const { view, length } = out;
    const value = this.#values[row]!;
    if (value !== value) {
      view.setUint32(length, 0xffffffff);
      view.setUint32(length + 4, 0xffffffff);
    } else {
      view.setFloat64(length, value === 0 ? 0 : value);
      const high = view.getUint32(length);
      const isNegative = high >= 0x80000000;
      view.setUint32(length, isNegative ? ~high : high ^ 0x80000000);
      if (isNegative) view.setUint32(length + 4, ~view.getUint32(length + 4));
    }
    out.length += 8;
  }
}

class OrderedInt64 implements OrderedCodec {
  readonly #none: number;
  #words = new Int32Array(0);
  #valid = new Uint8Array(0);

  constructor(none: number) {
    this.#none = none;
  }

  bind(column: Column): void {
    if (column.kind !== 'i64') throw new TypeError(`cannot sort a ${column.kind} column as i64`);
    this.#words = column.words as Int32Array<ArrayBuffer>;
    this.#valid = column.valid as Uint8Array<ArrayBuffer>;
  }

  write(row: number, out: ByteBuffer): void {
    if (this.#valid[row] === 0) return putByte(out, this.#none);
    putByte(out, PRESENT);
    out.reserve(8);
    out.view.setInt32(out.length, this.#words[2 * row + 1]! ^ 0x80000000);
    out.view.setInt32(out.length + 4, this.#words[2 * row]!);
    out.length += 8;
  }
}

class OrderedWide implements OrderedCodec {
  readonly #none: number;
  #values: readonly bigint[] = [];
  #valid = new Uint8Array(0);

  constructor(none: number) {
    this.#none = none;
  }

  bind(column: Column): void {
    if (column.kind !== 'big') throw new TypeError(`cannot sort a ${column.kind} column as big`);
    this.#values = column.values;
    this.#valid = column.valid as Uint8Array<ArrayBuffer>;
  }

  write(row: number, out: ByteBuffer): void {
    if (this.#valid[row] === 0) return putByte(out, this.#none);
    putByte(out, PRESENT);
    out.reserve(16);
    const value = this.#values[row]!;
    out.view.setBigUint64(out.length, BigInt.asUintN(64, value >> 64n) ^ (1n << 63n));
    out.view.setBigUint64(out.length + 8, BigInt.asUintN(64, value));
    out.length += 16;
  }
}

/** A zero byte becomes 0 255, the end 0 0: so no text's bytes run into what follows. */
class OrderedBytes implements OrderedCodec {
  readonly #none: number;
  #data: Uint8Array = new Uint8Array(0);
  #start: Int32Array = new Int32Array(0);
  #length: Int32Array = new Int32Array(0);

  constructor(none: number) {
    this.#none = none;
  }

  bind(column: Column): void {
    if (column.kind !== 'bytes') throw new TypeError(`cannot sort a ${column.kind} column as bytes`);
    this.#data = column.data;
    this.#start = column.start;
    this.#length = column.length;
  }

  write(row: number, out: ByteBuffer): void {
    const length = this.#length[row]!;
    if (length < 0) return putByte(out, this.#none);
    out.reserve(2 * length + 3);
    const { bytes } = out;
    const start = this.#start[row]!;
    let at = out.length;
    bytes[at++] = PRESENT;
    for (let index = start; index < start + length; index++) {
      const byte = this.#data[index]!;
      bytes[at++] = byte;
      if (byte === 0) bytes[at++] = 0xff;
    }
    bytes[at++] = 0;
    bytes[at++] = 0;
    out.length = at;
  }
}

/** A byte says of each element whether there is one: a list that ends comes first. */
class OrderedList implements OrderedCodec {
  readonly #none: number;
  readonly #element: OrderedCodec;
  #start: Int32Array = new Int32Array(0);
  #length: Int32Array = new Int32Array(0);

  constructor(none: number, element: OrderedCodec) {
    this.#none = none;
    this.#element = element;
  }

  bind(column: Column): void {
    if (column.kind !== 'list') throw new TypeError(`cannot sort a ${column.kind} column as list`);
    this.#start = column.start;
    this.#length = column.length;
    this.#element.bind(column.element);
  }

  write(row: number, out: ByteBuffer): void {
    const length = this.#length[row]!;
    if (length < 0) return putByte(out, this.#none);
    putByte(out, PRESENT);
    const start = this.#start[row]!;
    for (let index = start; index < start + length; index++) {
      putByte(out, 1);
      this.#element.write(index, out);
    }
    putByte(out, 0);
  }
}

class OrderedStruct implements OrderedCodec {
  readonly #none: number;
  readonly #fields: readonly OrderedCodec[];
  #valid: Uint8Array = new Uint8Array(0);

  constructor(none: number, fields: readonly OrderedCodec[]) {
    this.#none = none;
    this.#fields = fields;
  }

  bind(column: Column): void {
    if (column.kind !== 'struct') throw new TypeError(`cannot sort a ${column.kind} column as struct`);
    this.#valid = column.valid;
    this.#fields.forEach((field, index) => field.bind(column.fields[index]!));
  }

  write(row: number, out: ByteBuffer): void {
    if (this.#valid[row] === 0) return putByte(out, this.#none);
    putByte(out, PRESENT);
    for (const field of this.#fields) field.write(row, out);
  }
}
