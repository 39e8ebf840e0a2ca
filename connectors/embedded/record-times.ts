/** Finds records by time within a batch, for listing offsets. */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { compressionCodes } from '../../core/record-batch-encoder.ts';
import { ATTRIBUTE_LOG_APPEND_TIME, COMPRESSION_MASK, RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';

/**
 * Offset of the first record of a batch dated at or after `timestampMs`, given that there is one. Batches compressed with
 * snappy or lz4 are not opened: their base offset is given, and the reader gets a few earlier records too.
 */
export function firstOffsetAt(batch: Uint8Array, timestampMs: number): number {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const baseOffset = Number(view.getBigInt64(0));
  const attributes = view.getInt16(21);
  if ((attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0) return baseOffset;
  const records = decompress(batch.subarray(RECORD_BATCH_HEADER_BYTES), attributes & COMPRESSION_MASK);
  if (records === undefined) return baseOffset;
  const firstTimestampMs = Number(view.getBigInt64(27));
  const cursor = { at: 0 };
  for (let count = view.getInt32(57); count > 0; count--) {
    const length = readVarint(records, cursor);
    const end = cursor.at + length;
    cursor.at += 1;
    const time = firstTimestampMs + readVarint(records, cursor);
    const offset = baseOffset + readVarint(records, cursor);
    if (time >= timestampMs) return offset;
    cursor.at = end;
  }
  return baseOffset;
}

function decompress(bytes: Uint8Array, code: number): Uint8Array | undefined {
  switch (code) {
    case compressionCodes.none:
      return bytes;
    case compressionCodes.gzip:
      return gunzipSync(bytes);
    case compressionCodes.zstd:
      return zstdDecompressSync(bytes);
    default:
      return undefined;
  }
}

/** A zigzag variable-length integer; exact up to 2^52. */
function readVarint(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = bytes[cursor.at++] ?? 0;
    value += (byte & 0x7f) * scale;
    if ((byte & 0x80) === 0) break;
    scale *= 128;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
