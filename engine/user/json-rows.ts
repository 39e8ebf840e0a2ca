/** Rows as JSON lines become rows of user code; how values look there: core/job/user-functions.ts. */
import type { DataType, Field } from '../../core/types.ts';

type Column = Pick<Field, 'name' | 'type'>;
type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown;

/** Numbers stay text until their type says what they are: digits of a BIGINT or DECIMAL must not be lost. */
const numbersAsText: Reviver = (_, value, { source }) => (typeof value === 'number' ? source : value);
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown;

/** `lines`: one JSON object per line, as the `json` format of sinks writes it. Columns that are left out are null. */
export function rowsOfJson(columns: readonly Column[], lines: string): Record<string, unknown>[] {
  return lines.split('\n').flatMap((line) => (line === '' ? [] : [structOf(columns, parse(line, numbersAsText))]));
}

function structOf(fields: readonly Column[], value: unknown): Record<string, unknown> {
  const given = new Map(Object.entries(value as object));
  return Object.fromEntries(fields.map(({ name, type }) => [name, valueOf(type, given.get(name))]));
}

function valueOf(type: DataType, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  switch (type.kind) {
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'float':
    case 'double':
      return Number(value);
    case 'bigint':
      return BigInt(String(value));
    case 'timestamp':
      return timeOf(String(value));
    case 'binary':
      return Uint8Array.from(Buffer.from(String(value), 'base64'));
    case 'array':
      return (value as readonly unknown[]).map((element) => valueOf(type.element, element));
    case 'map':
      return new Map(Object.entries(value).map(([key, item]) => [valueOf(type.key, key), valueOf(type.value, item)]));
    case 'struct':
      return structOf(type.fields, value);
    default:
      return value;
  }
}

/** ms since 1970 with µs as fractions: a date of JavaScript ends at ms. */
function timeOf(text: string): number {
  const micros = /\.\d{3}(\d{1,3})/.exec(text)?.[1] ?? '';
  return Date.parse(text) + Number(micros.padEnd(3, '0')) / 1000;
}
