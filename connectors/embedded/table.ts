/** One embedded table in SQLite: rows by encoded primary key, written by Cassandra's rules. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { RowView } from '../../core/row-block.ts';
import {
  ROW_HEADER_BYTES,
  ROW_OP_DELETE,
  rowsOf,
  rowTimestamp,
  VALUE_NULL,
  VALUE_UNSET,
} from '../../core/row-block.ts';
import type { TableColumn, TableSchema } from '../../core/table/schema.ts';
import { formatCqlType } from '../../core/table/schema.ts';
import type { KeyPart } from './key-order.ts';
import { encodeKey, fixedSizeOf, keyAfter, keyPartsOf } from './key-order.ts';
import type { RowWrite, StoredRow } from './stored-row.ts';
import { applyWrite, decodeRow, isLive, RowEncoder, splitValues } from './stored-row.ts';

/** Larger keys Cassandra cannot keep. */
const KEY_BYTES_MAX = 65_535;

/** `live` of a row as SQLite keeps it: hidden by a delete; a row; the static cells of a partition. */
const HIDDEN = 0;
const LIVE = 1;
const STATICS = 2;

/** A row as a reader sees it: bytes or null by column name. */
export interface VisibleRow {
  readonly keys: readonly Uint8Array[];
  readonly row: StoredRow;
  readonly statics: StoredRow | undefined;
}

export class EmbeddedTable {
  readonly schema: TableSchema;
  readonly keyParts: readonly KeyPart[];
  readonly #insert: StatementSync;
  readonly #select: StatementSync;
  readonly #update: StatementSync;
  readonly #count: StatementSync;
  readonly #scans: ReadonlyMap<boolean, StatementSync>;
  readonly #positions: ReadonlyMap<string, number>;
  readonly #hasStatics: boolean;
  readonly #encoder = new RowEncoder();

