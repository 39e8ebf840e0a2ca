/**
 * A segment: record batches one after the other, as they were appended, in a file or in memory, with a sparse index from
 * offsets and record times to positions.
 */
import { closeSync, constants, fdatasync, ftruncate, openSync, read, rm, writev } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { must } from '../../core/assert.ts';
import { crc32c } from '../../core/crc32c.ts';
import { isWeirError, WeirError } from '../../core/errors.ts';
import type { BatchHeader } from '../../core/record-batch.ts';
import { firstBatchBytes, RECORD_BATCH_HEADER_BYTES, readBatchHeaders } from '../../core/record-batch.ts';
import { syncDirectory } from './disk.ts';

const fdatasyncOf = promisify(fdatasync);
const ftruncateOf = promisify(ftruncate);
const readOf = promisify(read);
const removeFile = promisify(rm);
const writevOf = promisify(writev);

/** An index entry stands for at least so many bytes. */
const INDEX_INTERVAL_BYTES = 4096;
/** Bytes read at once when headers are scanned. */
const SCAN_BYTES = 4 * 1024 * 1024;
const MEMORY_BYTES_INITIAL = 64 * 1024;

/** Where a segment's bytes are. Positions are bytes from the segment's start. */
export interface SegmentStorage {
  /** Writes at `position` and makes it durable. On failure nothing after `position` counts. */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** A copy in an ArrayBuffer of its own; shorter when the segment ends before. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Cuts the segment off. */
  truncate(length: number): Promise<void>;
  close(): void;
  remove(): Promise<void>;
}

