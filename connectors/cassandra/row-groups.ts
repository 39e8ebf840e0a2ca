/**
 * Which rows of a block go into one BATCH: rows of one partition together (the server applies them as one mutation),
 * then rows whose partitions live on the same nodes (the coordinator then owns them all). Pure.
 */
import { assert } from '../../core/assert.ts';
import { ROW_HEADER_BYTES, ROW_OP_DELETE, type RowBlock, type RowShape } from '../../core/row-block.ts';

export interface BatchLimits {
  /** Rows of different partitions in one batch. */
  readonly rowsMax: number;
  /** Bytes of a batch over several partitions; the server counts and refuses more. */
  readonly bytesMax: number;
  /** Rows, and bytes, of a batch within one partition; the server sets no limit. */
  readonly partitionRowsMax: number;
  readonly partitionBytesMax: number;
}

/** Partitions with at least so many rows in a block get batches of their own. */
const OWN_BATCH_ROWS = 8;
/** Bytes of a statement beside its body: kind, query id (18), count of values. */
const STATEMENT_BYTES = 24;

/** Where the rows of a block are; entry i is row i. */
export interface RowTable {
  readonly bytes: Uint8Array;
  readonly bodyStart: Int32Array;
  readonly bodyEnd: Int32Array;
  /** 1 = delete. */
  readonly deletes: Uint8Array;
}

export interface RowBatch {
  /** Indexes into the RowTable. */
  readonly rows: readonly number[];
  /** Estimate of the frame's size. */
  readonly bytes: number;
  readonly onePartition: boolean;
}

/** Reads the rows' places and checks what must hold of every one. */
export function readRows(block: RowBlock): RowTable {
  const { bytes, rowCount } = block;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bodyStart = new Int32Array(rowCount);
  const bodyEnd = new Int32Array(rowCount);
  const deletes = new Uint8Array(rowCount);
  let at = 0;
  for (let row = 0; row < rowCount; row++) {
    const start = at + ROW_HEADER_BYTES;
    const end = start + view.getUint32(at);
    assert(
      end <= bytes.byteLength && end - start >= 12,
      () => `row ${row} of ${rowCount} ends at ${end} of ${bytes.byteLength} bytes`,
    );
    // An i64 whose upper half is in [0, 2^21) is a safe integer from 0 on. A timestamp without value would become the
    // server's clock.
    const high = view.getInt32(end - 8);
    assert(view.getInt32(end - 12) === 8 && high >= 0 && high < 0x200000, () => `row ${row} has no safe timestamp`);
    bodyStart[row] = start;
    bodyEnd[row] = end;
    deletes[row] = view.getUint8(at + 4) === ROW_OP_DELETE ? 1 : 0;
    at = end;
  }
  assert(at === bytes.byteLength, () => `${rowCount} rows end at ${at} of ${bytes.byteLength} bytes`);
  return { bytes, bodyStart, bodyEnd, deletes };
}

/**
 * Groups all rows. `nodesOf` names the set of nodes that hold a row's partition; null = every node holds every row.
 */
export function groupRows(
  table: RowTable,
  shape: RowShape,
  limits: BatchLimits,
  nodesOf: ((row: number) => string) | null,
): RowBatch[] {
  const batches: RowBatch[] = [];
  const mixed = new Map<string, Builder>();
  const builderOf = (row: number): Builder => {
    const nodes = nodesOf === null ? '' : nodesOf(row);
    let builder = mixed.get(nodes);
    if (builder === undefined) {
      builder = new Builder(table, limits.rowsMax, limits.bytesMax, false, batches);
      mixed.set(nodes, builder);
    }
    return builder;
  };
  const rowCount = table.bodyStart.length;
  if (shape.primaryKeyCount === shape.partitionKeyCount) {
    for (let row = 0; row < rowCount; row++) builderOf(row).add(row);
  } else {
    for (const rows of rowsByPartition(table, shape.partitionKeyCount).values()) {
      const builder =
        rows.length >= OWN_BATCH_ROWS
          ? new Builder(table, limits.partitionRowsMax, limits.partitionBytesMax, true, batches)
          : builderOf(rows[0]!);
      for (const row of rows) builder.add(row);
      if (builder.onePartition) builder.flush();
    }
  }
  for (const builder of mixed.values()) builder.flush();
  return batches;
}

class Builder {
  readonly onePartition: boolean;
  readonly #table: RowTable;
  readonly #rowsMax: number;
  readonly #bytesMax: number;
  readonly #batches: RowBatch[];
  #rows: number[] = [];
  #bytes = 0;

  constructor(table: RowTable, rowsMax: number, bytesMax: number, onePartition: boolean, batches: RowBatch[]) {
    this.#table = table;
    this.#rowsMax = rowsMax;
    this.#bytesMax = bytesMax;
    this.onePartition = onePartition;
    this.#batches = batches;
  }

  add(row: number): void {
    const bytes = this.#table.bodyEnd[row]! - this.#table.bodyStart[row]! + STATEMENT_BYTES;
    if (this.#rows.length > 0 && (this.#rows.length >= this.#rowsMax || this.#bytes + bytes > this.#bytesMax))
      this.flush();
    this.#rows.push(row);
    this.#bytes += bytes;
  }

  flush(): void {
    if (this.#rows.length === 0) return;
    this.#batches.push({
      rows: this.#rows,
      bytes: this.#bytes,
      onePartition: this.onePartition || this.#rows.length === 1,
    });
    this.#rows = [];
    this.#bytes = 0;
  }
}

function rowsByPartition(table: RowTable, partitionKeyCount: number): Map<string, number[]> {
  const buffer = Buffer.from(table.bytes.buffer, table.bytes.byteOffset, table.bytes.byteLength);
  const partitions = new Map<string, number[]>();
  for (let row = 0; row < table.bodyStart.length; row++) {
    const start = table.bodyStart[row]!;
    const key = buffer.toString('latin1', start, endOfValues(buffer, start, partitionKeyCount));
    const rows = partitions.get(key);
    if (rows === undefined) partitions.set(key, [row]);
    else rows.push(row);
  }
  return partitions;
}

function endOfValues(buffer: Buffer, start: number, count: number): number {
  let at = start;
  for (let value = 0; value < count; value++) at += 4 + Math.max(0, buffer.readInt32BE(at));
  return at;
}

/** The bytes the partitioner hashes: the value itself, or of several each with its length before and a zero behind. */
export function routingKey(table: RowTable, row: number, partitionKeyCount: number): Buffer {
  const buffer = Buffer.from(table.bytes.buffer, table.bytes.byteOffset, table.bytes.byteLength);
  let at = table.bodyStart[row]!;
  const parts: Buffer[] = [];
  for (let value = 0; value < partitionKeyCount; value++) {
    const length = Math.max(0, buffer.readInt32BE(at));
    parts.push(buffer.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  if (parts.length === 1) return parts[0]!;
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(part.byteLength);
      return [length, part, Buffer.from([0])];
    }),
  );
}
