/** What of a message's bytes goes into which column: fields by number, settled once per message and columns. */
import { assert } from '../../core/assert.ts';
import type { DataType } from '../../core/types.ts';
import {
  BUILD_BIG_DECIMAL,
  BUILD_BIGINT,
  BUILD_BINARY,
  BUILD_BOOLEAN,
  BUILD_DECIMAL,
  BUILD_DOUBLE,
  BUILD_FLOAT,
  BUILD_INT,
  BUILD_LIST,
  BUILD_MAP,
  BUILD_SMALLINT,
  BUILD_STRING,
  BUILD_STRUCT,
  BUILD_TIMESTAMP,
  BUILD_TINYINT,
} from '../scan/column-builder.ts';
import type { ColumnBuilder } from '../scan/column-builder.ts';
import { TIMESTAMP_MESSAGE, wrappedField } from './proto-schema.ts';
import type { ProtoField, ProtoMessage, ProtoScalar, ProtoType } from './proto-schema.ts';

export const WIRE_VARINT = 0;
export const WIRE_64 = 1;
export const WIRE_LENGTH = 2;
export const WIRE_32 = 5;

/** How a value's bytes are read. */
export const READ_INT = 0;
export const READ_UINT = 1;
export const READ_SINT = 2;
export const READ_BOOL = 3;
export const READ_ENUM = 4;
export const READ_FIXED_INT = 5;
export const READ_FIXED_UINT = 6;
export const READ_FLOAT = 7;
export const READ_TEXT = 8;
export const READ_BYTES = 9;
export const READ_MESSAGE = 10;
/** Seconds and nanoseconds as one time. */
export const READ_TIME = 11;
/** A message whose first field is the value. */
export const READ_WRAPPED = 12;
/** The column cannot hold it: the record fails. */
export const READ_WRONG = 13;

export const SHAPE_SINGLE = 0;
export const SHAPE_LIST = 1;
export const SHAPE_MAP = 2;

export class ProtoNode {
  readonly read: number;
  /** As the wire has it when it is not packed. */
  readonly wire: number;
  /** Of what a value goes into: the column, or the element or value below it. */
  readonly builder: ColumnBuilder;
  readonly shape: number;
  /** The column. */
  readonly column: ColumnBuilder;
  /** Bits of an integer: 32 or 64. */
  bits = 64;
  /** Whether absent means the default. */
  implicit = false;
  /** Columns of the same oneof. */
  clears: readonly ColumnBuilder[] = [];
  message: MessageNode | null = null;
  /** Of a map its keys, of a wrapper its value. */
  inner: ProtoNode | null = null;
  names: ReadonlyMap<number, Uint8Array> | null = null;

  constructor(read: number, wire: number, builder: ColumnBuilder, column: ColumnBuilder, shape: number) {
    this.read = read;
    this.wire = wire;
    this.builder = builder;
    this.column = column;
    this.shape = shape;
  }
}

/** Numbers up to here are looked up in a list. */
const LISTED_MAX = 1024;

export class MessageNode {
  /** By number; fields that no column reads are missing. */
  readonly #listed: (ProtoNode | undefined)[] = [];
  readonly #others = new Map<number, ProtoNode>();
  /** In the order of the columns. */
  readonly nodes: readonly ProtoNode[];
  readonly required: readonly ColumnBuilder[];
  /** Columns of fields that the .proto itself requires. */
  readonly essential: readonly ColumnBuilder[];
  /** Fields whose messages have such fields, at any depth. */
  readonly demanding: readonly ProtoNode[];

  constructor(
    nodes: ReadonlyMap<number, ProtoNode>,
    required: readonly ColumnBuilder[],
    essential: readonly ColumnBuilder[],
  ) {
    this.nodes = [...nodes.values()];
    this.required = required;
    this.essential = essential;
    this.demanding = this.nodes.filter(
      ({ message }) => message !== null && message.essential.length + message.demanding.length > 0,
    );
    const highest = Math.min(LISTED_MAX, Math.max(0, ...nodes.keys()));
    for (let number = 0; number <= highest; number++) this.#listed.push(nodes.get(number));
    for (const [number, node] of nodes) if (number > LISTED_MAX) this.#others.set(number, node);
  }

  find(number: number): ProtoNode | undefined {
    return number < this.#listed.length ? this.#listed[number] : this.#others.get(number);
  }
}

export interface ProtoColumn {
  readonly path: string;
  readonly type: DataType;
  readonly builder: ColumnBuilder;
}

export function compileMessage(message: ProtoMessage, columns: readonly ProtoColumn[]): MessageNode {
  const nodes = new Map<number, ProtoNode>();
  const oneofs = new Map<string, ColumnBuilder[]>();
  const essential: ColumnBuilder[] = [];
  for (const { path, type, builder } of columns) {
    const field = message.fields.find(({ name }) => name === path);
    if (field === undefined) continue;
    nodes.set(field.number, fieldNode(field, type, builder));
    if (field.required) essential.push(builder);
    if (field.oneof !== null) oneofs.set(field.oneof, [...(oneofs.get(field.oneof) ?? []), builder]);
  }
  for (const { number, oneof } of message.fields) {
    const node = nodes.get(number);
    if (node !== undefined && oneof !== null)
      node.clears = (oneofs.get(oneof) ?? []).filter((builder) => builder !== node.column);
  }
  return new MessageNode(
    nodes,
    columns.flatMap(({ builder }) => (builder.required ? [builder] : [])),
    essential,
  );
}

