/**
 * Columns of stored state: numbers as they lie in memory, a few copies for any number of rows; everything else row by
 * row (see row-codec.ts). Little-endian.
 *
 *     numbers   1 when no row is NULL, else 0 and a byte per row (1 = has a value); then the values, 1, 4 or 8 bytes each
 *     others    the values one behind the other
 */
import { WeirError } from '../../core/errors.ts';
import type { DataType } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import type { ByteReader } from './byte-reader.ts';
import { putByte } from './bytes-out.ts';
import { RowCodec } from './row-codec.ts';

/** Appends the first `count` rows of a column of the type. */
export function encodeColumn(column: Column, type: DataType, count: number, out: ByteBuffer): void {
  switch (column.kind) {
    case 'i32':
      putValidity(column.valid, count, out);
      if (isByte(type)) out.append(Uint8Array.from(column.values.subarray(0, count)));
      else putMemory(column.values, count * 4, out);
      return;
    case 'f64':
      putValidity(column.valid, count, out);
      putDoubles(column.values, count, out);
      return;
    case 'i64':
      putValidity(column.valid, count, out);
      putMemory(column.words, count * 8, out);
      return;
    default: {
      const codec = new RowCodec([{ name: 'value', type, nullable: true }]).bind([column]);
      for (let row = 0; row < count; row++) codec.encode(row, out);
    }
  }
}

/** Reads what {@link encodeColumn} wrote. Text points into the reader's bytes. Throws: STATE_DAMAGED. */
export function decodeColumn(reader: ByteReader, type: DataType, count: number): Column {
  switch (type.kind) {
    case 'boolean':
    case 'tinyint':
    case 'null':
    case 'smallint':
    case 'int':
    case 'date': {
      const valid = takeValidity(reader, count);
      const values = isByte(type)
        ? Int32Array.from(new Int8Array(takeMemory(reader, count).buffer))
        : new Int32Array(takeMemory(reader, count * 4).buffer);
      return { kind: 'i32', values, valid };
    }
    case 'float':
    case 'double':
    case 'timestamp':
    case 'interval': {
      const valid = takeValidity(reader, count);
      return { kind: 'f64', values: new Float64Array(takeMemory(reader, count * 8).buffer), valid };
    }
    case 'bigint':
      return takeLongs(reader, count);
    case 'decimal':
      return type.precision <= 18 ? takeLongs(reader, count) : takeRows(reader, type, count);
    default:
      return takeRows(reader, type, count);
  }
}

function isByte(type: DataType): boolean {
  return type.kind === 'boolean' || type.kind === 'tinyint' || type.kind === 'null';
}

function putValidity(valid: Uint8Array, count: number, out: ByteBuffer): void {
  const rows = valid.subarray(0, count);
  const isFull = !rows.includes(0);
  putByte(out, isFull ? 1 : 0);
  if (!isFull) out.append(rows);
}

function takeValidity(reader: ByteReader, count: number): Uint8Array {
  const isFull = reader.byte();
  if (isFull === 0) return takeMemory(reader, count);
  if (isFull === 1) return new Uint8Array(count).fill(1);
  throw new WeirError(
    'STATE_DAMAGED',
    `A column of stored state begins with ${isFull} where 0 or 1 stands; restore an older snapshot or savepoint.`,
  );
}

function putMemory(values: Int32Array, bytes: number, out: ByteBuffer): void {
  out.append(new Uint8Array(values.buffer, values.byteOffset, bytes));
}

/** One form of NaN: the same state has the same bytes. */
function putDoubles(values: Float64Array, count: number, out: ByteBuffer): void {
  out.reserve(8 * count);
  const { view } = out;
  let at = out.length;
  for (let row = 0; row < count; row++) {
    const value = values[row]!;
    if (value === value) {
      view.setFloat64(at, value, true);
    } else {
      view.setInt32(at, 0, true);
      view.setInt32(at + 4, 0x7ff80000, true);
    }
    at += 8;
  }
  out.length = at;
}

/** A copy: aligned, whatever came before. */
function takeMemory(reader: ByteReader, bytes: number): Uint8Array<ArrayBuffer> {
  const at = reader.skip(bytes);
  const copy = new Uint8Array(bytes);
  copy.set(reader.bytes.subarray(at, at + bytes));
  return copy;
}

function takeLongs(reader: ByteReader, count: number): Column {
  const valid = takeValidity(reader, count);
  const { buffer } = takeMemory(reader, count * 8);
  return { kind: 'i64', values: new BigInt64Array(buffer), words: new Int32Array(buffer), valid };
}

function takeRows(reader: ByteReader, type: DataType, count: number): Column {
  const decoder = new RowCodec([{ name: 'value', type, nullable: true }]).decoder();
  for (let row = 0; row < count; row++) decoder.add(reader);
  return decoder.columns(reader.bytes)[0]!;
}
