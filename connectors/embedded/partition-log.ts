/** One partition: segments in order, appends in groups, and readers that wait for the next append. */
import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import { readBatchHeaders, writeBaseOffset } from '../../core/record-batch.ts';
import { diskError } from './disk.ts';
import { firstOffsetAt } from './record-times.ts';
import type { Segment } from './segment.ts';
import { hasValidChecksum } from './segment.ts';

/** Largest batch that is taken, as Kafka's message.max.bytes but with room for a whole fetch. */
export const BATCH_BYTES_MAX = 16 * 1024 * 1024;
/** Largest group written by one write and one fdatasync. */
const GROUP_BYTES_MAX = 8 * 1024 * 1024;

interface PendingAppend {
  readonly batch: Uint8Array;
  readonly offsetCount: number;
  /** Where the partition has to end for the batch to be taken; undefined = anywhere. */
  readonly expectedEnd: number | undefined;
  readonly resolve: (baseOffset: number) => void;
  readonly reject: (error: unknown) => void;
}

/** A partition that nobody else appends to. */
export interface HeldPartition {
  /** Offset after the last record. */
  end(): number;
  /** Resolves when the batch is durable and readable. Throws: DISK_FULL; the reason of a close. */
  append(batch: Uint8Array): Promise<void>;
  /** Until the release, whoever else appends or waits to hold it fails with `reason`. */
  refuse(reason: WeirError): void;
  release(): void;
}

export interface PartitionLogOptions {
  /** Names the partition in messages: `users-0`. */
  readonly name: string;
  readonly segmentBytesMax: number;
  /** Found on disk, recovered, in order; the last one is appended to. */
  readonly segments: readonly Segment[];
  readonly startOffset: number;
  readonly createSegment: (baseOffset: number) => Segment;
  /** Makes a raised start offset durable before readers see it. */
  readonly saveStart: (startOffset: number) => Promise<void>;
}

export class PartitionLog {
  readonly #options: PartitionLogOptions;
  readonly #segments: Segment[];
  #startOffset: number;
  #pending: PendingAppend[] = [];
  #isWriting = false;
  /** Somebody holds it, or has got his turn and waits for what is being written. */
  #isTaken = false;
  #isHeld = false;
  /** Those who wait to hold it, in order. */
  readonly #turns: PromiseWithResolvers<void>[] = [];
  /** Why others are refused while it is held. */
  #refusal: WeirError | undefined;
  #closed: WeirError | undefined;
  #waiters = new Set<() => void>();

  constructor(options: PartitionLogOptions) {
    this.#options = options;
    this.#segments = options.segments.length > 0 ? [...options.segments] : [options.createSegment(options.startOffset)];
    this.#startOffset = Math.max(options.startOffset, must(this.#segments[0], () => 'a segment').baseOffset);
  }

  get startOffset(): number {
    return this.#startOffset;
  }

  /** Offset after the last durable record. */
  get endOffset(): number {
    return this.#active().endOffset;
  }

