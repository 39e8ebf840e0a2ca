/**
 * Rows as a Parquet file of one row group. Text stays the bytes it is; nested values are JSON text. Column chunks stand
 * one after the other behind the first four bytes, with nothing but the footer behind them, so that files can be put
 * together without reading their rows.
 */
import { createRequire } from 'node:module';
import type { ParquetWriter } from 'hyparquet-writer';
import { must } from '../../core/assert.ts';
import type { FormatColumn, RowFormat } from '../../core/row-sink.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { BytesColumn, Column } from '../column-batch.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { isNull, JsonWriter } from './json-writer.ts';

type ParquetFormat = Extract<RowFormat, { kind: 'parquet' }>;
type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]['schema'][number];
type Value = Uint8Array | number | bigint | boolean | null;

/** Values of one column; those of bytes as ranges of a buffer, in pairs, until all are there. */
interface CollectedColumn {
  readonly from: DataType;
  readonly input: number;
  readonly name: string;
  readonly values: (number | bigint | boolean | null)[];
  readonly ranges: number[] | null;
}

/** Loaded when the first file is written: most processes never write one. */
function library(): typeof import('hyparquet-writer') {
  return createRequire(import.meta.url)('hyparquet-writer') as typeof import('hyparquet-writer');
}

export class ParquetRows {
  readonly #format: ParquetFormat;
  readonly #json: JsonWriter;
  readonly #bytes = new ByteBuffer();
  readonly #columns: readonly CollectedColumn[];
  #rowCount = 0;

  constructor(format: ParquetFormat, schema: Schema, timeZone: TimeZone) {
    this.#format = format;
    this.#json = new JsonWriter(timeZone);
    this.#columns = format.columns.map(({ input, name }) => {
      const from = must(schema[input], () => `no column ${name}`).type;
      return { from, input, name, values: [], ranges: isBytes(from) ? [] : null };
    });
  }

  add(columns: readonly Column[], row: number): void {
    for (const { input, from, values, ranges } of this.#columns) {
      const column = columns[input]!;
      if (ranges !== null) this.#addBytes(ranges, from, column, row);
      else values.push(isNull(column, row) ? null : valueOf(from, column, row));
    }
    this.#rowCount++;
  }

  /** The file. */
  finish(): Uint8Array {
    const { ByteWriter, ParquetWriter } = library();
    const writer = new ByteWriter();
    const codec = this.#format.compression === 'none' ? 'UNCOMPRESSED' : 'SNAPPY';
    const parquet = new ParquetWriter({
      writer,
      schema: parquetSchema(this.#format.columns),
      codec,
      createdBy: 'weir',
    });
    const columnData = this.#columns.map(({ name, values, ranges }) => ({
      name,
      data: ranges === null ? values : this.#slices(ranges),
      offsetIndex: false,
    }));
    void parquet.write({ columnData, rowGroupSize: this.#rowCount });
    void parquet.finish();
    return writer.getBytes().slice();
  }

  #addBytes(ranges: number[], from: DataType, column: Column, row: number): void {
    if (isNull(column, row)) {
      ranges.push(-1, -1);
      return;
    }
    const start = this.#bytes.length;
    if (column.kind === 'bytes') appendValue(this.#bytes, column, row);
    else this.#json.write(this.#bytes, from, column, row);
    ranges.push(start, this.#bytes.length);
  }

  #slices(ranges: readonly number[]): Value[] {
    const values: Value[] = [];
    for (let at = 0; at < ranges.length; at += 2)
      values.push(ranges[at]! < 0 ? null : this.#bytes.bytes.subarray(ranges[at], ranges[at + 1]));
    return values;
  }
}

function appendValue(out: ByteBuffer, { data, start, length }: BytesColumn, row: number): void {
  const from = start[row]!;
  out.append(data, from, from + length[row]!);
}

function isBytes({ kind }: DataType): boolean {
  return kind === 'string' || kind === 'binary' || kind === 'array' || kind === 'map' || kind === 'struct';
}

function valueOf(type: DataType, column: Column, row: number): number | bigint | boolean {
  const value = 'values' in column && column.kind !== 'map' ? column.values[row]! : 0;
  switch (type.kind) {
    case 'boolean':
      return Number(value) !== 0;
    case 'bigint':
    case 'decimal':
      return BigInt(value);
    case 'timestamp':
      return BigInt(Math.floor(Number(value)));
    default:
      return Number(value);
  }
}

/** Parquet's schema for these columns, all of them optional. */
export function parquetSchema(columns: readonly FormatColumn[]): SchemaElement[] {
  return [{ name: 'root', num_children: columns.length }, ...columns.map(elementOf)];
}

function elementOf({ name, from }: FormatColumn): SchemaElement {
  const base = { name, repetition_type: 'OPTIONAL' } as const;
  switch (from.kind) {
    case 'boolean':
      return { ...base, type: 'BOOLEAN' };
    case 'tinyint':
      return { ...base, type: 'INT32', converted_type: 'INT_8' };
    case 'smallint':
      return { ...base, type: 'INT32', converted_type: 'INT_16' };
    case 'int':
      return { ...base, type: 'INT32' };
    case 'bigint':
      return { ...base, type: 'INT64' };
    case 'float':
      return { ...base, type: 'FLOAT' };
    case 'double':
      return { ...base, type: 'DOUBLE' };
    case 'date':
      return { ...base, type: 'INT32', converted_type: 'DATE' };
    case 'timestamp':
      return {
        ...base,
        type: 'INT64',
        converted_type: 'TIMESTAMP_MICROS',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
      };
    case 'decimal':
      return from.precision <= 18
        ? { ...base, type: 'INT64', converted_type: 'DECIMAL', precision: from.precision, scale: from.scale }
        : {
            ...base,
            type: 'FIXED_LEN_BYTE_ARRAY',
            type_length: 16,
            converted_type: 'DECIMAL',
            precision: from.precision,
            scale: from.scale,
          };
    case 'binary':
      return { ...base, type: 'BYTE_ARRAY' };
    default:
      return { ...base, type: 'BYTE_ARRAY', converted_type: 'UTF8' };
  }
}
