/**
 * Transactions over the topics of an embedded process: records of several partitions and a position, all or nothing.
 *
 * What is staged lies in memory. A commit holds its partitions, so that it knows the offsets that its batches will have,
 * and writes position and batches into the store's journal in one transaction of the store: that decides it. Then the
 * batches are appended, and nobody else can come in between. A process that ends before they all are finishes it when it
 * starts again: a batch whose offset a partition has reached stands there, the others are appended.
 */
import type { Clock, Rng } from '../../core/clock.ts';
import { assert, must } from '../../core/assert.ts';
import { isWeirError, messageOf, WeirError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import type {
  BeginTransactionsReply,
  BeginTransactionsRequest,
  CommitTransactionRequest,
  PartitionAppend,
  StageAppendsRequest,
} from '../../proto/gen/embedded.ts';
import type { HeldPartition } from './partition-log.ts';
import { untilDone } from './retry.ts';
import type { JournalAppend } from './store.ts';
import type { StoreHost } from './store-host.ts';
import type { Topics } from './topics.ts';

export interface TopicTransactionsParts {
  readonly topics: Topics;
  readonly store: StoreHost;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

/** What is staged is kept so long without another word of its writer, ms. */
const SILENCE_MS_MAX = 10 * 60_000;

/** What a writer has sent of its next transaction. */
interface Staged {
  readonly generation: number;
  /** When its writer was heard of last, monotonic ms. */
  at: number;
  readonly appends: PartitionAppend[];
}

export class TopicTransactions {
  readonly #parts: TopicTransactionsParts;
  readonly #staged = new Map<string, Staged>();
  /** Commits under way, by the id of their writer. */
  readonly #committing = new Map<string, Promise<void>>();
  #isClosed = false;

  constructor(parts: TopicTransactionsParts) {
    this.#parts = parts;
  }

  /** Finishes what a process that ended has left. To be called before anybody else appends. Throws: DISK_FULL. */
  async recover(): Promise<void> {
    const { store, log } = this.#parts;
    const appends = await store.call('journal', []);
    if (appends.length === 0) return;
    for (const append of appends) await this.#finish(append);
    await store.call('forgetJournal', ['']);
    log.info({ batches: appends.length }, 'finished transactions that were committed when the process ended');
  }

  async begin(request: BeginTransactionsRequest): Promise<BeginTransactionsReply> {
    const { id } = request;
    this.#forgetSilent();
    const begun = await this.#parts.store.call('beginTransactions', [request]);
    this.#staged.delete(id);
    // What the writer before has committed is to be seen by whoever goes on behind it.
    await this.#committing.get(id)?.catch(() => undefined);
    return begun;
  }

  /** Throws: FENCED, TOPIC_NOT_FOUND, SINK_REFUSED. */
  stage({ id, generation, first, appends }: StageAppendsRequest): void {
    for (const { topic, partition, batch } of appends) this.#parts.topics.partition(topic, partition).check(batch);
    this.#forgetSilent();
    const known = this.#staged.get(id);
    if (known !== undefined && known.generation > generation)
      throw new WeirError('FENCED', `another writer took ${id} over`);
    const now = this.#parts.clock.mono();
    const staged = known?.generation === generation ? known : { generation, at: now, appends: [] };
    if (first > staged.appends.length) throw lost(id);
    staged.at = now;
    this.#staged.set(id, staged);
    // The message's bytes are a part of a larger buffer.
    const own = appends.map((append) => ({ ...append, batch: new Uint8Array(append.batch) }));
    staged.appends.splice(first, staged.appends.length - first, ...own);
  }

  /** Writers that never came back. One that does learns that its transaction is lost, and begins anew. */
  #forgetSilent(): void {
    const now = this.#parts.clock.mono();
    for (const [id, { at }] of this.#staged)
      if (now - at > SILENCE_MS_MAX && !this.#committing.has(id)) this.#staged.delete(id);
  }

  /**
   * Resolves when the records can be read.
   *
   * Throws, before it is decided alone: FENCED, TOPIC_NOT_FOUND, DISK_FULL, STORE_UNAVAILABLE.
   */
  async commit(request: CommitTransactionRequest): Promise<void> {
    const { id, generation } = request;
    this.#forgetSilent();
    // One at a time: one that is asked for again finds it decided, or does it.
    const before = this.#committing.get(id)?.catch(() => undefined);
    const committing = before === undefined ? this.#commit(request) : before.then(() => this.#commit(request));
    this.#committing.set(id, committing);
    try {
      await committing;
    } finally {
      if (this.#committing.get(id) === committing) this.#committing.delete(id);
      // What could not be committed is asked for again.
      const staged = this.#staged.get(id);
      if (staged?.generation === generation) staged.at = this.#parts.clock.mono();
    }
  }

  /** Commits that were decided and could not be finished, since the disk is full, are left to the next start. */
  close(): void {
    this.#isClosed = true;
  }

  async #commit(request: CommitTransactionRequest): Promise<void> {
    const { id, generation } = request;
    const { store, topics, log } = this.#parts;
    // Asked for again: its answer did not arrive.
    if (await store.call('isDecided', [request])) return;
    const staged = this.#staged.get(id);
    if (staged?.generation !== generation || staged.appends.length !== request.appends) throw lost(id);
    const held = await this.#hold(staged.appends);
    try {
      const appends = placed(staged.appends, held, topics);
      await store.call('decide', [request, appends]);
      this.#staged.delete(id);
      for (const append of appends) await this.#append(held, append);
    } finally {
      // At the end of the process they stay held: what others append now would stand where the next start puts the rest.
      if (!this.#isClosed) for (const partition of held.values()) partition.release();
    }
    // What was left out stands in the journal, for the next start.
    if (this.#isClosed) return;
    topics.trimSoon();
    // It would be found to be there at the next start, too.
    await store
      .call('forgetJournal', [id])
      .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'could not forget a finished transaction'));
  }

  /**
   * All partitions of the transaction, in one order for all transactions.
   *
   * Throws: TOPIC_NOT_FOUND; DISK_FULL and STORE_UNAVAILABLE while another one that is decided cannot be appended.
   */
  async #hold(appends: readonly PartitionAppend[]): Promise<Held> {
    const { topics } = this.#parts;
    const logs = new Map(
      appends.map(({ topic, partition }) => [
        placeOf(topics.get(topic).id, partition),
        topics.partition(topic, partition),
      ]),
    );
    const held: Map<string, HeldPartition> = new Map();
    try {
      for (const [place, log] of [...logs].toSorted(([a], [b]) => (a < b ? -1 : 1))) held.set(place, await log.hold());
      return held;
    } catch (error) {
      for (const partition of held.values()) partition.release();
      throw error;
    }
  }

  /**
   * It is decided: no failure is final. It is tried until it succeeds, the topic is gone or the process ends; meanwhile
   * others learn why none of its partitions takes what they append.
   */
  async #append(held: Held, { topicId, partition: index, baseOffset, batch }: JournalAppend): Promise<void> {
    const { clock, rng, topics, log } = this.#parts;
    const partition = must(held.get(placeOf(topicId, index)), () => `partition ${index} of a transaction is not held`);
    const attempt = async (): Promise<void> => {
      if (this.#isClosed || topics.partitionOf(topicId, index) === undefined) return;
      assert(partition.end() === baseOffset, () => `partition ${index} ends at ${partition.end()}`);
      await partition.append(batch).catch((cause: unknown) => {
        throw new WeirError('STORE_UNAVAILABLE', messageOf(cause), { cause });
      });
    };
    await untilDone(clock, rng, attempt, (failure) => {
      log.warn({ partition: index }, `a committed transaction waits: ${failure.message}`);
      const code = isWeirError(failure.cause, 'DISK_FULL') ? 'DISK_FULL' : 'STORE_UNAVAILABLE';
      const message = `A committed transaction has to be appended before anything else: ${failure.message}`;
      const refusal = new WeirError(code, message, { cause: failure });
      for (const each of held.values()) each.refuse(refusal);
    });
  }

  async #finish({ topicId, partition: index, baseOffset, batch }: JournalAppend): Promise<void> {
    const partition = this.#parts.topics.partitionOf(topicId, index);
    if (partition === undefined || partition.endOffset > baseOffset) return;
    assert(partition.endOffset === baseOffset, () => `partition ${index} ends at ${partition.endOffset}`);
    await partition.append(batch);
  }
}

/** By {@link placeOf}. */
type Held = ReadonlyMap<string, HeldPartition>;

function placeOf(topicId: string, partition: number): string {
  return `${topicId}/${partition}`;
}

/** The batches with the offsets that they will have. Throws: TOPIC_NOT_FOUND. */
function placed(appends: readonly PartitionAppend[], held: Held, topics: Topics): JournalAppend[] {
  const ends = new Map<string, number>();
  return appends.map(({ topic, partition, batch }) => {
    const topicId = topics.get(topic).id;
    const place = placeOf(topicId, partition);
    const baseOffset = ends.get(place) ?? must(held.get(place), () => `${topic}/${partition} is not held`).end();
    ends.set(place, baseOffset + topics.partition(topic, partition).check(batch));
    return { topicId, partition, baseOffset, batch };
  });
}

function lost(id: string): WeirError {
  return new WeirError('FENCED', `the embedded process has no longer all that ${id} wrote of its transaction`);
}
