import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeConnections } from '../../connectors/connections.ts';
import { startEmbedded } from '../../connectors/embedded/main.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import { laneId, offset, partition } from '../../core/ids.ts';
import type { SourceReader } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import { always } from '../../test/conformance/source.ts';
import { waitFor } from './test-cluster.ts';
import { PartitionFeed } from './partition-feed.ts';
import type { RangeData, ReadParts } from './read-range.ts';
import type { TaskBytes } from '../../engine/epoch/contract.ts';
import { cutIntoTasks, giveBack, readRange, taken } from './read-range.ts';
import { MemoryPool } from '../../core/memory-pool.ts';

const TIME_MS = 1_700_000_000_000;

interface World {
  /** Appends a batch of so many records of `bytes` bytes, dated so many ms after the beginning. */
  append(count: number, laterMs: number, bytes?: number): Promise<void>;
  feed(changes?: { bytesMax?: number; onDataLoss?: 'fail' | 'skip'; from?: number }): PartitionFeed;
  reading(onDataLoss?: 'fail' | 'skip'): ReadParts;
  readonly news: () => number;
  /** Times in which feeds could not read on, ms. */
  readonly blocked: readonly number[];
  readonly signal: AbortSignal;
}

/** A log whose broker has deleted what lies below `low`. */
function trimmed(reader: SourceReader, low: number): SourceReader {
  return {
    fetch: (request) =>
      request.offset < low
        ? Promise.reject(new WeirError('OFFSET_OUT_OF_RANGE', 'gone', { facts: { low, high: 40 } }))
        : reader.fetch(request),
    close: () => reader.close(),
  };
}

async function withLog(body: (world: World) => Promise<void>, low = 0): Promise<void> {
  const options = { host: '127.0.0.1', port: 0, dataDir: null, log: noLog, clock: systemClock };
  const embedded = await startEmbedded(options);
  const connections = makeConnections(
    { WEIR_EMBEDDED: embedded.address },
    { clock: systemClock, rng: systemRng, log: noLog },
  );
  const writer = connections.logWriter('kafka', {});
  await writer.createTopic('ev', 1);
  const source = connections.source('kafka', {});
  const topic = await source.describe('ev');
  const reader = trimmed(source.open(topic), low);
  const end = new AbortController();
  const runs: Promise<void>[] = [];
  let news = 0;
  const blocked: number[] = [];
  const reading = (onDataLoss: 'fail' | 'skip' = 'fail'): ReadParts => ({
    reader,
    partition: partition(0),
    onDataLoss,
    name: 'job j, topic ev, partition 0',
    clock: systemClock,
    rng: systemRng,
    signal: end.signal,
    fetchBytes: 1 << 20,
  });
  try {
    await body({
      append: (count, laterMs, bytes = 10) =>
        writer.append(
          [
            {
              topic: 'ev',
              partition: partition(0),
              batch: encodeRecordBatch(
                Array.from({ length: count }, () => ({
                  key: null,
                  value: Buffer.alloc(bytes, 'x'),
                  timestampMs: TIME_MS + laterMs,
                })),
              ),
            },
          ],
          always,
        ),
      feed: ({ bytesMax = 1 << 20, onDataLoss = 'fail', from = 0 } = {}) => {
        const feed = new PartitionFeed({
          ...reading(onDataLoss),
          lane: laneId({ source: 'ev', topicId: topic.topicId, partition: partition(0) }),
          from: offset(from),
          bytesMax: () => bytesMax,
          onNews: () => {
            news += 1;
          },
          onFetched: () => undefined,
          onBlocked: (ms) => {
            blocked.push(ms);
          },
        });
        runs.push(feed.run());
        return feed;
      },
      reading,
      news: () => news,
      blocked,
      signal: end.signal,
    });
  } finally {
    end.abort();
    await Promise.all(runs);
    await reader.close();
    await connections.close();
    await embedded.close();
  }
}

/** A range as it comes, nothing of it released; null when it is not there any more. */
async function takeAll(feed: PartitionFeed, from: number, to: number, signal: AbortSignal): Promise<RangeData | null> {
  const all: { batches: RangeData['batches'][number][]; gaps: RangeData['gaps'][number][] } = { batches: [], gaps: [] };
  for (let at = offset(from); at < to;) {
    const piece = await feed.next(at, offset(to), signal);
    if (piece === null) return null;
    assert.ok(piece.next > at && piece.next <= to);
    all.batches.push(...piece.batches);
    all.gaps.push(...piece.gaps);
    at = piece.next;
  }
  return all;
}

