/** What the encoders of all sinks have in common. */
import type { ColumnBatch } from '../column-batch.ts';
import type { SinkOutput } from '../stage.ts';

/** What encoders need to know of a task as a whole. */
export interface EncodeTask {
  /** Begins the id of every row; the offset and index of its origins follow. Ends with a slash. */
  readonly idPrefix: string;
  /** Where rows without a key go, modulo a log's partitions. null = spread by the offset and index of their origins. */
  readonly partition: number | null;
  /** Partition counts of the sinks that write logs, in the order of the plan's log sinks. */
  readonly logPartitions: readonly number[];
  /** Memory for the output of the first sink that writes a log; it is the output's then. */
  readonly spare?: ArrayBuffer;
}

/** The records behind the rows (`RowOrigins.record`), and what became of them so far. */
export interface EncodeContext {
  /** Write time of each record's rows, µs. */
  readonly writeTimeUs: Float64Array;
  /** 1 = the record's rows take away what their keys stand for. null = none does. */
  readonly deletes: Uint8Array | null;
  /** Where the rows are the change of a result as a whole, in no order of time; absent = they came one after another. */
  readonly change?: ResultChange;
  /** Whether the record is a dead letter: none of its rows go anywhere. */
  isDead(record: number): boolean;
  /** Makes the record a dead letter. `place` is static text of the job. */
  fail(record: number, reason: number, place: string): void;
}

export interface ResultChange {
  /** The rows that do not take anything away are the whole result. */
  readonly isWhole: boolean;
  /** 1 = a record that takes a row away has a successor that gives the row anew. */
  readonly replaced: Uint8Array;
}

/** Collects the encoded rows of one task for one sink. Records are encoded as a whole or not at all. */
export interface SinkEncoder {
  begin(task: EncodeTask): void;
  /** Appends the rows of records that are not dead, reporting each record with a row that cannot be encoded. */
  encode(rows: ColumnBatch, context: EncodeContext): void;
  /** The output; its bytes are a copy of their own, or lie in the task's spare memory. */
  finish(): SinkOutput;
}

/** What may find a record bad. Encoders that do not run only when every record's fate is known. */
export interface RowCheck {
  /** Remembers the state that {@link rollback} goes back to. */
  mark(): void;
  rollback(): void;
  /** As {@link SinkEncoder.encode}. */
  encode(rows: ColumnBatch, context: EncodeContext): void;
}

/** An encoder that may fail for a record. */
export interface FallibleSinkEncoder extends SinkEncoder, RowCheck {}
