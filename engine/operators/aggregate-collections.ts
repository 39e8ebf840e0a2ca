/** Aggregates that keep values: collect_list, collect_set, DISTINCT of any function, percentiles, mode. */
import { must } from '../../core/assert.ts';
import type { DataType } from '../../core/types.ts';
import type { Column, Int64Column, ListColumn, StructColumn } from '../column-batch.ts';
import { type BoxedValue, buildColumn, readValue } from '../sql/runtime/boxed.ts';
import { compareBoxed } from '../sql/runtime/compare.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { utc } from '../sql/runtime/time.ts';
import { type StateColumn, stateColumnOf } from '../state/state-columns.ts';
import { type ListedValues, ValueLists, ValueSets } from '../state/value-lists.ts';
import { type Accumulator, type GroupedRows, identity } from './aggregate-accumulator.ts';
import { isThere } from './aggregate-sums.ts';

function listColumn({ start, length }: ListedValues, element: Column): ListColumn {
  return { kind: 'list', start, length, element };
}

/** Calls `add` for every element of the lists of the rows. */
function eachElement(
  lists: ListColumn,
  { rows, slots, count }: GroupedRows,
  add: (slot: number, element: number) => void,
): void {
  for (let index = 0; index < count; index++) {
    const row = rows[index]!;
    const start = lists.start[row]!;
    for (let element = 0; element < lists.length[row]!; element++) add(slots[index]!, start + element);
  }
}

/** collect_list(value), collect_set(value): NULLs are left out. */
export class Collect implements Accumulator {
  readonly #input: number;
  readonly #values: ValueLists | ValueSets;

  constructor(input: number, element: DataType, set: boolean) {
    this.#input = input;
    this.#values = set ? new ValueSets([element]) : new ValueLists([element]);
  }

  ensure(capacity: number): void {
    this.#values.ensure(capacity);
  }

