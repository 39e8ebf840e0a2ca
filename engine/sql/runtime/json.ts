/** JSON text: making it of boxed values, reading it into them, and looking into it. */
import type { DataType } from '../../../core/types.ts';
import type { TimeZone } from '../../scan/time-zone.ts';
import type { BoxedMap, BoxedValue } from './boxed.ts';
import { castToString } from './casts.ts';
import { checkDecimal, formatDecimal, formatDouble, formatFloat, parseDecimal } from './numbers.ts';
import { type DatePattern, formatDatePattern, parseDatePattern } from './date-patterns.ts';
import { isObject, type Json, JsonNumber, numberText, own, parseJson, stringify } from './json-text.ts';
import { EvalFailure, orNull, raiseExpressionFailed } from './runtime.ts';
import { unbase64 } from './text.ts';
import {
  dateOfTimestamp,
  formatDate,
  formatTimestamp,
  pad,
  parseDate,
  parseTimestamp,
  timestampOfDate,
} from './time.ts';

/** How to_json writes. */
export interface JsonWriting {
  readonly ignoreNullFields: boolean;
  readonly dateFormat: DatePattern | null;
  readonly timestampFormat: DatePattern | null;
}

/** to_json; by default fields that are NULL are left out. */
export function toJson(value: BoxedValue, type: DataType, zone: TimeZone, writing: JsonWriting): string {
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
      return writing.dateFormat === null
        ? `"${formatDate(value as number)}"`
        : JSON.stringify(formatDatePattern(writing.dateFormat, timestampOfDate(value as number, zone), zone));
    case 'timestamp':
      return writing.timestampFormat === null
        ? `"${isoTimestamp(value as number, zone)}"`
        : JSON.stringify(formatDatePattern(writing.timestampFormat, value as number, zone));
    case 'binary':
      return `"${Buffer.from(value as Uint8Array).toString('base64')}"`;
    case 'array':
      return `[${(value as readonly BoxedValue[]).map((element) => toJson(element, type.element, zone, writing)).join(',')}]`;
    case 'map': {
      const map = value as BoxedMap;
      const entries = map.keys.map(
        (key, index) =>
          `${JSON.stringify(keyText(key, type.key, zone))}:${toJson(map.values[index] ?? null, type.value, zone, writing)}`,
      );
      return `{${entries.join(',')}}`;
    }
    case 'struct': {
      const fields = value as readonly BoxedValue[];
      const present = type.fields.flatMap((field, index) => {
        const item = fields[index] ?? null;
        if (item === null && writing.ignoreNullFields) return [];
        return [`${JSON.stringify(field.name)}:${toJson(item, field.type, zone, writing)}`];
      });
      return `{${present.join(',')}}`;
    }
    default:
      return JSON.stringify(value);
  }
}

/** A key as Spark's rows show themselves: `[1,a]` for a struct. */
function keyText(key: BoxedValue, type: DataType, zone: TimeZone): string {
  if (type.kind !== 'struct') return castToString(key, type, zone);
  const fields = key as readonly BoxedValue[];
  return `[${type.fields.map((field, index) => castToString(fields[index] ?? null, field.type, zone)).join(',')}]`;
}

function jsonNumber(value: number, text: string): string {
  return Number.isFinite(value) ? text : `"${text}"`;
}

/** `2024-01-31T10:20:30.500Z`, the zone's offset behind it; milliseconds as in Spark, whose pattern has no more. */
function isoTimestamp(timestamp: number, zone: TimeZone): string {
  const offset = zone.offsetAtUtc(timestamp);
  const [date = '', rest = ''] = formatTimestamp(timestamp, zone).split(' ');
  const [clock = '', fraction = ''] = rest.split('.');
  const size = Math.abs(offset) / 60_000_000;
  const suffix =
    offset === 0 ? 'Z' : `${offset < 0 ? '-' : '+'}${pad(Math.floor(size / 60), 2)}:${pad(Math.floor(size % 60), 2)}`;
  return `${date}T${clock}.${fraction.slice(0, 3).padEnd(3, '0')}${suffix}`;
}

// ---- reading ----------------------------------------------------------------------------------------------------

/** How from_json reads. */
export interface JsonReading {
  /** FAILFAST: raises for a text that is not JSON or that does not fit, instead of giving NULLs. */
  readonly failFast: boolean;
  /** The field that gets the whole text when something in it does not fit; -1: none. */
  readonly corruptField: number;
  readonly dateFormat: DatePattern | null;
  readonly timestampFormat: DatePattern | null;
}

