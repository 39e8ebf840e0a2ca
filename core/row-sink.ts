/**
 * The interface of sinks that take rows by their own rules: databases with transactions, directories of files, web
 * services, functions. Tables with a time per cell (`TableWriter`) and logs (`LogWriter`) have interfaces of their own.
 *
 * Rows come as bytes, encoded in a thread in the format that the sink asks for, and always in the same order: the batches
 * of a lane by offset, those of a worker by epoch, one at a time. A batch may come again, whole or in other pieces, after
 * a crash or from an owner that was replaced: its place says what it is, so that the sink can tell.
 */
import type { WritePermit } from './lane/permit.ts';
import type { SinkStats } from './ports.ts';
import type { DataType } from './types.ts';

/** A column as a sink has it: a name and the type in the words of that sink (`integer`, `numeric(12,2)`). */
export interface SinkColumn {
  readonly name: string;
  readonly type: string;
  /** A row without a value is refused. */
  readonly required: boolean;
  /** Filled by the sink where a row does not name it. */
  readonly hasDefault: boolean;
}

/** A table of a sink that has such things. */
export interface SinkTable {
  readonly columns: readonly SinkColumn[];
  /** Names, in order; none = no key. */
  readonly primaryKey: readonly string[];
  /** Other sets of columns that tell rows apart. */
  readonly uniqueKeys: readonly (readonly string[])[];
}

/** An output column as a format writes it. */
export interface FormatColumn {
  /** Index in the output of the query. */
  readonly input: number;
  readonly name: string;
  readonly from: DataType;
  /** Type in the words of the sink; empty where the format knows no types. */
  readonly to: string;
}

/** How rows become bytes. */
export type RowFormat =
  /** A JSON object and a line feed per row; fields that are NULL are left out. */
  | { readonly kind: 'json'; readonly columns: readonly FormatColumn[] }
  /** A line per row, values as text, quoted where they must be. */
  | {
      readonly kind: 'csv';
      readonly columns: readonly FormatColumn[];
      readonly delimiter: string;
      readonly nullText: string;
    }
  /** A tuple of PostgreSQL's binary COPY per row; a row that is taken away has its key columns only, which come first. */
  | { readonly kind: 'postgres'; readonly columns: readonly FormatColumn[]; readonly keyCount: number }
  /** A whole Parquet file per part. */
  | {
      readonly kind: 'parquet';
      readonly columns: readonly FormatColumn[];
      readonly compression: 'snappy' | 'none';
    };

/** Encoded rows of one task. Plain data; its bytes are its own. */
export interface RowsPart {
  /** `city=Berlin/day=2024-05-01`, for sinks that divide rows by values; else empty. */
  readonly directory: string;
  readonly rowCount: number;
  readonly bytes: Uint8Array;
  /** Where each row ends in `bytes`; null = the bytes are one thing. */
  readonly ends: Uint32Array | null;
  /** 1 = the row takes away what its key stands for; null = none does. */
  readonly deletes: Uint8Array | null;
  /** Offset of the record that each row was made of; null for rows of state and where the bytes are one thing. */
  readonly offsets: Float64Array | null;
  /** Key group that each row came out of; null for rows of records and where the bytes are one thing. */
  readonly groups: Uint8Array | null;
}

/** Rows of one partition of a job without state. */
export interface LanePlace {
  readonly kind: 'lane';
  readonly job: string;
  /** Grows with every explicit start of the job. */
  readonly run: number;
  /** The partition: `<source>/<topic id>/<partition>`. */
  readonly lane: string;
  /** The rows are those of these offsets, half-open. */
  readonly from: number;
  readonly to: number;
  /** Goes on where the run before stood, so that what was written beyond its last commit counts. */
  readonly continues: boolean;
}

/** Rows of one worker in one attempt of one epoch. Every attempt of an epoch gives the same rows, maybe divided otherwise. */
export interface EpochPlace {
  readonly kind: 'epoch';
  readonly job: string;
  readonly run: number;
  /** Consecutive, never reused within a run: Spark's batch id. */
  readonly epoch: number;
  /** µs; the same for every attempt, greater for every later epoch, also of later runs. */
  readonly epochTsUs: number;
  /** Leader and number of the attempt. */
  readonly token: number;
  readonly attempt: number;
  /** This worker among those that take part in the attempt. */
  readonly worker: number;
  readonly workers: number;
}

/** A part of a batch, and what it was made of. */
export interface BatchPart extends RowsPart {
  /** The lane; for epochs the partition or the stage that the rows came out of: the same for every attempt. */
  readonly unit: string;
}

export interface RowBatch {
  readonly place: LanePlace | EpochPlace;
  /** In the order that rows are to be written in. */
  readonly parts: readonly BatchPart[];
}

/** An open sink of one job on one worker. */
export interface RowSink {
  /**
   * Resolves when the batch is durable; of epochs also a batch without rows comes. Retries what may be retried, checking
   * the permit before each try. Throws: FENCED; SINK_SCHEMA; SINK_REFUSED; UNAUTHORIZED.
   */
  write(batch: RowBatch, permit: WritePermit): Promise<void>;
  stats(): SinkStats;
  close(): Promise<void>;
}

/** Settings of a sink as its plan has them; secrets stand in them as references, never as they are. */
export type SinkSettings = Readonly<Record<string, string | number | boolean | null>>;

/** A row that a sink does not take, for good. */
export interface RefusedRow {
  /** As it was encoded, without what separates it from the next. */
  readonly bytes: Uint8Array;
  /** Of the record that it was made of; null for rows of epochs. */
  readonly record: { readonly partition: number; readonly offset: number } | null;
  /** Why, in a few words: the place of the dead letter. */
  readonly place: string;
}

/** Keeps rows as dead letters of the job. Resolves when they are durable. Throws: FENCED. */
export type BuryRows = (run: number, rows: readonly RefusedRow[], permit: WritePermit) => Promise<void>;

/** What a sink is opened with. */
export interface RowSinkPlan {
  readonly job: string;
  /** Of the sink within its job. */
  readonly name: string;
  readonly format: RowFormat;
  readonly settings: SinkSettings;
  /** For rows that are refused; absent = there is nowhere to keep them. */
  readonly bury?: BuryRows;
}

/** One kind of sink. */
export interface RowSinkConnector {
  /** The table that the settings name; undefined where there is none or the sink has no tables. Throws: SINK_UNAVAILABLE, UNAUTHORIZED. */
  describe(settings: SinkSettings): Promise<SinkTable | undefined>;
  /** Makes what the settings ask for where it is missing. Throws: SINK_UNAVAILABLE, SINK_SCHEMA, UNAUTHORIZED. */
  create(settings: SinkSettings, table: SinkTable): Promise<void>;
  /** Throws: SINK_UNAVAILABLE, SINK_SCHEMA, UNAUTHORIZED, CONFIG_INVALID. */
  open(plan: RowSinkPlan): Promise<RowSink>;
  close(): Promise<void>;
}
