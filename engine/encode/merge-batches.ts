/**
 * Several record batches of one partition made one: a log takes one batch per partition and request, and each costs it as
 * much as some dozens of records. What was encoded stays as it is; only the differences that records name in place of
 * their own time and offset are counted anew, from the first batch's time on.
 */
import { must } from '../../core/assert.ts';
import type { Compression } from '../../core/record-batch-encoder.ts';
import { compressionCodes, finishRecordBatch, varintBytes, writeVarint } from '../../core/record-batch-encoder.ts';
import { COMPRESSION_MASK, RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { Compressor, decompress } from '../codecs/compression.ts';
import { BATCH_BYTES_MAX } from './partition-batches.ts';

/** Bytes by which a record may grow: its length, time and offset take up to this much more than before. */
const GROWTH_BYTES = 20;

/** Reads zigzag variable-length integers one after the other. */
class VarintCursor {
  at = 0;

  /** Up to 2^53. */
  read(bytes: Uint8Array): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes[this.at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      factor *= 128;
    }
  }
}

export class BatchMerger {
  readonly #compressors = new Map<Compression, Compressor>();
  readonly #raw = new ByteBuffer(4096);
  readonly #records = new ByteBuffer(4096);
  readonly #out = new ByteBuffer(4096);
  readonly #cursor = new VarintCursor();
  #count = 0;
  #firstTimestampMs = 0;
  #maxTimestampMs = 0;

  /**
   * The records of the batches in their order, in as few batches as brokers take, in memory of their own. What is merged is
   * of one producer without an id, with offsets that count up from the base, as {@link finishRecordBatch} writes it.
   */
  merge(batches: readonly Uint8Array[]): Uint8Array[] {
    if (batches.length < 2) return batches.map((batch) => batch.slice());
    const merged: Uint8Array[] = [];
    // What a call that threw has left.
    this.#records.clear();
    this.#count = 0;
    let compression: Compression = 'none';
    for (const batch of batches) {
      const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
      const codec = view.getInt16(21) & COMPRESSION_MASK;
      const raw = this.#raw;
      raw.clear();
      decompress(codec, batch, RECORD_BATCH_HEADER_BYTES, batch.byteLength, raw);
      const count = view.getInt32(57);
      const full = this.#records.length + raw.length + count * GROWTH_BYTES > BATCH_BYTES_MAX;
      if (this.#count > 0 && (full || codec !== compressionCodes[compression])) merged.push(this.#finish(compression));
      compression = compressionOf(codec);
      this.#add(raw, count, Number(view.getBigInt64(27)), Number(view.getBigInt64(35)));
    }
    merged.push(this.#finish(compression));
    return merged;
  }

  #add(raw: ByteBuffer, count: number, firstTimestampMs: number, maxTimestampMs: number): void {
    if (this.#count === 0) {
      this.#firstTimestampMs = firstTimestampMs;
      this.#maxTimestampMs = maxTimestampMs;
    }
    this.#maxTimestampMs = Math.max(this.#maxTimestampMs, maxTimestampMs);
    const out = this.#records;
    out.reserve(raw.length + count * GROWTH_BYTES);
    const cursor = this.#cursor;
    cursor.at = 0;
    for (let record = 0; record < count; record++) {
      const size = cursor.read(raw.bytes);
      const end = cursor.at + size;
      const attributes = must(raw.bytes[cursor.at], () => 'a record of a batch that was written here');
      cursor.at += 1;
      const delta = cursor.read(raw.bytes) + firstTimestampMs - this.#firstTimestampMs;
      cursor.read(raw.bytes);
      const index = this.#count++;
      const rest = end - cursor.at;
      out.length = writeVarint(out.bytes, out.length, 1 + varintBytes(delta) + varintBytes(index) + rest);
      out.bytes[out.length++] = attributes;
      out.length = writeVarint(out.bytes, out.length, delta);
      out.length = writeVarint(out.bytes, out.length, index);
      out.append(raw.bytes, cursor.at, end);
      cursor.at = end;
    }
  }

  #finish(compression: Compression): Uint8Array {
    const out = this.#out;
    out.clear();
    out.reserve(RECORD_BATCH_HEADER_BYTES);
    out.length = RECORD_BATCH_HEADER_BYTES;
    this.#compressorOf(compression).compress(this.#records.bytes, 0, this.#records.length, out);
    const batch = out.copy();
    finishRecordBatch(batch, {
      baseOffset: 0,
      compression,
      recordCount: this.#count,
      firstTimestampMs: this.#firstTimestampMs,
      maxTimestampMs: this.#maxTimestampMs,
    });
    this.#records.clear();
    this.#count = 0;
    return batch;
  }

  #compressorOf(compression: Compression): Compressor {
    let compressor = this.#compressors.get(compression);
    if (compressor === undefined) {
      compressor = new Compressor(compression);
      this.#compressors.set(compression, compressor);
    }
    return compressor;
  }
}

const compressions = new Map(
  (Object.entries(compressionCodes) as [Compression, number][]).map(([compression, code]) => [code, compression]),
);

function compressionOf(codec: number): Compression {
  return must(compressions.get(codec), () => `compression ${codec}`);
}
