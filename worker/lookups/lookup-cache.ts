/**
 * What was looked up, for as long as it may be used: rows and the absence of rows, bounded by entries and by bytes. What
 * was used longest ago goes first. Times are those of the monotonic clock, ms.
 */

/** A row's document; null = there is no row for the key. */
export type Kept = Uint8Array | null;

export interface CacheLimits {
  readonly ttlMs: number;
  readonly missTtlMs: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** What an entry costs besides its key's and its row's bytes: about what a Map and an object take. */
const ENTRY_BYTES = 120;

interface Entry {
  readonly row: Kept;
  readonly until: number;
  readonly bytes: number;
}

export class LookupCache {
  readonly #limits: CacheLimits;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  get entries(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** undefined = it has to be asked for. */
  get(key: string, now: number): Kept | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.until <= now) {
      this.#bytes -= entry.bytes;
      return undefined;
    }
    this.#entries.set(key, entry);
    return entry.row;
  }

  set(key: string, row: Kept, now: number): void {
    const { ttlMs, missTtlMs, maxEntries, maxBytes } = this.#limits;
    const lifeMs = row === null ? missTtlMs : ttlMs;
    this.#drop(key);
    if (lifeMs <= 0) return;
    const bytes = ENTRY_BYTES + 2 * key.length + (row?.byteLength ?? 0);
    this.#entries.set(key, { row, until: now + lifeMs, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= maxEntries && this.#bytes <= maxBytes) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
