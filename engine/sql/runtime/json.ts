/** JSON text: making it of boxed values, reading it into them, and looking into it. */
import type { DataType } from '../../../core/types.ts';
import type { TimeZone } from '../../scan/time-zone.ts';
import type { BoxedMap, BoxedValue } from './boxed.ts';
import { castToString } from './casts.ts';
import { checkDecimal, formatDecimal, formatDouble, formatFloat, parseDecimal } from './numbers.ts';
import { EvalFailure } from './runtime.ts';
import { formatDate, formatTimestamp, pad, parseDate, parseTimestamp } from './time.ts';

/** to_json: fields that are NULL are left out, as Spark does. */
export function toJson(value: BoxedValue, type: DataType, zone: TimeZone): string {
  if (value === null) return 'null';
  switch (type.kind) {
    case 'boolean':
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'bigint':
      return String(value);
    case 'float':
      return jsonNumber(value as number, formatFloat(value as number));
    case 'double':
      return jsonNumber(value as number, formatDouble(value as number));
    case 'decimal':
      return formatDecimal(value as bigint, type.scale);
    case 'date':
      return `"${formatDate(value as number)}"`;
    case 'timestamp':
      return `"${isoTimestamp(value as number, zone)}"`;
    case 'binary':
      return `"${Buffer.from(value as Uint8Array).toString('base64')}"`;
    case 'array':
      return `[${(value as readonly BoxedValue[]).map((element) => toJson(element, type.element, zone)).join(',')}]`;
    case 'map': {
      const map = value as BoxedMap;
      const entries = map.keys.map(
        (key, index) =>
          `${JSON.stringify(castToString(key, type.key, zone))}:${toJson(map.values[index] ?? null, type.value, zone)}`,
      );
      return `{${entries.join(',')}}`;
    }
    case 'struct': {
      const fields = value as readonly BoxedValue[];
      const present = type.fields.flatMap((field, index) => {
        const item = fields[index] ?? null;
        return item === null ? [] : [`${JSON.stringify(field.name)}:${toJson(item, field.type, zone)}`];
      });
      return `{${present.join(',')}}`;
    }
    default:
      return JSON.stringify(value);
  }
}

function jsonNumber(value: number, text: string): string {
  return Number.isFinite(value) ? text : `"${text}"`;
}

/** `2024-01-31T10:20:30.500Z`, the zone's offset behind it. */
function isoTimestamp(timestamp: number, zone: TimeZone): string {
  const offset = zone.offsetAtUtc(timestamp);
  const [date = '', rest = ''] = formatTimestamp(timestamp, zone).split(' ');
  const [clock = '', fraction = ''] = rest.split('.');
  const size = Math.abs(offset) / 60_000_000;
  const suffix =
    offset === 0 ? 'Z' : `${offset < 0 ? '-' : '+'}${pad(Math.floor(size / 60), 2)}:${pad(Math.floor(size % 60), 2)}`;
  return `${date}T${clock}.${fraction.padEnd(3, '0')}${suffix}`;
}

// ---- reading ----------------------------------------------------------------------------------------------------

/** A number in its own digits: whole numbers beyond 2^53 and decimals must not go through a double. */
class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Json = null | boolean | string | JsonNumber | Json[] | { [key: string]: Json };

/** The value of a JSON text with numbers as {@link JsonNumber}; undefined when it is not JSON. */
function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) =>
      typeof value === 'number' ? new JsonNumber(context?.source ?? String(value)) : value,
    ) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** from_json in PERMISSIVE mode: what is not JSON gives a struct of NULLs; a field that does not fit is NULL. */
export function fromJson(text: string, type: DataType, zone: TimeZone): BoxedValue {
  const json = parseJson(text);
  if (type.kind === 'struct') {
    const object = Array.isArray(json) ? json[0] : json;
    if (!isObject(object)) return text.trim() === '' ? null : type.fields.map(() => null);
    return readJson(object, type, zone);
  }
  if (json === undefined) return null;
  // One object where an array is asked for is an array of one.
  return type.kind === 'array' && isObject(json) ? [readJson(json, type.element, zone)] : readJson(json, type, zone);
}

function isObject(json: Json | undefined): json is { [key: string]: Json } {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !(json instanceof JsonNumber);
}

