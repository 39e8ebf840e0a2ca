/**
 * What the lanes of a job append to a topic, at least once.
 *
 * Small appends go out together: one request with one batch per partition at a time, and what comes meanwhile makes up the
 * next one. Each lane by itself would send a request with a batch of one or two records for every partition of the topic; a
 * broker then has more to do for batches than for records, and each request waits for all before it. Nothing waits for
 * company: an append goes out in the turn of the event loop in which it came, unless one is under way. Large appends go
 * by themselves at once. While a partition does not answer, small appends to the others wait too: a lane's rows are spread
 * over all of them by their keys, as a rule.
 *
 * Invariant: what one owner appends never overtakes what it appended before, and nothing goes out behind what was lost.
 * Two requests under way at once would: one that is tried again after a lost connection, or one of several batches, comes
 * behind the next one, and the last record of a key is an old one.
 */
import { must } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import { isWeirError } from '../core/errors.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { LogAppend, LogWriter } from '../core/ports.ts';
import { BatchMerger } from '../engine/encode/merge-batches.ts';

/** Bytes from which an append is worth a request of its own. */
const LARGE_BYTES = 16 * 1024;
/** Bytes of appends that go out together: to merge them is work of the event loop, some milliseconds for so many. */
const GATHERED_BYTES_MAX = 128 * 1024;

interface Waiting {
  readonly owner: string | null;
  readonly appends: readonly LogAppend[];
  readonly permit: WritePermit;
  readonly bytes: number;
  readonly done: PromiseWithResolvers<void>;
}

/** The newest append of an owner. */
interface Newest {
  readonly done: Promise<void>;
  /** It is, or will be, among those that go out together, which keep their order. */
  readonly isGathered: boolean;
  /** What it waits for before it is sent or gathered: a large one. */
  readonly ready: Promise<void> | null;
}

export class GatheredAppends {
  readonly #writer: LogWriter;
  readonly #clock: Clock;
  readonly #merger = new BatchMerger();
  /** By owner; none = nothing is under way. */
  readonly #newest = new Map<string, Newest>();
  readonly #waiting: Waiting[] = [];
  #running = false;
  /** Becomes smaller when a topic does not take batches as large as all together make up. */
  #bytesMax = GATHERED_BYTES_MAX;

  constructor(writer: LogWriter, clock: Clock) {
    this.#writer = writer;
    this.#clock = clock;
  }

  /**
   * As {@link LogWriter.append}, behind all that the owner appended before; null = in no order. Throws also what one before
   * it threw that was under way when this one came.
   */
  async append(owner: string | null, appends: readonly LogAppend[], permit: WritePermit): Promise<void> {
    const bytes = appends.reduce((sum, { batch }) => sum + batch.byteLength, 0);
    const isGathered = bytes < LARGE_BYTES;
    const send = (): Promise<void> =>
      isGathered ? this.#gather(owner, appends, permit, bytes) : this.#writer.append(appends, permit);
    if (owner === null) return send();
    const before = this.#newest.get(owner);
    const ready = before?.isGathered === true && isGathered ? before.ready : (before?.done ?? null);
    const newest: Newest = { done: ready === null ? send() : ready.then(send), isGathered, ready };
    this.#newest.set(owner, newest);
    try {
      await newest.done;
    } finally {
      if (this.#newest.get(owner) === newest) this.#newest.delete(owner);
    }
  }

  #gather(owner: string | null, appends: readonly LogAppend[], permit: WritePermit, bytes: number): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ owner, appends, permit, bytes, done });
    if (!this.#running) {
      this.#running = true;
      this.#clock.timer(0, () => void this.#run());
    }
    return done.promise;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#send(this.#take());
    this.#running = false;
  }

  #take(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      bytes += waiting.bytes;
      if (count > 0 && bytes > this.#bytesMax) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** Never rejects. */
  async #send(taken: readonly Waiting[]): Promise<void> {
    if (taken.length > 1 && taken.every(({ permit }) => permit.valid())) {
      try {
        await this.#writer.append(this.#merged(taken), permitOfAll(taken));
        for (const { done } of taken) done.resolve();
        return;
      } catch (error) {
        if (isWeirError(error, 'SINK_REFUSED')) this.#bytesMax = Math.max(LARGE_BYTES, this.#bytesMax / 2);
        // Whose fault it is shows when each owner's are sent by themselves; what is there already is there twice then.
      }
    }
    const owners = Map.groupBy(taken, (waiting) => waiting.owner ?? waiting);
    await Promise.all([...owners.values()].map((ofOwner) => this.#sendOneByOne(ofOwner)));
  }

  /** Appends of one owner. Never rejects. */
  async #sendOneByOne(taken: readonly Waiting[]): Promise<void> {
    const rest = [...taken];
    try {
      for (const { appends, permit, done } of taken) {
        await this.#writer.append(appends, permit);
        done.resolve();
        rest.shift();
      }
    } catch (error) {
      for (const { done } of rest) done.reject(error);
      const owner = rest[0]?.owner ?? null;
      const behind = owner === null ? [] : this.#waiting.filter((waiting) => waiting.owner === owner);
      for (const waiting of behind) {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        waiting.done.reject(error);
      }
    }
  }

  /** In memory of its own: after a failure nobody may touch what was sent, and each is sent once more by itself. */
  #merged(taken: readonly Waiting[]): LogAppend[] {
    const all = taken.flatMap(({ appends }) => appends);
    const places = Map.groupBy(all, ({ topic, partition }) => `${partition} ${topic}`);
    return [...places.values()].flatMap((appends) => {
      const { topic, partition } = must(appends[0], () => 'a place without appends');
      const batches = this.#merger.merge(appends.map(({ batch }) => batch));
      return batches.map((batch) => ({ topic, partition, batch }));
    });
  }
}

function permitOfAll(waiting: readonly Waiting[]): WritePermit {
  return {
    valid: () => waiting.every(({ permit }) => permit.valid()),
    check: () => {
      for (const { permit } of waiting) permit.check();
    },
  };
}
