/** Reads the last records of a feed's topic: where the feed goes on, and what it appended lately. */
import { isWeirError } from '../../core/errors.ts';
import type { Json } from '../../core/feed/feed.ts';
import { CURSOR_HEADER } from '../../core/feed/feed.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import { offset } from '../../core/ids.ts';
import type { Source, SourceReader } from '../../core/ports.ts';
import { isAbortMarker, readBatchHeaders, visibleBatches } from '../../core/record-batch.ts';
import { ByteBuffer } from '../../engine/byte-buffer.ts';
import { RecordIndex, decodeBatch, visitHeaders } from '../../engine/codecs/decode-records.ts';

const FETCH_BYTES = 4 * 1024 * 1024;
const FETCH_WAIT_MS = 1000;
/** Offsets looked at for a cursor beside those that are remembered: markers of transactions take offsets too. */
const SLACK = 1000;

export interface TailRecord {
  readonly key: string | null;
  readonly value: Uint8Array;
}

export interface Tail {
  /** Of the last record that has one; null = there is none. */
  readonly cursor: Json;
  /** In the order of the log. */
  readonly records: readonly TailRecord[];
}

/**
 * The records of `[end − count, end)`, and further back until a cursor is found or the log begins.
 *
 * Throws: SOURCE_UNAVAILABLE, TOPIC_NOT_FOUND, BATCH_CORRUPT; the signal's reason.
 */
export async function readTail(
  source: Source,
  topic: string,
  partition: Partition,
  end: Offset,
  count: number,
  signal: AbortSignal,
): Promise<Tail> {
  const start = (await source.offsets(topic, [partition], 'earliest')).get(partition) ?? offset(0);
  const reader = source.open(await source.describe(topic));
  try {
    for (let span = count * 2 + SLACK; ; span *= 8) {
      const from = Math.max(start, end - span);
      const tail = await readSpan(reader, partition, from, end, signal);
      if (tail.cursor !== null || from === start) return { ...tail, records: tail.records.slice(-count) };
    }
  } finally {
    await reader.close();
  }
}

async function readSpan(
  reader: SourceReader,
  partition: Partition,
  from: number,
  end: number,
  signal: AbortSignal,
): Promise<Tail> {
  const records: TailRecord[] = [];
  let cursor: Json = null;
  for (let next = from; next < end;) {
    const request = { partition, offset: offset(next), maxBytes: FETCH_BYTES, maxWaitMs: FETCH_WAIT_MS, signal };
    let fetched: Awaited<ReturnType<SourceReader['fetch']>>;
    try {
      fetched = await reader.fetch(request);
    } catch (error) {
      // The log lost its beginning meanwhile.
      if (!isWeirError(error, 'OFFSET_OUT_OF_RANGE')) throw error;
      next = Math.max(next + 1, Number(error.facts['low']));
      continue;
    }
    const { bytes, aborted } = fetched;
    const headers = readBatchHeaders(bytes);
    const visible = visibleBatches(headers, aborted, (header) => isAbortMarker(bytes, header));
    for (const [index, header] of headers.entries()) {
      if (visible[index] !== true || header.recordCount === 0) continue;
      const arena = new ByteBuffer();
      const rows = new RecordIndex();
      const { start, end: stop, baseOffset } = header;
      decodeBatch(
        bytes,
        { start, end: stop, baseOffset, baseTimeUs: 0, stride: 1, fromOffset: next, toOffset: end },
        arena,
        rows,
      );
      for (let row = 0; row < rows.count; row++) {
        records.push(recordAt(arena, rows, row));
        cursor = cursorAt(arena, rows, row) ?? cursor;
      }
    }
    next = headers.at(-1)?.nextOffset ?? next;
  }
  return { cursor, records };
}

const decoder = new TextDecoder();

function recordAt(arena: ByteBuffer, rows: RecordIndex, row: number): TailRecord {
  const part = (from: number, length: number): Uint8Array => arena.bytes.slice(from, from + Math.max(0, length));
  const keyLength = rows.keyLength[row] ?? -1;
  return {
    key: keyLength < 0 ? null : decoder.decode(part(rows.keyStart[row] ?? 0, keyLength)),
    value: part(rows.valueStart[row] ?? 0, rows.valueLength[row] ?? -1),
  };
}

function cursorAt(arena: ByteBuffer, rows: RecordIndex, row: number): Json | undefined {
  let text: string | undefined;
  visitHeaders(arena.bytes, rows.headersStart[row] ?? 0, arena.length, (nameStart, nameLength, start, length) => {
    if (nameLength !== CURSOR_HEADER.length || length < 0) return;
    const name = decoder.decode(arena.bytes.subarray(nameStart, nameStart + nameLength));
    if (name === CURSOR_HEADER) text = decoder.decode(arena.bytes.subarray(start, start + length));
  });
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    // Somebody else's header of that name.
    return undefined;
  }
}
