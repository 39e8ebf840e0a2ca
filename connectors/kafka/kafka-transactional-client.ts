/**
 * The requests of one transactional producer, each tried until Kafka has answered it for good. All of them may be sent
 * twice: the coordinator knows what it has done for this producer, and the broker the batches by their sequence.
 */
import { must } from '../../core/assert.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import type { LogTransactionParts, LogTransactionPlan } from '../../core/log-transactions.ts';
import type { Brokers, KafkaParts } from './brokers.ts';
import { asSinkFailure, kafkaErrorName, kafkaErrors, meansStaleMetadata } from './failures.ts';
import type { ProducerIdentity } from './kafka-transactional-batch.ts';
import type { RequestPurpose } from './kafka-transactional-failures.ts';
import {
  isBeingDecided,
  mayRepeat,
  meansOtherCoordinator,
  transactionFailure,
} from './kafka-transactional-failures.ts';
import {
  addOffsetsToTxnRequest,
  addPartitionsToTxnRequest,
  endTxnRequest,
  findTransactionCoordinatorRequest,
  initProducerIdRequest,
  stableOffsetRequest,
  txnOffsetCommitRequest,
} from './kafka-transactional-requests.ts';
import type { Request, TopicMetadata } from './requests.ts';
import { findGroupCoordinatorRequest, produceRequest } from './requests.ts';

/** How long a broker may wait for its followers, ms: below the time after which a request counts as lost. */
const ACKNOWLEDGE_MS = 4000;
/** While the writer is being opened somebody waits to hear why it is not, ms. */
const OPENING_MS_MAX = 10_000;

/** Whom a request goes to. */
type Coordinator = { readonly of: 'transactions' } | { readonly of: 'group'; readonly group: string };

export interface PartitionBatch {
  readonly partition: Partition;
  readonly batch: Uint8Array;
}

const TRANSACTIONS: Coordinator = { of: 'transactions' };

export class TransactionClient {
  readonly #brokers: Brokers;
  readonly #kafka: KafkaParts;
  readonly #plan: LogTransactionPlan;
  readonly #parts: LogTransactionParts;
  readonly #closing: AbortSignal;
  readonly #coordinators = new Map<string, number>();
  #topic: TopicMetadata | null = null;
  #producer: ProducerIdentity | null = null;
  /** Monotonic ms after which a request that is not answered fails. */
  #patientUntil: number;
  #retries = 0;
  #blockedBy: string | null = null;

  /** Requests stop when `closing` is aborted, with its reason. */
  constructor(
    brokers: Brokers,
    kafka: KafkaParts,
    plan: LogTransactionPlan,
    parts: LogTransactionParts,
    closing: AbortSignal,
  ) {
    this.#brokers = brokers;
    this.#kafka = kafka;
    this.#plan = plan;
    this.#parts = parts;
    this.#closing = closing;
    this.#patientUntil = kafka.clock.mono() + OPENING_MS_MAX;
  }

  get retries(): number {
    return this.#retries;
  }

  get blockedBy(): string | null {
    return this.#blockedBy;
  }

