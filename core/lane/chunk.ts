/**
 * What a lane does with fetched bytes: which batches hold data for it, at what time their rows are written, and where
 * it stands after them. A pure function of headers and position; the clock only decides whether to go on.
 */
import { WeirError } from '../errors.ts';
import type { Offset } from '../ids.ts';
import type { BatchHeader } from '../record-batch.ts';
import type { LaneClock, RunTiming } from './timestamps.ts';
import { timeBatch } from './timestamps.ts';

/** Records dated further ahead than this stop the lane, ms. */
const FUTURE_LIMIT_MS = 3_600_000;

/** Where the reading of a lane stands; ahead of what is committed. */
export interface Cursor {
  readonly offset: Offset;
  readonly clock: LaneClock;
}

/** A data batch to process. */
export interface ChunkBatch {
  readonly header: BatchHeader;
  /** Write time of the record at the batch's base offset, µs. */
  readonly baseTime: number;
}

export interface Chunk {
  readonly batches: readonly ChunkBatch[];
  /** After all headers given, also those that hold no data. */
  readonly next: Cursor;
}

/**
 * `visible[i]` tells whether header i holds data for a read_committed reader. Batches wholly below the cursor are left
 * out; batches at or above `end` too.
 *
 * Throws: RECORD_FROM_FUTURE for a batch dated more than an hour after `nowMs`.
 */
export function planChunk(
  headers: readonly BatchHeader[],
  visible: readonly boolean[],
  cursor: Cursor,
  timing: RunTiming,
  end: Offset | null,
  nowMs: number,
): Chunk {
  const batches: ChunkBatch[] = [];
  let { offset, clock } = cursor;
  for (let index = 0; index < headers.length; index++) {
    const header = headers[index];
    if (header === undefined || header.nextOffset <= offset) continue;
    if (end !== null && header.baseOffset >= end) break;
    if (visible[index] === true && header.recordCount > 0) {
      if (!timing.ignoreRecordTimes && header.maxTimestampMs > nowMs + FUTURE_LIMIT_MS) throw fromFuture(header, nowMs);
      const timed = timeBatch(timing, clock, header);
      batches.push({ header, baseTime: timed.base });
      clock = timed.clock;
    }
    offset = header.nextOffset;
  }
  if (end !== null && offset > end) offset = end;
  return { batches, next: { offset, clock } };
}

function fromFuture(header: BatchHeader, nowMs: number): WeirError {
  const aheadMinutes = Math.round((header.maxTimestampMs - nowMs) / 60_000);
  return new WeirError(
    'RECORD_FROM_FUTURE',
    `the records at offsets ${header.baseOffset} to ${header.nextOffset - 1} are dated ${aheadMinutes} minutes ahead of this ` +
      `worker's clock; correct the clock or the producer, or set onFutureTimestamp: ignoreTimes`,
    { facts: { offset: header.baseOffset, maxTimestampMs: header.maxTimestampMs } },
  );
}
