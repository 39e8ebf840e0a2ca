/** Shapes of the master's REST as the pages read them; views come from the master's own types. */
import type { JobProblem } from '../core/job/problem.ts';
import type { LaneCounters } from '../core/lane/position.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import type { JobView, LaneView, WorkerView } from '../master/views.ts';

export type { JobPlan, JobProblem, JobView, LaneView, WorkerView };

/** A job without its lanes: what lists are made of. */
export interface JobSummary {
  readonly name: string;
  readonly state: string;
  readonly reason: { readonly code: string; readonly message: string } | null;
  readonly revision: number;
  readonly run: number;
  /** ms since 1970. */
  readonly submittedAt: number;
  readonly changedAt: number;
  readonly partitionCount: number;
  readonly counters: LaneCounters;
  /** Records behind the ends of the logs. */
  readonly lag: number;
  readonly recordsPerSecond: number;
  readonly rowsPerSecond: number;
  readonly latencyMsP50: number | null;
  readonly latencyMsP99: number | null;
}

/** One operator's figures; null = not known. */
export interface OperatorFigures {
  readonly id: string;
  readonly rowsPerSecond: number | null;
  readonly busyRatio: number | null;
  readonly blockedRatio: number | null;
  readonly stateRows: number | null;
  readonly stateBytes: number | null;
}

export interface PlanDocument {
  readonly revision: number;
  readonly definition: string;
  /** The text of the job file. */
  readonly source: string;
  readonly plan: JobPlan;
}

export interface DeadLetter {
  readonly run: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly code: string;
  readonly place: string;
  /** ms since 1970. */
  readonly recordTime: number | null;
  /** base64. */
  readonly key: string | null;
  readonly value: string | null;
  /** Length of the value before it was cut. */
  readonly valueBytes: number | null;
}

export interface TopicSummary {
  readonly name: string;
  readonly partitions: number;
  readonly records: number;
  readonly jobs: readonly string[];
  readonly sinks: readonly string[];
}

export interface TopicPartition {
  readonly partition: number;
  readonly startOffset: number;
  readonly endOffset: number;
  readonly lags: readonly { readonly job: string; readonly committedOffset: number; readonly lag: number }[];
}

export interface TopicRecord {
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly valueBytes: number | null;
  readonly headers: readonly (readonly [string, string | null])[];
}

export interface TableSummary {
  readonly keyspace: string;
  readonly table: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly partitionKey: readonly string[];
  readonly clusteringKey: readonly string[];
  readonly jobs: readonly string[];
}

export interface QueryAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
}

export interface RevisionDocument {
  readonly revision: number;
  readonly definition: string;
  readonly current: boolean;
  readonly appliedAt: number | null;
  readonly source: string;
}

export interface SavepointDocument {
  readonly name: string;
  readonly job: string;
  readonly run: number;
  readonly revision: number;
  readonly epoch: number;
  readonly bytes: number;
  readonly createdAt: number;
}

export interface CheckpointDocument {
  readonly epoch: number;
  readonly at: number;
  readonly bytes: number;
  readonly durationMs: number | null;
}

/** One run of a job with a schedule; times in ms since 1970. */
export interface RunDocument {
  readonly number: number;
  /** null: somebody started it. */
  readonly scheduledFor: number | null;
  readonly state: string;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly attempts: number;
  readonly retryAt: number | null;
  readonly reason: { readonly code: string; readonly message: string } | null;
}

export interface RunsDocument {
  readonly schedule: { readonly cron: string; readonly timeZone: string } | null;
  readonly next: number | null;
  /** Newest first. */
  readonly runs: readonly RunDocument[];
}

export interface ClusterEvent {
  readonly seq: number;
  /** ms since 1970. */
  readonly at: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly kind: string;
  readonly job: string | null;
  readonly worker: string | null;
  readonly code: string | null;
  readonly message: string;
}

export interface LogLine {
  readonly at: number;
  readonly level: string;
  readonly process: string;
  readonly job: string | null;
  readonly message: string;
}

/** Part of Spark's StreamingQueryProgress, with what each partition did. */
export interface BatchProgress {
  readonly batchId: number;
  readonly timestamp?: string;
  readonly numInputRows: number;
  readonly batchDuration: number;
  readonly durationMs: Readonly<Record<string, number>>;
  readonly partitions?: readonly {
    readonly source: string;
    readonly topic: string;
    readonly partition: number;
    readonly rows: number;
    readonly ms: number | null;
    readonly attempts?: number;
  }[];
}

/** Figures of the last minutes, one array per figure, in step with `at`. */
export interface HistoryDocument {
  readonly at: readonly number[];
  readonly records: readonly number[];
  readonly rows: readonly number[];
  readonly lag: readonly number[];
  readonly p50: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
}

export type ApplyAnswer =
  | { readonly kind: 'valid'; readonly name: string; readonly changed: boolean; readonly warnings: readonly string[] }
  | {
      readonly kind: 'applied';
      readonly name: string;
      readonly change: string;
      readonly revision: number;
      readonly run: number;
      readonly warnings: readonly string[];
    };

/** Partitions that a job reads, as far as is known: lanes, or of a stateful job those that have a position. */
export function partitionsOf({ lanes, epochs }: JobView): number {
  return lanes.length + Object.keys(epochs?.positions ?? {}).length;
}

/** A list entry from a whole view. */
export function summaryOf(view: JobView): JobSummary {
  const { row, counters, lag, recordsPerSecond, rowsPerSecond, latencyMsP50, latencyMsP99 } = view;
  const { name, state, reason, revision, run, submittedAt, changedAt } = row;
  const figures = { counters, lag, recordsPerSecond, rowsPerSecond, latencyMsP50, latencyMsP99 };
  const partitionCount = partitionsOf(view);
  return { name, state, reason, revision, run, submittedAt, changedAt, partitionCount, ...figures };
}
