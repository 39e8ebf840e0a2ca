/**
 * Protobuf's binary encoding straight into columns: text and bytes stay ranges of the arena, numbers go from their bytes
 * into typed arrays. Fields come in any order, more than once, and packed or not; what no column reads is stepped over.
 */
import { assert } from '../../core/assert.ts';
import { deadLetterReasons, WeirError } from '../../core/errors.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { RecordIndex } from '../codecs/decode-records.ts';
import type { Column } from '../column-batch.ts';
import {
  BUILD_BIG_DECIMAL,
  BUILD_BIGINT,
  BUILD_DECIMAL,
  BUILD_INT,
  BUILD_SMALLINT,
  BUILD_STRUCT,
} from '../scan/column-builder.ts';
import type { ColumnBuilder } from '../scan/column-builder.ts';
import { hasNonAscii, isUtf8 } from '../scan/utf8.ts';
import { dropEarlierKeys, dropEarlierNumbers } from './map-keys.ts';
import {
  READ_BOOL,
  READ_BYTES,
  READ_ENUM,
  READ_FIXED_INT,
  READ_FIXED_UINT,
  READ_FLOAT,
  READ_INT,
  READ_MESSAGE,
  READ_SINT,
  READ_TEXT,
  READ_TIME,
  READ_UINT,
  READ_WRAPPED,
  READ_WRONG,
  SHAPE_LIST,
  SHAPE_MAP,
  SHAPE_SINGLE,
  WIRE_32,
  WIRE_64,
  WIRE_LENGTH,
  WIRE_VARINT,
  compileMessage,
} from './proto-nodes.ts';
import type { MessageNode, ProtoNode } from './proto-nodes.ts';
import { messageAt, messageNamed, parseProto } from './proto-schema.ts';
import type { ProtoFile, ProtoMessage } from './proto-schema.ts';
import { DECODED } from './value-decoder.ts';
import type { RegistryDecoder, ValueField } from './value-decoder.ts';
import { ValueColumns } from './value-columns.ts';
import type { ProtobufFormat, SchemaText, WriterSchema } from './value-format.ts';
import { FRAME_BYTES, addWantedIds, schemaIdAt } from './wire-format.ts';

const reason = (code: DeadLetterReason): number => deadLetterReasons.indexOf(code);
const MALFORMED = reason('RECORD_MALFORMED');
const SCHEMA_UNKNOWN = reason('RECORD_SCHEMA_UNKNOWN');
const TOO_DEEP = reason('RECORD_TOO_DEEP');
const INVALID_UTF8 = reason('RECORD_INVALID_UTF8');
const WRONG_TYPE = reason('FIELD_WRONG_TYPE');
const OUT_OF_RANGE = reason('FIELD_OUT_OF_RANGE');
const MISSING = reason('FIELD_MISSING');

const WIRE_GROUP = 3;
const WIRE_GROUP_END = 4;
const DEPTH_LIMIT = 1000;
/** Levels of messages within messages that a record may name. */
const INDEXES_MAX = 32;

/** What a schema says: the file, and the steps of its messages by path of indexes. */
interface KnownFile {
  readonly file: ProtoFile;
  readonly byPath: Map<string, MessageNode | null>;
}

export class ProtobufDecoder implements RegistryDecoder {
  readonly #arena: ByteBuffer;
  readonly #columns: ValueColumns;
  readonly #framing: ProtobufFormat['framing'];
  readonly #hasRegistry: boolean;
  /** Full name of the one message that is read; null = whichever the record names. */
  readonly #message: string | null;
  readonly #depthMax: number;
  readonly #isStrict: boolean;
  readonly #files = new Map<number, KnownFile>();
  /** Steps of a schema in the job file. */
  readonly #fixed: KnownFile | null;
  readonly #fixedNode: MessageNode | null;
  #unknown: ReadonlySet<number> = new Set();
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;
  #depth = 0;
  #broken = DECODED;
  #failure = DECODED;
  #place = '';
  #low = 0;
  #high = 0;
  /** Where names of enums stand in the arena, by batch. */
  readonly #names = new Map<Uint8Array, number>();

