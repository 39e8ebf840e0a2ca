import { deadLetterReasons, WeirError } from '../../core/errors.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { StaticRows } from '../operators/operator.ts';
import { JsonScanner } from '../scan/json-scanner.ts';
import type { TimeZone } from '../scan/time-zone.ts';

/**
 * The rows of a static table as columns. Values are read as those of a JSON record are; BIGINT and DECIMAL may also be
 * texts, for numbers that JavaScript's do not hold. `place` names the table in the message.
 *
 * Throws: JOB_INVALID, naming row and column, for a value that is not of its column's type.
 */
export function staticRows(
  schema: Schema,
  rows: readonly (readonly unknown[])[],
  timeZone: TimeZone,
  place: string,
): StaticRows {
  const arena = new ByteBuffer();
  const documents = rows.map((row) => {
    const members = schema.map(({ type }, index) => `"c${index}":${jsonText(type, row[index] ?? null)}`);
    const start = arena.append(Buffer.from(`{${members.join(',')}}`, 'utf8'));
    return [start, arena.length] as const;
  });
  const fields = schema.map(({ name, type }, index) => ({ name, path: `c${index}`, type, required: false }));
  const scanner = new JsonScanner(fields, { depthMax: 64, timeZone }, arena);
  scanner.begin(rows.length);
  documents.forEach(([start, end], row) => {
    const failure = scanner.scan(start, end, row);
    if (failure < 0) return;
    throw new WeirError(
      'JOB_INVALID',
      `${place}: row ${row + 1} cannot be read (${deadLetterReasons[failure]}): the value of ${scanner.place} is not of its column's type`,
      { facts: { row, place: scanner.place } },
    );
  });
  return {
    batch: {
      rowCount: rows.length,
      columns: scanner.columns(),
      origins: {
        topic: place,
        partition: 0,
        offset: Float64Array.from(rows, (_, row) => row),
        timestampMs: new Float64Array(rows.length),
        index: new Int32Array(rows.length),
        record: Int32Array.from(rows, (_, row) => row),
      },
    },
  };
}

const numberPattern = /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/;

/** A value as JSON that the scanner reads as one of the type, if it can be one. */
export function jsonText(type: DataType, value: unknown): string {
  if (value === null || value === undefined) return 'null';
  switch (type.kind) {
    case 'bigint':
    case 'decimal':
      if (typeof value === 'bigint') return String(value);
      return typeof value === 'string' && numberPattern.test(value) ? value : JSON.stringify(value);
    case 'array':
      return Array.isArray(value)
        ? `[${value.map((element) => jsonText(type.element, element)).join(',')}]`
        : JSON.stringify(value);
    case 'struct':
      if (typeof value !== 'object' || Array.isArray(value)) return JSON.stringify(value);
      return `{${type.fields
        .map((field) => `${JSON.stringify(field.name)}:${jsonText(field.type, Reflect.get(value, field.name))}`)
        .join(',')}}`;
    case 'map':
      if (typeof value !== 'object' || Array.isArray(value)) return JSON.stringify(value);
      return `{${Object.entries(value)
        .map(([key, item]) => `${JSON.stringify(key)}:${jsonText(type.value, item)}`)
        .join(',')}}`;
    default:
      return JSON.stringify(value);
  }
}
