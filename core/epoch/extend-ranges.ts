/**
 * Ranges that go on behind what workers have read: a job that catches up need not have an epoch in memory before it is
 * planned. Pure decisions; how far a partition may be planned is the caller's knowledge.
 */
import type { LaneId, Offset } from '../ids.ts';
import { proRata } from './admission.ts';
import type { EpochSize } from './epoch-size.ts';
import type { Ranges } from './plan-ranges.ts';
import type { OffsetRange } from './types.ts';

export interface LaneReach {
  readonly position: Offset;
  /** The partition's log goes so far, and what lies below is not later than the others allow. */
  readonly limit: Offset;
  /** As fetched, on average. */
  readonly recordBytes: number;
}

/**
 * The ranges, longer where there is more left to read: up to the size, each partition by its share of what is left. Every range stays below its partition's limit, or as it was.
 */
export function extendRanges(ranges: Ranges, lanes: ReadonlyMap<LaneId, LaneReach>, size: EpochSize): Ranges {
  let planned = 0;
  let plannedBytes = 0;
  let left = 0;
  let leftBytes = 0;
  const pending = new Map<LaneId, { readonly from: Offset; readonly end: Offset }>();
  for (const [lane, { position, limit, recordBytes }] of lanes) {
    const from = ranges.get(lane)?.to ?? position;
    planned += from - position;
    plannedBytes += (from - position) * recordBytes;
    if (limit <= from) continue;
    left += limit - from;
    leftBytes += (limit - from) * recordBytes;
    pending.set(lane, { from, end: limit });
  }
  const records = Math.floor(
    Math.min(size.records - planned, ((size.bytes - plannedBytes) / Math.max(1, leftBytes)) * left),
  );
  if (left === 0 || records <= 0) return ranges;
  const extended = new Map<LaneId, OffsetRange>(ranges);
  const ends =
    left <= records ? new Map([...pending].map(([lane, { end }]) => [lane, end])) : proRata(pending, records);
  for (const [lane, to] of ends) {
    const from = lanes.get(lane)?.position;
    if (from !== undefined && to > from) extended.set(lane, { from, to });
  }
  return extended;
}
