/**
 * The state of a keyed-state operator: keys, and for each the rows of its variables and its timers, all as bytes and
 * typed arrays. A key is there as long as it has a row or a timer.
 *
 * A row is a cell: its bytes, the key within the key (map), when it expires. A value is one cell at most, a list
 * its cells in order, a map its cells in the order in which their keys came.
 */
import type { StateVariable } from '../plan/logical-plan.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { ByteCells } from '../state/byte-cells.ts';
import { putByte, putU32 } from '../state/bytes-out.ts';
import { GroupLists } from '../state/group-lists.ts';
import { IdPool } from '../state/id-pool.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import { OwnerLists } from './keyed-state-lists.ts';

/** A part of a byte array. */
export interface Slice {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

export class KeyedStateStore {
  readonly keys = new KeyDictionary();
  /** Keys by group, in the order in which they came. */
  readonly byGroup = new GroupLists();
  /** By variable: the cells of each key. */
  readonly #cells: readonly OwnerLists[];
  readonly #cellIds = new IdPool();
  readonly #rows = new ByteCells();
  #variableOf = new Uint8Array(0);
  /** map: the entry (id in {@link #entries}) of each cell, and the cell of each entry. */
  #entryOf = new Int32Array(0);
  #cellOf = new Int32Array(0);
  /** map: key id, variable and the key within the key. */
  readonly #entries = new KeyDictionary();
  readonly #entryKey = new ByteBuffer(64);
  readonly #expiry = new ExpiryQueue();
  readonly #timerIds = new IdPool();
  readonly #timersOf = new OwnerLists();
  readonly #timers = new ExpiryQueue();
  readonly #timeOf: number[] = [];

  constructor(variables: readonly StateVariable[]) {
    this.#cells = variables.map(() => new OwnerLists());
  }

  /** Cells and timers. */
  get size(): number {
    return this.#cellIds.size + this.#timerIds.size;
  }

