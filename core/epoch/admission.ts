/** Which offsets one epoch takes from one source, by Spark's options: how many at least, how many at most. */
import type { LaneId, Offset } from '../ids.ts';
import { offset } from '../ids.ts';

export interface Admission {
  readonly maxOffsetsPerTrigger: number | null;
  readonly minOffsetsPerTrigger: number | null;
  /** With minOffsetsPerTrigger: wait no longer than this, ms. */
  readonly maxTriggerDelayMs: number;
}

/** What of one partition waits: `[from, end)`. */
export interface Pending {
  readonly from: Offset;
  readonly end: Offset;
}

/**
 * Whether an epoch has to wait for more: fewer records than the minimum are there and the longest delay has not passed.
 * The first epoch never waits. `sinceLastMs` is the time since the source last contributed an epoch; null = it never did.
 *
 * Source: Spark's KafkaMicroBatchStream.delayBatch.
 */
export function mustWait(
  pending: ReadonlyMap<LaneId, Pending>,
  limits: Admission,
  sinceLastMs: number | null,
): boolean {
  if (limits.minOffsetsPerTrigger === null || sinceLastMs === null) return false;
  return sinceLastMs < limits.maxTriggerDelayMs && sizeOf(pending) < limits.minOffsetsPerTrigger;
}

/**
 * Ends that take at most about `limit` records in all, pro rata by what waits: shares below one are rounded up, so that
 * no small partition starves, others down.
 *
 * Source: Spark's KafkaMicroBatchStream.rateLimit.
 */
export function proRata(pending: ReadonlyMap<LaneId, Pending>, limit: number): Map<LaneId, Offset> {
  const total = sizeOf(pending);
  return new Map(
    [...pending].map(([lane, { from, end }]) => {
      if (end <= from) return [lane, end];
      const share = limit * ((end - from) / total);
      return [lane, offset(Math.min(end, from + (share < 1 ? Math.ceil(share) : Math.floor(share))))];
    }),
  );
}

export function sizeOf(pending: ReadonlyMap<LaneId, Pending>): number {
  let sum = 0;
  for (const { from, end } of pending.values()) sum += Math.max(0, end - from);
  return sum;
}
