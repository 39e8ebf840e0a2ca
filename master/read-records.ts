/** Fetches pieces of logs for people: small, read_committed, across partitions. Decoding is the lab's work. */
import { WeirError } from '../core/errors.ts';
import type { Offset, Partition } from '../core/ids.ts';
import { offset as offsetOf } from '../core/ids.ts';
import type { Source, SourceReader, TopicDescription } from '../core/ports.ts';
import { isAbortMarker, readBatchHeaders, visibleBatches } from '../core/record-batch.ts';
import type { LogPiece } from './lab.ts';

export type ReadFrom =
  | 'earliest'
  | 'latest'
  | { readonly offset: number }
  | { readonly timestampMs: number }
  /** By partition, where a read before ended; with `newest` no more than the last ones. */
  | { readonly next: ReadonlyMap<number, number>; readonly newest: boolean };

export interface ReadPieces {
  readonly pieces: readonly LogPiece[];
  /** By partition: where the next read goes on. */
  readonly next: ReadonlyMap<number, number>;
  /** Offsets that were left out because newer ones were wanted. */
  readonly skipped: number;
}

const FETCH_BYTES = 512 * 1024;
const FETCH_WAIT_MS = 500;
const FETCHES_MAX = 20;

/**
 * About `limit` records of each of these partitions from a place on; `latest` = those before the end. `sourceName` goes
 * into the pieces. Throws: TOPIC_NOT_FOUND, SOURCE_UNAVAILABLE, NOT_FOUND for a partition that is not there.
 */
export async function readPieces(
  source: Source,
  topic: TopicDescription,
  partitions: readonly Partition[],
  from: ReadFrom,
  limit: number,
  sourceName = '',
): Promise<ReadPieces> {
  const missing = partitions.find((one) => !topic.partitions.includes(one));
  if (missing !== undefined)
    throw new WeirError(
      'NOT_FOUND',
      `Topic ${topic.topic} has no partition ${missing}; it has ${topic.partitions.length}.`,
    );
  const [starts, ends] = await Promise.all([
    source.offsets(topic.topic, partitions, 'earliest'),
    source.offsets(topic.topic, partitions, 'latest'),
  ]);
  const begin = await beginOf(source, topic.topic, partitions, from, limit, starts, ends);
  if (partitions.every((one) => (begin.get(one) ?? 0) >= (ends.get(one) ?? 0)))
    return { pieces: [], next: new Map(partitions.map((one) => [one, ends.get(one) ?? 0])), skipped: 0 };
  const reader = source.open(topic);
  try {
    const pieces: LogPiece[] = [];
    const next = new Map<number, number>();
    for (const partition of partitions) {
      const end = ends.get(partition) ?? 0;
      const first = Math.min(Math.max(begin.get(partition) ?? 0, starts.get(partition) ?? 0), end);
      const read = await readPartition(reader, partition, first, end, limit, sourceName);
      pieces.push(...read.pieces);
      next.set(partition, read.next);
    }
    return { pieces, next, skipped: skippedBy(from, begin) };
  } finally {
    await reader.close();
  }
}

async function beginOf(
  source: Source,
  topic: string,
  partitions: readonly Partition[],
  from: ReadFrom,
  limit: number,
  starts: ReadonlyMap<Partition, Offset>,
  ends: ReadonlyMap<Partition, Offset>,
): Promise<ReadonlyMap<Partition, number>> {
  if (from === 'earliest') return starts;
  if (from === 'latest') return new Map(partitions.map((one) => [one, (ends.get(one) ?? 0) - limit]));
  if ('next' in from) {
    return new Map(
      partitions.map((one) => {
        const [start, end] = [starts.get(one) ?? 0, ends.get(one) ?? 0];
        const at = from.next.get(one) ?? start;
        // Behind the end: the topic is another one than it was.
        const first = at > end ? start : at;
        return [one, from.newest ? Math.max(first, end - limit) : first];
      }),
    );
  }
  if ('offset' in from) return new Map(partitions.map((one) => [one, from.offset]));
  return source.offsets(topic, partitions, from);
}

function skippedBy(from: ReadFrom, begin: ReadonlyMap<number, number>): number {
  if (typeof from === 'string' || !('next' in from)) return 0;
  return [...from.next].reduce((sum, [partition, at]) => sum + Math.max(0, (begin.get(partition) ?? at) - at), 0);
}

async function readPartition(
  reader: SourceReader,
  partition: Partition,
  first: number,
  end: number,
  limit: number,
  source: string,
): Promise<{ readonly pieces: LogPiece[]; readonly next: number }> {
  const pieces: LogPiece[] = [];
  let at = first;
  let records = 0;
  for (let fetches = 0; at < end && records < limit && fetches < FETCHES_MAX; fetches++) {
    const { bytes, aborted } = await reader.fetch({
      partition,
      offset: offsetOf(at),
      maxBytes: FETCH_BYTES,
      maxWaitMs: FETCH_WAIT_MS,
    });
    const headers = readBatchHeaders(bytes);
    const last = headers.at(-1);
    if (last === undefined) break;
    const visible = visibleBatches(headers, aborted, (header) => isAbortMarker(bytes, header));
    const data = headers.filter((header, index) => visible[index] === true && header.recordCount > 0);
    const to = Math.min(end, last.nextOffset);
    const kept = upTo(data, at, limit - records);
    const stop = kept.full ? Math.min(to, kept.to) : to;
    records += kept.records;
    pieces.push({
      source,
      partition,
      bytes,
      batches: kept.batches.map(({ start, end: stopByte, baseOffset, maxTimestampMs }) => ({
        start,
        end: stopByte,
        baseOffset,
        maxTimestampMs,
      })),
      from: at,
      to: stop,
    });
    at = stop;
  }
  return { pieces, next: at };
}

type Header = ReturnType<typeof readBatchHeaders>[number];

/** The first batches that hold about `count` records at or after `from`. */
function upTo(
  headers: readonly Header[],
  from: number,
  count: number,
): { readonly batches: readonly Header[]; readonly to: number; readonly records: number; readonly full: boolean } {
  const batches: Header[] = [];
  let records = 0;
  for (const header of headers) {
    if (header.nextOffset <= from) continue;
    batches.push(header);
    const begin = Math.max(from, header.baseOffset);
    if (records + header.nextOffset - begin >= count)
      return { batches, to: begin + count - records, records: count, full: true };
    records += header.nextOffset - begin;
  }
  return { batches, to: from, records, full: false };
}
