/**
 * Rows as Avro's binary encoding, with the schema that `avroOfColumns` gives for the same columns: unions with null have
 * null first, an array or a map is one block.
 */
import { assert } from '../../core/assert.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { isNull } from './json-writer.ts';

/** Numbers up to here are twice as large without losing a bit. */
const DOUBLED_EXACTLY = 2 ** 52;
/** A varint of 64 bits. */
const VARINT_BYTES_MAX = 10;

/** Appends one datum: the row's columns as a record. */
export function writeAvroRow(out: ByteBuffer, schema: Schema, columns: readonly Column[], row: number): void {
  for (let index = 0; index < schema.length; index++) {
    const { type, nullable } = schema[index]!;
    writeMember(out, type, nullable, columns[index]!, row);
  }
}

/** Confluent's wire format: a zero byte and the id of the schema, before the datum. */
export function writeSchemaId(out: ByteBuffer, id: number): void {
  out.reserve(5);
  out.bytes[out.length] = 0;
  out.view.setInt32(out.length + 1, id);
  out.length += 5;
}

function writeMember(out: ByteBuffer, type: DataType, nullable: boolean, column: Column, row: number): void {
  const isAbsent = isNull(column, row);
  if (nullable) writeNumber(out, isAbsent ? 0 : 1);
  else assert(!isAbsent, () => `a value that is never NULL is NULL`);
  if (!isAbsent) writeValue(out, type, column, row);
}

function writeValue(out: ByteBuffer, type: DataType, column: Column, row: number): void {
  switch (column.kind) {
    case 'bytes': {
      const start = column.start[row]!;
      const length = column.length[row]!;
      writeNumber(out, length);
      out.append(column.data, start, start + length);
      return;
    }
    case 'i32':
      if (type.kind === 'boolean') writeByte(out, column.values[row]!);
      else writeNumber(out, column.values[row]!);
      return;
    case 'f64':
      writeFloating(out, type, column.values[row]!);
      return;
    case 'i64':
    case 'big':
      if (type.kind === 'decimal') writeUnscaled(out, column.values[row]!);
      else writeLong(out, column.values[row]!);
      return;
    case 'list':
      if (type.kind === 'array') {
        const start = column.start[row]!;
        const count = column.length[row]!;
        if (count > 0) writeNumber(out, count);
        for (let at = start; at < start + count; at++)
          writeMember(out, type.element, type.containsNull, column.element, at);
        writeNumber(out, 0);
      }
      return;
    case 'map':
      if (type.kind === 'map') {
        const start = column.start[row]!;
        const count = column.length[row]!;
        if (count > 0) writeNumber(out, count);
        for (let at = start; at < start + count; at++) {
          writeMember(out, type.key, false, column.keys, at);
          writeMember(out, type.value, type.valueContainsNull, column.values, at);
        }
        writeNumber(out, 0);
      }
      return;
    case 'struct':
      if (type.kind === 'struct') writeAvroRow(out, type.fields, column.fields, row);
  }
}

function writeFloating(out: ByteBuffer, type: DataType, value: number): void {
  switch (type.kind) {
    case 'timestamp':
      writeNumber(out, Math.floor(value));
      return;
    case 'float':
      out.reserve(4);
      out.view.setFloat32(out.length, value, true);
      out.length += 4;
      return;
    default:
      out.reserve(8);
      out.view.setFloat64(out.length, value, true);
      out.length += 8;
  }
}

/** `int` and `long` are one encoding: zigzag, then seven bits a byte, the lowest first. `value`: a whole number. */
function writeNumber(out: ByteBuffer, value: number): void {
  if (value > DOUBLED_EXACTLY || value < -DOUBLED_EXACTLY) {
    writeLong(out, BigInt(value));
    return;
  }
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  out.reserve(VARINT_BYTES_MAX);
  while (rest >= 0x80) {
    out.bytes[out.length++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out.bytes[out.length++] = rest;
}

function writeLong(out: ByteBuffer, value: bigint): void {
  const small = Number(value);
  if (Number.isSafeInteger(small) && Math.abs(small) <= DOUBLED_EXACTLY) {
    writeNumber(out, small);
    return;
  }
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  out.reserve(VARINT_BYTES_MAX);
  while (rest >= 0x80n) {
    out.bytes[out.length++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  out.bytes[out.length++] = Number(rest);
}

/** Two's complement, the highest byte first, in as few bytes as hold it. */
function writeUnscaled(out: ByteBuffer, value: bigint): void {
  let bytes = 1;
  while (BigInt.asIntN(bytes * 8, value) !== value) bytes++;
  writeNumber(out, bytes);
  out.reserve(bytes);
  for (let at = bytes - 1, rest = value; at >= 0; at--, rest >>= 8n)
    out.bytes[out.length + at] = Number(BigInt.asUintN(8, rest));
  out.length += bytes;
}

function writeByte(out: ByteBuffer, byte: number): void {
  out.reserve(1);
  out.bytes[out.length++] = byte;
}
