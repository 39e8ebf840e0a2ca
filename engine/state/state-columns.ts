/**
 * Columns of state: one cell per id, changed in place, read as {@link Column}s. Numbers live in typed arrays, text and
 * nested values in an arena, so a million ids make no work for the garbage collector.
 */
import { unreachable } from '../../core/assert.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type {
  BigDecimalColumn,
  BytesColumn,
  Column,
  Float64Column,
  Int32Column,
  Int64Column,
} from '../column-batch.ts';
import { ByteCells } from './byte-cells.ts';
import { RowCodec } from './row-codec.ts';

/** Cells of one column. A cell is NULL until it is set; ids must lie below the capacity. */
export interface StateColumn {
  /** Room for the ids below `capacity`. */
  ensure(capacity: number): void;
  /** Copies a row of a column of the same type. */
  set(id: number, column: Column, row: number): void;
  /** Makes a cell NULL. */
  clear(id: number): void;
  isNull(id: number): boolean;
  /** Copies a cell. */
  copy(to: number, from: number): void;
  /** The cells `ids[0 … count)` as a column; id -1 gives NULL. Text points into the arena as it is now. */
  gather(ids: ArrayLike<number>, count: number): Column;
  /** Memory held. */
  readonly bytes: number;
}

/** How large arrays for `capacity` ids become, given what they hold now. */
export function grownCapacity(current: number, capacity: number): number {
  return Math.max(capacity, 64, Math.ceil(current * 1.5));
}

/** boolean, tinyint, smallint, int, date. */
export class Int32Cells implements StateColumn {
  values = new Int32Array(0);
  valid = new Uint8Array(0);

  ensure(capacity: number): void {
    if (capacity <= this.valid.length) return;
    const size = grownCapacity(this.valid.length, capacity);
    this.values = widened(this.values, new Int32Array(size));
    this.valid = widened(this.valid, new Uint8Array(size));
  }

  set(id: number, column: Column, row: number): void {
    const { values, valid } = column as Int32Column;
    this.values[id] = values[row]!;
    this.valid[id] = valid[row]!;
  }

  clear(id: number): void {
    this.valid[id] = 0;
  }

  isNull(id: number): boolean {
    return this.valid[id] === 0;
  }

  copy(to: number, from: number): void {
    this.values[to] = this.values[from]!;
    this.valid[to] = this.valid[from]!;
  }

  gather(ids: ArrayLike<number>, count: number): Int32Column {
    const values = new Int32Array(count);
    const valid = new Uint8Array(count);
    for (let row = 0; row < count; row++) {
      const id = ids[row]!;
      if (id < 0 || this.valid[id] === 0) continue;
      values[row] = this.values[id]!;
      valid[row] = 1;
    }
    return { kind: 'i32', values, valid };
  }

  get bytes(): number {
    return this.values.byteLength + this.valid.byteLength;
  }
}

/** float, double, timestamp. */
export class Float64Cells implements StateColumn {
  values = new Float64Array(0);
  valid = new Uint8Array(0);

  ensure(capacity: number): void {
    if (capacity <= this.valid.length) return;
    const size = grownCapacity(this.valid.length, capacity);
    this.values = widened(this.values, new Float64Array(size));
    this.valid = widened(this.valid, new Uint8Array(size));
  }

  set(id: number, column: Column, row: number): void {
    const { values, valid } = column as Float64Column;
    this.values[id] = values[row]!;
    this.valid[id] = valid[row]!;
  }

  clear(id: number): void {
    this.valid[id] = 0;
  }

  isNull(id: number): boolean {
    return this.valid[id] === 0;
  }

  copy(to: number, from: number): void {
    this.values[to] = this.values[from]!;
    this.valid[to] = this.valid[from]!;
  }

  gather(ids: ArrayLike<number>, count: number): Float64Column {
    const values = new Float64Array(count);
    const valid = new Uint8Array(count);
    for (let row = 0; row < count; row++) {
      const id = ids[row]!;
      if (id < 0 || this.valid[id] === 0) continue;
      values[row] = this.values[id]!;
      valid[row] = 1;
    }
    return { kind: 'f64', values, valid };
  }

  get bytes(): number {
    return this.values.byteLength + this.valid.byteLength;
  }
}

/** bigint, and decimal of at most 18 digits, as [low, high] words. */
export class Int64Cells implements StateColumn {
  words = new Int32Array(0);
  valid = new Uint8Array(0);

  ensure(capacity: number): void {
    if (capacity <= this.valid.length) return;
    const size = grownCapacity(this.valid.length, capacity);
    this.words = widened(this.words, new Int32Array(size * 2));
    this.valid = widened(this.valid, new Uint8Array(size));
  }

