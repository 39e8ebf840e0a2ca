/**
 * Avro's schema resolution, done once per writer schema: what of the writer's bytes goes into which column, as a tree of
 * nodes that {@link AvroDecoder} walks for every record. A field that the columns do not have becomes a skip; what can
 * not become the column's type fails the records that hold it.
 */
import { assert } from '../../core/assert.ts';
import type { DataType } from '../../core/types.ts';
import {
  BUILD_BIG_DECIMAL,
  BUILD_BIGINT,
  BUILD_BINARY,
  BUILD_BOOLEAN,
  BUILD_DATE,
  BUILD_DECIMAL,
  BUILD_DOUBLE,
  BUILD_FLOAT,
  BUILD_INT,
  BUILD_LIST,
  BUILD_MAP,
  BUILD_SMALLINT,
  BUILD_STRING,
  BUILD_TIMESTAMP,
  BUILD_TINYINT,
} from '../scan/column-builder.ts';
import type { ColumnBuilder } from '../scan/column-builder.ts';
import { encodeDefault, VALUE_COLUMN } from './avro-schema.ts';
import type { AvroField, AvroFixed, AvroPrimitive, AvroRecord, AvroType } from './avro-schema.ts';

export const OP_NULL = 0;
/** A zigzag number within `low` and `high` into 32 bits. */
export const OP_I32 = 1;
export const OP_I64 = 2;
/** A zigzag number as a double, times `factor`; FLOAT is rounded. */
export const OP_NUMBER = 3;
export const OP_BOOLEAN = 4;
export const OP_FLOAT = 5;
export const OP_DOUBLE = 6;
/** Bytes after their length, or `size` of them. */
export const OP_TEXT = 7;
export const OP_BYTES = 8;
export const OP_FIXED = 9;
/** An unscaled number of `size` bytes, or as many as its length says (-1), big-endian. */
export const OP_DECIMAL = 10;
/** Sixteen bytes as text. */
export const OP_UUID = 11;
/** Index of a symbol, into `texts`; a null text is one the reader does not know. */
export const OP_ENUM = 12;
export const OP_RECORD = 13;
export const OP_LIST = 14;
export const OP_MAP = 15;
export const OP_UNION = 16;
/** Makes the struct not null and reads the one child into a field of it. */
export const OP_MEMBER = 17;
/** Reads the child from `bytes`, which stand for a field that the writer does not have. */
export const OP_DEFAULT = 18;
/** The child is skipped, and its record fails. */
export const OP_WRONG_TYPE = 19;
export const OP_SKIP_NUMBER = 20;
/** `size` bytes. */
export const OP_SKIP_BYTES = 21;
export const OP_SKIP_LENGTH = 22;
export const OP_SKIP_LIST = 23;
export const OP_SKIP_MAP = 24;

/** One step. All have the same fields, so that walking them stays fast. */
export class AvroNode {
  op: number;
  /** What it fills; null = a skip, or the record itself. */
  readonly builder: ColumnBuilder | null;
  /** Of a record in the writer's order, of a union by branch; the element, the value, the child. */
  children: AvroNode[] = [];
  /** Of a record: columns that must not be NULL. */
  required: readonly ColumnBuilder[] = [];
  size = 0;
  low = 0;
  high = 0;
  factor = 1;
  /** Decimals: 10 to the power of what the column's scale is more (or, as `down`, less). */
  up = 1n;
  down = 1n;
  /** Whether elements take no bytes, so that their count says nothing about the record's length. */
  empty = false;
  texts: readonly (Uint8Array | null)[] = [];
  bytes: Uint8Array | null = null;
  /** Where `bytes` or the texts stand in the arena, and in which batch. */
  places: Int32Array = NO_PLACES;
  batch = -1;

  constructor(op: number, builder: ColumnBuilder | null) {
    this.op = op;
    this.builder = builder;
  }
}

const NO_PLACES = new Int32Array(0);