  get producer(): ProducerIdentity {
    return must(this.#producer, () => 'a producer before it has taken its id over');
  }

  /** From now on requests are tried for as long as the permit lasts. */
  opened(): void {
    this.#patientUntil = Number.POSITIVE_INFINITY;
  }

  /** The first time takes the transactional id over; again, goes on as the next epoch of the same producer or is FENCED. */
  async takeOver(): Promise<void> {
    const request = initProducerIdRequest(this.#plan.id, this.#plan.timeoutMs, this.#producer);
    const { producer } = await this.#ask(TRANSACTIONS, request, ({ errorCode }) => errorCode, 'takeOver');
    this.#producer = producer;
  }

  /** What the groups of the plan say, the first that knows; null = none does. After {@link takeOver} nothing can change it but this. */
  async position(): Promise<Offset | null> {
    const { groups, source, note } = this.#plan;
    for (const group of groups) {
      const found = await this.#ask(
        { of: 'group', group },
        stableOffsetRequest(group, source),
        ({ errorCode }) => errorCode,
        'offset',
      );
      if (found.offset >= 0 && found.note === note) return found.offset;
    }
    return null;
  }

  async addPartitions(partitions: readonly Partition[]): Promise<void> {
    const { id, topic } = this.#plan;
    const added = partitions.map((partition) => ({ topic, partition }));
    await this.#ask(TRANSACTIONS, addPartitionsToTxnRequest(id, this.producer, added), itself, 'produce');
  }

  /** The position becomes the group's when the transaction is committed. */
  async addPosition(offset: Offset): Promise<void> {
    const { id, source, note } = this.#plan;
    const [group] = this.#plan.groups;
    await this.#ask(TRANSACTIONS, addOffsetsToTxnRequest(id, this.producer, group), itself, 'offset');
    const request = txnOffsetCommitRequest(id, this.producer, group, { ...source, offset, note });
    await this.#ask({ of: 'group', group }, request, itself, 'offset');
  }

  async end(commits: boolean): Promise<void> {
    await this.#ask(TRANSACTIONS, endTxnRequest(this.#plan.id, this.producer, commits), itself, 'end');
  }

  /** Aborts what is open if Kafka answers at once; without a permit, since only this producer's own can be meant. */
  async tryAbort(): Promise<void> {
    const nodeId = this.#coordinators.get(nameOf(TRANSACTIONS));
    if (nodeId === undefined || this.#producer === null) return;
    await this.#brokers.ask(nodeId, endTxnRequest(this.#plan.id, this.#producer, false)).catch(() => undefined);
  }

  /** Appends batches, at most one per partition and altogether below what a broker takes in one request. */
  async produce(batches: readonly PartitionBatch[]): Promise<void> {
    const { topic, id } = this.#plan;
    for (let attempt = 0, rest = batches; ; attempt++) {
      const sent = await Promise.allSettled(
        [...(await this.#byLeader(rest))].map(async ([nodeId, some]) => {
          if (nodeId < 0) return { unsent: some, reason: 'LEADER_NOT_AVAILABLE' };
          const request = produceRequest(
            some.map((batch) => ({ topic, ...batch })),
            ACKNOWLEDGE_MS,
            id,
          );
          return await this.#produceOnce(nodeId, some, request);
        }),
      );
      // Nothing is under way any more when a failure is reported.
      const outcomes = sent.map((result) => {
        if (result.status === 'rejected') throw result.reason as Error;
        return result.value;
      });
      rest = outcomes.flatMap(({ unsent }) => unsent);
      if (rest.length === 0) return this.#answered();
      this.#topic = null;
      await this.#later(attempt, `topic ${topic}: ${outcomes.map(({ reason }) => reason).join(', ')}`);
    }
  }

  async #produceOnce(
    nodeId: number,
    batches: readonly PartitionBatch[],
    request: ReturnType<typeof produceRequest>,
  ): Promise<{ readonly unsent: readonly PartitionBatch[]; readonly reason: string }> {
    this.#check();
    let answers: Awaited<ReturnType<typeof request.decode>>;
    try {
      answers = await this.#brokers.ask(nodeId, request);
    } catch (error) {
      return { unsent: batches, reason: passing(error).message };
    }
    const codes = new Map(answers.map(({ partition, errorCode }) => [partition, errorCode]));
    const unsent = batches.filter(({ partition }) => {
      const code = codes.get(partition) ?? kafkaErrors.NETWORK_EXCEPTION;
      // A batch that is there already was sent before, and its answer lost.
      if (code === kafkaErrors.NONE || code === kafkaErrors.DUPLICATE_SEQUENCE_NUMBER) return false;
      if (!mayRepeat(code) && !meansStaleMetadata(code)) throw transactionFailure(code, this.#plan, 'produce');
      return true;
    });
    return { unsent, reason: kafkaErrorName(codes.get(unsent[0]?.partition ?? (-1 as Partition)) ?? 0) };
  }

  async #byLeader(batches: readonly PartitionBatch[]): Promise<Map<number, PartitionBatch[]>> {
    const { topic } = this.#plan;
    for (let attempt = 0; this.#topic === null; attempt++) {
      this.#check();
      try {
        this.#topic = await this.#brokers.topic(topic, 1);
      } catch (error) {
        await this.#later(attempt, passing(error).message);
      }
    }
    const { leaders } = this.#topic;
    return Map.groupBy(batches, ({ partition }) => leaders.get(partition)?.nodeId ?? -1);
  }

  // ------------------------------------------------------------------------------------------------------ one request

  async #ask<Answer>(
    to: Coordinator,
    request: Request<Answer>,
    codeOf: (answer: Answer) => number,
    purpose: RequestPurpose,
  ): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      this.#check();
      let code: number;
      try {
        const answer = await this.#brokers.ask(await this.#coordinator(to, purpose), request);
        code = codeOf(answer);
        if (code === kafkaErrors.NONE) {
          this.#answered();
          return answer;
        }
      } catch (error) {
        this.#coordinators.delete(nameOf(to));
        await this.#later(attempt, passing(error).message);
        continue;
      }
      if (!mayRepeat(code)) throw transactionFailure(code, this.#plan, purpose);
      if (meansOtherCoordinator(code)) this.#coordinators.delete(nameOf(to));
      await this.#later(attempt, `${request.api.name}: ${kafkaErrorName(code)}`, isBeingDecided(code));
    }
  }

  async #coordinator(to: Coordinator, purpose: RequestPurpose): Promise<number> {
    const known = this.#coordinators.get(nameOf(to));
    if (known !== undefined) return known;
    const request =
      to.of === 'group' ? findGroupCoordinatorRequest(to.group) : findTransactionCoordinatorRequest(this.#plan.id);
    const { errorCode, broker } = await this.#brokers.askAny(request);
    if (errorCode !== kafkaErrors.NONE) {
      if (!mayRepeat(errorCode)) throw transactionFailure(errorCode, this.#plan, purpose);
      throw new WeirError('SOURCE_UNAVAILABLE', `FindCoordinator: ${kafkaErrorName(errorCode)}`);
    }
    this.#brokers.learn(broker);
    this.#coordinators.set(nameOf(to), broker.nodeId);
    return broker.nodeId;
  }

  /** Right before every request. Throws: FENCED; why it closes. */
  #check(): void {
    this.#closing.throwIfAborted();
    this.#parts.permit.check();
  }

  #answered(): void {
    this.#blockedBy = null;
  }

  async #later(attempt: number, reason: string, briefly = false): Promise<void> {
    const { clock, rng, log } = this.#kafka;
    if (clock.mono() > this.#patientUntil) {
      const text = `job ${this.#plan.job}, topic ${this.#plan.topic}: Kafka opens no transactions at the moment (${reason}).`;
      throw new WeirError('SINK_UNAVAILABLE', text);
    }
    this.#retries++;
    if (!briefly) {
      this.#blockedBy = reason;
      log.debug({ transactionalId: this.#plan.id, reason }, 'a transaction waits for Kafka');
    }
    await clock.sleep(briefly ? backoffMs(rng, attempt, 4, 40) : backoffMs(rng, attempt, 20, 1000), this.#closing);
  }
}

/** A failure that passes, of Kafka or the way to it. Throws every other. */
function passing(error: unknown): WeirError {
  if (error instanceof WeirError && error.code === 'SOURCE_UNAVAILABLE') return error;
  throw asSinkFailure(error);
}

function nameOf(to: Coordinator): string {
  return to.of === 'group' ? `group ${to.group}` : 'transactions';
}

function itself(code: number): number {
  return code;
}
