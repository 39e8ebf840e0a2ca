/**
 * A stateful job as it runs: stages between exchanges, in topological order. Plain data; stored with the revision, read
 * by workers, compiled in their threads. Rows go from map stages (one per read of a source) through exchanges by key
 * group into state stages and at last to the sinks. Protocol: epochs.
 */
import type { Labels } from '../../core/job/labels.ts';
import type { Schedule } from '../../core/schedule/decide.ts';
import type { JobName } from '../../core/ids.ts';
import type { ModuleSource } from '../../core/job/user-functions.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { Expr } from '../../core/ast.ts';
import type { PlannedSource, SinkTarget, Trigger } from './job-plan.ts';
import type { EventTimeColumn, JoinTimeBounds, JoinType, OperatorId, StateVariable } from './logical-plan.ts';
import type { LookupPlan } from './lookup-plan.ts';
import type { InputColumn, SinkPlan, StageOperator, StagePlan } from './stage-plan.ts';

/** Fixed slices of the key space of a job: the unit of state placement and movement. */
export const KEY_GROUPS = 256;

export type OutputMode = 'append' | 'update' | 'complete';

/** How many records an epoch takes from a source (Spark's option names). null = no limit. */
export interface AdmissionLimits {
  readonly maxOffsetsPerTrigger: number | null;
  readonly minOffsetsPerTrigger: number | null;
  /** With minOffsetsPerTrigger: wait no longer than this, ms. */
  readonly maxTriggerDelayMs: number;
}

/** One source of a job that runs in epochs. */
export interface EpochSource extends PlannedSource {
  readonly limits: AdmissionLimits;
  /** A source without records for so long stops holding the watermark back; null = never. */
  readonly idleTimeoutMs: number | null;
}

/** Rows known besides the streams. */
export interface StaticTable {
  readonly name: string;
  readonly schema: Schema;
  readonly rows:
    /** Values as JSON carries them (text forms for what JSON has no type for), one array per row. */
    | { readonly kind: 'inline'; readonly rows: readonly (readonly unknown[])[] }
    /** A table read anew every `refreshMs` (null = once per run); each epoch's plan pins the read it uses. */
    | {
        readonly kind: 'table';
        readonly connector: string;
        readonly keyspace: string;
        readonly table: string;
        readonly refreshMs: number | null;
      }
    /** What a query makes of tables that stand before this one in the plan, computed anew when their rows change. */
    | ({ readonly kind: 'query' } & StaticQuery);
}

/** A query over static tables alone, cut into stages as those of a job are. */
export interface StaticQuery {
  /** Columns of tables, by name, and what they go through. */
  readonly reads: readonly {
    readonly table: string;
    readonly columns: readonly string[];
    readonly branches: readonly Branch[];
  }[];
  /** Numbered behind the reads, in the order in which they can be run. */
  readonly states: readonly StateStage[];
  /** More than one row is a mistake: the query stands in the place of a value. */
  readonly single?: true;
}

/** One declaration of a watermark; the index in {@link EpochsPlan.watermarks} is its id. */
export interface WatermarkPlan {
  readonly delayUs: number;
  /** Sources below it: while all of them are idle it does not hold back the job's watermark. */
  readonly sources: readonly string[];
  /** For people: `events.ts`. */
  readonly description: string;
}

/** Where a branch's rows go. */
export type Target =
  | {
      readonly kind: 'exchange';
      readonly stage: number;
      readonly port: number;
      /** Columns of the branch's output that make up the key, in order; none = everything goes to key group 0. */
      readonly keys: readonly number[];
      /** Behind the branch's columns goes one that says what became of each row (engine/operators/changes.ts). */
      readonly changes?: true;
      /** Rows that are not among the first of their key need not be sent; absent = all are. */
      readonly top?: TopPlan;
    }
  | { readonly kind: 'sink' };

/** The first rows of a key, by columns of the branch's output. */
export interface TopPlan {
  readonly by: readonly { readonly column: number; readonly descending: boolean; readonly nullsFirst: boolean }[];
  /** So many, 1 at least. */
  readonly most: number;
  /** And those that are equal to the last of them. */
  readonly ties?: true;
}

/** Operators and then a target. */
export interface Branch {
  readonly operators: readonly StageOperator[];
  readonly output: Schema;
  readonly target: Target;
}

export interface MapStage {
  readonly kind: 'map';
  readonly source: string;
  /** What is scanned of each record: all that the branches need. `operators`, `output` and `sinks` of it are empty. */
  readonly scan: Pick<
    StagePlan,
    'topic' | 'format' | 'onBadRecord' | 'onNullValue' | 'timeZone' | 'recordBytesMax' | 'recordDepthMax' | 'drift'
  > & { readonly columns: readonly InputColumn[] };
  /** Every record goes through each of them. */
  readonly branches: readonly Branch[];
  /** Tables that rows are looked up in before a task runs; absent = none. */
  readonly lookups?: StageLookups;
}

