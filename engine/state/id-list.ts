/** Small whole numbers in the order in which they came. */
export class IdList {
  /** The first {@link count} are in the list. */
  ids = new Int32Array(0);
  count = 0;

  add(id: number): void {
    if (this.count === this.ids.length) this.#grow(this.count + 1);
    this.ids[this.count++] = id;
  }

  addAll({ ids, count }: IdList): void {
    if (this.count + count > this.ids.length) this.#grow(this.count + count);
    this.ids.set(ids.subarray(0, count), this.count);
    this.count += count;
  }

  /** Leaves out those that do not pass. */
  keep(passes: (id: number) => boolean): void {
    const kept = this.ids.subarray(0, this.count).filter(passes);
    this.ids.set(kept);
    this.count = kept.length;
  }

  /** Memory held. */
  get bytes(): number {
    return this.ids.byteLength;
  }

  #grow(count: number): void {
    const ids = new Int32Array(Math.max(count, 2 * this.ids.length, 16));
    ids.set(this.ids.subarray(0, this.count));
    this.ids = ids;
  }
}
