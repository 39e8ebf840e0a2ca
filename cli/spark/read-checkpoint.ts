/** The directory of a Structured Streaming checkpoint: where its query stands after the last batch that it committed. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { WeirError } from '../../core/errors.ts';
import type { TopicOffsets } from './log-files.ts';
import { kafkaOffsets, kindOfSource, parseCommit, parseFirstOffsets, parsePlannedBatch } from './log-files.ts';

export interface SparkCheckpoint {
  /** The id of the query. */
  readonly queryId: string;
  /** The last batch with a commit; null = none was committed. */
  readonly committed: number | null;
  /** Batches that were planned and have no commit: some of their rows may be in the sink. */
  readonly planned: readonly number[];
  /** Next offsets to process, of all sources together. */
  readonly offsets: TopicOffsets;
  /** ms since 1970; null = none was reached. `formerMs` was in force in the last committed batch. */
  readonly watermark: { readonly currentMs: number; readonly formerMs: number | null } | null;
}

/**
 * Reads `metadata`, `offsets/`, `commits/` and, where nothing was committed, `sources/`; changes nothing. The query must
 * not run meanwhile: nobody can tell from here.
 *
 * Throws: NOT_FOUND; CHECKPOINT_MALFORMED; UNSUPPORTED for sources that are no topics.
 */
export function readSparkCheckpoint(directory: string): SparkCheckpoint {
  const queryId = readQueryId(directory);
  const batches = numbersIn(directory, 'offsets');
  const committed = numbersIn(directory, 'commits').at(-1) ?? null;
  const planned = batches.filter((batch) => committed === null || batch > committed);
  if (committed === null) {
    const offsets = mergeSources(firstOffsets(directory), directory);
    return { queryId, committed, planned, offsets, watermark: null };
  }
  const path = join(directory, 'offsets', String(committed));
  const batch = parsePlannedBatch(path, read(path));
  const commitPath = join(directory, 'commits', String(committed));
  const next = parseCommit(commitPath, read(commitPath));
  const currentMs = next === undefined ? batch.watermarkMs : next;
  return {
    queryId,
    committed,
    planned,
    offsets: mergeSources(batch.ends, path),
    watermark: currentMs === null ? null : { currentMs, formerMs: batch.watermarkMs },
  };
}

function readQueryId(directory: string): string {
  const path = join(directory, 'metadata');
  try {
    const { id } = JSON.parse(read(path)) as { readonly id?: unknown };
    if (typeof id === 'string') return id;
  } catch (error) {
    if (error instanceof WeirError) {
      const remedy = 'Name the directory that checkpointLocation names, the one with offsets/ and commits/ in it';
      throw new WeirError('NOT_FOUND', `${directory} is no Spark checkpoint: ${error.message} ${remedy}.`, {
        cause: error,
      });
    }
  }
  throw new WeirError('CHECKPOINT_MALFORMED', `The file ${path} does not give the id of a query.`);
}

/** Where each source began, from `sources/I/0`. */
function firstOffsets(directory: string): ReadonlyMap<string, unknown> {
  const found = new Map<string, unknown>();
  for (const source of numbersIn(directory, 'sources')) {
    const path = join(directory, 'sources', String(source), '0');
    found.set(String(source), parseFirstOffsets(path, read(path)));
  }
  if (found.size > 0) return found;
  throw new WeirError(
    'CHECKPOINT_MALFORMED',
    `The query of ${directory} never decided where to begin: there is no committed batch and no sources/0/0. Apply the job with --from earliest or --from latest.`,
  );
}

/** Throws: UNSUPPORTED; also where two sources read the same partition and stand at different offsets. */
function mergeSources(ends: ReadonlyMap<string, unknown>, path: string): TopicOffsets {
  const all = new Map<string, Map<number, number>>();
  for (const [source, value] of ends) {
    if (value === null) continue;
    const topics = kafkaOffsets(path, value);
    if (topics === undefined)
      throw new WeirError(
        'UNSUPPORTED',
        `Source ${source} of the query is ${kindOfSource(value)}: only Kafka's offsets mean the same here. Leave what it has read out by its own options, and apply the job with --from.`,
      );
    for (const [topic, partitions] of topics) {
      const known = all.get(topic) ?? new Map<number, number>();
      all.set(topic, known);
      for (const [partition, offset] of partitions) {
        const other = known.get(partition);
        if (other !== undefined && other !== offset)
          throw new WeirError(
            'UNSUPPORTED',
            `Two sources of the query read partition ${partition} of ${topic} and stand at ${other} and ${offset}. Let the query come to rest with Trigger.AvailableNow, so that both stand at the end, and import then.`,
          );
        known.set(partition, offset);
      }
    }
  }
  if (all.size > 0) return all;
  throw new WeirError(
    'UNSUPPORTED',
    `The query of ${path} has read no topic so far. Apply the job with --from earliest or --from latest.`,
  );
}

/** Numbers among the names of a folder, ascending; none when it is not there. Checksums and temporary files are none. */
function numbersIn(directory: string, folder: string): number[] {
  let names: string[];
  try {
    names = readdirSync(join(directory, folder));
  } catch {
    return [];
  }
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .toSorted((a, b) => a - b);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WeirError('NOT_FOUND', `The file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`, {
      cause,
    });
  }
}
