import type { Schema } from '../../core/types.ts';
import type { Column } from '../column-batch.ts';
import { GroupLists } from '../state/group-lists.ts';
import { RowStore } from '../state/row-store.ts';
import { ExpiryQueue } from './expiry-queue.ts';

/** How long a side's rows may still meet rows of the other side that are not late. */
export interface JoinExpiry {
  /** The side's column with the time. */
  readonly column: number;
  /** A row is final when its time plus this is below the watermark, or at it when `inclusive`. µs */
  readonly shiftUs: number;
  readonly inclusive: boolean;
}

/** A row has no key that anything equals. */
export const NO_KEY = -1;

/**
 * The rows that one side of a join keeps: a list per key and one per key group, both in the order of arrival, and a
 * queue by time where rows are ever final. `rows` may hold more rows than those: the ones of the epoch at work.
 *
 * Invariant: a row is in the list of its key (unless it has none), of its group, and in the queue (if it has a time),
 * or in none of them.
 */
export class JoinSide {
  readonly schema: Schema;
  readonly rows: RowStore;
  readonly byGroup = new GroupLists();
  readonly expiry: JoinExpiry | null;
  readonly #queue = new ExpiryQueue();
  /** By row: its key; the rows before and behind it in the list of its key, -1 = none; whether it met another row. */
  #key = new Int32Array(0);
  #previous = new Int32Array(0);
  #next = new Int32Array(0);
  #matched = new Uint8Array(0);
  /** By row: the time that the condition bounds; filled where it does. */
  #time = new Float64Array(0);
  /** By key: the first and the last row, plus one. */
  #first = new Int32Array(0);
  #last = new Int32Array(0);
  #kept = 0;

  constructor(schema: Schema, expiry: JoinExpiry | null) {
    this.schema = schema;
    this.rows = new RowStore(schema);
    this.expiry = expiry;
  }

  /** Rows in the lists. */
  get size(): number {
    return this.#kept;
  }

  /** Memory held. */
  get bytes(): number {
    const perRow = this.#key.byteLength + this.#previous.byteLength + this.#next.byteLength + this.#time.byteLength;
    const perKey = this.#first.byteLength + this.#last.byteLength;
    return this.rows.bytes + this.byGroup.bytes + this.#queue.bytes + perRow + this.#matched.byteLength + perKey;
  }

  /** The first row of a key; -1 = none. Go on with {@link nextOf}. */
  firstOf(key: number): number {
    return (this.#first[key] ?? 0) - 1;
  }

  nextOf(row: number): number {
    return this.#next[row] as number;
  }

  keyOf(row: number): number {
    return this.#key[row] as number;
  }

  isMatched(row: number): boolean {
    return this.#matched[row] === 1;
  }

  /** Notes that a row met another; true if it is news. */
  match(row: number): boolean {
    if (this.#matched[row] === 1) return false;
    this.#matched[row] = 1;
    return true;
  }

  timeOf(row: number): number {
    return this.#time[row] as number;
  }

  /** Makes a row of `rows` ready: no list holds it, nothing has met it. */
  begin(row: number, time: number): void {
    if (row >= this.#key.length) this.#growRows(row + 1);
    this.#matched[row] = 0;
    this.#time[row] = time;
  }

  /** Puts a row at the end of its lists. `finalAt`: time that the queue goes by, NaN = never. */
  keep(row: number, key: number, group: number, finalAt: number): void {
    this.#key[row] = key;
    if (key !== NO_KEY) {
      if (key >= this.#first.length) this.#growKeys(key + 1);
      const last = (this.#last[key] as number) - 1;
      this.#previous[row] = last;
      this.#next[row] = -1;
      if (last < 0) this.#first[key] = row + 1;
      else this.#next[last] = row;
      this.#last[key] = row + 1;
    }
    this.byGroup.add(group, row);
    if (!Number.isNaN(finalAt)) this.#queue.add(row, finalAt);
    this.#kept++;
  }

  /** Takes a row out of its lists; its bytes stay in `rows`. */
  release(row: number): void {
    const key = this.#key[row] as number;
    if (key !== NO_KEY) {
      const previous = this.#previous[row] as number;
      const next = this.#next[row] as number;
      if (previous < 0) this.#first[key] = next + 1;
      else this.#next[previous] = next;
      if (next < 0) this.#last[key] = previous + 1;
      else this.#previous[next] = previous;
    }
    this.byGroup.remove(row);
    this.#queue.remove(row);
    this.#kept--;
  }

  /** The next row that is final at the watermark, in the order of time and arrival; -1 = none. It stays in the lists. */
  takeFinal(watermark: number): number {
    return this.expiry === null ? -1 : this.#queue.take(watermark - this.expiry.shiftUs, this.expiry.inclusive);
  }

  /** Reads the time that the queue goes by from the side's columns; NaN = never. */
  finalAt(columns: readonly Column[]): (row: number) => number {
    return this.expiry === null ? never : timeReader(columns, this.expiry.column);
  }

  #growRows(capacity: number): void {
    const size = Math.max(64, capacity, Math.ceil(this.#key.length * 1.5));
    this.#key = widened(this.#key, size);
    this.#previous = widened(this.#previous, size);
    this.#next = widened(this.#next, size);
    const matched = new Uint8Array(size);
    matched.set(this.#matched);
    this.#matched = matched;
    const time = new Float64Array(size);
    time.set(this.#time);
    this.#time = time;
  }

  #growKeys(capacity: number): void {
    const size = Math.max(64, capacity, Math.ceil(this.#first.length * 1.5));
    this.#first = widened(this.#first, size);
    this.#last = widened(this.#last, size);
  }
}

function widened(array: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(size);
  larger.set(array);
  return larger;
}

function never(): number {
  return Number.NaN;
}

/** Reads a time, or the end of a window; NaN = NULL. */
export function timeReader(columns: readonly Column[], index: number): (row: number) => number {
  const column = columns[index];
  const time = column?.kind === 'struct' ? column.fields[1] : column;
  if (time?.kind !== 'f64') throw new TypeError(`event time ${index} is a ${time?.kind} column`);
  const { values, valid } = time;
  return (row) => (valid[row] === 0 ? Number.NaN : (values[row] as number));
}
