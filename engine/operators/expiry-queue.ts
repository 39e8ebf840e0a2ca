/**
 * Small whole numbers in the order of their times, those added first coming first among equal ones: what is due costs
 * the logarithm of what is held for each number taken, and nothing for those that stay. A binary heap in typed arrays.
 */
export class ExpiryQueue {
  /** Ids as a heap. */
  #heap = new Int32Array(0);
  #count = 0;
  /** By id: place in the heap plus one (0 = not in it), time, and turn: the order of adding. */
  #place = new Int32Array(0);
  #time = new Float64Array(0);
  #turn = new Float64Array(0);
  #turns = 0;

  get count(): number {
    return this.#count;
  }

  /** Memory held. */
  get bytes(): number {
    return this.#heap.byteLength + this.#place.byteLength + this.#time.byteLength + this.#turn.byteLength;
  }

  /** Adds an id that is not in the queue. */
  add(id: number, time: number): void {
    this.#ensure(id);
    this.#time[id] = time;
    this.#turn[id] = this.#turns++;
    this.#up(this.#count++, id);
  }

  /** Takes an id out, if it is in. */
  remove(id: number): void {
    const at = (this.#place[id] ?? 0) - 1;
    if (at < 0) return;
    this.#place[id] = 0;
    const last = this.#heap[--this.#count] as number;
    if (last === id) return;
    this.#down(at, last);
    if (this.#heap[at] === last) this.#up(at, last);
  }

  /** Takes the first id out if its time is below the bound, or at it when `inclusive`; -1 = none is due. */
  take(bound: number, inclusive: boolean): number {
    if (this.#count === 0) return -1;
    const first = this.#heap[0] as number;
    const time = this.#time[first] as number;
    if (inclusive ? !(time <= bound) : !(time < bound)) return -1;
    this.remove(first);
    return first;
  }

  /** The time that an id was added with; NaN = it is not in the queue. */
  timeOf(id: number): number {
    return (this.#place[id] ?? 0) === 0 ? Number.NaN : (this.#time[id] as number);
  }

  clear(): void {
    this.#place.fill(0);
    this.#count = 0;
  }

  #isBefore(id: number, other: number): boolean {
    const time = this.#time[id] as number;
    const otherTime = this.#time[other] as number;
    return time < otherTime || (time === otherTime && (this.#turn[id] as number) < (this.#turn[other] as number));
  }

  /** Puts an id where it belongs at or above a place. */
  #up(from: number, id: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = this.#heap[parent] as number;
      if (!this.#isBefore(id, other)) break;
      this.#put(at, other);
      at = parent;
    }
    this.#put(at, id);
  }

  /** Puts an id where it belongs at or below a place. */
  #down(from: number, id: number): void {
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#count) break;
      const right = child + 1;
      if (right < this.#count && this.#isBefore(this.#heap[right] as number, this.#heap[child] as number))
        child = right;
      const other = this.#heap[child] as number;
      if (!this.#isBefore(other, id)) break;
      this.#put(at, other);
      at = child;
    }
    this.#put(at, id);
  }

  #put(at: number, id: number): void {
    this.#heap[at] = id;
    this.#place[id] = at + 1;
  }

  #ensure(id: number): void {
    if (this.#count === this.#heap.length) {
      const heap = new Int32Array(Math.max(64, this.#count * 2));
      heap.set(this.#heap);
      this.#heap = heap;
    }
    if (id < this.#place.length) return;
    const size = Math.max(64, id + 1, Math.ceil(this.#place.length * 1.5));
    const place = new Int32Array(size);
    place.set(this.#place);
    this.#place = place;
    const time = new Float64Array(size);
    time.set(this.#time);
    this.#time = time;
    const turn = new Float64Array(size);
    turn.set(this.#turn);
    this.#turn = turn;
  }
}
