/** Small files of one format as a larger one. */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { parquetMetadata } from 'hyparquet';
import { joinParquet } from './join-files.ts';

const zipped = promisify(gzip);
const unzipped = promisify(gunzip);
const QUOTE = 0x22;
const LINE_FEED = 0x0a;

export interface FileKind {
  readonly format: 'ndjson' | 'csv' | 'parquet';
  readonly gzip: boolean;
}

/** A file with what others must have in common with it, to be merged with it: its columns. */
export interface MergeInput {
  readonly bytes: Uint8Array;
  readonly columns: string;
}

/** Throws where the bytes are not of the format. */
export async function mergeInput({ format, gzip: isGzip }: FileKind, bytes: Uint8Array): Promise<MergeInput> {
  const plain = isGzip ? new Uint8Array(await unzipped(bytes)) : bytes;
  switch (format) {
    case 'ndjson':
      return { bytes: plain, columns: '' };
    case 'csv':
      return { bytes: plain, columns: Buffer.from(plain.subarray(0, behindFirstLine(plain))).toString('utf8') };
    case 'parquet': {
      // The reader takes a whole buffer.
      const { schema } = parquetMetadata(Uint8Array.from(plain).buffer);
      return { bytes: plain, columns: JSON.stringify(schema) };
    }
  }
}

/** The rows of all, one file after the other; they must have the same columns. */
export async function mergeFiles(
  { format, gzip: isGzip }: FileKind,
  inputs: readonly MergeInput[],
): Promise<Uint8Array> {
  const pieces = inputs.map(({ bytes }) => bytes);
  if (format === 'parquet') return joinParquet(pieces);
  const rows = format === 'csv' ? pieces.map((bytes, index) => (index === 0 ? bytes : withoutHeader(bytes))) : pieces;
  const whole = Buffer.concat(rows);
  return isGzip ? await zipped(whole) : whole;
}

function withoutHeader(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(behindFirstLine(bytes));
}

/** A name in the header may hold a line feed, in quotes. */
function behindFirstLine(bytes: Uint8Array): number {
  let quoted = false;
  for (let at = 0; at < bytes.byteLength; at++) {
    if (bytes[at] === QUOTE) quoted = !quoted;
    else if (bytes[at] === LINE_FEED && !quoted) return at + 1;
  }
  return bytes.byteLength;
}
