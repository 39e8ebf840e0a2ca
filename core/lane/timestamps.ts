/**
 * Write timestamps of a lane's rows, from record-batch headers alone.
 *
 *   T_b  = max(bound, maxTimestamp_b in µs + run × stride, runStart), rounded up to the stride
 *   t(r) = T_b + (offset - baseOffset_b) × stride + phase
 *   bound after b = T_b + (nextOffset_b - baseOffset_b) × stride
 *
 * `phase` = twice the partition's ordinal, plus one in odd runs. The stride is a power of two and at least twice the
 * number of ordinals. So: a replay gives the same values; a later position of a lane has the larger one whatever the
 * producers' clocks said; two partitions never share a value; nor do two consecutive runs, also of different strides,
 * for one writes even values only and the other odd ones.
 */
import { assert } from '../assert.ts';
import type { Offset, Run, TimestampUs } from '../ids.ts';

export interface LaneClock {
  /** Smallest T the next batch may get. Durable with the offset it belongs to. */
  readonly bound: TimestampUs;
}

export interface RunTiming {
  readonly run: Run;
  /** Power of two, µs between two offsets. */
  readonly stride: number;
  readonly runStart: TimestampUs;
  /** In [0, stride / 2). */
  readonly ordinal: number;
  /**
   * Number of this owner, for rows that are not functions of records alone: owners that follow each other write in places
   * of their own, {@link ATTEMPT_SLOTS} of them in turn, so that a row written again is one of the two and no mixture of
   * their cells. The ordinal is then in [0, stride / 2 / ATTEMPT_SLOTS). Absent = the same bytes again, one place.
   */
  readonly attempt?: number;
  /** Take no record time into account: timestamps follow runStart and positions only. */
  readonly ignoreRecordTimes: boolean;
}

/** Owners in turn that write the rows of a record at different times. */
export const ATTEMPT_SLOTS = 4;

export interface TimedBatch {
  readonly baseOffset: Offset;
  readonly nextOffset: Offset;
  /** ms; -1 = none. */
  readonly maxTimestampMs: number;
}

/** The time of a batch's base offset (phase included) and the clock after it. Control and aborted batches are not passed here. */
export function timeBatch(
  timing: RunTiming,
  clock: LaneClock,
  batch: TimedBatch,
): { base: TimestampUs; clock: LaneClock } {
  const { run, stride, runStart } = timing;
  const recordTime =
    timing.ignoreRecordTimes || batch.maxTimestampMs < 0 ? 0 : batch.maxTimestampMs * 1000 + run * stride;
  const start = roundUp(Math.max(clock.bound, recordTime, runStart), stride);
  const bound = start + (batch.nextOffset - batch.baseOffset) * stride;
  assert(Number.isSafeInteger(bound), () => `timestamp ${bound} is not a safe integer`);
  return { base: (start + phaseOf(timing)) as TimestampUs, clock: { bound: bound as TimestampUs } };
}

/** `t(r)` for a record of a batch whose base time is `base`. */
export function recordTime(timing: RunTiming, base: TimestampUs, offsetDelta: number): TimestampUs {
  return (base + offsetDelta * timing.stride) as TimestampUs;
}

function phaseOf(timing: RunTiming): number {
  const { ordinal, run, stride, attempt } = timing;
  const room = attempt === undefined ? stride : stride / ATTEMPT_SLOTS;
  assert(ordinal >= 0 && ordinal < room / 2, () => `ordinal ${ordinal} does not fit stride ${stride}`);
  return 2 * ordinal + (run % 2) + (attempt === undefined ? 0 : (attempt % ATTEMPT_SLOTS) * room);
}

function roundUp(value: number, stride: number): number {
  return Math.ceil(value / stride) * stride;
}

/**
 * The stride for so many partitions: a power of two with room to double their number, and for 16 at least. Larger would
 * slow lanes down (one that writes more than 1 / stride rows runs ahead of the clock). Smaller would need a new run for
 * every few partitions added; and where a run with a larger stride goes over what a crashed owner of the former run wrote
 * beyond its last commit, a reader may for a moment see an older row of a key.
 */
export function strideFor(partitionCount: number): number {
  let stride = 32;
  while (stride < partitionCount * 4) stride *= 2;
  return stride;
}

/** Whether one more ordinal still fits, where the rows of a record have so many places ({@link ATTEMPT_SLOTS}, or one). */
export function ordinalFits(ordinal: number, stride: number, slots = 1): boolean {
  return ordinal < stride / 2 / slots;
}

/** Start of a new run: no earlier than now, and above everything that lanes of the job have committed. */
export function nextRunStart(nowMs: number, committedBounds: readonly TimestampUs[], stride: number): TimestampUs {
  let start = Math.ceil(nowMs * 1000);
  for (const bound of committedBounds) start = Math.max(start, bound + 2 * stride);
  return start as TimestampUs;
}
