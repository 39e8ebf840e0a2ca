/** The `traceparent` headers of fetched records: which spans of producers they belong to. */
import type { Offset } from '../../core/ids.ts';
import type { BatchHeader } from '../../core/record-batch.ts';
import { ATTRIBUTE_CONTROL, COMPRESSION_MASK, readBatchHeaders } from '../../core/record-batch.ts';
import type { TraceContext } from '../../core/telemetry/trace-context.ts';
import { parseTraceparent } from '../../core/telemetry/trace-context.ts';
import { ByteBuffer } from '../../engine/byte-buffer.ts';
import { RecordIndex, decodeBatch, visitHeaders } from '../../engine/codecs/decode-records.ts';

const NAME = Buffer.from('traceparent');
const VALUE_BYTES_MAX = 256;

export interface RecordContext {
  readonly offset: number;
  readonly context: TraceContext;
}

/**
 * Of the first `max` records at or after `from` that have one. Batches are decoded as stages do it, but here, on the
 * event loop: whoever traces pays for it. What is damaged has none; the stage that reads it says what is wrong.
 */
export function contextsIn(bytes: Uint8Array, from: Offset, max: number): RecordContext[] {
  const found: RecordContext[] = [];
  try {
    for (const header of readBatchHeaders(bytes)) {
      if (found.length >= max) break;
      if (mayHaveContexts(bytes, header)) addContexts(bytes, header, from, max, found);
    }
  } catch {
    // As far as it went.
  }
  return found;
}

/** Bytes that are not compressed show whether the name is among them at all. */
function mayHaveContexts(bytes: Uint8Array, { attributes, recordCount, start, end }: BatchHeader): boolean {
  if (recordCount === 0 || (attributes & ATTRIBUTE_CONTROL) !== 0) return false;
  if ((attributes & COMPRESSION_MASK) !== 0) return true;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).includes(NAME);
}

function addContexts(bytes: Uint8Array, header: BatchHeader, from: Offset, max: number, found: RecordContext[]): void {
  const arena = new ByteBuffer();
  const records = new RecordIndex();
  const { start, end, baseOffset } = header;
  const place = { start, end, baseOffset, baseTimeUs: 0, stride: 1, fromOffset: from, toOffset: Infinity };
  decodeBatch(bytes, place, arena, records);
  for (let row = 0; row < records.count && found.length < max; row++) {
    const offset = records.offset[row] ?? -1;
    visitHeaders(arena.bytes, records.headersStart[row] ?? 0, arena.length, (nameStart, nameLength, at, length) => {
      if (nameLength !== NAME.length || length < 0 || length > VALUE_BYTES_MAX) return;
      const { buffer, byteOffset } = arena.bytes;
      if (!Buffer.from(buffer, byteOffset + nameStart, nameLength).equals(NAME)) return;
      const context = parseTraceparent(Buffer.from(buffer, byteOffset + at, length).toString('latin1'));
      if (context !== null && found.length < max) found.push({ offset, context });
    });
  }
}
