/**
 * Appends that may not overtake each other. Two under way at once would: one that is tried again after a lost connection,
 * or one of several requests, comes behind the next one, and the last record of a key is an old one.
 */
export class AppendOrder {
  /** By whose order it is; none = nothing is under way. */
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `append` when those before it are acknowledged. Throws: what it throws, or one before it that waited or ran. */
  async run(owner: string, append: () => Promise<void>): Promise<void> {
    const before = this.#last.get(owner);
    const done = before === undefined ? append() : before.then(append);
    this.#last.set(owner, done);
    try {
      await done;
    } finally {
      if (this.#last.get(owner) === done) this.#last.delete(owner);
    }
  }
}
