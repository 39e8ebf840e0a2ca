/** What the encoders of all sinks have in common. */
import type { RecordIndex } from '../codecs/decode-records.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { SinkOutput, StageTask } from '../stage.ts';

/** The records behind the rows, and what became of them so far. */
export interface EncodeContext {
  readonly records: RecordIndex;
  /** Whether the record is a dead letter: none of its rows go anywhere. */
  isDead(record: number): boolean;
  /** Makes the record a dead letter. `place` is static text of the job. */
  fail(record: number, reason: number, place: string): void;
}

/** Collects the encoded rows of one task for one sink. Records are encoded as a whole or not at all. */
export interface SinkEncoder {
  begin(task: StageTask): void;
  /** Appends the rows of records that are not dead, reporting each record with a row that cannot be encoded. */
  encode(rows: ColumnBatch, context: EncodeContext): void;
  /** Appends the removal of what the rows' keys stand for. */
  encodeDeletes(rows: ColumnBatch, context: EncodeContext): void;
  /** The output; its bytes are a copy of their own. */
  finish(): SinkOutput;
}

/** An encoder that may fail for a record. The others run only when every record's fate is known. */
export interface FallibleSinkEncoder extends SinkEncoder {
  /** Remembers the state that {@link rollback} goes back to. */
  mark(): void;
  rollback(): void;
}
