import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from '../../core/crc32c.ts';
import { isWeirError, WeirError } from '../../core/errors.ts';
import { compressionCodes, encodeRecordBatch, finishRecordBatch } from '../../core/record-batch-encoder.ts';
import type { Compression, RecordToEncode } from '../../core/record-batch-encoder.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { KernelArena } from '../kernels/kernel-arena.ts';
import { KERNEL_SLACK_BYTES } from '../kernels/kernels.ts';
import { Compressor } from './compression.ts';
import { decodeBatch, RecordIndex, visitHeaders } from './decode-records.ts';

const whole = { baseOffset: 0, baseTimeUs: 0, stride: 8, fromOffset: 0, toOffset: Number.POSITIVE_INFINITY };
const corrupt = (error: unknown): boolean => isWeirError(error, 'BATCH_CORRUPT');

function compressed(records: readonly RecordToEncode[], compression: Compression): Uint8Array {
  const plain = encodeRecordBatch(records);
  const target = new ByteBuffer();
  target.append(plain, 0, 61);
  new Compressor(compression).compress(plain, 61, plain.byteLength, target);
  const batch = target.copy();
  const timestamps = records.map((record) => record.timestampMs);
  finishRecordBatch(batch, {
    baseOffset: 0,
    compression,
    recordCount: records.length,
    firstTimestampMs: timestamps[0] ?? 0,
    maxTimestampMs: Math.max(...timestamps),
  });
  return batch;
}

interface Decoded {
  readonly index: RecordIndex;
  readonly bytes: Uint8Array;
}

/** Decodes in kernel memory and outside of it, which must give the same records or the same refusal. */
function decode(batch: Uint8Array, changes: Partial<typeof whole> = {}): Decoded {
  const plain = outcome(() => decodeInto(batch, 0, batch.byteLength, changes, new ByteBuffer()));
  const arena = new KernelArena();
  assert.ok(arena.enter());
  try {
    const at = arena.allocate(batch.byteLength + KERNEL_SLACK_BYTES);
    const { memory } = arena;
    assert.ok(memory !== null && at > 0);
    memory.bytes.set(batch, at);
    const kernel = outcome(() => decodeInto(memory.bytes, at, at + batch.byteLength, changes, arena));
    // The words may name a length that runs over the end of the bytes, and so differ.
    if (plain instanceof WeirError || kernel instanceof WeirError)
      assert.deepEqual([kernel instanceof WeirError && kernel.code], [plain instanceof WeirError && plain.code]);
    else assert.deepEqual(recordsOf(kernel), recordsOf(plain));
  } finally {
    arena.leave();
  }
  if (plain instanceof WeirError) throw plain;
  return plain;
}

function decodeInto(
  source: Uint8Array,
  start: number,
  end: number,
  changes: Partial<typeof whole>,
  arena: ByteBuffer,
): Decoded {
  const index = new RecordIndex();
  decodeBatch(source, { start, end, ...whole, ...changes }, arena, index);
  return { index, bytes: arena.bytes };
}

function outcome(run: () => Decoded): Decoded | WeirError {
  try {
    return run();
  } catch (error) {
    if (error instanceof WeirError) return error;
    throw error;
  }
}

function recordsOf({ index, bytes }: Decoded): unknown[] {
  return Array.from({ length: index.count }, (_, at) => [
    range(bytes, index.keyStart[at], index.keyLength[at]),
    range(bytes, index.valueStart[at], index.valueLength[at]),
    index.keyStart[at],
    index.headersStart[at],
    index.offset[at],
    index.timestampMs[at],
    index.writeTimeUs[at],
    index.timestampType[at],
  ]);
}

const range = (bytes: Uint8Array, start: number | undefined, length: number | undefined): Uint8Array | null =>
  (length ?? -1) < 0 ? null : bytes.slice(start ?? 0, (start ?? 0) + (length ?? 0));

const anyBytes = fc.option(fc.uint8Array({ maxLength: 90 }));
const anyRecord = fc.record({
  key: anyBytes,
  value: anyBytes,
  timestampMs: fc.integer({ min: 0, max: 2 ** 43 }),
  headers: fc.array(fc.tuple(fc.string({ maxLength: 5 }), fc.uint8Array({ maxLength: 5 })), { maxLength: 2 }),
});

test('every record comes back, from every compression', () => {
  fc.assert(
    fc.property(
      fc.array(anyRecord, { minLength: 1, maxLength: 30 }),
      fc.constantFrom(...(Object.keys(compressionCodes) as Compression[])),
      (records, compression) => {
        const { index, bytes } = decode(compressed(records, compression), { baseOffset: 2 ** 40, baseTimeUs: 5 });
        assert.equal(index.count, records.length);
        records.forEach((record, at) => {
          assert.deepEqual(range(bytes, index.keyStart[at], index.keyLength[at]), record.key);
          assert.deepEqual(range(bytes, index.valueStart[at], index.valueLength[at]), record.value);
          assert.equal(index.timestampMs[at], record.timestampMs);
          assert.equal(index.offset[at], 2 ** 40 + at);
          assert.equal(index.writeTimeUs[at], 5 + at * 8);
          const headers: unknown[] = [];
          visitHeaders(
            bytes,
            index.headersStart[at] ?? 0,
            bytes.byteLength,
            (nameStart, nameLength, valueStart, valueLength) => {
              headers.push([
                new TextDecoder().decode(bytes.slice(nameStart, nameStart + nameLength)),
                range(bytes, valueStart, valueLength),
              ]);
            },
          );
          assert.deepEqual(
            headers,
            record.headers.map(([name, value]) => [name.toWellFormed(), value]),
          );
        });
      },
    ),
  );
});

const three = [1, 2, 3].map((digit) => ({ key: null, value: Uint8Array.of(digit), timestampMs: digit }));

test('only the offsets asked for', () => {
  const { index } = decode(encodeRecordBatch(three), { baseOffset: 10, fromOffset: 11, toOffset: 12 });
  assert.deepEqual(Array.from(index.offset.slice(0, index.count)), [11]);
});

test('with LogAppendTime all records have the batch’s time', () => {
  const batch = encodeRecordBatch(three);
  const view = new DataView(batch.buffer);
  view.setInt16(21, 0x08);
  view.setBigInt64(35, 99n);
  view.setUint32(17, crc32c(batch, 21));
  const { index } = decode(batch);
  assert.deepEqual(Array.from(index.timestampMs.slice(0, 3)), [99, 99, 99]);
  assert.deepEqual(Array.from(index.timestampType.slice(0, 3)), [1, 1, 1]);
});

test('a wrong checksum is refused', () => {
  const batch = encodeRecordBatch(three);
  batch[70] = (batch[70] ?? 0) ^ 0x10;
  assert.throws(() => decode(batch), corrupt);
});

test('wrong lengths behind a right checksum are refused, and never read beyond the batch', () => {
  fc.assert(
    fc.property(
      fc.array(anyRecord, { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      (records, changes) => {
        const batch = encodeRecordBatch(records);
        for (const [at, byte] of changes) batch[57 + (at % (batch.byteLength - 57))] = byte;
        new DataView(batch.buffer).setUint32(17, crc32c(batch, 21));
        try {
          const { index, bytes } = decode(batch);
          for (let at = 0; at < index.count; at++) {
            assert.ok((index.valueStart[at] ?? 0) + Math.max(0, index.valueLength[at] ?? 0) <= bytes.byteLength);
          }
        } catch (error) {
          assert.ok(corrupt(error), String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});
