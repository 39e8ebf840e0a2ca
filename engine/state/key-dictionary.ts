import { ByteCells } from './byte-cells.ts';
import { GroupedIdPool, IdPool } from './id-pool.ts';
import { hashBytes, viewOf } from './key-encoder.ts';
import type { KeyRows } from './key-rows.ts';

const MIN_SLOTS = 64;
/** What an emptied table keeps for its next use. */
const KEPT_SLOTS_MAX = 1 << 20;

/**
 * Keys to dense ids, both ways: open addressing (linear probing, at most three quarters full, deletion by shifting
 * back) over the
 * hashes of keys whose bytes stand in one arena. Ids of removed keys are used again, so columns indexed by id stay as
 * small as the dictionary ever was. Which id a key gets depends on the history; order that must survive snapshots
 * belongs in {@link GroupLists}. No key may be the beginning of another one: those of {@link KeyEncoder} tell their own
 * end.
 *
 * Invariant: every id below `limit` that is out has bytes, and exactly one slot of the table names it.
 */
export class KeyDictionary {
  readonly #cells = new ByteCells();
  readonly #ids: IdPool | GroupedIdPool;
  /** Two words a slot: a key's hash, and its id + 1 (0 = free). Beside each other they cost one miss of the cache. */
  #slots = new Int32Array(2 * MIN_SLOTS);
  #mask = MIN_SLOTS - 1;

  /** `dense`: ids count up from 0. `byGroup`: those of a key group lie together, for state that is walked by group. */
  constructor(ids: 'dense' | 'byGroup' = 'dense') {
    this.#ids = ids === 'dense' ? new IdPool() : new GroupedIdPool();
  }

  /** Keys held. */
  get size(): number {
    return this.#ids.size;
  }

  /** All ids are below it. */
  get limit(): number {
    return this.#ids.limit;
  }

  /** The arena that {@link start} and {@link length} point into; another one after a change. */
  get data(): Uint8Array {
    return this.#cells.data;
  }

  /** By id: where the key's bytes begin. Another array after a change. */
  get start(): Uint32Array {
    return this.#cells.start;
  }

  /** By id: bytes of the key, -1 = the id is not out. */
  get length(): Int32Array {
    return this.#cells.length;
  }

  /** Memory held. */
  get bytes(): number {
    return this.#cells.bytes + this.#ids.bytes + this.#slots.byteLength;
  }

  has(id: number): boolean {
    return this.#cells.has(id);
  }

  /** The id of the key `bytes[from, to)`, or -1. */
  find(bytes: Uint8Array, from: number, to: number): number {
    return this.#slots[this.#locate(viewOf(bytes), from, to, hashBytes(bytes, from, to)) + 1]! - 1;
  }

  /** The id of the key, which is added if it is new: then `size` grew. */
  add(bytes: Uint8Array, from: number, to: number): number {
    return this.addHashed(bytes, from, to, hashBytes(bytes, from, to));
  }

  /** As {@link add}, of a key among others. */
  addKey({ data, view, start, hash }: KeyRows, index: number): number {
    return this.#add(data, view, start[index]!, start[index + 1]!, hash[index]!);
  }

  /** As {@link add}, with the key's hash (see `hashBytes`) known. */
  addHashed(bytes: Uint8Array, from: number, to: number, hash: number): number {
    return this.#add(bytes, viewOf(bytes), from, to, hash);
  }

  #add(bytes: Uint8Array, view: DataView, from: number, to: number, hash: number): number {
    const slot = this.#locate(view, from, to, hash);
    const known = this.#slots[slot + 1]! - 1;
    if (known >= 0) return known;
    const id = this.#ids.take(hash >>> 24);
    this.#cells.set(id, bytes, from, to);
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = id + 1;
    if (this.#ids.size * 4 > (this.#mask + 1) * 3) this.#rehash((this.#mask + 1) * 2);
    return id;
  }

  /** Forgets a key; its id may be given to another one. */
  remove(id: number): void {
    const mask = this.#mask;
    const slots = this.#slots;
    const { data, start, length } = this.#cells;
    const from = start[id]!;
    const hash = hashBytes(data, from, from + length[id]!);
    let gap = hash & mask;
    while (slots[2 * gap + 1] !== id + 1) gap = (gap + 1) & mask;
    // Whoever was pushed past the gap moves up, so that no probe meets a hole.
    for (let at = (gap + 1) & mask; slots[2 * at + 1] !== 0; at = (at + 1) & mask) {
      const home = slots[2 * at]! & mask;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      slots[2 * gap] = slots[2 * at]!;
      slots[2 * gap + 1] = slots[2 * at + 1]!;
      gap = at;
    }
    slots[2 * gap + 1] = 0;
    this.#cells.clear(id);
    this.#ids.give(id, hash >>> 24);
    if (mask >= 4096 && this.#ids.size * 8 < mask) this.#rehash((mask + 1) >> 1);
  }

  /** Forgets all keys; memory of moderate size stays. */
  reset(): void {
    this.#cells.reset();
    this.#ids.reset();
    if (this.#mask >= KEPT_SLOTS_MAX) {
      this.#slots = new Int32Array(2 * MIN_SLOTS);
      this.#mask = MIN_SLOTS - 1;
    } else {
      this.#slots.fill(0);
    }
  }

  /** Where in the table the key's slot begins, or the free one where it belongs. */
  #locate(bytes: DataView, from: number, to: number, hash: number): number {
    const slots = this.#slots;
    const last = 2 * this.#mask + 1;
    const { view, start } = this.#cells;
    const size = to - from;
    let slot = (2 * hash) & last;
    for (;;) {
      const id = slots[slot + 1]! - 1;
      if (id < 0) return slot;
      // Its length need not be looked up: a key that begins like another one is that one.
      if (slots[slot] === hash && isSame(view, start[id]!, bytes, from, size)) return slot;
      slot = (slot + 2) & last;
    }
  }

  #rehash(size: number): void {
    const old = this.#slots;
    const slots = new Int32Array(2 * size);
    const last = 2 * size - 1;
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] === 0) continue;
      let slot = (2 * old[at]!) & last;
      while (slots[slot + 1] !== 0) slot = (slot + 2) & last;
      slots[slot] = old[at]!;
      slots[slot + 1] = old[at + 1]!;
    }
    this.#slots = slots;
    this.#mask = size - 1;
  }
}

function isSame(a: DataView, atA: number, b: DataView, atB: number, size: number): boolean {
  if (atA + size > a.byteLength) return false;
  let index = 0;
  for (; index + 4 <= size; index += 4)
    if (a.getInt32(atA + index, true) !== b.getInt32(atB + index, true)) return false;
  for (; index < size; index++) if (a.getUint8(atA + index) !== b.getUint8(atB + index)) return false;
  return true;
}