/** Bytes in a file. Each write is followed by fdatasync, so what was acknowledged survives a power cut too. */
export class FileStorage implements SegmentStorage {
  readonly #path: string;
  #fd: number | undefined;
  #users = 0;
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
  }

  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#use(async (fd) => {
      let at = position;
      let rest = [...chunks];
      while (rest.length > 0) {
        let { bytesWritten } = await writevOf(fd, rest, at);
        at += bytesWritten;
        // A short write goes on where it stopped.
        while (rest.length > 0 && bytesWritten >= must(rest[0], () => 'a chunk').byteLength) {
          bytesWritten -= must(rest.shift(), () => 'a chunk').byteLength;
        }
        if (bytesWritten > 0) rest = [must(rest[0], () => 'a chunk').subarray(bytesWritten), ...rest.slice(1)];
      }
      await fdatasyncOf(fd);
      if (position === 0) syncDirectory(dirname(this.#path));
    });
  }

  read(position: number, length: number): Promise<Uint8Array> {
    // A reader may hold on to a segment that retention has removed: to it, the segment is empty.
    if (this.#isClosed) return Promise.resolve(new Uint8Array(0));
    return this.#use(async (fd) => {
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await readOf(fd, bytes, filled, length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled === length ? bytes : bytes.slice(0, filled);
    });
  }

  truncate(length: number): Promise<void> {
    return this.#use((fd) => ftruncateOf(fd, length));
  }

  close(): void {
    this.#isClosed = true;
    this.#closeIfUnused();
  }

  async remove(): Promise<void> {
    this.close();
    await removeFile(this.#path, { force: true });
  }

  /** The number of a closed file may soon be another file's, so it is closed after its last use. */
  async #use<T>(work: (fd: number) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new Error(`${this.#path} is closed`);
    this.#fd ??= openSync(this.#path, constants.O_RDWR | constants.O_CREAT);
    this.#users++;
    try {
      return await work(this.#fd);
    } finally {
      this.#users--;
      this.#closeIfUnused();
    }
  }

  #closeIfUnused(): void {
    if (!this.#isClosed || this.#users > 0 || this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Bytes in memory, in one buffer that doubles. */
export class MemoryStorage implements SegmentStorage {
  #bytes = new Uint8Array(MEMORY_BYTES_INITIAL);
  #length = 0;

  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const end = chunks.reduce((sum, chunk) => sum + chunk.byteLength, position);
    if (end > this.#bytes.byteLength) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.byteLength * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    let at = position;
    for (const chunk of chunks) {
      this.#bytes.set(chunk, at);
      at += chunk.byteLength;
    }
    this.#length = end;
    return Promise.resolve();
  }

  read(position: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.#bytes.slice(position, Math.min(this.#length, position + length)));
  }

  truncate(length: number): Promise<void> {
    this.#length = Math.min(length, this.#length);
    return Promise.resolve();
  }

  close(): void {
    // Nothing is held open.
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }
}

interface IndexEntry {
  readonly offset: number;
  readonly position: number;
}

export class Segment {
  readonly baseOffset: number;
  readonly storage: SegmentStorage;
  #endOffset: number;
  #byteLength = 0;
  #indexedTo = Number.NEGATIVE_INFINITY;
  #maxTimestampMs = -1;
  readonly #index: IndexEntry[] = [];
  #indexing: Promise<unknown> | undefined;

  constructor(baseOffset: number, storage: SegmentStorage) {
    this.baseOffset = baseOffset;
    this.storage = storage;
    this.#endOffset = baseOffset;
  }

  /** A segment found on disk that is followed by another one: it is whole, and its index is built when first needed. */
  static sealed(baseOffset: number, endOffset: number, byteLength: number, storage: SegmentStorage): Segment {
    const segment = new Segment(baseOffset, storage);
    segment.#endOffset = endOffset;
    segment.#byteLength = byteLength;
    return segment;
  }

  /** Offset after the last record. */
  get endOffset(): number {
    return this.#endOffset;
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  /** Largest record time, ms; -1 when the segment is empty. */
  async maxTimestampMs(): Promise<number> {
    await this.#ensureIndex();
    return this.#maxTimestampMs;
  }

  /** Appends batches whose base offsets are set and follow on. After a failure the segment is as before. */
  async append(batches: readonly Uint8Array[]): Promise<void> {
    const position = this.#byteLength;
    try {
      await this.storage.write(position, batches);
    } catch (error) {
      await this.storage.truncate(position).catch(() => undefined);
      throw error;
    }
    for (const batch of batches) {
      for (const header of readBatchHeaders(batch)) this.#note(header, this.#byteLength);
      this.#byteLength += batch.byteLength;
    }
  }

  /** Whole batches from the one that holds `offset`, at least one, up to about `maxBytes`. */
  async read(offset: number, maxBytes: number): Promise<Uint8Array> {
    await this.#ensureIndex();
    const position = this.#positionOf(offset);
    let want = maxBytes + INDEX_INTERVAL_BYTES;
    for (;;) {
      const length = Math.min(want, this.#byteLength - position);
      const bytes = await this.storage.read(position, length);
      const headers = readBatchHeaders(bytes);
      const first = headers.find((header) => header.nextOffset > offset);
      if (first !== undefined) {
        let end = first.end;
        for (const header of headers) if (header.end > end && header.end - first.start <= maxBytes) end = header.end;
        return first.start === 0 && end === bytes.byteLength ? bytes : bytes.slice(first.start, end);
      }
      if (position + length >= this.#byteLength) return new Uint8Array(0);
      // The batch wanted is larger than what was read.
      want *= 4;
    }
  }

  /** Headers of the batches from `offset` on, in order. Positions in them are the segment's. */
  async *headers(offset: number): AsyncGenerator<BatchHeader> {
    await this.#ensureIndex();
    yield* this.#scan(this.#positionOf(offset), this.#byteLength);
  }

  /**
   * Reads the last segment found on disk: builds its index and cuts off what follows the last whole batch with a valid
   * checksum; a process that was killed leaves such a tail. Returns how many bytes were cut.
   */
  async recover(byteLength: number): Promise<number> {
    let good = 0;
    try {
      for await (const header of this.#scan(0, byteLength, true)) {
        if (header.baseOffset !== this.#endOffset) break;
        this.#note(header, header.start);
        good = header.end;
      }
    } catch (error) {
      if (!isWeirError(error, 'BATCH_CORRUPT')) throw error;
    }
    this.#byteLength = good;
    if (good < byteLength) await this.storage.truncate(good);
    return byteLength - good;
  }

  async #ensureIndex(): Promise<void> {
    if (this.#index.length > 0 || this.#byteLength === 0) return;
    this.#indexing ??= this.#buildIndex();
    await this.#indexing;
  }

  async #buildIndex(): Promise<void> {
    const endOffset = this.#endOffset;
    for await (const header of this.#scan(0, this.#byteLength)) this.#note(header, header.start);
    this.#endOffset = endOffset;
  }

  /** Batch by batch, so that the good ones before damage are seen. Throws: BATCH_CORRUPT at the first bad one. */
  async *#scan(from: number, to: number, verify = false): AsyncGenerator<BatchHeader> {
    let want = SCAN_BYTES;
    for (let position = from; position < to;) {
      const bytes = await this.storage.read(position, Math.min(want, to - position));
      let used = 0;
      for (;;) {
        const [header] = readBatchHeaders(bytes.subarray(used, used + (firstBatchBytes(bytes.subarray(used)) ?? 0)));
        if (header === undefined) break;
        const placed = { ...header, start: used, end: used + header.end };
        if (verify && !hasValidChecksum(bytes, placed)) {
          throw new WeirError('BATCH_CORRUPT', `the batch at offset ${header.baseOffset} fails its checksum`);
        }
        used = placed.end;
        yield { ...placed, start: position + placed.start, end: position + placed.end };
      }
      if (used === 0 && position + bytes.byteLength >= to) return;
      want = used === 0 ? want * 4 : SCAN_BYTES;
      position += used;
    }
  }

  #note(header: BatchHeader, position: number): void {
    if (position - this.#indexedTo >= INDEX_INTERVAL_BYTES) {
      this.#index.push({ offset: header.baseOffset, position });
      this.#indexedTo = position;
    }
    this.#endOffset = header.nextOffset;
    if (header.maxTimestampMs > this.#maxTimestampMs) this.#maxTimestampMs = header.maxTimestampMs;
  }

  #positionOf(offset: number): number {
    let low = 0;
    let high = this.#index.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (must(this.#index[middle], () => 'an index entry').offset <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#index[low - 1]?.position ?? 0;
  }
}

/** Whether the batch's CRC-32C is that of its bytes. */
export function hasValidChecksum(bytes: Uint8Array, header: BatchHeader): boolean {
  if (header.end - header.start < RECORD_BATCH_HEADER_BYTES) return false;
  const stored = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(header.start + 17);
  return crc32c(bytes, header.start + 21, header.end) === stored;
}