/** A column to fill and its type; `fields` of a struct or of the record itself. */
interface Target {
  readonly builder: ColumnBuilder | null;
  readonly type: DataType | null;
  readonly fields: readonly NamedTarget[];
}

interface NamedTarget {
  readonly name: string;
  readonly builder: ColumnBuilder;
  readonly type: DataType;
}

/** Columns that the fields of a record go to. */
export interface AvroColumn {
  readonly path: string;
  readonly type: DataType;
  readonly builder: ColumnBuilder;
}

/**
 * The steps for records of the writer's type. `reader`: what they are to be read as, for names, aliases and defaults;
 * null = as the columns are called. A type that is no record fills the column `value`.
 */
export function compileAvro(writer: AvroType, reader: AvroType | null, columns: readonly AvroColumn[]): AvroNode {
  const fields = columns.map(({ path, type, builder }) => ({ name: path, type, builder }));
  return new Compiler().record(writer, reader, { builder: null, type: null, fields });
}

/** The place of a column that no record of the writer can fill; undefined where there is none such. */
export function unreadablePlace({ op, builder, children, required }: AvroNode): string | undefined {
  if (op === OP_WRONG_TYPE || (op === OP_NULL && builder?.required === true)) return builder?.place ?? '';
  const missing = required.find((column) => children.every((child) => child.builder !== column));
  if (missing !== undefined) return missing.place;
  // Skips fill nothing, and may be cycles.
  const places = children.filter((child) => child.builder !== null).map(unreadablePlace);
  if (op === OP_UNION && places.includes(undefined)) return undefined;
  return places.find((place) => place !== undefined);
}

class Compiler {
  readonly #skips = new Map<AvroType, AvroNode>();

  /** The whole value, whose fields are columns. */
  record(writer: AvroType, reader: AvroType | null, target: Target): AvroNode {
    if (writer.kind === 'union') {
      const node = new AvroNode(OP_UNION, null);
      node.children = writer.branches.map((branch) => this.record(branch, branchFor(branch, reader), target));
      return node;
    }
    if (writer.kind === 'record') return this.#record(writer, reader, target);
    const node = new AvroNode(OP_RECORD, null);
    const column = target.fields.find(({ name }) => name === VALUE_COLUMN);
    node.children = [column === undefined ? this.#skip(writer) : this.#field(writer, reader, column)];
    node.required = requiredOf(target);
    return node;
  }

  #field(writer: AvroType, reader: AvroType | null, { builder, type }: NamedTarget): AvroNode {
    const fields =
      type.kind === 'struct'
        ? type.fields.map((field, index) => {
            const child = builder.children[index];
            assert(child !== undefined, () => `${builder.place} has no builder for ${field.name}`);
            return { name: field.name, type: field.type, builder: child };
          })
        : [];
    return this.#node(writer, reader, { builder, type, fields });
  }

