/**
 * Avro's binary encoding straight into columns: text and bytes stay ranges of the arena, numbers go from their bytes into
 * typed arrays. What a record's bytes mean was settled when its writer's schema was compiled (avro-nodes.ts).
 */
import { assert } from '../../core/assert.ts';
import { deadLetterReasons, WeirError } from '../../core/errors.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { RecordIndex } from '../codecs/decode-records.ts';
import type { Column } from '../column-batch.ts';
import { BUILD_BIG_DECIMAL, BUILD_FLOAT, BUILD_TIMESTAMP } from '../scan/column-builder.ts';
import type { ColumnBuilder } from '../scan/column-builder.ts';
import { hasNonAscii, isUtf8 } from '../scan/utf8.ts';
import {
  OP_BOOLEAN,
  OP_BYTES,
  OP_DECIMAL,
  OP_DEFAULT,
  OP_DOUBLE,
  OP_ENUM,
  OP_FIXED,
  OP_FLOAT,
  OP_I32,
  OP_I64,
  OP_LIST,
  OP_MAP,
  OP_MEMBER,
  OP_NULL,
  OP_NUMBER,
  OP_RECORD,
  OP_SKIP_BYTES,
  OP_SKIP_LENGTH,
  OP_SKIP_LIST,
  OP_SKIP_MAP,
  OP_SKIP_NUMBER,
  OP_TEXT,
  OP_UNION,
  OP_UUID,
  OP_WRONG_TYPE,
  compileAvro,
  unreadablePlace,
} from './avro-nodes.ts';
import type { AvroNode } from './avro-nodes.ts';
import { parseAvro, VALUE_COLUMN } from './avro-schema.ts';
import type { AvroType } from './avro-schema.ts';
import { dropEarlierKeys } from './map-keys.ts';
import { DECODED } from './value-decoder.ts';
import type { RegistryDecoder, ValueField } from './value-decoder.ts';
import { ValueColumns } from './value-columns.ts';
import type { AvroFormat, SchemaText, WriterSchema } from './value-format.ts';
import { FRAME_BYTES, addWantedIds, schemaIdAt } from './wire-format.ts';

const reason = (code: DeadLetterReason): number => deadLetterReasons.indexOf(code);
const MALFORMED = reason('RECORD_MALFORMED');
const SCHEMA_UNKNOWN = reason('RECORD_SCHEMA_UNKNOWN');
const TOO_DEEP = reason('RECORD_TOO_DEEP');
const INVALID_UTF8 = reason('RECORD_INVALID_UTF8');
const WRONG_TYPE = reason('FIELD_WRONG_TYPE');
const OUT_OF_RANGE = reason('FIELD_OUT_OF_RANGE');
const MISSING = reason('FIELD_MISSING');

/** Elements without bytes that the lists of a record may have: their counts are the only thing that says how many there are. */
const EMPTY_ELEMENTS_MAX = 65_536;
/** Recursion follows the nesting, so it has to stay far below the stack's size. */
const DEPTH_LIMIT = 1000;

/** Values of any type, each as the one column {@link VALUE_COLUMN}. */
export interface AvroDatum {
  readonly kind: 'datum';
  readonly writer: AvroType;
  /** What values are read as; null = as they were written. */
  readonly reader: AvroType | null;
}

/** A record with the one field has the bytes of that field. */
function asRecord(type: AvroType): AvroType {
  return {
    kind: 'record',
    name: VALUE_COLUMN,
    aliases: [],
    fields: [{ name: VALUE_COLUMN, aliases: [], type, default: undefined }],
  };
}

export class AvroDecoder implements RegistryDecoder {
  readonly #arena: ByteBuffer;
  readonly #columns: ValueColumns;
  readonly #framing: AvroFormat['framing'];
  readonly #hasRegistry: boolean;
  readonly #reader: AvroType | null;
  readonly #depthMax: number;
  /** Steps by the writer's schema; with a schema of the job file the only ones are under -1. */
  readonly #nodes = new Map<number, AvroNode>();
  #unknown: ReadonlySet<number> = new Set();
  /** The schema that the last record was written with. */
  #lastId = -1;
  #lastNode: AvroNode | null = null;
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;
  #end = 0;
  #depth = 0;
  /** Elements without bytes that the record has so far. */
  #empties = 0;
  /** Why the record cannot be read any further. */
  #broken = DECODED;
  #failure = DECODED;
  #place = '';
  /** The number read last, as two words. */
  #low = 0;
  #high = 0;
  /** Counts batches: texts of a node stand in the arena once per batch. */
  #batch = 0;

