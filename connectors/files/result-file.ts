/** The answer to a query as a file: Parquet, CSV or JSON lines. */
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { QueryResult } from '../../core/ports.ts';

type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]['schema'][number];
type Cell = string | number | bigint | boolean | Date | null;

/** Kinds of files, by what their names end with. */
export const resultFormats = ['parquet', 'csv', 'ndjson'] as const;
export type ResultFormat = (typeof resultFormats)[number];

export function resultFile(result: QueryResult, format: ResultFormat): Uint8Array {
  switch (format) {
    case 'parquet':
      return parquetOf(result);
    case 'csv':
      return Buffer.from(
        [result.columns.map(({ name }) => name), ...result.rows]
          .map((row) => `${row.map(csvValue).join(',')}\n`)
          .join(''),
      );
    case 'ndjson':
      return Buffer.from(
        result.rows
          .map(
            (row) =>
              `{${result.columns.map(({ name }, index) => `${JSON.stringify(name)}:${JSON.stringify(row[index] ?? null)}`).join(',')}}\n`,
          )
          .join(''),
      );
  }
}

function csvValue(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = textOf(value);
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** What is no text as JSON. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function parquetOf({ columns, rows }: QueryResult): Uint8Array {
  const planned = columns.map(({ name, type }, index) => {
    const values = rows.map((row) => row[index] ?? null);
    return { name, ...columnOf(name, type, values) };
  });
  const writer = new ByteWriter();
  const schema = [{ name: 'root', num_children: planned.length }, ...planned.map(({ element }) => element)];
  const parquet = new ParquetWriter({ writer, schema, createdBy: 'weir' });
  void parquet.write({ columnData: planned.map(({ name, data }) => ({ name, data })) });
  void parquet.finish();
  return writer.getBytes().slice();
}

function columnOf(name: string, type: string, values: readonly unknown[]): { element: SchemaElement; data: Cell[] } {
  const base = { name, repetition_type: 'OPTIONAL' } as const;
  const mapped = (
    element: SchemaElement,
    convert: (value: unknown) => Cell,
  ): { element: SchemaElement; data: Cell[] } => ({
    element,
    data: values.map((value) => (value === null ? null : convert(value))),
  });
  switch (type) {
    case 'boolean':
      return mapped({ ...base, type: 'BOOLEAN' }, Boolean);
    case 'tinyint':
    case 'smallint':
    case 'int':
      return mapped({ ...base, type: 'INT32' }, Number);
    case 'bigint':
    case 'counter':
      return mapped({ ...base, type: 'INT64' }, (value) => BigInt(String(value)));
    case 'float':
    case 'double':
      return mapped({ ...base, type: 'DOUBLE' }, Number);
    case 'timestamp':
      return mapped({ ...base, type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' }, (value) => new Date(String(value)));
    case 'date':
      return mapped(
        { ...base, type: 'INT32', converted_type: 'DATE' },
        (value) => new Date(`${String(value)}T00:00:00Z`),
      );
    case 'decimal': {
      // Tables know no scale: the column gets that of its longest fraction.
      const scale = Math.max(0, ...values.map((value) => String(value ?? '').split('.')[1]?.length ?? 0));
      const element: SchemaElement = {
        ...base,
        type: 'FIXED_LEN_BYTE_ARRAY',
        type_length: 16,
        converted_type: 'DECIMAL',
        precision: 38,
        scale,
      };
      return mapped(element, (value) => unscaled(String(value), scale));
    }
    default:
      return mapped({ ...base, type: 'BYTE_ARRAY', converted_type: 'UTF8' }, textOf);
  }
}

function unscaled(text: string, scale: number): bigint {
  const [whole = '0', fraction = ''] = text.split('.');
  return BigInt(`${whole}${fraction.padEnd(scale, '0')}`);
}
