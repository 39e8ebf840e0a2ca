/** Moments, covariance, correlation: numerically stable one-pass formulas (Welford; Pébay, SAND2008-6212). */
import type { Column, Float64Column } from '../column-batch.ts';
import { Float64Cells } from '../state/state-columns.ts';
import type { Accumulator, GroupedRows } from './aggregate-accumulator.ts';

/** Doubles by slot, several per slot; all zero when empty, `parts[0]` is the number of rows. */
abstract class Doubles implements Accumulator {
  protected readonly parts: readonly Float64Cells[];

  constructor(count: number) {
    this.parts = Array.from({ length: count }, () => new Float64Cells());
  }

  abstract update(input: GroupedRows): void;
  /** Adds the state `from` to `to`, both with rows. */
  protected abstract combine(to: number, from: readonly number[]): void;
  /** NULL is null. */
  protected abstract resultOf(slot: number): number | null;

  protected part(index: number, slot: number): number {
    return this.parts[index]!.values[slot]!;
  }

  protected put(index: number, slot: number, value: number): void {
    this.parts[index]!.values[slot] = value;
  }

  ensure(capacity: number): void {
    for (const part of this.parts) part.ensure(capacity);
  }

  clear(slot: number): void {
    for (const part of this.parts) part.values[slot] = 0;
  }

  merge({ columns, rows, slots, count }: GroupedRows): void {
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      this.#add(
        slots[index]!,
        this.parts.map((_, part) => (columns[part] as Float64Column).values[row]!),
      );
    }
  }

  absorb(to: number, from: number): void {
    this.#add(
      to,
      this.parts.map((part) => part.values[from]!),
    );
  }

  #add(slot: number, from: readonly number[]): void {
    if (from[0] === 0) return;
    if (this.part(0, slot) === 0) this.parts.forEach((part, index) => (part.values[slot] = from[index]!));
    else this.combine(slot, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    return this.parts.map(({ values }) => {
      const out = new Float64Array(count);
      for (let row = 0; row < count; row++) out[row] = values[slots[row]!]!;
      return { kind: 'f64', values: out, valid: new Uint8Array(count).fill(1) };
    });
  }

  result(slots: Int32Array, count: number): Column {
    const values = new Float64Array(count);
    const valid = new Uint8Array(count);
    for (let row = 0; row < count; row++) {
      const value = this.part(0, slots[row]!) === 0 ? null : this.resultOf(slots[row]!);
      if (value === null) continue;
      values[row] = value;
      valid[row] = 1;
    }
    return { kind: 'f64', values, valid };
  }

  get bytes(): number {
    return this.parts.reduce((sum, part) => sum + part.bytes, 0);
  }
}

export type MomentFunction = 'stddev' | 'stddev_pop' | 'variance' | 'var_pop' | 'skewness' | 'kurtosis';

/** Parts: n, mean, and the sums of the second, third and fourth powers of the distances from it. */
export class Moments extends Doubles {
  readonly #input: number;
  readonly #function: MomentFunction;
  readonly #order: number;

  constructor(input: number, name: MomentFunction) {
    const order = name === 'kurtosis' ? 4 : name === 'skewness' ? 3 : 2;
    super(order + 1);
    this.#input = input;
    this.#function = name;
    this.#order = order;
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    const { values, valid } = columns[this.#input] as Float64Column;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (valid[row] !== 0) this.#add(slots[index]!, values[row]!);
    }
  }

