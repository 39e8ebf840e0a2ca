/**
 * RowBlock: encoded rows on their way from a thread to a table. The values are CQL bind values (native protocol v4
 * `[value]`), so a Cassandra BATCH takes a row's body as it stands, and embedded tables keep the bytes per cell.
 *
 * Row layout, big-endian: bodyBytes u32 | op u8 | reserved u8 ×3 | body.
 * Body: one `[value]` per column of `RowShape.columns`, primary key columns first (partition key, then clustering key,
 * in the table's order), then the write timestamp as a `[value]` of 8 bytes (i64 µs).
 * `[value]`: i32 length, then that many bytes; length -1 = null, -2 = unset (the cell keeps what it has).
 * A delete's body holds the primary key values and the timestamp only.
 */
import type { TableColumn } from './table/schema.ts';

export const ROW_HEADER_BYTES = 8;
export const ROW_OP_UPSERT = 0;
export const ROW_OP_DELETE = 1;
export const VALUE_NULL = -1;
export const VALUE_UNSET = -2;

export interface RowShape {
  readonly keyspace: string;
  readonly table: string;
  readonly columns: readonly TableColumn[];
  readonly partitionKeyCount: number;
  readonly primaryKeyCount: number;
}

export interface RowBlock {
  readonly bytes: Uint8Array;
  readonly rowCount: number;
}

/** One row within a block; positions are byte indexes into the block's bytes. */
export interface RowView {
  readonly op: number;
  readonly bodyStart: number;
  readonly bodyEnd: number;
}

/** Walks the rows of a block. */
export function* rowsOf(block: RowBlock): Generator<RowView> {
  const view = new DataView(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength);
  for (let at = 0, row = 0; row < block.rowCount; row++) {
    const bodyStart = at + ROW_HEADER_BYTES;
    const bodyEnd = bodyStart + view.getUint32(at);
    yield { op: view.getUint8(at + 4), bodyStart, bodyEnd };
    at = bodyEnd;
  }
}

/** One `[value]`: its bytes, null, or undefined for unset. `next` is where the following value starts. */
export interface ValueView {
  readonly value: Uint8Array | null | undefined;
  readonly next: number;
}

export function readValue(bytes: Uint8Array, at: number): ValueView {
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(at);
  if (length === VALUE_NULL) return { value: null, next: at + 4 };
  if (length === VALUE_UNSET) return { value: undefined, next: at + 4 };
  return { value: bytes.subarray(at + 4, at + 4 + length), next: at + 4 + length };
}

/** The row's write timestamp in µs: the last 8 bytes of its body. */
export function rowTimestamp(bytes: Uint8Array, row: RowView): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getInt32(row.bodyEnd - 8) * 4294967296 + view.getUint32(row.bodyEnd - 4);
}
