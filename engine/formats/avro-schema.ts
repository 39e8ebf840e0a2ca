/**
 * Avro schemas from their JSON (Apache Avro specification 1.12): names and namespaces, aliases, defaults, logical types.
 * Types that refer to themselves become graphs with cycles.
 */
import { messageOf, WeirError } from '../../core/errors.ts';
import type { DataType, Field, Schema } from '../../core/types.ts';
import type { SchemaText } from './value-format.ts';

export type AvroLogical =
  | { readonly name: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly name: 'date' | 'uuid' | 'time-millis' | 'time-micros' | 'duration' }
  /** `perUnitUs`: µs of one unit; below 1 for nanoseconds. */
  | { readonly name: 'timestamp'; readonly perUnitUs: number };

export type AvroPrimitiveKind = 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string';

export interface AvroPrimitive {
  readonly kind: AvroPrimitiveKind;
  readonly logical: AvroLogical | null;
}

export interface AvroField {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly type: AvroType;
  /** JSON as the specification writes defaults; undefined = none. */
  readonly default: unknown;
}

export interface AvroRecord {
  readonly kind: 'record';
  /** With its namespace. */
  readonly name: string;
  readonly aliases: readonly string[];
  /** Filled once the names in it are known. */
  readonly fields: AvroField[];
}

export interface AvroEnum {
  readonly kind: 'enum';
  readonly name: string;
  readonly aliases: readonly string[];
  readonly symbols: readonly string[];
  readonly default: string | null;
}

export interface AvroFixed {
  readonly kind: 'fixed';
  readonly name: string;
  readonly aliases: readonly string[];
  /** Bytes. */
  readonly size: number;
  readonly logical: AvroLogical | null;
}

export type AvroType =
  | AvroPrimitive
  | AvroRecord
  | AvroEnum
  | AvroFixed
  | { readonly kind: 'array'; readonly items: AvroType }
  | { readonly kind: 'map'; readonly values: AvroType }
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] };

const primitiveKinds: readonly string[] = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'];

/** Types within types: whoever walks a schema calls itself once for each. */
const NESTING_MAX = 500;
/** Digits of a decimal that can be told from a mistake. */
const DECIMAL_DIGITS_MAX = 1000;
/** Bytes, as Java's Avro has it. */
const FIXED_SIZE_MAX = 2 ** 31 - 1;

/** Throws: SCHEMA_INVALID, with a sentence that names what is wrong. */
export function parseAvro({ schema, references }: SchemaText): AvroType {
  const parser = new AvroParser();
  for (const reference of references) parser.parse(reference.schema);
  return parser.parse(schema);
}

type JsonObject = Readonly<Record<string, unknown>>;

function invalid(message: string): WeirError {
  return new WeirError('SCHEMA_INVALID', `The Avro schema cannot be read: ${message}.`);
}

class AvroParser {
  readonly #named = new Map<string, AvroType>();
  /** The field that is being read, for people. */
  #place = '';
  #nesting = 0;

  parse(text: string): AvroType {
    let json: unknown;
    const trimmed = text.trim();
    if (primitiveKinds.includes(trimmed)) return { kind: trimmed as AvroPrimitiveKind, logical: null };
    try {
      json = JSON.parse(trimmed);
    } catch (error) {
      if (/^[\w.]+$/.test(trimmed)) throw invalid(`there is no type ${trimmed}`);
      throw invalid(`it is no JSON (${messageOf(error)})`);
    }
    return this.#type(json, '');
  }

  #type(json: unknown, namespace: string): AvroType {
    if (this.#nesting === NESTING_MAX)
      throw invalid(`its types are nested deeper than ${NESTING_MAX} levels; make it flatter`);
    this.#nesting++;
    const type = this.#typeWithin(json, namespace);
    this.#nesting--;
    return type;
  }

