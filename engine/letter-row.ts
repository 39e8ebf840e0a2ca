/** Single rows of `weir.dead_letters`, for what is no record of a task. */
import { ROW_HEADER_BYTES, ROW_OP_UPSERT, VALUE_NULL } from '../core/row-block.ts';

/** A row of a RowBlock: the values in the order of the columns, then its write time in µs. */
export function letterRow(values: readonly (Buffer | null)[]): Buffer {
  const body = Buffer.concat(values.map(bindValue));
  const header = Buffer.alloc(ROW_HEADER_BYTES);
  header.writeUInt32BE(body.byteLength);
  header.writeUInt8(ROW_OP_UPSERT, 4);
  return Buffer.concat([header, body]);
}

function bindValue(value: Buffer | null): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(value === null ? VALUE_NULL : value.byteLength);
  return value === null ? length : Buffer.concat([length, value]);
}

/** A column's value. */
export function text(value: string): Buffer {
  return Buffer.from(value, 'utf8');
}

/** A column's value. */
export function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** A column's value. */
export function long(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}
