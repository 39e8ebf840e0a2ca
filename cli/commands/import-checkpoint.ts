/** `weir import-checkpoint PATH --job FILE`: a job that goes on where a Structured Streaming query stood. */
import { WeirError } from '../../core/errors.ts';
import { loadJobFile } from '../../core/job/file.ts';
import type { Imported } from '../../master/service.ts';
import type { ImportRequest } from '../../master/import-start.ts';
import { MasterClient } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { readJobFile, renderJobProblems } from '../job-files.ts';
import { jobPath } from '../names.ts';
import { formatCount, formatTable, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import type { SparkCheckpoint } from '../spark/read-checkpoint.ts';
import { readSparkCheckpoint } from '../spark/read-checkpoint.ts';

export interface ImportOptions extends GlobalOptions {
  readonly job?: string;
  readonly dryRun?: boolean;
  readonly dropState?: boolean;
}

/**
 * Prints where every partition begins; with `--dry-run` nothing is changed. Returns the exit code. Throws: USAGE; as
 * {@link readSparkCheckpoint}; what the master answers with.
 */
export async function importCheckpoint(directory: string, options: ImportOptions): Promise<number> {
  const format = outputFormat(options, ['table', 'json']);
  if (options.job === undefined)
    throw new WeirError('USAGE', 'Name the job that goes on there: weir import-checkpoint PATH --job FILE.');
  const file = readJobFile(options.job);
  const { spec, problems } = loadJobFile(file.text);
  if (spec === null) return refused(renderJobProblems(file, problems));
  const checkpoint = readSparkCheckpoint(directory);
  describeCheckpoint(checkpoint);
  const request: ImportRequest & { readonly file: string } = {
    file: file.text,
    offsets: [...checkpoint.offsets].flatMap(([topic, partitions]) =>
      [...partitions].map(([partition, offset]) => ({ topic, partition, offset })),
    ),
    watermark: checkpoint.watermark,
    dropState: options.dropState === true,
  };
  const dryRun = options.dryRun === true;
  const client = new MasterClient(target(options));
  const answer = await client.requestOrProblems<Imported>(
    'POST',
    `${jobPath(spec.name)}/import?dryRun=${dryRun}`,
    request,
  );
  if ('problems' in answer) return refused(renderJobProblems(file, answer.problems));
  if (format === 'json') printJson({ checkpoint: documentOf(checkpoint), ...answer.value });
  else printPartitions(answer.value);
  describeOutcome(answer.value, spec.name);
  return exitCodes.ok;
}

function refused(text: string): number {
  tell(text);
  return exitCodes.invalid;
}

function describeCheckpoint({ queryId, committed, planned, watermark }: SparkCheckpoint): void {
  tell(
    `query ${queryId}: ${committed === null ? 'no batch was committed' : `batch ${committed} is the last committed`}`,
  );
  if (planned.length > 0)
    tell(
      `warning: ${planned.length === 1 ? `batch ${planned[0]} was` : `batches ${planned[0]} to ${planned.at(-1)} were`} planned and not committed: its rows may be in the sink already, in part. They are made again here; a sink with a primary key holds them once, one without may hold them twice.`,
    );
  if (watermark !== null) tell(`watermark ${new Date(watermark.currentMs).toISOString()}`);
}

function printPartitions({ partitions }: Imported): void {
  const rows = partitions.map(({ source, topic, partition, offset, end, isNew }) => [
    source,
    topic,
    String(partition),
    isNew ? `${offset} (new)` : String(offset),
    String(end),
    formatCount(Math.max(0, end - offset)),
  ]);
  print(formatTable(['SOURCE', 'TOPIC', 'PARTITION', 'OFFSET', 'END', 'BEHIND'], rows));
}

function describeOutcome({ outcome }: Imported, name: string): void {
  if (outcome.kind === 'refused') return;
  for (const warning of outcome.warnings) tell(`warning: ${name}: ${warning}`);
  if (outcome.kind === 'valid') tell(`${name} would begin there; nothing was changed`);
  else tell(`${name} ${outcome.change} (revision ${outcome.revision}, run ${outcome.run}) and begins there`);
}

function documentOf({ offsets, ...rest }: SparkCheckpoint): object {
  const topics = [...offsets].map(([topic, partitions]) => [topic, Object.fromEntries(partitions)] as const);
  return { ...rest, offsets: Object.fromEntries(topics) };
}
