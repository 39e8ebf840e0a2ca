/**
 * RecordBatch v2 → an index of its records: typed arrays of positions, no object per record. The record layout is in
 * core/record-batch-encoder.ts.
 */
import { crc32c } from '../../core/crc32c.ts';
import { ATTRIBUTE_LOG_APPEND_TIME, COMPRESSION_MASK, RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import { decompress } from './compression.ts';
import { corrupt } from './corrupt.ts';

/** Fewest bytes of a record: length, attributes, two deltas, two lengths, header count. */
const RECORD_BYTES_MIN = 7;

/** Records of one or more batches, by index. Positions are in the buffer the batches were decoded into. */
export class RecordIndex {
  count = 0;
  keyStart = new Int32Array(0);
  /** Bytes; -1 = null. */
  keyLength = new Int32Array(0);
  valueStart = new Int32Array(0);
  /** Bytes; -1 = null. */
  valueLength = new Int32Array(0);
  /** Position of the header count (a variable-length integer). */
  headersStart = new Int32Array(0);
  offset = new Float64Array(0);
  /** ms; the append time where the topic says so. */
  timestampMs = new Float64Array(0);
  /** `t(r)` of core/lane/timestamps.ts, µs. */
  writeTimeUs = new Float64Array(0);
  /** 0 = the producer's time, 1 = the broker's. */
  timestampType = new Uint8Array(0);

  clear(): void {
    this.count = 0;
  }

  ensure(capacity: number): void {
    if (capacity <= this.offset.length) return;
    const size = Math.max(capacity, this.offset.length * 2, 256);
    this.keyStart = grown(this.keyStart, new Int32Array(size));
    this.keyLength = grown(this.keyLength, new Int32Array(size));
    this.valueStart = grown(this.valueStart, new Int32Array(size));
    this.valueLength = grown(this.valueLength, new Int32Array(size));
    this.headersStart = grown(this.headersStart, new Int32Array(size));
    this.offset = grown(this.offset, new Float64Array(size));
    this.timestampMs = grown(this.timestampMs, new Float64Array(size));
    this.writeTimeUs = grown(this.writeTimeUs, new Float64Array(size));
    this.timestampType = grown(this.timestampType, new Uint8Array(size));
  }
}

function grown<T extends Int32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Where a batch stands and which of its records count. */
export interface BatchToDecode {
  readonly start: number;
  readonly end: number;
  readonly baseOffset: number;
  /** Write time of the record at the base offset, µs. */
  readonly baseTimeUs: number;
  /** µs between the write times of neighbouring offsets. */
  readonly stride: number;
  /** Records outside [fromOffset, toOffset) are left out. */
  readonly fromOffset: number;
  readonly toOffset: number;
}

/**
 * Checks the batch's CRC, decompresses it into `arena` and adds its records to `index`. An arena that has adopted
 * `source` already holds the bytes of an uncompressed batch, at the same positions.
 *
 * Throws: BATCH_CORRUPT. Records added to `index` before that do not count then.
 */
export function decodeBatch(source: Uint8Array, batch: BatchToDecode, arena: ByteBuffer, index: RecordIndex): void {
  const { start, end } = batch;
  if (end - start < RECORD_BATCH_HEADER_BYTES || end > source.byteLength) throw corrupt('ends within its header');
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  if (crc32c(source, start + 21, end) !== view.getUint32(start + 17)) throw corrupt('fails its checksum');
  const attributes = view.getInt16(start + 21);
  const recordCount = view.getInt32(start + 57);
  if (recordCount < 0) throw corrupt(`claims ${recordCount} records`);
  const codec = attributes & COMPRESSION_MASK;
  let from = start + RECORD_BATCH_HEADER_BYTES;
  let to = end;
  if (codec !== 0 || arena.bytes !== source) {
    from = arena.length;
    decompress(codec, source, start + RECORD_BATCH_HEADER_BYTES, end, arena);
    to = arena.length;
  }
  if (recordCount > (to - from) / RECORD_BYTES_MIN)
    throw corrupt(`claims ${recordCount} records in ${to - from} bytes`);
  const appendTime = (attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0;
  const firstTimestampMs = readI64(view, start + 27);
  const maxTimestampMs = readI64(view, start + 35);
  index.ensure(index.count + recordCount);
  decodeRecords(
    arena.bytes,
    from,
    to,
    recordCount,
    batch,
    appendTime,
    appendTime ? maxTimestampMs : firstTimestampMs,
    index,
  );
}

/** The number of data records of a batch, from its header. */
export function recordCountOf(source: Uint8Array, start: number): number {
  return new DataView(source.buffer, source.byteOffset, source.byteLength).getInt32(start + 57);
}

function readI64(view: DataView, at: number): number {
  return view.getInt32(at) * 4294967296 + view.getUint32(at + 4);
}

/** Read position of {@link readVarint}; a module variable so that no object is made per integer. */
let at = 0;

/** A zigzag variable-length integer; runs past five bytes only for wrong input, which the caller's checks notice. */
function readVarint(bytes: Uint8Array): number {
  let byte = bytes[at++]!;
  let value = byte & 0x7f;
  for (let shift = 7; byte > 0x7f && shift < 35; shift += 7) {
    byte = bytes[at++]!;
    value |= (byte & 0x7f) << shift;
  }
  return (value >>> 1) ^ -(value & 1);
}

/** The same up to 2^53, for differences of timestamps. */
function readVarlong(bytes: Uint8Array): number {
  let byte = bytes[at++]!;
  let value = byte & 0x7f;
  for (let factor = 128; byte > 0x7f && factor < 2 ** 63; factor *= 128) {
    byte = bytes[at++]!;
    value += (byte & 0x7f) * factor;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function decodeRecords(
  bytes: Uint8Array,
  from: number,
  to: number,
  recordCount: number,
  batch: BatchToDecode,
  appendTime: boolean,
  baseTimestampMs: number,
  index: RecordIndex,
): void {
  const { baseOffset, baseTimeUs, stride, fromOffset, toOffset } = batch;
  const {
    keyStart,
    keyLength,
    valueStart,
    valueLength,
    headersStart,
    offset,
    timestampMs,
    writeTimeUs,
    timestampType,
  } = index;
  let row = index.count;
  at = from;
  for (let record = 0; record < recordCount; record++) {
    const size = readVarint(bytes);
    const end = at + size;
    if (size < RECORD_BYTES_MIN - 1 || end > to) throw corrupt(`has a record of ${size} bytes at index ${record}`);
    at += 1; // attributes
    const timestampDelta = readVarlong(bytes);
    const offsetDelta = readVarint(bytes);
    const keyBytes = readVarint(bytes);
    const keyAt = at;
    if (keyBytes > 0) at += keyBytes;
    if (keyBytes < -1 || at >= end) throw corrupt(`has a key of ${keyBytes} bytes at index ${record}`);
    const valueBytes = readVarint(bytes);
    const valueAt = at;
    if (valueBytes > 0) at += valueBytes;
    if (valueBytes < -1 || at >= end) throw corrupt(`has a value of ${valueBytes} bytes at index ${record}`);
    const recordOffset = baseOffset + offsetDelta;
    if (recordOffset >= fromOffset && recordOffset < toOffset) {
      keyStart[row] = keyAt;
      keyLength[row] = keyBytes;
      valueStart[row] = valueAt;
      valueLength[row] = valueBytes;
      headersStart[row] = at;
      offset[row] = recordOffset;
      timestampMs[row] = appendTime ? baseTimestampMs : baseTimestampMs + timestampDelta;
      writeTimeUs[row] = baseTimeUs + offsetDelta * stride;
      timestampType[row] = appendTime ? 1 : 0;
      row++;
    }
    at = end;
  }
  if (at !== to) throw corrupt(`has ${to - at} bytes after its last record`);
  index.count = row;
}

/** Calls `visit` for each header of a record; ranges are in `bytes`, a value length of -1 is null. Throws: BATCH_CORRUPT. */
export function visitHeaders(
  bytes: Uint8Array,
  headersStart: number,
  limit: number,
  visit: (nameStart: number, nameLength: number, valueStart: number, valueLength: number) => void,
): number {
  at = headersStart;
  const count = readVarint(bytes);
  for (let header = 0; header < count; header++) {
    const nameLength = readVarint(bytes);
    const nameStart = at;
    at += Math.max(0, nameLength);
    const valueLength = readVarint(bytes);
    const valueStart = at;
    at += Math.max(0, valueLength);
    if (nameLength < 0 || valueLength < -1 || at > limit)
      throw corrupt('has a record with a header that runs over its end');
    visit(nameStart, nameLength, valueStart, valueLength);
  }
  return count;
}