  #typeWithin(json: unknown, namespace: string): AvroType {
    if (typeof json === 'string') return this.#byName(json, namespace);
    if (Array.isArray(json)) {
      const branches = json.map((branch: unknown) => this.#type(branch, namespace));
      if (branches.length === 0) throw invalid('a union is empty');
      if (branches.some((branch) => branch.kind === 'union')) throw invalid('a union holds a union');
      return { kind: 'union', branches };
    }
    if (typeof json !== 'object' || json === null)
      throw this.#invalid(`${JSON.stringify(json) ?? 'nothing'} is no type`);
    const object = json as JsonObject;
    const { type } = object;
    switch (type) {
      case 'record':
      case 'error':
        return this.#record(object, namespace);
      case 'enum':
        return this.#enum(object, namespace);
      case 'fixed':
        return this.#fixed(object, namespace);
      case 'array':
        return { kind: 'array', items: this.#type(object['items'], namespace) };
      case 'map':
        return { kind: 'map', values: this.#type(object['values'], namespace) };
      default:
    }
    if (typeof type === 'string' && primitiveKinds.includes(type)) {
      const kind = type as AvroPrimitiveKind;
      return { kind, logical: logicalOf(object, kind, null) };
    }
    return this.#type(type, namespace);
  }

  #invalid(message: string): WeirError {
    return invalid(this.#place === '' ? message : `${message}, at the field ${this.#place}`);
  }

  #byName(name: string, namespace: string): AvroType {
    if (primitiveKinds.includes(name)) return { kind: name as AvroPrimitiveKind, logical: null };
    const found = this.#named.get(name.includes('.') ? name : fullName(name, namespace)) ?? this.#named.get(name);
    if (found === undefined) throw this.#invalid(`there is no type ${name}`);
    return found;
  }

  #name(object: JsonObject, namespace: string): { readonly name: string; readonly aliases: string[]; space: string } {
    const given = object['name'];
    if (typeof given !== 'string' || given === '') throw invalid(`a ${String(object['type'])} has no name`);
    const own = typeof object['namespace'] === 'string' ? object['namespace'] : namespace;
    const name = fullName(given, own);
    const space = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';
    if (this.#named.has(name)) throw invalid(`the type ${name} is defined twice`);
    return { name, aliases: namesIn(object['aliases']).map((alias) => fullName(alias, space)), space };
  }

  #record(object: JsonObject, namespace: string): AvroRecord {
    const { name, aliases, space } = this.#name(object, namespace);
    const record: AvroRecord = { kind: 'record', name, aliases, fields: [] };
    this.#named.set(name, record);
    const fields = object['fields'];
    if (!Array.isArray(fields)) throw invalid(`the record ${name} has no fields`);
    for (const each of fields as unknown[]) {
      const field = each as JsonObject;
      if (typeof each !== 'object' || each === null || typeof field['name'] !== 'string')
        throw invalid(`a field of ${name} has no name`);
      if (record.fields.some((other) => other.name === field['name']))
        throw invalid(`the record ${name} has two fields called ${field['name']}`);
      this.#place = `${name}.${field['name']}`;
      record.fields.push({
        name: field['name'],
        aliases: namesIn(field['aliases']),
        type: this.#type(field['type'], space),
        default: field['default'],
      });
    }
    this.#place = '';
    return record;
  }

  #enum(object: JsonObject, namespace: string): AvroEnum {
    const { name, aliases } = this.#name(object, namespace);
    const symbols = namesIn(object['symbols']);
    const fallback = object['default'];
    const type: AvroEnum = {
      kind: 'enum',
      name,
      aliases,
      symbols,
      default: typeof fallback === 'string' ? fallback : null,
    };
    this.#named.set(name, type);
    return type;
  }

  #fixed(object: JsonObject, namespace: string): AvroFixed {
    const { name, aliases } = this.#name(object, namespace);
    const { size } = object;
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || size > FIXED_SIZE_MAX)
      throw invalid(`the size of ${name} is ${JSON.stringify(size)}`);
    const type: AvroFixed = { kind: 'fixed', name, aliases, size, logical: logicalOf(object, 'fixed', size) };
    this.#named.set(name, type);
    return type;
  }
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
}

function namesIn(json: unknown): string[] {
  return Array.isArray(json) ? json.filter((name): name is string => typeof name === 'string') : [];
}

/** A logical type that does not fit its type is ignored, as the specification asks. */
function logicalOf(object: JsonObject, kind: string, size: number | null): AvroLogical | null {
  const name = object['logicalType'];
  const on = (...kinds: readonly string[]): boolean => kinds.includes(kind);
  switch (name) {
    case 'decimal': {
      const { precision, scale = 0 } = object;
      const fits = Number.isInteger(precision) && Number.isInteger(scale) && on('bytes', 'fixed');
      if (!fits || (precision as number) < 1 || (scale as number) < 0 || (scale as number) > (precision as number))
        return null;
      if ((precision as number) > DECIMAL_DIGITS_MAX)
        throw invalid(`a decimal has ${String(precision)} digits; ${DECIMAL_DIGITS_MAX} is the most`);
      return { name, precision: precision as number, scale: scale as number };
    }
    case 'date':
    case 'time-millis':
      return on('int') ? { name } : null;
    case 'time-micros':
      return on('long') ? { name } : null;
    case 'uuid':
      return on('string') || (on('fixed') && size === 16) ? { name } : null;
    case 'duration':
      return on('fixed') && size === 12 ? { name } : null;
    case 'timestamp-millis':
    case 'local-timestamp-millis':
      return on('long') ? { name: 'timestamp', perUnitUs: 1000 } : null;
    case 'timestamp-micros':
    case 'local-timestamp-micros':
      return on('long') ? { name: 'timestamp', perUnitUs: 1 } : null;
    case 'timestamp-nanos':
    case 'local-timestamp-nanos':
      return on('long') ? { name: 'timestamp', perUnitUs: 0.001 } : null;
    default:
      return null;
  }
}

