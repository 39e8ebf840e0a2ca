/**
 * Kafka's RecordBatch v2 header (KIP-98): what a lane needs to know of a batch without decompressing or decoding it.
 *
 * Layout, big-endian: baseOffset i64 @0, batchLength i32 @8, partitionLeaderEpoch i32 @12, magic i8 @16, crc u32 @17
 * (CRC-32C over [21, end)), attributes i16 @21, lastOffsetDelta i32 @23, firstTimestamp i64 @27, maxTimestamp i64 @35,
 * producerId i64 @43, producerEpoch i16 @51, baseSequence i32 @53, recordCount i32 @57, records @61.
 */
import { WeirError } from './errors.ts';
import type { Offset } from './ids.ts';

export const RECORD_BATCH_HEADER_BYTES = 61;
/** Bytes before those that `batchLength` counts. */
const LENGTH_PREFIX_BYTES = 12;

export const COMPRESSION_MASK = 0x07;
export const ATTRIBUTE_LOG_APPEND_TIME = 0x08;
export const ATTRIBUTE_TRANSACTIONAL = 0x10;
export const ATTRIBUTE_CONTROL = 0x20;

/** One batch within fetched bytes; `start` and `end` are byte positions in them. */
export interface BatchHeader {
  readonly start: number;
  readonly end: number;
  readonly baseOffset: Offset;
  /** Offset after the batch's last one. Compaction may have removed records in between. */
  readonly nextOffset: Offset;
  readonly attributes: number;
  /** ms; -1 when the producer gave none. */
  readonly maxTimestampMs: number;
  readonly producerId: bigint;
  readonly recordCount: number;
}

/**
 * The whole batches in `bytes`, in order. A broker may cut the last one short; it is left out.
 *
 * Throws: BATCH_CORRUPT for another magic than 2 or a length that cannot be.
 */
export function readBatchHeaders(bytes: Uint8Array): BatchHeader[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headers: BatchHeader[] = [];
  let start = 0;
  while (bytes.byteLength - start >= RECORD_BATCH_HEADER_BYTES) {
    const length = view.getInt32(start + 8);
    if (length < RECORD_BATCH_HEADER_BYTES - LENGTH_PREFIX_BYTES) {
      throw new WeirError('BATCH_CORRUPT', `a record batch claims a length of ${length} bytes`);
    }
    const end = start + LENGTH_PREFIX_BYTES + length;
    if (end > bytes.byteLength) break;
    const magic = view.getInt8(start + 16);
    if (magic !== 2) {
      throw new WeirError(
        'BATCH_CORRUPT',
        `a record batch has format version ${magic}; only version 2 (Kafka 0.11 and newer) is read`,
      );
    }
    const baseOffset = readI64(view, start);
    headers.push({
      start,
      end,
      baseOffset: baseOffset as Offset,
      nextOffset: (baseOffset + view.getInt32(start + 23) + 1) as Offset,
      attributes: view.getInt16(start + 21),
      maxTimestampMs: readI64(view, start + 35),
      producerId: view.getBigInt64(start + 43),
      recordCount: view.getInt32(start + 57),
    });
    start = end;
  }
  return headers;
}

/** A big-endian i64 that is known to be a safe integer (offsets, timestamps). */
function readI64(view: DataView, at: number): number {
  return view.getInt32(at) * 4294967296 + view.getUint32(at + 4);
}

/** Bytes of the first batch, also when it is cut short; undefined below 12 bytes. Tells how much to fetch. */
export function firstBatchBytes(bytes: Uint8Array): number | undefined {
  if (bytes.byteLength < LENGTH_PREFIX_BYTES) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(8) + LENGTH_PREFIX_BYTES;
}

/** Sets the base offset of the batch at `start`, in place. The CRC does not cover it. */
export function writeBaseOffset(bytes: Uint8Array, start: number, base: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setInt32(start, Math.floor(base / 4294967296));
  view.setUint32(start + 4, base >>> 0);
}

/** A transaction that was aborted: its producer's batches from `firstOffset` up to its abort marker do not count. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: Offset;
}

/**
 * Which of the batches hold data a read_committed reader sees, by the Java client's batch-level rule: a producer
 * enters the aborted set when its first aborted offset is reached, leaves it with its ABORT marker, and its
 * transactional batches in between are skipped. `isAbortMarker` reads the control record of a control batch.
 */
export function visibleBatches(
  headers: readonly BatchHeader[],
  aborted: readonly AbortedTransaction[],
  isAbortMarker: (header: BatchHeader) => boolean,
): boolean[] {
  const pending = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const abortedProducers = new Set<bigint>();
  let next = 0;
  return headers.map((header) => {
    for (
      let first = pending[next];
      first !== undefined && first.firstOffset < header.nextOffset;
      first = pending[++next]
    ) {
      abortedProducers.add(first.producerId);
    }
    if ((header.attributes & ATTRIBUTE_CONTROL) !== 0) {
      if (isAbortMarker(header)) abortedProducers.delete(header.producerId);
      return false;
    }
    return (header.attributes & ATTRIBUTE_TRANSACTIONAL) === 0 || !abortedProducers.has(header.producerId);
  });
}

/**
 * Whether a control batch ends its transaction as aborted. Control batches are never compressed; the control record's
 * key is (version i16, type i16), type 0 = ABORT, 1 = COMMIT.
 */
export function isAbortMarker(bytes: Uint8Array, header: BatchHeader): boolean {
  let at = header.start + RECORD_BATCH_HEADER_BYTES;
  const skipVarint = (): void => {
    while (((bytes[at++] ?? 0) & 0x80) !== 0);
  };
  skipVarint(); // record length
  at += 1; // attributes
  skipVarint(); // timestamp delta
  skipVarint(); // offset delta
  const keyLength = zigzag(bytes[at++] ?? 0);
  return keyLength >= 4 && bytes[at + 2] === 0 && bytes[at + 3] === 0;
}

function zigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}
