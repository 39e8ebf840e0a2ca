/** What an emptied arena keeps for its next use. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024;
/** Garbage below this is never worth moving bytes for. */
const COMPACT_BYTES_MIN = 64 * 1024;

/**
 * Byte strings by small whole numbers: all in one arena, typed arrays only. Freed bytes are reclaimed by moving the
 * rest when they outweigh it, so a change costs constant time on average. `data` is another array after a change:
 * columns made from it before keep what they had, for the arena is never rewritten in place while it shrinks or grows.
 */
export class ByteCells {
  /** Where the bytes of an id stand in `data`. */
  start = new Uint32Array(0);
  /** Bytes; -1 = the id holds nothing. */
  length = new Int32Array(0);
  data: Uint8Array = empty;
  /** Over `data`. */
  view = new DataView(empty.buffer);
  #used = 0;
  #live = 0;

  /** Room for the ids below `capacity`. */
  ensure(capacity: number): void {
    if (capacity <= this.length.length) return;
    const size = Math.max(capacity, 64, Math.ceil(this.length.length * 1.5));
    const start = new Uint32Array(size);
    start.set(this.start);
    const length = new Int32Array(size).fill(-1);
    length.set(this.length);
    this.start = start;
    this.length = length;
  }

  has(id: number): boolean {
    return this.length[id]! >= 0;
  }

  /** Gives an id the bytes `source[from, to)`; `source` may be `data` itself. */
  set(id: number, source: Uint8Array, from: number, to: number): void {
    this.ensure(id + 1);
    const size = to - from;
    const old = this.length[id]!;
    if (size > old) {
      this.#reserve(size);
      // Never in place: what reads the old bytes may still do so.
      this.start[id] = this.#used;
      this.#used += size;
    }
    const at = this.start[id]!;
    const { data } = this;
    if (size < 32) for (let index = 0; index < size; index++) data[at + index] = source[from + index]!;
    else data.set(source.subarray(from, to), at);
    this.#live += size - Math.max(old, 0);
    this.length[id] = size;
  }

  /** Forgets the bytes of an id. */
  clear(id: number): void {
    const old = this.length[id]!;
    if (!(old >= 0)) return;
    this.length[id] = -1;
    this.#live -= old;
    if (this.#used - this.#live > COMPACT_BYTES_MIN && this.#used > 4 * this.#live) this.#move(this.#live);
  }

  /** Forgets everything; memory of moderate size stays, so columns made before mean nothing any more. */
  reset(): void {
    this.length.fill(-1);
    if (this.data.byteLength > KEPT_BYTES_MAX) this.#use(empty);
    this.#used = 0;
    this.#live = 0;
  }

  /** Memory held. */
  get bytes(): number {
    return this.start.byteLength + this.length.byteLength + this.data.byteLength;
  }

  #reserve(size: number): void {
    const needed = this.#used + size;
    if (needed <= this.data.byteLength) return;
    // Only what lives moves: a growing arena is also a compacting one.
    this.#move(this.#live + size);
  }

  /** Moves what lives into an arena with room for `needed` bytes and some more. */
  #move(needed: number): void {
    const spare = needed < 1 << 26 ? needed : needed >> 1;
    const data = new Uint8Array(Math.max(1024, needed + spare));
    const dense = this.#live === this.#used;
    if (dense) {
      data.set(this.data.subarray(0, this.#used));
      this.#use(data);
      return;
    }
    let used = 0;
    const { start, length } = this;
    for (let id = 0; id < length.length; id++) {
      const size = length[id]!;
      if (size < 0) continue;
      const from = start[id]!;
      if (size < 32) for (let index = 0; index < size; index++) data[used + index] = this.data[from + index]!;
      else data.set(this.data.subarray(from, from + size), used);
      start[id] = used;
      used += size;
    }
    this.#use(data);
    this.#used = used;
  }

  #use(data: Uint8Array<ArrayBuffer>): void {
    this.data = data;
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }
}

const empty = new Uint8Array(0);