const offsetsOf = (batches: readonly { readonly baseOffset: number; readonly nextOffset: number }[]): number[][] =>
  batches.map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset]);

suite('a partition that is read ahead', () => {
  test('marks are ends of batches with the greatest time up to them', () =>
    withLog(async ({ append, feed }) => {
      await append(3, 1000);
      await append(2, 500);
      await append(5, 2000);
      const ahead = feed();
      await waitFor('three marks', () => ahead.marks.length === 3);
      assert.deepEqual(ahead.marks, [
        { offset: 3, timestampMs: TIME_MS + 1000 },
        { offset: 5, timestampMs: TIME_MS + 1000 },
        { offset: 10, timestampMs: TIME_MS + 2000 },
      ]);
      assert.deepEqual([ahead.readOffset, ahead.logEnd], [10, 10]);
    }));

  test('a range has every batch that reaches into it; released ones are gone', () =>
    withLog(async ({ append, feed, signal }) => {
      for (let batch = 0; batch < 4; batch++) await append(10, batch);
      const ahead = feed();
      const first = await takeAll(ahead, 0, 15, signal);
      assert.deepEqual(offsetsOf(first?.batches ?? []), [
        [0, 10],
        [10, 20],
      ]);
      ahead.release(offset(15));
      const second = await takeAll(ahead, 15, 40, signal);
      assert.deepEqual(offsetsOf(second?.batches ?? []), [
        [10, 20],
        [20, 30],
        [30, 40],
      ]);
      assert.equal(await takeAll(ahead, 0, 15, signal), null);
      assert.equal(ahead.marks[0]?.offset, 20);
    }));

  test('a range that is not there yet is waited for, and news are told at once', () =>
    withLog(async ({ append, feed, signal, news }) => {
      const ahead = feed();
      await waitFor('the end of an empty log', () => ahead.logEnd === 0);
      const before = news();
      const taken = takeAll(ahead, 0, 4, signal);
      await append(4, 0);
      assert.deepEqual(offsetsOf((await taken)?.batches ?? []), [[0, 4]]);
      assert.ok(news() > before);
    }));

  test('an end of the log that was seen long ago is seen again before it is told as one', () =>
    withLog(async ({ append, feed, news }) => {
      const ahead = feed();
      await append(4, 0);
      await waitFor('what is there', () => ahead.readOffset === 4);
      ahead.tellAnew(60_000);
      assert.equal(ahead.isStale, false, 'it was seen within the minute');
      const before = news();
      ahead.tellAnew(-50);
      assert.deepEqual([ahead.isStale, news()], [true, before + 1], 'what was read is told at once');
      await waitFor('a fetch that began later', () => !ahead.isStale);
      assert.ok(news() > before + 1);
    }));

  test('reading stops at the bound and goes on with what is released or asked for', () =>
    withLog(async ({ append, feed, signal, blocked }) => {
      for (let batch = 0; batch < 8; batch++) await append(1, batch, 600_000);
      const ahead = feed({ bytesMax: 1_000_000 });
      await waitFor('the bound', () => ahead.bytes >= 1_000_000);
      const stoodAt = ahead.readOffset;
      assert.ok(stoodAt < 8, `read to ${stoodAt}`);
      assert.deepEqual(blocked, []);
      await sleep(30);
      // What is waited for is read although there is no room: a batch may be larger than the bound.
      const all = await takeAll(ahead, 0, 8, signal);
      assert.equal(all?.batches.length, 8);
      // Timers may come a millisecond early by the other clock.
      assert.ok((blocked[0] ?? 0) >= 29, `the time at the bound is told: ${blocked.join(', ')}`);
      ahead.release(offset(8));
      assert.deepEqual([ahead.bytes, ahead.recordBytes], [0, 0]);
    }));

  test('deleted offsets are a named failure', () =>
    withLog(async ({ append, feed, signal }) => {
      for (let batch = 0; batch < 40; batch++) await append(1, batch);
      const ahead = feed();
      await waitFor('a wall', () => ahead.wall !== null);
      assert.equal(ahead.wall?.code, 'OFFSET_OUT_OF_RANGE');
      assert.match(ahead.wall.message, /job j, topic ev, partition 0: offsets 0 to 24 were deleted before/);
      await assert.rejects(takeAll(ahead, 0, 40, signal), (error) => isWeirError(error, 'OFFSET_OUT_OF_RANGE'));
    }, 25));

  test('or a recorded gap', () =>
    withLog(async ({ append, feed, signal, reading }) => {
      for (let batch = 0; batch < 40; batch++) await append(1, batch);
      const ahead = feed({ onDataLoss: 'skip' });
      const data = await takeAll(ahead, 0, 40, signal);
      assert.deepEqual([data?.gaps, data?.batches[0]?.baseOffset], [[{ from: 0, to: 25 }], 25]);
      assert.deepEqual((await takeAll(ahead, 2, 5, signal))?.gaps, [{ from: 2, to: 5 }]);
      const known = await readRange(reading('skip'), offset(3), offset(40));
      assert.deepEqual([known.gaps, known.batches.length], [[{ from: 3, to: 25 }], 15]);
      await assert.rejects(readRange(reading('fail'), offset(3), offset(40)), (error) =>
        isWeirError(error, 'OFFSET_OUT_OF_RANGE'),
      );
    }, 25));

  test('a log that ends below the position is named', () =>
    withLog(async ({ append, feed }) => {
      await append(3, 0);
      const ahead = feed({ from: 9 });
      await waitFor('a wall', () => ahead.wall !== null);
      assert.equal(ahead.wall?.code, 'LOG_TRUNCATED');
    }));
});

