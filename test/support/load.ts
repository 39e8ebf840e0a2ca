/**
 * An open-loop producer of generated records into a real Kafka topic, exactly once: every batch carries a producer id and
 * a sequence number, is sent again byte for byte until it is acknowledged, and the broker drops what it has already.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { KafkaLogWriter } from '../../connectors/kafka/kafka-log-writer.ts';
import { kafkaOptionsFromEnv } from '../../connectors/kafka/options.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { makeLog } from '../../connectors/system/log.ts';
import { must } from '../../core/assert.ts';
import { crc32c } from '../../core/crc32c.ts';
import { partition as partitionId } from '../../core/ids.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { LogWriter } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import type { GeneratorConfig } from './generator.ts';
import { generate, valueOf } from './generator.ts';

const TICK_MS = 50;
const encoder = new TextEncoder();
const anyTime: WritePermit = { valid: () => true, check: () => undefined };

/** Bytes of a record of a partition by its sequence number. */
export type RecordMaker = (
  partition: number,
  seq: number,
) => { readonly key: Uint8Array | null; readonly value: Uint8Array | null };

/** Test records of a configuration. */
function recordMaker(config: GeneratorConfig): RecordMaker {
  return (partition, seq) => {
    const record = generate(config, partition, seq);
    const value = valueOf(record);
    return { key: encoder.encode(record.k), value: value === null ? null : encoder.encode(value) };
  };
}

/** Writes into Kafka as {@link Load} wants it. */
function kafkaWriter(brokers: string): LogWriter {
  const kafka = must(kafkaOptionsFromEnv({ KAFKA_BROKERS: brokers }), () => 'no brokers');
  return new KafkaLogWriter(kafka, { clock: systemClock, rng: systemRng, log: makeLog('load', 'error') });
}

export type LoadOptions = {
  readonly topic: string;
  readonly partitions: number;
  readonly recordsPerSecond: number;
  /** Default: into Kafka at `brokers`. Closed with the load. */
  readonly writer?: LogWriter;
  readonly brokers?: string;
} & ({ readonly config: GeneratorConfig } | { readonly make: RecordMaker });

export class Load {
  /** Records written so far, by partition. */
  readonly counts: number[];
  readonly #options: LoadOptions;
  readonly #make: RecordMaker;
  readonly #writer: LogWriter;
  readonly #producerId = BigInt(systemRng.u32());
  readonly #stopped = new AbortController();
  #done: Promise<void> = Promise.resolve();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.counts = Array.from({ length: options.partitions }, () => 0);
    this.#make = 'make' in options ? options.make : recordMaker(options.config);
    this.#writer = options.writer ?? kafkaWriter(must(options.brokers, () => 'neither a writer nor brokers'));
  }

  /** Creates the topic. */
  async create(): Promise<void> {
    const { brokers, topic, partitions } = this.#options;
    if (brokers === undefined) await this.#writer.createTopic(topic, partitions);
    else await createTopic(brokers, topic, partitions);
  }

  /** Creates the topic and begins. */
  async start(): Promise<void> {
    await this.create();
    this.begin();
  }

  /** Begins; the topic is there. */
  begin(): void {
    this.#done = this.#run();
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Resolves when everything that was begun is written. */
  async stop(): Promise<void> {
    await this.end();
    await this.#writer.close();
  }

  /** As {@link stop}, but {@link sendLast} may follow. */
  async end(): Promise<void> {
    this.#stopped.abort();
    await this.#done;
  }

  /** One more record of another make in every partition; `counts` do not say so. */
  async sendLast(make: RecordMaker): Promise<void> {
    await this.#append(this.counts.map((from, partition) => this.#batch(partition, from, 1, make)));
  }

  async #run(): Promise<void> {
    const { partitions, recordsPerSecond } = this.#options;
    const perTick = Math.ceil((recordsPerSecond * TICK_MS) / 1000 / partitions);
    let next = performance.now();
    while (!this.#stopped.signal.aborted) {
      await this.#send(perTick);
      next = Math.max(next + TICK_MS, performance.now() - 1000);
      const wait = next - performance.now();
      if (wait > 0) await sleep(wait);
    }
  }

  async #send(perPartition: number): Promise<void> {
    await this.#append(this.counts.map((from, partition) => this.#batch(partition, from, perPartition, this.#make)));
    for (const partition of this.counts.keys()) this.counts[partition] = (this.counts[partition] ?? 0) + perPartition;
  }

  async #append(batches: readonly Uint8Array[]): Promise<void> {
    const { topic } = this.#options;
    const appends = batches.map((batch, partition) => ({ topic, partition: partitionId(partition), batch }));
    await this.#writer.append(appends, anyTime);
  }

  #batch(partition: number, from: number, count: number, make: RecordMaker): Uint8Array {
    const timestampMs = Date.now();
    const records = Array.from({ length: count }, (_, index) => ({ ...make(partition, from + index), timestampMs }));
    const batch = encodeRecordBatch(records);
    const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
    view.setBigInt64(43, this.#producerId);
    view.setInt16(51, 0);
    view.setInt32(53, from);
    view.setUint32(17, crc32c(batch, 21));
    return batch;
  }
}

function client(brokers: string): kafkajs.Kafka {
  return new kafkajs.Kafka({ clientId: 'test', brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING });
}

export async function createTopic(brokers: string, topic: string, partitions: number): Promise<void> {
  const admin = client(brokers).admin();
  await admin.connect();
  await admin.createTopics({
    topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }],
    waitForLeaders: true,
  });
  await admin.disconnect();
}

/** Records in the topic: the sum of its end offsets. */
export async function endOffsets(brokers: string, topic: string): Promise<number[]> {
  const admin = client(brokers).admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  return offsets.sort((a, b) => a.partition - b.partition).map((entry) => Number(entry.high));
}

/** Writes values round robin over the partitions. */
export async function sendValues(brokers: string, topic: string, values: readonly string[]): Promise<void> {
  const producer = client(brokers).producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const { length: partitions } = await endOffsets(brokers, topic);
  await producer.send({
    topic,
    acks: -1,
    messages: values.map((value, index) => ({ value, partition: index % partitions })),
  });
  await producer.disconnect();
}

export interface ReadRecord {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** Reads until `count` records came and nothing more for a second; fails after 30 s. */
export async function readTopic(brokers: string, topic: string, count: number): Promise<ReadRecord[]> {
  const consumer = client(brokers).consumer({ groupId: `read-${topic}`, readUncommitted: false });
  const records: ReadRecord[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)] as const);
      records.push({
        key: message.key?.toString() ?? null,
        value: message.value?.toString() ?? null,
        headers: Object.fromEntries(headers),
      });
    },
  });
  for (let waited = 0; records.length < count && waited < 30_000; waited += 100) await sleep(100);
  await sleep(1000);
  await consumer.disconnect();
  return records;
}

/** Deletes the records of a partition below `before`, as retention does. */
export async function deleteRecords(brokers: string, topic: string, partition: number, before: number): Promise<void> {
  const admin = client(brokers).admin();
  await admin.connect();
  // The client knows the leader only of topics it was asked for before.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] });
  await admin.disconnect();
}

export async function deleteTopic(brokers: string, topic: string): Promise<void> {
  const admin = client(brokers).admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
}
