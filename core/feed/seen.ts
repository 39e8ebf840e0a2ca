/**
 * The latest rows of a feed by id: what was given is not given again while it is the same. Bounded; the oldest are
 * forgotten first, so a place that repeats rows of longer ago than `max` rows has them appended again, with the same key.
 */
export class SeenRows {
  readonly #max: number;
  /** Fingerprint of the content by id, in the order of appending. */
  readonly #rows = new Map<string, string>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** True when the row with this id was the same when it was last appended. */
  has(id: string, fingerprint: string): boolean {
    return this.#rows.get(id) === fingerprint;
  }

  /** True when a row with this id was appended lately, whatever it held. */
  knows(id: string): boolean {
    return this.#rows.has(id);
  }

  /** To be called in the order of the log. */
  add(id: string, fingerprint: string): void {
    this.#rows.delete(id);
    this.#rows.set(id, fingerprint);
    if (this.#rows.size <= this.#max) return;
    for (const oldest of this.#rows.keys()) {
      this.#rows.delete(oldest);
      break;
    }
  }
}
