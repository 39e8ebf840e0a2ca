/**
 * Records and the position they were made up to, appended to a log all or nothing. The position stands in the log's own
 * cluster, so it can neither run ahead of the records nor stay behind them.
 */
import type { Offset, Partition } from './ids.ts';
import type { WritePermit } from './lane/permit.ts';
import type { Failpoints, LogAppend, SinkStats } from './ports.ts';

/** What one lane writes to one topic by transactions, and where its position is kept. Plain data. */
export interface LogTransactionPlan {
  /** For messages: the job, and the topic that is written. */
  readonly job: string;
  readonly topic: string;
  /** Of several who open one id only the last may go on: it outlives the runs of a job. */
  readonly id: string;
  /** Where positions are kept: of this run first, then those of the runs that it continues, newest first. */
  readonly groups: readonly [string, ...string[]];
  /** The partition that the position is one of. */
  readonly source: { readonly topic: string; readonly partition: Partition };
  /** Kept beside every position; a position with another note is that of something else and does not count. */
  readonly note: string;
  /** ms from the first records of a transaction to its end, unless it is asked for sooner. */
  readonly commitIntervalMs: number;
  /** ms after which the log ends a transaction whose writer fell silent. */
  readonly timeoutMs: number;
}

export interface LogTransactionParts {
  /** Checked before every request of the writer, of the first one on. */
  readonly permit: WritePermit;
  readonly failpoints: Failpoints;
}

/**
 * The one writer of a lane to one topic. After a failure it is of no use any more: close it and open another, which learns
 * from the log what was committed.
 */
export interface LogTransactions {
  /** Where the lane stood when this was opened: records before it are in the log. null = nothing is. */
  readonly position: Offset | null;
  /**
   * Resolves when the records are committed together with the position `to`. Calls come in the order of positions; their
   * records are the callee's, who changes them.
   *
   * Throws: FENCED when another writer took the id or the permit ended; SINK_REFUSED; TOPIC_NOT_FOUND; UNAUTHORIZED.
   */
  write(appends: readonly LogAppend[], to: Offset): Promise<void>;
  /** Commits what was written up to now without waiting for more. */
  commitNow(): void;
  stats(): SinkStats;
  /** What is not committed is aborted. Never rejects. */
  close(): Promise<void>;
}
