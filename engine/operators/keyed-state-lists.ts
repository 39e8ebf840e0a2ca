/**
 * Which ids belong to which owner (both small whole numbers), in the order in which they came: doubly linked lists over
 * typed arrays. Adding and removing cost constant time.
 */
export class OwnerLists {
  #head = new Int32Array(0);
  #tail = new Int32Array(0);
  #size = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  #owner = new Int32Array(0);

  /** Puts an id, which is in no list, at the end of an owner's. */
  add(owner: number, id: number): void {
    if (owner >= this.#head.length) this.#growOwners(owner + 1);
    if (id >= this.#next.length) this.#growIds(id + 1);
    const last = this.#tail[owner]!;
    this.#previous[id] = last;
    this.#next[id] = -1;
    this.#owner[id] = owner;
    if (last < 0) this.#head[owner] = id;
    else this.#next[last] = id;
    this.#tail[owner] = id;
    this.#size[owner]!++;
  }

  /** Takes an id out of its list. */
  remove(id: number): void {
    const owner = this.#owner[id]!;
    const next = this.#next[id]!;
    const previous = this.#previous[id]!;
    if (previous < 0) this.#head[owner] = next;
    else this.#next[previous] = next;
    if (next < 0) this.#tail[owner] = previous;
    else this.#previous[next] = previous;
    this.#size[owner]!--;
  }

  ownerOf(id: number): number {
    return this.#owner[id]!;
  }

  sizeOf(owner: number): number {
    return this.#size[owner] ?? 0;
  }

  /** An owner's first id; -1 = it has none. Go on with {@link next}. */
  first(owner: number): number {
    return this.#head[owner] ?? -1;
  }

  /** The id behind another one of the same owner; -1 = none. */
  next(id: number): number {
    return this.#next[id]!;
  }

  /** Memory held. */
  get bytes(): number {
    return 12 * (this.#head.length + this.#next.length);
  }

  #growOwners(capacity: number): void {
    const size = Math.max(capacity, 64, Math.ceil(this.#head.length * 1.5));
    this.#head = grown(this.#head, size, -1);
    this.#tail = grown(this.#tail, size, -1);
    this.#size = grown(this.#size, size, 0);
  }

  #growIds(capacity: number): void {
    const size = Math.max(capacity, 64, Math.ceil(this.#next.length * 1.5));
    this.#next = grown(this.#next, size, -1);
    this.#previous = grown(this.#previous, size, -1);
    this.#owner = grown(this.#owner, size, -1);
  }
}

function grown(from: Int32Array, size: number, empty: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(size).fill(empty, from.length);
  to.set(from);
  return to;
}
