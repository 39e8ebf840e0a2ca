/**
 * What is in a place of files: one entry per epoch under `_weir_log/<job>/<run>/`, and one per merge of small files under
 * `_weir_log/<job>/merged/`; entries are created once and never changed. A file counts from the moment that an entry names
 * it, until an entry of a merge says that another one holds its rows.
 */
import type { EpochPlace } from '../../core/row-sink.ts';
import type { FilePlace } from './file-place.ts';

const FORMAT_VERSION = 1;
/** Folder of all jobs' logs. */
const LOG = '_weir_log/';
/** Entries that are read at once. */
const READS_AT_ONCE = 16;

export interface LoggedFile {
  readonly name: string;
  /** Where it was written first, and still is until somebody gives it its name; absent = under its name. */
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

/** Small files became larger ones. */
export interface MergeEntry {
  readonly formatVersion: number;
  readonly job: string;
  /** Consecutive, from 0: who creates an entry has seen all before it, so that no two merges take the same file. */
  readonly merge: number;
  /** Names of the files whose rows are in {@link files} now. */
  readonly replaces: readonly string[];
  readonly files: readonly LoggedFile[];
}

export function entryOf({ job, run, epoch }: EpochPlace, files: readonly LoggedFile[]): LogEntry {
  return { formatVersion: FORMAT_VERSION, job, run, epoch, files };
}

export function mergeOf(
  job: string,
  merge: number,
  replaces: readonly string[],
  files: readonly LoggedFile[],
): MergeEntry {
  return { formatVersion: FORMAT_VERSION, job, merge, replaces, files };
}

export function entryName({ job, run, epoch }: Pick<LogEntry, 'job' | 'run' | 'epoch'>): string {
  return `${logFolder(job)}${padded(run, 6)}/${padded(epoch, 12)}.json`;
}

export function mergeName({ job, merge }: Pick<MergeEntry, 'job' | 'merge'>): string {
  return `${mergeFolder(job)}${padded(merge, 9)}.json`;
}

/** Folder of one attempt, for what is not to be seen yet. */
export function stagingFolder({ job, run, epoch, token, attempt }: EpochPlace): string {
  return `${logFolder(job)}staged/${run}-${epoch}-${token}-${attempt}/`;
}

/** The same for a merge; `id` tells those apart that want to be the same number. */
export function mergeStagingFolder(job: string, merge: number, id: string): string {
  return `${logFolder(job)}staged/m${merge}-${id}/`;
}

export function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

export async function readEntry(place: FilePlace, name: string): Promise<LogEntry | undefined> {
  return await readJson<LogEntry>(place, name);
}

async function readJson<T>(place: FilePlace, name: string): Promise<T | undefined> {
  const bytes = await place.read(name);
  return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString('utf8')) as T);
}

/** The log of a job as far as it was read: entries do not change, so each is read once. */
export class FilesLog {
  readonly #place: FilePlace;
  readonly #job: string;
  readonly #epochs = new Map<string, readonly LoggedFile[]>();
  readonly #merges = new Map<string, MergeEntry>();

  constructor(place: FilePlace, job: string) {
    this.#place = place;
    this.#job = job;
  }

  /** Reads what came since the last call. Throws what the place throws. */
  async refresh(): Promise<void> {
    const names = (await this.#place.list(logFolder(this.#job))).map(({ name }) => name);
    const fresh = names.filter((name) => isEntry(name) && !this.#epochs.has(name) && !this.#merges.has(name));
    for (let from = 0; from < fresh.length; from += READS_AT_ONCE)
      await Promise.all(fresh.slice(from, from + READS_AT_ONCE).map((name) => this.#read(name)));
  }

  /** In their order. */
  get merges(): readonly MergeEntry[] {
    return [...this.#merges.values()].sort((a, b) => a.merge - b.merge);
  }

  /** Files that count: those of epochs in the order of these, then those of merges. */
  get files(): readonly LoggedFile[] {
    const { merges } = this;
    const replaced = new Set(merges.flatMap(({ replaces }) => replaces));
    const epochs = [...this.#epochs].sort(([a], [b]) => (a < b ? -1 : 1));
    return [...epochs.flatMap(([, files]) => files), ...merges.flatMap(({ files }) => files)].filter(
      ({ name }) => !replaced.has(name),
    );
  }

  async #read(name: string): Promise<void> {
    if (name.startsWith(mergeFolder(this.#job))) {
      const entry = await readJson<MergeEntry>(this.#place, name);
      if (entry !== undefined) this.#merges.set(name, entry);
      return;
    }
    const entry = await readEntry(this.#place, name);
    if (entry !== undefined) this.#epochs.set(name, entry.files);
  }
}

/** Jobs that have written here, by name. Throws what the place throws. */
export async function jobsIn(place: FilePlace): Promise<readonly string[]> {
  const names = (await place.list(LOG)).map(({ name }) => name.slice(LOG.length));
  return [
    ...new Set(names.flatMap((name) => (name.includes('/') ? [name.slice(0, name.indexOf('/'))] : []))),
  ].toSorted();
}

/** Files of the job that count. Throws what the place throws. */
export async function committedFiles(place: FilePlace, job: string): Promise<readonly LoggedFile[]> {
  const log = new FilesLog(place, job);
  await log.refresh();
  return log.files;
}

/**
 * The bytes of a file that counts, also while it waits for its name; undefined = it was merged into another one since the
 * log was read, which is to be read again.
 */
export async function readCommitted(place: FilePlace, file: LoggedFile): Promise<Uint8Array | undefined> {
  const named = await place.read(file.name);
  if (named !== undefined || file.staged === undefined) return named;
  // Between the two looks it may have been given its name.
  return (await place.read(file.staged)) ?? (await place.read(file.name));
}

/** Gives a file the name that it counts under; does nothing where it was merged into another one meanwhile. */
export async function giveName(place: FilePlace, job: string, { name, staged }: LoggedFile): Promise<void> {
  if (staged === undefined) return;
  try {
    await place.move(staged, name);
  } catch (error) {
    const log = new FilesLog(place, job);
    await log.refresh();
    if (!log.merges.some(({ replaces }) => replaces.includes(name))) throw error;
  }
}

function isEntry(name: string): boolean {
  return /\/(\d+|merged)\/\d+\.json$/.test(name);
}

function logFolder(job: string): string {
  return `${LOG}${job}/`;
}

function mergeFolder(job: string): string {
  return `${logFolder(job)}merged/`;
}