/** The lookups of a map stage. What they gave is kept with the epoch (core/epoch/answers.ts). */
export interface StageLookups {
  /** Stands for what is asked: answers to another definition are of no use. */
  readonly definition: string;
  /** In the order of the joins; a later one's keys may be made of what an earlier one gave. */
  readonly steps: readonly LookupPlan[];
  /** Each table once, although several branches may join it. */
  readonly tables: readonly { readonly name: string; readonly schema: Schema }[];
}

export interface StateStage {
  readonly kind: 'state';
  readonly operatorId: OperatorId;
  /** Columns that arrive at each port. */
  readonly inputs: readonly Schema[];
  readonly state: StatePlan;
  /** What follows, up to the next exchange or the sinks. */
  readonly branch: Branch;
}

export type EpochStage = MapStage | StateStage;

/** An aggregate function with its place in the input of the operator that runs it. */
export interface AggregatePlan {
  readonly function: string;
  readonly distinct: boolean;
  /** Columns of the arguments. */
  readonly inputs: readonly number[];
  readonly inputTypes: readonly DataType[];
  /** A boolean column: only rows where it is true count. -1 = all rows. */
  readonly filter: number;
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
  /** Rows may be withdrawn again: the partial result tells what is left then. */
  readonly signed?: true;
}

/**
 * The state of one operator. Every kind says what its rows are and when they may be forgotten; `late` and `evict` are
 * the watermarks of the epoch before and of this one, both lowered by `watermarkLagUs`.
 */
export type StatePlan =
  /**
   * Inputs: port 0 = `keyCount` keys, then the buffers of all aggregates in order (made by `partialAggregate` before
   * the exchange). Output: keys, aggregates. append: a group comes out once, when it is final; update: every group
   * touched in the epoch; complete: all groups. Final groups are evicted in append and update. signed: the last column
   * of the input says which rows are withdrawn (engine/operators/changes.ts), and the last aggregate, which is no column
   * of the output, counts the rows of each group: one without rows is gone. panes: in append mode the key with the event
   * time has panes, which come out put together as windows; rows go by the other keys, so that the panes of a window meet.
   */
  | {
      readonly kind: 'aggregate';
      readonly keyCount: number;
      readonly aggregates: readonly AggregatePlan[];
      readonly signed?: true;
      readonly panes?: Pick<PaneWindows, 'sizeUs' | 'slideUs'>;
      readonly eventTime: EventTimeColumn | null;
      readonly mode: OutputMode;
      readonly watermarkLagUs: number;
    }
  /**
   * Input: `keyCount` keys, event time, gap (BIGINT µs), then the columns that the aggregates name. Output: keys, the session's struct,
   * aggregates. Sessions whose intervals touch become one.
   */
  | {
      readonly kind: 'session';
      readonly keyCount: number;
      readonly aggregates: readonly AggregatePlan[];
      readonly mode: OutputMode;
      readonly watermarkLagUs: number;
    }
  /** Input = output: rows. See the logical node for `eventTime` and `withinWatermark`. */
  | {
      readonly kind: 'dedup';
      readonly keys: readonly number[];
      readonly eventTime: EventTimeColumn | null;
      readonly withinWatermark: { readonly column: number; readonly delayUs: number } | null;
      readonly watermarkLagUs: number;
    }
  /** Ports 0 and 1: rows whose first `keyCount` columns are the join keys, then the side's own columns. */
  | {
      readonly kind: 'join';
      readonly type: JoinType;
      readonly keyCount: number;
      readonly nullSafe: readonly boolean[];
      /** Over left columns then right columns, the key columns left out of both. */
      readonly residual: Expr | null;
      /** Indexes count the side's own columns (without the keys). null = rows of no side are ever evicted. */
      readonly leftTime: EventTimeColumn | null;
      readonly rightTime: EventTimeColumn | null;
      readonly bounds: JoinTimeBounds | null;
      readonly equalTime: boolean;
      readonly mode: OutputMode;
      readonly watermarkLagUs: number;
      readonly timeZone: string;
    }
  /** changes: the last column of the input says what became of the rows; complete mode alone. */
  | { readonly kind: 'limit'; readonly count: number; readonly mode: OutputMode; readonly changes?: true }
  /** Input: the rows of a whole result; output: the same in order, the first `limit` of them. `changes` as of `limit`. */
  | {
      readonly kind: 'sort';
      readonly by: readonly { readonly column: number; readonly descending: boolean; readonly nullsFirst: boolean }[];
      readonly limit: number | null;
      readonly changes?: true;
    }
  /**
   * Input: `keyCount` keys, then the rows' columns. Output: the rows' columns, then one column per call. `by` and `calls`
   * count the input's columns, -1 = the call has no such argument; `eventTime` is one of the keys. append needs an event
   * time in the keys (a final group comes out once); update: rows whose values changed, and deletes for rows that left.
   */
  | {
      readonly kind: 'rank';
      readonly keyCount: number;
      readonly by: readonly { readonly column: number; readonly descending: boolean; readonly nullsFirst: boolean }[];
      readonly calls: readonly {
        readonly function: 'row_number' | 'rank' | 'dense_rank' | 'lag' | 'lead';
        readonly column: number;
        readonly offset: number;
        readonly default: number;
        readonly name: string;
        readonly type: DataType;
      }[];
      readonly limit: number | null;
      /** The limit is one of rank(): rows equal to the last one within it stay too. */
      readonly ties?: true;
      readonly eventTime: EventTimeColumn | null;
      readonly mode: OutputMode;
      readonly watermarkLagUs: number;
    }
  /** Input: rows of the query; output: what the functions emit. Runs code of the plan's module. See the logical node. */
  | {
      readonly kind: 'user';
      readonly keys: readonly number[];
      readonly variables: readonly StateVariable[];
      readonly single: boolean;
      readonly output: Schema;
      readonly timers: 'none' | 'eventTime' | 'processingTime';
      readonly functions: readonly ('onRow' | 'onTimer' | 'onExpire')[];
      readonly deadlineMs: number;
      readonly eventTime: EventTimeColumn | null;
      readonly watermarkLagUs: number;
    };

