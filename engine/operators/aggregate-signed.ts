/** Aggregates of rows that may be withdrawn again: what is taken back leaves what would be there without it. */
import { must } from '../../core/assert.ts';
import type { DataType } from '../../core/types.ts';
import type { Column, Int64Column, ListColumn, StructColumn } from '../column-batch.ts';
import { type BoxedValue, buildColumn, readValue } from '../sql/runtime/boxed.ts';
import { divideDecimal, powerOfTen, rescale } from '../sql/runtime/numbers.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { utc } from '../sql/runtime/time.ts';
import { ValueSets } from '../state/value-lists.ts';
import { type Accumulator, type GroupedRows, identity } from './aggregate-accumulator.ts';

const TEXT: DataType = { kind: 'string' };
const LONG: DataType = { kind: 'bigint' };
/** About what a sum takes, for the bound of the state. */
const SUM_BYTES = 64;

/** A sum without rounding: `mantissa * 2^exponent`, and the numbers that are none, counted. */
interface ExactSum {
  mantissa: bigint;
  exponent: number;
  nan: number;
  infinite: number;
  negativeInfinite: number;
  /** Numbers added. */
  count: number;
}

function emptySum(): ExactSum {
  return { mantissa: 0n, exponent: 0, nan: 0, infinite: 0, negativeInfinite: 0, count: 0 };
}

function addMantissa(sum: ExactSum, mantissa: bigint, exponent: number): void {
  if (sum.mantissa === 0n) {
    sum.mantissa = mantissa;
    sum.exponent = exponent;
  } else if (sum.exponent <= exponent) {
    sum.mantissa += mantissa << BigInt(exponent - sum.exponent);
  } else {
    sum.mantissa = (sum.mantissa << BigInt(sum.exponent - exponent)) + mantissa;
    sum.exponent = exponent;
  }
  if (sum.mantissa === 0n) sum.exponent = 0;
}

const bits = new DataView(new ArrayBuffer(8));

function addDouble(sum: ExactSum, value: number): void {
  if (Number.isSafeInteger(value)) return addMantissa(sum, BigInt(value), 0);
  if (Number.isNaN(value)) sum.nan++;
  else if (value === Infinity) sum.infinite++;
  else if (value === -Infinity) sum.negativeInfinite++;
  else {
    bits.setFloat64(0, value);
    const word = bits.getBigUint64(0);
    const stored = Number((word >> 52n) & 0x7ffn);
    const fraction = word & 0xf_ffff_ffff_ffffn;
    const mantissa = stored === 0 ? fraction : fraction | 0x10_0000_0000_0000n;
    addMantissa(sum, value < 0 ? -mantissa : mantissa, Math.max(stored, 1) - 1075);
  }
}

/** The nearest double. */
function doubleOf({ mantissa, exponent, nan, infinite, negativeInfinite }: ExactSum): number {
  if (nan > 0 || (infinite > 0 && negativeInfinite > 0)) return Number.NaN;
  if (infinite > 0) return Infinity;
  if (negativeInfinite > 0) return -Infinity;
  const size = mantissa.toString(16).length * 4;
  if (size <= 128) return Number(mantissa) * 2 ** exponent;
  // What is cut off tells which way a half goes.
  const cut = BigInt(size - 128);
  const kept = mantissa >> cut;
  const rest = kept << cut === mantissa ? 0n : 1n;
  return Number((kept << 1n) | rest) * 2 ** (exponent + size - 129);
}

/** `mantissa p exponent`, then what is no number, where there is any. */
function textOf({ mantissa, exponent, nan, infinite, negativeInfinite }: ExactSum): string {
  const others = nan + infinite + negativeInfinite === 0 ? '' : `/${nan}/${infinite}/${negativeInfinite}`;
  return `${mantissa}p${exponent}${others}`;
}

/** sum(number), avg(number): exact, so that it can be undone. A sum beyond its type is NULL. */
export class SignedSum implements Accumulator {
  readonly #input: number;
  readonly #inputType: DataType;
  readonly #type: DataType;
  readonly #isAverage: boolean;
  readonly #runtime = new Runtime(utc);
  #sums: ExactSum[] = [];

  constructor(input: number, inputType: DataType, type: DataType, isAverage: boolean) {
    this.#input = input;
    this.#inputType = inputType;
    this.#type = type;
    this.#isAverage = isAverage;
  }

  ensure(capacity: number): void {
    while (this.#sums.length < capacity) this.#sums.push(emptySum());
  }

  clear(slot: number): void {
    this.#sums[slot] = emptySum();
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    const column = must(columns[this.#input], () => 'a sum lacks its input');
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const sum = this.#sums[slots[index]!]!;
      switch (column.kind) {
        case 'f64':
          if (column.valid[row] === 0) continue;
          addDouble(sum, column.values[row]!);
          break;
        case 'i32':
        case 'i64':
        case 'big':
          if (column.valid[row] === 0) continue;
          addMantissa(sum, BigInt(column.values[row]!), 0);
          break;
        default:
          throw new TypeError(`a sum of a ${column.kind} column`);
      }
      sum.count++;
    }
  }

  merge(input: GroupedRows): void {
    this.#fold(input, 1);
  }

  retract(input: GroupedRows): void {
    this.#fold(input, -1);
  }

  #fold({ columns, rows, slots, count }: GroupedRows, sign: 1 | -1): void {
    const [texts, counts] = columns as [Column, Int64Column];
    this.#runtime.used = 0;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const text = readValue(this.#runtime, texts, row, TEXT) as string | null;
      if (text === null) continue;
      const [number = '', ...others] = text.split('/');
      const [mantissa = '0', exponent = '0'] = number.split('p');
      const sum = this.#sums[slots[index]!]!;
      addMantissa(sum, BigInt(mantissa) * BigInt(sign), Number(exponent));
      sum.nan += sign * Number(others[0] ?? 0);
      sum.infinite += sign * Number(others[1] ?? 0);
      sum.negativeInfinite += sign * Number(others[2] ?? 0);
      sum.count += sign * Number(counts.values[row]!);
    }
  }