  /** Memory held. */
  get bytes(): number {
    const own = [this.keys, this.byGroup, this.#rows, this.#entries, this.#expiry, this.#timersOf, this.#timers];
    return [...own, ...this.#cells].reduce(
      (sum, { bytes }) => sum + bytes,
      5 * this.#variableOf.length + 8 * this.#timeOf.length,
    );
  }

  /** The key's id; it is added if it is new. */
  add(group: number, bytes: Uint8Array, from: number, to: number): number {
    const known = this.keys.size;
    const key = this.keys.add(bytes, from, to);
    if (this.keys.size > known) this.byGroup.add(group, key);
    return key;
  }

  /** Forgets a key that holds nothing. */
  forgetEmpty(key: number): void {
    if (this.#timersOf.sizeOf(key) > 0 || this.#cells.some((lists) => lists.sizeOf(key) > 0)) return;
    this.byGroup.remove(key);
    this.keys.remove(key);
  }

  forget(key: number): void {
    for (let variable = 0; variable < this.#cells.length; variable++) this.clear(variable, key);
    for (let timer = this.#timersOf.first(key); timer >= 0; timer = this.#timersOf.first(key)) this.#endTimer(timer);
    this.forgetEmpty(key);
  }

  // ---- rows -------------------------------------------------------------------------------------------------------

  sizeOf(variable: number, key: number): number {
    return this.#cells[variable]!.sizeOf(key);
  }

  /** A key's first cell; -1 = none. */
  first(variable: number, key: number): number {
    return this.#cells[variable]!.first(key);
  }

  next(variable: number, cell: number): number {
    return this.#cells[variable]!.next(cell);
  }

  keyOf(variable: number, cell: number): number {
    return this.#cells[variable]!.ownerOf(cell);
  }

  variableOf(cell: number): number {
    return this.#variableOf[cell]!;
  }

  /** A cell's row; good until the next change. */
  rowOf(cell: number): Slice {
    const from = this.#rows.start[cell]!;
    return { bytes: this.#rows.data, from, to: from + this.#rows.length[cell]! };
  }

  /** map: the key within the key; good until the next change. */
  entryKeyOf(cell: number): Slice {
    const entry = this.#entryOf[cell]!;
    const from = this.#entries.start[entry]!;
    return { bytes: this.#entries.data, from: from + ENTRY_HEAD, to: from + this.#entries.length[entry]! };
  }

  /** When the cell expires, µs; NaN = never. */
  expiryOf(cell: number): number {
    return this.#expiry.timeOf(cell);
  }

  /** Adds a row behind the others of a list, or as a value's only one. */
  append(variable: number, key: number, row: Slice, expiresUs: number): number {
    const cell = this.#cellIds.take();
    this.#ensure(cell);
    this.#variableOf[cell] = variable;
    this.#entryOf[cell] = -1;
    this.#cells[variable]!.add(key, cell);
    this.#rows.set(cell, row.bytes, row.from, row.to);
    if (!Number.isNaN(expiresUs)) this.#expiry.add(cell, expiresUs);
    return cell;
  }

  clear(variable: number, key: number): void {
    for (let cell = this.first(variable, key); cell >= 0; cell = this.first(variable, key)) this.remove(cell);
  }

  remove(cell: number): void {
    this.#expiry.remove(cell);
    const entry = this.#entryOf[cell]!;
    if (entry >= 0) this.#entries.remove(entry);
    this.#cells[this.#variableOf[cell]!]!.remove(cell);
    this.#rows.clear(cell);
    this.#cellIds.give(cell);
  }

  /** map: the cell of a key within the key; -1 = none. */
  find(variable: number, key: number, within: Slice): number {
    const { bytes, length } = this.#entry(variable, key, within);
    const entry = this.#entries.find(bytes, 0, length);
    return entry < 0 ? -1 : this.#cellOf[entry]!;
  }

  /** map: sets the row of a key within the key; a known key keeps its place. */
  set(variable: number, key: number, within: Slice, row: Slice, expiresUs: number): void {
    const known = this.find(variable, key, within);
    if (known >= 0) {
      this.#rows.set(known, row.bytes, row.from, row.to);
      this.#expiry.remove(known);
      if (!Number.isNaN(expiresUs)) this.#expiry.add(known, expiresUs);
      return;
    }
    const cell = this.append(variable, key, row, expiresUs);
    const { bytes, length } = this.#entry(variable, key, within);
    const entry = this.#entries.add(bytes, 0, length);
    if (entry >= this.#cellOf.length) this.#cellOf = wider(this.#cellOf, entry + 1);
    this.#cellOf[entry] = cell;
    this.#entryOf[cell] = entry;
  }

  /** A cell that has expired at `boundUs`, which then expires no more; -1 = none is left. It stays until it is removed. */
  takeExpired(boundUs: number): number {
    return this.#expiry.take(boundUs, true);
  }

  #entry(variable: number, key: number, { bytes, from, to }: Slice): ByteBuffer {
    const out = this.#entryKey;
    out.length = 0;
    putU32(out, key);
    putByte(out, variable);
    out.append(bytes, from, to);
    return out;
  }

  // ---- timers -----------------------------------------------------------------------------------------------------

  /** Sets a timer that the key does not have yet. */
  addTimer(key: number, timeUs: number): void {
    if (this.#timerAt(key, timeUs) >= 0) return;
    const timer = this.#timerIds.take();
    this.#timersOf.add(key, timer);
    this.#timers.add(timer, timeUs);
    this.#timeOf[timer] = timeUs;
  }

  deleteTimer(key: number, timeUs: number): void {
    const timer = this.#timerAt(key, timeUs);
    if (timer >= 0) this.#endTimer(timer);
  }

  /** In the order in which they were set. */
  timersOf(key: number): number[] {
    const times: number[] = [];
    for (let timer = this.#timersOf.first(key); timer >= 0; timer = this.#timersOf.next(timer))
      times.push(this.#timeOf[timer]!);
    return times;
  }

  /** Takes a timer that is due at `boundUs`; null = none is. */
  takeTimer(boundUs: number): { readonly key: number; readonly timeUs: number } | null {
    const timer = this.#timers.take(boundUs, true);
    if (timer < 0) return null;
    const key = this.#timersOf.ownerOf(timer);
    this.#timersOf.remove(timer);
    this.#timerIds.give(timer);
    return { key, timeUs: this.#timeOf[timer]! };
  }

  #timerAt(key: number, timeUs: number): number {
    for (let timer = this.#timersOf.first(key); timer >= 0; timer = this.#timersOf.next(timer))
      if (this.#timeOf[timer] === timeUs) return timer;
    return -1;
  }

  #endTimer(timer: number): void {
    this.#timers.remove(timer);
    this.#timersOf.remove(timer);
    this.#timerIds.give(timer);
  }

  #ensure(cell: number): void {
    if (cell < this.#variableOf.length) return;
    const size = Math.max(cell + 1, 64, Math.ceil(this.#variableOf.length * 1.5));
    const variableOf = new Uint8Array(size);
    variableOf.set(this.#variableOf);
    this.#variableOf = variableOf;
    this.#entryOf = wider(this.#entryOf, size);
  }
}

/** Bytes in front of the key within the key: key id and variable. */
const ENTRY_HEAD = 5;

function wider(from: Int32Array, capacity: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(Math.max(capacity, 64, Math.ceil(from.length * 1.5)));
  to.set(from);
  return to;
}
