/**
 * Rows as Protobuf messages: fields in the order of their numbers, packed lists in one piece. What is NULL is left out, and
 * so are NULL elements of lists and NULL values of maps, which Protobuf cannot hold. Defaults of fields without presence
 * are left out too, as the libraries of other languages do: bytes are compared where they are keys.
 */
import { must } from '../../core/assert.ts';
import { deadLetterReasons } from '../../core/errors.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { WIRE_32, WIRE_64, WIRE_LENGTH, WIRE_VARINT } from '../formats/proto-nodes.ts';
import type { ProtoScalar } from '../formats/proto-schema.ts';
import type { TargetField, TargetMessage, TargetValue } from '../formats/proto-target.ts';
import { isUnsigned } from '../formats/proto-target.ts';
import { isUtf8 } from '../scan/utf8.ts';
import { CELL_OK } from './cells.ts';
import { isNull } from './json-writer.ts';

const reason = (code: DeadLetterReason): number => deadLetterReasons.indexOf(code);
const WRONG_TYPE = reason('FIELD_WRONG_TYPE');
const OUT_OF_RANGE = reason('FIELD_OUT_OF_RANGE');
const MISSING = reason('FIELD_MISSING');

/** A varint of 64 bits. */
const VARINT_BYTES_MAX = 10;
const U32_END = 2 ** 32;
const U64_END = 2n ** 64n;

/** In Confluent's wire format, behind the schema's id: the indexes that lead to the message in its text. */
export function writeMessagePath(out: ByteBuffer, path: readonly number[]): void {
  // The first message of the text is a single zero.
  if (path.length === 1 && path[0] === 0) return writeVarint(out, 0);
  for (const number of [path.length, ...path]) writeVarint(out, 2 * number);
}

/** Not reentrant. */
export class ProtobufWriter {
  readonly #message: TargetMessage;
  /** By depth: a message is made before its length is known. */
  readonly #bodies: ByteBuffer[] = [];
  #depth = 0;
  #failedAt = '';

  constructor(message: TargetMessage) {
    this.#message = message;
  }

  /** Whether {@link check} may find anything. */
  get isFallible(): boolean {
    return this.#message.isFallible;
  }

  /** Why the row is none that the message can hold, an index of `deadLetterReasons`; CELL_OK = it is one. */
  check(columns: readonly Column[], row: number): number {
    return this.#check(this.#message, columns, row);
  }

  /** The column that the last check failed at. */
  get failedAt(): string {
    return this.#failedAt;
  }

  /** Appends a message: the row's columns, which pass {@link check}. */
  write(out: ByteBuffer, columns: readonly Column[], row: number): void {
    this.#fields(out, this.#message, columns, row);
  }

