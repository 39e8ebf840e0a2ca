/** count, count_if, sum, avg. */
import { must } from '../../core/assert.ts';
import type { DataType } from '../../core/types.ts';
import type { BigDecimalColumn, Column, Float64Column, Int32Column, Int64Column } from '../column-batch.ts';
import { divideDecimal, powerOfTen, rescale } from '../sql/runtime/numbers.ts';
import { Float64Cells, grownCapacity, Int64Cells, WideCells } from '../state/state-columns.ts';
import type { Accumulator, GroupedRows } from './aggregate-accumulator.ts';

const WORD = 0x1_0000_0000;

/** Counts per slot; exact up to 2^53. */
class Counts {
  values = new Float64Array(0);

  ensure(capacity: number): void {
    if (capacity <= this.values.length) return;
    const values = new Float64Array(grownCapacity(this.values.length, capacity));
    values.set(this.values);
    this.values = values;
  }

  /** `sign`: -1 takes the counts back. */
  merge(column: Int64Column, { rows, slots, count }: GroupedRows, sign: 1 | -1 = 1): void {
    const { words, valid } = column;
    const { values } = this;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (valid[row] === 0) continue;
      values[slots[index]!]! += sign * (words[2 * row + 1]! * WORD + (words[2 * row]! >>> 0));
    }
  }

  gather(slots: Int32Array, count: number): Int64Column {
    const longs = new BigInt64Array(count);
    const words = new Int32Array(longs.buffer);
    for (let row = 0; row < count; row++) {
      const value = this.values[slots[row]!]!;
      words[2 * row] = value | 0;
      words[2 * row + 1] = Math.floor(value / WORD);
    }
    return { kind: 'i64', values: longs, words, valid: new Uint8Array(count).fill(1) };
  }
}

/** Does a row have a value? */
export function isThere(column: Column, row: number): boolean {
  switch (column.kind) {
    case 'bytes':
    case 'list':
    case 'map':
      return column.length[row]! >= 0;
    default:
      return column.valid[row] !== 0;
  }
}

/** count(*), count(a, …), count_if(condition). */
export class Count implements Accumulator {
  readonly #inputs: readonly number[];
  readonly #ifTrue: boolean;
  readonly #counts = new Counts();

  constructor(inputs: readonly number[], ifTrue: boolean) {
    this.#inputs = inputs;
    this.#ifTrue = ifTrue;
  }

  ensure(capacity: number): void {
    this.#counts.ensure(capacity);
  }

  clear(slot: number): void {
    this.#counts.values[slot] = 0;
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    const { values } = this.#counts;
    const inputs = this.#inputs;
    const first = inputs.length === 0 ? undefined : columns[inputs[0]!]!;
    if (first === undefined) {
      for (let index = 0; index < count; index++) values[slots[index]!]! += 1;
    } else if (this.#ifTrue) {
      const flags = first as Int32Column;
      for (let index = 0; index < count; index++) {
        const row = rows[index]!;
        if (flags.valid[row] !== 0 && flags.values[row] !== 0) values[slots[index]!]! += 1;
      }
    } else if (inputs.length === 1) {
      for (let index = 0; index < count; index++) if (isThere(first, rows[index]!)) values[slots[index]!]! += 1;
    } else {
      for (let index = 0; index < count; index++) {
        const row = rows[index]!;
        if (inputs.every((input) => isThere(columns[input]!, row))) values[slots[index]!]! += 1;
      }
    }
  }

  merge(input: GroupedRows): void {
    this.#counts.merge(input.columns[0] as Int64Column, input);
  }

  retract(input: GroupedRows): void {
    this.#counts.merge(input.columns[0] as Int64Column, input, -1);
  }

  absorb(to: number, from: number): void {
    this.#counts.values[to]! += this.#counts.values[from]!;
  }

  buffers(slots: Int32Array, count: number): Column[] {
    return [this.#counts.gather(slots, count)];
  }

  result(slots: Int32Array, count: number): Column {
    return this.#counts.gather(slots, count);
  }

  get bytes(): number {
    return this.#counts.values.byteLength;
  }
}

/** The sum of a column by slot: a cell is NULL until a number came, and zero below. */
interface SumCells {
  ensure(capacity: number): void;
  clear(slot: number): void;
  add(column: Column, input: GroupedRows): void;
  absorb(to: number, from: number): void;
  gather(slots: ArrayLike<number>, count: number): Column;
  readonly bytes: number;
}

/** float and double. The order of addition is that of the rows. */
class DoubleSum implements SumCells {
  readonly cells = new Float64Cells();

  ensure(capacity: number): void {
    this.cells.ensure(capacity);
  }

  clear(slot: number): void {
    this.cells.values[slot] = 0;
    this.cells.valid[slot] = 0;
  }

  add(column: Column, { rows, slots, count }: GroupedRows): void {
    const from = column as Float64Column;
    const { values, valid } = this.cells;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (from.valid[row] === 0) continue;
      const slot = slots[index]!;
      values[slot]! += from.values[row]!;
      valid[slot] = 1;
    }
  }