function fieldNode(field: ProtoField, type: DataType, builder: ColumnBuilder): ProtoNode {
  if (field.shape === 'repeated' && builder.kind === BUILD_LIST && type.kind === 'array')
    return valueNode(field.type, type.element, childOf(builder, 0), builder, SHAPE_LIST);
  if (field.key !== null && builder.kind === BUILD_MAP && type.kind === 'map') {
    const node = valueNode(field.type, type.value, childOf(builder, 1), builder, SHAPE_MAP);
    const keys = childOf(builder, 0);
    node.inner = valueNode({ kind: 'scalar', scalar: field.key }, type.key, keys, keys, SHAPE_SINGLE);
    node.inner.implicit = true;
    return node;
  }
  if (field.shape !== 'single') return new ProtoNode(READ_WRONG, WIRE_LENGTH, builder, builder, SHAPE_SINGLE);
  const node = valueNode(field.type, type, builder, builder, SHAPE_SINGLE);
  node.implicit = !field.presence;
  return node;
}

function childOf(builder: ColumnBuilder, index: number): ColumnBuilder {
  const child = builder.children[index];
  assert(child !== undefined, () => `${builder.place} has no part ${index}`);
  return child;
}

interface ScalarRead {
  readonly read: number;
  readonly wire: number;
  readonly bits?: number;
}

const scalarReads: Readonly<Record<ProtoScalar, ScalarRead>> = {
  double: { read: READ_FLOAT, wire: WIRE_64 },
  float: { read: READ_FLOAT, wire: WIRE_32 },
  int32: { read: READ_INT, wire: WIRE_VARINT, bits: 32 },
  uint32: { read: READ_UINT, wire: WIRE_VARINT, bits: 32 },
  sint32: { read: READ_SINT, wire: WIRE_VARINT, bits: 32 },
  fixed32: { read: READ_FIXED_UINT, wire: WIRE_32, bits: 32 },
  sfixed32: { read: READ_FIXED_INT, wire: WIRE_32, bits: 32 },
  int64: { read: READ_INT, wire: WIRE_VARINT },
  uint64: { read: READ_UINT, wire: WIRE_VARINT },
  sint64: { read: READ_SINT, wire: WIRE_VARINT },
  fixed64: { read: READ_FIXED_UINT, wire: WIRE_64 },
  sfixed64: { read: READ_FIXED_INT, wire: WIRE_64 },
  bool: { read: READ_BOOL, wire: WIRE_VARINT },
  string: { read: READ_TEXT, wire: WIRE_LENGTH },
  bytes: { read: READ_BYTES, wire: WIRE_LENGTH },
};

const integerColumns: readonly number[] = [
  BUILD_TINYINT,
  BUILD_SMALLINT,
  BUILD_INT,
  BUILD_BIGINT,
  BUILD_DECIMAL,
  BUILD_BIG_DECIMAL,
];

/** Whether the column can hold what is read so. */
function holds(kind: number, { read, wire }: ScalarRead): boolean {
  switch (read) {
    case READ_BOOL:
      return kind === BUILD_BOOLEAN;
    case READ_FLOAT:
      return kind === BUILD_DOUBLE || (kind === BUILD_FLOAT && wire === WIRE_32);
    case READ_TEXT:
      return kind === BUILD_STRING || kind === BUILD_BINARY;
    case READ_BYTES:
      return kind === BUILD_BINARY;
    default:
      return integerColumns.includes(kind);
  }
}

function valueNode(
  type: ProtoType,
  dataType: DataType,
  builder: ColumnBuilder,
  column: ColumnBuilder,
  shape: number,
): ProtoNode {
  const { kind } = builder;
  switch (type.kind) {
    case 'scalar': {
      const scalar = scalarReads[type.scalar];
      if (!holds(kind, scalar)) return new ProtoNode(READ_WRONG, scalar.wire, builder, column, shape);
      const asBytes = scalar.read === READ_TEXT && kind === BUILD_BINARY;
      const node = new ProtoNode(asBytes ? READ_BYTES : scalar.read, scalar.wire, builder, column, shape);
      node.bits = scalar.bits ?? 64;
      return node;
    }
    case 'enum': {
      if (kind === BUILD_INT) {
        const number = new ProtoNode(READ_INT, WIRE_VARINT, builder, column, shape);
        number.bits = 32;
        return number;
      }
      const read = kind === BUILD_STRING ? READ_ENUM : READ_WRONG;
      const node = new ProtoNode(read, WIRE_VARINT, builder, column, shape);
      node.names = new Map([...type.names].map(([number, name]) => [number, new TextEncoder().encode(name)]));
      return node;
    }
    case 'message':
      return messageValueNode(type.message, dataType, builder, column, shape);
  }
}

function messageValueNode(
  message: ProtoMessage,
  dataType: DataType,
  builder: ColumnBuilder,
  column: ColumnBuilder,
  shape: number,
): ProtoNode {
  if (dataType.kind === 'struct' && builder.kind === BUILD_STRUCT) {
    const node = new ProtoNode(READ_MESSAGE, WIRE_LENGTH, builder, column, shape);
    const fields = dataType.fields.map(({ name, type }, index) => {
      return { path: name, type, builder: childOf(builder, index) };
    });
    node.message = compileMessage(message, fields);
    return node;
  }
  if (message.name === TIMESTAMP_MESSAGE && builder.kind === BUILD_TIMESTAMP)
    return new ProtoNode(READ_TIME, WIRE_LENGTH, builder, column, shape);
  const wrapped = wrappedField(message);
  const inner = wrapped && valueNode(wrapped.type, dataType, builder, builder, SHAPE_SINGLE);
  if (inner === undefined || inner.read === READ_WRONG)
    return new ProtoNode(READ_WRONG, WIRE_LENGTH, builder, column, shape);
  const node = new ProtoNode(READ_WRAPPED, WIRE_LENGTH, builder, column, shape);
  node.inner = inner;
  return node;
}