  #node(writer: AvroType, reader: AvroType | null, target: Target): AvroNode {
    if (writer.kind === 'union') return this.#union(writer.branches, reader, target);
    const as = branchFor(writer, reader);
    if (reader !== null && as === null && writer.kind !== 'null') return this.#wrong(writer, target);
    if (reader?.kind === 'union' && as !== null && as.kind !== 'null') {
      // The members are those of what is read, whatever the order and number of what was written.
      const members = withoutNull(reader.branches);
      if (hasMembers(target, members)) return this.#member(writer, as, members.indexOf(as), target);
    }
    switch (writer.kind) {
      case 'record':
        if (target.type?.kind !== 'struct') return this.#wrong(writer, target);
        return this.#record(writer, as, target);
      case 'array':
        return this.#list(writer.items, as?.kind === 'array' ? as.items : null, target, writer);
      case 'map':
        return this.#map(writer.values, as?.kind === 'map' ? as.values : null, target, writer);
      case 'enum': {
        if (kindOf(target) !== BUILD_STRING) return this.#wrong(writer, target);
        const node = new AvroNode(OP_ENUM, target.builder);
        const known = as?.kind === 'enum' ? as : null;
        const texts = writer.symbols.map((symbol) =>
          known === null || known.symbols.includes(symbol) ? symbol : known.default,
        );
        node.texts = texts.map((text) => (text === null ? null : new TextEncoder().encode(text)));
        return node;
      }
      case 'fixed':
        return this.#fixed(writer, target);
      default:
        return this.#primitive(writer, target);
    }
  }

  #wrong(writer: AvroType, target: Target): AvroNode {
    const node = new AvroNode(OP_WRONG_TYPE, target.builder);
    node.children = [this.#skip(writer)];
    return node;
  }

  #union(branches: readonly AvroType[], reader: AvroType | null, target: Target): AvroNode {
    const node = new AvroNode(OP_UNION, target.builder);
    const members = withoutNull(branches);
    const asMembers = reader === null && hasMembers(target, members);
    node.children = branches.map((branch) =>
      asMembers && branch.kind !== 'null'
        ? this.#member(branch, null, members.indexOf(branch), target)
        : this.#node(branch, reader, target),
    );
    return node;
  }

  #member(writer: AvroType, reader: AvroType | null, index: number, target: Target): AvroNode {
    const field = target.fields.find(({ name }) => name === `member${index}`);
    const node = new AvroNode(OP_MEMBER, target.builder);
    node.children = [field === undefined ? this.#skip(writer) : this.#field(writer, reader, field)];
    return node;
  }

  #record(writer: AvroRecord, reader: AvroType | null, target: Target): AvroNode {
    const node = new AvroNode(OP_RECORD, target.builder);
    const as = reader?.kind === 'record' ? reader : null;
    const sources = new Map<AvroField, NamedTarget & { readonly as: AvroType | null }>();
    const defaults: AvroNode[] = [];
    for (const field of target.fields) {
      const read = as?.fields.find(({ name }) => name === field.name) ?? null;
      const source = writer.fields.find(({ name }) => name === field.name) ?? byAlias(writer, read);
      if (source !== undefined) sources.set(source, { ...field, as: read?.type ?? null });
      else if (read !== null && read.default !== undefined) defaults.push(this.#default(read, field));
    }
    for (const source of writer.fields) {
      const field = sources.get(source);
      append(node.children, field === undefined ? this.#skip(source.type) : this.#field(source.type, field.as, field));
    }
    node.children.push(...defaults);
    node.required = requiredOf(target);
    return node;
  }

  #default(field: AvroField, target: NamedTarget): AvroNode {
    const node = new AvroNode(OP_DEFAULT, target.builder);
    node.bytes = encodeDefault(field.type, field.default, field.name);
    node.children = [this.#field(field.type, null, target)];
    return node;
  }

  #list(items: AvroType, reader: AvroType | null, target: Target, whole: AvroType): AvroNode {
    const { builder, type } = target;
    const element = builder?.children[0];
    if (kindOf(target) !== BUILD_LIST || element === undefined || type?.kind !== 'array')
      return this.#wrong(whole, target);
    const node = new AvroNode(OP_LIST, builder);
    node.children = [this.#field(items, reader, { name: '', type: type.element, builder: element })];
    node.empty = isEmpty(items);
    return node;
  }

  #map(values: AvroType, reader: AvroType | null, target: Target, whole: AvroType): AvroNode {
    const { builder, type } = target;
    const value = builder?.children[1];
    if (kindOf(target) !== BUILD_MAP || value === undefined || type?.kind !== 'map' || type.key.kind !== 'string')
      return this.#wrong(whole, target);
    const node = new AvroNode(OP_MAP, builder);
    node.children = [this.#field(values, reader, { name: '', type: type.value, builder: value })];
    return node;
  }

  #fixed(writer: AvroFixed, target: Target): AvroNode {
    const kind = kindOf(target);
    if (writer.logical?.name === 'decimal' && (kind === BUILD_DECIMAL || kind === BUILD_BIG_DECIMAL))
      return decimalNode(target, writer.logical.scale, writer.size);
    if (writer.logical?.name === 'uuid' && kind === BUILD_STRING) return new AvroNode(OP_UUID, target.builder);
    if (kind !== BUILD_BINARY) return this.#wrong(writer, target);
    const node = new AvroNode(OP_FIXED, target.builder);
    node.size = writer.size;
    return node;
  }

  #primitive(writer: AvroPrimitive, target: Target): AvroNode {
    const kind = kindOf(target);
    const { builder } = target;
    switch (writer.kind) {
      case 'null':
        return new AvroNode(OP_NULL, builder);
      case 'boolean':
        return kind === BUILD_BOOLEAN ? new AvroNode(OP_BOOLEAN, builder) : this.#wrong(writer, target);
      case 'int':
      case 'long':
        return numberNode(writer, target) ?? this.#wrong(writer, target);
      case 'float':
      case 'double': {
        if (kind !== BUILD_DOUBLE && (kind !== BUILD_FLOAT || writer.kind === 'double'))
          return this.#wrong(writer, target);
        return new AvroNode(writer.kind === 'float' ? OP_FLOAT : OP_DOUBLE, builder);
      }
      case 'bytes':
        if (writer.logical?.name === 'decimal' && (kind === BUILD_DECIMAL || kind === BUILD_BIG_DECIMAL))
          return decimalNode(target, writer.logical.scale, -1);
        break;
      case 'string':
    }
    if (kind === BUILD_STRING) return new AvroNode(OP_TEXT, builder);
    return kind === BUILD_BINARY ? new AvroNode(OP_BYTES, builder) : this.#wrong(writer, target);
  }

  /** Steps over a value of the type; of a type that contains itself, once. */
  #skip(type: AvroType): AvroNode {
    const known = this.#skips.get(type);
    if (known !== undefined) return known;
    const node = new AvroNode(OP_NULL, null);
    this.#skips.set(type, node);
    switch (type.kind) {
      case 'null':
        break;
      case 'int':
      case 'long':
      case 'enum':
        node.op = OP_SKIP_NUMBER;
        break;
      case 'string':
      case 'bytes':
        node.op = OP_SKIP_LENGTH;
        break;
      case 'boolean':
      case 'float':
      case 'double':
      case 'fixed':
        node.op = OP_SKIP_BYTES;
        node.size = type.kind === 'fixed' ? type.size : type.kind === 'boolean' ? 1 : type.kind === 'float' ? 4 : 8;
        break;
      case 'array':
        node.op = OP_SKIP_LIST;
        node.children = [this.#skip(type.items)];
        node.empty = isEmpty(type.items);
        break;
      case 'map':
        node.op = OP_SKIP_MAP;
        node.children = [this.#skip(type.values)];
        break;
      case 'union':
        node.op = OP_UNION;
        node.children = type.branches.map((branch) => this.#skip(branch));
        break;
      case 'record':
        node.op = OP_RECORD;
        for (const field of type.fields) node.children.push(this.#skip(field.type));
    }
    return node;
  }
}

function withoutNull(branches: readonly AvroType[]): readonly AvroType[] {
  return branches.filter(({ kind }) => kind !== 'null');
}

/** Whether the target is the STRUCT of a union with these members. */
function hasMembers({ type }: Target, members: readonly AvroType[]): boolean {
  return (
    members.length > 1 &&
    type?.kind === 'struct' &&
    type.fields.length > 0 &&
    type.fields.every(({ name }) => /^member\d+$/.test(name))
  );
}

/** Fixed skips in a row become one. */
function append(children: AvroNode[], next: AvroNode): void {
  const last = children.at(-1);
  if (next.op === OP_NULL && next.builder === null) return;
  if (next.op !== OP_SKIP_BYTES || last?.op !== OP_SKIP_BYTES) {
    children.push(next);
    return;
  }
  const both = new AvroNode(OP_SKIP_BYTES, null);
  both.size = last.size + next.size;
  children[children.length - 1] = both;
}

function kindOf({ builder }: Target): number {
  return builder?.kind ?? -1;
}

function requiredOf({ fields }: Target): readonly ColumnBuilder[] {
  return fields.flatMap(({ builder }) => (builder.required ? [builder] : []));
}

function byAlias(writer: AvroRecord, read: AvroField | null): AvroField | undefined {
  if (read === null) return undefined;
  return writer.fields.find(({ name }) => read.aliases.includes(name));
}

const ranges: ReadonlyMap<number, number> = new Map([
  [BUILD_TINYINT, 0x7f],
  [BUILD_SMALLINT, 0x7fff],
  [BUILD_INT, 0x7fffffff],
  [BUILD_DATE, 0x7fffffff],
]);

function numberNode({ kind, logical }: AvroPrimitive, target: Target): AvroNode | undefined {
  const to = kindOf(target);
  const { builder } = target;
  const high = ranges.get(to);
  if (high !== undefined) {
    if (to === BUILD_DATE && logical?.name !== 'date') return undefined;
    const node = new AvroNode(OP_I32, builder);
    node.high = high;
    node.low = -high - 1;
    return node;
  }
  if (to === BUILD_BIGINT) return new AvroNode(OP_I64, builder);
  const node = new AvroNode(OP_NUMBER, builder);
  if (to === BUILD_TIMESTAMP && logical?.name === 'timestamp') {
    node.factor = logical.perUnitUs;
    return node;
  }
  // What Avro promotes: int and long to float and double.
  return (to === BUILD_DOUBLE || to === BUILD_FLOAT) && (logical === null || kind === 'int') ? node : undefined;
}

function decimalNode(target: Target, scale: number, size: number): AvroNode {
  const node = new AvroNode(OP_DECIMAL, target.builder);
  const more = (target.builder?.scale ?? 0) - scale;
  node.size = size;
  if (more > 0) node.up = 10n ** BigInt(more);
  if (more < 0) node.down = 10n ** BigInt(-more);
  const digits = (target.builder?.precision ?? 0) + Math.max(0, -more);
  node.high = Math.ceil(((digits + 1) * Math.log2(10) + 1) / 8);
  return node;
}

/** Whether values of the type may take no bytes at all. */
function isEmpty(type: AvroType, above: readonly AvroType[] = []): boolean {
  if (type.kind === 'null') return true;
  if (type.kind === 'fixed') return type.size === 0;
  if (type.kind !== 'record' || above.includes(type)) return false;
  return type.fields.every((field) => isEmpty(field.type, [...above, type]));
}

/** The type, or the branch of a union, that a value of the writer's type is read as; null = none fits. */
function branchFor(writer: AvroType, reader: AvroType | null): AvroType | null {
  if (reader === null) return null;
  if (reader.kind !== 'union') return resolves(writer, reader) ? reader : null;
  const fits = reader.branches.filter((branch) => resolves(writer, branch));
  return fits.find((branch) => branch.kind === writer.kind && sameName(writer, branch)) ?? fits[0] ?? null;
}

const promotions: ReadonlyMap<string, readonly string[]> = new Map([
  ['int', ['long', 'float', 'double']],
  ['long', ['float', 'double']],
  ['float', ['double']],
  ['string', ['bytes']],
  ['bytes', ['string']],
]);

/** Names of records count only where a union has to choose: producers rename them freely. */
function resolves(writer: AvroType, reader: AvroType): boolean {
  if (writer.kind === 'fixed' && reader.kind === 'fixed') return writer.size === reader.size;
  return writer.kind === reader.kind || promotions.get(writer.kind)?.includes(reader.kind) === true;
}

function sameName(writer: AvroType, reader: AvroType): boolean {
  if (!('name' in writer) || !('name' in reader)) return true;
  const names = [reader.name, ...reader.aliases];
  return names.some((name) => name === writer.name || short(name) === short(writer.name));
}

function short(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}
