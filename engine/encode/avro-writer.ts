/**
 * Avro's binary encoding of rows, with the schema that `avroOfColumns` gives for the same columns (unions with null have
 * null first), and of single values with any schema. An array or a map is one block.
 */
import { assert } from '../../core/assert.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import type { AvroTarget } from '../formats/avro-target.ts';
import type { BoxedMap, BoxedValue } from '../sql/runtime/boxed.ts';
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

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Appends a boxed value. False when the schema cannot hold it: what was appended is no datum then. */
export function writeAvroValue(out: ByteBuffer, target: AvroTarget, value: BoxedValue): boolean {
  switch (target.kind) {
    case 'branch':
      if (value === null) return writeBranch(out, target.nullBranch);
      return writeBranch(out, target.branch) && writeAvroValue(out, target.value, value);
    case 'members': {
      const given = (value ?? []) as readonly BoxedValue[];
      const place = given.findIndex((each) => each !== null);
      const member = target.members[place];
      if (member === undefined) return writeBranch(out, target.nullBranch);
      return writeBranch(out, member.branch) && writeAvroValue(out, member.value, given[place] as BoxedValue);
    }
    case 'null':
      return value === null;
    default:
      return value !== null && writePresent(out, target, value);
  }
}

/** -1: the union has no branch for it. */
function writeBranch(out: ByteBuffer, branch: number): boolean {
  if (branch >= 0) writeNumber(out, branch);
  return branch >= 0;
}

function writePresent(
  out: ByteBuffer,
  target: Exclude<AvroTarget, { readonly kind: 'null' | 'branch' | 'members' }>,
  value: Exclude<BoxedValue, null>,
): boolean {
  switch (target.kind) {
    case 'boolean':
      writeByte(out, value === true ? 1 : 0);
      return true;
    case 'number':
      if (typeof value === 'bigint') writeLong(out, value);
      else writeNumber(out, value as number);
      return true;
    case 'float':
    case 'double':
      writeFloating(out, target, value as number);
      return true;
    case 'text':
      return writeBytes(out, Buffer.from(value as string));
    case 'bytes':
      return writeBytes(out, value as Uint8Array);
    case 'uuid':
      if (!uuidPattern.test(value as string)) return false;
      out.append(Buffer.from((value as string).replaceAll('-', ''), 'hex'));
      return true;
    case 'fixed':
      if ((value as Uint8Array).byteLength !== target.size) return false;
      out.append(value as Uint8Array);
      return true;
    case 'time':
      return writeTime(out, value as number, target.perUnitUs);
    case 'decimal':
      return writeDecimal(out, (value as bigint) * target.up, target.size);
    case 'enum': {
      const symbol = target.symbols.get(value as string);
      if (symbol !== undefined) writeNumber(out, symbol);
      return symbol !== undefined;
    }
    case 'array': {
      const items = value as readonly BoxedValue[];
      if (items.length > 0) writeNumber(out, items.length);
      for (const item of items) if (!writeAvroValue(out, target.items, item)) return false;
      writeNumber(out, 0);
      return true;
    }
    case 'map': {
      const { keys, values } = value as BoxedMap;
      if (keys.length > 0) writeNumber(out, keys.length);
      for (const [at, key] of keys.entries()) {
        writeBytes(out, Buffer.from(key as string));
        if (!writeAvroValue(out, target.values, values[at] ?? null)) return false;
      }
      writeNumber(out, 0);
      return true;
    }
    case 'record': {
      const given = value as readonly BoxedValue[];
      return target.fields.every((field) => writeAvroValue(out, field.value, given[field.field] ?? null));
    }
  }
}

function writeBytes(out: ByteBuffer, bytes: Uint8Array): boolean {
  writeNumber(out, bytes.byteLength);
  out.append(bytes);
  return true;
}

/** Units are cut to those before the time. */
function writeTime(out: ByteBuffer, us: number, perUnitUs: number): boolean {
  if (perUnitUs >= 1) {
    writeNumber(out, Math.floor(us / perUnitUs));
    return true;
  }
  const units = BigInt(Math.floor(us)) * BigInt(Math.round(1 / perUnitUs));
  if (BigInt.asIntN(64, units) !== units) return false;
  writeLong(out, units);
  return true;
}

/** `size`: bytes, -1 = as few as hold it, after their count. */
function writeDecimal(out: ByteBuffer, unscaled: bigint, size: number): boolean {
  if (size < 0) writeUnscaled(out, unscaled);
  else if (BigInt.asIntN(size * 8, unscaled) !== unscaled) return false;
  else putUnscaled(out, unscaled, size);
  return true;
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

function writeFloating(out: ByteBuffer, type: { readonly kind: string }, value: number): void {
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
  putUnscaled(out, value, bytes);
}

function putUnscaled(out: ByteBuffer, value: bigint, bytes: number): void {
  out.reserve(bytes);
  for (let at = bytes - 1, rest = value; at >= 0; at--, rest >>= 8n)
    out.bytes[out.length + at] = Number(BigInt.asUintN(8, rest));
  out.length += bytes;
}

function writeByte(out: ByteBuffer, byte: number): void {
  out.reserve(1);
  out.bytes[out.length++] = byte;
}