  absorb(to: number, from: number): void {
    const [into, other] = [this.#sums[to]!, this.#sums[from]!];
    addMantissa(into, other.mantissa, other.exponent);
    into.nan += other.nan;
    into.infinite += other.infinite;
    into.negativeInfinite += other.negativeInfinite;
    into.count += other.count;
  }

  buffers(slots: Int32Array, count: number): Column[] {
    const sums = Array.from(slots.subarray(0, count), (slot) => this.#sums[slot]!);
    this.#runtime.used = 0;
    return [
      buildColumn(this.#runtime, TEXT, sums.map(textOf)),
      buildColumn(
        this.#runtime,
        LONG,
        sums.map((sum) => BigInt(sum.count)),
      ),
    ];
  }

  result(slots: Int32Array, count: number): Column {
    const values = Array.from(slots.subarray(0, count), (slot) => this.#resultOf(this.#sums[slot]!));
    return buildColumn(this.#runtime, this.#type, values);
  }

  #resultOf(sum: ExactSum): BoxedValue {
    if (sum.count === 0) return null;
    switch (this.#type.kind) {
      case 'decimal': {
        const { precision, scale } = this.#type;
        const value = this.#isAverage ? this.#quotient(sum, scale) : sum.mantissa;
        const limit = powerOfTen(precision);
        return value >= limit || value <= -limit ? null : value;
      }
      case 'bigint':
        return BigInt.asIntN(64, sum.mantissa) === sum.mantissa ? sum.mantissa : null;
      default:
        return this.#isAverage ? doubleOf(sum) / sum.count : doubleOf(sum);
    }
  }

  /** As Spark's decimal division: 38 digits behind the point first, then those of the type, both half up. */
  #quotient(sum: ExactSum, scale: number): bigint {
    const own = this.#inputType.kind === 'decimal' ? this.#inputType.scale : 0;
    return rescale(divideDecimal(sum.mantissa, own, BigInt(sum.count), 0, 38), 38, scale);
  }

  get bytes(): number {
    return this.#sums.length * SUM_BYTES;
  }
}

/**
 * Any other function: the different arguments are kept with the number of times that each came, and the function runs
 * over them when its result is asked for, in the order in which they came first. Functions of one order of all rows
 * (first, last) cannot be had so.
 */
export class Counted implements Accumulator {
  readonly #inputs: readonly number[];
  readonly #values: ValueSets;
  readonly #inner: () => Accumulator;
  /** Whether it matters how often an argument came. */
  readonly #repeats: boolean;

  /** `inner` makes the function over columns 0, 1, …. */
  constructor(inputs: readonly number[], types: readonly DataType[], inner: () => Accumulator, repeats: boolean) {
    this.#inputs = inputs;
    this.#values = new ValueSets(types, 'removable');
    this.#inner = inner;
    this.#repeats = repeats;
  }

  ensure(capacity: number): void {
    this.#values.ensure(capacity);
  }

  clear(slot: number): void {
    this.#values.clear(slot);
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    this.#values.bind(this.#inputs.map((input) => columns[input]!));
    for (let index = 0; index < count; index++) this.#values.add(slots[index]!, rows[index]!);
  }

  merge(input: GroupedRows): void {
    this.#fold(input, 1);
  }

  retract(input: GroupedRows): void {
    this.#fold(input, -1);
  }

  #fold({ columns, rows, slots, count }: GroupedRows, sign: 1 | -1): void {
    const lists = columns[0] as ListColumn;
    const [value, times] = (lists.element as StructColumn).fields as [Column, Int64Column];
    this.#values.bind(this.#inputs.length === 1 ? [value] : (value as StructColumn).fields);
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const start = lists.start[row]!;
      for (let at = start; at < start + lists.length[row]!; at++)
        this.#values.add(slots[index]!, at, sign * Number(times.values[at]!));
    }
  }

  absorb(to: number, from: number): void {
    this.#values.absorb(to, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    const { start, length, columns, total, times } = this.#values.values(slots, count);
    const valid = new Uint8Array(total).fill(1);
    const longs = BigInt64Array.from(times ?? [], BigInt);
    const counts: Int64Column = { kind: 'i64', values: longs, words: new Int32Array(longs.buffer), valid };
    const value: Column = this.#inputs.length === 1 ? columns[0]! : { kind: 'struct', valid, fields: columns };
    return [{ kind: 'list', start, length, element: { kind: 'struct', valid, fields: [value, counts] } }];
  }

  result(slots: Int32Array, count: number): Column {
    const { columns, start, length, times } = this.#values.values(slots, count);
    const inner = this.#inner();
    inner.ensure(Math.max(1, count));
    const rows: number[] = [];
    const places: number[] = [];
    for (let place = 0; place < count; place++) {
      inner.clear(place);
      for (let at = start[place]!; at < start[place]! + length[place]!; at++) {
        const repeated = this.#repeats ? times![at]! : Math.min(1, times![at]!);
        for (let time = 0; time < repeated; time++) {
          rows.push(at);
          places.push(place);
        }
      }
    }
    const all = { rows: Int32Array.from(rows), slots: Int32Array.from(places), count: rows.length };
    inner.update({ columns, ...all, fail: () => undefined });
    return inner.result(identity(count), count);
  }

  get bytes(): number {
    return this.#values.bytes;
  }
}
