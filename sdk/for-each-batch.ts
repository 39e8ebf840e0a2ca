/** A function of the job as a sink: `sinks: [forEachBatch(async (rows, batch) => …)]`. */
import type { BatchFunction, BatchInfo } from '../core/job/user-functions.ts';
import type { JobSpecInput } from '../core/job/spec.ts';
import type { UnknownRow } from './schema-types.ts';

/** Under which a sink of {@link forEachBatch} has its function; no part of the job file. */
const FUNCTION = Symbol('forEachBatch');

export interface ForEachBatchOptions {
  /** A call that is not done after so long is given up, and its thread ended. Default 1m. */
  readonly timeout?: string;
  /** How often a call that failed is made again, with backoff, before the job fails. Default 5. */
  readonly retries?: number;
}

type SinkInput = JobSpecInput['sinks'][number];
export type ForEachBatchSink = Extract<SinkInput, { readonly connector: 'forEachBatch' }>;

/**
 * Calls a function with the rows of every batch, at least once: a batch whose end was not recorded is called again, with
 * the same rows in the same order under the same `id`. The function may be asynchronous; a batch counts when its promise
 * resolves. It runs in a thread of the job's own on the worker, and may use what Node has globally (`fetch`).
 */
export function forEachBatch<Row = UnknownRow>(
  call: (rows: readonly Row[], batch: BatchInfo) => unknown,
  options: ForEachBatchOptions = {},
): ForEachBatchSink {
  const sink: ForEachBatchSink & { [FUNCTION]: BatchFunction } = {
    connector: 'forEachBatch',
    ...options,
    [FUNCTION]: (rows, batch) => call(rows as readonly Row[], batch),
  };
  return sink;
}

/** The function behind a sink; null where it is another one. */
export function functionOf(sink: SinkInput): BatchFunction | null {
  return (sink as { readonly [FUNCTION]?: BatchFunction })[FUNCTION] ?? null;
}
