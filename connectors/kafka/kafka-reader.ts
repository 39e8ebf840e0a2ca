/**
 * Reads one topic for one job, over a connection of its own to each broker.
 *
 * All that is asked at one time goes to a broker in one Fetch, and only one is outstanding. A broker answers a Fetch as
 * soon as any of its partitions has data, and cannot be told to add a partition to one it holds: a partition that is
 * asked for meanwhile waits for the answer. How long a broker may hold a poll follows from that:
 *
 *   - all partitions that were lately asked for are in the poll: LONG_POLL_MS. Nobody is expected to come, so
 *     this costs ten requests a second at rest, and one that comes after all waits no longer;
 *   - one of them is missing, since its last data are still being worked on: SHORT_POLL_MS, as it comes back soon.
 *
 * The next poll goes out one turn of the event loop after an answer, so that those who got data can join it.
 * Partitions are asked for in the order in which they came, so one that was served goes to the end: the broker fills
 * an answer in this order and gives the first partition at least one whole batch.
 */
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import { MemoryPool } from '../../core/memory-pool.ts';
import type { Fetched, FetchRequest, Log, SourceReader, TopicDescription } from '../../core/ports.ts';
import { firstBatchBytes } from '../../core/record-batch.ts';
import type { Brokers, KafkaParts } from './brokers.ts';
import { isTransient, kafkaErrors, meansStaleMetadata, topicFailure } from './failures.ts';
import type { FetchedPartition } from './fetch-answers.ts';
import type { FetchLink } from './kafkajs-internals.ts';
import { REQUEST_TIMEOUT_MS } from './kafkajs-internals.ts';
import { listOffsets, noPartition } from './list-offsets.ts';
import type { FetchPosition, TopicMetadata } from './requests.ts';
import { EARLIEST_TIME, LATEST_TIME, fetchRequest } from './requests.ts';
import { wholeBatchesBytes } from './whole-batches.ts';

const LONG_POLL_MS = 100;
const SHORT_POLL_MS = 5;
/** A partition that was asked for within this time is expected to be asked for again. ms */
const EXPECTED_MS = 1000;
/** Failures are met with another attempt for so long before callers hear of them. ms */
const GIVE_UP_MS = 2000;
/** Bytes of one answer, over all partitions. A broker gives one batch more when that is larger. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;

interface Waiting {
  readonly request: FetchRequest;
  /** Monotonic ms from which an empty answer is given. */
  readonly deadline: number;
  /** Grows beyond what was asked when the first batch is larger. */
  maxBytes: number;
  readonly resolve: (fetched: Fetched) => void;
  readonly reject: (error: unknown) => void;
}

/** Failures since the last success. */
interface Failing {
  count: number;
  /** Monotonic ms of the first. */
  readonly since: number;
}

/** Stands for the reading of metadata beside the ids of brokers. */
const METADATA = -1;

export class KafkaReader implements SourceReader {
  readonly #topic: TopicDescription;
  readonly #brokers: Brokers;
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #log: Log;
  readonly #memory: MemoryPool;
  readonly #onClose: () => void;
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiting>();
  readonly #lastAsked = new Map<Partition, number>();
  readonly #links = new Map<number, FetchLink>();
  /** Brokers with a poll outstanding. */
  readonly #polling = new Set<number>();
  /** What failed and is left alone for a moment: brokers, or METADATA. */
  readonly #paused = new Set<number>();
  readonly #failing = new Map<number, Failing>();
  #metadata: TopicMetadata | null = null;
  #refreshing = false;
  #scheduled = false;
  #closed = false;

  constructor(
    topic: TopicDescription,
    brokers: Brokers,
    { clock, rng, log, memory = new MemoryPool() }: KafkaParts,
    onClose: () => void,
  ) {
    this.#topic = topic;
    this.#brokers = brokers;
    this.#clock = clock;
    this.#rng = rng;
    this.#log = log;
    this.#memory = memory;
    this.#onClose = onClose;
  }