  #fields(out: ByteBuffer, { fields }: TargetMessage, columns: readonly Column[], row: number): void {
    for (let index = 0; index < fields.length; index++) {
      const field = fields[index]!;
      const column = columnOf(columns, field);
      if (isNull(column, row) || (field.implicit && isDefault(field.value, column, row))) continue;
      this.#field(out, field, column, row);
    }
  }

  #field(out: ByteBuffer, field: TargetField, column: Column, row: number): void {
    const { number, shape, value } = field;
    if (column.kind === 'list') this.#list(out, field, column, row);
    else if (column.kind === 'map') this.#map(out, field, column, row);
    else if (shape === 'single') {
      writeTag(out, number, wireOf(value));
      this.#value(out, value, column, row);
    } else throw new TypeError(`a ${column.kind} stands where a list or a map belongs: ${field.name}`);
  }

  #list(out: ByteBuffer, field: TargetField, column: Column & { kind: 'list' }, row: number): void {
    const { number, value } = field;
    const start = column.start[row]!;
    const end = start + column.length[row]!;
    if (field.shape === 'list') {
      for (let at = start; at < end; at++) {
        if (isNull(column.element, at)) continue;
        writeTag(out, number, wireOf(value));
        this.#value(out, value, column.element, at);
      }
      return;
    }
    this.#within((body) => {
      for (let at = start; at < end; at++)
        if (!isNull(column.element, at)) this.#value(body, value, column.element, at);
      if (body.length === 0) return;
      writeTag(out, number, WIRE_LENGTH);
      writeBytes(out, body);
    });
  }

  #map(out: ByteBuffer, field: TargetField, column: Column & { kind: 'map' }, row: number): void {
    const { number, value, name } = field;
    const scalar = must(field.key, () => `${name} is no map`);
    const key: TargetValue = { kind: 'scalar', scalar };
    const start = column.start[row]!;
    const end = start + column.length[row]!;
    for (let at = start; at < end; at++) {
      if (isNull(column.values, at)) continue;
      this.#within((body) => {
        writeTag(body, 1, wireOf(key));
        this.#value(body, key, column.keys, at);
        writeTag(body, 2, wireOf(value));
        this.#value(body, value, column.values, at);
        writeTag(out, number, WIRE_LENGTH);
        writeBytes(out, body);
      });
    }
  }

  /** A value without its tag. */
  #value(out: ByteBuffer, value: TargetValue, column: Column, row: number): void {
    switch (value.kind) {
      case 'scalar':
        return writeScalar(out, value.scalar, column, row);
      case 'enum':
        return writeNumber(
          out,
          column.kind === 'bytes' ? (numberIn(value.numbers, column, row) ?? 0) : numberAt(column, row),
        );
      case 'time':
        return this.#time(out, Number(numberAt(column, row)));
      case 'wrapper':
        return this.#within((body) => {
          if (!isDefault(value.value, column, row)) {
            writeTag(body, 1, wireOf(value.value));
            this.#value(body, value.value, column, row);
          }
          writeBytes(out, body);
        });
      case 'message':
        return this.#within((body) => {
          this.#fields(body, value.message, fieldsOf(column), row);
          writeBytes(out, body);
        });
    }
  }

  /** google.protobuf.Timestamp: seconds, and nanoseconds that count upwards also before 1970. */
  #time(out: ByteBuffer, timeUs: number): void {
    const seconds = Math.floor(timeUs / 1e6);
    const nanos = Math.floor(timeUs - seconds * 1e6) * 1000;
    this.#within((body) => {
      if (seconds !== 0) {
        writeTag(body, 1, WIRE_VARINT);
        writeNumber(body, seconds);
      }
      if (nanos > 0) {
        writeTag(body, 2, WIRE_VARINT);
        writeNumber(body, nanos);
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

  // ---- what does not fit ----------------------------------------------------------------------------------------

  #check({ fields, oneofs }: TargetMessage, columns: readonly Column[], row: number): number {
    for (const field of fields) {
      if (!field.isFallible) continue;
      const column = columnOf(columns, field);
      this.#failedAt = field.name;
      const failure = isNull(column, row) ? (field.required ? MISSING : CELL_OK) : this.#checkField(field, column, row);
      if (failure !== CELL_OK) return failure;
    }
    for (const members of oneofs) {
      const given = members.filter((field) => !isNull(columnOf(columns, field), row));
      if (given.length < 2) continue;
      this.#failedAt = must(given[1], () => 'two members have a second').name;
      return WRONG_TYPE;
    }
    return CELL_OK;
  }

  #checkField({ shape, key, value }: TargetField, column: Column, row: number): number {
    if (shape === 'single') return this.#checkValue(value, column, row);
    const isMap = column.kind === 'map';
    if (!isMap && column.kind !== 'list') return CELL_OK;
    const values = isMap ? column.values : column.element;
    const end = column.start[row]! + column.length[row]!;
    for (let at = column.start[row]!; at < end; at++) {
      if (isNull(values, at)) continue;
      const ofKey = isMap && key !== null ? checkScalar(key, column.keys, at) : CELL_OK;
      const failure = ofKey === CELL_OK ? this.#checkValue(value, values, at) : ofKey;
      if (failure !== CELL_OK) return failure;
    }
    return CELL_OK;
  }

  #checkValue(value: TargetValue, column: Column, row: number): number {
    switch (value.kind) {
      case 'scalar':
        return checkScalar(value.scalar, column, row);
      case 'enum':
        return column.kind !== 'bytes' || numberIn(value.numbers, column, row) !== undefined ? CELL_OK : OUT_OF_RANGE;
      case 'time':
        return CELL_OK;
      case 'wrapper':
        return this.#checkValue(value.value, column, row);
      case 'message':
        return value.message.isFallible ? this.#check(value.message, fieldsOf(column), row) : CELL_OK;
    }
  }
}

function checkScalar(scalar: ProtoScalar, column: Column, row: number): number {
  if (!isUnsigned(scalar)) return CELL_OK;
  const value = numberAt(column, row);
  if (value < 0) return OUT_OF_RANGE;
  const end = scalar === 'uint32' || scalar === 'fixed32' ? U32_END : U64_END;
  return value < end ? CELL_OK : OUT_OF_RANGE;
}

function columnOf(columns: readonly Column[], { column, name }: TargetField): Column {
  return must(columns[column], () => `there is no column ${name}`);
}

function fieldsOf(column: Column): readonly Column[] {
  if (column.kind === 'struct') return column.fields;
  throw new TypeError(`a ${column.kind} stands where a message belongs`);
}

