/**
 * What a query means, as a tree: the analyzer's result, the planner's input. Plain data. Column indexes of an
 * expression count the `output` of the node's input; those of a join's count the left input's columns and then the
 * right one's.
 */
import type { Expr, Span } from '../../core/ast.ts';
import type { DataType, Field, Schema } from '../../core/types.ts';
import type { ProjectedColumn } from './stage-plan.ts';

/** Name of a stateful operator that stays the same while the query changes around it: `aggregate-1`, `join-2`. */
export type OperatorId = string;

/**
 * A column that tells when rows of an operator's state are final, by its index: event time itself (final when
 * `time <= watermark`) or a window struct (final when `end <= watermark`).
 */
export interface EventTimeColumn {
  readonly column: number;
  readonly kind: 'timestamp' | 'window';
}

/** A call of an aggregate function, over the rows of the aggregate's input. */
export interface AggregateCall {
  /** Name in the table of engine/sql/aggregates.ts. */
  readonly function: string;
  /** Arguments, already of the types that the function takes. */
  readonly args: readonly Expr[];
  readonly distinct: boolean;
  /** FILTER (WHERE …); null = all rows. */
  readonly filter: Expr | null;
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
}

export interface SortKey {
  readonly expr: Expr;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export type JoinType = 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti';

/**
 * What the join condition says about time: `left − right` lies in [lowerUs, upperUs] for every pair of rows that match
 * (null = unbounded, or of no use because the other side has no event time). `left` and `right` are columns of the side's
 * own output, at least one of them event time. Bounds written with < or > are one microsecond tighter.
 */
export interface JoinTimeBounds {
  readonly left: number;
  readonly right: number;
  readonly lowerUs: number | null;
  readonly upperUs: number | null;
}

/** A function OVER (PARTITION BY … ORDER BY …) kept per key in state. */
export interface RankCall {
  readonly function: 'row_number' | 'rank' | 'dense_rank' | 'lag' | 'lead';
  /** lag and lead: the value; its offset in rows and its default. */
  readonly args: readonly Expr[];
  readonly offset: number;
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
}

/** State of an operator with functions of the job, for each key. */
export interface StateVariable {
  readonly name: string;
  readonly kind: 'value' | 'list' | 'map';
  /** Columns of a row of it. */
  readonly schema: Schema;
  /** map: type of the key within the key. */
  readonly key: DataType | null;
  /** A row is forgotten so long after it was written; null = never. */
  readonly ttlUs: number | null;
}

interface Node {
  readonly output: Schema;
  /** Where the query says so, for messages. */
  readonly span: Span;
}

interface StatefulNode extends Node {
  readonly id: OperatorId;
  /** µs by which the watermark that this operator sees lies below the job's (lowered by joins with time bounds below). */
  readonly watermarkLagUs: number;
}

export type LogicalPlan =
  /** All columns that the source offers, in its order; hidden ones included. */
  | (Node & { readonly kind: 'source'; readonly source: string })
  /**
   * Rows known to the job besides its streams: a table of the job, or what `query` makes of such tables alone. `table` is
   * then a name that no table of a job has. `single`: more than one row is a mistake.
   */
  | (Node & { readonly kind: 'static'; readonly table: string; readonly query?: LogicalPlan; readonly single?: true })
  | (Node & { readonly kind: 'filter'; readonly input: LogicalPlan; readonly predicate: Expr })
  | (Node & { readonly kind: 'project'; readonly input: LogicalPlan; readonly columns: readonly ProjectedColumn[] })
  | (Node & {
      readonly kind: 'generate';
      readonly input: LogicalPlan;
      readonly generator: 'explode' | 'posexplode' | 'inline';
      readonly outer: boolean;
      readonly expr: Expr;
      /** Columns appended behind the input's. */
      readonly generated: Schema;
    })
  /** Appends `window STRUCT<start, end>`: a row per window that the time lies in, none for NULL. */
  | (Node & {
      readonly kind: 'assignWindow';
      readonly input: LogicalPlan;
      readonly on: Expr;
      readonly sizeUs: number;
      readonly slideUs: number;
      readonly startUs: number;
    })
  /** Rows go through; the greatest time of `column` minus the delay moves the watermark. */
  | (Node & {
      readonly kind: 'watermark';
      readonly input: LogicalPlan;
      readonly column: number;
      readonly delayUs: number;
    })
  /** Output: the keys, then (with a session) `session_window STRUCT<start, end>`, then the aggregates. */
  | (StatefulNode & {
      readonly kind: 'aggregate';
      readonly input: LogicalPlan;
      readonly keys: readonly ProjectedColumn[];
      readonly aggregates: readonly AggregateCall[];
      readonly session: {
        readonly on: Expr;
        /** µs, may differ per row; rows with a gap <= 0 or NULL are left out. */ readonly gapUs: Expr;
      } | null;
      /** Of the output's keys; with a session it is the session's struct. null = groups are never final. */
      readonly eventTime: EventTimeColumn | null;
    })
  /** The first row of each key. Output = input. */
  | (StatefulNode & {
      readonly kind: 'dedup';
      readonly input: LogicalPlan;
      /** Indexes of columns. */
      readonly keys: readonly number[];
      /** Keys are forgotten when time + delay of the watermark's declaration has passed, by the row's event time. */
      readonly withinWatermark: { readonly column: number; readonly delayUs: number } | null;
      /** A key column that is event time; null = keys are kept for ever (or as withinWatermark says). */
      readonly eventTime: EventTimeColumn | null;
    })
  /** Output: left columns, then right ones; semi and anti: left columns alone. */
  | (StatefulNode & {
      readonly kind: 'join';
      readonly type: JoinType;
      readonly left: LogicalPlan;
      readonly right: LogicalPlan;
      /** Equalities, both sides of one type. At least one. Indexes of `right` count behind the left side's columns too. */
      readonly equi: readonly { readonly left: Expr; readonly right: Expr; readonly nullSafe: boolean }[];
      /** The rest of the condition, over the columns of both; null = none. */
      readonly residual: Expr | null;
      /**
       * The event-time column of each side's own output, where it has one: rows older than the watermark are late by it.
       * State of a side is evicted by it only with `equalTime`, or with the bound that concerns the side: left with
       * `lowerUs`, right with `upperUs`.
       */
      readonly leftTime: EventTimeColumn | null;
      readonly rightTime: EventTimeColumn | null;
      readonly bounds: JoinTimeBounds | null;
      /** Both event times are windows (or times) that the condition makes equal: then rows live until that time. */
      readonly equalTime: boolean;
    })
  /** A stream with rows that are there: no state. Output as of `join`, with the stream's columns first. */
  | (Node & {
      readonly kind: 'staticJoin';
      readonly type: 'inner' | 'left' | 'semi' | 'anti' | 'right';
      readonly input: LogicalPlan;
      readonly table: LogicalPlan;
      readonly equi: readonly { readonly left: Expr; readonly right: Expr; readonly nullSafe: boolean }[];
      readonly residual: Expr | null;
    })
  | (Node & { readonly kind: 'union'; readonly inputs: readonly LogicalPlan[] })
  /** The first `count` rows of the query's whole life (append), or of each result (complete). */
  | (StatefulNode & { readonly kind: 'limit'; readonly input: LogicalPlan; readonly count: number })
  /** Whole results in order: complete mode only, at the top. */
  | (StatefulNode & {
      readonly kind: 'sort';
      readonly input: LogicalPlan;
      readonly by: readonly SortKey[];
      readonly limit: number | null;
    })
  /** Functions OVER per key. Output: input columns, then the calls. `limit`: only rows with row_number up to it matter (top-N); with `ties`, with rank up to it. */
  | (StatefulNode & {
      readonly kind: 'rank';
      readonly input: LogicalPlan;
      readonly keys: readonly Expr[];
      readonly by: readonly SortKey[];
      readonly calls: readonly RankCall[];
      readonly limit: number | null;
      readonly ties?: true;
      /** A key that is a column of the input and event time; null = rows are never final. */
      readonly eventTime: EventTimeColumn | null;
    })
  /** Functions of the job over rows and state by key. Output: what they emit. At the top only. */
  | (StatefulNode & {
      readonly kind: 'user';
      readonly input: LogicalPlan;
      /** Columns of the input. */
      readonly keys: readonly number[];
      readonly variables: readonly StateVariable[];
      /** The operator's state is its one variable, not variables by name. */
      readonly single: boolean;
      readonly timers: 'none' | 'eventTime' | 'processingTime';
      readonly functions: readonly ('onRow' | 'onTimer' | 'onExpire')[];
      /** What the functions may take for the rows of one epoch in one thread, ms. */
      readonly deadlineMs: number;
      /** With `timers: eventTime`: what tells the time of a row. */
      readonly eventTime: EventTimeColumn | null;
    });

export type LogicalKind = LogicalPlan['kind'];

/** What the analyzer makes of a query. */
export interface AnalyzedPlan {
  readonly root: LogicalPlan;
  readonly deterministic: boolean;
  /** Sources read, each once. */
  readonly sources: readonly string[];
  /** Things worth a look: state that is never evicted, and the like. */
  readonly warnings: readonly string[];
}

/** The struct of `window` and `session_window`. */
export const windowFields: readonly Field[] = [
  { name: 'start', type: { kind: 'timestamp' }, nullable: false },
  { name: 'end', type: { kind: 'timestamp' }, nullable: false },
];