// ---- columns ----------------------------------------------------------------------------------------------------

/** Name of the one column of a schema that is no record, as Spark calls it. */
export const VALUE_COLUMN = 'value';

/** Digits a DECIMAL has at most. */
const DECIMAL_PRECISION_MAX = 38;

/** Columns and fields in them. A type that is named often counts each time, and a few lines can name one a million times. */
const FIELDS_MAX = 10_000;

function checkFieldCount(type: AvroType): void {
  if (fieldCount(type, new Map()) > FIELDS_MAX)
    throw invalid(
      `it has more than ${FIELDS_MAX} fields, those of types counted wherever they are used; take some out`,
    );
}

/** `known`: of the records so far; one within itself counts as none, and is refused elsewhere. */
function fieldCount(type: AvroType, known: Map<AvroType, number>): number {
  switch (type.kind) {
    case 'array':
      return fieldCount(type.items, known);
    case 'map':
      return fieldCount(type.values, known);
    case 'union':
      return type.branches.reduce((sum, branch) => sum + fieldCount(branch, known), 0);
    case 'record': {
      const before = known.get(type);
      if (before !== undefined) return before;
      known.set(type, 0);
      const count = type.fields.reduce((sum, field) => sum + fieldCount(field.type, known), type.fields.length);
      known.set(type, count);
      return count;
    }
    default:
      return 0;
  }
}

/** A value of the type as one column. Throws: as {@link avroColumns}. */
export function avroColumn(type: AvroType): Field {
  checkFieldCount(type);
  return columnOf(VALUE_COLUMN, type, []);
}

/**
 * The columns of records of the type, as Spark's SchemaConverters gives them: unions of numbers widen, other unions
 * become structs of `member0`, `member1` … Throws: SCHEMA_INVALID for a type that contains itself or has no column type.
 */
export function avroColumns(type: AvroType): Schema {
  const top = type.kind === 'union' ? single(type.branches.filter(({ kind }) => kind !== 'null')) : type;
  if (top?.kind !== 'record') return [avroColumn(type)];
  checkFieldCount(top);
  return fieldsOf(top, []);
}

function single<T>(values: readonly T[]): T | undefined {
  return values.length === 1 ? values[0] : undefined;
}

function fieldsOf(record: AvroRecord, above: readonly AvroType[]): Field[] {
  if (above.includes(record))
    throw invalid(`the record ${record.name} contains itself, which columns cannot: list the columns under schema`);
  return record.fields.map(({ name, type }) => columnOf(name, type, [...above, record]));
}

function columnOf(name: string, type: AvroType, above: readonly AvroType[]): Field {
  if (type.kind !== 'union') return { name, type: dataTypeOf(name, type, above), nullable: type.kind === 'null' };
  const branches = type.branches.filter(({ kind }) => kind !== 'null');
  const nullable = branches.length < type.branches.length;
  const only = single(branches);
  if (only !== undefined) return { name, type: dataTypeOf(name, only, above), nullable };
  const kinds = new Set(branches.map(({ kind }) => kind));
  const plain = branches.every((branch) => !('logical' in branch) || branch.logical === null);
  if (plain && [...kinds].every((kind) => kind === 'int' || kind === 'long'))
    return { name, type: { kind: 'bigint' }, nullable };
  if (plain && [...kinds].every((kind) => kind === 'float' || kind === 'double'))
    return { name, type: { kind: 'double' }, nullable };
  const fields = branches.map((branch, index): Field => {
    const member = `member${index}`;
    return { name: member, type: dataTypeOf(`${name}.${member}`, branch, above), nullable: true };
  });
  return { name, type: { kind: 'struct', fields }, nullable };
}

