/** Appends record batches to topics of the embedded process. */
import type { Clock, Rng } from '../../core/clock.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import { offset } from '../../core/ids.ts';
import type { LogTransactionParts, LogTransactionPlan, LogTransactions } from '../../core/log-transactions.ts';
import type { ExclusiveWriter, LogAppend, LogWriter } from '../../core/ports.ts';
import type { RecordToEncode } from '../../core/record-batch-encoder.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import type { EmbeddedConnection } from './client.ts';
import { LONG_CALL_TIMEOUT_MS } from './client.ts';
import { splitBySize } from './append-parts.ts';
import { openTransactions } from './embedded-transactions.ts';
import { untilDone } from './retry.ts';

export class EmbeddedLogWriter implements LogWriter {
  readonly #connection: EmbeddedConnection;
  readonly #clock: Clock;
  readonly #rng: Rng;

  constructor(connection: EmbeddedConnection, clock: Clock, rng: Rng) {
    this.#connection = connection;
    this.#clock = clock;
    this.#rng = rng;
  }

  async partitionCount(topic: string): Promise<number> {
    return (await this.#connection.call((client) => client.describeTopic, { topic }, 'SINK_UNAVAILABLE')).partitions;
  }

  async append(appends: readonly LogAppend[], permit: WritePermit): Promise<void> {
    for (const part of splitBySize(appends)) {
      await untilDone(this.#clock, this.#rng, () => {
        permit.check();
        return this.#connection.call(
          (client) => client.append,
          { appends: part },
          'SINK_UNAVAILABLE',
          LONG_CALL_TIMEOUT_MS,
        );
      });
    }
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    await this.#connection.call((client) => client.createTopic, { topic, partitions }, 'SINK_UNAVAILABLE');
  }

  /**
   * Every append names the end it is to stand at, so that of several writers one succeeds and the others learn of it: a
   * former writer's late request can only come first, and then this one's next append is FENCED.
   */
  async openExclusive(topic: string, partition: Partition): Promise<ExclusiveWriter> {
    const request = { topic, partitions: [partition], latest: true };
    const reply = await this.#connection.call((client) => client.listOffsets, request, 'SINK_UNAVAILABLE');
    return new EmbeddedExclusiveWriter(this.#connection, topic, partition, offset(reply.offsets[0] ?? 0));
  }

  async openTransactions(plan: LogTransactionPlan, parts: LogTransactionParts): Promise<LogTransactions> {
    return await openTransactions(this.#connection, plan, parts, this.#clock, this.#rng);
  }

  /** The connection is not the writer's to close. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

class EmbeddedExclusiveWriter implements ExclusiveWriter {
  readonly end: Offset;
  readonly #connection: EmbeddedConnection;
  readonly #topic: string;
  readonly #partition: Partition;
  #next: number;

  constructor(connection: EmbeddedConnection, topic: string, partition: Partition, end: Offset) {
    this.#connection = connection;
    this.#topic = topic;
    this.#partition = partition;
    this.end = end;
    this.#next = end;
  }

  async append(records: readonly RecordToEncode[]): Promise<void> {
    const request = {
      topic: this.#topic,
      partition: this.#partition,
      batch: encodeRecordBatch(records),
      expectedEnd: this.#next,
    };
    await this.#connection.call((client) => client.appendAt, request, 'SINK_UNAVAILABLE', LONG_CALL_TIMEOUT_MS);
    this.#next += records.length;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