  get byteLength(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.byteLength, 0);
  }

  /** Bytes that {@link dropOldest} would free; 0 when there is but the active segment. */
  get droppableBytes(): number {
    return this.#segments.length > 1 ? must(this.#segments[0], () => 'a segment').byteLength : 0;
  }

  /**
   * Resolves with the base offset once the batch is durable and readable: a reader must never see what a power cut could
   * take away, as it may commit that position elsewhere. Appends that arrive during a write share the next fdatasync.
   * The batch's base offset is overwritten in place.
   *
   * With `expectedEnd` the batch is taken only when it comes to stand there: of several writers that know the same end,
   * one succeeds.
   *
   * Throws: SINK_REFUSED for bytes that are not one valid batch; FENCED for another end; DISK_FULL; what whoever holds the
   * partition refuses others with.
   */
  append(batch: Uint8Array, expectedEnd?: number): Promise<number> {
    const offsetCount = checkBatch(this.#options.name, batch);
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    return new Promise((resolve, reject) => {
      this.#pending.push({ batch, offsetCount, expectedEnd, resolve, reject });
      if (!this.#isWriting) void this.#writePending();
    });
  }

  /** Number of offsets the batch would take. Throws: SINK_REFUSED for bytes that are not one valid batch. */
  check(batch: Uint8Array): number {
    return checkBatch(this.#options.name, batch);
  }

  /**
   * Waits for what is being written and for whoever holds it; what is appended meanwhile comes after the release.
   *
   * Throws: what whoever holds it refuses others with.
   */
  async hold(): Promise<HeldPartition> {
    if (this.#refusal !== undefined) throw this.#refusal;
    if (this.#isTaken) {
      const turn = Promise.withResolvers<void>();
      this.#turns.push(turn);
      await turn.promise;
    }
    this.#isTaken = true;
    this.#isHeld = true;
    await this.#written();
    return {
      end: () => this.endOffset,
      append: async (batch) => {
        if (this.#closed !== undefined) throw this.#closed;
        const done = Promise.withResolvers<number>();
        const item = { batch, offsetCount: this.check(batch), expectedEnd: undefined, ...done };
        this.#isWriting = true;
        await this.#write([item]);
        this.#isWriting = false;
        await done.promise;
      },
      refuse: (reason) => {
        this.#refusal = reason;
        for (const waiting of [...this.#pending.splice(0), ...this.#turns.splice(0)]) waiting.reject(reason);
      },
      release: () => {
        this.#isHeld = false;
        this.#refusal = undefined;
        if (!this.#isWriting) void this.#writePending();
        const next = this.#turns.shift();
        if (next === undefined) this.#isTaken = false;
        else next.resolve();
      },
    };
  }

  /**
   * Batches from the one that holds `offset`; empty at the end.
   *
   * Throws: OFFSET_OUT_OF_RANGE with facts {low, high}.
   */
  async read(offset: number, maxBytes: number): Promise<Uint8Array> {
    if (this.#closed !== undefined) throw this.#closed;
    if (offset < this.#startOffset || offset > this.endOffset) throw this.#outOfRange(offset);
    if (offset === this.endOffset) return new Uint8Array(0);
    const segment = must(
      this.#segments.find((candidate) => candidate.endOffset > offset),
      () => `no segment holds ${offset}`,
    );
    const bytes = await segment.read(offset, Math.min(maxBytes, BATCH_BYTES_MAX));
    // Retention may have taken the segment while it was read.
    if (offset < this.#startOffset) throw this.#outOfRange(offset);
    return bytes;
  }

  /** First offset whose record is dated at or after `timestampMs`; the end when there is none. */
  async offsetAt(timestampMs: number): Promise<number> {
    // Retention may shorten the list meanwhile.
    const segments = this.#segments.slice();
    for (const segment of segments) {
      if ((await segment.maxTimestampMs()) < timestampMs) continue;
      for await (const header of segment.headers(Math.max(segment.baseOffset, this.#startOffset))) {
        if (header.maxTimestampMs < timestampMs || header.nextOffset <= this.#startOffset) continue;
        const batch = await segment.storage.read(header.start, header.end - header.start);
        return Math.max(this.#startOffset, firstOffsetAt(batch, timestampMs));
      }
    }
    return this.endOffset;
  }

  /** Calls `fn` once, at the next append or when the log is closed; the returned function gives it up. */
  onAppend(fn: () => void): () => void {
    this.#waiters.add(fn);
    return () => this.#waiters.delete(fn);
  }

  /** Raises the start; whole segments below are removed. */
  async deleteBefore(offset: number): Promise<void> {
    const start = Math.min(offset, this.endOffset);
    if (start <= this.#startOffset) return;
    await this.#options.saveStart(start);
    this.#startOffset = Math.max(start, this.#startOffset);
    while (this.#segments.length > 1 && must(this.#segments[0], () => 'a segment').endOffset <= this.#startOffset) {
      await this.#segments.shift()?.storage.remove();
    }
  }

  /** Retention by bytes: removes the oldest segment, never the active one. */
  async dropOldest(): Promise<void> {
    const second = this.#segments[1];
    if (second !== undefined) await this.deleteBefore(second.baseOffset);
  }

  /** Ends reads and appends with `reason`; appends in progress are finished. */
  async close(reason: WeirError): Promise<void> {
    this.#closed = reason;
    this.#wake();
    await this.#written();
    for (const segment of this.#segments) segment.storage.close();
  }

  async #writePending(): Promise<void> {
    this.#isWriting = true;
    while (this.#pending.length > 0 && !this.#isHeld) {
      if (this.#closed !== undefined) {
        for (const waiting of this.#pending.splice(0)) waiting.reject(this.#closed);
        break;
      }
      const group = this.#takeGroup();
      if (group.length > 0) await this.#write(group);
    }
    this.#isWriting = false;
  }

  async #write(group: readonly PendingAppend[]): Promise<void> {
    try {
      const segment = this.#segmentFor(group);
      let next = segment.endOffset;
      const bases = group.map((item) => {
        const base = next;
        writeBaseOffset(item.batch, 0, base);
        next += item.offsetCount;
        return base;
      });
      await segment.append(group.map((item) => item.batch));
      group.forEach((item, index) => item.resolve(must(bases[index], () => 'a base offset')));
    } catch (error) {
      const failure = diskError(error, `append to ${this.#options.name}`);
      for (const item of group) item.reject(failure);
    }
    this.#wake();
  }

  /** Until nothing is being written. */
  async #written(): Promise<void> {
    while (this.#isWriting) await new Promise((resolve) => setImmediate(resolve));
  }

  #takeGroup(): PendingAppend[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#pending.length) {
      bytes += must(this.#pending[count], () => 'an append').batch.byteLength;
      if (count > 0 && bytes > GROUP_BYTES_MAX) break;
      count++;
    }
    let end = this.endOffset;
    return this.#pending.splice(0, count).filter(({ expectedEnd, offsetCount, reject }) => {
      if (expectedEnd === undefined || expectedEnd === end) {
        end += offsetCount;
        return true;
      }
      reject(this.#grown(expectedEnd, end));
      return false;
    });
  }

  #grown(expected: number, end: number): WeirError {
    const text = `the embedded log ${this.#options.name} ends at ${end} and not at ${expected}: another writer was there`;
    return new WeirError('FENCED', text, { facts: { end } });
  }

  #segmentFor(group: readonly PendingAppend[]): Segment {
    const bytes = group.reduce((sum, item) => sum + item.batch.byteLength, 0);
    const active = this.#active();
    if (active.byteLength === 0 || active.byteLength + bytes <= this.#options.segmentBytesMax) return active;
    const segment = this.#options.createSegment(active.endOffset);
    this.#segments.push(segment);
    return segment;
  }

  #active(): Segment {
    return must(this.#segments.at(-1), () => 'a partition has at least one segment');
  }

  #wake(): void {
    const waiters = this.#waiters;
    if (waiters.size === 0) return;
    this.#waiters = new Set();
    for (const waiter of waiters) waiter();
  }

  #outOfRange(offset: number): WeirError {
    const low = this.#startOffset;
    const high = this.endOffset;
    return new WeirError(
      'OFFSET_OUT_OF_RANGE',
      `the embedded log ${this.#options.name} holds the offsets ${low} to ${high}, and ${offset} was asked for`,
      { facts: { low, high } },
    );
  }
}

/** Number of offsets the batch takes. */
function checkBatch(name: string, batch: Uint8Array): number {
  const refuse = (why: string): never => {
    throw new WeirError('SINK_REFUSED', `the embedded log ${name} refuses the batch: ${why}`);
  };
  if (batch.byteLength > BATCH_BYTES_MAX)
    refuse(`it has ${batch.byteLength} bytes, and at most ${BATCH_BYTES_MAX} are allowed`);
  const headers = readBatchHeaders(batch);
  const header = headers[0];
  if (header === undefined || headers.length > 1 || header.end !== batch.byteLength)
    return refuse('it is not one whole record batch');
  if (header.recordCount < 1 || header.nextOffset <= header.baseOffset) refuse('it holds no record');
  if (!hasValidChecksum(batch, header)) refuse('its checksum does not fit its bytes');
  return header.nextOffset - header.baseOffset;
}