function dataTypeOf(name: string, type: AvroType, above: readonly AvroType[]): DataType {
  switch (type.kind) {
    case 'boolean':
    case 'float':
    case 'double':
      return { kind: type.kind };
    case 'int':
      return { kind: type.logical?.name === 'date' ? 'date' : 'int' };
    case 'long':
      return { kind: type.logical?.name === 'timestamp' ? 'timestamp' : 'bigint' };
    case 'bytes':
    case 'fixed':
      if (type.logical?.name === 'decimal') {
        const { precision, scale } = type.logical;
        if (precision > DECIMAL_PRECISION_MAX)
          throw invalid(`${name} is a decimal of ${precision} digits; ${DECIMAL_PRECISION_MAX} is the most`);
        return { kind: 'decimal', precision, scale };
      }
      return { kind: type.logical?.name === 'uuid' ? 'string' : 'binary' };
    case 'string':
    case 'enum':
      return { kind: 'string' };
    case 'array': {
      const element = columnOf(`${name}[]`, type.items, above);
      return { kind: 'array', element: element.type, containsNull: element.nullable };
    }
    case 'map': {
      const value = columnOf(`${name}.value`, type.values, above);
      return { kind: 'map', key: { kind: 'string' }, value: value.type, valueContainsNull: value.nullable };
    }
    case 'record':
      return { kind: 'struct', fields: fieldsOf(type, above) };
    case 'null':
      throw invalid(`${name} is always null and has no column type: list the columns under schema`);
    case 'union':
      return columnOf(name, type, above).type;
  }
}

// ---- defaults ----------------------------------------------------------------------------------------------------

/**
 * The bytes of a default of a field that a writer does not have, read like any other: given as JSON the way the specification writes it. A default of a union is one of its branches.
 * Throws: SCHEMA_INVALID when the value is not one of the type.
 */
export function encodeDefault(type: AvroType, value: unknown, field: string): Uint8Array {
  const out: number[] = [];
  if (!put(out, type, value))
    throw invalid(`the default of ${field}, ${JSON.stringify(value)}, is no value of its type`);
  return Uint8Array.from(out);
}

function put(out: number[], type: AvroType, value: unknown): boolean {
  switch (type.kind) {
    case 'null':
      return value === null;
    case 'boolean':
      if (typeof value !== 'boolean') return false;
      out.push(value ? 1 : 0);
      return true;
    case 'int':
    case 'long':
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) return false;
      putLong(out, BigInt(value));
      return true;
    case 'float':
    case 'double': {
      if (typeof value !== 'number') return false;
      const bytes = new Uint8Array(type.kind === 'float' ? 4 : 8);
      const view = new DataView(bytes.buffer);
      if (type.kind === 'float') view.setFloat32(0, value, true);
      else view.setFloat64(0, value, true);
      out.push(...bytes);
      return true;
    }
    case 'string':
      return typeof value === 'string' && putBytes(out, new TextEncoder().encode(value));
    case 'bytes':
      // Characters up to U+00FF stand for bytes.
      return typeof value === 'string' && putBytes(out, Buffer.from(value, 'latin1'));
    case 'fixed':
      if (typeof value !== 'string' || value.length !== type.size) return false;
      out.push(...Buffer.from(value, 'latin1'));
      return true;
    case 'enum': {
      const index = type.symbols.indexOf(value as string);
      if (index < 0) return false;
      putLong(out, BigInt(index));
      return true;
    }
    case 'array': {
      if (!Array.isArray(value)) return false;
      return putItems(out, value, (item) => put(out, type.items, item));
    }
    case 'map': {
      if (!isObject(value)) return false;
      return putItems(out, Object.entries(value), ([key, item]) => {
        putBytes(out, new TextEncoder().encode(key));
        return put(out, type.values, item);
      });
    }
    case 'record': {
      if (!isObject(value)) return false;
      const given = new Map(Object.entries(value));
      return type.fields.every((field) => put(out, field.type, given.get(field.name) ?? field.default ?? null));
    }
    case 'union':
      for (const [index, branch] of type.branches.entries()) {
        const mark = out.length;
        putLong(out, BigInt(index));
        if (put(out, branch, value)) return true;
        out.length = mark;
      }
      return false;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function putItems<T>(out: number[], items: readonly T[], putItem: (item: T) => boolean): boolean {
  if (items.length > 0) {
    putLong(out, BigInt(items.length));
    if (!items.every(putItem)) return false;
  }
  out.push(0);
  return true;
}

function putBytes(out: number[], bytes: Uint8Array): boolean {
  putLong(out, BigInt(bytes.byteLength));
  out.push(...bytes);
  return true;
}

function putLong(out: number[], value: bigint): void {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
}

/** Types whose Avro has no name and holds no other type, and is the same whoever makes the schema. */
type SimpleType = Exclude<DataType, { readonly kind: 'null' | 'interval' | 'decimal' | 'array' | 'map' | 'struct' }>;

/** Avro's JSON for the type, without null. */
export function avroOfSimple(type: SimpleType): unknown {
  switch (type.kind) {
    case 'boolean':
    case 'int':
    case 'float':
    case 'double':
    case 'string':
      return type.kind;
    case 'tinyint':
    case 'smallint':
      return 'int';
    case 'bigint':
      return 'long';
    case 'binary':
      return 'bytes';
    case 'date':
      return { type: 'int', logicalType: 'date' };
    case 'timestamp':
      return { type: 'long', logicalType: 'timestamp-micros' };
  }
}
