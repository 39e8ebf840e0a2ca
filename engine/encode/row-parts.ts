/**
 * Rows for sinks of the interface RowSink (core/row-sink.ts), in the format that the sink asks for. With a key the last
 * row of it stays, so that a sink never meets a key twice in one part.
 */
import { must } from '../../core/assert.ts';
import { deadLetterReasons } from '../../core/errors.ts';
import type { FormatColumn, RowFormat, RowsPart } from '../../core/row-sink.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column, ColumnBatch } from '../column-batch.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { SinkOutput } from '../stage.ts';
import { hashBytes } from '../state/key-encoder.ts';
import { CELL_OK } from './cells.ts';
import { CsvLines } from './csv-lines.ts';
import { isNull, JsonWriter } from './json-writer.ts';
import { ParquetRows } from './parquet-rows.ts';
import { postgresCell } from './postgres-cells.ts';
import type { CellWriter } from './postgres-cells.ts';
import type { EncodeContext, EncodeTask, FallibleSinkEncoder } from './sink-encoder.ts';
import { appendText } from './text.ts';

type RowsPlan = Extract<SinkPlan, { kind: 'rows' }>;

const KEY_NULL = deadLetterReasons.indexOf('KEY_NULL');
const KEPT_BYTES = 8 * 1024 * 1024;
/** Name of the directory of rows without a value, as Hive has it. */
const NULL_DIRECTORY = '__HIVE_DEFAULT_PARTITION__';

/** One row per call, into the part it is given. Gives CELL_OK or the index of a dead letter reason. */
interface RowWriter {
  write(part: OpenPart, columns: readonly Column[], row: number, isDelete: boolean): number;
  /** The part's bytes; null where they are what was written. */
  finish(part: OpenPart): Uint8Array | null;
  /** The column that the last row failed at. */
  failedAt(): string;
}

/** Rows of one directory while they are collected. */
interface OpenPart {
  readonly directory: string;
  readonly out: ByteBuffer;
  readonly parquet: ParquetRows | null;
  ends: number[];
  /** Where the key of each row ends; rows' keys begin two bytes behind the end of the row before. */
  keyEnds: number[];
  deletes: number[];
  origins: number[];
  rowCount: number;
}

export class RowsEncoder implements FallibleSinkEncoder {
  readonly #plan: RowsPlan;
  readonly #schema: Schema;
  readonly #timeZone: TimeZone;
  readonly #writer: RowWriter;
  readonly #directories: DirectoryNames | null;
  readonly #parts = new Map<string, OpenPart>();
  /** Out of a state stage, where rows come from key groups and no partition. */
  #isState = false;
  #mark: readonly [bytes: number, rows: number] = [0, 0];

  /** Throws: what making the format's writers throws. */
  constructor(plan: RowsPlan, schema: Schema, timeZone: TimeZone) {
    this.#plan = plan;
    this.#schema = schema;
    this.#timeZone = timeZone;
    this.#writer = writerOf(plan.format, schema, timeZone);
    this.#directories = plan.partitionBy.length === 0 ? null : new DirectoryNames(plan.partitionBy, schema, timeZone);
  }

  begin(task: EncodeTask): void {
    this.#isState = task.partition === null;
    const first = this.#parts.get('');
    this.#parts.clear();
    if (first !== undefined && first.parquet === null) {
      first.out.shrink(KEPT_BYTES);
      first.out.clear();
      this.#parts.set('', { ...emptyPart('', first.out), parquet: null });
    }
    this.mark();
  }

  mark(): void {
    const part = this.#parts.get('');
    this.#mark = [part?.out.length ?? 0, part?.rowCount ?? 0];
  }

  rollback(): void {
    const part = this.#parts.get('');
    if (part === undefined) return;
    const [bytes, rows] = this.#mark;
    part.out.length = bytes;
    part.rowCount = rows;
    for (const list of [part.ends, part.keyEnds, part.deletes, part.origins]) list.length = Math.min(list.length, rows);
  }

