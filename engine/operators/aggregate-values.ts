/** Aggregates that keep one value per group: min, max, first, last, min_by, max_by, and, or, xor. */
import type { DataType } from '../../core/types.ts';
import type {
  BigDecimalColumn,
  BytesColumn,
  Column,
  Float64Column,
  Int32Column,
  Int64Column,
} from '../column-batch.ts';
import { readValue } from '../sql/runtime/boxed.ts';
import { bytesCompare } from '../sql/runtime/bytes.ts';
import { compareBoxed } from '../sql/runtime/compare.ts';
import { compareDouble } from '../sql/runtime/numbers.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { utc } from '../sql/runtime/time.ts';
import {
  Float64Cells,
  Int32Cells,
  Int64Cells,
  type NestedCells,
  type StateColumn,
  stateColumnOf,
  TextCells,
  WideCells,
} from '../state/state-columns.ts';
import type { Accumulator, GroupedRows } from './aggregate-accumulator.ts';
import { isThere } from './aggregate-sums.ts';

/** Order of a cell against a row of a column, neither NULL: SQL's, with NaN above all numbers. */
export type CompareCell = (cells: StateColumn, id: number, column: Column, row: number) => number;

function compareInt(cells: StateColumn, id: number, column: Column, row: number): number {
  return (cells as Int32Cells).values[id]! - (column as Int32Column).values[row]!;
}

function compareFloat(cells: StateColumn, id: number, column: Column, row: number): number {
  return compareDouble((cells as Float64Cells).values[id]!, (column as Float64Column).values[row]!);
}

function compareLong(cells: StateColumn, id: number, column: Column, row: number): number {
  const own = (cells as Int64Cells).words;
  const other = (column as Int64Column).words;
  const high = own[2 * id + 1]! - other[2 * row + 1]!;
  return high !== 0 ? high : (own[2 * id]! >>> 0) - (other[2 * row]! >>> 0);
}

function compareWide(cells: StateColumn, id: number, column: Column, row: number): number {
  const own = (cells as WideCells).get(id);
  const other = (column as BigDecimalColumn).values[row]!;
  return own < other ? -1 : own > other ? 1 : 0;
}

function compareText(cells: StateColumn, id: number, column: Column, row: number): number {
  const { data, start, length } = (cells as TextCells).cells;
  const other = column as BytesColumn;
  return bytesCompare(data, start[id]!, length[id]!, other.data, other.start[row]!, other.length[row]!);
}

function compareNested(type: DataType): CompareCell {
  const runtime = new Runtime(utc);
  const one = new Int32Array(1);
  return (cells, id, column, row) => {
    one[0] = id;
    const own = readValue(runtime, (cells as NestedCells).gather(one, 1), 0, type);
    return compareBoxed(own, readValue(runtime, column, row, type), type);
  };
}

/** The order of values of a type that `cells` hold. */
export function compareOf(type: DataType, cells: StateColumn): CompareCell {
  if (cells instanceof Int32Cells) return compareInt;
  if (cells instanceof Float64Cells) return compareFloat;
  if (cells instanceof Int64Cells) return compareLong;
  if (cells instanceof WideCells) return compareWide;
  return cells instanceof TextCells ? compareText : compareNested(type);
}

/** min(value), max(value). */
export class Extreme implements Accumulator {
  readonly #input: number;
  readonly #cells: StateColumn;
  readonly #compare: CompareCell;
  /** 1 = greatest, -1 = least. */
  readonly #sign: 1 | -1;

  constructor(input: number, type: DataType, sign: 1 | -1) {
    this.#input = input;
    this.#cells = stateColumnOf(type);
    this.#compare = compareOf(type, this.#cells);
    this.#sign = sign;
  }

  ensure(capacity: number): void {
    this.#cells.ensure(capacity);
  }

  clear(slot: number): void {
    this.#cells.clear(slot);
  }

  update(input: GroupedRows): void {
    this.#fold(input.columns[this.#input]!, input);
  }

  merge(input: GroupedRows): void {
    this.#fold(input.columns[0]!, input);
  }

