/** Protobuf messages and Avro data made of boxed values, and read into them: by writers and decoders of sinks and sources. */
import { must } from '../../../core/assert.ts';
import type { DataType, Schema } from '../../../core/types.ts';
import { ByteBuffer } from '../../byte-buffer.ts';
import { writeAvroValue } from '../../encode/avro-writer.ts';
import { CELL_OK } from '../../encode/cells.ts';
import { ProtobufWriter } from '../../encode/protobuf-writer.ts';
import { AvroDecoder } from '../../formats/avro-decoder.ts';
import { avroColumn, VALUE_COLUMN } from '../../formats/avro-schema.ts';
import type { AvroType } from '../../formats/avro-schema.ts';
import type { AvroTarget } from '../../formats/avro-target.ts';
import type { ProtoMessage } from '../../formats/proto-schema.ts';
import type { TargetMessage } from '../../formats/proto-target.ts';
import { ProtobufDecoder } from '../../formats/protobuf-decoder.ts';
import { DECODED } from '../../formats/value-decoder.ts';
import type { BoxedValue } from './boxed.ts';
import { buildColumn, readValue } from './boxed.ts';
import { raiseExpressionFailed, Runtime } from './runtime.ts';

/** Levels of messages within messages, and of Avro's records, arrays and maps within each other. */
const DEPTH_MAX = 64;

/** Makes messages of structs of one type. Not reentrant. */
export class ProtobufMaker {
  readonly #writer: ProtobufWriter;
  readonly #type: DataType;
  readonly #out = new ByteBuffer(256);
  #runtime: Runtime | null = null;

  constructor(message: TargetMessage, type: DataType) {
    this.#writer = new ProtobufWriter(message);
    this.#type = type;
  }

  make(value: BoxedValue, { zone, origins }: Runtime): Uint8Array {
    // One of its own: the texts of a single row, not of the batch.
    const runtime = (this.#runtime ??= new Runtime(zone));
    runtime.reset(origins);
    const column = buildColumn(runtime, this.#type, [value]);
    if (column.kind !== 'struct') throw new TypeError(`a ${column.kind} stands where a struct belongs`);
    if (this.#writer.isFallible && this.#writer.check(column.fields, 0) !== CELL_OK) return raiseExpressionFailed();
    this.#out.clear();
    this.#writer.write(this.#out, column.fields, 0);
    return this.#out.copy();
  }
}

/** Reads messages of one kind. Not reentrant. */
export class ProtobufReader {
  readonly #columns: Schema;
  readonly #arena = new ByteBuffer(256);
  readonly #decoder: ProtobufDecoder;

  /**
   * `schema`: text of a .proto that has the message; `columns`: those of its fields. Bytes without a required field, in a
   * message within the message too, are no such message. Throws: SCHEMA_INVALID; UNSUPPORTED.
   */
  constructor(schema: string, { name: message }: ProtoMessage, columns: Schema) {
    this.#columns = columns;
    const text = { schema, references: [] };
    this.#decoder = new ProtobufDecoder(
      { kind: 'protobuf', framing: 'none', registry: null, schema: text, message },
      columns.map(({ name, type }) => ({ name, path: name, type, required: false })),
      DEPTH_MAX,
      this.#arena,
      true,
    );
  }

  /** undefined: the bytes are no such message. */
  read(bytes: Uint8Array, runtime: Runtime): readonly BoxedValue[] | undefined {
    const arena = this.#arena;
    arena.clear();
    const start = arena.append(bytes);
    this.#decoder.begin(1);
    if (this.#decoder.scan(start, arena.length, 0) !== DECODED) return undefined;
    const columns = this.#decoder.columns(arena.bytes.subarray(0, arena.length));
    return this.#columns.map(({ name, type }, index) =>
      readValue(
        runtime,
        must(columns[index], () => `there is no column ${name}`),
        0,
        type,
      ),
    );
  }
}

/** to_protobuf; raises for a value that the message cannot hold. */
export function toProtobuf(value: BoxedValue, maker: ProtobufMaker, runtime: Runtime): Uint8Array {
  return maker.make(value, runtime);
}

/** from_protobuf; bytes that are no such message raise, or are NULL. */
export function fromProtobuf(
  bytes: Uint8Array,
  reader: ProtobufReader,
  runtime: Runtime,
  permissive: boolean,
): BoxedValue {
  const row = reader.read(bytes, runtime);
  if (row !== undefined) return row;
  return permissive ? null : raiseExpressionFailed();
}

/** Makes Avro data of values of one type. Not reentrant. */
export class AvroMaker {
  readonly #target: AvroTarget;
  readonly #out = new ByteBuffer(256);

  constructor(target: AvroTarget) {
    this.#target = target;
  }

  make(value: BoxedValue): Uint8Array {
    this.#out.clear();
    return writeAvroValue(this.#out, this.#target, value) ? this.#out.copy() : raiseExpressionFailed();
  }
}

/** Reads Avro data of one schema. Not reentrant. */
export class AvroReader {
  readonly #type: DataType;
  readonly #arena = new ByteBuffer(256);
  readonly #decoder: AvroDecoder;

  /** `reader`: what data of the `writer` are read as, null = as they were written. Throws: SCHEMA_INVALID. */
  constructor(writer: AvroType, reader: AvroType | null) {
    const { type, nullable } = avroColumn(reader ?? writer);
    this.#type = type;
    // The record that stands around a value of any type is a level of its own.
    this.#decoder = new AvroDecoder(
      { kind: 'datum', writer, reader },
      [{ name: VALUE_COLUMN, path: VALUE_COLUMN, type, required: !nullable }],
      DEPTH_MAX + 1,
      this.#arena,
    );
  }

  /** A path in the value, empty for the value itself, that no data of the writer fill; undefined: there is none such. */
  get unreadable(): string | undefined {
    return this.#decoder.unreadable?.slice(VALUE_COLUMN.length).replace(/^\./, '');
  }

  /** undefined: the bytes are no such datum. */
  read(bytes: Uint8Array, runtime: Runtime): BoxedValue | undefined {
    const arena = this.#arena;
    arena.clear();
    const start = arena.append(bytes);
    this.#decoder.begin(1);
    if (this.#decoder.scan(start, arena.length, 0) !== DECODED) return undefined;
    const [column] = this.#decoder.columns(arena.bytes.subarray(0, arena.length));
    return readValue(
      runtime,
      must(column, () => 'there is no column'),
      0,
      this.#type,
    );
  }
}

/** to_avro; raises for a value that the schema cannot hold. */
export function toAvro(value: BoxedValue, maker: AvroMaker): Uint8Array {
  return maker.make(value);
}

/** from_avro; bytes that are no such datum raise, or are NULL. */
export function fromAvro(bytes: Uint8Array, reader: AvroReader, runtime: Runtime, permissive: boolean): BoxedValue {
  const value = reader.read(bytes, runtime);
  if (value !== undefined) return value;
  return permissive ? null : raiseExpressionFailed();
}
