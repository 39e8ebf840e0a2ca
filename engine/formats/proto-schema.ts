/** Protobuf messages from the text of a .proto and of those it imports, as plain data: parsed by protobufjs. */
import { createRequire } from 'node:module';
import type * as Protobuf from 'protobufjs';
import { messageOf, WeirError } from '../../core/errors.ts';
import type { DataType, Field, Schema } from '../../core/types.ts';
import { mistakeIn } from './proto-places.ts';
import type { SchemaText } from './value-format.ts';

export type ProtoScalar =
  | 'double'
  | 'float'
  | 'int32'
  | 'uint32'
  | 'sint32'
  | 'fixed32'
  | 'sfixed32'
  | 'int64'
  | 'uint64'
  | 'sint64'
  | 'fixed64'
  | 'sfixed64'
  | 'bool'
  | 'string'
  | 'bytes';

export type ProtoType =
  | { readonly kind: 'scalar'; readonly scalar: ProtoScalar }
  | {
      readonly kind: 'enum';
      readonly names: ReadonlyMap<number, string>;
      /** Other names of a number too. */
      readonly numbers: ReadonlyMap<string, number>;
    }
  | { readonly kind: 'message'; readonly message: ProtoMessage };

export interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly type: ProtoType;
  readonly shape: 'single' | 'repeated' | 'map';
  /** Of a map. */
  readonly key: ProtoScalar | null;
  /** Whether being absent differs from having the default. */
  readonly presence: boolean;
  /** Name of the oneof; null = in none. */
  readonly oneof: string | null;
  /** proto2: a message without it is none. */
  readonly required: boolean;
  /** proto2: whether it names a default of its own, `[default = …]`. */
  readonly hasDefault: boolean;
  /** Of a repeated field: whether its numbers are written as one piece. */
  readonly packed: boolean;
  /** Whether tags stand around its messages, and not their length before them (proto2's groups). */
  readonly delimited: boolean;
}

export interface ProtoMessage {
  /** With its package. */
  readonly name: string;
  /** Filled once the messages in them are known. */
  readonly fields: ProtoField[];
  /** Messages declared within, in their order. */
  readonly nested: ProtoMessage[];
}

export interface ProtoFile {
  /** The messages of the file itself, in their order. */
  readonly messages: readonly ProtoMessage[];
  /** All messages, with those of imports, by full name. */
  readonly byName: ReadonlyMap<string, ProtoMessage>;
}

function invalid(message: string, cause?: unknown): WeirError {
  return new WeirError('SCHEMA_INVALID', `The .proto cannot be read: ${message}.`, { cause });
}

/** Loaded when the first .proto is: most processes never see one. */
function library(): typeof Protobuf {
  return createRequire(import.meta.url)('protobufjs') as typeof Protobuf;
}

/** Throws: SCHEMA_INVALID, naming line and column. */
export function parseProto({ schema, references }: SchemaText): ProtoFile {
  const protobuf = library();
  const root = new protobuf.Root();
  const given = new Set(references.map(({ name }) => name));
  const imported = new Set<string>();
  const texts = [{ name: '', text: schema }, ...references.map((each) => ({ name: each.name, text: each.schema }))];
  const saysOf = (text: string): string => {
    try {
      protobuf.parse(text, new protobuf.Root(), { keepCase: true });
      return '';
    } catch (error) {
      return messageOf(error);
    }
  };
  const parse = (text: string, into: Protobuf.Root): Protobuf.IParserResult => {
    try {
      return protobuf.parse(text, into, { keepCase: true });
    } catch (error) {
      throw invalid(
        mistakeIn(
          messageOf(error),
          texts.filter((each) => each.text === text),
          saysOf,
        ),
        error,
      );
    }
  };
  const take = (text: string): void => {
    const { imports = [], weakImports = [] } = parse(text, root);
    for (const name of [...imports, ...weakImports]) {
      if (given.has(name) || imported.has(name)) continue;
      imported.add(name);
      const common = protobuf.common.get(name);
      if (common?.nested === undefined)
        throw invalid(mistakeIn(`it imports ${name}, which is not among its references`, texts, saysOf));
      root.addJSON(common.nested);
    }
  };
  for (const reference of references) take(reference.schema);
  take(schema);
  // The order of the file's own messages, which a common root mixes with those of imports.
  const alone = new protobuf.Root();
  const { package: space } = parse(schema, alone);
  try {
    root.resolveAll();
  } catch (error) {
    throw invalid(mistakeIn(messageOf(error), texts, saysOf), error);
  }
  const converter = new Converter(protobuf);
  const own = space === undefined ? alone : (alone.lookup(space) as Protobuf.Namespace);
  const messages = own.nestedArray
    .filter((each) => each instanceof protobuf.Type)
    .map((type) => converter.message(root.lookupType(type.fullName)));
  converter.all(root);
  return { messages, byName: converter.byName };
}

class Converter {
  readonly byName = new Map<string, ProtoMessage>();
  readonly #protobuf: typeof Protobuf;

  constructor(protobuf: typeof Protobuf) {
    this.#protobuf = protobuf;
  }