  fetch(request: FetchRequest): Promise<Fetched> {
    const { signal, partition, maxWaitMs, maxBytes } = request;
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closedError(this.#topic.topic);
      signal?.throwIfAborted();
      const now = this.#clock.mono();
      const onAbort = (): void => {
        this.#waiting.delete(waiting);
        reject(signal?.reason as Error);
      };
      const settle = (): void => signal?.removeEventListener('abort', onAbort);
      const waiting: Waiting = {
        request,
        deadline: now + maxWaitMs,
        maxBytes,
        resolve: (fetched) => {
          settle();
          resolve(fetched);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiting);
      this.#lastAsked.set(partition, now);
      this.#schedule();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#reject(this.#waiting, closedError(this.#topic.topic));
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#onClose();
  }

  // ------------------------------------------------------------------------------------------------ what to ask whom

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#dispatch();
    });
  }

  /** Sends a poll to every broker that has none and leads something that is waited for. */
  #dispatch(): void {
    if (this.#closed || this.#waiting.size === 0) return;
    if (this.#metadata === null) return this.#refresh();
    const byLeader = Map.groupBy(
      this.#waiting,
      ({ request }) => this.#metadata?.leaders.get(request.partition)?.nodeId ?? -1,
    );
    // A leader that is not known, or none at the moment.
    if (byLeader.has(-1)) this.#refresh();
    for (const [nodeId, waiting] of byLeader) {
      if (nodeId < 0 || this.#polling.has(nodeId) || this.#paused.has(nodeId)) continue;
      void this.#poll(nodeId, onePerPartition(waiting));
    }
  }

  /** Never rejects. */
  async #poll(nodeId: number, waiting: readonly Waiting[]): Promise<void> {
    this.#polling.add(nodeId);
    try {
      const link = await this.#link(nodeId);
      const positions = waiting.map((each) => this.#positionOf(each));
      const waitMs = this.#pollMs(nodeId, waiting);
      const bytes = Math.min(ANSWER_BYTES_MAX, sum(positions.map((position) => position.maxBytes)));
      const answer = await link.fetch(
        fetchRequest(this.#topic.topicId, positions, waitMs, bytes),
        waitMs + REQUEST_TIMEOUT_MS,
      );
      if (answer.errorCode !== kafkaErrors.NONE) throw this.#brokers.refused(this.#topic.topic, answer.errorCode);
      this.#take(nodeId, waiting, answer.partitions);
    } catch (error) {
      this.#links.get(nodeId)?.close();
      this.#links.delete(nodeId);
      // A lost broker may have lost its partitions too.
      this.#setBack(nodeId, waiting, error, true);
    } finally {
      this.#polling.delete(nodeId);
      this.#schedule();
    }
  }

  #positionOf({ request, maxBytes }: Waiting): FetchPosition {
    const epoch = this.#metadata?.leaders.get(request.partition)?.epoch ?? -1;
    return { partition: request.partition, leaderEpoch: epoch, offset: request.offset, maxBytes };
  }

  #pollMs(nodeId: number, waiting: readonly Waiting[]): number {
    const now = this.#clock.mono();
    const asked = new Set(waiting.map(({ request }) => request.partition));
    const missing = [...this.#lastAsked].some(
      ([partition, at]) =>
        !asked.has(partition) && now - at < EXPECTED_MS && this.#metadata?.leaders.get(partition)?.nodeId === nodeId,
    );
    const patience = Math.min(...waiting.map(({ deadline }) => deadline - now));
    return Math.max(0, Math.min(missing ? SHORT_POLL_MS : LONG_POLL_MS, Math.ceil(patience)));
  }

  async #link(nodeId: number): Promise<FetchLink> {
    const open = this.#links.get(nodeId);
    if (open?.usable === true) return open;
    const link = await this.#brokers.open(nodeId, this.#memory);
    if (this.#closed) {
      link.close();
      throw closedError(this.#topic.topic);
    }
    this.#links.set(nodeId, link);
    return link;
  }

  // ------------------------------------------------------------------------------------------------- what came back

  #take(nodeId: number, waiting: readonly Waiting[], partitions: readonly FetchedPartition[]): void {
    const answers = new Map(partitions.map((answer) => [answer.partition, answer]));
    const refused: Waiting[] = [];
    let reason: number = kafkaErrors.NONE;
    for (const each of waiting) {
      const answer = answers.get(each.request.partition);
      if (answer === undefined || !this.#waiting.has(each)) continue;
      if (answer.errorCode === kafkaErrors.NONE) this.#give(each, answer);
      else if (isTransient(answer.errorCode)) {
        refused.push(each);
        reason = answer.errorCode;
      } else void this.#explain(each, answer.errorCode);
    }
    if (reason === kafkaErrors.NONE) this.#failing.delete(nodeId);
    else this.#setBack(nodeId, refused, this.#brokers.refused(this.#topic.topic, reason), meansStaleMetadata(reason));
  }

  #give(waiting: Waiting, answer: FetchedPartition): void {
    const { records, aborted, lastStableOffset, highWatermark, logStartOffset } = answer;
    const length = wholeBatchesBytes(records);
    if (length === 0) {
      if (records.byteLength > 0) waiting.maxBytes = Math.max(waiting.maxBytes, firstBatchBytes(records) ?? 0);
      if (records.byteLength > 0 || this.#clock.mono() < waiting.deadline) return;
    }
    const bytes = new Uint8Array(records.buffer, 0, length);
    this.#waiting.delete(waiting);
    this.#lastAsked.set(waiting.request.partition, this.#clock.mono());
    waiting.resolve({ bytes, transferable: true, aborted, lastStableOffset, highWatermark, logStartOffset });
  }

  /** An answer that asking again does not change. Never rejects. */
  async #explain(waiting: Waiting, code: number): Promise<void> {
    this.#waiting.delete(waiting);
    const { topic } = this.#topic;
    const { partition, offset } = waiting.request;
    if (code !== kafkaErrors.OFFSET_OUT_OF_RANGE) {
      waiting.reject(topicFailure(topic, code) ?? this.#brokers.refused(`${topic}/${partition}`, code));
      return;
    }
    try {
      const [low, high] = await Promise.all([
        listOffsets(this.#brokers, topic, [partition], EARLIEST_TIME),
        listOffsets(this.#brokers, topic, [partition], LATEST_TIME, 'highWatermark'),
      ]);
      waiting.reject(outOfRange(topic, partition, offset, low.get(partition) ?? 0, high.get(partition) ?? 0));
    } catch (error) {
      waiting.reject(error);
    }
  }

  // ------------------------------------------------------------------------------------------ failures and metadata

  /**
   * Leaves a broker, or metadata, alone for a moment before the next attempt. Those who wait for it hear of the failure
   * when it is final or has lasted for GIVE_UP_MS.
   */
  #setBack(what: number, waiting: Iterable<Waiting>, error: unknown, staleMetadata: boolean): void {
    if (this.#closed) return;
    const now = this.#clock.mono();
    const failing = this.#failing.get(what) ?? { count: 0, since: now };
    this.#failing.set(what, failing);
    this.#log.debug({ topic: this.#topic.topic, err: error }, 'fetching failed');
    if (staleMetadata) this.#metadata = null;
    this.#paused.add(what);
    this.#clock.timer(backoffMs(this.#rng, failing.count++, 20, 500), () => {
      this.#paused.delete(what);
      this.#schedule();
    });
    const passing = error instanceof WeirError && error.code === 'SOURCE_UNAVAILABLE';
    if (!passing || now - failing.since >= GIVE_UP_MS) this.#reject(waiting, error);
  }

  #refresh(): void {
    if (this.#refreshing || this.#paused.has(METADATA)) return;
    this.#refreshing = true;
    void this.#readMetadata();
  }

  /** Never rejects. */
  async #readMetadata(): Promise<void> {
    const { topic, topicId } = this.#topic;
    try {
      const metadata = await this.#brokers.topic(topic, 1);
      if (metadata.topicId === topicId) {
        this.#metadata = metadata;
        this.#checkPartitions(metadata);
      } else this.#reject(this.#waiting, recreated(topic, topicId, metadata.topicId));
    } catch (error) {
      this.#setBack(METADATA, this.#waiting, error, true);
    } finally {
      this.#refreshing = false;
      this.#schedule();
    }
  }

  /** Partitions that are not there are refused; those without a leader wait for one. */
  #checkPartitions(metadata: TopicMetadata): void {
    const leaderless: Waiting[] = [];
    for (const waiting of this.#waiting) {
      const { partition } = waiting.request;
      const leader = metadata.leaders.get(partition);
      if (leader === undefined) this.#reject([waiting], noPartition(this.#topic.topic, partition));
      else if (leader.nodeId < 0) leaderless.push(waiting);
    }
    if (leaderless.length === 0) this.#failing.delete(METADATA);
    else
      this.#setBack(
        METADATA,
        leaderless,
        this.#brokers.refused(this.#topic.topic, kafkaErrors.LEADER_NOT_AVAILABLE),
        false,
      );
  }

  #reject(waiting: Iterable<Waiting>, error: unknown): void {
    for (const each of waiting) if (this.#waiting.delete(each)) each.reject(error);
  }
}

function onePerPartition(waiting: readonly Waiting[]): Waiting[] {
  const first = new Map<Partition, Waiting>();
  for (const each of waiting) if (!first.has(each.request.partition)) first.set(each.request.partition, each);
  return [...first.values()];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function closedError(topic: string): WeirError {
  return new WeirError('SOURCE_UNAVAILABLE', `The reader of topic ${topic} was closed.`);
}

function recreated(topic: string, known: string, found: string): WeirError {
  return new WeirError(
    'TOPIC_RECREATED',
    `Kafka's topic ${topic} was deleted and created again: it had the id ${known} and has ${found} now, so positions in it mean nothing; ` +
      `submit the job with --from earliest or --from latest`,
    { facts: { topic, known, found } },
  );
}

function outOfRange(topic: string, partition: Partition, asked: Offset, low: number, high: number): WeirError {
  return new WeirError(
    'OFFSET_OUT_OF_RANGE',
    `Kafka's ${topic}/${partition} holds the offsets ${low} to ${high - 1}, and ${asked} was asked for.`,
    {
      facts: { low, high },
    },
  );
}