export interface EpochsPlan {
  readonly formatVersion: number;
  readonly job: JobName;
  readonly protocol: 'epochs';
  readonly protocolReason: string;
  readonly trigger: Trigger;
  readonly schedule?: Schedule;
  /** As the job file gives them; absent = none. */
  readonly labels?: Labels;
  readonly outputMode: OutputMode;
  readonly sources: readonly EpochSource[];
  readonly statics: readonly StaticTable[];
  readonly stages: readonly EpochStage[];
  readonly watermarks: readonly WatermarkPlan[];
  readonly watermarkPolicy: 'min' | 'max';
  /** An empty epoch follows one that moved the watermark, if some operator evicts by it. */
  readonly noDataEpochs: boolean;
  readonly onLate: 'drop' | 'deadLetter';
  readonly timeZone: string;
  readonly sinks: readonly SinkTarget[];
  /** In the order of `sinks`: how the rows of the branch with target `sink` are encoded. */
  readonly sinkPlans: readonly SinkPlan[];
  readonly tables: readonly TableSchema[];
  readonly deadLetterTopic: string | null;
  readonly createsTables: boolean;
  readonly warnings: readonly string[];
  /** The logical plan rendered for `weir explain`. */
  readonly explain: readonly string[];
  /** Bytes of state that the job may hold on one worker; absent = the worker's own bound alone. */
  readonly stateBytesMax?: number;
  /** Code that the stages of kind `user` run; absent = the job is declarative. */
  readonly module?: ModuleSource;
  /** Code that sinks of kind forEachBatch call; absent = there are none. */
  readonly sinkModule?: ModuleSource;
}

/** Operators that only jobs with epochs have; part of {@link StageOperator}. */
export type EpochOperator =
  /** Rows go through; the greatest non-null value of `column` is reported under the watermark's id. */
  | { readonly kind: 'watermark'; readonly watermark: number; readonly column: number }
  /** See the logical node. */
  | {
      readonly kind: 'assignWindow';
      readonly on: Expr;
      readonly sizeUs: number;
      readonly slideUs: number;
      readonly startUs: number;
      /** Rows get the pane that their time lies in instead of its windows: as long as the slide, from the last window's start. */
      readonly panes?: true;
    }
  /**
   * Drops rows that are late for the operator named, counting them: window: `end <= late`, timestamp:
   * `time <= late`, session: `time + gap <= late`. Rows whose time is NULL pass, but for a session.
   */
  | {
      readonly kind: 'late';
      readonly operatorId: OperatorId;
      readonly rule: 'window' | 'timestamp' | 'session';
      readonly column: number;
      /** session: column of the gap in µs; else -1. */
      readonly gap: number;
      readonly watermarkLagUs: number;
      /** window: the column has panes. A row counts for each of its windows that is late, and is dropped when all are. */
      readonly panes?: Pick<PaneWindows, 'sizeUs' | 'slideUs'>;
    }
  /** Groups the rows of the batch by the first `keyCount` columns. Output: keys, then the buffers of all aggregates. */
  | {
      readonly kind: 'partialAggregate';
      readonly keyCount: number;
      readonly aggregates: readonly AggregatePlan[];
      /** A key has panes, and comes out with windows; absent = the keys come out as they are. */
      readonly panes?: PaneWindows;
    }
  /** Output: the rows' columns and then the table's (semi and anti: the rows' alone). */
  | {
      readonly kind: 'staticJoin';
      readonly table: string;
      readonly type: 'inner' | 'left' | 'semi' | 'anti';
      readonly equi: readonly { readonly left: Expr; readonly right: Expr; readonly nullSafe: boolean }[];
      readonly residual: Expr | null;
      readonly output: Schema;
      /** The table's rows come with each task, as they were looked up; records of keys that failed are dead letters. */
      readonly lookup?: true;
    };

/** Windows that are made of panes: `sizeUs` is several times `slideUs`. */
export interface PaneWindows {
  /** The key that has them. */
  readonly column: number;
  readonly sizeUs: number;
  readonly slideUs: number;
  /** Windows are late by the watermark less this. */
  readonly watermarkLagUs: number;
}
