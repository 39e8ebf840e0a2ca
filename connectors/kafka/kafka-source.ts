/** Topics of Kafka to read, without consumer groups: who reads what is decided elsewhere. */
import type { Offset, Partition } from '../../core/ids.ts';
import type { OffsetQuery, Source, SourceReader, TopicDescription } from '../../core/ports.ts';
import type { KafkaParts } from './brokers.ts';
import { Brokers } from './brokers.ts';
import { kafkaErrors } from './failures.ts';
import { KafkaReader } from './kafka-reader.ts';
import { listOffsets } from './list-offsets.ts';
import type { KafkaOptions } from './options.ts';
import { EARLIEST_TIME, LATEST_TIME, findGroupCoordinatorRequest, offsetCommitRequest } from './requests.ts';

export class KafkaSource implements Source {
  readonly #parts: KafkaParts;
  readonly #brokers: Brokers;
  readonly #readers = new Set<KafkaReader>();

  /** Connects with the first call. Throws: an invariant error when another kafkajs than 2.2.4 is installed. */
  constructor(options: KafkaOptions, parts: KafkaParts) {
    this.#parts = parts;
    this.#brokers = new Brokers(options, parts);
  }

  async describe(topic: string): Promise<TopicDescription> {
    const { topicId, leaders } = await this.#brokers.topic(topic);
    return { topic, topicId, partitions: [...leaders.keys()].sort((a, b) => a - b) };
  }

  async offsets(topic: string, partitions: readonly Partition[], query: OffsetQuery): Promise<Map<Partition, Offset>> {
    if (query === 'earliest') return listOffsets(this.#brokers, topic, partitions, EARLIEST_TIME);
    if (query === 'latest') return listOffsets(this.#brokers, topic, partitions, LATEST_TIME);
    const found = await listOffsets(this.#brokers, topic, partitions, query.timestampMs);
    const later = partitions.filter((partition) => (found.get(partition) ?? -1) < 0);
    if (later.length === 0) return found;
    const ends = await listOffsets(this.#brokers, topic, later, LATEST_TIME);
    return new Map(partitions.map((partition) => [partition, (ends.get(partition) ?? found.get(partition)) as Offset]));
  }

  open(topic: TopicDescription): SourceReader {
    const reader = new KafkaReader(topic, this.#brokers, this.#parts, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  async showOffsets(group: string, topic: string, offsets: ReadonlyMap<Partition, Offset>): Promise<void> {
    if (offsets.size === 0) return;
    try {
      await this.#brokers.retry(async () => {
        const { errorCode, broker } = await this.#brokers.askAny(findGroupCoordinatorRequest(group));
        if (errorCode !== kafkaErrors.NONE) throw this.#brokers.refused(`group ${group}`, errorCode);
        this.#brokers.learn(broker);
        const codes = await this.#brokers.ask(broker.nodeId, offsetCommitRequest(group, topic, offsets));
        const failed = codes.find((code) => code !== kafkaErrors.NONE);
        if (failed !== undefined) throw this.#brokers.refused(`offsets of group ${group}`, failed);
      });
    } catch (error) {
      // For the eyes of other tools only: a job does not stop for it.
      this.#parts.log.debug({ group, topic, err: error }, 'offsets could not be shown in the consumer group');
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#readers].map((reader) => reader.close()));
    this.#brokers.close();
  }
}
