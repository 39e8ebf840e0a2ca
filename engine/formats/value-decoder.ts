/** What every record format is: bytes of one record's value in, the values of one row of typed columns out. */
import type { DataType } from '../../core/types.ts';
import type { RecordIndex } from '../codecs/decode-records.ts';
import type { Column } from '../column-batch.ts';
import type { WriterSchema } from './value-format.ts';

/** A column to fill: `path` is the name of its field in the record. */
export interface ValueField {
  readonly name: string;
  readonly path: string;
  readonly type: DataType;
  readonly required: boolean;
}

/** No failure. */
export const DECODED = -1;

/** Decodes values that stand in one arena into columns that it owns. Not reentrant; one per stage and thread. */
export interface ValueDecoder {
  /** Begins a batch of at most `rows` rows, all null. */
  begin(rows: number): void;
  /**
   * Reads the value `[start, end)` of the arena into `row`. {@link DECODED}, or an index into `deadLetterReasons`: the row
   * is null again then and may be used for the next value.
   */
  scan(start: number, end: number, row: number): number;
  /** The field that the last failed {@link scan} was about; empty when it was the whole record. */
  readonly place: string;
  /** Makes the row null again. */
  setNull(row: number): void;
  /** The columns in the order of the fields, over the arena's bytes. Valid until the next {@link begin}. */
  columns(data: Uint8Array): Column[];
}

/** A decoder of records that name the schema they were written with by its id in a registry. */
export interface RegistryDecoder extends ValueDecoder {
  /** Takes the schemas that a task brings: kept for ever, but for ids that the registry does not know. */
  learn(schemas: readonly WriterSchema[]): void;
  /** Adds to `wanted` the ids of the records `[from, to)` that it has no schema of. */
  addWanted(records: RecordIndex, from: number, to: number, wanted: Set<number>): void;
}
