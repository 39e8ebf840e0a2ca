/**
 * Rows that were looked up, between the event loop and a stage. They travel as JSON documents, kept as bytes by whoever
 * asked for them, so that what a batch needs is put together without making anything of a row; a thread reads them into
 * columns by the scanner that reads records.
 */
import { must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { jsonText } from '../epoch/static-rows.ts';
import type { EpochScope, StaticRows } from '../operators/operator.ts';
import { JsonScanner } from '../scan/json-scanner.ts';
import type { TimeZone } from '../scan/time-zone.ts';

/** Documents one behind the other. */
export interface Documents {
  readonly bytes: Uint8Array;
  /** Where each ends. */
  readonly ends: Uint32Array;
}

/** What was looked up for one task. */
export interface LookedUp {
  readonly table: string;
  readonly rows: Documents;
  /** Rows of which only the key is there: nobody answered for it. */
  readonly failed: Documents;
}

/** Levels of nesting that a value may have. */
const DEPTH_MAX = 64;

/** Under which an operator finds the keys that failed. */
export function failedOf(table: string): string {
  return `${table} (failed)`;
}

function scannerOf(schema: Schema, timeZone: TimeZone, arena: ByteBuffer): JsonScanner {
  const fields = schema.map(({ name, type, nullable }, index) => ({
    name,
    path: `c${index}`,
    type,
    required: !nullable,
  }));
  return new JsonScanner(fields, { depthMax: DEPTH_MAX, timeZone }, arena);
}

/** Makes documents of rows, and tells those that are not of the table's types. */
export class DocumentWriter {
  readonly #schema: Schema;
  readonly #arena = new ByteBuffer();
  readonly #scanner: JsonScanner;

  constructor(schema: Schema, timeZone: TimeZone) {
    this.#schema = schema;
    this.#scanner = scannerOf(schema, timeZone, this.#arena);
  }

  /** The document of a row, or the name of the column whose value is not of its type. Absent values are NULL. */
  write(values: readonly unknown[]): Uint8Array | string {
    const members = this.#schema.map(({ type }, index) => `"c${index}":${jsonText(type, values[index] ?? null)}`);
    const bytes = Buffer.from(`{${members.join(',')}}`, 'utf8');
    this.#arena.clear();
    const start = this.#arena.append(bytes);
    this.#scanner.begin(1);
    return this.#scanner.scan(start, this.#arena.length, 0) < 0 ? bytes : this.#scanner.place;
  }
}

/** The tables of a stage, filled anew for every task. Not reentrant: one per stage and thread. */
export class LookupTables {
  readonly #tables: ReadonlyMap<string, { readonly found: Reader; readonly failed: Reader }>;

  constructor(tables: readonly { readonly name: string; readonly schema: Schema }[], timeZone: TimeZone) {
    this.#tables = new Map(
      tables.map(({ name, schema }) => {
        const optional = schema.map((field) => ({ ...field, nullable: true }));
        return [name, { found: new Reader(name, schema, timeZone), failed: new Reader(name, optional, timeZone) }];
      }),
    );
  }

  /** What operators see; valid until the next call. */
  scope(given: readonly LookedUp[]): EpochScope {
    const statics = new Map<string, StaticRows>();
    for (const { table, rows, failed } of given) {
      const { found, failed: without } = must(this.#tables.get(table), () => `the stage has no table ${table}`);
      statics.set(table, found.read(rows));
      if (failed.ends.length > 0) statics.set(failedOf(table), without.read(failed));
    }
    return {
      lateUs: Number.NEGATIVE_INFINITY,
      evictUs: Number.NEGATIVE_INFINITY,
      eventTimes: new Float64Array(0),
      late: new Map(),
      lateRecords: null,
      statics,
    };
  }
}

class Reader {
  readonly #name: string;
  readonly #arena = new ByteBuffer();
  readonly #scanner: JsonScanner;

  constructor(name: string, schema: Schema, timeZone: TimeZone) {
    this.#name = name;
    this.#scanner = scannerOf(schema, timeZone, this.#arena);
  }

  read({ bytes, ends }: Documents): StaticRows {
    const rowCount = ends.length;
    this.#arena.clear();
    this.#arena.append(bytes);
    this.#scanner.begin(rowCount);
    for (let row = 0, start = 0; row < rowCount; row++) {
      const end = ends[row] as number;
      const failure = this.#scanner.scan(start, end, row);
      must(failure < 0 ? true : null, () => `row ${row} of ${this.#name} cannot be read any more`);
      start = end;
    }
    const origins = {
      topic: this.#name,
      partition: 0,
      offset: Float64Array.from({ length: rowCount }, (_, row) => row),
      timestampMs: new Float64Array(rowCount),
      index: new Int32Array(rowCount),
      record: Int32Array.from({ length: rowCount }, (_, row) => row),
    };
    return { batch: { rowCount, columns: this.#scanner.columns(), origins } };
  }
}
