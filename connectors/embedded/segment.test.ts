import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isWeirError, WeirError } from '../../core/errors.ts';
import { readBatchHeaders, writeBaseOffset } from '../../core/record-batch.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import { batchOf, valuesOf } from '../../test/conformance/source.ts';
import { PartitionLog } from './partition-log.ts';
import type { SegmentStorage } from './segment.ts';
import { FileStorage, MemoryStorage, Segment } from './segment.ts';
import { Topics } from './topics.ts';

let dir: string;
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-segment-'));
});
after(() => rmSync(dir, { recursive: true, force: true }));

/** Batches with their offsets set, from 0 on. */
function placed(count: number, perBatch: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const batch = batchOf('a', index * perBatch, perBatch);
    writeBaseOffset(batch, 0, index * perBatch);
    return batch;
  });
}

test('cut at any byte, a file gives back its whole batches and nothing else', async () => {
  const batches = placed(4, 2);
  const whole = Buffer.concat(batches);
  const path = join(dir, 'cut.log');
  for (let length = 0; length <= whole.byteLength; length++) {
    writeFileSync(path, whole.subarray(0, length));
    const segment = new Segment(0, new FileStorage(path));
    const cut = await segment.recover(length);
    segment.storage.close();
    let expected = 0;
    let count = 0;
    for (const batch of batches) {
      if (expected + batch.byteLength > length) break;
      expected += batch.byteLength;
      count++;
    }
    assert.deepEqual([segment.byteLength, segment.endOffset, cut], [expected, count * 2, length - expected]);
    assert.equal(readFileSync(path).byteLength, expected);
  }
});

test('one flipped bit in the last batch takes that batch, and none before it', async () => {
  const batches = placed(3, 2);
  const whole = Buffer.concat(batches);
  const path = join(dir, 'flip.log');
  const last = whole.byteLength - (batches[2]?.byteLength ?? 0);
  for (let at = last; at < whole.byteLength; at++) {
    // Base offset and leader epoch are outside the checksum; the offset is checked by its sequence.
    if (at >= last + 12 && at < last + 16) continue;
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    writeFileSync(path, bytes);
    const segment = new Segment(0, new FileStorage(path));
    await segment.recover(bytes.byteLength);
    segment.storage.close();
    assert.equal(segment.endOffset, 4, `bit in byte ${at - last} of the batch`);
  }
});

test('reads find every offset through the index, whatever the sizes', async () => {
  const segment = new Segment(0, new MemoryStorage());
  const batches = placed(500, 3);
  for (let at = 0; at < batches.length; at += 7) await segment.append(batches.slice(at, at + 7));
  for (const maxBytes of [1, 500, 20_000]) {
    for (let from = 0; from < 1500; from += 11) {
      const bytes = await segment.read(from, maxBytes);
      const headers = readBatchHeaders(bytes);
      assert.equal(headers[0]?.baseOffset, from - (from % 3));
      assert.equal(headers.at(-1)?.end, bytes.byteLength, 'whole batches only');
      assert.ok(headers.length === 1 || bytes.byteLength <= maxBytes);
    }
  }
});

/** Fails writes while told to, after writing a part. */
class FullStorage extends MemoryStorage implements SegmentStorage {
  isFull = false;

  override async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    if (!this.isFull) return super.write(position, chunks);
    await super.write(position, [Buffer.concat(chunks).subarray(0, 10)]);
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  }
}

test('a full disk refuses appends as DISK_FULL and leaves the log as it was', async () => {
  const storage = new FullStorage();
  const log = new PartitionLog({
    name: 'users-0',
    segmentBytesMax: 1 << 20,
    segments: [],
    startOffset: 0,
    createSegment: (base) => new Segment(base, storage),
    saveStart: () => Promise.resolve(),
  });
  assert.equal(await log.append(batchOf('a', 0, 2)), 0);
  storage.isFull = true;
  const failed = await Promise.allSettled([log.append(batchOf('b', 0, 2)), log.append(batchOf('b', 2, 2))]);
  for (const result of failed)
    assert.ok(result.status === 'rejected' && isWeirError(result.reason, 'DISK_FULL') && result.reason.retryable);
  assert.equal(log.endOffset, 2);
  storage.isFull = false;
  assert.equal(await log.append(batchOf('c', 0, 1)), 2);
  assert.deepEqual(
    valuesOf(await log.read(0, 1 << 20)).map((record) => record.value),
    ['a-0', 'a-1', 'c-0'],
  );
  await log.close(new WeirError('SOURCE_UNAVAILABLE', 'closed'));
});

