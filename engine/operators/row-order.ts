import { unreachable } from '../../core/assert.ts';
import { type DataType, formatType, type Schema } from '../../core/types.ts';
import type { Column } from '../column-batch.ts';
import { compareBytes, type SortColumn } from './sort-keys.ts';

/**
 * Compares rows of bound columns in place, in the order of `SortKeys` and without its bytes: for rows that are looked at
 * a few times and then forgotten.
 *
 *     order.bind(batch.columns);  order.compare(a, b) < 0
 */
export class RowOrder {
  readonly #columns: readonly number[];
  readonly #parts: readonly OrderPart[];

  /** The columns are no lists, structs and maps. */
  constructor(schema: Schema, by: readonly SortColumn[]) {
    this.#columns = by.map(({ column }) => column);
    this.#parts = by.map(({ column, descending, nullsFirst }) => {
      const type = schema[column]?.type;
      if (type === undefined) throw new RangeError(`sort column ${column} is no column`);
      return partOf(type, descending ? -1 : 1, nullsFirst ? -1 : 1);
    });
  }

  bind(columns: readonly Column[]): this {
    for (const [index, part] of this.#parts.entries()) part.bind(columns[this.#columns[index]!]!);
    return this;
  }

  /** Below zero when row `a` comes first; 0 when neither does. */
  compare(a: number, b: number): number {
    const parts = this.#parts;
    for (let index = 0; index < parts.length; index++) {
      const order = parts[index]!.compare(a, b);
      if (order !== 0) return order;
    }
    return 0;
  }
}

/** One column. `direction`: 1 ascending, -1 descending; `nulls`: what NULL gives before a value. */
abstract class OrderPart {
  protected readonly direction: number;
  readonly #nulls: number;

  constructor(direction: number, nulls: number) {
    this.direction = direction;
    this.#nulls = nulls;
  }

  abstract bind(column: Column): void;
  abstract compare(a: number, b: number): number;

  /** Of two rows of which one is NULL at least. */
  protected ofNulls(isNullA: boolean, isNullB: boolean): number {
    if (isNullA && isNullB) return 0;
    return isNullA ? this.#nulls : -this.#nulls;
  }
}

class OrderInt32 extends OrderPart {
  #values: Int32Array = new Int32Array(0);
  #valid: Uint8Array = new Uint8Array(0);

  bind(column: Column): void {
    if (column.kind !== 'i32') throw new TypeError(`cannot compare a ${column.kind} column as i32`);
    this.#values = column.values;
    this.#valid = column.valid;
  }

  compare(a: number, b: number): number {
    if (this.#valid[a] === 0 || this.#valid[b] === 0) return this.ofNulls(this.#valid[a] === 0, this.#valid[b] === 0);
    return this.direction * (this.#values[a]! - this.#values[b]!);
  }
}

/** Zeros alike, NaN above all numbers. */
class OrderFloat64 extends OrderPart {
  #values: Float64Array = new Float64Array(0);
  #valid: Uint8Array = new Uint8Array(0);

  bind(column: Column): void {
    if (column.kind !== 'f64') throw new TypeError(`cannot compare a ${column.kind} column as f64`);
    this.#values = column.values;
    this.#valid = column.valid;
  }

  compare(a: number, b: number): number {
    if (this.#valid[a] === 0 || this.#valid[b] === 0) return this.ofNulls(this.#valid[a] === 0, this.#valid[b] === 0);
    const [left, right] = [this.#values[a]!, this.#values[b]!];
    if (left < right) return -this.direction;
    if (left > right) return this.direction;
    if (left === right) return 0;
    return this.direction * (Number(left !== left) - Number(right !== right));
  }
}

class OrderInt64 extends OrderPart {
  #words: Int32Array = new Int32Array(0);
  #valid: Uint8Array = new Uint8Array(0);

  bind(column: Column): void {
    if (column.kind !== 'i64') throw new TypeError(`cannot compare a ${column.kind} column as i64`);
    this.#words = column.words;
    this.#valid = column.valid;
  }

  compare(a: number, b: number): number {
    if (this.#valid[a] === 0 || this.#valid[b] === 0) return this.ofNulls(this.#valid[a] === 0, this.#valid[b] === 0);
    const words = this.#words;
    const high = words[2 * a + 1]! - words[2 * b + 1]!;
    return this.direction * (high !== 0 ? high : (words[2 * a]! >>> 0) - (words[2 * b]! >>> 0));
  }
}

class OrderWide extends OrderPart {
  #values: readonly bigint[] = [];
  #valid: Uint8Array = new Uint8Array(0);

  bind(column: Column): void {
    if (column.kind !== 'big') throw new TypeError(`cannot compare a ${column.kind} column as big`);
    this.#values = column.values;
    this.#valid = column.valid;
  }

  compare(a: number, b: number): number {
    if (this.#valid[a] === 0 || this.#valid[b] === 0) return this.ofNulls(this.#valid[a] === 0, this.#valid[b] === 0);
    const [left, right] = [this.#values[a]!, this.#values[b]!];
    return left === right ? 0 : left < right ? -this.direction : this.direction;
  }
}

class OrderBytes extends OrderPart {
  #data: Uint8Array = new Uint8Array(0);
  #start: Int32Array = new Int32Array(0);
  #length: Int32Array = new Int32Array(0);

  bind(column: Column): void {
    if (column.kind !== 'bytes') throw new TypeError(`cannot compare a ${column.kind} column as bytes`);
    this.#data = column.data;
    this.#start = column.start;
    this.#length = column.length;
  }

  compare(a: number, b: number): number {
    const [data, start, length] = [this.#data, this.#start, this.#length];
    if (length[a]! < 0 || length[b]! < 0) return this.ofNulls(length[a]! < 0, length[b]! < 0);
    return this.direction * compareBytes(data, start[a]!, length[a]!, data, start[b]!, length[b]!);
  }
}

function partOf(type: DataType, direction: number, nulls: number): OrderPart {
  switch (type.kind) {
    case 'null':
    case 'boolean':
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'date':
      return new OrderInt32(direction, nulls);
    case 'float':
    case 'double':
    case 'timestamp':
    case 'interval':
      return new OrderFloat64(direction, nulls);
    case 'bigint':
      return new OrderInt64(direction, nulls);
    case 'decimal':
      return type.precision <= 18 ? new OrderInt64(direction, nulls) : new OrderWide(direction, nulls);
    case 'string':
    case 'binary':
      return new OrderBytes(direction, nulls);
    case 'array':
    case 'struct':
    case 'map':
      throw new TypeError(`values of type ${formatType(type)} are not compared in place`);
    default:
      return unreachable(type);
  }
}