  absorb(to: number, from: number): void {
    const { values, valid } = this.cells;
    if (valid[from] === 0) return;
    values[to]! += values[from]!;
    valid[to] = 1;
  }

  gather(slots: ArrayLike<number>, count: number): Column {
    return this.cells.gather(slots, count);
  }

  get bytes(): number {
    return this.cells.bytes;
  }
}

/** Whole numbers, and decimals whose sum has at most 18 digits (too few rows exist to outgrow those). */
class LongSum implements SumCells {
  readonly cells = new Int64Cells();

  ensure(capacity: number): void {
    this.cells.ensure(capacity);
  }

  clear(slot: number): void {
    this.cells.words[2 * slot] = 0;
    this.cells.words[2 * slot + 1] = 0;
    this.cells.valid[slot] = 0;
  }

  add(column: Column, input: GroupedRows): void {
    if (column.kind === 'i32') this.#addInts(column, input);
    else this.#addLongs(column as Int64Column, input);
  }

  #addInts(from: Int32Column, { rows, slots, count, fail }: GroupedRows): void {
    const { words, valid } = this.cells;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (from.valid[row] === 0) continue;
      const slot = slots[index]!;
      const value = from.values[row]!;
      const low = (words[2 * slot]! >>> 0) + (value >>> 0);
      const high = words[2 * slot + 1]! + (value >> 31) + (low >= WORD ? 1 : 0);
      if ((high | 0) !== high) {
        fail(row, 'ARITHMETIC_OVERFLOW');
        continue;
      }
      words[2 * slot] = low;
      words[2 * slot + 1] = high;
      valid[slot] = 1;
    }
  }

  #addLongs(from: Int64Column, { rows, slots, count, fail }: GroupedRows): void {
    const { words, valid } = this.cells;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (from.valid[row] === 0) continue;
      const slot = slots[index]!;
      const low = (words[2 * slot]! >>> 0) + (from.words[2 * row]! >>> 0);
      const high = words[2 * slot + 1]! + from.words[2 * row + 1]! + (low >= WORD ? 1 : 0);
      if ((high | 0) !== high) {
        fail(row, 'ARITHMETIC_OVERFLOW');
        continue;
      }
      words[2 * slot] = low;
      words[2 * slot + 1] = high;
      valid[slot] = 1;
    }
  }

  absorb(to: number, from: number): void {
    const { words, valid } = this.cells;
    if (valid[from] === 0) return;
    const low = (words[2 * to]! >>> 0) + (words[2 * from]! >>> 0);
    const high = words[2 * to + 1]! + words[2 * from + 1]! + (low >= WORD ? 1 : 0);
    if ((high | 0) !== high) return;
    words[2 * to] = low;
    words[2 * to + 1] = high;
    valid[to] = 1;
  }

  gather(slots: ArrayLike<number>, count: number): Column {
    return this.cells.gather(slots, count);
  }

  get bytes(): number {
    return this.cells.bytes;
  }
}

const TOP_DECIMAL = 10n ** 38n;

/** Decimals whose sum may have more than 18 digits. */
class WideSum implements SumCells {
  readonly cells = new WideCells();

  ensure(capacity: number): void {
    this.cells.ensure(capacity);
  }

  clear(slot: number): void {
    this.cells.words.fill(0, 4 * slot, 4 * slot + 4);
    this.cells.valid[slot] = 0;
  }

  add(column: Column, input: GroupedRows): void {
    if (column.kind === 'i64') this.#addLongs(column, input);
    else this.#addBig(column as BigDecimalColumn, input);
  }

  /** Word by word: 10^19 rows at least fit. */
  #addLongs(from: Int64Column, { rows, slots, count }: GroupedRows): void {
    const { words, valid } = this.cells;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (from.valid[row] === 0) continue;
      const at = 4 * slots[index]!;
      const high = from.words[2 * row + 1]!;
      const sign = high >> 31;
      const sum0 = (words[at]! >>> 0) + (from.words[2 * row]! >>> 0);
      const sum1 = (words[at + 1]! >>> 0) + (high >>> 0) + (sum0 >= WORD ? 1 : 0);
      const sum2 = (words[at + 2]! >>> 0) + (sign >>> 0) + (sum1 >= WORD ? 1 : 0);
      words[at] = sum0;
      words[at + 1] = sum1;
      words[at + 2] = sum2;
      words[at + 3] = words[at + 3]! + sign + (sum2 >= WORD ? 1 : 0);
      valid[slots[index]!] = 1;
    }
  }

  #addBig(from: BigDecimalColumn, { rows, slots, count, fail }: GroupedRows): void {
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (from.valid[row] === 0) continue;
      if (!this.#addTo(slots[index]!, from.values[row]!)) fail(row, 'ARITHMETIC_OVERFLOW');
    }
  }

  #addTo(slot: number, value: bigint): boolean {
    const sum = (this.cells.valid[slot] === 0 ? 0n : this.cells.get(slot)) + value;
    if (sum >= TOP_DECIMAL || sum <= -TOP_DECIMAL) return false;
    this.cells.put(slot, sum);
    return true;
  }

  absorb(to: number, from: number): void {
    if (this.cells.valid[from] !== 0) this.#addTo(to, this.cells.get(from));
  }

  gather(slots: ArrayLike<number>, count: number): Column {
    return this.cells.gather(slots, count);
  }

  get bytes(): number {
    return this.cells.bytes;
  }
}