  all(space: Protobuf.NamespaceBase): void {
    for (const each of space.nestedArray) {
      if (each instanceof this.#protobuf.Type) this.message(each);
      else if (each instanceof this.#protobuf.Namespace) this.all(each);
    }
  }

  message(type: Protobuf.Type): ProtoMessage {
    const name = type.fullName.replace(/^\./, '');
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    const message: ProtoMessage = { name, fields: [], nested: [] };
    this.byName.set(name, message);
    for (const each of type.nestedArray)
      if (each instanceof this.#protobuf.Type) message.nested.push(this.message(each));
    for (const field of type.fieldsArray) message.fields.push(this.#field(field));
    return message;
  }

  #field(field: Protobuf.Field): ProtoField {
    const { name, id: number, partOf } = field;
    const isMap = field instanceof this.#protobuf.MapField;
    const shape = isMap ? 'map' : field.repeated ? 'repeated' : 'single';
    const type = this.#type(field);
    const real = partOf === null || partOf.isProto3Optional ? null : partOf.name;
    return {
      name,
      number,
      type,
      shape,
      key: isMap ? (field.keyType as ProtoScalar) : null,
      presence: type.kind === 'message' || field.hasPresence,
      oneof: real,
      required: field.required,
      hasDefault: field.options?.['default'] !== undefined,
      packed: field.repeated && field.packed,
      delimited: field.delimited,
    };
  }

  #type({ resolvedType, type }: Protobuf.Field): ProtoType {
    if (resolvedType instanceof this.#protobuf.Enum) {
      const names = new Map<number, string>();
      // The first of several names of one number is its own.
      for (const [name, number] of Object.entries(resolvedType.values)) if (!names.has(number)) names.set(number, name);
      return { kind: 'enum', names, numbers: new Map(Object.entries(resolvedType.values)) };
    }
    if (resolvedType !== null) return { kind: 'message', message: this.message(resolvedType) };
    return { kind: 'scalar', scalar: type as ProtoScalar };
  }
}

/** The message of that name, or the file's first. Throws: SCHEMA_INVALID when there is none. */
export function messageNamed({ messages, byName }: ProtoFile, name: string | null): ProtoMessage {
  if (name === null) {
    const [first] = messages;
    if (first === undefined) throw invalid('it declares no message');
    return first;
  }
  const found = byName.get(name) ?? messages.find((message) => message.name.endsWith(`.${name}`));
  if (found !== undefined) return found;
  throw invalid(`it has no message ${name}; there is ${messages.map((message) => message.name).join(', ')}`);
}

/** The path of indexes that leads to a message of the file itself; undefined for one of an import. */
export function pathOfMessage({ messages }: Pick<ProtoFile, 'messages'>, wanted: ProtoMessage): number[] | undefined {
  for (const [index, message] of messages.entries()) {
    if (message === wanted) return [index];
    const inner = pathOfMessage({ messages: message.nested }, wanted);
    if (inner !== undefined) return [index, ...inner];
  }
  return undefined;
}

/** The message at a path of indexes, as Confluent's wire format names it; undefined when there is none. */
export function messageAt({ messages }: ProtoFile, path: readonly number[]): ProtoMessage | undefined {
  let level: readonly ProtoMessage[] = messages;
  let found: ProtoMessage | undefined;
  for (const index of path) {
    found = level[index];
    if (found === undefined) return undefined;
    level = found.nested;
  }
  return found;
}

// ---- columns ----------------------------------------------------------------------------------------------------

export const TIMESTAMP_MESSAGE = 'google.protobuf.Timestamp';

const wrappers: ReadonlySet<string> = new Set(
  ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map(
    (name) => `google.protobuf.${name}Value`,
  ),
);

/** The one field of a message that stands for a value that may be absent; undefined for all others. */
export function wrappedField({ name, fields }: ProtoMessage): ProtoField | undefined {
  return wrappers.has(name) ? fields[0] : undefined;
}

/**
 * The columns of the message: numbers without a sign get types that hold all of them, enums their names, wrappers their
 * value. Throws: SCHEMA_INVALID for a message that contains itself.
 */
export function protoColumns(message: ProtoMessage, above: readonly ProtoMessage[] = []): Schema {
  if (above.includes(message))
    throw invalid(`the message ${message.name} contains itself, which columns cannot: list the columns under schema`);
  const path = [...above, message];
  return message.fields.map((field): Field => {
    const { name, type, shape, key, presence } = field;
    const element = dataTypeOf(type, path);
    if (shape === 'repeated') return { name, type: { kind: 'array', element, containsNull: false }, nullable: false };
    if (key !== null) {
      const map: DataType = { kind: 'map', key: scalarTypes[key], value: element, valueContainsNull: false };
      return { name, type: map, nullable: false };
    }
    return { name, type: element, nullable: presence };
  });
}

function dataTypeOf(type: ProtoType, above: readonly ProtoMessage[]): DataType {
  switch (type.kind) {
    case 'scalar':
      return scalarTypes[type.scalar];
    case 'enum':
      return { kind: 'string' };
    case 'message': {
      if (type.message.name === TIMESTAMP_MESSAGE) return { kind: 'timestamp' };
      const wrapped = wrappedField(type.message);
      return wrapped === undefined
        ? { kind: 'struct', fields: protoColumns(type.message, above) }
        : dataTypeOf(wrapped.type, above);
    }
  }
}

const U64: DataType = { kind: 'decimal', precision: 20, scale: 0 };

const scalarTypes: Readonly<Record<ProtoScalar, DataType>> = {
  double: { kind: 'double' },
  float: { kind: 'float' },
  int32: { kind: 'int' },
  sint32: { kind: 'int' },
  sfixed32: { kind: 'int' },
  uint32: { kind: 'bigint' },
  fixed32: { kind: 'bigint' },
  int64: { kind: 'bigint' },
  sint64: { kind: 'bigint' },
  sfixed64: { kind: 'bigint' },
  uint64: U64,
  fixed64: U64,
  bool: { kind: 'boolean' },
  string: { kind: 'string' },
  bytes: { kind: 'binary' },
};
