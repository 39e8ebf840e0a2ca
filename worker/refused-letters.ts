/** The dead letters that stand for rows which a sink does not take: not the record, which was good, but what was made of it. */
import { createHash } from 'node:crypto';
import type { RowBlock } from '../core/row-block.ts';
import type { RefusedRow } from '../core/row-sink.ts';
import { DEAD_LETTER_BUCKET_OFFSETS, DEAD_LETTER_BYTES_MAX } from '../engine/dead-letters.ts';
import { int, letterRow, long, text } from '../engine/letter-row.ts';

export interface RefusedRows {
  readonly job: string;
  readonly run: number;
  /** Name of the sink within its job. */
  readonly sink: string;
  /** Write time, µs. A row that is refused again replaces itself. */
  readonly timeUs: number;
  readonly rows: readonly RefusedRow[];
}

/**
 * Rows of `weir.dead_letters` under the topic `sink:<name>`, which is none: they are not sent back to the source. The place
 * of a row is the one of its record; a row of an epoch, which has none, is found by a hash of its bytes.
 */
export function encodeRefusedLetters({ job, run, sink, timeUs, rows }: RefusedRows): RowBlock {
  const letters = rows.map(({ bytes, record, place }) => {
    const offset = record?.offset ?? hashOf(bytes);
    return letterRow([
      text(job),
      int(run),
      text(`sink:${sink}`),
      int(record?.partition ?? 0),
      long(Math.floor(offset / DEAD_LETTER_BUCKET_OFFSETS)),
      long(offset),
      text('SINK_REFUSED'),
      text(place),
      null,
      null,
      Buffer.from(bytes.subarray(0, DEAD_LETTER_BYTES_MAX)),
      int(bytes.byteLength),
      long(timeUs),
    ]);
  });
  return { rowCount: letters.length, bytes: Buffer.concat(letters) };
}

/** 48 bits. */
function hashOf(bytes: Uint8Array): number {
  return createHash('sha256').update(bytes).digest().readUIntBE(0, 6);
}