function sumCellsOf(sumType: DataType): SumCells {
  switch (sumType.kind) {
    case 'bigint':
      return new LongSum();
    case 'decimal':
      return sumType.precision <= 18 ? new LongSum() : new WideSum();
    default:
      return new DoubleSum();
  }
}

/** sum(number). A number that does not fit the sum is left out and reported. */
export class Sum implements Accumulator {
  readonly #input: number;
  readonly #sums: SumCells;

  constructor(input: number, type: DataType) {
    this.#input = input;
    this.#sums = sumCellsOf(type);
  }

  ensure(capacity: number): void {
    this.#sums.ensure(capacity);
  }

  clear(slot: number): void {
    this.#sums.clear(slot);
  }

  update(input: GroupedRows): void {
    this.#sums.add(input.columns[this.#input]!, input);
  }

  merge(input: GroupedRows): void {
    this.#sums.add(input.columns[0]!, input);
  }

  absorb(to: number, from: number): void {
    this.#sums.absorb(to, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    return [this.#sums.gather(slots, count)];
  }

  result(slots: Int32Array, count: number): Column {
    return this.#sums.gather(slots, count);
  }

  get bytes(): number {
    return this.#sums.bytes;
  }
}

/** avg(number): a sum and a count. */
export class Average implements Accumulator {
  readonly #input: number;
  readonly #sums: SumCells;
  readonly #counts = new Counts();
  readonly #sumType: DataType;
  readonly #type: DataType;

  constructor(input: number, sumType: DataType, type: DataType) {
    this.#input = input;
    this.#sums = sumCellsOf(sumType);
    this.#sumType = sumType;
    this.#type = type;
  }

  ensure(capacity: number): void {
    this.#sums.ensure(capacity);
    this.#counts.ensure(capacity);
  }

  clear(slot: number): void {
    this.#sums.clear(slot);
    this.#counts.values[slot] = 0;
  }

  update(input: GroupedRows): void {
    const column = must(input.columns[this.#input], () => 'avg lacks its input');
    this.#sums.add(column, input);
    const { values } = this.#counts;
    const { rows, slots, count } = input;
    for (let index = 0; index < count; index++) if (isThere(column, rows[index]!)) values[slots[index]!]! += 1;
  }

  merge(input: GroupedRows): void {
    this.#sums.add(input.columns[0]!, input);
    this.#counts.merge(input.columns[1] as Int64Column, input);
  }

  absorb(to: number, from: number): void {
    this.#sums.absorb(to, from);
    this.#counts.values[to]! += this.#counts.values[from]!;
  }

  buffers(slots: Int32Array, count: number): Column[] {
    return [this.#sums.gather(slots, count), this.#counts.gather(slots, count)];
  }

  result(slots: Int32Array, count: number): Column {
    const sums = this.#sums.gather(slots, count);
    const counts = this.#counts.values;
    if (sums.kind === 'f64') {
      for (let row = 0; row < count; row++) if (sums.valid[row] !== 0) sums.values[row]! /= counts[slots[row]!]!;
      return sums;
    }
    return this.#decimals(sums as Int64Column | BigDecimalColumn, slots, count);
  }

  /** As Spark's decimal division: 38 digits behind the point first, then those of the type, both half up. */
  #decimals(sums: Int64Column | BigDecimalColumn, slots: Int32Array, count: number): Column {
    const { precision, scale } = this.#type as Extract<DataType, { kind: 'decimal' }>;
    const sumScale = (this.#sumType as Extract<DataType, { kind: 'decimal' }>).scale;
    const limit = powerOfTen(precision);
    const valid = new Uint8Array(count);
    const values: bigint[] = [];
    for (let row = 0; row < count; row++) {
      values.push(0n);
      if (sums.valid[row] === 0) continue;
      const divisor = BigInt(this.#counts.values[slots[row]!]!);
      const quotient = rescale(divideDecimal(sums.values[row]!, sumScale, divisor, 0, 38), 38, scale);
      if (quotient >= limit || quotient <= -limit) continue;
      values[row] = quotient;
      valid[row] = 1;
    }
    if (precision > 18) return { kind: 'big', values, valid };
    const longs = BigInt64Array.from(values);
    return { kind: 'i64', values: longs, words: new Int32Array(longs.buffer), valid };
  }

  get bytes(): number {
    return this.#sums.bytes + this.#counts.values.byteLength;
  }
}