/** What a value is that does not fit its type; it makes the field around it NULL. */
const MISFIT = Symbol('misfit');

/** from_json: what is not JSON gives a struct of NULLs; a field that does not fit is NULL. */
export function fromJson(text: string, type: DataType, zone: TimeZone, reading: JsonReading): BoxedValue {
  const reader = new JsonReader(reading, zone);
  const json = parseJson(text);
  if (type.kind !== 'struct') {
    // One object where an array of structs is asked for is an array of one.
    const wrapped = type.kind === 'array' && type.element.kind === 'struct' && isObject(json) ? [json] : json;
    const value = wrapped === undefined || wrapped === null ? MISFIT : reader.read(wrapped, type);
    if (reading.failFast && (value === MISFIT || reader.bad) && text.trim() !== '') raiseExpressionFailed();
    return value === MISFIT ? null : value;
  }
  if (json === undefined && text.trim() === '') return null;
  // An array of one object is that object; others are no struct.
  const object = Array.isArray(json) && json.length === 1 ? json[0] : json;
  const value = isObject(object) ? reader.read(object, type) : MISFIT;
  const isBad = value === MISFIT || reader.bad;
  if (isBad && reading.failFast) raiseExpressionFailed();
  const fields = value === MISFIT ? type.fields.map(() => null) : [...(value as readonly BoxedValue[])];
  if (reading.corruptField >= 0) fields[reading.corruptField] = isBad ? text : null;
  return fields;
}

/** After org.apache.spark.sql.catalyst.json.JacksonParser with partial results. */
class JsonReader {
  /** True when something did not fit. */
  bad = false;
  readonly #reading: JsonReading;
  readonly #zone: TimeZone;

  constructor(reading: JsonReading, zone: TimeZone) {
    this.#reading = reading;
    this.#zone = zone;
  }