  #fold(column: Column, { rows, slots, count }: GroupedRows): void {
    if (column.kind === 'f64') {
      this.#foldFloats(column, rows, slots, count);
      return;
    }
    const cells = this.#cells;
    const compare = this.#compare;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (!isThere(column, row)) continue;
      const slot = slots[index]!;
      if (cells.isNull(slot) || compare(cells, slot, column, row) * this.#sign < 0) cells.set(slot, column, row);
    }
  }

  #foldFloats(column: Float64Column, rows: Int32Array, slots: Int32Array, count: number): void {
    const { values, valid } = this.#cells as Float64Cells;
    const sign = this.#sign;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (column.valid[row] === 0) continue;
      const slot = slots[index]!;
      const value = column.values[row]!;
      if (valid[slot] === 0 || compareDouble(values[slot]!, value) * sign < 0) {
        values[slot] = value;
        valid[slot] = 1;
      }
    }
  }

  absorb(to: number, from: number): void {
    if (this.#cells.isNull(from)) return;
    const [column] = [this.#cells.gather([from], 1)];
    if (this.#cells.isNull(to) || this.#compare(this.#cells, to, column, 0) * this.#sign < 0)
      this.#cells.copy(to, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    return [this.#cells.gather(slots, count)];
  }

  result(slots: Int32Array, count: number): Column {
    return this.#cells.gather(slots, count);
  }

  get bytes(): number {
    return this.#cells.bytes;
  }
}

/** first(value [, ignoreNulls]), any_value, last. */
export class Edge implements Accumulator {
  readonly #input: number;
  readonly #ignoreNulls: number;
  readonly #last: boolean;
  readonly #cells: StateColumn;
  readonly #set = new Int32Cells();

  /** `ignoreNulls`: the column that says so, -1 = no. */
  constructor(input: number, ignoreNulls: number, type: DataType, last: boolean) {
    this.#input = input;
    this.#ignoreNulls = ignoreNulls;
    this.#last = last;
    this.#cells = stateColumnOf(type);
  }

  ensure(capacity: number): void {
    this.#cells.ensure(capacity);
    this.#set.ensure(capacity);
  }

  clear(slot: number): void {
    this.#cells.clear(slot);
    this.#set.valid[slot] = 0;
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    const column = columns[this.#input]!;
    const ignore = this.#ignoreNulls < 0 ? null : (columns[this.#ignoreNulls] as Int32Column);
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const slot = slots[index]!;
      if (!this.#last && this.#set.valid[slot] !== 0) continue;
      if (ignore !== null && ignore.valid[row] !== 0 && ignore.values[row] !== 0 && !isThere(column, row)) continue;
      this.#put(slot, column, row);
    }
  }

  merge({ columns, rows, slots, count }: GroupedRows): void {
    const column = columns[0]!;
    const set = columns[1] as Int32Column;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const slot = slots[index]!;
      if (set.valid[row] === 0 || (!this.#last && this.#set.valid[slot] !== 0)) continue;
      this.#put(slot, column, row);
    }
  }

  #put(slot: number, column: Column, row: number): void {
    this.#cells.set(slot, column, row);
    this.#set.values[slot] = 1;
    this.#set.valid[slot] = 1;
  }

  absorb(to: number, from: number): void {
    if (this.#set.valid[from] === 0 || (!this.#last && this.#set.valid[to] !== 0)) return;
    this.#cells.copy(to, from);
    this.#set.copy(to, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    return [this.#cells.gather(slots, count), this.#set.gather(slots, count)];
  }

  result(slots: Int32Array, count: number): Column {
    return this.#cells.gather(slots, count);
  }

  get bytes(): number {
    return this.#cells.bytes + this.#set.bytes;
  }
}

export type BitFunction = 'and' | 'or' | 'xor';

/** bool_and, bool_or, bit_and, bit_or, bit_xor: of flags and bits alike. */
export class Bits implements Accumulator {
  readonly #input: number;
  readonly #function: BitFunction;
  readonly #cells: Int32Cells | Int64Cells;

  constructor(input: number, type: DataType, name: BitFunction) {
    this.#input = input;
    this.#function = name;
    this.#cells = type.kind === 'bigint' ? new Int64Cells() : new Int32Cells();
  }

  ensure(capacity: number): void {
    this.#cells.ensure(capacity);
  }

  clear(slot: number): void {
    this.#cells.clear(slot);
  }

  update(input: GroupedRows): void {
    this.#fold(input.columns[this.#input] as Int32Column | Int64Column, input);
  }

  merge(input: GroupedRows): void {
    this.#fold(input.columns[0] as Int32Column | Int64Column, input);
  }

  #fold(column: Int32Column | Int64Column, { rows, slots, count }: GroupedRows): void {
    const from = column.kind === 'i32' ? column.values : column.words;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (column.valid[row] !== 0) this.#join(slots[index]!, from, row);
    }
  }

  /** Words of a cell and of a value are joined one by one: bitwise functions do not mind. */
  #join(slot: number, from: Int32Array, row: number): void {
    const cells = this.#cells;
    const [own, width] = cells instanceof Int32Cells ? [cells.values, 1] : [cells.words, 2];
    const isNew = cells.valid[slot] === 0;
    for (let word = 0; word < width; word++) {
      const at = slot * width + word;
      const value = from[row * width + word]!;
      if (isNew) own[at] = value;
      else if (this.#function === 'and') own[at]! &= value;
      else if (this.#function === 'or') own[at]! |= value;
      else own[at]! ^= value;
    }
    cells.valid[slot] = 1;
  }

  absorb(to: number, from: number): void {
    const cells = this.#cells;
    if (cells.valid[from] !== 0) this.#join(to, cells instanceof Int32Cells ? cells.values : cells.words, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    return [this.#cells.gather(slots, count)];
  }

  result(slots: Int32Array, count: number): Column {
    return this.#cells.gather(slots, count);
  }

  get bytes(): number {
    return this.#cells.bytes;
  }
}

/** min_by(value, order), max_by(value, order): of rows with the same order the last one, as Spark's. */
export class ExtremeBy implements Accumulator {
  readonly #value: number;
  readonly #order: number;
  readonly #sign: 1 | -1;
  readonly #values: StateColumn;
  readonly #orders: StateColumn;
  readonly #compare: CompareCell;

  constructor(inputs: readonly [number, number], type: DataType, orderType: DataType, sign: 1 | -1) {
    [this.#value, this.#order] = inputs;
    this.#sign = sign;
    this.#values = stateColumnOf(type);
    this.#orders = stateColumnOf(orderType);
    this.#compare = compareOf(orderType, this.#orders);
  }

  ensure(capacity: number): void {
    this.#values.ensure(capacity);
    this.#orders.ensure(capacity);
  }

  clear(slot: number): void {
    this.#values.clear(slot);
    this.#orders.clear(slot);
  }

  update(input: GroupedRows): void {
    this.#fold(input.columns[this.#value]!, input.columns[this.#order]!, input);
  }

  merge(input: GroupedRows): void {
    this.#fold(input.columns[0]!, input.columns[1]!, input);
  }

  #fold(value: Column, order: Column, { rows, slots, count }: GroupedRows): void {
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const slot = slots[index]!;
      if (!isThere(order, row) || !this.#gives(slot, order, row)) continue;
      this.#values.set(slot, value, row);
      this.#orders.set(slot, order, row);
    }
  }

  /** Does the slot give way to a row of this order? */
  #gives(slot: number, order: Column, row: number): boolean {
    return this.#orders.isNull(slot) || this.#compare(this.#orders, slot, order, row) * this.#sign <= 0;
  }

  absorb(to: number, from: number): void {
    if (this.#orders.isNull(from)) return;
    if (!this.#gives(to, this.#orders.gather([from], 1), 0)) return;
    this.#values.copy(to, from);
    this.#orders.copy(to, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    return [this.#values.gather(slots, count), this.#orders.gather(slots, count)];
  }

  result(slots: Int32Array, count: number): Column {
    return this.#values.gather(slots, count);
  }

  get bytes(): number {
    return this.#values.bytes + this.#orders.bytes;
  }
}