  #add(slot: number, value: number): void {
    const n = this.part(0, slot) + 1;
    const delta = value - this.part(1, slot);
    const deltaN = delta / n;
    const m2 = this.part(2, slot) + delta * (delta - deltaN);
    this.put(0, slot, n);
    this.put(1, slot, this.part(1, slot) + deltaN);
    this.put(2, slot, m2);
    if (this.#order < 3) return;
    const deltaSquare = delta * delta;
    const deltaNSquare = deltaN * deltaN;
    const m3 = this.part(3, slot) - 3 * deltaN * m2 + delta * (deltaSquare - deltaNSquare);
    this.put(3, slot, m3);
    if (this.#order < 4) return;
    const m4 =
      this.part(4, slot) -
      4 * deltaN * m3 -
      6 * deltaNSquare * m2 +
      delta * (delta * deltaSquare - deltaN * deltaNSquare);
    this.put(4, slot, m4);
  }

  protected combine(to: number, from: readonly number[]): void {
    const n1 = this.part(0, to);
    const [n2, avg2, m2of2, m3of2 = 0, m4of2 = 0] = from as [number, number, number, number?, number?];
    const n = n1 + n2;
    const delta = avg2 - this.part(1, to);
    const deltaN = delta / n;
    const m2of1 = this.part(2, to);
    if (this.#order >= 4) {
      const m4 =
        this.part(4, to) +
        m4of2 +
        deltaN * deltaN * deltaN * delta * n1 * n2 * (n1 * n1 - n1 * n2 + n2 * n2) +
        6 * deltaN * deltaN * (n1 * n1 * m2of2 + n2 * n2 * m2of1) +
        4 * deltaN * (n1 * m3of2 - n2 * this.part(3, to));
      this.put(4, to, m4);
    }
    if (this.#order >= 3) {
      const m3 =
        this.part(3, to) +
        m3of2 +
        deltaN * deltaN * delta * n1 * n2 * (n1 - n2) +
        3 * deltaN * (n1 * m2of2 - n2 * m2of1);
      this.put(3, to, m3);
    }
    this.put(2, to, m2of1 + m2of2 + delta * deltaN * n1 * n2);
    this.put(1, to, this.part(1, to) + deltaN * n2);
    this.put(0, to, n);
  }

  protected resultOf(slot: number): number | null {
    const n = this.part(0, slot);
    const m2 = this.part(2, slot);
    switch (this.#function) {
      case 'stddev_pop':
        return Math.sqrt(m2 / n);
      case 'var_pop':
        return m2 / n;
      case 'stddev':
        return n === 1 ? null : Math.sqrt(m2 / (n - 1));
      case 'variance':
        return n === 1 ? null : m2 / (n - 1);
      case 'skewness':
        return m2 === 0 ? null : (Math.sqrt(n) * this.part(3, slot)) / Math.sqrt(m2 * m2 * m2);
      case 'kurtosis':
        return m2 === 0 ? null : (n * this.part(4, slot)) / (m2 * m2) - 3;
    }
  }
}

export type PairFunction = 'covar_pop' | 'covar_samp' | 'corr';

/** Parts: n, both means, the sum of products of distances; for corr also both sums of squares. */
export class Pairs extends Doubles {
  readonly #x: number;
  readonly #y: number;
  readonly #function: PairFunction;

  constructor(x: number, y: number, name: PairFunction) {
    super(name === 'corr' ? 6 : 4);
    this.#x = x;
    this.#y = y;
    this.#function = name;
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    const xs = columns[this.#x] as Float64Column;
    const ys = columns[this.#y] as Float64Column;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (xs.valid[row] !== 0 && ys.valid[row] !== 0) this.#add(slots[index]!, xs.values[row]!, ys.values[row]!);
    }
  }

  #add(slot: number, x: number, y: number): void {
    const n = this.part(0, slot) + 1;
    const dx = x - this.part(1, slot);
    const dy = y - this.part(2, slot);
    const xAvg = this.part(1, slot) + dx / n;
    const yAvg = this.part(2, slot) + dy / n;
    this.put(0, slot, n);
    this.put(1, slot, xAvg);
    this.put(2, slot, yAvg);
    this.put(3, slot, this.part(3, slot) + dx * (y - yAvg));
    if (this.#function !== 'corr') return;
    this.put(4, slot, this.part(4, slot) + dx * (x - xAvg));
    this.put(5, slot, this.part(5, slot) + dy * (y - yAvg));
  }

  protected combine(to: number, from: readonly number[]): void {
    const n1 = this.part(0, to);
    const [n2, xAvg2, yAvg2, ck2, xMk2 = 0, yMk2 = 0] = from as [number, number, number, number, number?, number?];
    const n = n1 + n2;
    const dx = xAvg2 - this.part(1, to);
    const dxN = dx / n;
    const dy = yAvg2 - this.part(2, to);
    const dyN = dy / n;
    this.put(0, to, n);
    this.put(1, to, this.part(1, to) + dxN * n2);
    this.put(2, to, this.part(2, to) + dyN * n2);
    this.put(3, to, this.part(3, to) + ck2 + dx * dyN * n1 * n2);
    if (this.#function !== 'corr') return;
    this.put(4, to, this.part(4, to) + xMk2 + dx * dxN * n1 * n2);
    this.put(5, to, this.part(5, to) + yMk2 + dy * dyN * n1 * n2);
  }

  protected resultOf(slot: number): number | null {
    const n = this.part(0, slot);
    const ck = this.part(3, slot);
    switch (this.#function) {
      case 'covar_pop':
        return ck / n;
      case 'covar_samp':
        return n === 1 ? null : ck / (n - 1);
      case 'corr': {
        const divisor = Math.sqrt(this.part(4, slot) * this.part(5, slot));
        return n === 1 || divisor === 0 ? null : ck / divisor;
      }
    }
  }
}
