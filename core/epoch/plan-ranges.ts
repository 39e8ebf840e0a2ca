/**
 * How far the next epoch reads: pure decisions over what is known of the logs. Without limits an epoch takes all that
 * is there, except that its ranges end at about the same record time over the partitions: a partition that lags behind
 * the others would else find its rows late.
 */
import type { LaneId, Offset } from '../ids.ts';
import { offset } from '../ids.ts';
import type { Admission, Pending } from './admission.ts';
import { mustWait, proRata, sizeOf } from './admission.ts';
import type { Mark } from './marks.ts';
import type { OffsetRange } from './types.ts';

/** One partition as the planner sees it. */
export interface LaneFacts {
  readonly position: Offset;
  /** Marks above the position. */
  readonly marks: readonly Mark[];
  readonly logEnd: Offset;
  /** False until somebody has reported on the partition: its next records may be of any time. */
  readonly known: boolean;
}

export interface SourceFacts {
  readonly name: string;
  readonly lanes: ReadonlyMap<LaneId, LaneFacts>;
  readonly limits: Admission;
  /** ms since the source last contributed to an epoch; null = it never did. */
  readonly sinceLastMs: number | null;
}

export interface RangeFacts {
  readonly sources: readonly SourceFacts[];
  /** Ends of one epoch may differ by so much record time, ms; null = no alignment, for jobs without a watermark. */
  readonly slackMs: number | null;
}

export type Ranges = ReadonlyMap<LaneId, OffsetRange>;

/** Ranges for what workers have read ahead. Empty when nothing can be taken now. */
export function planRanges(facts: RangeFacts): Ranges {
  const horizon = facts.slackMs === null ? Number.POSITIVE_INFINITY : horizonMs(facts.sources) + facts.slackMs;
  const ranges = new Map<LaneId, OffsetRange>();
  for (const source of facts.sources) {
    const pending = new Map<LaneId, Pending>();
    for (const [lane, seen] of source.lanes) pending.set(lane, { from: seen.position, end: endAt(seen, horizon) });
    if (mustWait(waiting(source), source.limits, source.sinceLastMs)) continue;
    takeAdmitted(ranges, source, pending, facts.slackMs !== null);
  }
  return ranges;
}

/**
 * Ranges up to ends that were asked from the sources themselves. Marks play no part: the same ends give the same
 * ranges. Empty when every source waits for more records or has none.
 */
export function planRangesTo(
  sources: readonly Omit<SourceFacts, 'lanes'>[],
  pendingOf: (source: string) => ReadonlyMap<LaneId, Pending>,
): Ranges {
  const ranges = new Map<LaneId, OffsetRange>();
  for (const source of sources) {
    const pending = pendingOf(source.name);
    if (mustWait(pending, source.limits, source.sinceLastMs)) continue;
    const max = source.limits.maxOffsetsPerTrigger;
    addRanges(ranges, pending, max === null ? null : proRata(pending, max));
  }
  return ranges;
}

/**
 * The record time up to which every partition is known: the smallest time read so far over the partitions that have
 * more to come. Infinite when all have been read to their ends.
 */
export function horizonMs(sources: readonly SourceFacts[]): number {
  let horizon = Number.POSITIVE_INFINITY;
  for (const { lanes } of sources) {
    for (const { position, marks, logEnd, known } of lanes.values()) {
      const last = marks.at(-1);
      if (known && (last?.end ?? position) >= logEnd) continue;
      horizon = Math.min(horizon, last?.timestampMs ?? Number.NEGATIVE_INFINITY);
    }
  }
  return horizon;
}

/** All that waits in the source's logs, read or not: what Spark's minimum counts. */
function waiting({ lanes }: SourceFacts): Map<LaneId, Pending> {
  return new Map(
    [...lanes].map(([lane, { position, logEnd }]) => [
      lane,
      { from: position, end: offset(Math.max(position, logEnd)) },
    ]),
  );
}

function endAt({ position, marks }: LaneFacts, horizon: number): Offset {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((marks[middle]?.timestampMs ?? 0) <= horizon) low = middle + 1;
    else high = middle;
  }
  return marks[low - 1]?.end ?? position;
}

function takeAdmitted(
  ranges: Map<LaneId, OffsetRange>,
  source: SourceFacts,
  pending: ReadonlyMap<LaneId, Pending>,
  align: boolean,
): void {
  const max = source.limits.maxOffsetsPerTrigger;
  if (max === null || sizeOf(pending) <= max) addRanges(ranges, pending, null);
  else addRanges(ranges, pending, align ? alignedEnds(source, pending, max) : proRata(pending, max));
}

/** The latest record time at which all partitions together stay within the limit; within one batch time, pro rata. */
function alignedEnds(
  source: SourceFacts,
  pending: ReadonlyMap<LaneId, Pending>,
  max: number,
): ReadonlyMap<LaneId, Offset> {
  const times = new Set<number>();
  for (const { marks } of source.lanes.values()) for (const mark of marks) times.add(mark.timestampMs);
  const candidates = [...times].sort((a, b) => a - b);
  const upTo = (time: number): Map<LaneId, Pending> =>
    new Map(
      [...source.lanes].map(([lane, seen]) => {
        const bound = pending.get(lane)?.end ?? seen.position;
        return [lane, { from: seen.position, end: offset(Math.min(bound, endAt(seen, time))) }];
      }),
    );
  let low = 0;
  let high = candidates.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sizeOf(upTo(candidates[middle] ?? 0)) <= max) low = middle + 1;
    else high = middle;
  }
  const whole = upTo(candidates[low - 1] ?? Number.NEGATIVE_INFINITY);
  if (sizeOf(whole) > 0) return new Map([...whole].map(([lane, { end }]) => [lane, end]));
  return proRata(upTo(candidates[low] ?? Number.POSITIVE_INFINITY), max);
}

function addRanges(
  ranges: Map<LaneId, OffsetRange>,
  pending: ReadonlyMap<LaneId, Pending>,
  ends: ReadonlyMap<LaneId, Offset> | null,
): void {
  for (const [lane, { from, end }] of pending) {
    const to = ends?.get(lane) ?? end;
    if (to > from) ranges.set(lane, { from, to });
  }
}
