import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../core/crc32c.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { ATTRIBUTE_TRANSACTIONAL, readBatchHeaders } from '../../core/record-batch.ts';
import { claimBatch, nextSequence, recordCountOf } from './kafka-transactional-batch.ts';

function someBatch(): Uint8Array {
  const value = new Uint8Array(1000).map((_, index) => index);
  return encodeRecordBatch(
    [0, 1, 2].map((key) => ({ key: Uint8Array.of(key), value, timestampMs: 1_714_521_600_000 })),
  );
}

test('a claimed batch carries its producer and keeps records and checksum right', () => {
  const batch = someBatch();
  const records = batch.slice(61);
  claimBatch(batch, { id: 4_294_967_297, epoch: 7 }, 12);
  claimBatch(batch, { id: 9_000_000_001, epoch: 8 }, 2 ** 31 - 1);
  const view = new DataView(batch.buffer);
  assert.equal(view.getUint32(17), crc32c(batch, 21));
  const [header] = readBatchHeaders(batch);
  assert.equal(header?.producerId, 9_000_000_001n);
  assert.equal(header?.attributes, ATTRIBUTE_TRANSACTIONAL);
  assert.equal(view.getInt16(51), 8);
  assert.equal(view.getInt32(53), 2 ** 31 - 1);
  assert.deepEqual(batch.slice(61), records);
  assert.equal(recordCountOf(batch), 3);
});

test('sequences begin anew behind the last one', () => {
  assert.equal(nextSequence(5, 3), 8);
  assert.equal(nextSequence(2 ** 31 - 2, 5), 3);
});