  clear(slot: number): void {
    this.#values.clear(slot);
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    const column = columns[this.#input]!;
    this.#values.bind([column]);
    for (let index = 0; index < count; index++) {
      if (isThere(column, rows[index]!)) this.#values.add(slots[index]!, rows[index]!);
    }
  }

  merge(input: GroupedRows): void {
    const lists = input.columns[0] as ListColumn;
    this.#values.bind([lists.element]);
    eachElement(lists, input, (slot, element) => this.#values.add(slot, element));
  }

  absorb(to: number, from: number): void {
    this.#values.absorb(to, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    return [this.result(slots, count)];
  }

  result(slots: Int32Array, count: number): Column {
    const listed = this.#values.values(slots, count);
    return listColumn(listed, listed.columns[0]!);
  }

  get bytes(): number {
    return this.#values.bytes;
  }
}

/**
 * Any function of DISTINCT arguments: the different arguments are kept, and the function runs over them when its result
 * is asked for. Rows with a NULL argument are left out: no function with DISTINCT looks at them.
 */
export class Distinct implements Accumulator {
  readonly #inputs: readonly number[];
  readonly #values: ValueSets;
  /** Makes the function over columns 0, 1, …; null = the number of different arguments. */
  readonly #inner: (() => Accumulator) | null;

  constructor(inputs: readonly number[], types: readonly DataType[], inner: (() => Accumulator) | null) {
    this.#inputs = inputs;
    this.#values = new ValueSets(types);
    this.#inner = inner;
  }

  ensure(capacity: number): void {
    this.#values.ensure(capacity);
  }

  clear(slot: number): void {
    this.#values.clear(slot);
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    const own = this.#inputs.map((input) => columns[input]!);
    this.#values.bind(own);
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      if (own.every((column) => isThere(column, row))) this.#values.add(slots[index]!, row);
    }
  }

  merge(input: GroupedRows): void {
    const lists = input.columns[0] as ListColumn;
    this.#values.bind(this.#inputs.length === 1 ? [lists.element] : (lists.element as StructColumn).fields);
    eachElement(lists, input, (slot, element) => this.#values.add(slot, element));
  }

  absorb(to: number, from: number): void {
    this.#values.absorb(to, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    const listed = this.#values.values(slots, count);
    const { columns, total } = listed;
    if (this.#inputs.length === 1) return [listColumn(listed, columns[0]!)];
    return [listColumn(listed, { kind: 'struct', valid: new Uint8Array(total).fill(1), fields: columns })];
  }

  result(slots: Int32Array, count: number): Column {
    if (this.#inner === null) return this.#sizes(slots, count);
    const { columns, length, total } = this.#values.values(slots, count);
    const inner = this.#inner();
    inner.ensure(Math.max(1, count));
    const places = new Int32Array(total);
    let at = 0;
    for (let index = 0; index < count; index++) {
      inner.clear(index);
      places.fill(index, at, at + length[index]!);
      at += length[index]!;
    }
    inner.update({ columns, rows: identity(total), slots: places, count: total, fail: ignore });
    return inner.result(identity(count), count);
  }

  #sizes(slots: Int32Array, count: number): Int64Column {
    const values = new BigInt64Array(count);
    const words = new Int32Array(values.buffer);
    for (let row = 0; row < count; row++) words[2 * row] = this.#values.sizeOf(slots[row]!);
    return { kind: 'i64', values, words, valid: new Uint8Array(count).fill(1) };
  }

  get bytes(): number {
    return this.#values.bytes;
  }
}

/** What does not fit is left out of the sum, as everywhere; there is no row to name here. */
function ignore(): void {
  // Nothing.
}

/** Different values with how often each came: what percentiles and mode need. */
abstract class Frequencies implements Accumulator {
  readonly #input: number;
  readonly type: DataType;
  readonly runtime = new Runtime(utc);
  readonly #values: ValueSets;

  constructor(input: number, type: DataType) {
    this.#input = input;
    this.type = type;
    this.#values = new ValueSets([type]);
  }

  protected abstract resultOf(slots: Int32Array, count: number, values: readonly Frequency[][]): Column;

  ensure(capacity: number): void {
    this.#values.ensure(capacity);
  }

  clear(slot: number): void {
    this.#values.clear(slot);
  }

  update({ columns, rows, slots, count }: GroupedRows): void {
    const column = columns[this.#input]!;
    this.#values.bind([column]);
    for (let index = 0; index < count; index++) {
      if (isThere(column, rows[index]!)) this.#values.add(slots[index]!, rows[index]!);
    }
  }

  merge(input: GroupedRows): void {
    const lists = input.columns[0] as ListColumn;
    const [value, times] = (lists.element as StructColumn).fields as [Column, Int64Column];
    this.#values.bind([value]);
    eachElement(lists, input, (slot, element) => this.#values.add(slot, element, Number(times.values[element]!)));
  }

  absorb(to: number, from: number): void {
    this.#values.absorb(to, from);
  }

  buffers(slots: Int32Array, count: number): Column[] {
    const listed = this.#values.values(slots, count);
    const valid = new Uint8Array(listed.total).fill(1);
    const values = BigInt64Array.from(
      must(listed.times, () => 'a set counts its values'),
      BigInt,
    );
    const times: Int64Column = { kind: 'i64', values, words: new Int32Array(values.buffer), valid };
    return [listColumn(listed, { kind: 'struct', valid, fields: [listed.columns[0]!, times] })];
  }

  result(slots: Int32Array, count: number): Column {
    const { start, length, columns, times } = this.#values.values(slots, count);
    const sorted = Array.from({ length: count }, (_, index) => {
      const values: Frequency[] = [];
      for (let at = start[index]!; at < start[index]! + length[index]!; at++) {
        values.push({ value: readValue(this.runtime, columns[0]!, at, this.type), times: times![at]! });
      }
      return values.sort((a, b) => compareBoxed(a.value, b.value, this.type));
    });
    this.runtime.used = 0;
    return this.resultOf(slots, count, sorted);
  }

  get bytes(): number {
    return this.#values.bytes;
  }
}

interface Frequency {
  readonly value: BoxedValue;
  readonly times: number;
}

/** mode(value): of values that came equally often the least. */
export class Mode extends Frequencies {
  protected resultOf(_slots: Int32Array, _count: number, values: readonly Frequency[][]): Column {
    const modes = values.map((group) => {
      let best: Frequency | undefined;
      for (const candidate of group) if (best === undefined || candidate.times > best.times) best = candidate;
      return best?.value ?? null;
    });
    return buildColumn(this.runtime, this.type, modes);
  }
}

/** percentile(number, at), median(number), percentile_approx(number, at). */
export class Percentile extends Frequencies {
  readonly #at: number;
  readonly #atType: DataType;
  /** The percentages of each slot: constants that come with the rows. */
  readonly #percentages: StateColumn | null;
  readonly #exact: boolean;
  readonly #type: DataType;

  /** `at`: column of the percentage or percentages, -1 = a half. `exact`: between neighbours in proportion. */
  constructor(
    inputs: { readonly value: number; readonly at: number },
    types: { readonly value: DataType; readonly at: DataType; readonly result: DataType },
    exact: boolean,
  ) {
    super(inputs.value, types.value);
    this.#at = inputs.at;
    this.#atType = types.at;
    this.#percentages = inputs.at < 0 ? null : stateColumnOf(types.at);
    this.#exact = exact;
    this.#type = types.result;
  }

  override ensure(capacity: number): void {
    super.ensure(capacity);
    this.#percentages?.ensure(capacity);
  }

  override clear(slot: number): void {
    super.clear(slot);
    this.#percentages?.clear(slot);
  }

  override update(input: GroupedRows): void {
    super.update(input);
    if (this.#percentages !== null) this.#take(input.columns[this.#at]!, input);
  }

  override merge(input: GroupedRows): void {
    super.merge(input);
    if (this.#percentages !== null) this.#take(input.columns[1]!, input);
  }

  #take(column: Column, { rows, slots, count }: GroupedRows): void {
    const percentages = this.#percentages!;
    for (let index = 0; index < count; index++) {
      const slot = slots[index]!;
      if (percentages.isNull(slot)) percentages.set(slot, column, rows[index]!);
    }
  }

  override absorb(to: number, from: number): void {
    super.absorb(to, from);
    if (this.#percentages?.isNull(to) === true) this.#percentages.copy(to, from);
  }

  override buffers(slots: Int32Array, count: number): Column[] {
    const buffers = super.buffers(slots, count);
    return this.#percentages === null ? buffers : [...buffers, this.#percentages.gather(slots, count)];
  }

  protected resultOf(slots: Int32Array, count: number, values: readonly Frequency[][]): Column {
    const at = this.#percentages?.gather(slots, count) ?? null;
    const results = values.map((group, index): BoxedValue => {
      if (group.length === 0) return null;
      const wanted = at === null ? 0.5 : readValue(this.runtime, at, index, this.#atType);
      if (Array.isArray(wanted)) return wanted.map((each) => this.#pick(group, each as number));
      return wanted === null ? null : this.#pick(group, wanted as number);
    });
    return buildColumn(this.runtime, this.#type, results);
  }

  #pick(group: readonly Frequency[], percentage: number): BoxedValue {
    const total = group.reduce((sum, { times }) => sum + times, 0);
    if (!this.#exact) return valueAt(group, Math.max(0, Math.ceil(percentage * total) - 1));
    const place = (total - 1) * percentage;
    const lower = Math.floor(place);
    const low = valueAt(group, lower) as number;
    const high = valueAt(group, Math.ceil(place)) as number;
    // Not the proportion of equal neighbours: that would lose digits.
    return low === high || place === lower ? low : (lower + 1 - place) * low + (place - lower) * high;
  }

  override get bytes(): number {
    return super.bytes + (this.#percentages?.bytes ?? 0);
  }
}

/** The value at a place, from 0, of the sorted values with their repetitions. */
function valueAt(group: readonly Frequency[], place: number): BoxedValue {
  let passed = 0;
  for (const { value, times } of group) {
    passed += times;
    if (place < passed) return value;
  }
  return group.at(-1)?.value ?? null;
}