function numberAt(column: Column, row: number): number | bigint {
  switch (column.kind) {
    case 'i32':
    case 'f64':
      return column.values[row]!;
    case 'i64':
    case 'big':
      return column.values[row]!;
    default:
      throw new TypeError(`a ${column.kind} stands where a number belongs`);
  }
}

/** The number of an enum's name, or of a text that is one of 32 bits: names of numbers that have none. */
function numberIn(
  numbers: ReadonlyMap<string, number>,
  { data, start, length }: Column & { kind: 'bytes' },
  row: number,
): number | undefined {
  const from = start[row]!;
  const text = Buffer.from(data.buffer, data.byteOffset + from, length[row]).toString('utf8');
  const known = numbers.get(text);
  if (known !== undefined || !/^(0|-?[1-9]\d{0,9})$/.test(text)) return known;
  const number = Number(text);
  return (number | 0) === number ? number : undefined;
}

/** Empty, or a zero that is not negative. */
function isDefault(value: TargetValue, column: Column, row: number): boolean {
  if (column.kind === 'bytes')
    return value.kind === 'enum' ? numberIn(value.numbers, column, row) === 0 : column.length[row] === 0;
  const number = numberAt(column, row);
  return typeof number === 'bigint' ? number === 0n : Object.is(number, 0);
}

function wireOf(value: TargetValue): number {
  if (value.kind === 'enum') return WIRE_VARINT;
  if (value.kind !== 'scalar') return WIRE_LENGTH;
  switch (value.scalar) {
    case 'string':
    case 'bytes':
      return WIRE_LENGTH;
    case 'float':
    case 'fixed32':
    case 'sfixed32':
      return WIRE_32;
    case 'double':
    case 'fixed64':
    case 'sfixed64':
      return WIRE_64;
    default:
      return WIRE_VARINT;
  }
}

function writeScalar(out: ByteBuffer, scalar: ProtoScalar, column: Column, row: number): void {
  switch (scalar) {
    case 'string':
    case 'bytes': {
      if (column.kind !== 'bytes') throw new TypeError(`a ${column.kind} stands where bytes belong`);
      const start = column.start[row]!;
      const length = column.length[row]!;
      if (scalar === 'string' && column.nonAscii[row] !== 0 && !isUtf8(column.data, start, start + length)) {
        // Readers refuse the whole record otherwise.
        const mended = Buffer.from(Buffer.from(column.data.buffer, column.data.byteOffset + start, length).toString());
        writeVarint(out, mended.length);
        out.append(mended, 0, mended.length);
        return;
      }
      writeVarint(out, length);
      out.append(column.data, start, start + length);
      return;
    }
    case 'float':
      out.reserve(4);
      out.view.setFloat32(out.length, Number(numberAt(column, row)), true);
      out.length += 4;
      return;
    case 'double':
      out.reserve(8);
      out.view.setFloat64(out.length, Number(numberAt(column, row)), true);
      out.length += 8;
      return;
    case 'fixed32':
    case 'sfixed32':
      out.reserve(4);
      out.view.setUint32(out.length, Number(numberAt(column, row)), true);
      out.length += 4;
      return;
    case 'fixed64':
    case 'sfixed64':
      out.reserve(8);
      out.view.setBigUint64(out.length, BigInt.asUintN(64, BigInt(numberAt(column, row))), true);
      out.length += 8;
      return;
    case 'sint32':
    case 'sint64':
      return writeZigzag(out, numberAt(column, row));
    default:
      return writeNumber(out, numberAt(column, row));
  }
}

function writeTag(out: ByteBuffer, number: number, wire: number): void {
  writeVarint(out, number * 8 + wire);
}

/** `value`: a whole number, not negative, below 2^53. */
function writeVarint(out: ByteBuffer, value: number): void {
  out.reserve(VARINT_BYTES_MAX);
  let rest = value;
  while (rest >= 0x80) {
    out.bytes[out.length++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out.bytes[out.length++] = rest;
}

/** 32 and 64 bits are one encoding: negative numbers take ten bytes. */
function writeNumber(out: ByteBuffer, value: number | bigint): void {
  if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) writeVarint(out, Number(value));
  else writeLong(out, BigInt.asUintN(64, BigInt(value)));
}

function writeZigzag(out: ByteBuffer, value: number | bigint): void {
  const long = BigInt(value);
  writeLong(out, BigInt.asUintN(64, (long << 1n) ^ (long >> 63n)));
}

function writeLong(out: ByteBuffer, value: bigint): void {
  let rest = value;
  out.reserve(VARINT_BYTES_MAX);
  while (rest >= 0x80n) {
    out.bytes[out.length++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  out.bytes[out.length++] = Number(rest);
}

function writeBytes(out: ByteBuffer, { bytes, length }: ByteBuffer): void {
  writeVarint(out, length);
  out.append(bytes, 0, length);
}
