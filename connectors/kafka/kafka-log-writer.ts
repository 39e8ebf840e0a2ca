/** Appends encoded record batches to topics of Kafka, at least once. */
import { must } from '../../core/assert.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import type { LogTransactionParts, LogTransactionPlan, LogTransactions } from '../../core/log-transactions.ts';
import type { ExclusiveWriter, LogAppend, LogWriter } from '../../core/ports.ts';
import type { KafkaParts } from './brokers.ts';
import { Brokers } from './brokers.ts';
import { asSinkFailure, isTransient, kafkaErrorName, kafkaErrors, meansStaleMetadata } from './failures.ts';
import { openKafkaExclusiveWriter } from './kafka-exclusive-writer.ts';
import { listOffsets } from './list-offsets.ts';
import { openKafkaTransactions } from './kafka-transactional-writer.ts';
import type { KafkaOptions } from './options.ts';
import type { ProducedBatch, TopicMetadata } from './requests.ts';
import { LATEST_TIME, produceRequest } from './requests.ts';
import { SendWindow } from './send-window.ts';

/** How old the known number of partitions and their leaders may be, ms. */
const METADATA_AGE_MS = 30_000;
/** Bytes of one Produce request; a larger batch goes alone. */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes that one broker may be sent before it has answered. */
const WINDOW_BYTES = 8 * 1024 * 1024;
/** How long a broker may wait for its followers, ms: below the time after which a request counts as lost. */
const ACKNOWLEDGE_MS = 4000;

interface KnownTopic {
  readonly metadata: TopicMetadata;
  /** Monotonic ms. */
  readonly readAt: number;
}

export class KafkaLogWriter implements LogWriter {
  readonly #parts: KafkaParts;
  readonly #brokers: Brokers;
  readonly #topics = new Map<string, KnownTopic>();
  /** By broker. */
  readonly #windows = new Map<number, SendWindow>();
  readonly #closing = new AbortController();

  /** Connects with the first call. Throws: an invariant error when another kafkajs than 2.2.4 is installed. */
  constructor(options: KafkaOptions, parts: KafkaParts) {
    this.#parts = parts;
    this.#brokers = new Brokers(options, parts);
  }

