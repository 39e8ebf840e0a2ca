/** A pretend place behind a feed: rows that come, and are given from a cursor on; now and then it does not answer. */
import type { Clock } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { Feed, FeedStep, Json } from '../../core/feed/feed.ts';
import type { SimRng } from './rng.ts';

/** It takes no longer than this to answer, ms. */
const ANSWER_MS = 200;
const ROWS_MAX = 6;
/** How long a feed waits that was given everything, ms. */
const REST_MS = 300;

export interface PlaceRow {
  readonly id: string;
  readonly value: Uint8Array;
}

export class SimPlace {
  /** In the order they came. */
  readonly rows: PlaceRow[] = [];
  /** Chance that a request fails. */
  failing: () => number = () => 0;

  open(clock: Clock, rng: SimRng): Feed {
    return {
      next: async (kept: Json, signal: AbortSignal): Promise<FeedStep> => {
        await clock.sleep(rng.unit() * ANSWER_MS, signal);
        if (rng.chance(this.failing()))
          throw new WeirError('SOURCE_UNAVAILABLE', 'the simulated place does not answer');
        const from = typeof kept === 'number' ? kept : 0;
        const rows = this.rows.slice(from, from + rng.int(1, ROWS_MAX));
        const cursor = from + rows.length;
        const caughtUp = cursor === this.rows.length;
        return { rows, cursor, waitMs: caughtUp ? REST_MS : 0, caughtUp };
      },
      close: () => Promise.resolve(),
    };
  }
}
