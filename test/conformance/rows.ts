/** Builds RowBlocks from plain values, for suites and tests. */
import assert from 'node:assert/strict';
import {
  ROW_HEADER_BYTES,
  ROW_OP_DELETE,
  ROW_OP_UPSERT,
  VALUE_NULL,
  VALUE_UNSET,
  type RowBlock,
  type RowShape,
} from '../../core/row-block.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { encodeValue } from '../../core/table/values.ts';

/** `values` in the order of the shape's columns: printable values, null, or undefined for unset. */
export type TestRow =
  | { readonly op: 'upsert'; readonly values: readonly unknown[]; readonly timestamp: number }
  /** `values`: the primary key only. */
  | { readonly op: 'delete'; readonly values: readonly unknown[]; readonly timestamp: number };

export function buildRows(shape: RowShape, rows: readonly TestRow[]): RowBlock {
  const encoded = rows.map((row) => encodeRow(shape, row));
  return { bytes: Buffer.concat(encoded), rowCount: rows.length };
}

function encodeRow(shape: RowShape, row: TestRow): Buffer {
  const columns = row.op === 'delete' ? shape.columns.slice(0, shape.primaryKeyCount) : shape.columns;
  assert.equal(row.values.length, columns.length, 'one value per column');
  const body: Buffer[] = columns.map((column, index) => {
    const value = row.values[index];
    if (value === undefined) return int32(VALUE_UNSET);
    const bytes = encodeValue(column.type, value);
    return bytes === null ? int32(VALUE_NULL) : Buffer.concat([int32(bytes.byteLength), bytes]);
  });
  const timestamp = Buffer.alloc(12);
  timestamp.writeInt32BE(8, 0);
  timestamp.writeBigInt64BE(BigInt(row.timestamp), 4);
  body.push(timestamp);
  const header = Buffer.alloc(ROW_HEADER_BYTES);
  header.writeUInt32BE(
    body.reduce((sum, part) => sum + part.byteLength, 0),
    0,
  );
  header.writeUInt8(row.op === 'delete' ? ROW_OP_DELETE : ROW_OP_UPSERT, 4);
  return Buffer.concat([header, ...body]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value, 0);
  return bytes;
}

/** The shape that writes these columns of a table (all when none are named), primary key first. */
export function shapeOf(
  schema: TableSchema,
  names: readonly string[] = schema.columns.map((column) => column.name),
): RowShape {
  const keys = [...schema.partitionKey, ...schema.clusteringKey];
  const ordered = [...keys, ...names.filter((name) => !keys.includes(name))];
  return {
    keyspace: schema.keyspace,
    table: schema.table,
    columns: ordered.map((name) => {
      const column = schema.columns.find((candidate) => candidate.name === name);
      assert.ok(column, `table ${schema.table} has a column ${name}`);
      return column;
    }),
    partitionKeyCount: schema.partitionKey.length,
    primaryKeyCount: keys.length,
  };
}
