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
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
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

/** What a writer has sent of its next transaction. */
interface Staged {
  readonly generation: number;
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
    const begun = await this.#parts.store.call('beginTransactions', [request]);
    this.#staged.delete(id);
    // What the writer before has committed is to be seen by whoever goes on behind it.
    await this.#committing.get(id)?.catch(() => undefined);
    return begun;
  }

  /** Throws: FENCED, TOPIC_NOT_FOUND, SINK_REFUSED. */
  stage({ id, generation, first, appends }: StageAppendsRequest): void {
    for (const { topic, partition, batch } of appends) this.#parts.topics.partition(topic, partition).check(batch);
    const known = this.#staged.get(id);
    if (known !== undefined && known.generation > generation)
      throw new WeirError('FENCED', `another writer took ${id} over`);
    const staged = known?.generation === generation ? known : { generation, appends: [] };
    this.#staged.set(id, staged);
    if (first > staged.appends.length) throw lost(id);
    // The message's bytes are a part of a larger buffer.
    const own = appends.map((append) => ({ ...append, batch: new Uint8Array(append.batch) }));
    staged.appends.splice(first, staged.appends.length - first, ...own);
  }

  /** Resolves when the records can be read. Throws: FENCED, TOPIC_NOT_FOUND, DISK_FULL. */
  async commit(request: CommitTransactionRequest): Promise<void> {
    const { id } = request;
    await this.#committing.get(id)?.catch(() => undefined);
    // Asked for again: its answer did not arrive.
    if (await this.#parts.store.call('isDecided', [request])) return;
    const committing = this.#commit(request);
    this.#committing.set(id, committing);
    try {
      await committing;
    } finally {
      if (this.#committing.get(id) === committing) this.#committing.delete(id);
    }
  }

  /** Commits that were decided and could not be finished, since the disk is full, are left to the next start. */
  close(): void {
    this.#isClosed = true;
  }

  async #commit(request: CommitTransactionRequest): Promise<void> {
    const { id, generation } = request;
    const { store, topics, log } = this.#parts;
    const staged = this.#staged.get(id);
    if (staged?.generation !== generation || staged.appends.length !== request.appends) throw lost(id);
    const held = await this.#hold(staged.appends);
    try {
      const appends = placed(staged.appends, held, topics);
      await store.call('decide', [request, appends]);
      this.#staged.delete(id);
      for (const append of appends) await this.#append(held, append);
    } finally {
      for (const { partition } of held.values()) partition.release();
    }
    topics.trimSoon();
    // It would be found to be there at the next start, too.
    await store
      .call('forgetJournal', [id])
      .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'could not forget a finished transaction'));
  }

  /** All partitions of the transaction, in one order for all transactions. Throws: TOPIC_NOT_FOUND. */
  async #hold(appends: readonly PartitionAppend[]): Promise<Held> {
    const { topics } = this.#parts;
    const held: Held = new Map();
    try {
      for (const key of [...new Set(appends.map(keyOf))].toSorted()) {
        const { topic, partition } = must(
          appends.find((append) => keyOf(append) === key),
          () => `no append ${key}`,
        );
        const { id: topicId } = topics.get(topic);
        held.set(key, { topicId, partition: await topics.partition(topic, partition).hold() });
      }
      return held;
    } catch (error) {
      for (const { partition } of held.values()) partition.release();
      throw error;
    }
  }

  /** It is committed: it is tried until it succeeds, the topic is gone or the process ends. */
  async #append(held: Held, { topicId, partition: index, baseOffset, batch }: JournalAppend): Promise<void> {
    const { clock, rng, topics } = this.#parts;
    const place = [...held].find(([key, value]) => value.topicId === topicId && key.endsWith(`/${index}`));
    const { partition } = must(place, () => `partition ${index} of a transaction is not held`)[1];
    await untilDone(clock, rng, async () => {
      if (this.#isClosed || topics.partitionOf(topicId, index) === undefined) return;
      assert(partition.end() === baseOffset, () => `partition ${index} ends at ${partition.end()}`);
      await partition.append(batch).catch((error: unknown) => {
        // Deleted meanwhile: what else the transaction holds is to be appended all the same.
        if (!isWeirError(error, 'TOPIC_NOT_FOUND')) throw error;
      });
    });
  }

  async #finish({ topicId, partition: index, baseOffset, batch }: JournalAppend): Promise<void> {
    const partition = this.#parts.topics.partitionOf(topicId, index);
    if (partition === undefined || partition.endOffset > baseOffset) return;
    assert(partition.endOffset === baseOffset, () => `partition ${index} ends at ${partition.endOffset}`);
    await partition.append(batch);
  }
}

type Held = Map<string, { readonly topicId: string; readonly partition: HeldPartition }>;

function keyOf({ topic, partition }: PartitionAppend): string {
  return `${topic}/${partition}`;
}

/** The batches with the offsets that they will have. */
function placed(appends: readonly PartitionAppend[], held: Held, topics: Topics): JournalAppend[] {
  const ends = new Map<string, number>();
  return appends.map((append) => {
    const { topic, partition, batch } = append;
    const key = keyOf(append);
    const { topicId, partition: log } = must(held.get(key), () => `${key} is not held`);
    const baseOffset = ends.get(key) ?? log.end();
    ends.set(key, baseOffset + topics.partition(topic, partition).check(batch));
    return { topicId, partition, baseOffset, batch };
  });
}

function lost(id: string): WeirError {
  return new WeirError('FENCED', `the embedded process was started anew while ${id} wrote a transaction`);
}
