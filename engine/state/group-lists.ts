import { KEY_GROUPS } from '../plan/epoch-plan.ts';

/**
 * Which ids belong to which key group, in the order in which they came: a doubly linked list per group over typed
 * arrays. The order is what snapshots keep. Adding and removing cost constant time; walking a group costs its size.
 */
export class GroupLists {
  readonly #head = new Int32Array(KEY_GROUPS).fill(-1);
  readonly #tail = new Int32Array(KEY_GROUPS).fill(-1);
  readonly #sizes = new Int32Array(KEY_GROUPS);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  #group = new Uint8Array(0);

  /** Puts an id at the end of a group. It must be in none. */
  add(group: number, id: number): void {
    if (id >= this.#next.length) this.#grow(id + 1);
    const last = this.#tail[group]!;
    this.#previous[id] = last;
    this.#next[id] = -1;
    this.#group[id] = group;
    if (last < 0) this.#head[group] = id;
    else this.#next[last] = id;
    this.#tail[group] = id;
    this.#sizes[group]!++;
  }

  /** Takes an id out of its group. */
  remove(id: number): void {
    const group = this.#group[id]!;
    const next = this.#next[id]!;
    const previous = this.#previous[id]!;
    if (previous < 0) this.#head[group] = next;
    else this.#next[previous] = next;
    if (next < 0) this.#tail[group] = previous;
    else this.#previous[next] = previous;
    this.#sizes[group]!--;
  }

  /** The group that an id was added to. */
  groupOf(id: number): number {
    return this.#group[id]!;
  }

  /** Ids of a group. */
  sizeOf(group: number): number {
    return this.#sizes[group]!;
  }

  /** The first id of a group; -1 = none. Go on with {@link next}. */
  first(group: number): number {
    return this.#head[group]!;
  }

  /** The id behind another one in its group; -1 = none. */
  next(id: number): number {
    return this.#next[id]!;
  }

  /** The ids of a group, in order. */
  idsOf(group: number): Int32Array {
    const ids = new Int32Array(this.#sizes[group]!);
    let count = 0;
    for (let id = this.#head[group]!; id >= 0; id = this.#next[id]!) ids[count++] = id;
    return ids;
  }

  /** Groups that have ids, ascending. */
  groups(): number[] {
    const groups: number[] = [];
    for (let group = 0; group < KEY_GROUPS; group++) if (this.#head[group]! >= 0) groups.push(group);
    return groups;
  }

  /** Memory held. */
  get bytes(): number {
    return this.#next.byteLength + this.#previous.byteLength + this.#group.byteLength;
  }

  #grow(capacity: number): void {
    const size = Math.max(capacity, 64, Math.ceil(this.#next.length * 1.5));
    const next = new Int32Array(size);
    next.set(this.#next);
    const previous = new Int32Array(size);
    previous.set(this.#previous);
    const group = new Uint8Array(size);
    group.set(this.#group);
    this.#next = next;
    this.#previous = previous;
    this.#group = group;
  }
}
