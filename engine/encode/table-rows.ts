/**
 * Rows of a table sink as a RowBlock (core/row-block.ts): bind values in the order of the shape, then the write time of
 * the row's record. Rows of one record with the same primary key: the last one stays.
 */
import { assert } from '../../core/assert.ts';
import { deadLetterReasons } from '../../core/errors.ts';
import { ROW_HEADER_BYTES, ROW_OP_DELETE, ROW_OP_UPSERT, VALUE_NULL, VALUE_UNSET } from '../../core/row-block.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { SinkOutput } from '../stage.ts';
import { CELL_OK, CellEncoder, writeAbsent, writeI64 } from './cells.ts';
import type { EncodeContext, FallibleSinkEncoder } from './sink-encoder.ts';

type TablePlan = Extract<SinkPlan, { kind: 'table' }>;

const KEY_NULL = deadLetterReasons.indexOf('KEY_NULL');
const KEY_TOO_LARGE = deadLetterReasons.indexOf('KEY_TOO_LARGE');
/** Cassandra's limit for a clustering value and for the whole partition key. */
const KEY_BYTES_MAX = 65535;
/** Rows of one record up to which keys are compared one by one. */
const FEW_ROWS = 16;
const INITIAL_BYTES = 1024;
const KEPT_BYTES = 8 * 1024 * 1024;

export class TableEncoder implements FallibleSinkEncoder {
  readonly #cells: readonly (CellEncoder | null)[];
  readonly #inputs: readonly number[];
  readonly #names: readonly string[];
  readonly #partitionKeyCount: number;
  readonly #primaryKeyCount: number;
  /** Length written for a null outside of the primary key. */
  readonly #nullLength: number;
  readonly #out = new ByteBuffer(INITIAL_BYTES);
  #rowCount = 0;
  #markBytes = 0;
  #markRows = 0;
  /** Where the current row's primary key ends; rows' keys begin behind their header. */
  #keyEnd = 0;
  #failedPlace = '';

  /** Throws: SINK_SCHEMA for a column that cannot be written as the table's type. */
  constructor(plan: TablePlan, timeZone: TimeZone) {
    const { shape, bindings } = plan;
    assert(
      bindings.length === shape.columns.length,
      () => `${bindings.length} bindings for ${shape.columns.length} columns`,
    );
    this.#names = shape.columns.map((column) => column.name);
    this.#inputs = bindings.map((binding) => binding.input);
    this.#cells = bindings.map(({ input, from, to }, index) =>
      input < 0 ? null : new CellEncoder(from, to, timeZone, this.#names[index] ?? ''),
    );
    this.#partitionKeyCount = shape.partitionKeyCount;
    this.#primaryKeyCount = shape.primaryKeyCount;
    this.#nullLength = plan.ignoreNulls ? VALUE_UNSET : VALUE_NULL;
  }

  begin(): void {
    this.#out.shrink(KEPT_BYTES);
    this.#out.clear();
    this.#rowCount = 0;
    this.mark();
  }

  mark(): void {
    this.#markBytes = this.#out.length;
    this.#markRows = this.#rowCount;
  }

  rollback(): void {
    this.#out.length = this.#markBytes;
    this.#rowCount = this.#markRows;
  }

