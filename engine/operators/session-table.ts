import { IdPool } from '../state/id-pool.ts';
import { grownCapacity } from '../state/state-columns.ts';

/** In place of a session's slot: none. */
export const NO_SESSION = -1;

/** Bounds of sessions by slot, and the list of each key's sessions. Slots of ended sessions are used again. */
export class SessionTable {
  readonly #slots = new IdPool();
  /** µs. */
  start = new Float64Array(0);
  end = new Float64Array(0);
  key = new Int32Array(0);
  /** The key's next session in the order of time. */
  next = new Int32Array(0);

  get size(): number {
    return this.#slots.size;
  }

  /** All slots are below it. */
  get capacity(): number {
    return this.start.length;
  }

  take(key: number, start: number, end: number): number {
    const slot = this.#slots.take();
    if (slot >= this.start.length) this.#grow(slot + 1);
    this.start[slot] = start;
    this.end[slot] = end;
    this.key[slot] = key;
    this.next[slot] = NO_SESSION;
    return slot;
  }

  give(slot: number): void {
    this.#slots.give(slot);
  }

  /** Memory held. */
  get bytes(): number {
    return this.#slots.bytes + this.capacity * 24;
  }

  #grow(capacity: number): void {
    const size = grownCapacity(this.start.length, capacity);
    const { start, end, key, next } = this;
    this.start = new Float64Array(size);
    this.start.set(start);
    this.end = new Float64Array(size);
    this.end.set(end);
    this.key = new Int32Array(size);
    this.key.set(key);
    this.next = new Int32Array(size);
    this.next.set(next);
  }
}

/** The interval of a row, µs. */
export interface Arrival {
  readonly start: number;
  readonly end: number;
}

/** An epoch's rows by key and then by time; of rows with the same time the one that came first stands first. */
export class Arrivals {
  /** The keys that rows came for, in the order of their first rows. */
  readonly keys: number[] = [];
  #count = 0;
  readonly #rows: Int32Array;
  readonly #places: Int32Array;
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #slots: Int32Array;
  #order = new Int32Array(0);
  /** Where the rows of each key begin in `#order`. */
  #offsets = new Int32Array(0);

  constructor(rowCount: number) {
    this.#rows = new Int32Array(rowCount);
    this.#places = new Int32Array(rowCount);
    this.#starts = new Float64Array(rowCount);
    this.#ends = new Float64Array(rowCount);
    this.#slots = new Int32Array(rowCount);
  }

  /** `place`: of the row's key in `keys`. */
  add(row: number, place: number, start: number, end: number): void {
    const at = this.#count++;
    this.#rows[at] = row;
    this.#places[at] = place;
    this.#starts[at] = start;
    this.#ends[at] = end;
  }

  /** To be called once, when all rows are there. */
  sort(): void {
    const count = this.#count;
    const offsets = new Int32Array(this.keys.length + 1);
    for (let at = 0; at < count; at++) offsets[this.#places[at]! + 1]!++;
    for (let place = 0; place < this.keys.length; place++) offsets[place + 1]! += offsets[place]!;
    const next = offsets.slice();
    const order = new Int32Array(count);
    for (let at = 0; at < count; at++) order[next[this.#places[at]!]!++] = at;
    this.#order = order;
    this.#offsets = offsets;
    for (let place = 0; place < this.keys.length; place++) this.#sortKey(offsets[place]!, offsets[place + 1]!);
  }

  #sortKey(from: number, to: number): void {
    const starts = this.#starts;
    const order = this.#order;
    for (let at = from + 1; at < to; at++) {
      if (starts[order[at - 1]!]! <= starts[order[at]!]!) continue;
      order.subarray(from, to).sort((a, b) => starts[a]! - starts[b]! || a - b);
      return;
    }
  }

  /** The rows of a key in the sorted order: `[from, to)`. */
  range(place: number): { readonly from: number; readonly to: number } {
    return { from: this.#offsets[place]!, to: this.#offsets[place + 1]! };
  }

  /** The row at a place of the sorted order. */
  at(index: number): Arrival {
    const at = this.#order[index]!;
    return { start: this.#starts[at]!, end: this.#ends[at]! };
  }

  /** Says which slot the row at a place of the sorted order is added to. */
  assign(index: number, slot: number): void {
    this.#slots[index] = slot;
  }

  /** The batch's rows in the sorted order, with their slots. */
  sorted(): { readonly rows: Int32Array; readonly slots: Int32Array; readonly count: number } {
    return { rows: this.#order.map((at) => this.#rows[at]!), slots: this.#slots, count: this.#count };
  }
}

/** What an epoch's rows do to sessions. */
export class SessionMerge {
  /** Slots that end up in another one, in the order in which that has to be done. */
  readonly into: number[] = [];
  readonly absorbed: number[] = [];
  /** Sessions that rows came for. */
  readonly changed: number[] = [];
  /** Sessions of former epochs that rows came for, with the bounds that they had, and the slots that they are in now. */
  readonly formerSlots: number[] = [];
  readonly formerInto: number[] = [];
  readonly formerStarts: number[] = [];
  readonly formerEnds: number[] = [];

  absorb(into: number, slot: number): void {
    this.into.push(into);
    this.absorbed.push(slot);
  }

  former(slot: number, into: number, start: number, end: number): void {
    this.formerSlots.push(slot);
    this.formerInto.push(into);
    this.formerStarts.push(start);
    this.formerEnds.push(end);
  }
}
