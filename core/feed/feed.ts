/**
 * Feeds: places that cannot be read twice (an API, a directory, a WebSocket) turned into logs that can. A feed gives rows
 * and, with them, the cursor to go on from; the cursor is kept in the log, in the last record of the batch that brought
 * the rows, so rows and cursor are there together or not at all.
 */

/** What JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** One row as it goes into the log. */
export interface FeedRow {
  /** Tells rows apart for good; null = by what the row holds. */
  readonly id: string | null;
  readonly value: Uint8Array;
}

/** What one step of a feed brought. */
export interface FeedStep {
  readonly rows: readonly FeedRow[];
  /** Where the next step goes on; understood by this feed alone. */
  readonly cursor: Json;
  /** How long to wait before the next step, ms; 0 = there is more. */
  readonly waitMs: number;
  /** True when everything that was there has been given: the end of an availableNow execution. */
  readonly caughtUp: boolean;
}

/** Reads one place. Steps come one after the other; a failed step may be asked for again with the same cursor. */
export interface Feed {
  /**
   * What comes after the cursor; null = from the beginning. A feed that waits for messages resolves when there are some.
   * `known` tells whether a row with this id was appended lately, for feeds that need not fetch it then.
   *
   * Throws: SOURCE_UNAVAILABLE (fact `retryAfterMs` where the place said when to come back), UNAUTHORIZED, FEED_REFUSED,
   * FEED_MALFORMED; the signal's reason.
   */
  next(cursor: Json, signal: AbortSignal, known: (id: string) => boolean): Promise<FeedStep>;
  /** Called when the rows of the step with this cursor are durable in the log. */
  appended?(cursor: Json): Promise<void>;
  close(): Promise<void>;
}

/** Header of a record with the cursor to go on from after it, as JSON. */
export const CURSOR_HEADER = 'weir.cursor';
