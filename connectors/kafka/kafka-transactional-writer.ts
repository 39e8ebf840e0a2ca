/**
 * Rows of one lane into one topic of Kafka, exactly once: records and the lane's position in a consumer group are one
 * transaction (KIP-98, KIP-447). Readers with `isolation.level=read_committed` see all of it or nothing.
 *
 *   InitProducerId (fences who had the lane) → OffsetFetch, stable → { AddPartitions, Produce … , AddOffsets,
 *   TxnOffsetCommit, EndTxn } again and again
 *
 * A transaction takes what comes within an interval. Nothing is acknowledged before Kafka has decided to commit it. Of a
 * transaction that Kafka lost, the position tells whether it was committed; what was not is sent again.
 */
import { WeirError } from '../../core/errors.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import type { LogTransactionParts, LogTransactionPlan, LogTransactions } from '../../core/log-transactions.ts';
import type { LogAppend, SinkStats } from '../../core/ports.ts';
import type { Brokers, KafkaParts } from './brokers.ts';
import { claimBatch, nextSequence, recordCountOf } from './kafka-transactional-batch.ts';
import type { PartitionBatch } from './kafka-transactional-client.ts';
import { TransactionClient } from './kafka-transactional-client.ts';
import { TransactionLost } from './kafka-transactional-failures.ts';

/** Bytes of one Produce request; a larger batch goes alone. */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024;

interface Written {
  readonly appends: readonly LogAppend[];
  readonly to: Offset;
  readonly done: PromiseWithResolvers<void>;
}

class KafkaTransactions implements LogTransactions {
  readonly position: Offset | null;
  readonly #client: TransactionClient;
  readonly #clock: KafkaParts['clock'];
  readonly #plan: LogTransactionPlan;
  readonly #failpoints: LogTransactionParts['failpoints'];
  readonly #closing: AbortController;
  /** Not in a transaction yet, in order. */
  readonly #waiting: Written[] = [];
  /** In the open transaction. */
  #taken: Written[] = [];
  /** Sequence of the next record by partition; a partition without one is not in the open transaction's producer epoch yet. */
  readonly #sequences = new Map<Partition, number>();
  /** Partitions of the open transaction. */
  readonly #added = new Set<Partition>();
  #running: Promise<void> | null = null;
  #commitsNow = false;
  #more = Promise.withResolvers<void>();
  #failure: { readonly error: unknown } | null = null;

  constructor(
    client: TransactionClient,
    clock: KafkaParts['clock'],
    plan: LogTransactionPlan,
    parts: LogTransactionParts,
    closing: AbortController,
    position: Offset | null,
  ) {
    this.#client = client;
    this.#clock = clock;
    this.#plan = plan;
    this.#failpoints = parts.failpoints;
    this.#closing = closing;
    this.position = position;
  }

