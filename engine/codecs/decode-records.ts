/**
 * RecordBatch v2 → an index of its records: typed arrays of positions, no object per record. The record layout is in
 * core/record-batch-encoder.ts.
 */
import { crc32c } from '../../core/crc32c.ts';
import { ATTRIBUTE_LOG_APPEND_TIME, COMPRESSION_MASK, RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import { KernelArena } from '../kernels/kernel-arena.ts';
import type { Kernels } from '../kernels/kernels.ts';
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

  /** Address of the kernel's list of the arrays, while they stand in kernel memory; else 0. */
  kernelAddress = 0;
  #arrays: PlacedArrays | null = null;

  /** Forgets the records. Arrays in kernel memory are given up; they have to be when that memory is. */
  clear(): void {
    this.count = 0;
    if (this.kernelAddress === 0) return;
    this.kernelAddress = 0;
    this.#use(EMPTY);
  }

  /** Room for `capacity` records; in kernel memory when the arena has some left. */
  ensure(capacity: number, arena: KernelArena | null = null): void {
    if (capacity <= this.offset.length) return;
    const size = Math.max(capacity, this.offset.length * 2, 256);
    const placed = arena === null || (this.kernelAddress === 0 && this.count > 0) ? null : this.#placed(arena, size);
    const from: IndexArrays = { ...this };
    this.#use(placed ?? heapArrays(size));
    this.kernelAddress = placed?.address ?? 0;
    if (this.count > 0) copyArrays(from, this, this.count);
  }

  /** The arrays in kernel memory; where they are the same as last time, the views are too. */
  #placed(arena: KernelArena, capacity: number): PlacedArrays | null {
    const known = this.#arrays;
    const size = Math.ceil(Math.max(capacity, this.count === 0 ? (known?.offset.length ?? 0) : 0) / 1024) * 1024;
    const address = arena.allocate(PLACED_HEADER_BYTES + size * RECORD_INDEX_BYTES);
    if (address === 0 || arena.memory === null) return null;
    const reusable = known !== null && known.address === address && known.offset.length === size;
    const arrays = reusable ? known : placedArrays(arena.memory, address, size);
    writeAddresses(arena.memory, arrays);
    this.#arrays = arrays;
    return arrays;
  }

  #use(arrays: IndexArrays): void {
    this.keyStart = arrays.keyStart;
    this.keyLength = arrays.keyLength;
    this.valueStart = arrays.valueStart;
    this.valueLength = arrays.valueLength;
    this.headersStart = arrays.headersStart;
    this.offset = arrays.offset;
    this.timestampMs = arrays.timestampMs;
    this.writeTimeUs = arrays.writeTimeUs;
    this.timestampType = arrays.timestampType;
  }
}

type IndexArrays = Pick<
  RecordIndex,
  | 'keyStart'
  | 'keyLength'
  | 'valueStart'
  | 'valueLength'
  | 'headersStart'
  | 'offset'
  | 'timestampMs'
  | 'writeTimeUs'
  | 'timestampType'
>;

interface PlacedArrays extends IndexArrays {
  readonly address: number;
}

const EMPTY: IndexArrays = heapArrays(0);

function heapArrays(size: number): IndexArrays {
  return {
    keyStart: new Int32Array(size),
    keyLength: new Int32Array(size),
    valueStart: new Int32Array(size),
    valueLength: new Int32Array(size),
    headersStart: new Int32Array(size),
    offset: new Float64Array(size),
    timestampMs: new Float64Array(size),
    writeTimeUs: new Float64Array(size),
    timestampType: new Uint8Array(size),
  };
}

/** Bytes of an index per record: three doubles, five integers and a byte. */
const RECORD_INDEX_BYTES = 45;
/** The kernel's list of addresses stands before the arrays. */
const PLACED_HEADER_BYTES = 64;

