/** The record batches of a range of offsets, as they come from fetches, and the pieces that map tasks get of them. */
import { must } from '../../core/assert.ts';
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import { offset } from '../../core/ids.ts';
import type { MemoryPool } from '../../core/memory-pool.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import type { Fetched, SourceReader } from '../../core/ports.ts';
import { isAbortMarker, readBatchHeaders, visibleBatches } from '../../core/record-batch.ts';
import type { TaskBytes } from '../../engine/epoch/contract.ts';
import { BATCH_STRIDE } from '../../engine/stage.ts';

/** What one fetch brought: given back when all its batches were used. */
interface FetchedMemory {
  /** null = not only the fetch's, or not any more. */
  buffer: ArrayBuffer | null;
  unused: number;
}

/** A data batch that a read_committed reader sees; `start` and `end` are positions in `bytes`. */
export interface HeldBatch {
  readonly bytes: Uint8Array;
  readonly memory: FetchedMemory;
  readonly start: number;
  readonly end: number;
  readonly baseOffset: Offset;
  readonly nextOffset: Offset;
  /** ms; -1 = none. */
  readonly maxTimestampMs: number;
}

/** Offsets [from, to) that were gone before they were read. */
export interface Gap {
  readonly from: Offset;
  readonly to: Offset;
}

export interface RangeData {
  readonly batches: readonly HeldBatch[];
  readonly gaps: readonly Gap[];
}

/** A part of a range: all of it up to `next`. */
export interface RangePiece extends RangeData {
  readonly next: Offset;
}

/** What a fetch at `from` brought: its data batches, and the offset after all that came. */
export function batchesIn(fetched: Fetched, from: Offset): { readonly batches: HeldBatch[]; readonly next: Offset } {
  const { bytes } = fetched;
  const headers = readBatchHeaders(bytes);
  const visible = visibleBatches(headers, fetched.aborted, (header) => isAbortMarker(bytes, header));
  const batches: HeldBatch[] = [];
  const { buffer } = bytes;
  const memory: FetchedMemory = {
    buffer: fetched.transferable && buffer instanceof ArrayBuffer ? buffer : null,
    unused: 0,
  };
  let next = from;
  headers.forEach((header, index) => {
    if (header.nextOffset <= from) return;
    next = header.nextOffset;
    if (visible[index] !== true || header.recordCount === 0) return;
    const { start, end, baseOffset, nextOffset, maxTimestampMs } = header;
    memory.unused += 1;
    batches.push({ bytes, memory, start, end, baseOffset, nextOffset, maxTimestampMs });
  });
  return { batches, next };
}

/**
 * Gives back the memory of batches that nobody will look at any more: those that end by `to`. They must be the caller's
 * alone; whoever is not sure leaves them to the garbage collector.
 */
export function giveBack(batches: readonly HeldBatch[], to: Offset, pool: MemoryPool): void {
  for (const { memory, nextOffset } of batches) {
    if (nextOffset > to) continue;
    memory.unused -= 1;
    if (memory.unused === 0 && memory.buffer !== null) pool.give(memory.buffer);
  }
}

/** Batches are put together up to so many bytes for one task. */
const TASK_BYTES_MAX = 4 << 20;
/** Fewer are copied sooner than several pieces of memory are sent to a thread. */
const TAKEN_BYTES_MIN = 256 * 1024;

/**
 * Cuts a range into tasks as its batches come, at places that depend on the batches alone and not on how they were
 * fetched: every attempt and every replay of an epoch runs the same tasks, so that sums of floating-point numbers come
 * out the same.
 */
export class TaskCutter {
  readonly #places: Places;
  readonly #bytesMax: number;
  #own: HeldBatch[] = [];
  #size = 0;

  constructor(places: Places) {
    this.#places = places;
    this.#bytesMax = places.taskBytes ?? TASK_BYTES_MAX;
  }