function readJson(json: Json, type: DataType, zone: TimeZone): BoxedValue {
  if (json === null) return null;
  if (json instanceof JsonNumber) return readNumber(json.text, type);
  switch (type.kind) {
    case 'string':
      return typeof json === 'string' ? json : stringify(json);
    case 'boolean':
      return typeof json === 'boolean' ? json : null;
    case 'date':
      return typeof json === 'string' ? parseDate(json) : null;
    case 'timestamp':
      return typeof json === 'string' ? parseTimestamp(json, zone) : null;
    case 'binary':
      return typeof json === 'string' ? Buffer.from(json, 'base64') : null;
    case 'float':
    case 'double':
      if (json === 'NaN') return Number.NaN;
      return json === 'Infinity' || json === '+Infinity' ? Infinity : json === '-Infinity' ? -Infinity : null;
    case 'decimal':
      return typeof json === 'string' ? decimalOrNull(json, type.precision, type.scale) : null;
    case 'array':
      return Array.isArray(json) ? json.map((element) => readJson(element, type.element, zone)) : null;
    case 'map': {
      if (!isObject(json)) return null;
      const keys = Object.keys(json);
      return {
        keys: keys.map((key) => (type.key.kind === 'string' ? key : readJson(key, type.key, zone))),
        values: keys.map((key) => readJson(own(json, key), type.value, zone)),
      };
    }
    case 'struct':
      return isObject(json) ? type.fields.map((field) => readJson(own(json, field.name), field.type, zone)) : null;
    default:
      return null;
  }
}

function own(json: { readonly [key: string]: Json }, key: string): Json {
  return Object.hasOwn(json, key) ? (json[key] ?? null) : null;
}

const limits: Partial<Record<DataType['kind'], bigint>> = {
  tinyint: 128n,
  smallint: 32768n,
  int: 2147483648n,
  bigint: 9223372036854775808n,
};

function readNumber(text: string, type: DataType): BoxedValue {
  switch (type.kind) {
    case 'string':
      return text;
    case 'float':
      return Math.fround(Number(text));
    case 'double':
      return Number(text);
    case 'decimal':
      return decimalOrNull(text, type.precision, type.scale);
    case 'timestamp':
      return /^-?\d+$/.test(text) ? Number(text) * 1_000_000 : null;
    default: {
      const limit = limits[type.kind];
      if (limit === undefined || !/^-?\d+$/.test(text)) return null;
      const value = BigInt(text);
      if (value < -limit || value >= limit) return null;
      return type.kind === 'bigint' ? value : Number(value);
    }
  }
}

function decimalOrNull(text: string, precision: number, scale: number): bigint | null {
  try {
    const value = parseDecimal(text, scale);
    return value === null ? null : checkDecimal(value, precision);
  } catch (failure) {
    if (failure instanceof EvalFailure) return null;
    throw failure;
  }
}

/** JSON as it was, without blanks. */
function stringify(json: Json): string {
  if (json === null || typeof json === 'boolean') return String(json);
  if (json instanceof JsonNumber) return json.text;
  if (typeof json === 'string') return JSON.stringify(json);
  if (Array.isArray(json)) return `[${json.map(stringify).join(',')}]`;
  return `{${Object.keys(json)
    .map((key) => `${JSON.stringify(key)}:${stringify(own(json, key))}`)
    .join(',')}}`;
}

// ---- paths ------------------------------------------------------------------------------------------------------

/** A step into JSON: a key, an index, or all elements. */
export type JsonStep = string | number | typeof ALL;
const ALL = Symbol('*');

