import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Producer } from 'kafkajs';
import { isWeirError } from '../../core/errors.ts';
import { offset, partition } from '../../core/ids.ts';
import { RECORD_BATCH_HEADER_BYTES, readBatchHeaders } from '../../core/record-batch.ts';
import type { Compression } from '../../core/record-batch-encoder.ts';
import { encodeRecordBatch, finishRecordBatch } from '../../core/record-batch-encoder.ts';
import { ByteBuffer } from '../../engine/byte-buffer.ts';
import { Compressor } from '../../engine/codecs/compression.ts';
import { always, batchOf, T0 } from '../../test/conformance/source.ts';
import { jars, javaCommand } from '../../test/services/jars.ts';
import { globalServices, kafkaJars, uniqueName } from '../../test/services/services.ts';
import type { TestCluster } from './test-log.ts';
import { connect, readVisible } from './test-log.ts';

const services = globalServices();
const compressions: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const p0 = partition(0);
let cluster: TestCluster;
let address: string;

before(async () => {
  ({ address } = await services.kafka());
  cluster = await connect(address);
});
after(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

async function topicOf(prefix: string, partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<string> {
  const topic = uniqueName(prefix);
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  await cluster.admin.createTopics({
    topics: [{ topic, numPartitions: partitions, configEntries }],
    waitForLeaders: true,
  });
  return topic;
}

async function endOf(topic: string): Promise<number> {
  return (await cluster.source.offsets(topic, [p0], 'latest')).get(p0) ?? -1;
}

/**
 * The end of a log none of whose transactions is open: a broker acknowledges the end of a transaction before its markers
 * stand in the log, so the last stable offset may lag behind the high watermark for a moment. The reader tells both;
 * kafkajs cannot be asked for the high watermark (its list offsets reads committed records only).
 */
async function settledEndOf(topic: string): Promise<number> {
  const reader = cluster.source.open(await cluster.source.describe(topic));
  try {
    for (;;) {
      const at = offset(await endOf(topic));
      const { lastStableOffset, highWatermark } = await reader.fetch({
        partition: p0,
        offset: at,
        maxBytes: 1,
        maxWaitMs: 0,
      });
      if (lastStableOffset === highWatermark) return highWatermark;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    await reader.close();
  }
}

/** Every record of partition 0 up to its settled end. */
async function readAll(topic: string, options: { readonly from?: number; readonly maxBytes?: number } = {}) {
  const reader = cluster.source.open(await cluster.source.describe(topic));
  try {
    return await readVisible(reader, { end: await settledEndOf(topic), ...options });
  } finally {
    await reader.close();
  }
}

suite('what producers write', () => {
  for (const compression of compressions) {
    test(`the Java producer's ${compression} batches, with keys and headers`, async () => {
      const topic = await topicOf('java');
      const count = 500;
      const lines = Array.from(
        { length: count },
        (_, index) => `h:${index}\tkey-${index}\tvalue-${index}-${'é'.repeat(index % 50)}`,
      );
      await javaProduce(topic, compression, lines);
      const records = await readAll(topic);
      assert.deepEqual(
        records.map(({ key, value, headers }) => ({ key, value, headers })),
        Array.from({ length: count }, (_, index) => ({
          key: `key-${index}`,
          value: `value-${index}-${'é'.repeat(index % 50)}`,
          headers: [['h', String(index)]],
        })),
      );
      assert.deepEqual(
        records.map((record) => record.offset),
        Array.from({ length: count }, (_, index) => index),
      );
    });

    test(`our own ${compression} batches, as the broker accepts and keeps them`, async () => {
      const topic = await topicOf('own');
      const batch = compressed(batchOf('a', 0, 200, 30), 200, compression);
      await cluster.writer.append([{ topic, partition: p0, batch }], always);
      const records = await readAll(topic, { from: 50 });
      assert.deepEqual(
        records.map((record) => record.value),
        Array.from({ length: 150 }, (_, index) => `a-${index + 50}${'.'.repeat(30)}`),
      );
      assert.equal(records[0]?.timestampMs, T0 + 50_000);
    });
  }

  test('null keys, null and empty values, and headers', async () => {
    const topic = await topicOf('nulls');
    await producing({}, (producer) =>
      producer.send({
        topic,
        messages: [
          { partition: 0, key: null, value: null },
          { partition: 0, key: '', value: '' },
          { partition: 0, key: 'k', value: null, headers: { a: 'x', b: Buffer.from('y') } },
        ],
      }),
    );
    const records = await readAll(topic);
    assert.deepEqual(
      records.map(({ key, value, headers }) => [key, value, headers]),
      [
        [null, null, []],
        ['', '', []],
        [
          'k',
          null,
          [
            ['a', 'x'],
            ['b', 'y'],
          ],
        ],
      ],
    );
  });

  test('a batch of 300,000 records', async () => {
    const topic = await topicOf('many', 1, { 'max.message.bytes': '20000000' });
    const count = 300_000;
    const records = Array.from({ length: count }, (_, index) => ({
      key: null,
      value: Buffer.from(String(index)),
      timestampMs: T0,
    }));
    await cluster.writer.append([{ topic, partition: p0, batch: encodeRecordBatch(records) }], always);
    const read = await readAll(topic, { from: count - 3 });
    assert.deepEqual(
      read.map((record) => record.value),
      ['299997', '299998', '299999'],
    );
  });

  test('times the broker sets, where the topic asks for them', async () => {
    const topic = await topicOf('append_time', 1, { 'message.timestamp.type': 'LogAppendTime' });
    const startedAt = Date.now();
    await cluster.writer.append([{ topic, partition: p0, batch: batchOf('a', 0, 2) }], always);
    const records = await readAll(topic);
    assert.ok(
      records.every((record) => record.timestampMs >= startedAt - 1000),
      JSON.stringify(records),
    );
  });
});

suite('transactions', () => {
  const fetchBytes = 64 * 1024;

  async function committedOnly(topic: string, committed: number, from = 0): Promise<void> {
    const records = await readAll(topic, { from, maxBytes: fetchBytes });
    assert.deepEqual(
      records.filter((record) => record.value?.startsWith('ABORT')),
      [],
    );
    assert.equal(records.length, committed);
  }

  test('one producer: abort, commit, abort, commit', async () => {
    const topic = await topicOf('txn');
    await transactional(async (producer) => {
      for (const outcome of ['abort', 'commit', 'abort', 'commit'] as const)
        await transaction(producer, topic, outcome, 10);
    });
    await committedOnly(topic, 20);
  });

  test('one aborted transaction over many fetches', async () => {
    const topic = await topicOf('txn_long');
    await transactional(async (producer) => {
      await transaction(producer, topic, 'commit', 3);
      await transaction(producer, topic, 'abort', 2000, 20);
      await transaction(producer, topic, 'commit', 4);
    });
    await committedOnly(topic, 7);
  });

  for (const [from, committed] of [
    [0, 10],
    [7, 10],
    [13, 10],
    [52, 10],
  ] as const) {
    test(`two aborted producers that interleave, read from ${from}`, async () => {
      const topic = await interleaved();
      const records = await readAll(topic, { from, maxBytes: fetchBytes });
      assert.deepEqual(
        records.map((record) => record.value),
        Array.from({ length: committed }, (_, index) => `COMMIT-${index}`),
      );
    });
  }

  test('aborted records whose key looks like an abort marker', async () => {
    const topic = await topicOf('txn_key');
    await transactional(async (producer) => {
      const open = await producer.transaction();
      await open.send({ topic, messages: [{ partition: 0, key: Buffer.alloc(4), value: 'ABORT-0' }] });
      await open.send({
        topic,
        messages: Array.from({ length: 14 }, (_, index) => ({
          partition: 0,
          key: Buffer.alloc(4),
          value: `ABORT-${index + 1}`,
        })),
      });
      await open.abort();
      await transaction(producer, topic, 'commit', 5);
    });
    await committedOnly(topic, 5);
  });

  test('two producers: aborts, then commits', async () => {
    const topic = await topicOf('txn_two');
    await transactional(async (one) => {
      await transactional(async (two) => {
        for (const outcome of ['abort', 'commit'] as const) {
          const [a, b] = [await one.transaction(), await two.transaction()];
          for (const [index, open] of [a, b, a, b].entries()) {
            await open.send({ topic, messages: [{ partition: 0, value: `${outcome.toUpperCase()}-${index}` }] });
          }
          for (const open of [b, a]) await (outcome === 'abort' ? open.abort() : open.commit());
        }
      });
    });
    await committedOnly(topic, 4);
  });

  test('an open transaction holds the end back until it is done', async () => {
    const topic = await topicOf('txn_open');
    await transactional(async (producer) => {
      await transaction(producer, topic, 'commit', 2);
      const open = await producer.transaction();
      await open.send({ topic, messages: [{ partition: 0, value: 'COMMIT-2' }] });
      await cluster.writer.append([{ topic, partition: p0, batch: batchOf('plain', 0, 1) }], always);
      assert.equal(await endOf(topic), 3, 'two records and a marker');
      const reader = cluster.source.open(await cluster.source.describe(topic));
      const held = await reader.fetch({ partition: p0, offset: offset(3), maxBytes: 1000, maxWaitMs: 50 });
      assert.deepEqual([held.bytes.byteLength, held.lastStableOffset, held.highWatermark], [0, 3, 5]);
      const waiting = reader.fetch({ partition: p0, offset: offset(3), maxBytes: 100_000, maxWaitMs: 10_000 });
      await open.commit();
      assert.equal(readBatchHeaders((await waiting).bytes)[0]?.baseOffset, 3);
      await reader.close();
      assert.equal(await settledEndOf(topic), 6);
    });
  });

  /** Two producers take turns with five records each, ten times, and both abort; then one commits ten. */
  async function interleaved(): Promise<string> {
    const topic = await topicOf('txn_turns');
    await transactional(async (one) => {
      await transactional(async (two) => {
        const [a, b] = [await one.transaction(), await two.transaction()];
        for (let round = 0; round < 10; round++) {
          const open = round % 2 === 0 ? a : b;
          await open.send({
            topic,
            messages: Array.from({ length: 5 }, (_, index) => ({ partition: 0, value: `ABORT-${index}` })),
          });
        }
        await a.abort();
        await b.abort();
        // 50 records and two markers, which are written after the answer: from here on offsets are 52 and more.
        assert.equal(await settledEndOf(topic), 52);
        await transaction(one, topic, 'commit', 10);
      });
    });
    return topic;
  }
});

suite('topics that change', () => {
  test('partitions added later can be read by an open reader', async () => {
    const topic = await topicOf('grows', 1);
    const reader = cluster.source.open(await cluster.source.describe(topic));
    await reader.fetch({ partition: p0, offset: offset(0), maxBytes: 1000, maxWaitMs: 0 });
    const p2 = partition(2);
    await assert.rejects(reader.fetch({ partition: p2, offset: offset(0), maxBytes: 1000, maxWaitMs: 0 }), (error) =>
      isWeirError(error, 'TOPIC_NOT_FOUND'),
    );
    await cluster.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
    await describedWith(topic, 3);
    const other = await connect(address);
    await using _ = other;
    await other.writer.append([{ topic, partition: p2, batch: batchOf('a', 0, 2) }], always);
    const records = await readVisible(reader, { partition: 2, end: 2 });
    assert.deepEqual(
      records.map((record) => record.value),
      ['a-0', 'a-1'],
    );
    await reader.close();
  });

  test('offsets are shown in the consumer group', async () => {
    const topic = await topicOf('shown', 2);
    const group = uniqueName('shown');
    await cluster.source.showOffsets(
      group,
      topic,
      new Map([
        [p0, offset(5)],
        [partition(1), offset(9)],
      ]),
    );
    const [shown] = await cluster.admin.fetchOffsets({ groupId: group, topics: [topic] });
    assert.deepEqual(shown?.partitions.map((each) => [each.partition, each.offset]).toSorted(), [
      [0, '5'],
      [1, '9'],
    ]);
  });

  async function describedWith(topic: string, count: number): Promise<void> {
    while ((await cluster.source.describe(topic)).partitions.length < count)
      await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

suite('what cannot be written', () => {
  test('a batch larger than the topic takes', async () => {
    const topic = await topicOf('small', 1, { 'max.message.bytes': '2000' });
    await assert.rejects(
      cluster.writer.append([{ topic, partition: p0, batch: batchOf('a', 0, 10, 500) }], always),
      (error) => {
        assert.ok(isWeirError(error, 'SINK_REFUSED'), String(error));
        assert.match(error.message, /too large; raise max\.message\.bytes/);
        return true;
      },
    );
  });

  test('a partition that is not there', async () => {
    const topic = await topicOf('one');
    await assert.rejects(
      cluster.writer.append([{ topic, partition: partition(5), batch: batchOf('a', 0, 1) }], always),
      (error) => isWeirError(error, 'TOPIC_NOT_FOUND'),
    );
  });
});

suite('many lanes on one reader', () => {
  test('a partition asked for while others wait for data gets its own at once', async () => {
    const topic = await topicOf('lanes', 4);
    const reader = cluster.source.open(await cluster.source.describe(topic));
    const end = new AbortController();
    const idle = [0, 1, 2].map((index) =>
      reader
        .fetch({
          partition: partition(index),
          offset: offset(0),
          maxBytes: 1000,
          maxWaitMs: 3_600_000,
          signal: end.signal,
        })
        .catch(() => undefined),
    );
    await cluster.writer.append([{ topic, partition: partition(3), batch: batchOf('a', 0, 5) }], always);
    assert.equal((await readVisible(reader, { partition: 3, end: 5 })).length, 5);
    end.abort();
    await Promise.all(idle);
    await reader.close();
  });
});

// --------------------------------------------------------------------------------------------------------- producers

async function producing(
  options: Parameters<TestCluster['kafka']['producer']>[0],
  use: (producer: Producer) => Promise<unknown>,
): Promise<void> {
  const producer = cluster.kafka.producer({ allowAutoTopicCreation: false, ...options });
  await producer.connect();
  try {
    await use(producer);
  } finally {
    await producer.disconnect();
  }
}

function transactional(use: (producer: Producer) => Promise<unknown>): Promise<void> {
  return producing({ transactionalId: uniqueName('txn'), maxInFlightRequests: 1, idempotent: true }, use);
}

/** One transaction of `count` records of about 1 KB, sent in `batches` batches. */
async function transaction(
  producer: Producer,
  topic: string,
  outcome: 'abort' | 'commit',
  count: number,
  batches = 1,
): Promise<void> {
  const open = await producer.transaction();
  const padding = count > 1000 ? 'x'.repeat(1000) : '';
  for (let batch = 0; batch < batches; batch++) {
    const size = count / batches;
    const messages = Array.from({ length: size }, (_, index) => ({
      partition: 0,
      value: `${outcome.toUpperCase()}-${batch * size + index}${padding}`,
    }));
    await open.send({ topic, messages });
  }
  await (outcome === 'abort' ? open.abort() : open.commit());
}

/** Lines are `name:value TAB key TAB value`. */
async function javaProduce(topic: string, compression: Compression, lines: readonly string[]): Promise<void> {
  const java = javaCommand('the Java producer');
  const lib = await jars(...kafkaJars);
  const args = ['-XX:TieredStopAtLevel=1', '-cp', join(lib, '*'), 'org.apache.kafka.tools.ConsoleProducer'];
  const options = ['--bootstrap-server', address, '--topic', topic, '--compression-codec', compression];
  const properties = ['--property', 'parse.key=true', '--property', 'parse.headers=true'];
  await new Promise<void>((resolve, reject) => {
    const child = execFile(java, [...args, ...options, ...properties], (error) =>
      error === null ? resolve() : reject(error),
    );
    child.stdin?.end(`${lines.join('\n')}\n`);
  });
}

/** The batch with its records compressed. */
function compressed(batch: Uint8Array, recordCount: number, compression: Compression): Uint8Array {
  const records = new ByteBuffer();
  new Compressor(compression).compress(batch, RECORD_BATCH_HEADER_BYTES, batch.byteLength, records);
  const whole = new Uint8Array(RECORD_BATCH_HEADER_BYTES + records.length);
  whole.set(records.bytes.subarray(0, records.length), RECORD_BATCH_HEADER_BYTES);
  const lastMs = T0 + (recordCount - 1) * 1000;
  finishRecordBatch(whole, { baseOffset: 0, compression, recordCount, firstTimestampMs: T0, maxTimestampMs: lastMs });
  return whole;
}
