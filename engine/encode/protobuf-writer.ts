/**
 * Rows as Protobuf messages, by the .proto that `protoOfColumns` gives for the same columns: fields in the order of their
 * numbers, lists of numbers packed. What is NULL is left out; so are NULL elements of lists and NULL values of maps, which
 * Protobuf cannot hold.
 */
import { must } from '../../core/assert.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { WIRE_32, WIRE_64, WIRE_LENGTH, WIRE_VARINT } from '../formats/proto-nodes.ts';
import { isNull } from './json-writer.ts';

/** A varint of 64 bits. */
const VARINT_BYTES_MAX = 10;

/** In Confluent's wire format, behind the schema's id: the first message of its text. */
export function writeFirstMessage(out: ByteBuffer): void {
  writeVarint(out, 0);
}

/** Not reentrant. */
export class ProtobufWriter {
  /** By depth: a message is made before its length is known. */
  readonly #bodies: ByteBuffer[] = [];
  #depth = 0;

  /** Appends a message: the row's columns. */
  write(out: ByteBuffer, schema: Schema, columns: readonly Column[], row: number): void {
    for (let index = 0; index < schema.length; index++) {
      const { type } = must(schema[index], () => `there is no column ${index}`);
      const column = must(columns[index], () => `there is no column ${index}`);
      if (!isNull(column, row)) this.#field(out, index + 1, type, column, row);
    }
  }

  #field(out: ByteBuffer, number: number, type: DataType, column: Column, row: number): void {
    if (column.kind === 'list' && type.kind === 'array') this.#list(out, number, type.element, column, row);
    else if (column.kind === 'map' && type.kind === 'map') this.#map(out, number, type, column, row);
    else {
      writeTag(out, number, wireOf(type));
      this.#value(out, type, column, row);
    }
  }

  #list(out: ByteBuffer, number: number, element: DataType, column: Column & { kind: 'list' }, row: number): void {
    const start = column.start[row] as number;
    const end = start + (column.length[row] as number);
    if (wireOf(element) === WIRE_LENGTH) {
      for (let at = start; at < end; at++) {
        if (isNull(column.element, at)) continue;
        writeTag(out, number, WIRE_LENGTH);
        this.#value(out, element, column.element, at);
      }
      return;
    }
    this.#within((body) => {
      for (let at = start; at < end; at++)
        if (!isNull(column.element, at)) this.#value(body, element, column.element, at);
      if (body.length === 0) return;
      writeTag(out, number, WIRE_LENGTH);
      writeBytes(out, body);
    });
  }

  #map(
    out: ByteBuffer,
    number: number,
    { key, value }: DataType & { kind: 'map' },
    column: Column & { kind: 'map' },
    row: number,
  ): void {
    const start = column.start[row] as number;
    const end = start + (column.length[row] as number);
    for (let at = start; at < end; at++) {
      if (isNull(column.values, at)) continue;
      this.#within((body) => {
        this.#field(body, 1, key, column.keys, at);
        this.#field(body, 2, value, column.values, at);
        writeTag(out, number, WIRE_LENGTH);
        writeBytes(out, body);
      });
    }
  }

  /** A value without its tag. */
  #value(out: ByteBuffer, type: DataType, column: Column, row: number): void {
    switch (column.kind) {
      case 'bytes': {
        const start = column.start[row] as number;
        const length = column.length[row] as number;
        writeVarint(out, length);
        out.append(column.data, start, start + length);
        return;
      }
      case 'i32':
        writeInt(out, column.values[row] as number);
        return;
      case 'i64':
      case 'big':
        writeLong(out, column.values[row] as bigint);
        return;
      case 'f64':
        if (type.kind === 'timestamp') this.#time(out, column.values[row] as number);
        else writeFloating(out, type, column.values[row] as number);
        return;
      case 'struct':
        this.#within((body) => {
          if (type.kind === 'struct') this.write(body, type.fields, column.fields, row);
          writeBytes(out, body);
        });
        return;
      default:
        throw new TypeError(`a ${column.kind} stands where Protobuf has no place for one`);
    }
  }

  /** google.protobuf.Timestamp: seconds, and nanoseconds that count upwards also before 1970. */
  #time(out: ByteBuffer, timeUs: number): void {
    const seconds = Math.floor(timeUs / 1e6);
    const nanos = Math.floor(timeUs - seconds * 1e6) * 1000;
    this.#within((body) => {
      writeTag(body, 1, WIRE_VARINT);
      writeInt(body, seconds);
      if (nanos > 0) {
        writeTag(body, 2, WIRE_VARINT);
        writeInt(body, nanos);
      }
      writeBytes(out, body);
    });
  }

  #within(work: (body: ByteBuffer) => void): void {
    const depth = this.#depth;
    const body = (this.#bodies[depth] ??= new ByteBuffer(64));
    body.clear();
    this.#depth++;
    try {
      work(body);
    } finally {
      this.#depth = depth;
    }
  }
}

function wireOf(type: DataType): number {
  switch (type.kind) {
    case 'boolean':
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'bigint':
      return WIRE_VARINT;
    case 'float':
      return WIRE_32;
    case 'double':
      return WIRE_64;
    default:
      return WIRE_LENGTH;
  }
}

function writeTag(out: ByteBuffer, number: number, wire: number): void {
  writeVarint(out, number * 8 + wire);
}

/** `value`: a whole number, not negative. */
function writeVarint(out: ByteBuffer, value: number): void {
  out.reserve(VARINT_BYTES_MAX);
  let rest = value;
  while (rest >= 0x80) {
    out.bytes[out.length++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out.bytes[out.length++] = rest;
}

/** int32 and int64 are one encoding: negative numbers take ten bytes. */
function writeInt(out: ByteBuffer, value: number): void {
  if (value >= 0) writeVarint(out, value);
  else writeLong(out, BigInt(value));
}

function writeLong(out: ByteBuffer, value: bigint): void {
  let rest = BigInt.asUintN(64, value);
  out.reserve(VARINT_BYTES_MAX);
  while (rest >= 0x80n) {
    out.bytes[out.length++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  out.bytes[out.length++] = Number(rest);
}

function writeFloating(out: ByteBuffer, type: DataType, value: number): void {
  out.reserve(8);
  if (type.kind === 'float') {
    out.view.setFloat32(out.length, value, true);
    out.length += 4;
  } else {
    out.view.setFloat64(out.length, value, true);
    out.length += 8;
  }
}

function writeBytes(out: ByteBuffer, { bytes, length }: ByteBuffer): void {
  writeVarint(out, length);
  out.append(bytes, 0, length);
}
