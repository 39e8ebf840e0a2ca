/** Rows of parts (core/row-sink.ts) as streams of PostgreSQL's binary COPY. */
import type { BatchPart } from '../../core/row-sink.ts';

/** Signature, flags, no header extension. */
const HEADER = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex');
const TRAILER = Buffer.from('ffff', 'hex');

/** Rows that are to be written, as bytes of one stream each. */
export interface CopyRows {
  readonly upserts: readonly Uint8Array[];
  /** Keys of rows that go. */
  readonly deletes: readonly Uint8Array[];
}

/** The tuples between the header and the trailer of a stream. */
export function copyStream(tuples: readonly Uint8Array[]): Uint8Array[] {
  return [HEADER, ...tuples, TRAILER];
}

/** The rows of a part that are wanted, by index; neighbours stay together. */
export function rowsOfPart(part: BatchPart, isWanted: ((row: number) => boolean) | null): CopyRows {
  const { bytes, deletes } = part;
  if (isWanted === null && deletes === null) return { upserts: part.rowCount === 0 ? [] : [bytes], deletes: [] };
  const ends = part.ends ?? new Uint32Array(0);
  const kept: { readonly upserts: Uint8Array[]; readonly deletes: Uint8Array[] } = { upserts: [], deletes: [] };
  const isDelete = (row: number): boolean => deletes !== null && deletes[row] === 1;
  const wanted = (row: number): boolean => isWanted === null || isWanted(row);
  for (let from = 0; from < part.rowCount; from++) {
    if (!wanted(from)) continue;
    let to = from + 1;
    while (to < part.rowCount && wanted(to) && isDelete(to) === isDelete(from)) to++;
    const start = from === 0 ? 0 : (ends[from - 1] ?? 0);
    (isDelete(from) ? kept.deletes : kept.upserts).push(bytes.subarray(start, ends[to - 1]));
    from = to - 1;
  }
  return kept;
}