  /** Throws: SCHEMA_INVALID; UNSUPPORTED for a column that no record can hold. */
  constructor(format: AvroFormat | AvroDatum, fields: readonly ValueField[], depthMax: number, arena: ByteBuffer) {
    assert(depthMax <= DEPTH_LIMIT, () => `a nesting limit of ${depthMax} is above ${DEPTH_LIMIT}`);
    this.#arena = arena;
    this.#bytes = arena.bytes;
    this.#view = arena.view;
    this.#columns = new ValueColumns(fields);
    this.#depthMax = depthMax;
    if (format.kind === 'datum') {
      this.#framing = 'none';
      this.#hasRegistry = false;
      this.#reader = null;
      const reader = format.reader && asRecord(format.reader);
      this.#lastNode = compileAvro(asRecord(format.writer), reader, this.#columns.targets);
      return;
    }
    this.#framing = format.framing;
    this.#hasRegistry = format.registry !== null;
    const given = format.schema === null ? null : parseAvro(format.schema);
    this.#reader = this.#hasRegistry ? given : null;
    if (this.#hasRegistry) return;
    assert(given !== null, () => 'Avro without a registry has a schema');
    this.#lastNode = compileAvro(given, null, this.#columns.targets);
    this.#nodes.set(-1, this.#lastNode);
  }

  learn(schemas: readonly WriterSchema[]): void {
    const unknown = new Set<number>();
    for (const schema of schemas) {
      if (this.#nodes.has(schema.id)) continue;
      const node = schema.type === 'AVRO' ? this.#compiled(schema) : null;
      if (node === null) unknown.add(schema.id);
      else this.#nodes.set(schema.id, node);
    }
    this.#unknown = unknown;
  }

  /** null: no schema that can be read, which is the record's fault and not the job's. */
  #compiled(schema: SchemaText): AvroNode | null {
    try {
      return compileAvro(parseAvro(schema), this.#reader, this.#columns.targets);
    } catch (error) {
      if (error instanceof WeirError && error.code === 'SCHEMA_INVALID') return null;
      throw error;
    }
  }

  addWanted(records: RecordIndex, from: number, to: number, wanted: Set<number>): void {
    if (!this.#hasRegistry) return;
    const known = (id: number): boolean => this.#nodes.has(id) || this.#unknown.has(id);
    addWantedIds(this.#arena.bytes, records, from, to, known, wanted);
  }

  begin(rows: number): void {
    this.#columns.begin(rows);
    this.#batch++;
    this.#refresh();
  }

  columns(data: Uint8Array): Column[] {
    return this.#columns.columns(data);
  }

  /** The place of a column that nothing written with the last schema can fill; undefined where there is none such. */
  get unreadable(): string | undefined {
    return this.#lastNode === null ? undefined : unreadablePlace(this.#lastNode);
  }

  get place(): string {
    return this.#place;
  }

  setNull(row: number): void {
    this.#columns.setNull(row);
  }

  scan(start: number, end: number, row: number): number {
    this.#place = '';
    let node = this.#lastNode;
    if (this.#framing === 'confluent') {
      const id = schemaIdAt(this.#bytes, start, end);
      if (id < 0) return MALFORMED;
      if (this.#hasRegistry && id !== this.#lastId) {
        node = this.#nodes.get(id) ?? null;
        if (node === null) return SCHEMA_UNKNOWN;
        this.#lastId = id;
        this.#lastNode = node;
      }
      start += FRAME_BYTES;
    }
    if (node === null) return SCHEMA_UNKNOWN;
    this.#at = start;
    this.#end = end;
    this.#depth = 0;
    this.#empties = 0;
    this.#broken = DECODED;
    this.#failure = DECODED;
    this.#read(node, row);
    if (this.#at !== end && this.#broken === DECODED) this.#broken = MALFORMED;
    if (this.#broken !== DECODED) {
      this.#place = '';
      this.#columns.setNull(row);
      return this.#broken;
    }
    if (this.#failure !== DECODED) this.#columns.setNull(row);
    return this.#failure;
  }

  /** The arena may have moved. */
  #refresh(): void {
    this.#bytes = this.#arena.bytes;
    this.#view = this.#arena.view;
  }

  #fail(builder: ColumnBuilder | null, row: number, reasonIndex: number): void {
    builder?.setNull(row);
    if (this.#failure !== DECODED) return;
    this.#failure = reasonIndex;
    this.#place = builder?.place ?? '';
  }

  /** Nothing behind can be read: every read gives zero from here on, and loops end. */
  #break(reasonIndex: number = MALFORMED): void {
    if (this.#broken === DECODED) this.#broken = reasonIndex;
    this.#at = this.#end;
  }

  /** Reads the value at the position into the node's column. */
  #read(node: AvroNode, row: number): void {
    const builder = node.builder;
    switch (node.op) {
      case OP_NULL:
        builder?.setNull(row);
        return;
      case OP_I32: {
        const value = this.#number();
        if (value >= node.low && value <= node.high) {
          builder!.i32[row] = value;
          builder!.valid[row] = 1;
        } else this.#fail(builder, row, OUT_OF_RANGE);
        return;
      }
      case OP_I64:
        this.#words();
        builder!.words[2 * row] = this.#low;
        builder!.words[2 * row + 1] = this.#high;
        builder!.valid[row] = 1;
        return;
      case OP_NUMBER:
        this.#readDouble(node, builder!, row);
        return;
      case OP_BOOLEAN: {
        const value = this.#at < this.#end ? this.#bytes[this.#at++]! : 2;
        if (value > 1) this.#break();
        builder!.i32[row] = value;
        builder!.valid[row] = 1;
        return;
      }
      case OP_FLOAT:
        if (this.#at + 4 > this.#end) return this.#break();
        builder!.f64[row] = this.#view.getFloat32(this.#at, true);
        builder!.valid[row] = 1;
        this.#at += 4;
        return;
      case OP_DOUBLE:
        if (this.#at + 8 > this.#end) return this.#break();
        builder!.f64[row] = this.#view.getFloat64(this.#at, true);
        builder!.valid[row] = 1;
        this.#at += 8;
        return;
      case OP_TEXT:
        this.#readText(builder!, row, this.#number());
        return;
      case OP_BYTES:
        this.#readBytes(builder!, row, this.#number());
        return;
      case OP_FIXED:
        this.#readBytes(builder!, row, node.size);
        return;
      case OP_DECIMAL:
        this.#readDecimal(node, builder!, row);
        return;
      case OP_UUID:
        this.#readUuid(builder!, row);
        return;
      case OP_ENUM:
        this.#readEnum(node, builder!, row);
        return;
      case OP_RECORD:
        this.#readRecord(node, row);
        return;
      case OP_LIST:
        this.#readList(node, builder!, row);
        return;
      case OP_MAP:
        this.#readMap(node, builder!, row);
        return;
      case OP_UNION: {
        const child = node.children[this.#number()];
        if (child === undefined) this.#break();
        else this.#read(child, row);
        return;
      }
      case OP_MEMBER:
        builder!.valid[row] = 1;
        this.#read(node.children[0]!, row);
        return;
      case OP_DEFAULT:
        this.#readDefault(node, row);
        return;
      case OP_WRONG_TYPE:
        this.#read(node.children[0]!, row);
        this.#fail(builder, row, WRONG_TYPE);
        return;
      case OP_SKIP_NUMBER:
        this.#number();
        return;
      case OP_SKIP_BYTES:
        this.#skip(node.size);
        return;
      case OP_SKIP_LENGTH:
        this.#skip(this.#number());
        return;
      case OP_SKIP_LIST:
      case OP_SKIP_MAP:
        this.#skipItems(node);
        return;
      default:
        assert(false, () => `there is no step ${node.op}`);
    }
  }

  // ---- numbers --------------------------------------------------------------------------------------------------

  /** A zigzag number as a double: exact up to 2^53, and beyond that not the length of anything. */
  #number(): number {
    if (this.#at < this.#end) {
      const byte = this.#bytes[this.#at]!;
      if (byte < 0x80) {
        this.#at++;
        return (byte >>> 1) ^ -(byte & 1);
      }
    }
    this.#words();
    return this.#high * 4294967296 + (this.#low >>> 0);
  }

  /** A zigzag number of up to 64 bits into #low and #high. */
  #words(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= end || shift > 63) {
        this.#low = 0;
        this.#high = 0;
        this.#break();
        return;
      }
      const byte = bytes[at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        // The tenth byte has one bit left.
        if (shift === 63 && byte > 1) this.#break();
        break;
      }
    }
    if (this.#broken === DECODED) this.#at = at;
    const sign = -(low & 1);
    this.#low = ((low >>> 1) | (high << 31)) ^ sign;
    this.#high = (high >>> 1) ^ sign;
  }

  #readDouble(node: AvroNode, builder: ColumnBuilder, row: number): void {
    builder.valid[row] = 1;
    if (node.factor < 1) {
      this.#words();
      builder.f64[row] = this.#cutBy(Math.round(1 / node.factor));
      return;
    }
    const value = this.#number();
    if (builder.kind === BUILD_TIMESTAMP) builder.f64[row] = value * node.factor;
    else builder.f64[row] = builder.kind === BUILD_FLOAT ? Math.fround(value) : value;
  }

  /** The number read last, divided and cut: as a double it would be rounded before. */
  #cutBy(divisor: number): number {
    const quotient = Math.floor(this.#high / divisor);
    const rest = (this.#high - quotient * divisor) * 4294967296 + (this.#low >>> 0);
    return quotient * 4294967296 + Math.floor(rest / divisor);
  }

  #readDecimal(node: AvroNode, builder: ColumnBuilder, row: number): void {
    const size = node.size < 0 ? this.#number() : node.size;
    const start = this.#at;
    if (size < 0 || start + size > this.#end) return this.#break();
    this.#at = start + size;
    const view = this.#view;
    if (size <= 6 && node.up === 1n && node.down === 1n && builder.kind !== BUILD_BIG_DECIMAL) {
      let value = size === 0 ? 0 : view.getInt8(start);
      for (let at = start + 1; at < start + size; at++) value = value * 256 + this.#bytes[at]!;
      if (Math.abs(value) < 10 ** builder.precision) builder.setInteger(row, value);
      else this.#fail(builder, row, OUT_OF_RANGE);
      return;
    }
    const first = this.#firstSignificant(start, start + size);
    // The work below grows with the square of the size, which only a bad record has.
    if (start + size - first > node.high) return this.#fail(builder, row, OUT_OF_RANGE);
    let unscaled = 0n;
    for (let at = first; at < start + size; at++) unscaled = (unscaled << 8n) | BigInt(this.#bytes[at]!);
    unscaled = BigInt.asIntN((start + size - first) * 8, unscaled) * node.up;
    if (node.down !== 1n) unscaled = halfUp(unscaled, node.down);
    const limit = 10n ** BigInt(builder.precision);
    if (unscaled >= limit || unscaled <= -limit) return this.#fail(builder, row, OUT_OF_RANGE);
    if (builder.kind === BUILD_BIG_DECIMAL) builder.big[row] = unscaled;
    else builder.i64[row] = unscaled;
    builder.valid[row] = 1;
  }

  /** Behind the bytes that only repeat the sign. */
  #firstSignificant(start: number, end: number): number {
    const bytes = this.#bytes;
    let at = start;
    const sign = bytes[at]! >= 0x80 ? 0xff : 0;
    while (at + 1 < end && bytes[at] === sign && bytes[at + 1]! >= 0x80 === sign > 0) at++;
    return at;
  }

  // ---- bytes ----------------------------------------------------------------------------------------------------

  #skip(size: number): void {
    if (size < 0 || this.#at + size > this.#end) this.#break();
    else this.#at += size;
  }

  #readText(builder: ColumnBuilder, row: number, length: number): void {
    const start = this.#at;
    const end = start + length;
    if (length < 0 || end > this.#end) return this.#break();
    this.#at = end;
    const nonAscii = hasNonAscii(this.#bytes, start, end);
    if (nonAscii && !isUtf8(this.#bytes, start, end)) return this.#fail(builder, row, INVALID_UTF8);
    builder.start[row] = start;
    builder.length[row] = length;
    builder.nonAscii[row] = nonAscii ? 1 : 0;
  }

  #readBytes(builder: ColumnBuilder, row: number, length: number): void {
    const start = this.#at;
    if (length < 0 || start + length > this.#end) return this.#break();
    this.#at = start + length;
    builder.start[row] = start;
    builder.length[row] = length;
    builder.nonAscii[row] = 1;
  }

  #readUuid(builder: ColumnBuilder, row: number): void {
    const start = this.#at;
    if (start + 16 > this.#end) return this.#break();
    this.#at = start + 16;
    const hex = Buffer.from(this.#bytes.subarray(start, start + 16)).toString('hex');
    const text = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    builder.start[row] = this.#arena.append(new TextEncoder().encode(text));
    builder.length[row] = text.length;
    builder.nonAscii[row] = 0;
    this.#refresh();
  }

  #readEnum(node: AvroNode, builder: ColumnBuilder, row: number): void {
    const symbol = this.#number();
    if (symbol < 0 || symbol >= node.texts.length) return this.#break();
    const text = node.texts[symbol]!;
    if (text === null) return this.#fail(builder, row, WRONG_TYPE);
    builder.start[row] = this.#placeOfText(node, symbol, text);
    builder.length[row] = text.byteLength;
    builder.nonAscii[row] = 1;
  }

  /** Where the symbol stands behind the records: there once per batch, of which from_avro has one for every row. */
  #placeOfText(node: AvroNode, symbol: number, text: Uint8Array): number {
    if (node.batch !== this.#batch) {
      if (node.places.length === node.texts.length) node.places.fill(-1);
      else node.places = new Int32Array(node.texts.length).fill(-1);
      node.batch = this.#batch;
    }
    const known = node.places[symbol]!;
    if (known >= 0) return known;
    const place = this.#arena.append(text);
    node.places[symbol] = place;
    this.#refresh();
    return place;
  }

  // ---- what holds other values ----------------------------------------------------------------------------------

  #deeper(): boolean {
    if (++this.#depth <= this.#depthMax) return true;
    this.#break(TOO_DEEP);
    return false;
  }

  #readRecord(node: AvroNode, row: number): void {
    if (!this.#deeper()) return;
    const { children, required } = node;
    if (node.builder !== null) node.builder.valid[row] = 1;
    for (let index = 0; index < children.length; index++) this.#read(children[index]!, row);
    for (let index = 0; index < required.length; index++) {
      if (this.#failure === DECODED && required[index]!.isNull(row)) this.#fail(required[index]!, row, MISSING);
    }
    this.#depth--;
  }

  /** Count of the items in the next block; 0 = that was the last. */
  #blockCount(empty: boolean): number {
    let count = this.#number();
    if (count < 0) {
      count = -count;
      // Bytes of the block, for those who skip it.
      this.#number();
    }
    if (count <= (empty ? EMPTY_ELEMENTS_MAX : this.#end - this.#at)) return count;
    this.#break();
    return 0;
  }

  #readList(node: AvroNode, builder: ColumnBuilder, row: number): void {
    if (!this.#deeper()) return;
    const element = builder.children[0]!;
    const child = node.children[0]!;
    const first = element.count;
    for (let count = this.#blockCount(node.empty); count > 0; count = this.#blockCount(node.empty)) {
      if (node.empty && (this.#empties += count) > EMPTY_ELEMENTS_MAX) return this.#break();
      for (; count > 0 && this.#broken === DECODED; count--) {
        const item = element.append();
        this.#read(child, item);
        if (element.required && element.isNull(item)) this.#fail(element, item, MISSING);
      }
    }
    builder.start[row] = first;
    builder.length[row] = element.count - first;
    this.#depth--;
  }

  #readMap(node: AvroNode, builder: ColumnBuilder, row: number): void {
    if (!this.#deeper()) return;
    const keys = builder.children[0]!;
    const values = builder.children[1]!;
    const child = node.children[0]!;
    const first = keys.count;
    for (let count = this.#blockCount(false); count > 0; count = this.#blockCount(false)) {
      for (; count > 0 && this.#broken === DECODED; count--) {
        const item = keys.append();
        values.append();
        this.#readText(keys, item, this.#number());
        this.#read(child, item);
        if (values.required && values.isNull(item)) this.#fail(values, item, MISSING);
      }
    }
    if (keys.count - first > 1 && this.#broken === DECODED) dropEarlierKeys(this.#bytes, keys, values, first);
    builder.start[row] = first;
    builder.length[row] = keys.count - first;
    this.#depth--;
  }

  #skipItems(node: AvroNode): void {
    if (!this.#deeper()) return;
    const isMap = node.op === OP_SKIP_MAP;
    for (;;) {
      let count = this.#number();
      if (count === 0) break;
      if (count < 0) {
        // Such a block says how long it is.
        this.#skip(this.#number());
        continue;
      }
      if (node.empty) continue;
      if (count > this.#end - this.#at) return this.#break();
      for (; count > 0 && this.#broken === DECODED; count--) {
        if (isMap) this.#skip(this.#number());
        this.#read(node.children[0]!, 0);
      }
    }
    this.#depth--;
  }

  #readDefault(node: AvroNode, row: number): void {
    const bytes = node.bytes!;
    if (node.batch !== this.#batch) {
      node.places = Int32Array.of(this.#arena.append(bytes));
      node.batch = this.#batch;
      this.#refresh();
    }
    const at = this.#at;
    const end = this.#end;
    this.#at = node.places[0]!;
    this.#end = this.#at + bytes.byteLength;
    this.#read(node.children[0]!, row);
    this.#at = at;
    this.#end = end;
  }
}

function halfUp(value: bigint, divisor: bigint): bigint {
  const half = divisor / 2n;
  return value < 0n ? -((-value + half) / divisor) : (value + half) / divisor;
}
