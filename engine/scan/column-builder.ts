/**
 * Columns while they are filled: one builder per column, with the builders of its fields or elements below it. The
 * memory is kept from batch to batch; the {@link Column}s handed out are views of it and die with the next batch.
 */
import { WeirError } from '../../core/errors.ts';
import type { DataType } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import type { Column } from '../column-batch.ts';
import type { KernelArena } from '../kernels/kernel-arena.ts';

/** What a builder holds, as a small number for the scanner's switch. */
export const BUILD_STRING = 0;
export const BUILD_BINARY = 1;
export const BUILD_BOOLEAN = 2;
export const BUILD_TINYINT = 3;
export const BUILD_SMALLINT = 4;
export const BUILD_INT = 5;
export const BUILD_DATE = 6;
export const BUILD_BIGINT = 7;
export const BUILD_FLOAT = 8;
export const BUILD_DOUBLE = 9;
export const BUILD_TIMESTAMP = 10;
export const BUILD_DECIMAL = 11;
export const BUILD_BIG_DECIMAL = 12;
export const BUILD_LIST = 13;
export const BUILD_MAP = 14;
export const BUILD_STRUCT = 15;

const scalarKinds = {
  string: BUILD_STRING,
  binary: BUILD_BINARY,
  boolean: BUILD_BOOLEAN,
  tinyint: BUILD_TINYINT,
  smallint: BUILD_SMALLINT,
  int: BUILD_INT,
  date: BUILD_DATE,
  bigint: BUILD_BIGINT,
  float: BUILD_FLOAT,
  double: BUILD_DOUBLE,
  timestamp: BUILD_TIMESTAMP,
} as const;

/** Digits of a decimal whose unscaled value fits 64 bits. */
const DECIMAL64_PRECISION_MAX = 18;

/** Arrays in kernel memory have room for a multiple of this many rows, so that they are often the same. */
const PLACED_ROWS = 512;
/** Bytes a row takes there, whatever its kind: eight of value or start, four of length, one of a flag. */
const PLACED_BYTES = 13;

function buildKind(type: DataType, place: string): number {
  switch (type.kind) {
    case 'array':
      return BUILD_LIST;
    case 'map':
      return BUILD_MAP;
    case 'struct':
      return BUILD_STRUCT;
    case 'decimal':
      return type.precision <= DECIMAL64_PRECISION_MAX ? BUILD_DECIMAL : BUILD_BIG_DECIMAL;
    case 'null':
    case 'interval':
      throw new WeirError('UNSUPPORTED', `column ${place} has type ${formatType(type)}, which no record can hold`);
    default:
      return scalarKinds[type.kind];
  }
}

function childrenOf(type: DataType, place: string): ColumnBuilder[] {
  switch (type.kind) {
    case 'array':
      return [new ColumnBuilder(type.element, `${place}[]`, !type.containsNull)];
    case 'map':
      return [
        new ColumnBuilder(type.key, `${place}.key`, true),
        new ColumnBuilder(type.value, `${place}.value`, !type.valueContainsNull),
      ];
    case 'struct':
      return type.fields.map((field) => new ColumnBuilder(field.type, `${place}.${field.name}`, !field.nullable));
    default:
      return [];
  }
}

export class ColumnBuilder {
  readonly kind: number;
  /** Name for failures: `address.city`, `pictures[]`. */
  readonly place: string;
  readonly required: boolean;
  /** Struct: its fields. List: the element. Map: key and value. */
  readonly children: readonly ColumnBuilder[];
  readonly precision: number;
  readonly scale: number;
  /** Rows appended, for elements of lists and maps. */
  count = 0;
  start = new Int32Array(0);
  length = new Int32Array(0);
  nonAscii = new Uint8Array(0);
  valid = new Uint8Array(0);
  i32 = new Int32Array(0);
  f64 = new Float64Array(0);
  i64 = new BigInt64Array(0);
  words = new Int32Array(0);
  big: bigint[] = [];
  /** Where `start` or the values, `length` or `valid`, and `nonAscii` stand in kernel memory. */
  readonly addresses = { values: 0, valid: 0, nonAscii: 0 };
  #capacity = 0;
  /** Address of the arrays in kernel memory; 0 = they are the builder's own. */
  #placed = 0;

