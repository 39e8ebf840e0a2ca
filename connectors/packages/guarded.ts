/** Sinks and feeds of packages as the rest takes them: what they throw is an error with a code that says whose it is. */
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

export class GuardedSink implements RowSink {
  readonly #connector: string;
  readonly #sink: RowSink;

  constructor(connector: string, sink: RowSink) {
    this.#connector = connector;
    this.#sink = sink;
  }

  async write(batch: RowBatch, permit: WritePermit): Promise<void> {
    try {
      await this.#sink.write(batch, permit);
    } catch (error) {
      throw connectorError(this.#connector, error);
    }
  }

  stats(): SinkStats {
    return this.#sink.stats();
  }

  async close(): Promise<void> {
    await this.#sink.close();
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