  /** `name` is the SQLite table's, which exists. */
  constructor(db: DatabaseSync, name: string, schema: TableSchema) {
    this.schema = schema;
    this.keyParts = keyPartsOf(schema);
    this.#insert = db.prepare(`INSERT INTO ${name} (pk, live, row) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`);
    this.#select = db.prepare(`SELECT row FROM ${name} WHERE pk = ?`);
    this.#update = db.prepare(`UPDATE ${name} SET live = ?, row = ? WHERE pk = ?`);
    this.#count = db.prepare(`SELECT count(*) AS count FROM ${name} WHERE live = ${LIVE}`);
    const scan = (order: string): StatementSync =>
      db.prepare(
        `SELECT pk, row FROM ${name} WHERE pk >= ? AND (? IS NULL OR pk < ?) AND live = ${LIVE} ORDER BY pk ${order}`,
      );
    this.#scans = new Map([
      [false, scan('ASC')],
      [true, scan('DESC')],
    ]);
    this.#positions = new Map(schema.columns.map((column, position) => [column.name, position]));
    this.#hasStatics = schema.columns.some((column) => column.isStatic === true);
  }

  get partitionKeyCount(): number {
    return this.schema.partitionKey.length;
  }

  /** Position of a column in the schema; undefined when there is none by that name. */
  positionOf(column: string): number | undefined {
    return this.#positions.get(column);
  }

  /** Visible rows of the whole table. */
  countAll(): number {
    return (this.#count.get() as { readonly count: number }).count;
  }

  /**
   * Writes the rows of a block; call within a transaction. `columns` are the names in the order of the bodies.
   *
   * Throws: SINK_SCHEMA for a column the table does not have; SINK_REFUSED for a key that is null, empty or too large, a
   * value of the wrong size, or a block that ends early.
   */
  write(columns: readonly string[], bytes: Uint8Array, rowCount: number): void {
    const layout = this.#layout(columns);
    try {
      for (const view of rowsOf({ bytes, rowCount })) this.#writeRow(layout, bytes, view);
    } catch (error) {
      if (error instanceof RangeError) throw this.#refused('the block of rows ends early', error);
      throw error;
    }
  }

  /** Visible rows whose keys begin with `keyValues` (none = all), in key order or reversed. */
  *rows(keyValues: readonly Uint8Array[], reversed: boolean): Generator<VisibleRow> {
    const prefix = encodeKey(this.keyParts, this.partitionKeyCount, keyValues);
    const isWhole = keyValues.length === this.keyParts.length;
    const end = isWhole ? Buffer.concat([prefix, Uint8Array.of(0)]) : (keyAfter(prefix) ?? null);
    const scan = must(this.#scans.get(reversed), () => 'a scan statement');
    let staticsOf: Uint8Array | undefined;
    let statics: StoredRow | undefined;
    for (const found of scan.iterate(prefix, end, end)) {
      const row = decodeRow(found['row'] as Uint8Array);
      const keys = splitValues(row.keys);
      if (this.#hasStatics) {
        const partition = encodeKey(this.keyParts, this.partitionKeyCount, keys.slice(0, this.partitionKeyCount));
        if (staticsOf === undefined || Buffer.compare(staticsOf, partition) !== 0) {
          staticsOf = partition;
          statics = this.#read(partition);
        }
      }
      yield { keys, row, statics };
    }
  }

  #writeRow(layout: readonly TableColumn[], bytes: Uint8Array, view: RowView): void {
    const { write, statics, keyValues } = this.#takeApart(layout, bytes, view);
    this.#apply(encodeKey(this.keyParts, this.partitionKeyCount, keyValues), write, LIVE);
    if (statics === undefined) return;
    this.#apply(
      encodeKey(this.keyParts, this.partitionKeyCount, keyValues.slice(0, this.partitionKeyCount)),
      statics,
      STATICS,
    );
  }

  #apply(key: Uint8Array, write: RowWrite, live: number): void {
    // Most keys are new ones: insert first, and look at the row only when the key is there.
    const fresh = write.kind === 'upsert' ? this.#encoder.encodeUpsert(write) : undefined;
    if (fresh !== undefined && this.#insert.run(key, live, fresh).changes === 1) return;
    const stored = this.#select.get(key)?.['row'] as Uint8Array | undefined;
    // A replay writes what is there already.
    if (stored !== undefined && fresh !== undefined && Buffer.compare(stored, fresh) === 0) return;
    const current = stored === undefined ? undefined : decodeRow(stored);
    const next = applyWrite(current, write);
    if (next === current) return;
    const nextLive = live === STATICS ? STATICS : isLive(next) ? LIVE : HIDDEN;
    const encoded = this.#encoder.encode(next);
    if (current === undefined) this.#insert.run(key, nextLive, encoded);
    else this.#update.run(nextLive, encoded, key);
  }

  #read(key: Uint8Array): StoredRow | undefined {
    const found = this.#select.get(key);
    return found === undefined ? undefined : decodeRow(found['row'] as Uint8Array);
  }

  #layout(columns: readonly string[]): readonly TableColumn[] {
    const keyNames = this.keyParts.map((part) => part.name);
    if (keyNames.some((name, index) => columns[index] !== name)) {
      throw this.#schemaError(
        `its primary key is (${keyNames.join(', ')}) and the rows begin with (${columns.slice(0, keyNames.length).join(', ')})`,
      );
    }
    return columns.map((name) => {
      const column = this.schema.columns[this.#positions.get(name) ?? -1];
      if (column === undefined) throw this.#schemaError(`it has no column "${name}"`);
      return column;
    });
  }

  #takeApart(
    layout: readonly TableColumn[],
    bytes: Uint8Array,
    row: RowView,
  ): { write: RowWrite; statics: RowWrite | undefined; keyValues: Uint8Array[] } {
    if (row.bodyEnd > bytes.byteLength || row.bodyEnd - row.bodyStart < ROW_HEADER_BYTES)
      throw this.#refused('the block of rows ends early');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const timestamp = rowTimestamp(bytes, row);
    const kind = row.op === ROW_OP_DELETE ? 'delete' : 'upsert';
    const keyCount = this.keyParts.length;
    const keyValues: Uint8Array[] = [];
    const values: [number, Uint8Array | null][] = [];
    const staticValues: [number, Uint8Array | null][] = [];
    let at = row.bodyStart;
    let keysEnd = at;
    const count = kind === 'delete' ? keyCount : layout.length;
    for (let index = 0; index < count; index++) {
      const column = layout[index]!;
      const length = view.getInt32(at);
      at += 4;
      if (length === VALUE_UNSET && index >= keyCount) continue;
      const value = length === VALUE_NULL ? null : bytes.subarray(at, at + Math.max(0, length));
      at += Math.max(0, length);
      if (at > row.bodyEnd) throw this.#refused('the block of rows ends early');
      if (index < keyCount) {
        keyValues.push(this.#checkedKey(column, length === VALUE_UNSET ? null : value));
        keysEnd = at;
        continue;
      }
      this.#checkSize(column, value);
      (column.isStatic === true ? staticValues : values).push([
        must(this.#positions.get(column.name), () => column.name),
        value,
      ]);
    }
    const keys = bytes.subarray(row.bodyStart, keysEnd);
    return {
      write: { kind, timestamp, keys, values },
      statics: staticValues.length > 0 ? { kind, timestamp, keys, values: staticValues } : undefined,
      keyValues,
    };
  }

  #checkedKey(column: TableColumn, value: Uint8Array | null): Uint8Array {
    if (value === null) throw this.#refused(`the key column "${column.name}" is null`);
    if (
      value.byteLength === 0 &&
      this.schema.partitionKey.length === 1 &&
      column.name === this.schema.partitionKey[0]
    ) {
      throw this.#refused(`the key column "${column.name}" is empty`);
    }
    if (value.byteLength > KEY_BYTES_MAX) {
      throw this.#refused(
        `the key column "${column.name}" has ${value.byteLength} bytes, and at most ${KEY_BYTES_MAX} are allowed`,
      );
    }
    this.#checkSize(column, value);
    return value;
  }

  #checkSize(column: TableColumn, value: Uint8Array | null): void {
    if (value === null || value.byteLength === 0) return;
    const size = fixedSizeOf(column.type);
    if (size !== undefined && value.byteLength !== size) {
      throw this.#refused(
        `the column "${column.name}" is ${formatCqlType(column.type)} with ${size} bytes, and a value has ${value.byteLength}`,
      );
    }
  }

  #schemaError(why: string): WeirError {
    return new WeirError(
      'SINK_SCHEMA',
      `The table ${this.schema.keyspace}.${this.schema.table} does not fit the rows: ${why}.`,
    );
  }

  #refused(why: string, cause?: unknown): WeirError {
    return new WeirError(
      'SINK_REFUSED',
      `The table ${this.schema.keyspace}.${this.schema.table} refuses rows: ${why}.`,
      { cause },
    );
  }
}