  read(json: Json, type: DataType): BoxedValue | typeof MISFIT {
    if (json === null) return null;
    if (json instanceof JsonNumber) return readNumber(json.text, type) ?? MISFIT;
    switch (type.kind) {
      case 'string':
        return typeof json === 'string' ? json : stringify(json);
      case 'boolean':
        return typeof json === 'boolean' ? json : MISFIT;
      case 'date':
      case 'timestamp':
        return typeof json === 'string' ? (this.#time(json, type.kind) ?? MISFIT) : MISFIT;
      case 'binary':
        return typeof json === 'string' ? (bytesOrNull(json) ?? MISFIT) : MISFIT;
      case 'float':
      case 'double':
        return typeof json === 'string' ? (specialNumbers.get(json) ?? MISFIT) : MISFIT;
      case 'decimal':
        return typeof json === 'string' ? (decimalOrNull(json, type.precision, type.scale) ?? MISFIT) : MISFIT;
      case 'array': {
        if (!Array.isArray(json)) return MISFIT;
        const elements = json.map((element) => this.read(element, type.element));
        return elements.includes(MISFIT) ? MISFIT : (elements as readonly BoxedValue[]);
      }
      case 'map': {
        if (!isObject(json)) return MISFIT;
        const keys = Object.keys(json);
        const values = keys.map((key) => this.read(own(json, key), type.value));
        return values.includes(MISFIT) ? MISFIT : { keys, values: values as readonly BoxedValue[] };
      }
      case 'struct':
        return isObject(json) ? type.fields.map((field) => this.#orNull(own(json, field.name), field.type)) : MISFIT;
      default:
        return MISFIT;
    }
  }

  #orNull(json: Json, type: DataType): BoxedValue {
    const value = this.read(json, type);
    if (value !== MISFIT) return value;
    this.bad = true;
    return null;
  }

  #time(text: string, kind: 'date' | 'timestamp'): number | null {
    const pattern = kind === 'date' ? this.#reading.dateFormat : this.#reading.timestampFormat;
    if (pattern === null) return kind === 'date' ? parseDate(text) : parseTimestamp(text, this.#zone);
    const timestamp = parseDatePattern(pattern, text, this.#zone);
    return timestamp === null || kind === 'timestamp' ? timestamp : dateOfTimestamp(timestamp, this.#zone);
  }
}

const specialNumbers = new Map([
  ['NaN', Number.NaN],
  ['INF', Infinity],
  ['+INF', Infinity],
  ['Infinity', Infinity],
  ['+Infinity', Infinity],
  ['-INF', -Infinity],
  ['-Infinity', -Infinity],
]);

const bytesOrNull = orNull(unbase64);

const limits: Partial<Record<DataType['kind'], bigint>> = {
  tinyint: 128n,
  smallint: 32768n,
  int: 2147483648n,
  bigint: 9223372036854775808n,
};

function readNumber(text: string, type: DataType): BoxedValue {
  switch (type.kind) {
    case 'string':
      return numberText(text);
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

// ---- paths ------------------------------------------------------------------------------------------------------

/** A step into JSON: a key, an index, or all elements. */
export type JsonStep = string | number | typeof ALL;
const ALL = Symbol('*');

const stepPattern = /\.([^.[\]'"]+)|\['([^']*)'\]|\["([^"]*)"\]|\[(\d+)\]|\[\*\]|\.\*/y;

/** The steps of `$.a.b[0]`; null when it is no path. */
function compileJsonPath(path: string): readonly JsonStep[] | null {
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

/** How schema_of_json infers. */
export interface JsonInference {
  readonly primitivesAsString: boolean;
  readonly prefersDecimal: boolean;
  readonly leadingZeros: boolean;
}

/** The type of a JSON text as Spark writes it (fields in the order of their names); null for what is not JSON. */
export function schemaOfJson(text: string, inference: JsonInference): string | null {
  const json = parseJson(text, inference.leadingZeros);
  if (json === undefined) return null;
  const type = inferType(json, inference);
  return type === null ? 'STRING' : formatInferred(type);
}

type Inferred =
  | { readonly kind: 'BOOLEAN' | 'BIGINT' | 'DOUBLE' | 'STRING' }
  | { readonly kind: 'decimal'; readonly digits: number; readonly scale: number }
  | { readonly kind: 'array'; readonly element: Inferred | null }
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<string, Inferred | null> };

/** null: nothing is known but that it may be NULL. */
function inferType(json: Json, inference: JsonInference): Inferred | null {
  if (json === null) return null;
  if (Array.isArray(json)) {
    const elements = json.map((element) => inferType(element, inference));
    return { kind: 'array', element: elements.reduce<Inferred | null>(mergeTypes, null) };
  }
  if (isObject(json)) {
    const fields = new Map<string, Inferred | null>();
    for (const key of Object.keys(json)) fields.set(key, inferType(own(json, key), inference));
    return { kind: 'struct', fields };
  }
  if (typeof json === 'string' || inference.primitivesAsString) return { kind: 'STRING' };
  return typeof json === 'boolean' ? { kind: 'BOOLEAN' } : inferNumber(json.text, inference.prefersDecimal);
}

function inferNumber(text: string, prefersDecimal: boolean): Inferred {
  const [whole = '', fraction = ''] = text.replace('-', '').split('.');
  if (/^-?\d+$/.test(text)) {
    const value = BigInt(text);
    if (BigInt.asIntN(64, value) === value) return { kind: 'BIGINT' };
    return whole.length > 38 ? { kind: 'DOUBLE' } : { kind: 'decimal', digits: whole.length, scale: 0 };
  }
  const digits = Math.max(`${whole}${fraction}`.replace(/^0+/, '').length, fraction.length);
  if (!prefersDecimal || /e/i.test(text) || digits > 38) return { kind: 'DOUBLE' };
  return { kind: 'decimal', digits, scale: fraction.length };
}

function mergeTypes(a: Inferred | null, b: Inferred | null): Inferred | null {
  if (a === null || b === null) return a ?? b;
  if (a.kind === 'array' && b.kind === 'array') return { kind: 'array', element: mergeTypes(a.element, b.element) };
  if (a.kind === 'struct' && b.kind === 'struct') {
    const fields = new Map(a.fields);
    for (const [key, type] of b.fields) fields.set(key, mergeTypes(fields.get(key) ?? null, type));
    return { kind: 'struct', fields };
  }
  if (a.kind === 'decimal' && b.kind === 'decimal') {
    const scale = Math.max(a.scale, b.scale);
    const digits = Math.max(a.digits - a.scale, b.digits - b.scale) + scale;
    return digits > 38 ? { kind: 'DOUBLE' } : { kind: 'decimal', digits, scale };
  }
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
      return `DECIMAL(${type.digits},${type.scale})`;
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
