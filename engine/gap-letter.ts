/** The dead letter that stands for a range of offsets that were gone before they were read. */
import type { RowBlock } from '../core/row-block.ts';
import { ROW_HEADER_BYTES, ROW_OP_UPSERT, VALUE_NULL } from '../core/row-block.ts';
import { DEAD_LETTER_BUCKET_OFFSETS } from './dead-letters.ts';

export interface Gap {
  readonly job: string;
  readonly run: number;
  readonly topic: string;
  readonly partition: number;
  /** The offsets [from, to) are lost. */
  readonly from: number;
  readonly to: number;
  /** Write time of the row, µs. */
  readonly timeUs: number;
}

/** One row of `weir.dead_letters` at the gap's first offset; its place names the range. */
export function encodeGapLetter(gap: Gap): RowBlock {
  const values = [
    text(gap.job),
    int(gap.run),
    text(gap.topic),
    int(gap.partition),
    long(Math.floor(gap.from / DEAD_LETTER_BUCKET_OFFSETS)),
    long(gap.from),
    text('OFFSETS_LOST'),
    text(`offsets ${gap.from} to ${gap.to - 1}`),
    null,
    null,
    null,
    null,
    long(gap.timeUs),
  ];
  const body = Buffer.concat(values.map(bindValue));
  const header = Buffer.alloc(ROW_HEADER_BYTES);
  header.writeUInt32BE(body.byteLength);
  header.writeUInt8(ROW_OP_UPSERT, 4);
  return { rowCount: 1, bytes: Buffer.concat([header, body]) };
}

function bindValue(value: Buffer | null): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(value === null ? VALUE_NULL : value.byteLength);
  return value === null ? length : Buffer.concat([length, value]);
}

function text(value: string): Buffer {
  return Buffer.from(value, 'utf8');
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}