  write(appends: readonly LogAppend[], to: Offset): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure.error);
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ appends, to, done });
    this.#running ??= this.#run();
    this.#wake();
    return done.promise;
  }

  commitNow(): void {
    if (this.#running === null) return;
    this.#commitsNow = true;
    this.#wake();
  }

  stats(): SinkStats {
    const { retries, blockedBy } = this.#client;
    return { inFlight: this.#waiting.length + this.#taken.length, retries, blockedBy };
  }

  async close(): Promise<void> {
    this.#closing.abort(new WeirError('FENCED', `${this.#name()}: the writer was closed`));
    this.#wake();
    await this.#running;
    if (this.#added.size > 0) await this.#client.tryAbort();
    this.#added.clear();
  }

  // ------------------------------------------------------------------------------------------------- transactions

  /** Runs transactions while there is something to write. Never rejects. */
  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) await this.#transaction();
    } catch (error) {
      this.#failure = { error };
      for (const { done } of [...this.#taken, ...this.#waiting.splice(0)]) done.reject(error);
      this.#taken = [];
    }
    this.#running = null;
  }

  /** One transaction, from its first records to its end. */
  async #transaction(): Promise<void> {
    try {
      const to = await this.#fill();
      await this.#failpoints.hit('transaction.afterProduce');
      await this.#client.addPosition(to);
      await this.#failpoints.hit('transaction.beforeCommit');
      await this.#client.end(true);
    } catch (error) {
      if (!(error instanceof TransactionLost)) throw error;
      return await this.#recover(error);
    }
    this.#added.clear();
    await this.#failpoints.hit('transaction.afterCommit');
    for (const { done } of this.#taken) done.resolve();
    this.#taken = [];
  }

  /** Sends what comes until the transaction is due; the position behind it. */
  async #fill(): Promise<Offset> {
    const dueAt = this.#clock.mono() + this.#plan.commitIntervalMs;
    let to = 0 as Offset;
    for (;;) {
      const some = this.#waiting.splice(0);
      this.#taken.push(...some);
      to = some.at(-1)?.to ?? to;
      await this.#send(some.flatMap(({ appends }) => appends));
      const left = dueAt - this.#clock.mono();
      if (left <= 0) break;
      if (this.#waiting.length > 0) continue;
      if (this.#commitsNow) break;
      await this.#comes(left);
    }
    this.#commitsNow = false;
    return to;
  }

  async #send(appends: readonly LogAppend[]): Promise<void> {
    if (appends.length === 0) return;
    const partitions = new Set(appends.map(({ partition }) => partition));
    const fresh = [...partitions].filter((partition) => !this.#added.has(partition));
    if (fresh.length > 0) await this.#client.addPartitions(fresh);
    for (const partition of fresh) this.#added.add(partition);
    for (const { partition, batch } of appends) {
      const sequence = this.#sequences.get(partition) ?? 0;
      claimBatch(batch, this.#client.producer, sequence);
      this.#sequences.set(partition, nextSequence(sequence, recordCountOf(batch)));
    }
    await this.#failpoints.hit('transaction.beforeProduce');
    for (const request of requestsOf(appends)) await this.#client.produce(request);
  }

  /** Resolves after `ms`, or when something was written or is to happen now. */
  async #comes(ms: number): Promise<void> {
    const more = Promise.withResolvers<void>();
    this.#more = more;
    const cancel = this.#clock.timer(ms, more.resolve);
    await more.promise;
    cancel();
    this.#closing.signal.throwIfAborted();
  }

  #wake(): void {
    this.#more.resolve();
  }

  /** Goes on as the next epoch of this producer; what is not behind the position is sent again. */
  async #recover(lost: TransactionLost): Promise<void> {
    try {
      await this.#client.end(false).catch(ignoreLost);
      await this.#client.takeOver();
    } catch (error) {
      if (!(error instanceof TransactionLost)) throw error;
      throw new WeirError('FENCED', `${this.#name()}: Kafka lost the transaction (${lost.reason}, ${error.reason}).`, {
        cause: error,
      });
    }
    this.#sequences.clear();
    this.#added.clear();
    const committed = (await this.#client.position()) ?? 0;
    const taken = this.#taken;
    this.#taken = [];
    for (const { to, done } of taken) if (to <= committed) done.resolve();
    this.#waiting.unshift(...taken.filter(({ to }) => to > committed));
  }

  #name(): string {
    const { job, topic, id } = this.#plan;
    return `job ${job}, topic ${topic}, transactional id ${id}`;
  }
}

/** Nothing was open any more. */
function ignoreLost(error: unknown): void {
  if (!(error instanceof TransactionLost)) throw error as Error;
}

/** In order, and as much together as a request takes: one batch per partition, and so many bytes. */
function requestsOf(appends: readonly LogAppend[]): PartitionBatch[][] {
  const all: PartitionBatch[][] = [];
  /** Of each partition, the first request that may take its next batch. */
  const nextOf = new Map<Partition, number>();
  const sizes: number[] = [];
  for (const { partition, batch } of appends) {
    let at = nextOf.get(partition) ?? 0;
    while ((sizes[at] ?? 0) > 0 && (sizes[at] ?? 0) + batch.byteLength > REQUEST_BYTES_MAX) at++;
    nextOf.set(partition, at + 1);
    sizes[at] = (sizes[at] ?? 0) + batch.byteLength;
    (all[at] ??= []).push({ partition, batch });
  }
  return all;
}

/**
 * Takes the lane over: what a former writer left open is aborted or, if Kafka had decided so, committed, before the
 * position is read.
 *
 * Throws: SINK_UNAVAILABLE, UNAUTHORIZED, CONFIG_INVALID, FENCED.
 */
export async function openKafkaTransactions(
  brokers: Brokers,
  kafka: KafkaParts,
  plan: LogTransactionPlan,
  parts: LogTransactionParts,
): Promise<LogTransactions> {
  const closing = new AbortController();
  const client = new TransactionClient(brokers, kafka, plan, parts, closing.signal);
  try {
    await client.takeOver();
    const position = await client.position();
    client.opened();
    return new KafkaTransactions(client, kafka.clock, plan, parts, closing, position);
  } catch (error) {
    if (!(error instanceof TransactionLost)) throw error;
    const text = `job ${plan.job}, topic ${plan.topic}: Kafka opens no transactions at the moment (${error.reason}).`;
    throw new WeirError('SINK_UNAVAILABLE', text, { cause: error });
  }
}
