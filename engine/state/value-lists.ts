import type { DataType } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { ByteCells } from './byte-cells.ts';
import { IdPool } from './id-pool.ts';
import { KeyDictionary } from './key-dictionary.ts';
import { RowCodec } from './row-codec.ts';

/** Bytes of the slot before the value in a set's keys. */
const SLOT_BYTES = 4;

/** Links the entries of each slot to a list, in the order in which they came. */
class Chains {
  counts = new Int32Array(0);
  head = new Int32Array(0);
  tail = new Int32Array(0);
  next = new Int32Array(0);
  /** null where no single entry is ever taken out. */
  #previous: Int32Array | null;

  constructor(isRemovable = false) {
    this.#previous = isRemovable ? new Int32Array(0) : null;
  }

  ensure(slots: number): void {
    if (slots <= this.head.length) return;
    const size = Math.max(slots, 64, Math.ceil(this.head.length * 1.5));
    this.head = widened(this.head, new Int32Array(size).fill(-1));
    this.tail = widened(this.tail, new Int32Array(size).fill(-1));
    this.counts = widened(this.counts, new Int32Array(size));
  }

  push(slot: number, entry: number): void {
    if (entry >= this.next.length) {
      const size = Math.max(entry + 1, 64, Math.ceil(this.next.length * 1.5));
      this.next = widened(this.next, new Int32Array(size));
      if (this.#previous !== null) this.#previous = widened(this.#previous, new Int32Array(size));
    }
    this.next[entry] = -1;
    const last = this.tail[slot]!;
    if (this.#previous !== null) this.#previous[entry] = last;
    if (last < 0) this.head[slot] = entry;
    else this.next[last] = entry;
    this.tail[slot] = entry;
    this.counts[slot]!++;
  }

  /** Takes one entry out of a slot's list. */
  remove(slot: number, entry: number): void {
    const previous = this.#previous;
    if (previous === null) throw new TypeError('entries of these lists stay');
    const before = previous[entry]!;
    const after = this.next[entry]!;
    if (before < 0) this.head[slot] = after;
    else this.next[before] = after;
    if (after < 0) this.tail[slot] = before;
    else previous[after] = before;
    this.counts[slot]!--;
  }

  forget(slot: number): void {
    this.head[slot] = -1;
    this.tail[slot] = -1;
    this.counts[slot] = 0;
  }

  get bytes(): number {
    const links = this.next.byteLength + (this.#previous?.byteLength ?? 0);
    return this.head.byteLength + this.tail.byteLength + links + this.counts.byteLength;
  }
}

function widened<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** The values of some slots one behind the other: those of slot `i` are `[start[i], start[i] + length[i])`. */
export interface ListedValues {
  readonly start: Int32Array;
  readonly length: Int32Array;
  readonly total: number;
  /** One per type. */
  readonly columns: readonly Column[];
  /** How often each value came; null for lists. */
  readonly times: Float64Array | null;
}

/** Growing lists of values (tuples of the given types) by slot, in arrival order. */
export class ValueLists {
  readonly #codec: RowCodec;
  readonly #chains = new Chains();
  readonly #ids = new IdPool();
  readonly #cells = new ByteCells();
  readonly #value = new ByteBuffer(256);

  constructor(types: readonly DataType[]) {
    this.#codec = new RowCodec(types.map((type, index) => ({ name: `value${index}`, type, nullable: true })));
  }

  ensure(slots: number): void {
    this.#chains.ensure(slots);
  }

  bind(columns: readonly Column[]): void {
    this.#codec.bind(columns);
  }

  /** Appends a row of the bound columns. */
  add(slot: number, row: number): void {
    this.#value.clear();
    this.#codec.encode(row, this.#value);
    this.#append(slot, this.#value.bytes, 0, this.#value.length);
  }

  #append(slot: number, bytes: Uint8Array, from: number, to: number): void {
    const entry = this.#ids.take();
    this.#cells.set(entry, bytes, from, to);
    this.#chains.push(slot, entry);
  }

  /** Appends what another slot holds. */
  absorb(to: number, from: number): void {
    for (let entry = this.#chains.head[from]!; entry >= 0; entry = this.#chains.next[entry]!) {
      const at = this.#cells.start[entry]!;
      this.#append(to, this.#cells.data, at, at + this.#cells.length[entry]!);
    }
  }

  clear(slot: number): void {
    for (let entry = this.#chains.head[slot]!; entry >= 0; entry = this.#chains.next[entry]!) {
      this.#cells.clear(entry);
      this.#ids.give(entry);
    }
    this.#chains.forget(slot);
  }

  values(slots: Int32Array, count: number): ListedValues {
    return listed(this.#codec, this.#chains, this.#cells.data, this.#cells.start, 0, null, slots, count);
  }

  get bytes(): number {
    return this.#chains.bytes + this.#ids.bytes + this.#cells.bytes;
  }
}

/**
 * Sets of values (tuples of the given types) by slot, in the order of first arrival, with the number of times that
 * each came. Values are the same when SQL groups them together. In a removable set a value that came as often as it was
 * taken away (added a negative number of times) is gone.
 */
export class ValueSets {
  readonly #codec: RowCodec;
  readonly #chains: Chains;
  readonly #entries = new KeyDictionary();
  readonly #key = new ByteBuffer(256);
  #times = new Float64Array(0);

  constructor(types: readonly DataType[], kind: 'growing' | 'removable' = 'growing') {
    this.#chains = new Chains(kind === 'removable');
    const schema = types.map((type, index) => ({ name: `value${index}`, type, nullable: true }));
    this.#codec = new RowCodec(schema, true);
  }

  ensure(slots: number): void {
    this.#chains.ensure(slots);
  }

  /** Different values of a slot. */
  sizeOf(slot: number): number {
    return this.#chains.counts[slot]!;
  }

  bind(columns: readonly Column[]): void {
    this.#codec.bind(columns);
  }

  /** Adds a row of the bound columns. */
  add(slot: number, row: number, times = 1): void {
    const key = this.#key;
    key.length = SLOT_BYTES;
    this.#codec.encode(row, key);
    this.#count(slot, times);
  }

  /** Adds the value that stands in `#key` behind the room for the slot. */
  #count(slot: number, times: number): void {
    const key = this.#key;
    key.view.setInt32(0, slot, true);
    const before = this.#entries.size;
    const entry = this.#entries.add(key.bytes, 0, key.length);
    if (this.#entries.size === before) {
      this.#times[entry]! += times;
      if (this.#times[entry] !== 0) return;
      this.#chains.remove(slot, entry);
      this.#entries.remove(entry);
      return;
    }
    if (entry >= this.#times.length)
      this.#times = widened(
        this.#times,
        new Float64Array(Math.max(entry + 1, 64, Math.ceil(this.#times.length * 1.5))),
      );
    this.#times[entry] = times;
    this.#chains.push(slot, entry);
  }

  /** Adds what another slot holds. */
  absorb(to: number, from: number): void {
    for (let entry = this.#chains.head[from]!; entry >= 0; entry = this.#chains.next[entry]!) {
      const { data, start, length } = this.#entries;
      const at = start[entry]!;
      this.#key.length = 0;
      this.#key.append(data, at, at + length[entry]!);
      this.#count(to, this.#times[entry]!);
    }
  }

  clear(slot: number): void {
    for (let entry = this.#chains.head[slot]!; entry >= 0;) {
      const next = this.#chains.next[entry]!;
      this.#entries.remove(entry);
      entry = next;
    }
    this.#chains.forget(slot);
  }

  values(slots: Int32Array, count: number): ListedValues {
    const { data, start } = this.#entries;
    return listed(this.#codec, this.#chains, data, start, SLOT_BYTES, this.#times, slots, count);
  }

  get bytes(): number {
    return this.#chains.bytes + this.#entries.bytes + this.#times.byteLength;
  }
}

function listed(
  codec: RowCodec,
  chains: Chains,
  data: Uint8Array,
  starts: Uint32Array,
  skipped: number,
  times: Float64Array | null,
  slots: Int32Array,
  count: number,
): ListedValues {
  const start = new Int32Array(count);
  const length = new Int32Array(count);
  let total = 0;
  for (let index = 0; index < count; index++) {
    start[index] = total;
    length[index] = chains.counts[slots[index]!]!;
    total += length[index]!;
  }
  const decoder = codec.decoder();
  const reader = codec.reader(data);
  const counted = times === null ? null : new Float64Array(total);
  let at = 0;
  for (let index = 0; index < count; index++) {
    for (let entry = chains.head[slots[index]!]!; entry >= 0; entry = chains.next[entry]!) {
      reader.at = starts[entry]! + skipped;
      decoder.add(reader);
      if (counted !== null) counted[at] = times![entry]!;
      at++;
    }
  }
  return { start, length, total, columns: decoder.columns(data), times: counted };
}
