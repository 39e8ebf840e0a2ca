/** Sinks and feeds of packages as the rest takes them: what they throw is an error with a code that says whose it is. */
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { WeirError, errorTable, isWeirError, messageOf } from '../../core/errors.ts';
import type { Feed, FeedStep, Json } from '../../core/feed/feed.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { SinkStats } from '../../core/ports.ts';
import type { RowBatch, RowSink } from '../../core/row-sink.ts';

/**
 * The same error where it has a code of Weir, also of another copy of Weir; else USER_CODE_FAILED. A signal's reason
 * stays what it is.
 */
export function connectorError(connector: string, error: unknown, signal?: AbortSignal): unknown {
  if (isWeirError(error) || (signal?.aborted === true && error === signal.reason)) return error;
  const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown };
  if (name === 'WeirError' && typeof code === 'string' && Object.hasOwn(errorTable, code))
    return new WeirError(code as ErrorCode, messageOf(error), { cause: error });
  return new WeirError('USER_CODE_FAILED', `The connector ${connector} failed: ${messageOf(error)}`, { cause: error });
}

export interface GuardedSinkParts {
  /** Name of the connector, for messages. */
  readonly connector: string;
  readonly sink: RowSink;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** Gives a batch that the sink could not take for the moment again, with backoff, as the built-in sinks do themselves. */
export class GuardedSink implements RowSink {
  readonly #parts: GuardedSinkParts;
  readonly #closing = new AbortController();
  #retries = 0;
  #blockedBy: string | null = null;

  constructor(parts: GuardedSinkParts) {
    this.#parts = parts;
  }

  async write(batch: RowBatch, permit: WritePermit): Promise<void> {
    const { connector, sink, clock, rng } = this.#parts;
    for (let attempt = 0; ; attempt++) {
      permit.check();
      this.#closing.signal.throwIfAborted();
      try {
        await sink.write(batch, permit);
        this.#blockedBy = null;
        return;
      } catch (error) {
        const failure = connectorError(connector, error);
        if (!isWeirError(failure) || !failure.retryable) throw failure;
        this.#retries++;
        this.#blockedBy = failure.message;
        await clock.sleep(backoffMs(rng, attempt), this.#closing.signal);
      }
    }
  }

  stats(): SinkStats {
    const stats = this.#parts.sink.stats();
    return { ...stats, retries: stats.retries + this.#retries, blockedBy: stats.blockedBy ?? this.#blockedBy };
  }

  async close(): Promise<void> {
    this.#closing.abort(new WeirError('FENCED', `The sink of the connector ${this.#parts.connector} was closed`));
    await this.#parts.sink.close();
  }
}

export class GuardedFeed implements Feed {
  readonly #connector: string;
  readonly #feed: Feed;

  constructor(connector: string, feed: Feed) {
    this.#connector = connector;
    this.#feed = feed;
  }

  async next(cursor: Json, signal: AbortSignal, known: (id: string) => boolean): Promise<FeedStep> {
    try {
      return await this.#feed.next(cursor, signal, known);
    } catch (error) {
      throw connectorError(this.#connector, error, signal);
    }
  }

  async appended(cursor: Json): Promise<void> {
    await this.#feed.appended?.(cursor);
  }

  async close(): Promise<void> {
    await this.#feed.close();
  }
}
