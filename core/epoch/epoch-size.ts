/**
 * How large an epoch becomes while a job catches up. What an epoch costs by itself (plan, orders, reports, commit) is
 * shared by the more records the larger it is; but what failed is done again from its beginning, and workers can come
 * and go only between two of them.
 */

/** Catching up, an epoch is to take about so long, ms. */
const EPOCH_MS = 250;
/** Fetched bytes of one epoch: what a replay may have to hold. */
const EPOCH_BYTES_MAX = 32 << 20;

export interface EpochSize {
  readonly records: number;
  /** As fetched. */
  readonly bytes: number;
}

/** Follows what epochs took. */
export class EpochPace {
  #records = 0;
  #doneAt = Number.NEGATIVE_INFINITY;

  /** An epoch of so many records is done. Times in monotonic ms. */
  done(records: number, plannedAt: number, doneAt: number): void {
    // It began when it was planned, or when the one before was out of its way.
    const ms = Math.max(1, doneAt - Math.max(plannedAt, this.#doneAt));
    this.#doneAt = doneAt;
    if (records > 0) this.#records = Math.floor(records * Math.min(2, EPOCH_MS / ms));
  }

  /** Of the next one; as large as what was read, before the first. */
  get next(): EpochSize {
    return { records: this.#records, bytes: EPOCH_BYTES_MAX };
  }
}