  /** The tasks that the range's next batches complete. */
  *add(batches: readonly HeldBatch[]): Generator<readonly HeldBatch[]> {
    for (const batch of batches) {
      const before = this.#own.at(-1);
      const size = batch.end - batch.start;
      if (before !== undefined && this.#size + size > this.#bytesMax && !inOnePlace(before, batch, this.#places))
        yield this.rest();
      this.#own.push(batch);
      this.#size += size;
    }
  }

  /** The last task, when the range has no more; empty when there is none. */
  rest(): readonly HeldBatch[] {
    const own = this.#own;
    this.#own = [];
    this.#size = 0;
    return own;
  }
}

/** The tasks of a range that is here, each in one piece of memory of its own. */
export function* cutIntoTasks(batches: readonly HeldBatch[], places: Places): Generator<TaskBytes> {
  const cutter = new TaskCutter(places);
  for (const own of cutter.add(batches)) yield copied(own);
  const rest = cutter.rest();
  if (rest.length > 0) yield copied(rest);
}

/**
 * A task's bytes for the last one who needs them: the memory of fetches that have nothing for anybody else as it is,
 * copies of the rest. What is taken is not given back by {@link giveBack}: it is the task's. `to`: where the range ends.
 */
export function taken(batches: readonly HeldBatch[], to: Offset, pool: MemoryPool): readonly TaskBytes[] {
  const size = batches.reduce((sum, { start, end }) => sum + end - start, 0);
  return size >= TAKEN_BYTES_MIN ? inPieces(batches, to, pool) : [copied(batches, pool)];
}

/** The batches in as few pieces as there are fetches; those whose memory others need too are copied. */
function inPieces(batches: readonly HeldBatch[], to: Offset, pool: MemoryPool): TaskBytes[] {
  const pieces: TaskBytes[] = [];
  for (let first = 0; first < batches.length;) {
    const { memory, bytes } = must(batches[first], () => `no batch ${first}`);
    let last = first;
    while (batches[last]?.memory === memory) last++;
    const own = batches.slice(first, last);
    first = last;
    // A batch that reaches over the range is read again by the next epoch.
    const isLast = own.every(({ nextOffset }) => nextOffset <= to);
    if (memory.buffer === null || memory.unused !== own.length || !isLast) {
      pieces.push(copied(own, pool));
      continue;
    }
    memory.buffer = null;
    pieces.push({
      bytes,
      batches: tableOf(own, ({ start }) => start),
    });
  }
  return pieces;
}

/** Offsets by their places in the order of the epoch's rows: so many share one, from the range's start on. */
export interface Places {
  readonly from: number;
  readonly step: number;
  /** Bytes of one task, but for batches that share a place. Default 4 MB. */
  readonly taskBytes?: number;
}

function inOnePlace(before: HeldBatch, batch: HeldBatch, { from, step }: Places): boolean {
  const placeOf = ({ baseOffset }: HeldBatch): number => Math.floor(Math.max(0, baseOffset - from) / step);
  return step > 1 && placeOf(batch) === placeOf(before);
}

/** At the start of memory in which nothing else lies. */
export function copied(batches: readonly HeldBatch[], pool?: MemoryPool): TaskBytes {
  const size = batches.reduce((sum, { start, end }) => sum + end - start, 0);
  const bytes = pool === undefined ? new Uint8Array(size) : new Uint8Array(pool.take(size), 0, size);
  let at = 0;
  const table = tableOf(batches, ({ bytes: from, start, end }) => {
    const begin = at;
    bytes.set(from.subarray(start, end), begin);
    at += end - start;
    return begin;
  });
  return { bytes, batches: table };
}

function tableOf(batches: readonly HeldBatch[], startOf: (batch: HeldBatch) => number): Float64Array {
  const table = new Float64Array(batches.length * BATCH_STRIDE);
  for (const [index, batch] of batches.entries()) {
    const start = startOf(batch);
    const row = [start, start + batch.end - batch.start, batch.baseOffset, 0, batch.maxTimestampMs];
    table.set(row, index * BATCH_STRIDE);
  }
  return table;
}

export interface ReadParts {
  readonly reader: SourceReader;
  readonly partition: Partition;
  readonly onDataLoss: 'fail' | 'skip';
  /** For errors: `job counts, topic events, partition 3`. */
  readonly name: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly signal: AbortSignal;
  readonly fetchBytes: number;
}

const FETCH_WAIT_MS = 250;
/** Compressed, and with its share of a batch: as long as nothing is known. */
const RECORD_BYTES_GUESS = 256;
/** Batches are not cut: less than one of them would not come. */
const FETCH_BYTES_MIN = 64 * 1024;

function bytesFor(records: number, recordBytes: number, bytesMax: number): number {
  return Math.min(bytesMax, Math.max(FETCH_BYTES_MIN, Math.ceil(records * recordBytes)));
}

/**
 * Reads [from, to), which the log is known to have had: waits and tries again while the source does not answer.
 *
 * Throws: OFFSET_OUT_OF_RANGE when offsets are gone and `onDataLoss` is fail, LOG_TRUNCATED, TOPIC_RECREATED, the
 * signal's reason.
 */
export async function* readPieces(parts: ReadParts, from: Offset, to: Offset): AsyncGenerator<RangePiece> {
  let at = from;
  let bytes = 0;
  for (let attempt = 0; at < to;) {
    parts.signal.throwIfAborted();
    try {
      const fetched = await parts.reader.fetch({
        partition: parts.partition,
        offset: at,
        // What lies behind the range would be thrown away: with short epochs, many times what is wanted.
        maxBytes: bytesFor(to - at, at === from ? RECORD_BYTES_GUESS : bytes / (at - from), parts.fetchBytes),
        maxWaitMs: FETCH_WAIT_MS,
        signal: parts.signal,
      });
      bytes += fetched.bytes.byteLength;
      attempt = 0;
      const came = batchesIn(fetched, at);
      if (came.next === at) continue;
      at = came.next;
      yield {
        batches: came.batches.filter(({ baseOffset }) => baseOffset < to),
        gaps: [],
        next: offset(Math.min(at, to)),
      };
    } catch (error) {
      if (isWeirError(error, 'OFFSET_OUT_OF_RANGE')) {
        const low = offset(Math.min(afterLoss(error, at, parts), to));
        yield { batches: [], gaps: [{ from: at, to: low }], next: low };
        at = low;
      } else if (isWeirError(error) && error.retryable)
        await parts.clock.sleep(backoffMs(parts.rng, attempt++), parts.signal);
      else throw error;
    }
  }
}

/** All of [from, to). Throws: as {@link readPieces}. */
export async function readRange(parts: ReadParts, from: Offset, to: Offset): Promise<RangeData> {
  const batches: HeldBatch[] = [];
  const gaps: Gap[] = [];
  for await (const piece of readPieces(parts, from, to)) {
    batches.push(...piece.batches);
    gaps.push(...piece.gaps);
  }
  return { batches, gaps };
}

/** Where to go on after offsets that are gone. Throws: OFFSET_OUT_OF_RANGE, LOG_TRUNCATED. */
export function afterLoss(error: WeirError, at: Offset, parts: Pick<ReadParts, 'onDataLoss' | 'name'>): Offset {
  const low = Number(error.facts['low']);
  const high = Number(error.facts['high']);
  if (high < at) {
    throw new WeirError(
      'LOG_TRUNCATED',
      `${parts.name}: the log ends at offset ${high}, below the position ${at} that was processed; records were lost by ` +
        `the broker. Check the topic, then submit the job with --from earliest or --from latest`,
      { facts: { high, position: at } },
    );
  }
  if (parts.onDataLoss === 'fail') {
    throw new WeirError(
      'OFFSET_OUT_OF_RANGE',
      `${parts.name}: offsets ${at} to ${low - 1} were deleted before they were read (the log now begins at ${low}); ` +
        `set onDataLoss: skip to go on at ${low} and record the gap, or submit the job with --from earliest`,
      { cause: error, facts: { from: at, to: low } },
    );
  }
  return offset(low);
}
