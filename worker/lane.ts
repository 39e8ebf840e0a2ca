/**
 * A lane: one partition of a stateless job. Reads, transforms, writes and commits on its own; no other lane, no master
 * and no lock is in its way. The life of a record is `#turn` from top to bottom:
 *
 *   fetch → plan the chunk (times from headers) → run the stage in a thread → write to every sink → acknowledge
 *   → commit the contiguous prefix
 *
 * Several chunks are in flight; results are taken in offset order, acknowledgements in any order.
 * Invariants: nothing is sent without a valid permit; a position is committed only when every sink write and dead
 * letter before it is acknowledged; counters are functions of the position.
 */
import type { Clock, Rng } from '../core/clock.ts';
import { backoffMs } from '../core/clock.ts';
import { WeirError, isWeirError } from '../core/errors.ts';
import type { Offset } from '../core/ids.ts';
import { laneId } from '../core/ids.ts';
import type { Chunk, Cursor } from '../core/lane/chunk.ts';
import { planChunk } from '../core/lane/chunk.ts';
import type { LanePermit } from '../core/lane/permit.ts';
import type { LanePosition } from '../core/lane/position.ts';
import { addCounters, assertBalanced } from '../core/lane/position.ts';
import { AcknowledgedPrefix } from '../core/lane/prefix.ts';
import type { LaneLimits } from '../core/lane/room.ts';
import { hasRoom } from '../core/lane/room.ts';
import type { RunTiming } from '../core/lane/timestamps.ts';
import type { LaneKey, MetaStore } from '../core/meta.ts';
import type { Failpoints, Fetched, Log, SourceReader } from '../core/ports.ts';
import type { BatchHeader } from '../core/record-batch.ts';
import { isAbortMarker, readBatchHeaders, visibleBatches } from '../core/record-batch.ts';
import type { LaneState } from '../core/states.ts';
import { laneTransitions, mayFollow } from '../core/states.ts';
import { assert } from '../core/assert.ts';
import type { Executor, StageResult, StageTask } from '../engine/stage.ts';
import { BATCH_STRIDE } from '../engine/stage.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { LaneObserver } from './observer.ts';
import type { SinkSet } from './sink-set.ts';

const FETCH_WAIT_MS = 250;
const COMMIT_INTERVAL_MS = 100;
/** While there is more to read than was read: what a commit costs is then better spent on records. */
const COMMIT_BEHIND_INTERVAL_MS = 500;
/** Above this distance between write times and now the lane slows down, ms. */
const AHEAD_LIMIT_MS = 5000;

export const defaultLaneLimits: LaneLimits = {
  fetchBytes: 2 << 20,
  inFlightBytes: 8 << 20,
  inFlightChunks: 16,
  unprocessedChunks: 2,
  smallChunks: 2,
  smallChunkBytes: 32 << 10,
};

export interface LaneParts {
  readonly key: LaneKey;
  readonly topic: string;
  readonly timing: RunTiming;
  /** Where an availableNow execution ends; null = never. */
  readonly end: Offset | null;
  readonly onDataLoss: 'fail' | 'skip';
  /** Durable position to go on from. */
  readonly start: LanePosition;
  readonly reader: SourceReader;
  readonly executor: Executor;
  readonly stageId: string;
  readonly sinks: SinkSet;
  /** Offsets that no chunk may reach over: where sinks stand that are ahead of the lane. Default: none. */
  readonly cuts?: readonly Offset[];
  /** The run goes on where the one before stood; default: it begins elsewhere. */
  readonly continues?: boolean;
  readonly store: MetaStore;
  readonly permit: LanePermit;
  readonly observer: LaneObserver;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly failpoints: Failpoints;
  readonly limits: LaneLimits;
  readonly budget: ByteBudget;
  /** ms between two looks at the source; 0 = at once. */
  readonly triggerMs: number;
}

