/** Reads the records of a topic partition from an offset to its end, for tests of jobs: small topics, all at once. */
import { offset, partition } from '../../core/ids.ts';
import type { Partition } from '../../core/ids.ts';
import type { Source } from '../../core/ports.ts';
import { isAbortMarker, readBatchHeaders, visibleBatches } from '../../core/record-batch.ts';
import { ByteBuffer } from '../../engine/byte-buffer.ts';
import { decodeBatch, RecordIndex, visitHeaders } from '../../engine/codecs/decode-records.ts';

export interface LogRecord {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: ReadonlyMap<string, string>;
}

const FETCH_BYTES = 4 * 1024 * 1024;

/** The records in `[from, end)` that a read_committed reader sees, where `end` is the end as of this call. */
export async function readLog(source: Source, topic: string, from: number, part = 0): Promise<LogRecord[]> {
  const at = partition(part);
  const end = (await source.offsets(topic, [at], 'latest')).get(at) ?? offset(0);
  if (end <= from) return [];
  const reader = source.open(await source.describe(topic));
  try {
    const records: LogRecord[] = [];
    for (let next = from; next < end;) {
      next = await readSome(reader, at, next, end, records);
    }
    return records;
  } finally {
    await reader.close();
  }
}

async function readSome(
  reader: ReturnType<Source['open']>,
  at: Partition,
  from: number,
  end: number,
  into: LogRecord[],
): Promise<number> {
  const { bytes, aborted } = await reader.fetch({
    partition: at,
    offset: offset(from),
    maxBytes: FETCH_BYTES,
    maxWaitMs: 1000,
  });
  const headers = readBatchHeaders(bytes);
  const visible = visibleBatches(headers, aborted, (header) => isAbortMarker(bytes, header));
  for (const [index, { start, end: stop, baseOffset }] of headers.entries()) {
    if (visible[index] !== true) continue;
    const arena = new ByteBuffer();
    const records = new RecordIndex();
    const batch = { start, end: stop, baseOffset, baseTimeUs: 0, stride: 1, fromOffset: from, toOffset: end };
    decodeBatch(bytes, batch, arena, records);
    for (let row = 0; row < records.count; row++) into.push(recordAt(arena, records, row));
  }
  return headers.at(-1)?.nextOffset ?? from;
}

function recordAt(arena: ByteBuffer, records: RecordIndex, row: number): LogRecord {
  const text = (from: number, length: number): string | null =>
    length < 0 ? null : new TextDecoder().decode(arena.bytes.subarray(from, from + length));
  const headers = new Map<string, string>();
  visitHeaders(arena.bytes, records.headersStart[row] ?? 0, arena.length, (nameStart, nameLength, start, length) => {
    headers.set(text(nameStart, nameLength) ?? '', text(start, length) ?? '');
  });
  return {
    offset: records.offset[row] ?? -1,
    key: text(records.keyStart[row] ?? 0, records.keyLength[row] ?? -1),
    value: text(records.valueStart[row] ?? 0, records.valueLength[row] ?? -1),
    headers,
  };
}