const stepPattern = /\.([^.[\]'"]+)|\['([^']*)'\]|\["([^"]*)"\]|\[(\d+)\]|\[\*\]|\.\*/y;

/** The steps of `$.a.b[0]`; null when it is no path. */
export function compileJsonPath(path: string): readonly JsonStep[] | null {
  if (!path.startsWith('$')) return null;
  const steps: JsonStep[] = [];
  let at = 1;
  while (at < path.length) {
    stepPattern.lastIndex = at;
    const match = stepPattern.exec(path);
    if (match === null) return null;
    const key = match[1] ?? match[2] ?? match[3];
    steps.push(match[4] !== undefined ? Number(match[4]) : key === undefined || key === '*' ? ALL : key);
    at = stepPattern.lastIndex;
  }
  return steps;
}

const paths = new Map<string, readonly JsonStep[] | null>();

/** get_json_object: text as it is, everything else as JSON; NULL where nothing is. */
export function getJsonObject(text: string, path: string): string | null {
  let steps = paths.get(path);
  if (steps === undefined) {
    steps = compileJsonPath(path);
    if (paths.size >= 256) paths.clear();
    paths.set(path, steps);
  }
  const json = steps === null ? undefined : parseJson(text);
  const found = json === undefined || steps === null ? [] : follow(json, steps, 0);
  if (found.length === 0) return null;
  const many = steps?.includes(ALL) === true && found.length > 1;
  const [first = null] = found;
  if (many) return stringify(found);
  if (first === null) return null;
  return typeof first === 'string' ? first : stringify(first);
}

function follow(json: Json, steps: readonly JsonStep[], index: number): Json[] {
  const step = steps[index];
  if (step === undefined) return [json];
  if (step === ALL) {
    const elements = Array.isArray(json) ? json : isObject(json) ? Object.values(json) : [];
    return elements.flatMap((element) => follow(element, steps, index + 1));
  }
  if (typeof step === 'number') {
    const element = Array.isArray(json) ? json[step] : undefined;
    return element === undefined ? [] : follow(element, steps, index + 1);
  }
  if (!isObject(json) || !Object.hasOwn(json, step)) return [];
  return follow(json[step] ?? null, steps, index + 1);
}

export function jsonArrayLength(text: string): number | null {
  const json = parseJson(text);
  return Array.isArray(json) ? json.length : null;
}

export function jsonObjectKeys(text: string): readonly string[] | null {
  const json = parseJson(text);
  return isObject(json) ? Object.keys(json) : null;
}

/** The type of a JSON text as Spark writes it (fields in the order of their names); null for what is not JSON. */
export function schemaOfJson(text: string): string | null {
  const json = parseJson(text);
  if (json === undefined) return null;
  const type = inferType(json);
  return type === null ? 'STRING' : formatInferred(type);
}

type Inferred =
  | { readonly kind: 'BOOLEAN' | 'BIGINT' | 'DOUBLE' | 'STRING' }
  | { readonly kind: 'decimal'; readonly digits: number }
  | { readonly kind: 'array'; readonly element: Inferred | null }
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<string, Inferred | null> };

/** null: nothing is known but that it may be NULL. */
function inferType(json: Json): Inferred | null {
  if (json === null) return null;
  if (typeof json === 'boolean') return { kind: 'BOOLEAN' };
  if (typeof json === 'string') return { kind: 'STRING' };
  if (json instanceof JsonNumber) {
    if (!/^-?\d+$/.test(json.text)) return { kind: 'DOUBLE' };
    const value = BigInt(json.text);
    if (BigInt.asIntN(64, value) === value) return { kind: 'BIGINT' };
    const digits = json.text.replace('-', '').length;
    return digits > 38 ? { kind: 'DOUBLE' } : { kind: 'decimal', digits };
  }
  if (Array.isArray(json)) {
    return { kind: 'array', element: json.map(inferType).reduce<Inferred | null>(mergeTypes, null) };
  }
  const fields = new Map<string, Inferred | null>();
  for (const key of Object.keys(json)) fields.set(key, inferType(own(json, key)));
  return { kind: 'struct', fields };
}

function mergeTypes(a: Inferred | null, b: Inferred | null): Inferred | null {
  if (a === null || b === null) return a ?? b;
  if (a.kind === 'array' && b.kind === 'array') return { kind: 'array', element: mergeTypes(a.element, b.element) };
  if (a.kind === 'struct' && b.kind === 'struct') {
    const fields = new Map(a.fields);
    for (const [key, type] of b.fields) fields.set(key, mergeTypes(fields.get(key) ?? null, type));
    return { kind: 'struct', fields };
  }
  if (a.kind === 'decimal' && b.kind === 'decimal') return a.digits >= b.digits ? a : b;
  if (a.kind === b.kind) return a;
  const kinds = [a.kind, b.kind];
  if (kinds.every((kind) => kind === 'BIGINT' || kind === 'DOUBLE' || kind === 'decimal')) {
    if (kinds.includes('DOUBLE')) return { kind: 'DOUBLE' };
    return a.kind === 'decimal' ? a : b;
  }
  return { kind: 'STRING' };
}

function formatInferred(type: Inferred | null): string {
  if (type === null) return 'STRING';
  switch (type.kind) {
    case 'decimal':
      return `DECIMAL(${type.digits},0)`;
    case 'array':
      return `ARRAY<${formatInferred(type.element)}>`;
    case 'struct': {
      const names = [...type.fields.keys()].toSorted();
      return `STRUCT<${names.map((name) => `${quoteName(name)}: ${formatInferred(type.fields.get(name) ?? null)}`).join(', ')}>`;
    }
    default:
      return type.kind;
  }
}

function quoteName(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : `\`${name.replaceAll('`', '``')}\``;
}
