import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Compression, RecordToEncode } from '../../core/record-batch-encoder.ts';
import { encodeRecordBatch, finishRecordBatch } from '../../core/record-batch-encoder.ts';
import { RECORD_BATCH_HEADER_BYTES, readBatchHeaders } from '../../core/record-batch.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { Compressor } from '../codecs/compression.ts';
import { RecordIndex, decodeBatch, visitHeaders } from '../codecs/decode-records.ts';
import { BatchMerger } from './merge-batches.ts';
import { BATCH_BYTES_MAX } from './partition-batches.ts';

const text = new TextDecoder();

function batchOf(records: readonly RecordToEncode[], compression: Compression): Uint8Array {
  const plain = encodeRecordBatch(records);
  if (compression === 'none') return plain;
  const out = new ByteBuffer();
  out.append(plain, 0, RECORD_BATCH_HEADER_BYTES);
  new Compressor(compression).compress(plain, RECORD_BATCH_HEADER_BYTES, plain.byteLength, out);
  const batch = out.copy();
  const times = records.map(({ timestampMs }) => timestampMs);
  finishRecordBatch(batch, {
    baseOffset: 0,
    compression,
    recordCount: records.length,
    firstTimestampMs: times[0] ?? 0,
    maxTimestampMs: Math.max(...times),
  });
  return batch;
}

/** What a reader finds in the batches; checks sums, counts, offsets and the header's times. */
function read(batches: readonly Uint8Array[]): unknown[] {
  return batches.flatMap((batch) => {
    const arena = new ByteBuffer();
    const index = new RecordIndex();
    const whole = { start: 0, end: batch.byteLength, baseOffset: 0, baseTimeUs: 0, stride: 1 };
    decodeBatch(batch, { ...whole, fromOffset: 0, toOffset: Infinity }, arena, index);
    const [header] = readBatchHeaders(batch);
    assert.equal(header?.recordCount, index.count);
    assert.equal(header?.nextOffset, index.count);
    const times = Array.from(index.timestampMs.subarray(0, index.count));
    assert.equal(header?.maxTimestampMs, Math.max(...times));
    const field = (start: number, length: number): string | null =>
      length < 0 ? null : text.decode(arena.bytes.subarray(start, start + length));
    return times.map((timestampMs, row) => {
      assert.equal(index.offset[row], row);
      const headers: (string | null)[] = [];
      visitHeaders(arena.bytes, index.headersStart[row]!, arena.length, (name, nameBytes, value, valueBytes) =>
        headers.push(field(name, nameBytes), field(value, valueBytes)),
      );
      const key = field(index.keyStart[row]!, index.keyLength[row]!);
      return { timestampMs, key, value: field(index.valueStart[row]!, index.valueLength[row]!), headers };
    });
  });
}

const bytes = fc.string({ maxLength: 40 }).map((value) => new TextEncoder().encode(value));
const record: fc.Arbitrary<RecordToEncode> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.array(fc.tuple(fc.string({ maxLength: 8 }), bytes), { maxLength: 2 }),
  timestampMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
});
const compression = fc.constantFrom<Compression>('none', 'gzip', 'snappy', 'lz4', 'zstd');

test('merged batches hold the records of all of them, in order, with their times, keys, values and headers', () => {
  const merger = new BatchMerger();
  fc.assert(
    fc.property(
      fc.array(fc.array(record, { minLength: 1, maxLength: 5 }), { minLength: 1 }),
      compression,
      (all, by) => {
        const batches = all.map((records) => batchOf(records, by));
        const before = batches.map((batch) => batch.slice());
        const merged = merger.merge(batches);
        assert.equal(merged.length, 1);
        assert.deepEqual(read(merged), read(batches));
        assert.deepEqual(batches, before);
      },
    ),
  );
});

test('batches of several compressions stay apart, and their records in order', () => {
  const merger = new BatchMerger();
  fc.assert(
    fc.property(fc.array(fc.tuple(record, compression), { minLength: 2, maxLength: 8 }), (all) => {
      const batches = all.map(([each, by]) => batchOf([each], by));
      assert.deepEqual(read(merger.merge(batches)), read(batches));
    }),
  );
});

test('a merged batch stays below what brokers take, however well its parts were compressed', () => {
  const value = new Uint8Array(300_000);
  const batches = Array.from({ length: 7 }, (_, index) => batchOf([{ key: null, value, timestampMs: index }], 'lz4'));
  const merged = new BatchMerger().merge(batches);
  const counts = merged.flatMap((batch) => readBatchHeaders(batch).map(({ recordCount }) => recordCount));
  assert.deepEqual(
    counts,
    [3, 3, 1].map((most) => Math.min(most, Math.floor(BATCH_BYTES_MAX / 300_020))),
  );
  assert.deepEqual(read(merged), read(batches));
});

test('records of batches that could not be merged are in no later one', () => {
  const merger = new BatchMerger();
  const [good, other] = ['good', 'other'].map((name) =>
    batchOf([{ key: new TextEncoder().encode(name), value: null, timestampMs: 0 }], 'zstd'),
  ) as [Uint8Array, Uint8Array];
  const damaged = good.slice();
  damaged.fill(0xff, RECORD_BATCH_HEADER_BYTES);
  assert.throws(() => merger.merge([good, damaged]), /BATCH_CORRUPT|decompressed/);
  assert.deepEqual(read(merger.merge([other, other])), read([other, other]));
});
