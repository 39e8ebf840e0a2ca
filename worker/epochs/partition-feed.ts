/**
 * Reads ahead of one partition of a stateful job, bounded in bytes, and hands out the ranges that epochs are planned
 * over. What it has read it tells as marks, from which the master cuts the ranges.
 *
 * Invariant: the buffer holds every data batch of [start, end) that was not released.
 */
import { backoffMs } from '../../core/clock.ts';
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import type { LaneId, Offset } from '../../core/ids.ts';
import { Gate } from './gate.ts';
import type { Gap, HeldBatch, RangePiece, ReadParts } from './read-range.ts';
import { afterLoss, batchesIn } from './read-range.ts';

const FETCH_WAIT_MS = 250;

/** End of a record batch with the greatest record time up to it, ms. */
export interface Mark {
  readonly offset: Offset;
  readonly timestampMs: number;
}

export interface FeedParts extends ReadParts {
  readonly lane: LaneId;
  readonly from: Offset;
  /** Bytes read and not released. */
  readonly bytesMax: () => number;
  /** There is something to report: marks, an end of the log, a wall. */
  readonly onNews: () => void;
  readonly onFetched: (bytes: number) => void;
  /** Reading went on after so many ms in which what was read before was not released. */
  readonly onBlocked: (ms: number) => void;
}

export class PartitionFeed {
  readonly lane: LaneId;
  readonly #parts: FeedParts;
  readonly #marks: Mark[] = [];
  #batches: HeldBatch[] = [];
  #gaps: Gap[] = [];
  /** Offsets [start, end) are here. */
  #start: Offset;
  #end: Offset;
  #logEnd = -1;
  #bytes = 0;
  #greatestMs = -1;
  /** Somebody waits for offsets up to here: reads beyond the bound if need be. */
  #wanted: number;
  #wall: WeirError | null = null;
  /** Monotonic ms when the fetch began that last said where the log ends. */
  #seenAt = Number.NEGATIVE_INFINITY;
  /** Somebody asked for an end of the log that was seen no earlier, monotonic ms; null = he has been told. */
  #owedSince: number | null = null;
  #failure: Error | null = null;
  readonly #changed = new Gate();

  constructor(parts: FeedParts) {
    this.lane = parts.lane;
    this.#parts = parts;
    this.#start = parts.from;
    this.#end = parts.from;
    this.#wanted = parts.from;
  }

  /** End of the log as last seen; -1 = not yet. */
  get logEnd(): number {
    return this.#logEnd;
  }

