/**
 * Writes Kafka's RecordBatch v2 (KIP-98). The layout is in core/record-batch.ts; a record is
 *
 *   length varint | attributes i8 | timestampDelta varlong | offsetDelta varint | keyLength varint | key
 *   | valueLength varint | value | headerCount varint | (nameLength varint | name | valueLength varint | value)*
 *
 * with zigzag variable-length integers and length -1 for null.
 */
import { assert } from './assert.ts';
import { crc32c } from './crc32c.ts';
import { RECORD_BATCH_HEADER_BYTES, writeBaseOffset } from './record-batch.ts';

export interface RecordToEncode {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly (readonly [name: string, value: Uint8Array])[];
  /** ms since 1970-01-01 UTC; -1 = none. */
  readonly timestampMs: number;
}

export interface RecordBatchOptions {
  /** Offset of the first record; a broker sets its own. Default 0. */
  readonly baseOffset?: number;
}

/** Compression codecs by their number in a batch's attributes. */
export const compressionCodes = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
export type Compression = keyof typeof compressionCodes;

const textEncoder = new TextEncoder();

/**
 * One uncompressed batch of the records, with a valid CRC and without a producer id. Offsets count up from
 * `baseOffset`. At least one record.
 */
export function encodeRecordBatch(records: readonly RecordToEncode[], options: RecordBatchOptions = {}): Uint8Array {
  const first = records[0];
  assert(first !== undefined, () => 'a record batch holds at least one record');
  let maxTimestampMs = first.timestampMs;
  let size = RECORD_BATCH_HEADER_BYTES;
  const bodies = records.map((record, index) => {
    if (record.timestampMs > maxTimestampMs) maxTimestampMs = record.timestampMs;
    const headers = (record.headers ?? []).map(([name, value]) => [textEncoder.encode(name), value] as const);
    const delta = record.timestampMs - first.timestampMs;
    const bytes = recordBodyBytes(record, headers, delta, index);
    size += varintBytes(bytes) + bytes;
    return { headers, delta, bytes };
  });
  const batch = new Uint8Array(size);
  let at = RECORD_BATCH_HEADER_BYTES;
  for (const [index, record] of records.entries()) {
    const body = bodies[index];
    if (body === undefined) continue;
    at = writeVarint(batch, at, body.bytes);
    batch[at++] = 0;
    at = writeVarint(batch, at, body.delta);
    at = writeVarint(batch, at, index);
    at = writeBytes(batch, at, record.key);
    at = writeBytes(batch, at, record.value);
    at = writeVarint(batch, at, body.headers.length);
    for (const [name, value] of body.headers) {
      at = writeBytes(batch, at, name);
      at = writeBytes(batch, at, value);
    }
  }
  assert(at === size, () => `record batch of ${size} bytes written as ${at}`);
  finishRecordBatch(batch, {
    baseOffset: options.baseOffset ?? 0,
    compression: 'none',
    recordCount: records.length,
    firstTimestampMs: first.timestampMs,
    maxTimestampMs,
  });
  return batch;
}

export interface RecordBatchFields {
  readonly baseOffset: number;
  readonly compression: Compression;
  /** Records have the offset deltas 0, 1, … */
  readonly recordCount: number;
  readonly firstTimestampMs: number;
  readonly maxTimestampMs: number;
}

/** The CRC-32C of the bytes from `start` on. */
export type Checksum = (bytes: Uint8Array, start: number) => number;

/**
 * Writes the header and CRC of a batch whose records (compressed, if so) fill `batch` from byte 61 to its end. No
 * producer id, so the batch is not idempotent.
 */
export function finishRecordBatch(batch: Uint8Array, fields: RecordBatchFields, checksum: Checksum = crc32c): void {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  writeBaseOffset(batch, 0, fields.baseOffset);
  view.setInt32(8, batch.byteLength - 12);
  view.setInt32(12, -1);
  view.setInt8(16, 2);
  view.setInt16(21, compressionCodes[fields.compression]);
  view.setInt32(23, fields.recordCount - 1);
  view.setBigInt64(27, BigInt(fields.firstTimestampMs));
  view.setBigInt64(35, BigInt(fields.maxTimestampMs));
  view.setBigInt64(43, -1n);
  view.setInt16(51, -1);
  view.setInt32(53, -1);
  view.setInt32(57, fields.recordCount);
  view.setUint32(17, checksum(batch, 21));
}

type EncodedHeaders = readonly (readonly [name: Uint8Array, value: Uint8Array])[];

function recordBodyBytes(record: RecordToEncode, headers: EncodedHeaders, delta: number, index: number): number {
  let bytes = 1 + varintBytes(delta) + varintBytes(index) + lengthAndBytes(record.key) + lengthAndBytes(record.value);
  bytes += varintBytes(headers.length);
  for (const [name, value] of headers) bytes += lengthAndBytes(name) + lengthAndBytes(value);
  return bytes;
}

function lengthAndBytes(value: Uint8Array | null): number {
  return value === null ? 1 : varintBytes(value.byteLength) + value.byteLength;
}

function writeBytes(target: Uint8Array, at: number, value: Uint8Array | null): number {
  if (value === null) return writeVarint(target, at, -1);
  const start = writeVarint(target, at, value.byteLength);
  target.set(value, start);
  return start + value.byteLength;
}

/** Size of a safe integer as a zigzag variable-length integer, 1 to 8 bytes. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = zigzag(value); rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Writes a safe integer (below 2^52) as a zigzag variable-length integer; the position after it. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let rest = zigzag(value);
  while (rest >= 0x80) {
    target[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  target[at] = rest;
  return at + 1;
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}
