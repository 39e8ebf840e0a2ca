/** Where a lane stands: what its checkpoint row holds. Every field is a function of the position alone. */
import { assert } from '../assert.ts';
import type { Offset, TimestampUs } from '../ids.ts';

/** Exact under every fault: read = passed + filtered + skipped + dead. */
export interface LaneCounters {
  /** Records read. */
  readonly read: number;
  /** Records that gave at least one row. */
  readonly passed: number;
  /** Records that the query dropped: WHERE was not true, or explode of nothing. */
  readonly filtered: number;
  /** Records dropped by policy: onBadRecord or onNullValue `skip`. */
  readonly skipped: number;
  /** Records that became dead letters. */
  readonly dead: number;
  /** Rows handed to each sink (explode may give several per record). */
  readonly rowsOut: number;
}

export interface LanePosition {
  readonly nextOffset: Offset;
  /** Lower bound for the time of the next batch. */
  readonly bound: TimestampUs;
  readonly counters: LaneCounters;
}

export const zeroCounters: LaneCounters = { read: 0, passed: 0, filtered: 0, skipped: 0, dead: 0, rowsOut: 0 };

export function addCounters(a: LaneCounters, b: LaneCounters): LaneCounters {
  return {
    read: a.read + b.read,
    passed: a.passed + b.passed,
    filtered: a.filtered + b.filtered,
    skipped: a.skipped + b.skipped,
    dead: a.dead + b.dead,
    rowsOut: a.rowsOut + b.rowsOut,
  };
}

/** Stops the lane when a record was neither passed on nor accounted for. */
export function assertBalanced(counters: LaneCounters): void {
  const { read, passed, filtered, skipped, dead } = counters;
  assert(read === passed + filtered + skipped + dead, () => `records do not add up: ${JSON.stringify(counters)}`);
}