  encode(rows: ColumnBatch, context: EncodeContext): void {
    this.#bind(rows);
    const { record } = rows.origins;
    const { writeTimeUs, deletes } = context;
    for (let row = 0; row < rows.rowCount;) {
      const current = record[row]!;
      let next = row + 1;
      while (next < rows.rowCount && record[next] === current) next++;
      if (!context.isDead(current)) {
        const timestampUs = writeTimeUs[current]!;
        const op = deletes === null || deletes[current] === 0 ? ROW_OP_UPSERT : ROW_OP_DELETE;
        const failure =
          next === row + 1 ? this.#row(row, timestampUs, op) : this.#rowsOfRecord(row, next, timestampUs, op);
        if (failure !== CELL_OK) context.fail(current, failure, this.#failedPlace);
      }
      row = next;
    }
  }

  finish(): SinkOutput {
    for (const cell of this.#cells) cell?.release();
    return { kind: 'table', rowCount: this.#rowCount, bytes: this.#out.copy() };
  }

  #bind(rows: ColumnBatch): void {
    this.#cells.forEach((cell, index) => {
      const column = rows.columns[this.#inputs[index]!];
      if (cell !== null && column !== undefined) cell.bind(column);
    });
  }

  /** Rows of one record from the last to the first, so that a key that came already makes a row superfluous. */
  #rowsOfRecord(first: number, end: number, timestampUs: number, op: number): number {
    const start = this.#out.length;
    const rowsBefore = this.#rowCount;
    const keys: number[] = [];
    const seen = end - first > FEW_ROWS ? new Set<string>() : null;
    for (let row = end - 1; row >= first; row--) {
      const rowStart = this.#out.length;
      const failure = this.#row(row, timestampUs, op);
      if (failure !== CELL_OK) {
        this.#out.length = start;
        this.#rowCount = rowsBefore;
        return failure;
      }
      const keyStart = rowStart + ROW_HEADER_BYTES;
      if (this.#isRepeated(keyStart, this.#keyEnd, keys, seen)) {
        this.#out.length = rowStart;
        this.#rowCount--;
      }
    }
    return CELL_OK;
  }

  #isRepeated(start: number, end: number, keys: number[], seen: Set<string> | null): boolean {
    if (seen !== null) {
      const key = Buffer.from(this.#out.bytes.buffer, this.#out.bytes.byteOffset + start, end - start).toString(
        'latin1',
      );
      if (seen.has(key)) return true;
      seen.add(key);
      return false;
    }
    for (let index = 0; index < keys.length; index += 2) {
      if (this.#sameRange(keys[index]!, keys[index + 1]!, start, end)) return true;
    }
    keys.push(start, end);
    return false;
  }

  #sameRange(aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
    if (aEnd - aStart !== bEnd - bStart) return false;
    const { bytes } = this.#out;
    for (let index = 0; index < aEnd - aStart; index++)
      if (bytes[aStart + index] !== bytes[bStart + index]) return false;
    return true;
  }

  /** Appends one row; on failure nothing of it stays. */
  #row(row: number, timestampUs: number, op: number): number {
    const out = this.#out;
    const start = out.length;
    out.reserve(ROW_HEADER_BYTES);
    out.length = start + ROW_HEADER_BYTES;
    const cells = this.#cells;
    const keys = this.#primaryKeyCount;
    const count = op === ROW_OP_DELETE ? keys : cells.length;
    for (let index = 0; index < count; index++) {
      const cell = cells[index]!;
      const at = out.length;
      const nullLength = index < keys ? VALUE_NULL : this.#nullLength;
      let failure = cell === null ? writeAbsent(out, nullLength) : cell.write(out, row, nullLength);
      if (failure === CELL_OK && index < keys) failure = this.#checkKey(start + ROW_HEADER_BYTES, at, index);
      if (failure !== CELL_OK) {
        this.#failedPlace = this.#names[index]!;
        out.length = start;
        return failure;
      }
    }
    out.reserve(12);
    writeI64(out, timestampUs);
    out.view.setInt32(start, out.length - start - ROW_HEADER_BYTES);
    out.view.setInt32(start + 4, op << 24);
    this.#rowCount++;
    return CELL_OK;
  }

  #checkKey(keyStart: number, at: number, index: number): number {
    const length = this.#out.view.getInt32(at);
    if (length < 0) return KEY_NULL;
    this.#keyEnd = this.#out.length;
    if (length > KEY_BYTES_MAX) return KEY_TOO_LARGE;
    if (index >= this.#partitionKeyCount) return CELL_OK;
    if (this.#partitionKeyCount === 1) return length === 0 ? KEY_NULL : CELL_OK;
    // A key of several columns is stored with two bytes of length and one of end per column.
    const stored = this.#out.length - keyStart - (index + 1);
    return stored > KEY_BYTES_MAX ? KEY_TOO_LARGE : CELL_OK;
  }
}
