/** The contract of Source and SourceReader, for every implementation. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { isWeirError, type ErrorCode } from '../../core/errors.ts';
import { offset, partition, topicId, type Partition } from '../../core/ids.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { Fetched, LogWriter, Source, SourceReader } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { readBatchHeaders, RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';

export interface LogFixture {
  readonly source: Source;
  readonly writer: LogWriter;
  deleteTopic(topic: string): Promise<void>;
  /** Moves the start of a partition up to `before`, as retention does. */
  deleteRecords(topic: string, partition: number, before: number): Promise<void>;
  close(): Promise<void>;
}

export const always: WritePermit = { valid: () => true, check: () => undefined };

/** ms of the first test record; record i is dated i seconds later. */
export const T0 = 1_700_000_000_000;

const encoder = new TextEncoder();

/** A batch of records whose values are `<name>-<index>`, from index `first` on. */
export function batchOf(name: string, first: number, count: number, padding = 0): Uint8Array {
  return encodeRecordBatch(
    Array.from({ length: count }, (_, index) => ({
      key: encoder.encode(String(first + index)),
      value: encoder.encode(`${name}-${first + index}${'.'.repeat(padding)}`),
      timestampMs: T0 + (first + index) * 1000,
    })),
  );
}

/** The values of fetched records at or after `from`, without padding, and their offsets. Uncompressed batches only. */
export function valuesOf(bytes: Uint8Array, from = 0): { readonly offset: number; readonly value: string }[] {
  const values: { offset: number; value: string }[] = [];
  for (const header of readBatchHeaders(bytes)) {
    let at = header.start + RECORD_BATCH_HEADER_BYTES;
    const varint = (): number => {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[at++] ?? 0;
        value += (byte & 0x7f) * scale;
        if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
    };
    for (let count = 0; count < header.recordCount; count++) {
      const length = varint();
      const end = at + length;
      at += 1;
      varint();
      const offset = header.baseOffset + varint();
      const keyLength = varint();
      at += Math.max(0, keyLength);
      const valueLength = varint();
      const value = new TextDecoder().decode(bytes.subarray(at, at + valueLength)).replace(/\.+$/, '');
      if (offset >= from) values.push({ offset, value });
      at = end;
    }
  }
  return values;
}

const code =
  (expected: ErrorCode, facts?: Readonly<Record<string, unknown>>) =>
  (error: unknown): boolean => {
    assert.ok(isWeirError(error), `a WeirError, not ${String(error)}`);
    assert.equal(error.code, expected, error.message);
    if (facts !== undefined) assert.deepEqual(error.facts, facts);
    return true;
  };