/** How a lane ended: handed over or stopped, at its end, fenced (may be started again), or failed for good. */
export type LaneOutcome =
  | { readonly kind: 'drained' | 'finished' | 'fenced' }
  | { readonly kind: 'failed'; readonly error: unknown };

export class Lane {
  readonly #parts: LaneParts;
  readonly #prefix: AcknowledgedPrefix;
  readonly #abort = new AbortController();
  /** Stops reading; what is in flight is finished. */
  readonly #stopReading = new AbortController();
  #state: LaneState = 'running';
  #blockedBy: WeirError | null = null;
  #cursor: Cursor;
  #endOffset: Offset;
  #committed: LanePosition;
  #inFlightBytes = 0;
  /** Chunks fetched and not acknowledged. */
  #openChunks = 0;
  /** Of these, the ones whose stage has not run. */
  #unprocessedChunks = 0;
  /** Stage results are taken in offset order: each chunk waits for the one before it. */
  #ordered: Promise<void> = Promise.resolve();
  #ordinal: LanePosition;
  #committing: Promise<void> | null = null;
  #lastCommitAt = Number.NEGATIVE_INFINITY;
  #cancelCommitTimer: (() => void) | null = null;
  #changed = Promise.withResolvers<void>();
  #failure: { readonly error: unknown } | null = null;
  #nextTrigger = Number.NEGATIVE_INFINITY;
  #blockedAttempts = 0;
  /** Chunks whose stage waits for a schema registry or a lookup. */
  #blockedStages = 0;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#prefix = new AcknowledgedPrefix(parts.start);
    this.#cursor = { offset: parts.start.nextOffset, clock: { bound: parts.start.bound } };
    this.#committed = parts.start;
    this.#ordinal = parts.start;
    this.#endOffset = parts.start.nextOffset;
  }

  get state(): LaneState {
    return this.#state;
  }

  /** Why the lane waits at the moment, if it does. */
  get blockedBy(): WeirError | null {
    return this.#blockedBy;
  }

  get committed(): LanePosition {
    return this.#committed;
  }

  /** Offset up to which records were read. */
  get readOffset(): Offset {
    return this.#cursor.offset;
  }

  /** End of the log as last seen. */
  get endOffset(): Offset {
    return this.#endOffset;
  }

  /** How far write times run ahead of the clock, ms; negative while catching up. */
  get aheadMs(): number {
    return this.#cursor.clock.bound / 1000 - this.#parts.clock.now();
  }

  /** Runs until drained, finished, fenced or failed. Never rejects. */
  async run(): Promise<LaneOutcome> {
    try {
      while (!this.#stopReading.signal.aborted && !this.#atEnd()) await this.#turn();
      await this.#settle();
    } catch (error) {
      this.#fail(error);
    }
    await this.#close();
    if (this.#failure !== null) return this.#outcomeOf(this.#failure.error);
    this.#setState(this.#atEnd() ? 'finished' : 'released');
    return { kind: this.#atEnd() ? 'finished' : 'drained' };
  }

  /** Finishes and commits what was read, then ends. */
  drain(): void {
    if (mayFollow(laneTransitions, this.#state, 'draining')) this.#setState('draining');
    this.#stopReading.abort(new WeirError('FENCED', 'the lane is handed over'));
    this.#wake();
  }

  /** Ends at once; what is in flight is neither waited for nor committed. */
  cancel(): void {
    this.#fail(new WeirError('FENCED', `${this.#name()} was cancelled`));
  }

  // ------------------------------------------------------------------------------------------------ one turn

  async #turn(): Promise<void> {
    const { clock, failpoints, observer } = this.#parts;
    await this.#trigger();
    await this.#room();
    const fetched = await this.#fetch();
    if (fetched === null) return;
    const fetchedAt = clock.mono();
    await failpoints.hit('lane.afterFetch');
    this.#endOffset = fetched.lastStableOffset;
    const headers = readBatchHeaders(fetched.bytes);
    const visible = visibleBatches(headers, fetched.aborted, (header) => isAbortMarker(fetched.bytes, header));
    const chunk = planChunk(headers, visible, this.#cursor, this.#parts.timing, this.#chunkEnd(), clock.now());
    if (chunk.next.offset === this.#cursor.offset) return;
    const from = this.#cursor;
    this.#cursor = chunk.next;
    observer.read(fetched.bytes.byteLength);
    this.#process(fetched, chunk, from, fetchedAt);
  }

  /** Where the next chunk ends at the latest; null = anywhere. */
  #chunkEnd(): Offset | null {
    const { end, cuts = [] } = this.#parts;
    const ends = [...cuts, ...(end === null ? [] : [end])].filter((at) => at > this.#cursor.offset);
    return ends.length === 0 ? end : (Math.min(...ends) as Offset);
  }

  /** With an interval: once everything that was there is read, waits for the next tick. */
  async #trigger(): Promise<void> {
    const { triggerMs, clock } = this.#parts;
    if (triggerMs === 0 || this.#cursor.offset < this.#endOffset) return;
    const wait = this.#nextTrigger - clock.mono();
    if (wait > 0) await clock.sleep(wait, this.#stopReading.signal).catch(() => undefined);
    this.#nextTrigger = Math.max(this.#nextTrigger + triggerMs, clock.mono());
  }

  /** Starts the work on a chunk without waiting for it. */
  #process(fetched: Fetched, chunk: Chunk, from: Cursor, fetchedAt: number): void {
    const bytes = fetched.bytes.byteLength;
    this.#take(bytes);
    const result = chunk.batches.length === 0 ? Promise.resolve(null) : this.#execute(fetched, chunk, from);
    const before = this.#ordered;
    this.#ordered = (async () => {
      const [output] = await Promise.all([result, before]);
      await this.#publish(output, chunk, from, bytes, fetchedAt);
    })();
    this.#ordered.catch((error: unknown) => this.#fail(error));
  }

  async #execute(fetched: Fetched, chunk: Chunk, from: Cursor): Promise<StageResult> {
    const { key, timing, end, sinks, failpoints, observer, clock } = this.#parts;
    const task: StageTask = {
      bytes: fetched.transferable ? fetched.bytes : fetched.bytes.slice(),
      batches: batchTable(chunk),
      fromOffset: from.offset,
      toOffset: end ?? Number.POSITIVE_INFINITY,
      partition: key.partition,
      stride: timing.stride,
      run: key.run,
      logPartitions: sinks.logPartitions,
    };
    const startedAt = clock.mono();
    this.#unprocessedChunks += 1;
    const result = await this.#runStage(task);
    this.#unprocessedChunks -= 1;
    this.#wake();
    observer.phase('process', clock.mono() - startedAt, result);
    await failpoints.hit('lane.afterParse');
    return result;
  }

  /** Runs the task; while the registry with its schemas or a table it looks up is away, the lane is blocked. */
  async #runStage(task: StageTask): Promise<StageResult> {
    const { executor, stageId } = this.#parts;
    for (let attempt = 0; ; attempt++) {
      try {
        const result = await executor.run(stageId, task);
        if (attempt > 0 && --this.#blockedStages === 0) this.#unblock();
        return result;
      } catch (error) {
        if (!isWeirError(error, 'SCHEMA_REGISTRY_UNAVAILABLE') && !isWeirError(error, 'LOOKUP_UNAVAILABLE'))
          throw error;
        // Whoever has the lane next reads the records again: nothing of them was written.
        if (this.#stopReading.signal.aborted)
          throw new WeirError('FENCED', `${this.#name()} was handed over while it waited`, { cause: error });
        if (attempt === 0) this.#blockedStages++;
        await this.#blocked(error);
      }
    }
  }

  /** Takes a result in offset order, starts its writes, and acknowledges when they are done. */
  async #publish(
    result: StageResult | null,
    chunk: Chunk,
    from: Cursor,
    bytes: number,
    fetchedAt: number,
  ): Promise<void> {
    if (this.#failure !== null) return;
    if (result !== null && result.failure !== null) throw this.#badRecord(result.failure);
    const counters = result === null ? this.#ordinal.counters : addCounters(this.#ordinal.counters, result.counters);
    assertBalanced(counters);
    const end: LanePosition = { nextOffset: chunk.next.offset, bound: chunk.next.clock.bound, counters };
    this.#ordinal = end;
    const acknowledge = this.#prefix.open(end);
    void this.#write(result, from.offset, chunk.next.offset)
      .then(() => {
        acknowledge();
        if (this.#failure === null) this.#give(bytes);
        this.#observe(result, chunk, fetchedAt);
        this.#wake();
        this.#commitSoon();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  async #write(result: StageResult | null, from: Offset, to: Offset): Promise<void> {
    if (result === null) return;
    const { key, sinks, permit, failpoints, clock, observer, continues = false } = this.#parts;
    const startedAt = clock.mono();
    const { job, run } = key;
    const written = sinks.write(result, permit, { kind: 'lane', job, run, lane: laneId(key), from, to, continues });
    written.catch(() => undefined);
    await failpoints.hit('lane.midWrite');
    await written;
    observer.phase('write', clock.mono() - startedAt, result);
    await failpoints.hit('lane.afterAck');
  }

  #observe(result: StageResult | null, chunk: Chunk, fetchedAt: number): void {
    const { observer, clock, key } = this.#parts;
    if (result === null) return;
    const from = chunk.batches[0]?.header.baseOffset ?? chunk.next.offset;
    observer.batch(result, clock.mono() - fetchedAt, { partition: key.partition, from, to: chunk.next.offset });
    const now = clock.now();
    for (const { header } of chunk.batches) {
      if (header.maxTimestampMs >= 0) observer.latency(now - header.maxTimestampMs, header.recordCount);
    }
  }

  // ------------------------------------------------------------------------------------------------- fetching

  /** null when nothing came or the source does not answer at the moment. */
  async #fetch(): Promise<Fetched | null> {
    const { reader, key, limits } = this.#parts;
    const { offset } = this.#cursor;
    try {
      const fetched = await reader.fetch({
        partition: key.partition,
        offset,
        maxBytes: limits.fetchBytes,
        maxWaitMs: FETCH_WAIT_MS,
        signal: this.#stopReading.signal,
      });
      if (fetched.highWatermark < offset) throw this.#truncated(fetched.highWatermark);
      if (this.#blockedStages === 0) this.#unblock();
      return fetched;
    } catch (error) {
      if (this.#stopReading.signal.aborted) return null;
      if (isWeirError(error, 'OFFSET_OUT_OF_RANGE')) return this.#outOfRange(error);
      if (isWeirError(error) && error.retryable) {
        await this.#blocked(error);
        return null;
      }
      throw error;
    }
  }

  /** Offsets that are gone, or a log that ends below the checkpoint: never a silent jump. */
  async #outOfRange(error: WeirError): Promise<null> {
    const low = Number(error.facts['low']) as Offset;
    const high = Number(error.facts['high']) as Offset;
    const { offset, clock } = this.#cursor;
    if (high < offset) throw this.#truncated(high);
    if (this.#parts.onDataLoss === 'fail') {
      throw new WeirError(
        'OFFSET_OUT_OF_RANGE',
        `${this.#name()}: offsets ${offset} to ${low - 1} were deleted before they were read (the log now begins at ${low}); ` +
          `set onDataLoss: skip to go on at ${low} and record the gap, or submit the job with --from earliest`,
        { cause: error, facts: { from: offset, to: low } },
      );
    }
    this.#parts.log.warn(
      { lane: this.#name(), from: offset, to: low },
      'skipping offsets that were deleted before they were read',
    );
    const stride = this.#parts.timing.stride;
    // The gap takes its time span, so that positions after it stay later than positions before it.
    const bound = (clock.bound + (low - offset) * stride) as typeof clock.bound;
    const from = this.#cursor;
    this.#cursor = { offset: low, clock: { bound } };
    const before = this.#ordered;
    this.#ordered = (async () => {
      await before;
      const end: LanePosition = { nextOffset: low, bound, counters: this.#ordinal.counters };
      this.#ordinal = end;
      const acknowledge = this.#prefix.open(end);
      await this.#parts.sinks.recordGap(this.#parts.key, this.#parts.topic, from, low, this.#parts.permit);
      this.#parts.observer.lost(low - from.offset);
      acknowledge();
      this.#commitSoon();
    })();
    this.#ordered.catch((failure: unknown) => this.#fail(failure));
    return null;
  }

  #truncated(high: number): WeirError {
    return new WeirError(
      'LOG_TRUNCATED',
      `${this.#name()}: the log ends at offset ${high}, below the position ${this.#cursor.offset} that was processed; records were lost ` +
        `by the broker. Check the topic, then submit the job with --from earliest or --from latest`,
      { facts: { high, position: this.#cursor.offset } },
    );
  }

  #take(bytes: number): void {
    this.#inFlightBytes += bytes;
    this.#openChunks += 1;
    this.#parts.budget.take(bytes);
  }

  #give(bytes: number): void {
    this.#inFlightBytes -= bytes;
    this.#openChunks -= 1;
    this.#parts.budget.give(bytes);
  }

  /** Waits until the next fetch may be sent: bytes and chunks in flight are bounded, write times not too far ahead. */
  async #room(): Promise<void> {
    const { limits, clock, budget, observer, sinks, key } = this.#parts;
    const lane = laneId(key);
    const cameAt = clock.mono();
    for (let waited = false; ; waited = true) {
      if (this.#stopReading.signal.aborted) return;
      const inFlight = {
        bytes: this.#inFlightBytes,
        chunks: this.#openChunks,
        unprocessed: this.#unprocessedChunks,
      };
      if (!hasRoom(inFlight, limits)) {
        if (this.#unprocessedChunks < limits.unprocessedChunks) sinks.commitNow(lane);
        await this.#changed.promise;
      } else if (budget.full) await Promise.race([budget.released, this.#changed.promise]);
      else {
        if (waited) observer.blocked(clock.mono() - cameAt);
        break;
      }
    }
    const ahead = this.aheadMs - AHEAD_LIMIT_MS;
    if (ahead > 0 && this.#parts.sinks.usesWriteTimes)
      await clock.sleep(Math.min(ahead, 1000), this.#stopReading.signal).catch(() => undefined);
  }

  async #blocked(error: WeirError): Promise<void> {
    const { clock, rng, log } = this.#parts;
    if (this.#blockedBy === null) log.warn({ lane: this.#name(), code: error.code }, error.message);
    this.#blockedBy = error;
    this.#setState('blocked');
    await clock.sleep(backoffMs(rng, this.#blockedAttempts++), this.#stopReading.signal).catch(() => undefined);
  }

  #unblock(): void {
    if (this.#blockedBy === null) return;
    this.#blockedBy = null;
    this.#blockedAttempts = 0;
    if (this.#state === 'blocked') this.#setState('running');
  }

  // ----------------------------------------------------------------------------------------------- committing

  #commitSoon(): void {
    if (this.#committing !== null || this.#cancelCommitTimer !== null || this.#failure !== null) return;
    if (this.#prefix.committable.nextOffset === this.#committed.nextOffset) return;
    const { clock } = this.#parts;
    const interval = this.#cursor.offset < this.#endOffset ? COMMIT_BEHIND_INTERVAL_MS : COMMIT_INTERVAL_MS;
    const wait = this.#lastCommitAt + interval - clock.mono();
    if (wait <= 0) this.#startCommit();
    else {
      this.#cancelCommitTimer = clock.timer(wait, () => {
        this.#cancelCommitTimer = null;
        if (this.#failure === null) this.#startCommit();
      });
    }
  }

  #startCommit(): void {
    this.#committing = this.#commit()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#committing = null;
        this.#wake();
        this.#commitSoon();
      });
  }

  async #commit(): Promise<void> {
    const { store, key, clock, rng, failpoints, observer } = this.#parts;
    const position = this.#prefix.committable;
    if (position.nextOffset === this.#committed.nextOffset) return;
    this.#lastCommitAt = clock.mono();
    await failpoints.hit('lane.beforeCommit');
    for (let attempt = 0; ; attempt++) {
      this.#parts.permit.check();
      try {
        await store.writeLane({ ...key, position });
        break;
      } catch (error) {
        if (!isWeirError(error, 'STORE_UNAVAILABLE')) throw error;
        await clock.sleep(backoffMs(rng, attempt), this.#abort.signal);
      }
    }
    observer.phase('commit', clock.mono() - this.#lastCommitAt);
    this.#committed = position;
    await failpoints.hit('lane.afterCommit');
  }

  /** Waits for everything in flight, then commits it. */
  async #settle(): Promise<void> {
    await this.#ordered;
    this.#parts.sinks.commitNow(laneId(this.#parts.key));
    while (this.#prefix.openCount > 0 && this.#failure === null) await this.#changed.promise;
    if (this.#failure !== null) return;
    this.#cancelCommitTimer?.();
    this.#cancelCommitTimer = null;
    while (this.#committing !== null) await this.#committing;
    if (this.#failure === null) await this.#commit();
  }

  // --------------------------------------------------------------------------------------------------- ending

  #atEnd(): boolean {
    return this.#parts.end !== null && this.#cursor.offset >= this.#parts.end;
  }

  #fail(error: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = { error };
    this.#parts.permit.revoke();
    this.#abort.abort(error);
    this.#stopReading.abort(error);
    this.#wake();
  }

  async #close(): Promise<void> {
    this.#parts.permit.revoke();
    this.#cancelCommitTimer?.();
    this.#cancelCommitTimer = null;
    while (this.#committing !== null) await this.#committing;
    await this.#parts.sinks.closeLane(laneId(this.#parts.key));
    // What a failed lane leaves unacknowledged is read again by the next owner; its bytes are not in flight here any more.
    this.#parts.budget.give(this.#inFlightBytes);
    this.#inFlightBytes = 0;
  }

  #outcomeOf(error: unknown): LaneOutcome {
    if (isWeirError(error, 'FENCED')) {
      this.#parts.observer.fenced();
      this.#setState('released');
      return { kind: 'fenced' };
    }
    this.#setState('failed');
    return { kind: 'failed', error };
  }

  #badRecord(failure: { readonly offset: number; readonly code: string; readonly place: string }): WeirError {
    const code = failure.code as WeirError['code'];
    return new WeirError(
      code,
      `${this.#name()}: the record at offset ${failure.offset} is bad (${failure.code}${failure.place === '' ? '' : ` at ${failure.place}`}) ` +
        `and onBadRecord is fail; correct the producer, or set onBadRecord: deadLetter`,
      { facts: { offset: failure.offset } },
    );
  }

  #setState(next: LaneState): void {
    assert(
      mayFollow(laneTransitions, this.#state, next),
      () => `lane ${this.#name()} cannot go from ${this.#state} to ${next}`,
    );
    this.#state = next;
  }

  #wake(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    resolve();
  }

  #name(): string {
    const { key, topic } = this.#parts;
    return `job ${key.job}, topic ${topic}, partition ${key.partition}`;
  }
}

function batchTable(chunk: Chunk): Float64Array {
  const table = new Float64Array(chunk.batches.length * BATCH_STRIDE);
  let at = 0;
  for (const { header, baseTime } of chunk.batches) {
    const { start, end, baseOffset, maxTimestampMs }: BatchHeader = header;
    table[at] = start;
    table[at + 1] = end;
    table[at + 2] = baseOffset;
    table[at + 3] = baseTime;
    table[at + 4] = maxTimestampMs;
    at += BATCH_STRIDE;
  }
  return table;
}
