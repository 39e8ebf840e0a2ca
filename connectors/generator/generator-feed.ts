/** Rows made up by a rule, at a rate. */
import type { Clock } from '../../core/clock.ts';
import type { Feed, FeedStep, Json } from '../../core/feed/feed.ts';
import { generatedRow } from '../../core/feed/generate-rows.ts';
import type { GeneratorSpec } from '../../core/job/feed-spec.ts';

/** Rows come in batches about so far apart, ms. */
const STEP_MS = 100;
/** After a pause rows are made up for no longer than this, ms: a rate is a rate, not a debt. */
const BEHIND_MAX_MS = 1000;
const ROWS_MAX = 20_000;
/** When there is nothing more to come, ms. */
const REST_MS = 60_000;

export class GeneratorFeed implements Feed {
  readonly #spec: GeneratorSpec;
  readonly #clock: Clock;
  /** Monotonic ms up to which rows have been made. */
  #madeUpTo: number | null = null;

  constructor(spec: GeneratorSpec, clock: Clock) {
    this.#spec = spec;
    this.#clock = clock;
  }

  next(kept: Json): Promise<FeedStep> {
    const { rowsPerSecond, rows: total = Number.POSITIVE_INFINITY } = this.#spec;
    const from = typeof kept === 'number' ? kept : 0;
    const mono = this.#clock.mono();
    const perRow = 1000 / rowsPerSecond;
    const begun = Math.max(this.#madeUpTo ?? mono - perRow, mono - Math.max(BEHIND_MAX_MS, perRow));
    const due = Math.min(ROWS_MAX, Math.floor((mono - begun) / perRow), total - from);
    this.#madeUpTo = begun + due * perRow;
    const now = this.#clock.now();
    const rows = Array.from({ length: due }, (_, index) => generatedRow(this.#spec, from + index, now));
    const over = from + due >= total;
    const waitMs = over ? REST_MS : due === ROWS_MAX ? 0 : Math.max(STEP_MS, perRow - (mono - this.#madeUpTo));
    // An execution of what is there now takes one batch of an endless source.
    return Promise.resolve({ rows, cursor: from + due, waitMs, caughtUp: over || total === Number.POSITIVE_INFINITY });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
