import type { DataType } from '../../core/types.ts';
import type { BytesColumn, Column, Float64Column } from '../column-batch.ts';
import { type BoxedValue, readValue } from '../sql/runtime/boxed.ts';
import { xxHashOf } from '../sql/runtime/hash.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { utc } from '../sql/runtime/time.ts';
import type { Accumulator, GroupedRows } from './aggregate-accumulator.ts';
import { isThere } from './aggregate-sums.ts';

const PRECISION_MIN = 4;
const PRECISION_MAX = 16;
/** Up to these numbers of values, by precision from 4, counting empty registers is the better guess (HyperLogLog++). */
const linearLimits = [10, 20, 40, 80, 220, 400, 900, 1800, 3100, 6500, 11500, 20000, 50000];
const SPARSE = 0;
const DENSE = 1;
const SPARSE_ENTRY_BYTES = 3;

/** Registers are 2^precision: what the relative standard deviation asks for. */
function precisionOf(relativeError: number): number {
  const precision = Math.ceil((2 * Math.log(1.106 / relativeError)) / Math.LN2);
  return Math.min(PRECISION_MAX, Math.max(PRECISION_MIN, precision));
}

/**
 * approx_count_distinct(value [, relativeError]): a register per part of the hash space holds the longest run of zeros
 * seen (Heule, Nunkesser, Hall: HyperLogLog in Practice). Hashes are those of Spark's xxhash64. Small numbers are
 * counted by empty registers, larger ones by Ertl's estimator, which needs no table of corrections (Ertl: New
 * cardinality estimation algorithms for HyperLogLog sketches).
 */
export class ApproxCountDistinct implements Accumulator {
  readonly #input: number;
  readonly #type: DataType;
  readonly #relativeError: number;
  readonly #default: number;
  readonly #runtime = new Runtime(utc);
  /** 0 = not known before the first row. */
  #precision = 0;
  #capacity = 0;
  #registers = new Uint8Array(0);

  /** `relativeError`: the column that says it, -1 = `fallback`. */
  constructor(input: number, type: DataType, relativeError: number, fallback: number) {
    this.#input = input;
    this.#type = type;
    this.#relativeError = relativeError;
    this.#default = fallback;
  }

