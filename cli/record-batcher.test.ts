import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../connectors/system/clock.ts';
import { WeirError } from '../core/errors.ts';
import type { LogAppend, LogWriter } from '../core/ports.ts';
import { partitionOfKey } from '../core/murmur2.ts';
import { readBatchHeaders } from '../core/record-batch.ts';
import type { ProducerRecord } from '../sdk/producer.ts';
import { RecordBatcher } from './record-batcher.ts';

/** A log that keeps what it gets; `gate` holds appends back until it resolves. */
class MemoryLog implements LogWriter {
  readonly appended: LogAppend[] = [];
  calls = 0;
  gate: Promise<void> = Promise.resolve();
  async append(appends: readonly LogAppend[]): Promise<void> {
    this.calls++;
    await this.gate;
    this.appended.push(...appends);
  }
  partitionCount = (): Promise<number> => Promise.resolve(4);
  createTopic = (): Promise<void> => Promise.resolve();
  close = (): Promise<void> => Promise.resolve();
}

const limits = { lingerMs: 1, batchBytes: 1000, waitingBytesMax: 4000 };
const record = (number: number): ProducerRecord => ({
  key: `key ${number % 17}`,
  value: `value ${number}`.padEnd(100, '.'),
});

/** `key → values in order`, over all batches. */
function readBack(appends: readonly LogAppend[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { batch, partition } of appends) {
    const text = new TextDecoder('latin1').decode(batch);
    for (const [, key, value] of text.matchAll(/(key \d+).{1,3}?(value \d+)\.+/gs)) {
      assert.equal(partitionOfKey(new TextEncoder().encode(key), 4), partition);
      found.set(key!, [...(found.get(key!) ?? []), value!]);
    }
  }
  return found;
}

test('every record arrives once, in the order of its key, in the partition of its key', async () => {
  const log = new MemoryLog();
  const batcher = new RecordBatcher(log, 'topic', 4, systemClock, limits);
  const expected = new Map<string, string[]>();
  for (let number = 0; number < 500; number++) {
    await batcher.send([record(number)]);
    const key = `key ${number % 17}`;
    expected.set(key, [...(expected.get(key) ?? []), `value ${number}`]);
  }
  await batcher.flush();
  assert.deepEqual([...readBack(log.appended)].sort(), [...expected].sort());
  assert.equal(batcher.sentRecords, 500);
  for (const { batch } of log.appended) {
    assert.ok(batch.byteLength <= limits.batchBytes + 100);
    assert.equal(readBatchHeaders(batch).length, 1);
  }
});

test('a single record leaves after the linger time without a flush', async () => {
  const log = new MemoryLog();
  const batcher = new RecordBatcher(log, 'topic', 4, systemClock, limits);
  await batcher.send([record(1)]);
  while (batcher.sentRecords === 0) await systemClock.sleep(1);
  assert.equal(log.appended.length, 1);
});

test('a slow log holds the sender back', async () => {
  const log = new MemoryLog();
  const gate = Promise.withResolvers<void>();
  log.gate = gate.promise;
  const batcher = new RecordBatcher(log, 'topic', 4, systemClock, limits);
  let released = false;
  const sending = batcher.send(Array.from({ length: 100 }, (_, number) => record(number))).then(() => {
    released = true;
  });
  await systemClock.sleep(20);
  assert.equal(released, false);
  gate.resolve();
  await sending;
  await batcher.flush();
  assert.equal(batcher.sentRecords, 100);
});

test('what the log refuses comes out of the next send and of flush', async () => {
  const log = new MemoryLog();
  log.gate = Promise.reject(new WeirError('SINK_REFUSED', 'too large'));
  log.gate.catch(() => undefined);
  const batcher = new RecordBatcher(log, 'topic', 4, systemClock, limits);
  await batcher.send([record(1)]);
  await assert.rejects(batcher.flush(), { code: 'SINK_REFUSED' });
  await assert.rejects(batcher.send([record(2)]), { code: 'SINK_REFUSED' });
});

test('a record without a key goes round', async () => {
  const log = new MemoryLog();
  const batcher = new RecordBatcher(log, 'topic', 4, systemClock, limits);
  await batcher.send(Array.from({ length: 8 }, () => ({ key: null, value: 'x' })));
  await batcher.flush();
  assert.deepEqual(
    log.appended.map(({ partition, batch }) => [partition, readBatchHeaders(batch)[0]?.recordCount]),
    [
      [0, 2],
      [1, 2],
      [2, 2],
      [3, 2],
    ],
  );
});