  set(id: number, column: Column, row: number): void {
    const { words, valid } = column as Int64Column;
    this.words[2 * id] = words[2 * row]!;
    this.words[2 * id + 1] = words[2 * row + 1]!;
    this.valid[id] = valid[row]!;
  }

  clear(id: number): void {
    this.valid[id] = 0;
  }

  isNull(id: number): boolean {
    return this.valid[id] === 0;
  }

  copy(to: number, from: number): void {
    this.words[2 * to] = this.words[2 * from]!;
    this.words[2 * to + 1] = this.words[2 * from + 1]!;
    this.valid[to] = this.valid[from]!;
  }

  gather(ids: ArrayLike<number>, count: number): Int64Column {
    const values = new BigInt64Array(count);
    const words = new Int32Array(values.buffer);
    const valid = new Uint8Array(count);
    for (let row = 0; row < count; row++) {
      const id = ids[row]!;
      if (id < 0 || this.valid[id] === 0) continue;
      words[2 * row] = this.words[2 * id]!;
      words[2 * row + 1] = this.words[2 * id + 1]!;
      valid[row] = 1;
    }
    return { kind: 'i64', values, words, valid };
  }

  get bytes(): number {
    return this.words.byteLength + this.valid.byteLength;
  }
}

/** decimal beyond 18 digits, as four words of a 128-bit number, least first: no bigint is kept. */
export class WideCells implements StateColumn {
  words = new Int32Array(0);
  valid = new Uint8Array(0);

  ensure(capacity: number): void {
    if (capacity <= this.valid.length) return;
    const size = grownCapacity(this.valid.length, capacity);
    this.words = widened(this.words, new Int32Array(size * 4));
    this.valid = widened(this.valid, new Uint8Array(size));
  }

  get(id: number): bigint {
    const { words } = this;
    const at = 4 * id;
    const high = BigInt(words[at + 3]!);
    const sign = words[at + 3]!;
    // Most sums are small: two words say it all.
    if ((sign === 0 || sign === -1) && words[at + 2] === sign) {
      if (words[at + 1]! >> 21 === sign) return BigInt(words[at + 1]! * 0x1_0000_0000 + (words[at]! >>> 0));
    }
    return (
      (high << 96n) |
      (BigInt(words[at + 2]! >>> 0) << 64n) |
      (BigInt(words[at + 1]! >>> 0) << 32n) |
      BigInt(words[at]! >>> 0)
    );
  }

  put(id: number, value: bigint): void {
    const at = 4 * id;
    const { words } = this;
    words[at] = Number(BigInt.asIntN(32, value));
    words[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
    words[at + 2] = Number(BigInt.asIntN(32, value >> 64n));
    words[at + 3] = Number(BigInt.asIntN(32, value >> 96n));
    this.valid[id] = 1;
  }

  set(id: number, column: Column, row: number): void {
    const { values, valid } = column as BigDecimalColumn;
    if (valid[row] === 0) this.valid[id] = 0;
    else this.put(id, values[row]!);
  }

  clear(id: number): void {
    this.valid[id] = 0;
  }

  isNull(id: number): boolean {
    return this.valid[id] === 0;
  }

  copy(to: number, from: number): void {
    this.words.copyWithin(4 * to, 4 * from, 4 * from + 4);
    this.valid[to] = this.valid[from]!;
  }

  gather(ids: ArrayLike<number>, count: number): BigDecimalColumn {
    const values: bigint[] = [];
    const valid = new Uint8Array(count);
    for (let row = 0; row < count; row++) {
      const id = ids[row]!;
      const there = id >= 0 && this.valid[id] !== 0;
      values.push(there ? this.get(id) : 0n);
      if (there) valid[row] = 1;
    }
    return { kind: 'big', values, valid };
  }

  get bytes(): number {
    return this.words.byteLength + this.valid.byteLength;
  }
}

/** string, binary. */
export class TextCells implements StateColumn {
  readonly cells = new ByteCells();
  nonAscii = new Uint8Array(0);

  ensure(capacity: number): void {
    this.cells.ensure(capacity);
    if (capacity > this.nonAscii.length)
      this.nonAscii = widened(this.nonAscii, new Uint8Array(grownCapacity(this.nonAscii.length, capacity)));
  }

  set(id: number, column: Column, row: number): void {
    const { data, start, length, nonAscii } = column as BytesColumn;
    const size = length[row]!;
    if (size < 0) {
      this.cells.clear(id);
      return;
    }
    const from = start[row]!;
    this.cells.set(id, data, from, from + size);
    this.nonAscii[id] = nonAscii[row]!;
  }

