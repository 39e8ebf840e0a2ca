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

/** A day: beyond, records are so rare that a question for each step costs nothing. */
const SPAN_MS_MAX = 86_400_000;

/** Record time of the next step that is asked for, ms, after one of `spanMs` that brought so many records. */
export function nextSpanMs(spanMs: number, records: number, size: EpochSize): number {
  // More than an epoch can only be taken in part; few are not worth the question.
  if (records > size.records) return spanMs / 4;
  return records < size.records / 8 ? Math.min(SPAN_MS_MAX, spanMs * 2) : spanMs;
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