  /**
   * `isStrict`: a field of the message itself in another wire type than its own is malformed, and not skipped like one
   * that is not of the schema; and a field that the .proto requires is missing where it is not there, in messages within
   * the message too. Throws: SCHEMA_INVALID; UNSUPPORTED for a column that no record can hold.
   */
  constructor(
    format: ProtobufFormat,
    fields: readonly ValueField[],
    depthMax: number,
    arena: ByteBuffer,
    isStrict = false,
  ) {
    assert(depthMax <= DEPTH_LIMIT, () => `a nesting limit of ${depthMax} is above ${DEPTH_LIMIT}`);
    this.#arena = arena;
    this.#bytes = arena.bytes;
    this.#view = arena.view;
    this.#columns = new ValueColumns(fields);
    this.#framing = format.framing;
    this.#hasRegistry = format.registry !== null;
    this.#depthMax = depthMax;
    this.#isStrict = isStrict;
    this.#message = format.message;
    const given = format.schema === null || this.#hasRegistry ? null : parseProto(format.schema);
    assert(this.#hasRegistry || given !== null, () => 'Protobuf without a registry has a schema');
    this.#fixed = given === null ? null : { file: given, byPath: new Map() };
    this.#fixedNode =
      given === null ? null : compileMessage(messageNamed(given, format.message), this.#columns.targets);
  }

  learn(schemas: readonly WriterSchema[]): void {
    const unknown = new Set<number>();
    for (const schema of schemas) {
      if (this.#files.has(schema.id)) continue;
      const file = schema.type === 'PROTOBUF' ? parsed(schema) : null;
      if (file === null) unknown.add(schema.id);
      else this.#files.set(schema.id, { file, byPath: new Map() });
    }
    this.#unknown = unknown;
  }

  addWanted(records: RecordIndex, from: number, to: number, wanted: Set<number>): void {
    if (!this.#hasRegistry) return;
    const known = (id: number): boolean => this.#files.has(id) || this.#unknown.has(id);
    addWantedIds(this.#arena.bytes, records, from, to, known, wanted);
  }

  begin(rows: number): void {
    this.#columns.begin(rows);
    this.#names.clear();
    this.#refresh();
  }

  columns(data: Uint8Array): Column[] {
    return this.#columns.columns(data);
  }

  get place(): string {
    return this.#place;
  }

  setNull(row: number): void {
    this.#columns.setNull(row);
  }

  scan(start: number, end: number, row: number): number {
    this.#place = '';
    this.#broken = DECODED;
    this.#failure = DECODED;
    this.#depth = 0;
    let node = this.#fixedNode;
    this.#at = start;
    if (this.#framing === 'confluent') {
      const id = schemaIdAt(this.#bytes, start, end);
      if (id < 0) return MALFORMED;
      const known = this.#hasRegistry ? this.#files.get(id) : this.#fixed;
      if (known === undefined || known === null) return SCHEMA_UNKNOWN;
      this.#at = start + FRAME_BYTES;
      const named = this.#namedMessage(known, end);
      if (named === null) return MALFORMED;
      if (this.#hasRegistry || this.#message === null) node = named;
    }
    assert(node !== null, () => 'a Protobuf record has a message');
    this.#readMessage(node, row, end, true);
    if (this.#isStrict && this.#broken === DECODED) this.#demand(node, row);
    if (this.#broken !== DECODED) {
      this.#place = '';
      this.#columns.setNull(row);
      return this.#broken;
    }
    if (this.#failure !== DECODED) this.#columns.setNull(row);
    return this.#failure;
  }

  /** Reads the indexes of the message; null when there is no such message, or it is not the one that is read. */
  #namedMessage({ file, byPath }: KnownFile, end: number): MessageNode | null {
    const count = this.#signed(end);
    if (count < 0 || count > INDEXES_MAX || this.#broken !== DECODED) return null;
    const path = count === 0 ? [0] : [];
    for (let index = 0; index < count; index++) path.push(this.#signed(end));
    if (this.#broken !== DECODED) return null;
    const key = path.join('.');
    let node = byPath.get(key);
    if (node === undefined) {
      const message = messageAt(file, path);
      const reads = message !== undefined && this.#isRead(message);
      node = reads ? compileMessage(message, this.#columns.targets) : null;
      if (byPath.size < INDEXES_MAX * INDEXES_MAX) byPath.set(key, node);
    }
    return node;
  }

  #isRead({ name }: ProtoMessage): boolean {
    return this.#message === null || name === this.#message || name.endsWith(`.${this.#message}`);
  }

  #refresh(): void {
    this.#bytes = this.#arena.bytes;
    this.#view = this.#arena.view;
  }

  #fail(builder: ColumnBuilder, row: number, reasonIndex: number): void {
    builder.setNull(row);
    if (this.#failure !== DECODED) return;
    this.#failure = reasonIndex;
    this.#place = builder.place;
  }

  #break(reasonIndex: number = MALFORMED): void {
    if (this.#broken === DECODED) this.#broken = reasonIndex;
  }

  // ---- bytes ----------------------------------------------------------------------------------------------------

  /** A varint of up to 64 bits into #low and #high. */
  #varint(end: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= end || shift > 63) {
        this.#low = 0;
        this.#high = 0;
        return this.#break();
      }
      const byte = bytes[at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) break;
    }
    this.#at = at;
    this.#low = low;
    this.#high = high;
  }

  /** A varint that is a length or a tag: beyond 32 bits it is malformed. */
  #unsigned(end: number): number {
    if (this.#at < end && this.#bytes[this.#at]! < 0x80) return this.#bytes[this.#at++]!;
    this.#varint(end);
    if (this.#high !== 0) this.#break();
    return this.#low >>> 0;
  }

  #signed(end: number): number {
    const value = this.#unsigned(end);
    return (value >>> 1) ^ -(value & 1);
  }

  /** The end of what follows its length; -1 when the record is shorter. */
  #lengthEnd(end: number): number {
    const length = this.#unsigned(end);
    if (this.#broken !== DECODED || this.#at + length > end) {
      this.#break();
      return -1;
    }
    return this.#at + length;
  }

  /** `tag`: of a group, whose end names it again. */
  #skip(wire: number, tag: number, end: number): void {
    switch (wire) {
      case WIRE_VARINT:
        return this.#varint(end);
      case WIRE_64:
      case WIRE_32:
        this.#at += wire === WIRE_64 ? 8 : 4;
        if (this.#at > end) this.#break();
        return;
      case WIRE_LENGTH: {
        const to = this.#lengthEnd(end);
        if (to >= 0) this.#at = to;
        return;
      }
      case WIRE_GROUP: {
        if (++this.#depth > this.#depthMax) return this.#break(TOO_DEEP);
        for (;;) {
          const inner = this.#unsigned(end);
          if (this.#broken !== DECODED) return;
          if ((inner & 7) === WIRE_GROUP_END) {
            if (inner >>> 3 !== tag >>> 3) this.#break();
            break;
          }
          this.#skip(inner & 7, inner, end);
          if (this.#broken !== DECODED) return;
        }
        this.#depth--;
        return;
      }
      default:
        this.#break();
    }
  }

  // ---- messages -------------------------------------------------------------------------------------------------

  /** Reads fields up to `end`. `fresh`: the row holds nothing yet; else what comes is added to what is there. */
  #readMessage(node: MessageNode, row: number, end: number, fresh: boolean): void {
    if (++this.#depth > this.#depthMax) return this.#break(TOO_DEEP);
    if (fresh) this.#begin(node, row);
    while (this.#at < end) {
      const tag = this.#unsigned(end);
      if (this.#broken !== DECODED) return;
      if (tag >>> 3 === 0) return this.#break();
      const field = node.find(tag >>> 3);
      const wire = tag & 7;
      if (field === undefined) this.#skip(wire, tag, end);
      else this.#field(field, row, wire, tag, end);
      if (this.#broken !== DECODED) return;
    }
    this.#finish(node, row);
    this.#depth--;
  }

  /** Lists are empty, and fields without presence have their defaults, until something comes. */
  #begin(node: MessageNode, row: number): void {
    const { nodes } = node;
    for (let index = 0; index < nodes.length; index++) {
      const { shape, column, builder, implicit } = nodes[index]!;
      if (shape !== SHAPE_SINGLE) {
        column.start[row] = (shape === SHAPE_MAP ? column.children[0]! : builder).count;
        column.length[row] = 0;
      } else if (implicit) this.#setDefault(nodes[index]!, row);
    }
  }

  #finish(node: MessageNode, row: number): void {
    const { nodes, required } = node;
    for (let index = 0; index < nodes.length; index++) {
      const { shape, column, builder } = nodes[index]!;
      if (shape === SHAPE_LIST) column.length[row] = builder.count - column.start[row]!;
      else if (shape === SHAPE_MAP) {
        const keys = column.children[0]!;
        const first = column.start[row]!;
        if (keys.count - first > 1) this.#dropEarlier(nodes[index]!, keys, first);
        column.length[row] = keys.count - first;
      }
    }
    for (let index = 0; index < required.length; index++) {
      if (this.#failure === DECODED && required[index]!.isNull(row)) this.#fail(required[index]!, row, MISSING);
    }
  }

  /**
   * What the .proto requires, once the whole record is read: a message may come in parts, of which one alone lacks what
   * another has, and what came first may have been replaced.
   */
  #demand({ essential, demanding }: MessageNode, row: number): void {
    for (const column of essential) if (column.isNull(row)) return this.#fail(column, row, MISSING);
    for (const { message, shape, column, builder } of demanding) {
      // Elements and values of maps stand side by side.
      const first = shape === SHAPE_SINGLE ? row : column.start[row]!;
      const end = first + (shape === SHAPE_SINGLE ? 1 : column.length[row]!);
      for (let at = first; at < end; at++) if (!builder.isNull(at)) this.#demand(message!, at);
    }
  }

  #dropEarlier({ inner, builder }: ProtoNode, keys: ColumnBuilder, first: number): void {
    if (inner!.read === READ_TEXT || inner!.read === READ_BYTES) {
      dropEarlierKeys(this.#bytes, keys, builder, first);
      return;
    }
    dropEarlierNumbers(keys, builder, first);
  }

  #field(node: ProtoNode, row: number, wire: number, tag: number, end: number): void {
    if (node.shape === SHAPE_MAP) {
      if (wire === WIRE_LENGTH) this.#entry(node, end);
      else this.#skipMismatch(wire, tag, end);
      return;
    }
    if (node.shape === SHAPE_SINGLE) {
      if (wire !== node.wire) return this.#skipMismatch(wire, tag, end);
      for (let index = 0; index < node.clears.length; index++) node.clears[index]!.setNull(row);
      return this.#value(node, row, end);
    }
    if (wire === node.wire) return this.#value(node, node.builder.append(), end);
    // What is not of its own wire type is packed, or not of this schema.
    if (wire !== WIRE_LENGTH) return this.#skipMismatch(wire, tag, end);
    const to = this.#lengthEnd(end);
    while (to >= 0 && this.#at < to && this.#broken === DECODED) this.#value(node, node.builder.append(), to);
  }

  /** A field whose wire type is none of its own. */
  #skipMismatch(wire: number, tag: number, end: number): void {
    if (this.#isStrict && this.#depth === 1) this.#break();
    else this.#skip(wire, tag, end);
  }

  #entry(node: ProtoNode, end: number): void {
    const to = this.#lengthEnd(end);
    if (to < 0) return;
    const key = node.inner!;
    const row = key.builder.append();
    node.builder.append();
    this.#setDefault(key, row);
    if (node.read === READ_MESSAGE) {
      node.builder.valid[row] = 1;
      this.#begin(node.message!, row);
    } else this.#setDefault(node, row);
    while (this.#at < to && this.#broken === DECODED) {
      const tag = this.#unsigned(to);
      const wire = tag & 7;
      const number = tag >>> 3;
      if (this.#broken !== DECODED) return;
      if (number === 1 && wire === key.wire) this.#value(key, row, to);
      else if (number === 2 && wire === node.wire) this.#value(node, row, to);
      else this.#skip(wire, tag, to);
    }
    if (node.read === READ_MESSAGE && this.#broken === DECODED) this.#finish(node.message!, row);
  }

  // ---- values ---------------------------------------------------------------------------------------------------

  #setDefault(node: ProtoNode, row: number): void {
    const { builder } = node;
    switch (node.read) {
      case READ_INT:
      case READ_UINT:
      case READ_SINT:
      case READ_FIXED_INT:
      case READ_FIXED_UINT:
        this.#low = 0;
        this.#high = 0;
        return this.#setInteger(builder, row, false);
      case READ_BOOL:
        builder.i32[row] = 0;
        builder.valid[row] = 1;
        return;
      case READ_FLOAT:
      case READ_TIME:
        builder.f64[row] = 0;
        builder.valid[row] = 1;
        return;
      case READ_ENUM:
        return this.#setName(node, row, 0);
      case READ_TEXT:
      case READ_BYTES:
        builder.start[row] = 0;
        builder.length[row] = 0;
        builder.nonAscii[row] = node.read === READ_TEXT ? 0 : 1;
        return;
      case READ_WRAPPED:
        return this.#setDefault(node.inner!, row);
      default:
    }
  }

  #value(node: ProtoNode, row: number, end: number): void {
    const { builder } = node;
    switch (node.read) {
      case READ_INT:
        this.#varint(end);
        if (node.bits === 32) this.#high = this.#low >> 31;
        return this.#setInteger(builder, row, false);
      case READ_UINT:
        this.#varint(end);
        if (node.bits === 32) this.#high = 0;
        return this.#setInteger(builder, row, true);
      case READ_SINT: {
        this.#varint(end);
        if (node.bits === 32) this.#high = 0;
        const sign = -(this.#low & 1);
        this.#low = ((this.#low >>> 1) | (this.#high << 31)) ^ sign;
        this.#high = (this.#high >>> 1) ^ sign;
        return this.#setInteger(builder, row, false);
      }
      case READ_BOOL:
        this.#varint(end);
        builder.i32[row] = (this.#low | this.#high) === 0 ? 0 : 1;
        builder.valid[row] = 1;
        return;
      case READ_ENUM:
        this.#varint(end);
        return this.#setName(node, row, this.#low);
      case READ_FIXED_INT:
      case READ_FIXED_UINT: {
        const size = node.bits / 8;
        if (this.#at + size > end) return this.#break();
        this.#low = this.#view.getInt32(this.#at, true);
        if (size === 8) this.#high = this.#view.getInt32(this.#at + 4, true);
        else this.#high = node.read === READ_FIXED_INT ? this.#low >> 31 : 0;
        this.#at += size;
        return this.#setInteger(builder, row, node.read === READ_FIXED_UINT);
      }
      case READ_FLOAT: {
        const size = node.wire === WIRE_32 ? 4 : 8;
        if (this.#at + size > end) return this.#break();
        builder.f64[row] = size === 4 ? this.#view.getFloat32(this.#at, true) : this.#view.getFloat64(this.#at, true);
        builder.valid[row] = 1;
        this.#at += size;
        return;
      }
      case READ_TEXT:
      case READ_BYTES:
        return this.#text(node, row, end);
      case READ_WRONG:
        this.#skip(node.wire, 0, end);
        return this.#fail(builder, row, WRONG_TYPE);
      default:
    }
    const to = this.#lengthEnd(end);
    if (to < 0) return;
    if (node.read === READ_MESSAGE) {
      assert(builder.kind === BUILD_STRUCT && node.message !== null, () => `${builder.place} is no message`);
      const fresh = builder.valid[row] === 0;
      builder.valid[row] = 1;
      this.#readMessage(node.message, row, to, fresh);
    } else if (node.read === READ_TIME) this.#time(builder, row, to);
    else this.#wrapped(node.inner!, row, to);
  }

  #text(node: ProtoNode, row: number, end: number): void {
    const to = this.#lengthEnd(end);
    if (to < 0) return;
    const { builder } = node;
    const start = this.#at;
    this.#at = to;
    const nonAscii = node.read === READ_BYTES || hasNonAscii(this.#bytes, start, to);
    if (nonAscii && node.read === READ_TEXT && !isUtf8(this.#bytes, start, to))
      return this.#fail(builder, row, INVALID_UTF8);
    builder.start[row] = start;
    builder.length[row] = to - start;
    builder.nonAscii[row] = nonAscii ? 1 : 0;
  }

  #time(builder: ColumnBuilder, row: number, to: number): void {
    let seconds = 0;
    let nanos = 0;
    while (this.#at < to && this.#broken === DECODED) {
      const tag = this.#unsigned(to);
      if (this.#broken !== DECODED) return;
      if (tag !== 8 && tag !== 16) {
        this.#skip(tag & 7, tag, to);
        continue;
      }
      this.#varint(to);
      const value = this.#high * 4294967296 + (this.#low >>> 0);
      if (tag === 8) seconds = value;
      else nanos = value | 0;
    }
    builder.f64[row] = seconds * 1_000_000 + Math.floor(nanos / 1000);
    builder.valid[row] = 1;
  }

  #wrapped(inner: ProtoNode, row: number, to: number): void {
    this.#setDefault(inner, row);
    while (this.#at < to && this.#broken === DECODED) {
      const tag = this.#unsigned(to);
      if (this.#broken !== DECODED) return;
      if (tag >>> 3 === 1 && (tag & 7) === inner.wire) this.#value(inner, row, to);
      else this.#skip(tag & 7, tag, to);
    }
  }

  /** Sets the number in #low and #high. */
  #setInteger(builder: ColumnBuilder, row: number, unsigned: boolean): void {
    const low = this.#low;
    const high = this.#high;
    switch (builder.kind) {
      case BUILD_BIGINT:
        if (unsigned && high < 0) return this.#fail(builder, row, OUT_OF_RANGE);
        builder.words[2 * row] = low;
        builder.words[2 * row + 1] = high;
        break;
      case BUILD_DECIMAL:
      case BUILD_BIG_DECIMAL: {
        const value = (BigInt(unsigned ? high >>> 0 : high) << 32n) | BigInt(low >>> 0);
        const unscaled = value * 10n ** BigInt(builder.scale);
        const limit = 10n ** BigInt(builder.precision);
        if (unscaled >= limit || unscaled <= -limit) return this.#fail(builder, row, OUT_OF_RANGE);
        if (builder.kind === BUILD_BIG_DECIMAL) builder.big[row] = unscaled;
        else builder.i64[row] = unscaled;
        break;
      }
      default: {
        const value = (unsigned ? high >>> 0 : high) * 4294967296 + (low >>> 0);
        const limit = builder.kind === BUILD_INT ? 2 ** 31 : builder.kind === BUILD_SMALLINT ? 2 ** 15 : 2 ** 7;
        if (value >= limit || value < -limit) return this.#fail(builder, row, OUT_OF_RANGE);
        builder.i32[row] = value;
      }
    }
    builder.valid[row] = 1;
  }

  /** The name of an enum's number, or the number where it has none. */
  #setName({ builder, names }: ProtoNode, row: number, number: number): void {
    const name = names!.get(number) ?? new TextEncoder().encode(String(number));
    let at = this.#names.get(name);
    if (at === undefined) {
      at = this.#arena.append(name);
      this.#refresh();
      if (names!.has(number)) this.#names.set(name, at);
    }
    builder.start[row] = at;
    builder.length[row] = name.byteLength;
    builder.nonAscii[row] = 0;
  }
}

/** null: no schema that can be read, which is the record's fault and not the job's. */
function parsed(schema: SchemaText): ProtoFile | null {
  try {
    return parseProto(schema);
  } catch (error) {
    if (error instanceof WeirError && error.code === 'SCHEMA_INVALID') return null;
    throw error;
  }
}
