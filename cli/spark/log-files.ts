/**
 * The files of a Structured Streaming checkpoint as text. Each begins with its version on a line of its own.
 *
 * Source: Spark's OffsetSeqLog (`offsets/N`: metadata, then an offset per source, `-` where it had none; in v2 the
 * name of the source and a colon before it), CommitLog (`commits/N`: metadata) and HDFSMetadataLog (`sources/I/0`: where a Kafka source began).
 */
import { WeirError } from '../../core/errors.ts';

/** What a batch was planned to read: the end of every source, and the watermark in force. */
export interface PlannedBatch {
  /** By the source's index, or its name in v2; null = the source had nothing to give yet. */
  readonly ends: ReadonlyMap<string, unknown>;
  /** ms since 1970; null = none yet, which Spark writes as 0. */
  readonly watermarkMs: number | null;
}

/** Next offset to process, by topic and partition. */
export type TopicOffsets = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** Throws: CHECKPOINT_MALFORMED naming `path`. */
export function parsePlannedBatch(path: string, text: string): PlannedBatch {
  const [version, metadata = '', ...rest] = linesOf(path, text, ['v1', 'v2']);
  const { batchWatermarkMs } = parseObject(path, metadata);
  return {
    ends:
      version === 'v2' ? namedEnds(path, rest) : new Map(rest.map((line, index) => [String(index), end(path, line)])),
    watermarkMs: watermarkOf(batchWatermarkMs),
  };
}

/** The watermark of the batch after the committed one, ms; undefined in commits of versions that did not write it. */
export function parseCommit(path: string, text: string): number | null | undefined {
  const [, metadata = '{}'] = linesOf(path, text, ['v1', 'v2']);
  const { nextBatchWatermarkMs } = parseObject(path, metadata);
  return nextBatchWatermarkMs === undefined ? undefined : watermarkOf(nextBatchWatermarkMs);
}

/** Where a Kafka source began: its first offsets, behind a zero byte that old versions read over. */
export function parseFirstOffsets(path: string, text: string): unknown {
  const [, offsets = ''] = linesOf(path, text.replace(/^\0/, ''), ['v1']);
  return end(path, offsets);
}

/** undefined where it is the offset of another kind of source. Throws: CHECKPOINT_MALFORMED. */
export function kafkaOffsets(path: string, value: unknown): TopicOffsets | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const topics = new Map<string, ReadonlyMap<number, number>>();
  for (const [topic, partitions] of Object.entries(value)) {
    if (typeof partitions !== 'object' || partitions === null) return undefined;
    const offsets = new Map<number, number>();
    for (const [partition, offset] of Object.entries(partitions as object)) {
      if (!/^\d+$/.test(partition)) return undefined;
      if (!Number.isSafeInteger(offset) || (offset as number) < 0)
        throw malformed(path, `partition ${partition} of ${topic} stands at ${JSON.stringify(offset)}`);
      offsets.set(Number(partition), offset as number);
    }
    topics.set(topic, offsets);
  }
  return topics;
}

/** What kind of source writes such an offset, for people. */
export function kindOfSource(value: unknown): string {
  if (typeof value === 'number') return 'a rate or socket source';
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  if (keys.includes('logOffset')) return 'a source of files';
  return keys.includes('reservoirVersion') ? 'a Delta table' : 'no Kafka source';
}

function linesOf(path: string, text: string, versions: readonly string[]): string[] {
  const lines = text.replace(/\n$/, '').split('\n');
  const [version = ''] = lines;
  if (versions.includes(version)) return lines;
  if (/^v\d+$/.test(version)) throw malformed(path, `its version is ${version}; known are ${versions.join(' and ')}`);
  throw malformed(path, text === '' ? 'it is empty, as a crash may leave it' : 'it does not begin with a version');
}

function namedEnds(path: string, lines: readonly string[]): ReadonlyMap<string, unknown> {
  return new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      if (colon <= 0) throw malformed(path, `"${line.slice(0, 40)}" names no source`);
      return [line.slice(0, colon), end(path, line.slice(colon + 1))];
    }),
  );
}

function end(path: string, line: string): unknown {
  return line === '-' ? null : parse(path, line);
}

function watermarkOf(ms: unknown): number | null {
  return typeof ms === 'number' && ms > 0 ? ms : null;
}

function parseObject(path: string, text: string): Readonly<Record<string, unknown>> {
  const value = parse(path, text);
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw malformed(path, `${text.slice(0, 40)} is no object`);
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw malformed(path, `"${text.slice(0, 40)}" is no JSON`);
  }
}

function malformed(path: string, why: string): WeirError {
  return new WeirError('CHECKPOINT_MALFORMED', `The file ${path} is none of a Spark checkpoint: ${why}.`);
}
