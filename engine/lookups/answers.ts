/** What a lookup gave, as bytes to keep. */
import { WeirError } from '../../core/errors.ts';
import type { Documents, LookedUp } from './lookup-rows.ts';

export const ANSWERS_FORMAT_VERSION = 1;
/** Version, rows found, rows of keys that failed. */
const HEADER_BYTES = 12;

/** Version, the counts, where each document ends (u32, little-endian), and the documents. The table's name is not part of it. */
export function encodeAnswers({ rows, failed }: Pick<LookedUp, 'rows' | 'failed'>): Uint8Array<ArrayBuffer> {
  const ends = rows.ends.length + failed.ends.length;
  const bytes = new Uint8Array(HEADER_BYTES + ends * 4 + rows.bytes.byteLength + failed.bytes.byteLength);
  const view = new DataView(bytes.buffer);
  [ANSWERS_FORMAT_VERSION, rows.ends.length, failed.ends.length, ...rows.ends, ...failed.ends].forEach((value, index) =>
    view.setUint32(index * 4, value, true),
  );
  bytes.set(rows.bytes, HEADER_BYTES + ends * 4);
  bytes.set(failed.bytes, HEADER_BYTES + ends * 4 + rows.bytes.byteLength);
  return bytes;
}

/** Shares the memory of `bytes`. Throws: VERSION_MISMATCH, STATE_DAMAGED; `name` says of what. */
export function decodeAnswers(bytes: Uint8Array, name: string): Pick<LookedUp, 'rows' | 'failed'> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const damaged = (): WeirError => new WeirError('STATE_DAMAGED', `The answers ${name} are damaged.`);
  if (bytes.byteLength < HEADER_BYTES) throw damaged();
  const version = view.getUint32(0, true);
  if (version !== ANSWERS_FORMAT_VERSION)
    throw new WeirError(
      'VERSION_MISMATCH',
      `The answers ${name} have format ${version}; this version of Weir reads format ${ANSWERS_FORMAT_VERSION}.`,
    );
  const [found, failed] = [view.getUint32(4, true), view.getUint32(8, true)];
  const start = HEADER_BYTES + (found + failed) * 4;
  if (bytes.byteLength < start) throw damaged();
  const endsFrom = (first: number, count: number): Uint32Array =>
    Uint32Array.from({ length: count }, (_, index) => view.getUint32(HEADER_BYTES + (first + index) * 4, true));
  const rows: Documents = { ends: endsFrom(0, found), bytes: new Uint8Array() };
  const gone: Documents = { ends: endsFrom(found, failed), bytes: new Uint8Array() };
  const [middle, end] = [start + (rows.ends.at(-1) ?? 0), start + (rows.ends.at(-1) ?? 0) + (gone.ends.at(-1) ?? 0)];
  if (bytes.byteLength !== end) throw damaged();
  return {
    rows: { ...rows, bytes: bytes.subarray(start, middle) },
    failed: { ...gone, bytes: bytes.subarray(middle, end) },
  };
}

/** Documents of several answers, one behind the other. */
export function joinedDocuments(all: readonly Documents[]): Documents {
  const ends = new Uint32Array(all.reduce((sum, each) => sum + each.ends.length, 0));
  const bytes = new Uint8Array(all.reduce((sum, each) => sum + each.bytes.byteLength, 0));
  let at = 0;
  let start = 0;
  for (const each of all) {
    for (const end of each.ends) ends[at++] = start + end;
    bytes.set(each.bytes, start);
    start += each.bytes.byteLength;
  }
  return { bytes, ends };
}