suite('tasks of a range', () => {
  test('are cut by the batches alone, however they were fetched', () =>
    withLog(async ({ append, feed, reading, signal }) => {
      for (let batch = 0; batch < 9; batch++) await append(1, batch, 1_200_000);
      const whole = await takeAll(feed({ bytesMax: 40 << 20 }), 0, 9, signal);
      const pieces = await readRange({ ...reading(), fetchBytes: 1_300_000 }, offset(0), offset(9));
      const tasks = [...cutIntoTasks(whole?.batches ?? [], { from: 0, step: 1 })];
      assert.deepEqual(
        tasks.map(({ batches }) => batches.length / 5),
        [3, 3, 3],
      );
      assert.deepEqual([...cutIntoTasks(pieces.batches, { from: 0, step: 1 })], tasks);
    }));

  test('take the memory of fetches that nobody else needs, and copy the rest', () =>
    withLog(async ({ append, feed, reading, signal }) => {
      for (let batch = 0; batch < 6; batch++) await append(1, batch, 300_000);
      const range = await readRange({ ...reading(), fetchBytes: 950_000 }, offset(0), offset(6));
      const fetches = new Set(range.batches.map(({ bytes }) => bytes));
      assert.ok(fetches.size > 1);
      const copies = [...cutIntoTasks(range.batches, { from: 0, step: 1 })];
      const pool = new MemoryPool();
      // The range ends within the last batch: the next epoch reads it once more.
      const again = await readRange({ ...reading(), fetchBytes: 950_000 }, offset(0), offset(6));
      const cut = taken(again.batches, offset(5), pool);
      assert.notEqual(again.batches.at(-1)?.memory.buffer, null);
      assert.equal(again.batches[0]?.memory.buffer, null);
      assert.ok(!cut.some(({ bytes }) => bytes === again.batches.at(-1)?.bytes));
      const pieces = taken(range.batches, offset(6), pool);
      assert.deepEqual(new Set(pieces.map(({ bytes }) => bytes)), fetches);
      const read = (from: readonly TaskBytes[]): Buffer[] =>
        from.flatMap(({ bytes, batches }) =>
          [0, 1, 2, 3, 4, 5]
            .filter((batch) => batch * 5 < batches.length)
            .map((batch) => Buffer.from(bytes.slice(batches[batch * 5], batches[batch * 5 + 1]))),
        );
      assert.deepEqual(read(pieces), read(copies));
      // Taken once, it is nobody's to take or to give back any more.
      giveBack(range.batches, offset(6), pool);
      assert.equal(pool.idleBytes, 0);
      const whole = await takeAll(feed({ bytesMax: 10 << 20 }), 0, 5, signal);
      const part = taken(whole?.batches ?? [], offset(5), pool);
      assert.deepEqual(read(part), read(copies).slice(0, 5));
    }));
});