  encode(rows: ColumnBatch, context: EncodeContext): void {
    const { deletes, change } = context;
    const { record, offset } = rows.origins;
    const hasKey = this.#plan.keys.length > 0;
    for (let row = 0; row < rows.rowCount; row++) {
      const current = record[row]!;
      if (context.isDead(current)) continue;
      const isDelete = deletes !== null && deletes[current] !== 0;
      // What a row was before says nothing to a sink that has no keys, or is given the row anew.
      if (isDelete && (!hasKey || (change !== undefined && (change.isWhole || change.replaced[current] === 1))))
        continue;
      const part = this.#partOf(rows.columns, row);
      const failure = this.#writer.write(part, rows.columns, row, isDelete);
      if (failure !== CELL_OK) {
        context.fail(current, failure, this.#writer.failedAt());
        continue;
      }
      part.deletes.push(isDelete ? 1 : 0);
      part.origins.push(offset[row]!);
      part.rowCount++;
    }
  }

  finish(): SinkOutput {
    const parts: RowsPart[] = [];
    for (const part of this.#parts.values()) if (part.rowCount > 0) parts.push(this.#finish(part));
    return { kind: 'rows', rowCount: parts.reduce((sum, { rowCount }) => sum + rowCount, 0), parts };
  }

  #finish(part: OpenPart): RowsPart {
    const whole = this.#writer.finish(part);
    if (whole !== null) {
      const { directory, rowCount } = part;
      return { directory, rowCount, bytes: whole, ends: null, deletes: null, offsets: null, groups: null };
    }
    const kept = this.#plan.format.kind === 'postgres' && this.#plan.keys.length > 0 ? lastOfKeys(part) : part;
    return {
      directory: kept.directory,
      rowCount: kept.rowCount,
      bytes: kept.out.copy(),
      ends: Uint32Array.from(kept.ends),
      deletes: kept.deletes.includes(1) ? Uint8Array.from(kept.deletes) : null,
      offsets: this.#isState ? null : Float64Array.from(kept.origins),
      groups: this.#isState ? Uint8Array.from(kept.origins) : null,
    };
  }

  #partOf(columns: readonly Column[], row: number): OpenPart {
    const directory = this.#directories?.of(columns, row) ?? '';
    let part = this.#parts.get(directory);
    if (part === undefined) {
      const { format } = this.#plan;
      const parquet = format.kind === 'parquet' ? new ParquetRows(format, this.#schema, this.#timeZone) : null;
      part = { ...emptyPart(directory, new ByteBuffer()), parquet };
      this.#parts.set(directory, part);
    }
    return part;
  }
}

function emptyPart(directory: string, out: ByteBuffer): Omit<OpenPart, 'parquet'> {
  return { directory, out, ends: [], keyEnds: [], deletes: [], origins: [], rowCount: 0 };
}

function writerOf(format: RowFormat, schema: Schema, timeZone: TimeZone): RowWriter {
  switch (format.kind) {
    case 'json':
      return jsonLines(format.columns, schema, timeZone);
    case 'csv': {
      const lines = new CsvLines(format, schema, timeZone);
      return linesOf((out, columns, row) => lines.write(out, columns, row));
    }
    case 'postgres':
      return postgresTuples(format, timeZone);
    case 'parquet':
      return {
        write: ({ parquet }, columns, row) => {
          must(parquet, () => 'a part of another format').add(columns, row);
          return CELL_OK;
        },
        finish: ({ parquet }) => must(parquet, () => 'a part of another format').finish(),
        failedAt: () => '',
      };
  }
}

function jsonLines(columns: readonly FormatColumn[], schema: Schema, timeZone: TimeZone): RowWriter {
  const json = new JsonWriter(timeZone);
  const fields = columns.map(({ input, name }) => ({ ...must(schema[input], () => `no column ${name}`), name }));
  let picked: readonly Column[] = [];
  let of: readonly Column[] | null = null;
  return linesOf((out, all, row) => {
    if (of !== all) {
      of = all;
      picked = columns.map(({ input }) => all[input]!);
    }
    json.writeRow(out, fields, picked, row);
    appendText(out, '\n');
  });
}

function linesOf(write: (out: ByteBuffer, columns: readonly Column[], row: number) => void): RowWriter {
  return {
    write: (part, columns, row) => {
      write(part.out, columns, row);
      part.ends.push(part.out.length);
      return CELL_OK;
    },
    finish: () => null,
    failedAt: () => '',
  };
}

function postgresTuples(format: Extract<RowFormat, { kind: 'postgres' }>, timeZone: TimeZone): RowWriter {
  const { columns, keyCount } = format;
  const cells: readonly CellWriter[] = columns.map(({ from, to, name }) =>
    must(postgresCell(from, to, timeZone), () => `${name} cannot be written as ${to}`),
  );
  let failedAt = '';
  return {
    write: (part, all, row, isDelete) => {
      const { out } = part;
      const start = out.length;
      const count = isDelete ? keyCount : cells.length;
      out.reserve(2);
      out.view.setInt16(start, count);
      out.length += 2;
      let keyEnd = out.length;
      for (let index = 0; index < count; index++) {
        const column = all[columns[index]!.input]!;
        let failure = index < keyCount && isNull(column, row) ? KEY_NULL : CELL_OK;
        if (failure === CELL_OK) failure = cells[index]!(out, column, row);
        if (failure !== CELL_OK) {
          out.length = start;
          failedAt = columns[index]!.name;
          return failure;
        }
        if (index < keyCount) keyEnd = out.length;
      }
      part.ends.push(out.length);
      part.keyEnds.push(keyEnd);
      return CELL_OK;
    },
    finish: () => null,
    failedAt: () => failedAt,
  };
}

/** The last row of each key, in the order of those that stay. */
function lastOfKeys(part: OpenPart): OpenPart {
  const { out, ends, keyEnds, rowCount } = part;
  const { bytes } = out;
  const mask = 2 ** Math.ceil(Math.log2(Math.max(2, rowCount * 2))) - 1;
  const slots = new Int32Array(mask + 1).fill(-1);
  const kept: number[] = [];
  const startOf = (row: number): number => (row === 0 ? 0 : ends[row - 1]!) + 2;
  for (let row = rowCount - 1; row >= 0; row--) {
    const start = startOf(row);
    const end = keyEnds[row]!;
    let slot = hashBytes(bytes, start, end) & mask;
    let isFirst = true;
    for (; slots[slot]! >= 0; slot = (slot + 1) & mask) {
      const other = slots[slot]!;
      if (!sameBytes(bytes, start, end, startOf(other), keyEnds[other]!)) continue;
      isFirst = false;
      break;
    }
    if (!isFirst) continue;
    slots[slot] = row;
    kept.push(row);
  }
  if (kept.length === rowCount) return part;
  const target: OpenPart = { ...emptyPart(part.directory, new ByteBuffer(out.length)), parquet: null };
  for (const row of kept.reverse()) {
    target.out.append(bytes, startOf(row) - 2, ends[row]);
    target.ends.push(target.out.length);
    target.deletes.push(part.deletes[row]!);
    target.origins.push(part.origins[row]!);
    target.rowCount++;
  }
  return target;
}

function sameBytes(bytes: Uint8Array, aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
  const length = aEnd - aStart;
  if (length !== bEnd - bStart) return false;
  for (let at = 0; at < length; at++) if (bytes[aStart + at] !== bytes[bStart + at]) return false;
  return true;
}

/** Directories by values of columns: `city=Berlin/day=2024-05-01`. Rows of one directory often come one after another. */
class DirectoryNames {
  readonly #inputs: readonly { readonly input: number; readonly name: string; readonly type: DataType }[];
  readonly #json: JsonWriter;
  readonly #text = new ByteBuffer(256);
  readonly #known = new Map<string, string>();

