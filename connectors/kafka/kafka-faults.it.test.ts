/** Brokers that stop, hang and hand over: each test has servers of its own. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isWeirError, WeirError } from '../../core/errors.ts';
import { offset, partition } from '../../core/ids.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { SourceReader } from '../../core/ports.ts';
import { readBatchHeaders } from '../../core/record-batch.ts';
import { always, batchOf, valuesOf } from '../../test/conformance/source.ts';
import { freePorts } from '../../test/services/java-server.ts';
import { startKafka } from '../../test/services/services.ts';
import type { TestCluster } from './test-log.ts';
import { connect } from './test-log.ts';

const own = {
  skip: process.env['KAFKA_BROKERS'] === undefined ? false : 'KAFKA_BROKERS names servers that may not be stopped',
};
const p0 = partition(0);

suite('one broker', own, () => {
  test('reading and writing go on over restarts, kill9 and a pause, and nothing is lost', async () => {
    const server = await startKafka();
    await using _ = { [Symbol.asyncDispose]: () => server.dispose() };
    await using cluster = await connect(server.address);
    await cluster.writer.createTopic('events', 1);
    const traffic = new Traffic(cluster, 'events', p0);

    await traffic.passes(20);
    await server.stop();
    await traffic.failsToRead(server.address);
    await server.restart();
    await traffic.passes(20);

    await server.kill9();
    await server.restart();
    await traffic.passes(20);

    server.pause();
    await traffic.failsToRead(server.address);
    server.resume();
    await traffic.passes(20);
    await traffic.end();
  });

  test('a writer that may not write any more stops trying', async () => {
    const server = await startKafka();
    await using _ = { [Symbol.asyncDispose]: () => server.dispose() };
    await using cluster = await connect(server.address);
    await cluster.writer.createTopic('events', 1);
    await cluster.writer.append([{ topic: 'events', partition: p0, batch: batchOf('a', 0, 1) }], always);
    await server.kill9();
    let checks = 0;
    const expiring: WritePermit = {
      valid: () => checks < 3,
      check: () => {
        if (++checks >= 3) throw new WeirError('FENCED', 'the permit has expired');
      },
    };
    await assert.rejects(
      cluster.writer.append([{ topic: 'events', partition: p0, batch: batchOf('a', 1, 1) }], expiring),
      (error) => isWeirError(error, 'FENCED'),
    );
    assert.ok(checks >= 3);
  });

  test('a writer that is closed stops trying', async () => {
    const server = await startKafka();
    await using _ = { [Symbol.asyncDispose]: () => server.dispose() };
    const cluster = await connect(server.address);
    await cluster.writer.createTopic('events', 1);
    await server.kill9();
    const writing = cluster.writer.append([{ topic: 'events', partition: p0, batch: batchOf('a', 1, 1) }], always);
    await Promise.all([
      assert.rejects(writing, (error) => isWeirError(error, 'SINK_UNAVAILABLE')),
      cluster.writer.close(),
    ]);
    await cluster[Symbol.asyncDispose]();
  });
});

test('no broker at all: one sentence with the address', async () => {
  const [port] = await freePorts(1);
  const { KafkaSource } = await import('./kafka-source.ts');
  const { KafkaLogWriter } = await import('./kafka-log-writer.ts');
  const { parts } = await import('./test-log.ts');
  const options = { brokers: [`127.0.0.1:${port}`], clientId: 'weir-test' };
  const source = new KafkaSource(options, parts);
  await assert.rejects(source.describe('events'), (error) => {
    assert.ok(isWeirError(error, 'SOURCE_UNAVAILABLE'), String(error));
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
    assert.match(error.message, /ECONNREFUSED/);
    return true;
  });
  const writer = new KafkaLogWriter(options, parts);
  await assert.rejects(writer.partitionCount('events'), (error) => isWeirError(error, 'SINK_UNAVAILABLE'));
  await assert.rejects(writer.createTopic('events', 1), (error) => isWeirError(error, 'SINK_UNAVAILABLE'));
  await source.close();
  await writer.close();
});

test('two brokers: partitions change their leader while they are read and written', own, async () => {
  const first = await startKafka({
    properties: { 'leader.imbalance.check.interval.seconds': '1', 'leader.imbalance.per.broker.percentage': '0' },
  });
  await using _1 = { [Symbol.asyncDispose]: () => first.dispose() };
  const second = await startKafka({ joins: first });
  await using _2 = { [Symbol.asyncDispose]: () => second.dispose() };
  await using cluster = await connect(`${first.address},${second.address}`);
  await until(async () => (await cluster.admin.describeCluster()).brokers.length === 2);
  const replicaAssignment = [
    { partition: 0, replicas: [1, 2] },
    { partition: 1, replicas: [2, 1] },
  ];
  await cluster.admin.createTopics({ topics: [{ topic: 'events', replicaAssignment }], waitForLeaders: true });
  const traffics = [0, 1].map((index) => new Traffic(cluster, 'events', partition(index)));
  const passes = (count: number): Promise<unknown> => Promise.all(traffics.map((traffic) => traffic.passes(count)));
  const leaderOf = async (index: number): Promise<number | undefined> =>
    (await cluster.admin.fetchTopicMetadata({ topics: ['events'] })).topics[0]?.partitions.find(
      (each) => each.partitionId === index,
    )?.leader;

  await passes(20);
  await second.stop();
  await passes(20);
  assert.equal(await leaderOf(1), 1);
  await second.restart();
  // The preferred leader comes back while records flow.
  await until(async () => {
    await passes(1);
    return (await leaderOf(1)) === 2;
  });
  await passes(20);
  await second.kill9();
  await passes(20);
  for (const traffic of traffics) await traffic.end();
});

/** Writes numbered records and reads them back on one reader that is never replaced, as a lane does. */
class Traffic {
  readonly #cluster: TestCluster;
  readonly #topic: string;
  readonly #partition: ReturnType<typeof partition>;
  #reader: SourceReader | null = null;
  #position = offset(0);
  #written = 0;
  readonly #seen = new Map<number, string>();