  /** Throws: UNSUPPORTED for a type that no record can hold. */
  constructor(type: DataType, place: string, required: boolean) {
    this.kind = buildKind(type, place);
    this.place = place;
    this.required = required;
    this.children = childrenOf(type, place);
    this.precision = type.kind === 'decimal' ? type.precision : 0;
    this.scale = type.kind === 'decimal' ? type.scale : 0;
  }

  /** Room for `rows` rows; what is there stays. */
  ensure(rows: number): void {
    if (rows <= this.#capacity) return;
    const capacity = Math.max(rows, this.#capacity * 2, 64);
    this.#capacity = capacity;
    switch (this.kind) {
      case BUILD_STRING:
      case BUILD_BINARY:
        this.nonAscii = grow(this.nonAscii, new Uint8Array(capacity));
        this.start = grow(this.start, new Int32Array(capacity));
        this.length = grow(this.length, new Int32Array(capacity));
        break;
      case BUILD_LIST:
      case BUILD_MAP:
        this.start = grow(this.start, new Int32Array(capacity));
        this.length = grow(this.length, new Int32Array(capacity));
        break;
      case BUILD_FLOAT:
      case BUILD_DOUBLE:
      case BUILD_TIMESTAMP:
        this.f64 = grow(this.f64, new Float64Array(capacity));
        this.valid = grow(this.valid, new Uint8Array(capacity));
        break;
      case BUILD_BIGINT:
      case BUILD_DECIMAL:
        this.words = grow(this.words, new Int32Array(capacity * 2));
        this.i64 = new BigInt64Array(this.words.buffer);
        this.valid = grow(this.valid, new Uint8Array(capacity));
        break;
      case BUILD_BIG_DECIMAL:
        while (this.big.length < capacity) this.big.push(0n);
        this.valid = grow(this.valid, new Uint8Array(capacity));
        break;
      case BUILD_STRUCT:
        this.valid = grow(this.valid, new Uint8Array(capacity));
        for (const field of this.children) field.ensure(capacity);
        break;
      default:
        this.i32 = grow(this.i32, new Int32Array(capacity));
        this.valid = grow(this.valid, new Uint8Array(capacity));
    }
  }

  /** Makes `row` null, with all fields of a struct. */
  setNull(row: number): void {
    switch (this.kind) {
      case BUILD_STRING:
      case BUILD_BINARY:
      case BUILD_LIST:
      case BUILD_MAP:
        this.length[row] = -1;
        return;
      case BUILD_STRUCT:
        for (const field of this.children) field.setNull(row);
    }
    this.valid[row] = 0;
  }

  isNull(row: number): boolean {
    switch (this.kind) {
      case BUILD_STRING:
      case BUILD_BINARY:
      case BUILD_LIST:
      case BUILD_MAP:
        return this.length[row]! < 0;
      default:
        return this.valid[row] === 0;
    }
  }

  /** Begins a batch: room for `rows` rows, all null; elements start from none. */
  begin(rows: number): void {
    this.#takeOwn();
    this.ensure(rows);
    this.#clear(rows);
  }

  /** The same with arrays in kernel memory, but those of elements; false when that has no room. */
  beginPlaced(rows: number, arena: KernelArena): boolean {
    if (!this.#place(rows, arena)) return false;
    this.#clear(rows);
    return true;
  }

  #takeOwn(): void {
    for (const child of this.children) child.#takeOwn();
    if (this.#placed === 0) return;
    this.#placed = 0;
    this.#capacity = 0;
    this.start = new Int32Array(0);
    this.length = new Int32Array(0);
    this.nonAscii = new Uint8Array(0);
    this.valid = new Uint8Array(0);
    this.i32 = new Int32Array(0);
    this.f64 = new Float64Array(0);
    this.words = new Int32Array(0);
    this.i64 = new BigInt64Array(0);
  }

  #place(rows: number, arena: KernelArena): boolean {
    if (this.kind === BUILD_STRUCT && !this.children.every((field) => field.#place(rows, arena))) return false;
    const capacity = Math.ceil(rows / PLACED_ROWS) * PLACED_ROWS;
    const at = arena.allocate(capacity * PLACED_BYTES);
    const { memory } = arena;
    if (at === 0 || memory === null) return false;
    // Views cost more than a column of few rows: they are kept as long as they fit.
    if (this.#placed === at && this.#capacity === capacity) return true;
    this.#placed = at;
    this.#capacity = capacity;
    const second = at + capacity * 8;
    this.addresses.values = at;
    this.addresses.valid = second;
    this.addresses.nonAscii = second + capacity * 4;
    const { buffer } = memory;
    switch (this.kind) {
      case BUILD_STRING:
      case BUILD_BINARY:
      case BUILD_LIST:
      case BUILD_MAP:
        this.start = new Int32Array(buffer, at, capacity);
        this.length = new Int32Array(buffer, second, capacity);
        this.nonAscii = new Uint8Array(buffer, this.addresses.nonAscii, capacity);
        return true;
      case BUILD_FLOAT:
      case BUILD_DOUBLE:
      case BUILD_TIMESTAMP:
        this.f64 = new Float64Array(buffer, at, capacity);
        break;
      case BUILD_BIGINT:
      case BUILD_DECIMAL:
        this.words = new Int32Array(buffer, at, capacity * 2);
        this.i64 = new BigInt64Array(buffer, at, capacity);
        break;
      case BUILD_BIG_DECIMAL:
        while (this.big.length < capacity) this.big.push(0n);
        break;
      case BUILD_STRUCT:
        break;
      default:
        this.i32 = new Int32Array(buffer, at, capacity);
    }
    this.valid = new Uint8Array(buffer, second, capacity);
    return true;
  }

  /** Moves what row `from` holds to row `to`. */
  moveRow(from: number, to: number): void {
    switch (this.kind) {
      case BUILD_STRING:
      case BUILD_BINARY:
        this.nonAscii[to] = this.nonAscii[from]!;
        this.start[to] = this.start[from]!;
        this.length[to] = this.length[from]!;
        return;
      case BUILD_LIST:
      case BUILD_MAP:
        this.start[to] = this.start[from]!;
        this.length[to] = this.length[from]!;
        return;
      case BUILD_FLOAT:
      case BUILD_DOUBLE:
      case BUILD_TIMESTAMP:
        this.f64[to] = this.f64[from]!;
        break;
      case BUILD_BIGINT:
      case BUILD_DECIMAL:
        this.words[2 * to] = this.words[2 * from]!;
        this.words[2 * to + 1] = this.words[2 * from + 1]!;
        break;
      case BUILD_BIG_DECIMAL:
        this.big[to] = this.big[from]!;
        break;
      case BUILD_STRUCT:
        for (const field of this.children) field.moveRow(from, to);
        break;
      default:
        this.i32[to] = this.i32[from]!;
    }
    this.valid[to] = this.valid[from]!;
  }

  #clear(rows: number): void {
    this.length.fill(-1, 0, Math.min(rows, this.length.length));
    this.valid.fill(0, 0, Math.min(rows, this.valid.length));
    this.count = 0;
    for (const child of this.children) child.#clear(this.kind === BUILD_STRUCT ? rows : 0);
  }

  /** A new element behind the others, null; its row. */
  append(): number {
    const row = this.count;
    this.count = row + 1;
    this.ensure(this.count);
    this.setNull(row);
    return row;
  }

  /** Sets a bigint or decimal from a safe integer. */
  setInteger(row: number, value: number): void {
    this.words[row * 2] = value | 0;
    this.words[row * 2 + 1] = Math.floor(value / 4294967296);
    this.valid[row] = 1;
  }

  /** The column as operators read it; `data` is where its bytes stand. */
  column(data: Uint8Array): Column {
    const { start, length, valid } = this;
    switch (this.kind) {
      case BUILD_STRING:
      case BUILD_BINARY:
        return { kind: 'bytes', data, start, length, nonAscii: this.nonAscii };
      case BUILD_FLOAT:
      case BUILD_DOUBLE:
      case BUILD_TIMESTAMP:
        return { kind: 'f64', values: this.f64, valid };
      case BUILD_BIGINT:
      case BUILD_DECIMAL:
        return { kind: 'i64', values: this.i64, words: this.words, valid };
      case BUILD_BIG_DECIMAL:
        return { kind: 'big', values: this.big, valid };
      case BUILD_LIST:
        return { kind: 'list', start, length, element: this.#child(0).column(data) };
      case BUILD_MAP:
        return { kind: 'map', start, length, keys: this.#child(0).column(data), values: this.#child(1).column(data) };
      case BUILD_STRUCT:
        return { kind: 'struct', valid, fields: this.children.map((field) => field.column(data)) };
      default:
        return { kind: 'i32', values: this.i32, valid };
    }
  }

  #child(index: number): ColumnBuilder {
    return this.children[index]!;
  }
}

function grow<T extends Int32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