  constructor(inputs: readonly number[], schema: Schema, timeZone: TimeZone) {
    this.#inputs = inputs.map((input) => {
      const { name, type } = must(schema[input], () => `no column ${input}`);
      return { input, name, type };
    });
    this.#json = new JsonWriter(timeZone);
  }

  of(columns: readonly Column[], row: number): string {
    const text = this.#text;
    text.clear();
    const lengths: number[] = [];
    for (const { input, type } of this.#inputs) {
      const column = columns[input]!;
      const start = text.length;
      if (isNull(column, row)) lengths.push(-1);
      else {
        this.#json.writePlain(text, type, column, row);
        lengths.push(text.length - start);
      }
    }
    const values = Buffer.from(text.bytes.buffer, text.bytes.byteOffset, text.length);
    const key = `${lengths.join(',')}/${values.toString('latin1')}`;
    let name = this.#known.get(key);
    if (name === undefined) {
      name = this.#nameOf(values, lengths);
      if (this.#known.size >= 4096) this.#known.clear();
      this.#known.set(key, name);
    }
    return name;
  }

  #nameOf(values: Buffer, lengths: readonly number[]): string {
    let at = 0;
    return this.#inputs
      .map(({ name }, index) => {
        const length = lengths[index]!;
        if (length <= 0) return `${escaped(name)}=${NULL_DIRECTORY}`;
        const value = values.toString('utf8', at, at + length);
        at += length;
        return `${escaped(name)}=${escaped(value)}`;
      })
      .join('/');
  }
}

/** As Hive and Spark write values into paths: what a path or its reader could misread goes as %XX. */
function escaped(text: string): string {
  return text.replaceAll(
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u001f"#%'*/:=?\\\u007f{[\]^]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
