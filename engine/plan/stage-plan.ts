/**
 * The plan of one stage as plain data: made by the planner, sent to threads by structured clone, compiled there once.
 */
import type { DataType, Schema } from '../../core/types.ts';
import type { RowShape } from '../../core/row-block.ts';
import type { RowFormat, SinkSettings, SinkTable } from '../../core/row-sink.ts';
import type { CqlType } from '../../core/table/schema.ts';
import type { Expr } from '../../core/ast.ts';
import type { DriftPlan } from '../formats/field-drift.ts';
import type { SchemaText, ValueFormat } from '../formats/value-format.ts';
import type { EpochOperator } from './epoch-plan.ts';

export type BadRecordPolicy = 'deadLetter' | 'skip' | 'fail';
export type NullValuePolicy = 'skip' | 'delete' | 'deadLetter';

/** Columns that come with the record and not from its value (Spark's Kafka columns). */
export type RecordColumn =
  | 'key'
  | 'value'
  | 'topic'
  | 'partition'
  | 'offset'
  | 'timestamp'
  | 'timestampType'
  | 'headers';

export type InputColumn =
  /** A field of the decoded value; only what the query uses is listed. `path` is its name in the JSON document. */
  | {
      readonly kind: 'field';
      readonly name: string;
      readonly path: string;
      readonly type: DataType;
      readonly required: boolean;
    }
  | { readonly kind: 'record'; readonly name: string; readonly column: RecordColumn; readonly type: DataType };

export type StageOperator =
  | { readonly kind: 'filter'; readonly predicate: Expr }
  | { readonly kind: 'project'; readonly columns: readonly ProjectedColumn[] }
  /** One row per element of `input`, appended as new columns behind the existing ones. */
  | {
      readonly kind: 'generate';
      readonly generator: 'explode' | 'posexplode' | 'inline';
      readonly outer: boolean;
      readonly input: Expr;
      readonly output: Schema;
    }
  | EpochOperator;

export interface ProjectedColumn {
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
  readonly expr: Expr;
}

/** All output columns as Avro or Protobuf. */
export interface SchemaValue {
  readonly kind: 'avro' | 'protobuf';
  /** As `avroOfColumns` or `protoOfColumns` gives it for the columns; or a .proto of the job's own. */
  readonly schema: string;
  /** Texts that a .proto imports, each before those that import it; absent = none. */
  readonly references?: SchemaText['references'];
  /** Of a .proto: which message rows become; absent = its first. */
  readonly message?: string;
  /** Where the schema is registered; null = nowhere, and values begin without an id. */
  readonly registration: {
    /** Address of the registry; '' = the default one. */
    readonly registry: string;
    readonly subject: string;
    /** Which id the registry has for it; null = it does not have it yet, and the plan cannot run. */
    readonly id: number | null;
  } | null;
}

/** Transactions of a sink that appends to a topic exactly once. */
export interface LogTransactionSettings {
  /** ms from the first rows of a transaction to its end; 0 in jobs that run in epochs: one transaction per epoch. */
  readonly commitIntervalMs: number;
  /** ms after which Kafka ends a transaction whose worker fell silent. */
  readonly timeoutMs: number;
}

/** How a sink's rows are encoded in the thread. */
export type SinkPlan =
  | {
      readonly kind: 'table';
      readonly name: string;
      readonly shape: RowShape;
      /** For each column of the shape: which output column fills it (-1 = none: null or unset), converted to what. */
      readonly bindings: readonly { readonly input: number; readonly from: DataType; readonly to: CqlType }[];
      readonly ignoreNulls: boolean;
    }
  | {
      readonly kind: 'log';
      readonly name: string;
      readonly topic: string;
      readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
      /** Output column of the record key (null keys go to the partition of their source record), or -1. */
      readonly key: number;
      /** All output columns as a JSON object, as Avro or as Protobuf; otherwise one column's bytes. */
      readonly value: 'json' | SchemaValue | number;
      readonly headers: boolean;
      /** Absent = at least once. */
      readonly transactions?: LogTransactionSettings;
    }
  /** A sink of the interface RowSink (core/row-sink.ts). */
  | {
      readonly kind: 'rows';
      readonly name: string;
      readonly connector: string;
      readonly format: RowFormat;
      /** Output columns that tell the sink's rows apart; none = rows are only ever added. */
      readonly keys: readonly number[];
      /** Output columns that divide the rows into directories. */
      readonly partitionBy: readonly number[];
      readonly settings: SinkSettings;
      /** To make where it is missing; null = nothing. */
      readonly creates: SinkTable | null;
      readonly guarantee: 'exactlyOnce' | 'atLeastOnce';
    }
  /** The different rows of a task, of text columns alone; those with a NULL are left out. */
  | { readonly kind: 'keys'; readonly name: string }
  /** Computes and counts every value, writes nothing: `count` and an xor of hashes for checks. */
  | { readonly kind: 'blackhole'; readonly name: string }
  | { readonly kind: 'console'; readonly name: string };

export interface StagePlan {
  readonly job: string;
  readonly source: string;
  readonly topic: string;
  readonly format: ValueFormat;
  readonly columns: readonly InputColumn[];
  readonly operators: readonly StageOperator[];
  readonly output: Schema;
  readonly sinks: readonly SinkPlan[];
  /** Tables whose rows come with each task, as they were looked up; absent = none. */
  readonly tables?: readonly { readonly name: string; readonly schema: Schema }[];
  readonly onBadRecord: BadRecordPolicy;
  readonly onNullValue: NullValuePolicy;
  readonly timeZone: string;
  /** Bytes. */
  readonly recordBytesMax: number;
  readonly recordDepthMax: number;
  /** Absent = nobody looks whether records have the shape of the schema. */
  readonly drift?: DriftPlan;
}