  constructor(cluster: TestCluster, topic: string, index: ReturnType<typeof partition>) {
    this.#cluster = cluster;
    this.#topic = topic;
    this.#partition = index;
  }

  /** `count` more batches of two records are acknowledged, and read. */
  async passes(count: number): Promise<void> {
    for (let round = 0; round < count; round++) {
      const batch = batchOf('a', this.#written, 2);
      await this.#cluster.writer.append([{ topic: this.#topic, partition: this.#partition, batch }], always);
      this.#written += 2;
    }
    const expected = new Set(Array.from({ length: this.#written }, (_, index) => `a-${index}`));
    while (new Set(this.#seen.values()).size < expected.size) await this.#read();
    assert.deepEqual(new Set(this.#seen.values()), expected);
  }

  /** The reader says that the broker is away, and which. */
  async failsToRead(address: string): Promise<void> {
    for (;;) {
      try {
        await this.#fetch();
      } catch (error) {
        assert.ok(isWeirError(error, 'SOURCE_UNAVAILABLE'), String(error));
        assert.match(error.message, new RegExp(address.replaceAll('.', '\\.')));
        return;
      }
    }
  }

  async end(): Promise<void> {
    await this.#reader?.close();
  }

  async #read(): Promise<void> {
    let bytes: Uint8Array;
    try {
      bytes = await this.#fetch();
    } catch (error) {
      assert.ok(isWeirError(error, 'SOURCE_UNAVAILABLE'), String(error));
      return;
    }
    for (const { offset: at, value } of valuesOf(bytes, this.#position)) this.#seen.set(at, value);
    this.#position = readBatchHeaders(bytes).at(-1)?.nextOffset ?? this.#position;
  }

  async #fetch(): Promise<Uint8Array> {
    this.#reader ??= this.#cluster.source.open(await this.#cluster.source.describe(this.#topic));
    const request = { partition: this.#partition, offset: this.#position, maxBytes: 1 << 20, maxWaitMs: 250 };
    return (await this.#reader.fetch(request)).bytes;
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50));
}
