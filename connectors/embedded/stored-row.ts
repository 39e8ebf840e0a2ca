/**
 * A row as embedded tables keep it: what Cassandra would know about it after the same writes.
 *
 * Layout, big-endian: version u8 | deleted-at f64 | written-at f64 | keyBytes u32 | key values as `[value]`s | cells.
 * A cell: column u16 (position in the table's schema) | timestamp f64 | length i32 (-1 = tombstone) | bytes.
 * Timestamps are µs, safe integers; -Infinity = never.
 */
import type { Cell } from '../../core/table/cell.ts';
import { replaces } from '../../core/table/cell.ts';
import { WeirError } from '../../core/errors.ts';

const ROW_VERSION = 1;
const FIXED_BYTES = 21;
const CELL_BYTES = 14;
const NEVER = Number.NEGATIVE_INFINITY;

export interface StoredRow {
  /** Time of the newest row delete. */
  readonly deletedAt: number;
  /** Time of the newest upsert: Cassandra's primary key liveness. It makes a row of nulls visible. */
  readonly writtenAt: number;
  /** The primary key's `[value]`s as they came. */
  readonly keys: Uint8Array;
  /** By position in the schema; tombstones stay, as they still outdo older writes. */
  readonly cells: ReadonlyMap<number, Cell>;
}

/** One row of a RowBlock, taken apart. */
export interface RowWrite {
  readonly kind: 'upsert' | 'delete';
  readonly timestamp: number;
  readonly keys: Uint8Array;
  /** Cells that are written: by position in the schema; null = tombstone. Unset ones are left out. */
  readonly values: readonly (readonly [column: number, value: Uint8Array | null])[];
}

/** Whether reads see the row. */
export function isLive(row: StoredRow): boolean {
  if (row.writtenAt !== NEVER) return true;
  for (const cell of row.cells.values()) if (cell.value !== null) return true;
  return false;
}

/** The row after one more write; the same object when it changes nothing, as on a replay. In any order the same writes give the same row. */
export function applyWrite(current: StoredRow | undefined, write: RowWrite): StoredRow {
  const before = current ?? { deletedAt: NEVER, writtenAt: NEVER, keys: write.keys, cells: new Map<number, Cell>() };
  return write.kind === 'delete' ? applyDelete(before, write.timestamp) : applyUpsert(before, write);
}

function applyDelete(row: StoredRow, timestamp: number): StoredRow {
  if (timestamp <= row.deletedAt) return row;
  const cells = new Map([...row.cells].filter(([, cell]) => cell.timestamp > timestamp));
  return { ...row, deletedAt: timestamp, writtenAt: row.writtenAt > timestamp ? row.writtenAt : NEVER, cells };
}

function applyUpsert(row: StoredRow, write: RowWrite): StoredRow {
  // At the same time the delete wins.
  if (write.timestamp <= row.deletedAt) return row;
  const cells = new Map(row.cells);
  let changed = write.timestamp > row.writtenAt;
  for (const [column, value] of write.values) {
    const cell = { timestamp: write.timestamp, value };
    if (!replaces(cell, cells.get(column))) continue;
    cells.set(column, cell);
    changed = true;
  }
  return changed ? { ...row, writtenAt: Math.max(row.writtenAt, write.timestamp), cells } : row;
}

/** Writes rows into one buffer that is used again and again: what {@link encode} gives is valid until the next call. */
export class RowEncoder {
  #bytes = Buffer.alloc(64 * 1024);

  /** The row that one upsert alone makes; the common case of a key that was not there. */
  encodeUpsert(write: RowWrite): Uint8Array {
    let at = this.#begin(NEVER, write.timestamp, write.keys);
    for (const [column, value] of write.values) at = this.#cell(at, column, write.timestamp, value);
    return this.#bytes.subarray(0, at);
  }

  encode(row: StoredRow): Uint8Array {
    let at = this.#begin(row.deletedAt, row.writtenAt, row.keys);
    for (const [column, cell] of row.cells) at = this.#cell(at, column, cell.timestamp, cell.value);
    return this.#bytes.subarray(0, at);
  }

  #begin(deletedAt: number, writtenAt: number, keys: Uint8Array): number {
    this.#reserve(0, FIXED_BYTES + keys.byteLength);
    const bytes = this.#bytes;
    bytes[0] = ROW_VERSION;
    bytes.writeDoubleBE(deletedAt, 1);
    bytes.writeDoubleBE(writtenAt, 9);
    bytes.writeUInt32BE(keys.byteLength, 17);
    bytes.set(keys, FIXED_BYTES);
    return FIXED_BYTES + keys.byteLength;
  }

  #cell(at: number, column: number, timestamp: number, value: Uint8Array | null): number {
    this.#reserve(at, CELL_BYTES + (value?.byteLength ?? 0));
    const bytes = this.#bytes;
    bytes.writeUInt16BE(column, at);
    bytes.writeDoubleBE(timestamp, at + 2);
    bytes.writeInt32BE(value === null ? -1 : value.byteLength, at + 10);
    if (value !== null) bytes.set(value, at + CELL_BYTES);
    return at + CELL_BYTES + (value?.byteLength ?? 0);
  }

  #reserve(at: number, more: number): void {
    if (at + more <= this.#bytes.byteLength) return;
    const larger = Buffer.alloc(Math.max(at + more, this.#bytes.byteLength * 2));
    larger.set(this.#bytes.subarray(0, at));
    this.#bytes = larger;
  }
}

/** Inverse of {@link RowEncoder.encode}; cells are views of `bytes`. */
export function decodeRow(bytes: Uint8Array): StoredRow {
  if (bytes[0] !== ROW_VERSION) {
    throw new WeirError(
      'VERSION_MISMATCH',
      `A stored row has format version ${bytes[0]}; this Weir reads version ${ROW_VERSION}.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keysEnd = FIXED_BYTES + view.getUint32(17);
  const cells = new Map<number, Cell>();
  for (let at = keysEnd; at < bytes.byteLength;) {
    const length = view.getInt32(at + 10);
    const start = at + CELL_BYTES;
    cells.set(view.getUint16(at), {
      timestamp: view.getFloat64(at + 2),
      value: length < 0 ? null : bytes.subarray(start, start + length),
    });
    at = start + Math.max(0, length);
  }
  return {
    deletedAt: view.getFloat64(1),
    writtenAt: view.getFloat64(9),
    keys: bytes.subarray(FIXED_BYTES, keysEnd),
    cells,
  };
}

/** The values within a run of `[value]`s, as the keys of a row are. */
export function splitValues(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength;) {
    const length = view.getInt32(at);
    values.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return values;
}
