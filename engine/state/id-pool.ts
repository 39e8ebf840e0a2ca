/** Hands out small whole numbers and takes them back: the last one returned goes out first. */
export class IdPool {
  #next = 0;
  #free = new Int32Array(0);
  #freeCount = 0;

  /** Ids ever out at once: all ids lie below. */
  get limit(): number {
    return this.#next;
  }

  /** Ids out now. */
  get size(): number {
    return this.#next - this.#freeCount;
  }

  take(_group = 0): number {
    return this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#next++;
  }

  /** The id must be out. */
  give(id: number, _group = 0): void {
    if (this.#freeCount === this.#free.length) {
      const free = new Int32Array(Math.max(64, this.#free.length * 2));
      free.set(this.#free);
      this.#free = free;
    }
    this.#free[this.#freeCount++] = id;
  }

  reset(): void {
    this.#next = 0;
    this.#freeCount = 0;
  }

  /** Memory held. */
  get bytes(): number {
    return this.#free.byteLength;
  }
}

const CHUNK_MIN = 8;
const CHUNK_MAX = 64;
const GROUPS = 256;

/**
 * As {@link IdPool}, with the ids of each of 256 groups in runs of up to 64: walking a group then reads memory in
 * order. An id goes back to its own group.
 */
export class GroupedIdPool {
  #limit = 0;
  #size = 0;
  readonly #sizes = new Int32Array(GROUPS);
  /** By group: the run that ids are taken from, and the first free id of those given back. */
  readonly #next = new Int32Array(GROUPS);
  readonly #end = new Int32Array(GROUPS);
  readonly #free = new Int32Array(GROUPS).fill(-1);
  /** By free id: the next free one of its group. */
  #nextFree = new Int32Array(0);

  get limit(): number {
    return this.#limit;
  }

  get size(): number {
    return this.#size;
  }

  take(group: number): number {
    this.#size++;
    const size = this.#sizes[group]!++;
    const free = this.#free[group]!;
    if (free >= 0) {
      this.#free[group] = this.#nextFree[free]!;
      return free;
    }
    if (this.#next[group] === this.#end[group]) {
      this.#next[group] = this.#limit;
      this.#limit += Math.min(CHUNK_MAX, Math.max(CHUNK_MIN, size));
      this.#end[group] = this.#limit;
    }
    return this.#next[group]!++;
  }

  give(id: number, group: number): void {
    this.#size--;
    this.#sizes[group]!--;
    if (id >= this.#nextFree.length) {
      const nextFree = new Int32Array(Math.max(id + 1, 64, Math.ceil(this.#nextFree.length * 1.5)));
      nextFree.set(this.#nextFree);
      this.#nextFree = nextFree;
    }
    this.#nextFree[id] = this.#free[group]!;
    this.#free[group] = id;
  }

  reset(): void {
    this.#limit = 0;
    this.#size = 0;
    this.#sizes.fill(0);
    this.#next.fill(0);
    this.#end.fill(0);
    this.#free.fill(-1);
  }

  get bytes(): number {
    return this.#nextFree.byteLength;
  }
}