  ensure(capacity: number): void {
    if (capacity <= this.#capacity) return;
    this.#capacity = Math.max(capacity, Math.ceil(this.#capacity * 1.25));
    this.#fit();
  }

  #fit(): void {
    if (this.#precision === 0) return;
    const registers = new Uint8Array(this.#capacity << this.#precision);
    registers.set(this.#registers);
    this.#registers = registers;
  }

  #begin(precision: number): void {
    if (this.#precision !== 0) return;
    this.#precision = precision;
    this.#fit();
  }

  clear(slot: number): void {
    this.#registers.fill(0, slot << this.#precision, (slot + 1) << this.#precision);
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    if (count === 0) return;
    const column = columns[this.#input]!;
    const error =
      this.#relativeError < 0 ? this.#default : (columns[this.#relativeError] as Float64Column).values[rows[0]!]!;
    this.#begin(precisionOf(error));
    const types = [this.#type];
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (!isThere(column, row)) continue;
      this.#raise(slots[index]!, xxHashOf(normal(readValue(this.#runtime, column, row, this.#type)), types));
    }
    this.#runtime.used = 0;
  }

  #raise(slot: number, hash: bigint): void {
    const high = Number(BigInt.asUintN(32, hash >> 32n));
    const low = Number(BigInt.asUintN(32, hash));
    const precision = this.#precision;
    const place = (slot << precision) + (high >>> (32 - precision));
    const restHigh = (high << precision) | (low >>> (32 - precision));
    // A bit below the hash ends the run.
    const restLow = (low << precision) | (1 << (precision - 1));
    const rank = (restHigh !== 0 ? Math.clz32(restHigh) : 32 + Math.clz32(restLow)) + 1;
    if (rank > this.#registers[place]!) this.#registers[place] = rank;
  }

  merge({ columns, rows, slots, count }: GroupedRows): void {
    const { data, start, length } = columns[0] as BytesColumn;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (length[row]! >= 2) this.#mergeOne(slots[index]!, data, start[row]!, length[row]!);
    }
  }

  #mergeOne(slot: number, data: Uint8Array, start: number, length: number): void {
    this.#begin(data[start]!);
    const base = slot << this.#precision;
    const registers = this.#registers;
    const end = start + length;
    if (data[start + 1] === DENSE) {
      for (let at = start + 2, place = base; at < end; at++, place++)
        if (data[at]! > registers[place]!) registers[place] = data[at]!;
      return;
    }
    for (let at = start + 2; at < end; at += SPARSE_ENTRY_BYTES) {
      const place = base + (data[at]! | (data[at + 1]! << 8));
      if (data[at + 2]! > registers[place]!) registers[place] = data[at + 2]!;
    }
  }

  absorb(to: number, from: number): void {
    const count = this.#precision === 0 ? 0 : 1 << this.#precision;
    const registers = this.#registers;
    for (let place = 0; place < count; place++) {
      const value = registers[from * count + place]!;
      if (value > registers[to * count + place]!) registers[to * count + place] = value;
    }
  }

  /** Precision, form, and either all registers or the ones in use with their places. NULL = nothing came. */
  buffers(slots: Int32Array, count: number): Column[] {
    const size = 1 << this.#precision;
    const parts: number[] = [];
    const start = new Int32Array(count);
    const length = new Int32Array(count);
    for (let row = 0; row < count; row++) {
      start[row] = parts.length;
      const own = this.#registers.subarray(slots[row]! * size, (slots[row]! + 1) * size);
      const used = own.reduce((sum, register) => sum + (register === 0 ? 0 : 1), 0);
      if (this.#precision === 0 || used === 0) {
        length[row] = -1;
        continue;
      }
      parts.push(this.#precision, used * SPARSE_ENTRY_BYTES < size ? SPARSE : DENSE);
      if (used * SPARSE_ENTRY_BYTES < size) {
        own.forEach((register, place) => register !== 0 && parts.push(place & 0xff, place >> 8, register));
      } else {
        for (const register of own) parts.push(register);
      }
      length[row] = parts.length - start[row]!;
    }
    return [{ kind: 'bytes', data: Uint8Array.from(parts), start, length, nonAscii: new Uint8Array(count).fill(1) }];
  }

  result(slots: Int32Array, count: number): Column {
    const values = new BigInt64Array(count);
    const size = 1 << this.#precision;
    if (this.#precision !== 0) {
      for (let row = 0; row < count; row++) {
        const own = this.#registers.subarray(slots[row]! * size, (slots[row]! + 1) * size);
        values[row] = BigInt(Math.round(estimate(own, this.#precision)));
      }
    }
    return { kind: 'i64', values, words: new Int32Array(values.buffer), valid: new Uint8Array(count).fill(1) };
  }

  get bytes(): number {
    return this.#registers.byteLength;
  }
}

/** Equal numbers hash alike. */
function normal(value: BoxedValue): BoxedValue {
  return value === 0 ? 0 : value;
}

function estimate(registers: Uint8Array, precision: number): number {
  const size = registers.length;
  const rankMax = 64 - precision + 1;
  const histogram = new Float64Array(rankMax + 1);
  for (const register of registers) histogram[register]!++;
  const empty = histogram[0]!;
  if (empty > 0) {
    const linear = size * Math.log(size / empty);
    if (linear <= linearLimits[precision - PRECISION_MIN]!) return linear;
  }
  let z = size * tau(1 - histogram[rankMax]! / size);
  for (let rank = rankMax - 1; rank >= 1; rank--) z = 0.5 * (z + histogram[rank]!);
  z += size * sigma(empty / size);
  return (size * size) / (2 * Math.LN2 * z);
}

function sigma(x: number): number {
  if (x === 1) return Infinity;
  let power = x;
  let weight = 1;
  let sum = x;
  for (;;) {
    power *= power;
    const next = sum + power * weight;
    weight += weight;
    if (next === sum) return sum;
    sum = next;
  }
}

function tau(x: number): number {
  if (x === 0 || x === 1) return 0;
  let root = x;
  let weight = 1;
  let sum = 1 - x;
  for (;;) {
    root = Math.sqrt(root);
    weight *= 0.5;
    const next = sum - (1 - root) ** 2 * weight;
    if (next === sum) return sum / 3;
    sum = next;
  }
}
