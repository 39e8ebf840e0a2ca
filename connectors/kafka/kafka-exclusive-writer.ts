/**
 * The one writer of a partition of Kafka: a producer with a transactional id (KIP-98). Opening it ends what a former
 * producer by that id left open and refuses whatever it still sends, and each append is a transaction of its own.
 */
import type { Producer, Transaction } from 'kafkajs';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import type { ExclusiveWriter } from '../../core/ports.ts';
import type { RecordToEncode } from '../../core/record-batch-encoder.ts';

/** Bytes of records in one batch, below what brokers take by default (1 MiB). */
const BATCH_BYTES_MAX = 768 * 1024;
/** What a record takes beside its key, value and headers, about. */
const RECORD_OVERHEAD_BYTES = 64;

export class KafkaExclusiveWriter implements ExclusiveWriter {
  readonly end: Offset;
  readonly #producer: Producer;
  readonly #topic: string;
  readonly #partition: Partition;
  /** Begun with opening and used by the first append; the broker hears of it only then. */
  #first: Transaction | null;

  /** `first` is a transaction of `producer` in which nothing was sent; `end` was read after it began. */
  constructor(producer: Producer, first: Transaction, topic: string, partition: Partition, end: Offset) {
    this.#first = first;
    this.#producer = producer;
    this.#topic = topic;
    this.#partition = partition;
    this.end = end;
  }

  async append(records: readonly RecordToEncode[]): Promise<void> {
    try {
      const transaction = this.#first ?? (await this.#producer.transaction());
      this.#first = null;
      try {
        for (const part of portions(records)) {
          const messages = part.map(({ key, value, headers, timestampMs }) => ({
            key: key === null ? null : Buffer.from(key),
            value: value === null ? null : Buffer.from(value),
            partition: this.#partition,
            timestamp: String(timestampMs),
            headers: Object.fromEntries((headers ?? []).map(([name, bytes]) => [name, Buffer.from(bytes)])),
          }));
          await transaction.send({ topic: this.#topic, acks: -1, messages });
        }
        await transaction.commit();
      } catch (error) {
        await transaction.abort().catch(() => undefined);
        throw error;
      }
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async close(): Promise<void> {
    await this.#producer.disconnect().catch(() => undefined);
  }

  #failure(error: unknown): WeirError {
    const { type } = error as { readonly type?: string };
    const place = `topic ${this.#topic}, partition ${this.#partition}`;
    if (type === 'INVALID_PRODUCER_EPOCH' || type === 'PRODUCER_FENCED' || type === 'INVALID_TXN_STATE')
      return new WeirError('FENCED', `${place}: another writer took its place.`, { cause: error });
    return asFailure(place, error);
  }
}

/** Opens `producer` as the one writer of a partition; `endOf` reads the last stable offset. */
export async function openKafkaExclusiveWriter(
  producer: Producer,
  topic: string,
  partition: Partition,
  endOf: () => Promise<Offset>,
): Promise<ExclusiveWriter> {
  let first: Transaction;
  try {
    await producer.connect();
    // kafkajs takes the transactional id over (InitProducerId) with the first transaction and not with connecting: what a
    // former writer appends must be decided before the end is read.
    first = await producer.transaction();
  } catch (error) {
    await producer.disconnect().catch(() => undefined);
    throw asFailure(`topic ${topic}, partition ${partition}`, error);
  }
  try {
    return new KafkaExclusiveWriter(producer, first, topic, partition, await endOf());
  } catch (error) {
    await producer.disconnect().catch(() => undefined);
    throw error;
  }
}

function asFailure(place: string, error: unknown): WeirError {
  if (error instanceof WeirError) return error;
  const { type } = error as { readonly type?: string };
  if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE')
    return new WeirError('SINK_REFUSED', `Kafka refused a record for ${place} as too large.`, { cause: error });
  if (type?.endsWith('AUTHORIZATION_FAILED') === true)
    return new WeirError(
      'UNAUTHORIZED',
      `Kafka does not let this user write to ${place} by transactions: ${type}; grant Write on the topic and on the transactional id.`,
      { cause: error },
    );
  return new WeirError('SINK_UNAVAILABLE', `Kafka did not take records for ${place}: ${messageOf(error)}.`, {
    cause: error,
  });
}

function portions(records: readonly RecordToEncode[]): RecordToEncode[][] {
  const parts: RecordToEncode[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const record of records) {
    const size = bytesOf(record);
    bytes += size;
    if (bytes > BATCH_BYTES_MAX) {
      parts.push([]);
      bytes = size;
    }
    parts.at(-1)?.push(record);
  }
  return parts;
}

function bytesOf({ key, value, headers }: RecordToEncode): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
  for (const [name, content] of headers ?? []) bytes += name.length + content.byteLength;
  return bytes;
}