  clear(id: number): void {
    this.cells.clear(id);
  }

  isNull(id: number): boolean {
    return !this.cells.has(id);
  }

  copy(to: number, from: number): void {
    copyCell(this.cells, to, from);
    this.nonAscii[to] = this.nonAscii[from]!;
  }

  gather(ids: ArrayLike<number>, count: number): BytesColumn {
    const start = new Int32Array(count);
    const length = new Int32Array(count);
    const nonAscii = new Uint8Array(count);
    for (let row = 0; row < count; row++) {
      const id = ids[row]!;
      length[row] = id < 0 ? -1 : this.cells.length[id]!;
      if (length[row]! < 0) continue;
      start[row] = this.cells.start[id]!;
      nonAscii[row] = this.nonAscii[id]!;
    }
    return { kind: 'bytes', data: this.cells.data, start, length, nonAscii };
  }

  get bytes(): number {
    return this.cells.bytes + this.nonAscii.byteLength;
  }
}

function copyCell(cells: ByteCells, to: number, from: number): void {
  const length = cells.length[from]!;
  if (length < 0) {
    cells.clear(to);
    return;
  }
  const at = cells.start[from]!;
  cells.set(to, cells.data, at, at + length);
}

/** Lists, maps and structs, each encoded. */
export class NestedCells implements StateColumn {
  readonly cells = new ByteCells();
  readonly codec: RowCodec;
  readonly #value = new ByteBuffer();
  #bound: Column | null = null;

  constructor(type: DataType) {
    this.codec = new RowCodec([{ name: 'value', type, nullable: true }]);
  }

  ensure(capacity: number): void {
    this.cells.ensure(capacity);
  }

  set(id: number, column: Column, row: number): void {
    if (this.#bound !== column) {
      this.codec.bind([column]);
      this.#bound = column;
    }
    this.#value.clear();
    this.codec.encode(row, this.#value);
    if (this.#value.bytes[0] === 0) this.cells.clear(id);
    else this.cells.set(id, this.#value.bytes, 0, this.#value.length);
  }

  clear(id: number): void {
    this.cells.clear(id);
  }

  isNull(id: number): boolean {
    return !this.cells.has(id);
  }

  copy(to: number, from: number): void {
    copyCell(this.cells, to, from);
  }

  gather(ids: ArrayLike<number>, count: number): Column {
    const decoder = this.codec.decoder();
    const { data, start } = this.cells;
    const reader = this.codec.reader(data);
    for (let row = 0; row < count; row++) {
      const id = ids[row]!;
      if (id < 0 || !this.cells.has(id)) {
        decoder.addNulls();
        continue;
      }
      reader.at = start[id]!;
      decoder.add(reader);
    }
    return decoder.columns(data)[0]!;
  }

  get bytes(): number {
    return this.cells.bytes;
  }
}

function widened<T extends Int32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Cells for values of a type. */
export function stateColumnOf(type: DataType): StateColumn {
  switch (type.kind) {
    case 'null':
    case 'boolean':
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'date':
      return new Int32Cells();
    case 'float':
    case 'double':
    case 'timestamp':
    case 'interval':
      return new Float64Cells();
    case 'bigint':
      return new Int64Cells();
    case 'decimal':
      return type.precision <= 18 ? new Int64Cells() : new WideCells();
    case 'string':
    case 'binary':
      return new TextCells();
    case 'array':
    case 'map':
    case 'struct':
      return new NestedCells(type);
    default:
      return unreachable(type);
  }
}

/** A row of cells per id, for a schema. */
export class StateColumns {
  readonly schema: Schema;
  readonly columns: readonly StateColumn[];

  constructor(schema: Schema) {
    this.schema = schema;
    this.columns = schema.map((field) => stateColumnOf(field.type));
  }

  ensure(capacity: number): void {
    for (const column of this.columns) column.ensure(capacity);
  }

  /** Copies a row of a batch's columns, one per field. */
  set(id: number, columns: readonly Column[], row: number): void {
    for (let index = 0; index < this.columns.length; index++) this.columns[index]!.set(id, columns[index]!, row);
  }

  clear(id: number): void {
    for (const column of this.columns) column.clear(id);
  }

  copy(to: number, from: number): void {
    for (const column of this.columns) column.copy(to, from);
  }

  /** The rows `ids[0 … count)` as columns; id -1 gives NULLs. To store them, encode them with a `RowCodec`. */
  gather(ids: ArrayLike<number>, count: number): Column[] {
    return this.columns.map((column) => column.gather(ids, count));
  }

  /** Memory held. */
  get bytes(): number {
    return this.columns.reduce((sum, column) => sum + column.bytes, 0);
  }
}
