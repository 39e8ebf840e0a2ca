/**
 * What is in a place of files: one entry per epoch under `_weir_log/<job>/<run>/`, created once and never changed. A file
 * counts from the moment that an entry names it.
 */
import type { EpochPlace } from '../../core/row-sink.ts';
import type { FilePlace } from './file-place.ts';

const FORMAT_VERSION = 1;

export interface LoggedFile {
  readonly name: string;
  /** Where it was written first; absent = under its name. */
  readonly staged?: string;
  readonly rows: number;
  readonly bytes: number;
}

export interface LogEntry {
  readonly formatVersion: number;
  readonly job: string;
  readonly run: number;
  /** Spark's batch id. */
  readonly epoch: number;
  readonly files: readonly LoggedFile[];
}

export function entryOf({ job, run, epoch }: EpochPlace, files: readonly LoggedFile[]): LogEntry {
  return { formatVersion: FORMAT_VERSION, job, run, epoch, files };
}

export function entryName({ job, run, epoch }: Pick<LogEntry, 'job' | 'run' | 'epoch'>): string {
  return `${logFolder(job)}${padded(run, 6)}/${padded(epoch, 12)}.json`;
}

/** Folder of one attempt, for what is not to be seen yet. */
export function stagingFolder({ job, run, epoch, token, attempt }: EpochPlace): string {
  return `${logFolder(job)}staged/${run}-${epoch}-${token}-${attempt}/`;
}

export function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

export async function readEntry(place: FilePlace, name: string): Promise<LogEntry | undefined> {
  const bytes = await place.read(name);
  return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString('utf8')) as LogEntry);
}

/** Files of the job that count, in the order of their epochs. Throws what the place throws. */
export async function committedFiles(place: FilePlace, job: string): Promise<readonly LoggedFile[]> {
  const names = (await place.list(logFolder(job)))
    .map(({ name }) => name)
    .filter((name) => /\/\d+\/[\w-]+\.json$/.test(name));
  const entries = (await Promise.all(names.map((name) => readEntry(place, name)))).filter(
    (entry) => entry !== undefined,
  );
  return entries.flatMap(({ files }) => files);
}

function logFolder(job: string): string {
  return `_weir_log/${job}/`;
}