/** Registers the suite; topics have unique names. */
export function sourceContract(name: string, make: () => Promise<LogFixture>): void {
  describe(`Source contract: ${name}`, () => {
    let fixture: LogFixture;
    let source: Source;
    let writer: LogWriter;
    const unique = randomUUID().slice(0, 8);
    let count = 0;
    const p = (index: number): Partition => partition(index);

    const created = async (partitions = 1): Promise<string> => {
      const topic = `contract_${unique}_${++count}`;
      await writer.createTopic(topic, partitions);
      return topic;
    };
    const append = (topic: string, index: number, batch: Uint8Array): Promise<void> =>
      writer.append([{ topic, partition: p(index), batch }], always);
    const opened = async (topic: string): Promise<SourceReader> => source.open(await source.describe(topic));
    const fetch = (
      reader: SourceReader,
      from: number,
      options: { readonly index?: number; readonly maxBytes?: number; readonly maxWaitMs?: number } = {},
    ): Promise<Fetched> =>
      reader.fetch({
        partition: p(options.index ?? 0),
        offset: offset(from),
        maxBytes: options.maxBytes ?? 1024 * 1024,
        maxWaitMs: options.maxWaitMs ?? 0,
      });
    /** Fetches until something comes: a broker may answer early with nothing. */
    const fetchSome = async (
      reader: SourceReader,
      from: number,
      options: Parameters<typeof fetch>[2] = {},
    ): Promise<Fetched> => {
      for (let attempt = 0; ; attempt++) {
        const fetched = await fetch(reader, from, { maxWaitMs: 2000, ...options });
        if (fetched.bytes.byteLength > 0 || attempt === 10) return fetched;
      }
    };
    /** Everything from `from` to `end`, fetched as a lane does. */
    const readAll = async (reader: SourceReader, index: number, from: number, end: number, maxBytes = 1024 * 1024) => {
      const values: { offset: number; value: string }[] = [];
      for (let at = from; at < end;) {
        const { bytes } = await fetchSome(reader, at, { index, maxBytes });
        const last = readBatchHeaders(bytes).at(-1);
        assert.ok(last !== undefined, `data at offset ${at}`);
        values.push(...valuesOf(bytes, at));
        at = last.nextOffset;
      }
      return values;
    };

    before(async () => {
      fixture = await make();
      ({ source, writer } = fixture);
    });
    after(async () => {
      await fixture?.source.close();
      await fixture?.close();
    });

    test('describe gives partitions and an id that stays', async () => {
      const topic = await created(3);
      const first = await source.describe(topic);
      assert.deepEqual([first.topic, first.partitions], [topic, [0, 1, 2]]);
      assert.ok(first.topicId.length > 8);
      assert.equal((await source.describe(topic)).topicId, first.topicId);
    });

    test('a topic that is not there', async () => {
      const missing = `contract_${unique}_missing`;
      await assert.rejects(source.describe(missing), code('TOPIC_NOT_FOUND'));
      await assert.rejects(source.offsets(missing, [p(0)], 'earliest'), code('TOPIC_NOT_FOUND'));
      await assert.rejects(source.describe(missing), code('TOPIC_NOT_FOUND'), 'asking does not create it');
    });

    test('offsets: earliest, latest and by time', async () => {
      const topic = await created(2);
      assert.deepEqual(
        [...(await source.offsets(topic, [p(0), p(1)], 'latest'))],
        [
          [0, 0],
          [1, 0],
        ],
      );
      await append(topic, 0, batchOf('a', 0, 5));
      await append(topic, 0, batchOf('a', 5, 5));
      assert.deepEqual(
        [...(await source.offsets(topic, [p(1), p(0)], 'latest'))],
        [
          [1, 0],
          [0, 10],
        ],
      );
      assert.deepEqual(
        [...(await source.offsets(topic, [p(0), p(1)], 'earliest'))],
        [
          [0, 0],
          [1, 0],
        ],
      );
      const at = async (timestampMs: number): Promise<number | undefined> =>
        (await source.offsets(topic, [p(0)], { timestampMs })).get(p(0));
      assert.equal(await at(0), 0);
      assert.equal(await at(T0 + 5000), 5, 'a time of the second batch');
      assert.equal(await at(T0 + 3000), 3, 'a record within a batch');
      assert.equal(await at(T0 + 6001), 7, 'the record after the time');
      assert.equal(await at(T0 + 3_600_000), 10, 'a time after the last record is the end');
    });

    test('records come back as they were appended, from the start, from mid-batch, and none at the end', async () => {
      const topic = await created();
      const reader = await opened(topic);
      const batches = [batchOf('a', 0, 4), batchOf('a', 4, 4), batchOf('a', 8, 2)];
      for (const batch of batches) await append(topic, 0, batch);
      const all = await fetchSome(reader, 0);
      const headers = readBatchHeaders(all.bytes);
      assert.deepEqual(
        headers.map((header) => [header.baseOffset, header.nextOffset]),
        [
          [0, 4],
          [4, 8],
          [8, 10],
        ],
      );
      // Beyond offsets and the leader's epoch, which the CRC does not cover, nothing changes.
      headers.forEach((header, index) =>
        assert.deepEqual(new Uint8Array(all.bytes.slice(header.start + 16, header.end)), batches[index]?.slice(16)),
      );
      assert.deepEqual([all.logStartOffset, all.highWatermark, all.lastStableOffset], [0, 10, 10]);

      const middle = await fetchSome(reader, 6);
      assert.equal(readBatchHeaders(middle.bytes)[0]?.baseOffset, 4, 'the batch that holds the offset comes whole');
      assert.deepEqual(
        valuesOf(middle.bytes, 6).map((record) => record.value),
        ['a-6', 'a-7', 'a-8', 'a-9'],
      );

      const end = await fetch(reader, 10);
      assert.deepEqual([end.bytes.byteLength, end.highWatermark], [0, 10]);
      await reader.close();
    });

    test('bytes are the receiver’s own', async () => {
      const topic = await created();
      const reader = await opened(topic);
      await append(topic, 0, batchOf('a', 0, 3));
      const first = await fetchSome(reader, 0);
      if (first.transferable) assert.equal(first.bytes.byteLength, first.bytes.buffer.byteLength);
      first.bytes.fill(0);
      assert.deepEqual(valuesOf((await fetchSome(reader, 0)).bytes).length, 3);
      await reader.close();
    });

    test('a waiting fetch wakes at the next append', async () => {
      const topic = await created(2);
      const reader = await opened(topic);
      let done = false;
      const waiting = fetch(reader, 0, { index: 1, maxWaitMs: 60_000 }).finally(() => (done = true));
      await append(topic, 0, batchOf('other', 0, 1));
      await fetchSome(reader, 0);
      assert.equal(done, false, 'an append to another partition does not wake it with nothing');
      await append(topic, 1, batchOf('a', 0, 1));
      assert.deepEqual(
        valuesOf((await waiting).bytes).map((record) => record.value),
        ['a-0'],
      );
      await reader.close();
    });

    test('no partition waits for another', async () => {
      const topic = await created(4);
      const reader = await opened(topic);
      const idle = [0, 1, 2].map((index) => fetch(reader, 0, { index, maxWaitMs: 2000 }));
      await append(topic, 3, batchOf('a', 0, 2));
      assert.equal(valuesOf((await fetchSome(reader, 0, { index: 3 })).bytes).length, 2);
      for (const fetched of await Promise.all(idle)) assert.equal(fetched.bytes.byteLength, 0);
      await reader.close();
    });

    test('many partitions at once keep their order', async () => {
      const partitions = 16;
      const topic = await created(partitions);
      const reader = await opened(topic);
      const indexes = Array.from({ length: partitions }, (_, index) => index);
      const reads = indexes.map((index) => readAll(reader, index, 0, 60, 2000));
      for (let first = 0; first < 60; first += 6) {
        await writer.append(
          indexes.map((index) => ({
            topic,
            partition: p(index),
            batch: batchOf(`p${'abcdefghijklmnop'[index]}`, first, 6),
          })),
          always,
        );
      }
      for (const [index, values] of (await Promise.all(reads)).entries()) {
        const expected = Array.from({ length: 60 }, (_, at) => ({
          offset: at,
          value: `p${'abcdefghijklmnop'[index]}-${at}`,
        }));
        assert.deepEqual(values, expected);
      }
      await reader.close();
    });

    test('a batch larger than asked for comes whole', async () => {
      const topic = await created();
      const reader = await opened(topic);
      await append(topic, 0, batchOf('small', 0, 1));
      await append(topic, 0, batchOf('big', 1, 10, 70_000));
      await append(topic, 0, batchOf('small', 11, 1));
      const values = await readAll(reader, 0, 0, 12, 1000);
      assert.deepEqual(
        values.map((record) => record.offset),
        Array.from({ length: 12 }, (_, index) => index),
      );
      await reader.close();
    });

    test('two readers of one topic do not take each other’s records', async () => {
      const topic = await created();
      const readers = [await opened(topic), await opened(topic)];
      const reads = readers.map((reader) => readAll(reader, 0, 0, 20));
      for (let first = 0; first < 20; first += 5) await append(topic, 0, batchOf('a', first, 5));
      for (const values of await Promise.all(reads)) assert.equal(values.length, 20);
      for (const reader of readers) await reader.close();
    });

    test('an aborted fetch ends, and the reader goes on', async () => {
      const topic = await created();
      const reader = await opened(topic);
      const abort = new AbortController();
      const waiting = reader.fetch({
        partition: p(0),
        offset: offset(0),
        maxBytes: 1000,
        maxWaitMs: 60_000,
        signal: abort.signal,
      });
      abort.abort(new Error('enough'));
      await assert.rejects(waiting, /enough/);
      await append(topic, 0, batchOf('a', 0, 1));
      assert.equal(valuesOf((await fetchSome(reader, 0)).bytes).length, 1);
      await reader.close();
    });

    test('offsets that are gone or not there yet are out of range, with both ends', async () => {
      const topic = await created();
      const reader = await opened(topic);
      for (let first = 0; first < 10; first += 2) await append(topic, 0, batchOf('a', first, 2));
      await fixture.deleteRecords(topic, 0, 5);
      assert.deepEqual([...(await source.offsets(topic, [p(0)], 'earliest'))], [[0, 5]]);
      await assert.rejects(fetch(reader, 4), code('OFFSET_OUT_OF_RANGE', { low: 5, high: 10 }));
      await assert.rejects(fetch(reader, 11), code('OFFSET_OUT_OF_RANGE', { low: 5, high: 10 }));
      assert.deepEqual(
        valuesOf((await fetchSome(reader, 5)).bytes, 5).map((record) => record.value),
        ['a-5', 'a-6', 'a-7', 'a-8', 'a-9'],
      );
      await reader.close();
    });

    test('a topic deleted and created again has another id, and readers of the old one are told', async () => {
      const topic = await created();
      const old = await source.describe(topic);
      const reader = source.open(old);
      await append(topic, 0, batchOf('a', 0, 3));
      await fetchSome(reader, 0);
      await fixture.deleteTopic(topic);
      await assert.rejects(
        (async () => {
          // A broker that has not heard yet may serve or refuse for a moment.
          for (let attempt = 0; attempt < 100; attempt++) await fetch(reader, 3, { maxWaitMs: 50 });
        })(),
        (error) => isWeirError(error, 'TOPIC_NOT_FOUND') || isWeirError(error, 'TOPIC_RECREATED'),
      );
      await recreated(topic);
      const next = await source.describe(topic);
      assert.notEqual(next.topicId, old.topicId);
      await assert.rejects(fetch(source.open(old), 0), code('TOPIC_RECREATED'));
      const fresh = source.open(next);
      await append(topic, 0, batchOf('b', 0, 1));
      assert.deepEqual(
        valuesOf((await fetchSome(fresh, 0)).bytes).map((record) => record.value),
        ['b-0'],
      );
      await fresh.close();
      await reader.close();
    });

    /** Creates the topic anew; a broker may need a moment to finish the removal. */
    const recreated = async (topic: string): Promise<void> => {
      for (let attempt = 0; ; attempt++) {
        try {
          await writer.createTopic(topic, 1);
          await source.describe(topic);
          return;
        } catch (error) {
          if (attempt === 50) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    };

    test('a reader whose topic id never was is told', async () => {
      const topic = await created();
      const description = await source.describe(topic);
      const reader = source.open({ ...description, topicId: topicId('00000000-0000-4000-8000-000000000001') });
      await assert.rejects(fetch(reader, 0), code('TOPIC_RECREATED'));
      await reader.close();
    });

    test('offsets shown for other tools do no harm', async () => {
      const topic = await created();
      await source.showOffsets(`contract-${unique}`, topic, new Map([[p(0), offset(0)]]));
    });

    test('a closed reader fetches no more', async () => {
      const topic = await created();
      const reader = await opened(topic);
      const waiting = fetch(reader, 0, { maxWaitMs: 60_000 });
      await reader.close();
      await assert.rejects(waiting);
      await assert.rejects(fetch(reader, 0));
    });
  });
}

/** All records of a partition from its first offset, 0, to its end. Uncompressed batches only. */
export async function readValues(
  source: Source,
  topic: string,
  index: number,
): Promise<{ readonly offset: number; readonly value: string }[]> {
  const reader = source.open(await source.describe(topic));
  const end = (await source.offsets(topic, [partition(index)], 'latest')).get(partition(index)) ?? 0;
  const values: { offset: number; value: string }[] = [];
  while (values.length < end) {
    const { bytes } = await reader.fetch({
      partition: partition(index),
      offset: offset(values.length),
      maxBytes: 1 << 20,
      maxWaitMs: 1000,
    });
    const more = valuesOf(bytes, values.length);
    assert.ok(more.length > 0, `data at ${values.length} of ${end}`);
    values.push(...more);
  }
  await reader.close();
  return values;
}
