/**
 * Small appends to a topic, of all lanes, go out together: one request with one batch per partition at a time, and what
 * comes meanwhile makes up the next one. Each lane by itself would send a request with a batch of one or two records for
 * every partition of the topic; a broker then has more to do for batches than for records, and each waits for all before it.
 *
 * Nothing waits for company: an append goes out in the turn of the event loop in which it came, unless one is under way.
 * Large appends go by themselves at once. Who appends twice without waiting has no order.
 */
import { must } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { LogAppend, LogWriter } from '../core/ports.ts';
import { BatchMerger } from '../engine/encode/merge-batches.ts';

/** Bytes from which an append is worth a request of its own. */
const LARGE_BYTES = 32 * 1024;
/** Bytes of appends that go out together. */
const GATHERED_BYTES_MAX = 512 * 1024;

interface Waiting {
  readonly appends: readonly LogAppend[];
  readonly permit: WritePermit;
  readonly bytes: number;
  readonly done: PromiseWithResolvers<void>;
}

export class GatheredAppends {
  readonly #writer: LogWriter;
  readonly #clock: Clock;
  readonly #merger = new BatchMerger();
  readonly #waiting: Waiting[] = [];
  #running = false;

  constructor(writer: LogWriter, clock: Clock) {
    this.#writer = writer;
    this.#clock = clock;
  }

  /** As {@link LogWriter.append}. */
  append(appends: readonly LogAppend[], permit: WritePermit): Promise<void> {
    const bytes = appends.reduce((sum, { batch }) => sum + batch.byteLength, 0);
    if (bytes >= LARGE_BYTES) return this.#writer.append(appends, permit);
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ appends, permit, bytes, done });
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
      if (count > 0 && bytes > GATHERED_BYTES_MAX) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** Never rejects. */
  async #send(taken: readonly Waiting[]): Promise<void> {
    const allowed = taken.filter(({ permit }) => permit.valid());
    if (allowed.length === taken.length && taken.length > 1) {
      try {
        await this.#writer.append(this.#merged(taken), permitOfAll(taken));
        for (const { done } of taken) done.resolve();
        return;
      } catch {
        // Whose fault it is shows when each is sent by itself; what is there already is there twice then.
      }
    }
    await Promise.all(
      taken.map(async ({ appends, permit, done }) => {
        try {
          await this.#writer.append(appends, permit);
          done.resolve();
        } catch (error) {
          done.reject(error);
        }
      }),
    );
  }

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