  async partitionCount(topic: string): Promise<number> {
    try {
      return (await this.#topic(topic)).leaders.size;
    } catch (error) {
      throw asSinkFailure(error);
    }
  }

  async append(appends: readonly LogAppend[], permit: WritePermit): Promise<void> {
    // One request takes one batch per partition, so the n-th batches of all partitions go together.
    for (let rest = appends; rest.length > 0;) {
      const seen = new Set<string>();
      const round: LogAppend[] = [];
      const later: LogAppend[] = [];
      for (const append of rest) {
        const place = placeOf(append);
        if (seen.has(place)) later.push(append);
        else round.push(append);
        seen.add(place);
      }
      await this.#appendRound(round, permit);
      rest = later;
    }
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    this.#topics.delete(topic);
    try {
      await this.#brokers.transport.withAdmin((admin) =>
        admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true }),
      );
    } catch (error) {
      throw this.#creationFailure(topic, error);
    }
  }

  async openExclusive(topic: string, partition: Partition, writer: string): Promise<ExclusiveWriter> {
    // Not the last stable offset: what is not decided yet by somebody else may hide what this writer must see.
    const endOf = async (): Promise<Offset> => {
      const ends = await listOffsets(this.#brokers, topic, [partition], LATEST_TIME, 'highWatermark');
      return must(ends.get(partition), () => `an end of ${topic}/${partition}`);
    };
    try {
      const producer = this.#brokers.transport.transactionalProducer(writer);
      return await openKafkaExclusiveWriter(producer, topic, partition, endOf);
    } catch (error) {
      throw asSinkFailure(error);
    }
  }

  openTransactions(plan: LogTransactionPlan, parts: LogTransactionParts): Promise<LogTransactions> {
    return openKafkaTransactions(this.#brokers, this.#parts, plan, parts);
  }

  async close(): Promise<void> {
    this.#closing.abort(new WeirError('SINK_UNAVAILABLE', 'The connection to Kafka was closed.'));
    this.#brokers.close();
  }

  // ------------------------------------------------------------------------------------------------------ appending

  /** At most one batch per partition. Sends what is not acknowledged yet, until it is or may not be sent any more. */
  async #appendRound(appends: readonly LogAppend[], permit: WritePermit): Promise<void> {
    let rest = appends;
    for (let attempt = 0; ; attempt++) {
      rest = await this.#attempt(rest, permit);
      if (rest.length === 0) return;
      const { clock, rng } = this.#parts;
      await clock.sleep(backoffMs(rng, attempt, 20, 1000), this.#closing.signal);
    }
  }

  /** Sends each batch to its leader; the ones that are worth another attempt. */
  async #attempt(appends: readonly LogAppend[], permit: WritePermit): Promise<LogAppend[]> {
    let byLeader: Map<number, LogAppend[]>;
    try {
      byLeader = await this.#byLeader(appends);
    } catch (error) {
      this.#failUnlessPassing(error);
      permit.check();
      return [...appends];
    }
    const requests = [...byLeader].flatMap(([nodeId, items]) =>
      portions(items).map((portion) => ({ nodeId, portion })),
    );
    const sent = await Promise.allSettled(requests.map(({ nodeId, portion }) => this.#send(nodeId, portion, permit)));
    // Nothing is under way any more when a failure is reported.
    return sent.flatMap((result) => {
      if (result.status === 'rejected') throw result.reason as Error;
      return result.value;
    });
  }

  async #byLeader(appends: readonly LogAppend[]): Promise<Map<number, LogAppend[]>> {
    const topics = new Map<string, TopicMetadata>();
    for (const { topic } of appends) if (!topics.has(topic)) topics.set(topic, await this.#topic(topic));
    return Map.groupBy(appends, ({ topic, partition }) => {
      const leader = must(topics.get(topic), () => `metadata of ${topic} was read`).leaders.get(partition);
      if (leader === undefined)
        throw new WeirError('TOPIC_NOT_FOUND', `Kafka's topic ${topic} has no partition ${partition}.`, {
          facts: { topic, partition },
        });
      return leader.nodeId;
    });
  }

  async #send(nodeId: number, appends: readonly LogAppend[], permit: WritePermit): Promise<LogAppend[]> {
    if (nodeId < 0) return this.#again(appends);
    let answers: ProducedBatch[];
    try {
      answers = await this.#windowOf(nodeId).run(bytesOf(appends), () => {
        permit.check();
        return this.#brokers.ask(nodeId, produceRequest(appends, ACKNOWLEDGE_MS));
      });
    } catch (error) {
      this.#failUnlessPassing(error);
      return this.#again(appends);
    }
    const codes = new Map(answers.map((answer) => [placeOf(answer), answer.errorCode]));
    return appends.filter((append) => {
      const code = codes.get(placeOf(append)) ?? kafkaErrors.NETWORK_EXCEPTION;
      if (code === kafkaErrors.NONE) return false;
      if (!isTransient(code)) throw refusal(append, code);
      if (meansStaleMetadata(code)) this.#topics.delete(append.topic);
      this.#parts.log.debug(
        { topic: append.topic, partition: append.partition, reason: kafkaErrorName(code) },
        'append is tried again',
      );
      return true;
    });
  }

  #windowOf(nodeId: number): SendWindow {
    let window = this.#windows.get(nodeId);
    if (window === undefined) {
      window = new SendWindow(WINDOW_BYTES);
      this.#windows.set(nodeId, window);
    }
    return window;
  }

  /** After a lost broker: where the partitions are is asked anew. */
  #again(appends: readonly LogAppend[]): LogAppend[] {
    for (const { topic } of appends) this.#topics.delete(topic);
    return [...appends];
  }

  #failUnlessPassing(error: unknown): void {
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason as Error;
    if (!(error instanceof WeirError) || error.code !== 'SOURCE_UNAVAILABLE') throw error;
    this.#parts.log.debug({ err: error }, 'appending waits for Kafka');
  }

  async #topic(topic: string): Promise<TopicMetadata> {
    const { clock } = this.#parts;
    const known = this.#topics.get(topic);
    if (known !== undefined && clock.mono() - known.readAt < METADATA_AGE_MS) return known.metadata;
    const metadata = await this.#brokers.topic(topic);
    this.#topics.set(topic, { metadata, readAt: clock.mono() });
    return metadata;
  }

  #creationFailure(topic: string, error: unknown): WeirError {
    const { type, errors } = error as {
      readonly type?: string;
      readonly errors?: readonly { readonly type?: string; readonly message?: string }[];
    };
    const reason = errors?.[0]?.message ?? messageOf(error);
    const kind = errors?.[0]?.type ?? type;
    if (kind === 'TOPIC_AUTHORIZATION_FAILED' || kind === 'CLUSTER_AUTHORIZATION_FAILED') {
      return new WeirError('UNAUTHORIZED', `Kafka does not let this user create topic ${topic}: ${reason}.`, {
        cause: error,
      });
    }
    if (
      kind === 'INVALID_TOPIC_EXCEPTION' ||
      kind === 'POLICY_VIOLATION' ||
      kind === 'INVALID_PARTITIONS' ||
      kind === 'INVALID_REPLICATION_FACTOR'
    ) {
      return new WeirError('SINK_REFUSED', `Kafka refused to create topic ${topic}: ${reason}.`, { cause: error });
    }
    const where = this.#brokers.transport.options.brokers.join(', ');
    return new WeirError('SINK_UNAVAILABLE', `Topic ${topic} could not be created in Kafka at ${where}: ${reason}.`, {
      cause: error,
    });
  }
}

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}

function bytesOf(appends: readonly LogAppend[]): number {
  return appends.reduce((sum, { batch }) => sum + batch.byteLength, 0);
}

/** Batches of one broker in requests of a bounded size. */
function portions(appends: readonly LogAppend[]): LogAppend[][] {
  const all: LogAppend[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const append of appends) {
    const last = all.at(-1);
    if (last === undefined || bytes + append.batch.byteLength > REQUEST_BYTES_MAX) {
      all.push([append]);
      bytes = append.batch.byteLength;
    } else {
      last.push(append);
      bytes += append.batch.byteLength;
    }
  }
  return all;
}

function refusal({ topic, partition, batch }: LogAppend, code: number): WeirError {
  const place = `topic ${topic}, partition ${partition}`;
  const facts = { topic, partition, reason: kafkaErrorName(code) };
  if (code === kafkaErrors.MESSAGE_TOO_LARGE || code === kafkaErrors.RECORD_LIST_TOO_LARGE) {
    const text = `Kafka refused a batch of ${batch.byteLength} bytes for ${place} as too large; raise max.message.bytes of the topic or write smaller records.`;
    return new WeirError('SINK_REFUSED', text, { facts });
  }
  if (code === kafkaErrors.TOPIC_AUTHORIZATION_FAILED) {
    return new WeirError(
      'SINK_REFUSED',
      `Kafka does not let this user write to ${place}; grant the right or change KAFKA_SASL_USERNAME.`,
      { facts },
    );
  }
  return new WeirError('SINK_REFUSED', `Kafka refused a batch for ${place}: ${kafkaErrorName(code)}.`, { facts });
}