test('appends that meet are written together, in order, and only then read', async () => {
  let release: () => void = () => undefined;
  const groups: number[] = [];
  class SlowStorage extends MemoryStorage {
    override async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
      groups.push(chunks.length);
      await new Promise<void>((resolve) => (release = resolve));
      await super.write(position, chunks);
    }
  }
  const log = new PartitionLog({
    name: 'users-0',
    segmentBytesMax: 1 << 20,
    segments: [],
    startOffset: 0,
    createSegment: (base) => new Segment(base, new SlowStorage()),
    saveStart: () => Promise.resolve(),
  });
  const first = log.append(batchOf('a', 0, 1));
  const rest = [1, 2, 3].map((index) => log.append(batchOf('a', index, 1)));
  assert.equal(log.endOffset, 0, 'not readable before it is durable');
  release();
  assert.equal(await first, 0);
  await Promise.resolve();
  release();
  assert.deepEqual(await Promise.all(rest), [1, 2, 3]);
  assert.deepEqual(groups, [1, 3]);
});

test('many segments: all is there after a restart, sealed ones are indexed when read, old ones can go', async () => {
  const options = { dir: join(dir, 'topics'), bytesMax: Number.POSITIVE_INFINITY, segmentBytesMax: 32_000, log: noLog };
  let topics = await Topics.open(options);
  const topic = topics.create('big', 1);
  const log = topic.partitions[0]!;
  // Some 5 KB a batch: a new segment after every six.
  const batch = (index: number): Uint8Array => batchOf('a', index * 5, 5, 1000);
  for (let index = 0; index < 15; index++) assert.equal(await log.append(batch(index)), index * 5);
  await topics.close();
  topics = await Topics.open(options);
  const again = topics.get('big');
  assert.equal(again.id, topic.id);
  const reopened = again.partitions[0]!;
  assert.deepEqual([reopened.startOffset, reopened.endOffset], [0, 75]);
  for (const from of [0, 29, 30, 31, 74])
    assert.equal(valuesOf(await reopened.read(from, 1000), from)[0]?.value, `a-${from}`);
  assert.equal(await reopened.offsetAt(1_700_000_000_000 + 42_000), 42);
  await reopened.deleteBefore(33);
  assert.ok(reopened.byteLength < 15 * 5000 - 25_000, 'a whole segment is gone');
  await topics.close();
  topics = await Topics.open(options);
  assert.equal(topics.get('big').partitions[0]?.startOffset, 33);
  await topics.delete('big');
  await topics.close();
  topics = await Topics.open(options);
  assert.throws(
    () => topics.get('big'),
    (error) => isWeirError(error, 'TOPIC_NOT_FOUND'),
  );
  await topics.close();
});

test('in memory the oldest records go when there are too many bytes, and say so', async () => {
  const bytesMax = 12_000;
  const segmentBytesMax = 4000;
  const topics = await Topics.open({ dir: null, bytesMax, segmentBytesMax, log: noLog });
  topics.create('a', 1);
  for (let index = 0; index < 60; index++) await topics.append('a', 0, batchOf('a', index, 1, 1000));
  const log = topics.partition('a', 0);
  assert.ok(log.byteLength <= bytesMax + segmentBytesMax, `${log.byteLength} bytes`);
  assert.ok(log.startOffset > 0);
  await assert.rejects(
    log.read(0, 1000),
    (error) =>
      isWeirError(error, 'OFFSET_OUT_OF_RANGE') && error.facts['low'] === log.startOffset && error.facts['high'] === 60,
  );
  assert.equal(valuesOf(await log.read(log.startOffset, 1000))[0]?.value, `a-${log.startOffset}`);
  await topics.close();
});

test('names and counts that cannot be topics are refused', async () => {
  const topics = await Topics.open({ dir: null, bytesMax: 1e9, log: noLog });
  for (const name of ['', '.', '..', 'a/b', 'ä', 'x'.repeat(250), '~a'])
    assert.throws(
      () => topics.create(name, 1),
      (error) => isWeirError(error, 'SINK_REFUSED'),
      name,
    );
  for (const count of [0, -1, 1001, Number.NaN])
    assert.throws(
      () => topics.create('a', count),
      (error) => isWeirError(error, 'SINK_REFUSED'),
    );
});
