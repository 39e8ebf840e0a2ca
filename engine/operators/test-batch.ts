/** Batches from rows of JS values and back, for tests. */
import type { Schema } from '../../core/types.ts';
import type { ColumnBatch, RowOrigins } from '../column-batch.ts';
import { type BoxedValue, buildColumn, readValue } from '../sql/runtime/boxed.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { utc } from '../sql/runtime/time.ts';

/** One row per record, offsets and timestamps counting up. */
export function batchOf(schema: Schema, rows: readonly (readonly unknown[])[]): ColumnBatch {
  const runtime = new Runtime(utc);
  const columns = schema.map((field, index) =>
    buildColumn(
      runtime,
      field.type,
      rows.map((row) => (row[index] ?? null) as BoxedValue),
    ),
  );
  return { rowCount: rows.length, columns, origins: originsOf(rows.length) };
}

function originsOf(count: number): RowOrigins {
  return {
    topic: 'topic',
    partition: 3,
    offset: Float64Array.from({ length: count }, (_, row) => 100 + row),
    timestampMs: Float64Array.from({ length: count }, (_, row) => 1_700_000_000_000 + row),
    index: new Int32Array(count),
    record: Int32Array.from({ length: count }, (_, row) => row),
  };
}

/** The rows of a batch as boxed values. */
export function rowsOfBatch(schema: Schema, batch: ColumnBatch): BoxedValue[][] {
  const runtime = new Runtime(utc);
  return Array.from({ length: batch.rowCount }, (_, row) =>
    schema.map((field, index) => {
      const column = batch.columns[index];
      if (column === undefined) throw new Error(`column ${index} is missing`);
      return readValue(runtime, column, row, field.type);
    }),
  );
}
