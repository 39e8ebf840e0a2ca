/**
 * A topic that the epochs of a job write exactly once. All rows of an epoch come to one worker, which writes them and the
 * epoch's time in one transaction. The time is the mark: whoever writes takes the topic's transactional id over first, so
 * that nobody before it can commit any more, and then reads the mark; an epoch at or below it is there and is left out.
 *
 * Invariant: marks only grow, since epochs come here in their order and every epoch's time is above those of all epochs
 * before it, of former runs too. So it does not matter who writes an attempt, or how late: all attempts of an epoch give
 * the same rows, and one of them stays.
 */
import type { Clock, Rng } from '../core/clock.ts';
import { backoffMs } from '../core/clock.ts';
import { WeirError, isWeirError, messageOf } from '../core/errors.ts';
import { offset, partition } from '../core/ids.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { LogTransactions } from '../core/log-transactions.ts';
import type { Failpoints, LogAppend, LogWriter, SinkStats } from '../core/ports.ts';
import type { LogTransactionSettings } from '../engine/plan/stage-plan.ts';

export interface EpochTransactionsParts {
  readonly job: string;
  readonly topic: string;
  /** When the job was first submitted, ms: tells its marks from those of another of the same name whose metadata are gone. */
  readonly submittedAt: number;
  readonly settings: LogTransactionSettings;
  readonly writer: LogWriter;
  readonly failpoints: Failpoints;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** Rows of one epoch for one topic, all of them. */
export interface EpochRows {
  /** The epoch's time, µs. */
  readonly timeUs: number;
  readonly appends: readonly LogAppend[];
}

interface OpenWriter {
  readonly transactions: LogTransactions;
  /** The mark, µs: rows of epochs up to it are there. -1 = none are. */
  markUs: number;
}

export class EpochTransactions {
  readonly topic: string;
  readonly #parts: EpochTransactionsParts;
  readonly #closing = new AbortController();
  #open: OpenWriter | null = null;
  /** Of the attempt that is being written. */
  #permit: WritePermit | null = null;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #retries = 0;
  #blockedBy: string | null = null;

  constructor(parts: EpochTransactionsParts) {
    this.topic = parts.topic;
    this.#parts = parts;
  }

  /**
   * Resolves when the rows are committed, by this call or before. Calls come in the order of the epochs; one that comes
   * while another is under way waits for its end. Tries again what may come right, and takes the topic over again from
   * whoever took it, for as long as the permit lasts. The batches stay as they are.
   *
   * Throws: FENCED when the permit ended; SINK_REFUSED; TOPIC_NOT_FOUND; UNAUTHORIZED; CONFIG_INVALID; UNSUPPORTED.
   */
  write(rows: EpochRows, permit: WritePermit): Promise<void> {
    const written = this.#last.then(() => this.#write(rows, permit));
    this.#last = written.catch(() => undefined);
    return written;
  }

  stats(): SinkStats {
    const open = this.#open?.transactions.stats();
    return {
      inFlight: this.#waiting,
      retries: this.#retries + (open?.retries ?? 0),
      blockedBy: this.#blockedBy ?? open?.blockedBy ?? null,
    };
  }

  /** Aborts what is not committed. Never rejects. */
  async close(): Promise<void> {
    this.#closing.abort(new WeirError('FENCED', `${this.#name()}: the writer was closed`));
    await this.#forget();
    await this.#last;
  }

  async #write({ timeUs, appends }: EpochRows, permit: WritePermit): Promise<void> {
    if (appends.length === 0) return;
    this.#permit = permit;
    this.#waiting = appends.length;
    try {
      for (let attempt = 0; ; attempt++) {
        this.#closing.signal.throwIfAborted();
        permit.check();
        try {
          await this.#writeOnce({ timeUs, appends });
          this.#blockedBy = null;
          return;
        } catch (error) {
          await this.#forget();
          permit.check();
          if (!isWeirError(error) || !(error.retryable || error.code === 'FENCED')) throw error;
          this.#retries += 1;
          this.#blockedBy = messageOf(error);
          await this.#parts.clock.sleep(backoffMs(this.#parts.rng, attempt, 10, 1000), this.#closing.signal);
        }
      }
    } finally {
      this.#waiting = 0;
    }
  }

  async #writeOnce({ timeUs, appends }: EpochRows): Promise<void> {
    this.#open ??= await this.#takeOver();
    const { transactions, markUs } = this.#open;
    if (markUs >= timeUs) return;
    // The log's writer puts its producer into the batches, and another attempt may send these again.
    const written = transactions.write(
      appends.map((append) => ({ ...append, batch: append.batch.slice() })),
      offset(timeUs),
    );
    transactions.commitNow();
    await written;
    this.#open.markUs = timeUs;
  }

  async #takeOver(): Promise<OpenWriter> {
    const { job, topic, submittedAt, settings, writer, failpoints } = this.#parts;
    if (writer.openTransactions === undefined)
      throw new WeirError('UNSUPPORTED', `Job ${job}: the log of topic ${topic} has no transactions.`);
    const name = `weir.${job}.epochs.${topic}`;
    const plan = {
      job,
      topic,
      id: name,
      groups: [name] as const,
      // Deleted with the topic, its marks are gone when its rows are.
      source: { topic, partition: partition(0) },
      note: String(submittedAt),
      ...settings,
    };
    const permit: WritePermit = { valid: () => this.#permit?.valid() ?? false, check: () => this.#permit?.check() };
    const transactions = await writer.openTransactions(plan, { permit, failpoints });
    return { transactions, markUs: transactions.position ?? -1 };
  }

  async #forget(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    await open?.transactions.close();
  }

  #name(): string {
    return `job ${this.#parts.job}, topic ${this.#parts.topic}`;
  }
}
