/** An open-loop producer of generated records into a real Kafka topic, exactly once: idempotent, explicit partitions. */
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import type { GeneratorConfig } from './generator.ts';
import { generate, valueOf } from './generator.ts';

const TICK_MS = 50;
const encoder = new TextEncoder();

export interface LoadOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly recordsPerSecond: number;
  readonly config: GeneratorConfig;
}

export class Load {
  /** Records written so far, by partition. */
  readonly counts: number[];
  readonly #options: LoadOptions;
  readonly #producer: kafkajs.Producer;
  #running = true;
  #done: Promise<void> = Promise.resolve();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.counts = Array.from({ length: options.partitions }, () => 0);
    this.#producer = client(options.brokers).producer({
      idempotent: true,
      maxInFlightRequests: 1,
      retry: { retries: 60, initialRetryTime: 100, maxRetryTime: 1000 },
    });
  }

  /** Creates the topic and begins. */
  async start(): Promise<void> {
    await createTopic(this.#options.brokers, this.#options.topic, this.#options.partitions);
    await this.#producer.connect();
    this.#done = this.#run();
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Resolves when everything that was begun is written. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
    await this.#producer.disconnect();
  }

  async #run(): Promise<void> {
    const { partitions, recordsPerSecond } = this.#options;
    const perTick = Math.ceil((recordsPerSecond * TICK_MS) / 1000 / partitions);
    let next = performance.now();
    while (this.#running) {
      await this.#send(perTick);
      next = Math.max(next + TICK_MS, performance.now() - 1000);
      const wait = next - performance.now();
      if (wait > 0) await sleep(wait);
    }
  }

  async #send(perPartition: number): Promise<void> {
    const { topic, config } = this.#options;
    const messages: kafkajs.Message[] = [];
    for (const [partition, from] of this.counts.entries()) {
      for (let seq = from; seq < from + perPartition; seq++) {
        const record = generate(config, partition, seq);
        const value = valueOf(record);
        messages.push({ partition, key: record.k, value: value === null ? null : Buffer.from(encoder.encode(value)) });
      }
    }
    await this.#producer.send({ topic, acks: -1, messages });
    for (const partition of this.counts.keys()) this.counts[partition] = (this.counts[partition] ?? 0) + perPartition;
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