  /** Offset up to which records were read. */
  get readOffset(): Offset {
    return this.#end;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** More may be read ahead. */
  get hasRoom(): boolean {
    return this.#bytes < this.#parts.bytesMax();
  }

  /** What is left to read is more than what was read ahead. */
  get isFarBehind(): boolean {
    return this.#wall === null && this.#end > this.#start && this.#logEnd - this.#end > this.#end - this.#start;
  }

  /** Why reading does not go on, for a while or for good. */
  get wall(): WeirError | null {
    return this.#wall;
  }

  /** True while somebody waits for a newer end of the log than {@link logEnd}. */
  get isStale(): boolean {
    return this.#owedSince !== null;
  }

  /**
   * Tells everything anew: at once what was read, and with the next fetch an end of the log that is no older than
   * `ageMs`. A process may have stood still since it last saw it.
   */
  tellAnew(ageMs: number): void {
    const since = this.#parts.clock.mono() - ageMs;
    this.#owedSince = this.#seenAt >= since ? null : since;
    this.#parts.onNews();
  }

  /** Of a record as fetched, on average over what is here; 0 = nothing is. */
  get recordBytes(): number {
    const records = this.#end - (this.#batches[0]?.baseOffset ?? this.#end);
    return records > 0 ? this.#bytes / records : 0;
  }

  /** Marks that were not released, in order. */
  get marks(): readonly Mark[] {
    return this.#marks;
  }

  /** Reads until the signal aborts or nothing more can be read. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#parts;
    try {
      for (let attempt = 0; !signal.aborted;) {
        await this.#room();
        if (signal.aborted) break;
        attempt = (await this.#fetch()) ? 0 : await this.#blocked(attempt);
      }
      this.#failure = signal.reason as Error;
    } catch (error) {
      const failure = isWeirError(error) ? error : new WeirError('INTERNAL', messageOf(error), { cause: error });
      this.#failure = failure;
      if (!signal.aborted) {
        this.#wall = failure;
        this.#parts.onNews();
      }
    }
    this.#changed.open();
  }

  /**
   * What comes first of [from, to), once something of it is read; null when it was released or never here.
   *
   * Throws: what reading ran into.
   */
  async next(from: Offset, to: Offset, signal: AbortSignal): Promise<RangePiece | null> {
    if (from < this.#start) return null;
    if (from >= this.#wanted) {
      this.#wanted = from + 1;
      this.#changed.open();
    }
    while (this.#end <= from) {
      signal.throwIfAborted();
      if (this.#failure !== null) throw this.#failure;
      await this.#changed.wait(signal);
    }
    if (from < this.#start) return null;
    const next = this.#end < to ? this.#end : to;
    return {
      batches: this.#between(from, next),
      gaps: this.#gaps.flatMap((gap) => cut(gap, from, next)),
      next,
    };
  }

  #between(from: Offset, to: Offset): HeldBatch[] {
    const batches: HeldBatch[] = [];
    for (const batch of this.#batches) {
      if (batch.baseOffset >= to) break;
      if (batch.nextOffset > from) batches.push(batch);
    }
    return batches;
  }

  /** Marks behind `told`, in order. */
  marksBehind(told: number): Mark[] {
    let first = this.#marks.length;
    while (first > 0 && (this.#marks[first - 1]?.offset ?? 0) > told) first -= 1;
    return this.#marks.slice(first);
  }

  /** Offsets below are not asked for again. */
  release(upTo: Offset): void {
    if (upTo <= this.#start) return;
    this.#start = upTo;
    if (upTo > this.#end) this.#end = upTo;
    let count = 0;
    for (const { nextOffset, start, end } of this.#batches) {
      if (nextOffset > upTo) break;
      count += 1;
      this.#bytes -= end - start;
    }
    if (count > 0) this.#batches = this.#batches.slice(count);
    this.#gaps = this.#gaps.filter(({ to }) => to > upTo);
    const marks = this.#marks.findIndex((mark) => mark.offset > upTo);
    this.#marks.splice(0, marks < 0 ? this.#marks.length : marks);
    this.#changed.open();
  }

  /** False when the source does not answer at the moment. */
  async #fetch(): Promise<boolean> {
    const { reader, partition, fetchBytes, signal, clock, onNews, onFetched } = this.#parts;
    const at = this.#end;
    const begunAt = clock.mono();
    try {
      const fetched = await reader.fetch({
        partition,
        offset: at,
        maxBytes: fetchBytes,
        maxWaitMs: FETCH_WAIT_MS,
        signal,
      });
      // A range was taken elsewhere and released meanwhile.
      if (this.#end !== at) return true;
      if (fetched.highWatermark < at) this.#lost(new WeirError('OFFSET_OUT_OF_RANGE', '', endsOf(fetched)), at);
      const hadWall = this.#wall !== null;
      this.#wall = null;
      const { batches, next } = batchesIn(fetched, at);
      onFetched(fetched.bytes.byteLength);
      if (next > at) this.#append(batches, next);
      this.#seenAt = begunAt;
      const isOwed = this.#owedSince !== null && begunAt >= this.#owedSince;
      if (isOwed) this.#owedSince = null;
      if (next > at || hadWall || isOwed || fetched.lastStableOffset !== this.#logEnd) {
        this.#logEnd = fetched.lastStableOffset;
        onNews();
      }
      return true;
    } catch (error) {
      if (signal.aborted) return true;
      if (isWeirError(error, 'OFFSET_OUT_OF_RANGE')) {
        this.#lost(error, at);
        onNews();
        return true;
      }
      if (!isWeirError(error) || !error.retryable) throw error;
      if (this.#wall === null) {
        this.#wall = error;
        onNews();
      }
      return false;
    }
  }

  #append(batches: readonly HeldBatch[], next: Offset): void {
    for (const batch of batches) {
      this.#batches.push(batch);
      this.#bytes += batch.end - batch.start;
      if (batch.maxTimestampMs > this.#greatestMs) this.#greatestMs = batch.maxTimestampMs;
      this.#marks.push({ offset: batch.nextOffset, timestampMs: this.#greatestMs });
    }
    if (this.#marks.at(-1)?.offset !== next) this.#marks.push({ offset: next, timestampMs: this.#greatestMs });
    this.#end = next;
    this.#changed.open();
  }

  /** Goes on behind offsets that are gone; the epoch that is planned over them records the gap. */
  #lost(error: WeirError, at: Offset): void {
    const to = afterLoss(error, at, this.#parts);
    this.#gaps.push({ from: at, to });
    this.#append([], to);
  }

  async #blocked(attempt: number): Promise<number> {
    const { clock, rng, signal } = this.#parts;
    await clock.sleep(backoffMs(rng, attempt), signal).catch(() => undefined);
    return attempt + 1;
  }

  async #room(): Promise<void> {
    const { signal, clock, onBlocked } = this.#parts;
    const isFull = (): boolean => !this.hasRoom && this.#wanted <= this.#end && !signal.aborted;
    if (!isFull()) return;
    const since = clock.mono();
    while (isFull()) await this.#changed.wait(signal);
    onBlocked(clock.mono() - since);
  }
}

function endsOf(fetched: { readonly logStartOffset: number; readonly highWatermark: number }): {
  readonly facts: { readonly low: number; readonly high: number };
} {
  return { facts: { low: fetched.logStartOffset, high: fetched.highWatermark } };
}

function cut(gap: Gap, from: Offset, to: Offset): Gap[] {
  const start = gap.from > from ? gap.from : from;
  const end = gap.to < to ? gap.to : to;
  return start < end ? [{ from: start, to: end }] : [];
}
