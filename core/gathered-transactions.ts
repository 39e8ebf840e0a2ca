/**
 * One transaction after the other: what is written while one is under way, or before its interval is over, goes into the
 * next. For logs whose transactions need no more than that.
 */
import { must } from './assert.ts';
import type { Clock } from './clock.ts';
import { WeirError } from './errors.ts';
import type { Offset } from './ids.ts';
import type { LogTransactions } from './log-transactions.ts';
import type { LogAppend, SinkStats } from './ports.ts';

export interface GatheredParts {
  readonly clock: Clock;
  /** Where the lane stood; see {@link LogTransactions.position}. */
  readonly position: Offset | null;
  /** ms from the first records of a transaction to its end, unless it is asked for sooner. */
  readonly commitIntervalMs: number;
  /**
   * Commits the records together with the position. `check` is called before each request. Throws: what `check` does, and
   * whatever makes this writer of no use any more.
   */
  readonly transact: (appends: readonly LogAppend[], to: Offset, check: () => void) => Promise<void>;
  /** Requests that were sent again, and why one waits at the moment. */
  readonly trouble?: () => Pick<SinkStats, 'retries' | 'blockedBy'>;
}

interface Waiting {
  readonly appends: readonly LogAppend[];
  readonly to: Offset;
  readonly done: PromiseWithResolvers<void>;
}

export class GatheredTransactions implements LogTransactions {
  readonly position: Offset | null;
  readonly #parts: GatheredParts;
  readonly #waiting: Waiting[] = [];
  #inFlight = 0;
  #now = Promise.withResolvers<void>();
  #running: Promise<void> | null = null;
  #failure: Error | null = null;

  constructor(parts: GatheredParts) {
    this.#parts = parts;
    this.position = parts.position;
  }

  write(appends: readonly LogAppend[], to: Offset): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ appends, to, done });
    this.#running ??= this.#run();
    return done.promise;
  }

  commitNow(): void {
    this.#now.resolve();
  }

  stats(): SinkStats {
    const trouble = this.#parts.trouble?.() ?? { retries: 0, blockedBy: null };
    return { inFlight: this.#waiting.length + this.#inFlight, ...trouble };
  }

  async close(): Promise<void> {
    this.#failure ??= new WeirError('FENCED', 'the writer was closed');
    this.#now.resolve();
    await this.#running;
  }

  async #run(): Promise<void> {
    let taken: Waiting[] = [];
    try {
      while (this.#waiting.length > 0) {
        const cancel = this.#parts.clock.timer(this.#parts.commitIntervalMs, () => this.#now.resolve());
        await this.#now.promise;
        cancel();
        this.#now = Promise.withResolvers();
        taken = this.#waiting.splice(0);
        this.#inFlight = taken.length;
        const { to } = must(taken.at(-1), () => 'an empty transaction');
        await this.#parts.transact(
          taken.flatMap(({ appends }) => appends),
          to,
          () => this.#check(),
        );
        for (const { done } of taken.splice(0)) done.resolve();
        this.#inFlight = 0;
      }
    } catch (error) {
      this.#failure ??= error as Error;
      for (const { done } of [...taken, ...this.#waiting.splice(0)]) done.reject(error);
      this.#inFlight = 0;
    }
    this.#running = null;
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}