function placedArrays({ buffer }: Kernels, address: number, size: number): PlacedArrays {
  let at = address + PLACED_HEADER_BYTES;
  const doubles = (): Float64Array<ArrayBuffer> => {
    const array = new Float64Array(buffer, at, size);
    at += size * 8;
    return array;
  };
  const integers = (): Int32Array<ArrayBuffer> => {
    const array = new Int32Array(buffer, at, size);
    at += size * 4;
    return array;
  };
  return {
    address,
    offset: doubles(),
    timestampMs: doubles(),
    writeTimeUs: doubles(),
    keyStart: integers(),
    keyLength: integers(),
    valueStart: integers(),
    valueLength: integers(),
    headersStart: integers(),
    timestampType: new Uint8Array(buffer, at, size),
  };
}

/** In the order of Index in engine/kernels/assembly/frames.ts. */
function writeAddresses({ view }: Kernels, arrays: PlacedArrays): void {
  const { keyStart, keyLength, valueStart, valueLength, headersStart, timestampType } = arrays;
  const { offset, timestampMs, writeTimeUs } = arrays;
  const order = [keyStart, keyLength, valueStart, valueLength, headersStart, timestampType];
  [...order, offset, timestampMs, writeTimeUs].forEach((array, index) =>
    view.setUint32(arrays.address + 4 * index, array.byteOffset, true),
  );
}

function copyArrays(from: IndexArrays, to: IndexArrays, count: number): void {
  to.keyStart.set(from.keyStart.subarray(0, count));
  to.keyLength.set(from.keyLength.subarray(0, count));
  to.valueStart.set(from.valueStart.subarray(0, count));
  to.valueLength.set(from.valueLength.subarray(0, count));
  to.headersStart.set(from.headersStart.subarray(0, count));
  to.offset.set(from.offset.subarray(0, count));
  to.timestampMs.set(from.timestampMs.subarray(0, count));
  to.writeTimeUs.set(from.writeTimeUs.subarray(0, count));
  to.timestampType.set(from.timestampType.subarray(0, count));
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
  const kernelArena = arena instanceof KernelArena ? arena : null;
  if (checksum(kernelArena, source, start + 21, end) !== view.getUint32(start + 17))
    throw corrupt('fails its checksum');
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
  const baseTimestampMs = appendTime ? maxTimestampMs : firstTimestampMs;
  index.ensure(index.count + recordCount, kernelArena);
  if (
    kernelArena !== null &&
    decodeByKernel(kernelArena, from, to, recordCount, batch, appendTime, baseTimestampMs, index)
  )
    return;
  decodeRecords(arena.bytes, from, to, recordCount, batch, appendTime, baseTimestampMs, index);
}

function checksum(arena: KernelArena | null, source: Uint8Array, start: number, end: number): number {
  const kernels = arena?.memory ?? null;
  const address = kernels?.addressOf(source, start) ?? -1;
  if (kernels === null || address < 0) return crc32c(source, start, end);
  return kernels.run.crc32c(address, end - start, 0) >>> 0;
}

/** False when the kernel cannot, or finds something wrong. */
function decodeByKernel(
  { kernels, base }: KernelArena,
  from: number,
  to: number,
  recordCount: number,
  { baseOffset, baseTimeUs, stride, fromOffset, toOffset }: BatchToDecode,
  appendTime: boolean,
  baseTimestampMs: number,
  index: RecordIndex,
): boolean {
  if (kernels === null || index.kernelAddress === 0) return false;
  const count = kernels.run.decodeRecords(
    base + from,
    base + to,
    base,
    recordCount,
    index.kernelAddress,
    index.count,
    baseOffset,
    baseTimeUs,
    stride,
    fromOffset,
    toOffset,
    baseTimestampMs,
    appendTime ? 1 : 0,
  );
  if (count < 0) return false;
  index.count = count;
  return true;
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
    if (at >= to) throw corrupt(`ends before its record at index ${record}`);
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
