/** The dead letter that stands for a range of offsets that were gone before they were read. */
import type { RowBlock } from '../core/row-block.ts';
import { DEAD_LETTER_BUCKET_OFFSETS } from './dead-letters.ts';
import { int, letterRow, long, text } from './letter-row.ts';

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
  return { rowCount: 1, bytes: letterRow(values) };
}
