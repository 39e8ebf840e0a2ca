/**
 * Bytes in flight of all lanes of a worker together: when the sinks are slower than Kafka, its lag grows and not this
 * process. A lane may go over the limit by the one fetch it is doing.
 */
export class ByteBudget {
  readonly #limit: number;
  #used = 0;
  #released = Promise.withResolvers<void>();

  /** `limit` in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.#used >= this.#limit;
  }

  get used(): number {
    return this.#used;
  }

  take(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    const { resolve } = this.#released;
    this.#released = Promise.withResolvers<void>();
    resolve();
  }

  /** Resolves when something was given back. */
  get released(): Promise<void> {
    return this.#released.promise;
  }
}
