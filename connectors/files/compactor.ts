/**
 * Merges small files of a job into larger ones, directory by directory, beside the sink that goes on writing.
 *
 *   what counts → small files of a directory → merged, where nobody looks → entry of the merge (created, never replaced)
 *               → last names → the small ones go
 *
 * The entry is the moment: before it the small files count, from it on the merged ones do, whoever dies in between. It
 * needs no right to write: of two that merge at the same time one creates the entry of that number, and the other one's
 * files are nothing.
 */
import type { Clock, Rng } from '../../core/clock.ts';
import type { FilePlace } from './file-place.ts';
import type { LoggedFile, MergeEntry } from './files-log.ts';
import { FilesLog, giveName, mergeName, mergeOf, mergeStagingFolder, padded, readCommitted } from './files-log.ts';
import type { FileKind, MergeInput } from './merge-files.ts';
import { mergeFiles, mergeInput } from './merge-files.ts';

/** Of one entry; what is more waits for the next round. */
const REPLACED_MAX = 1000;

export interface CompactorParts {
  readonly job: string;
  readonly place: FilePlace;
  readonly kind: FileKind;
  /** What names of files of this kind end with. */
  readonly suffix: string;
  /** Bytes; smaller files are merged until they are as large. */
  readonly below: number;
  readonly everyMs: number;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Told of a round that merged something. */
  readonly onMerged?: (replaced: number, files: number) => void;
  /** Told of a round that failed; the next one tries again. */
  readonly onFailure?: (error: unknown) => void;
}

/** A file on its way into a merged one. */
interface Candidate extends MergeInput {
  readonly file: LoggedFile;
}

export class Compactor {
  readonly #parts: CompactorParts;
  readonly #log: FilesLog;
  readonly #closing = new AbortController();
  #running: Promise<void> | null = null;
  /** Monotonic ms of the last round's begin. */
  #roundAt: number | null = null;
  /** The merge whose files have their names and whose replaced files are gone; -1 = nothing is known of any. */
  #finished = -1;

  constructor(parts: CompactorParts) {
    this.#parts = parts;
    this.#log = new FilesLog(parts.place, parts.job);
  }

  /** Begins a round in the background when one is due. The first call brings to its end what another one left. */
  tick(): void {
    if (this.#running !== null || this.#closing.signal.aborted) return;
    const now = this.#parts.clock.mono();
    const isFirst = this.#roundAt === null;
    if (this.#roundAt !== null && now - this.#roundAt < this.#parts.everyMs) return;
    this.#roundAt = now;
    this.#running = (isFirst ? this.#finishLast() : this.round())
      .catch((error: unknown) => this.#parts.onFailure?.(error))
      .finally(() => {
        this.#running = null;
      });
  }

  /** Ends what runs at the next file. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  /** One round. Throws what the place throws; whatever was done until then, the rows are there once. */
  async round(): Promise<void> {
    await this.#finishLast();
    const { job, place, rng, onMerged } = this.#parts;
    const merge = (this.#log.merges.at(-1)?.merge ?? -1) + 1;
    const folder = mergeStagingFolder(job, merge, rng.uuid().slice(0, 8));
    const replaces: string[] = [];
    const files: LoggedFile[] = [];
    for (const group of this.#groups()) {
      if (this.#closing.signal.aborted || replaces.length + group.length > REPLACED_MAX) break;
      for (const same of await this.#sameColumns(group)) {
        const bytes = await mergeFiles(this.#parts.kind, same);
        const file = this.#named(merge, folder, files.length, same, bytes);
        await place.write(file.staged ?? file.name, bytes);
        files.push(file);
        replaces.push(...same.map(({ file: { name } }) => name));
      }
    }
    if (files.length === 0) return;
    const entry = mergeOf(job, merge, replaces, files);
    if (!(await place.create(mergeName(entry), Buffer.from(`${JSON.stringify(entry)}\n`)))) {
      await place.remove(files.map(({ name, staged }) => staged ?? name));
      return;
    }
    onMerged?.(replaces.length, files.length);
    // Where files do not move, readers go by the log alone: they have until the next round to open what they found in it.
    if (place.moves) await this.#finish(entry);
  }

  /** What rounds would merge as things are now, files of different columns counted together. Changes nothing. */
  async preview(): Promise<{ readonly replaced: number; readonly files: number }> {
    await this.#log.refresh();
    const groups = this.#groups();
    return { replaced: groups.reduce((sum, group) => sum + group.length, 0), files: groups.length };
  }

  async #finishLast(): Promise<void> {
    await this.#log.refresh();
    const last = this.#log.merges.at(-1);
    if (last !== undefined) await this.#finish(last);
  }

  async #finish(entry: MergeEntry): Promise<void> {
    if (entry.merge <= this.#finished) return;
    const { job, place } = this.#parts;
    for (const file of entry.files) await giveName(place, job, file);
    await place.remove(entry.replaces);
    this.#finished = entry.merge;
  }

  /** Small files of one directory each, as many as make a large one; where there are too few, nothing is gained. */
  #groups(): readonly (readonly LoggedFile[])[] {
    const { below, suffix } = this.#parts;
    const small = this.#log.files.filter(({ name, bytes }) => bytes < below && name.endsWith(suffix));
    const groups: LoggedFile[][] = [];
    for (const files of Map.groupBy(small, ({ name }) => directoryOf(name)).values()) {
      let group: LoggedFile[] = [];
      let size = 0;
      for (const file of files) {
        group.push(file);
        size += file.bytes;
        if (size < below && group.length < REPLACED_MAX) continue;
        groups.push(group);
        group = [];
        size = 0;
      }
      groups.push(group);
    }
    return groups.filter((group) => group.length > 1);
  }

  /** The files of the group that are there, by their columns: what was written by another revision may have others. */
  async #sameColumns(group: readonly LoggedFile[]): Promise<readonly (readonly Candidate[])[]> {
    const { place, kind } = this.#parts;
    const found: Candidate[] = [];
    for (const file of group) {
      const bytes = await readCommitted(place, file);
      if (bytes !== undefined) found.push({ file, ...(await mergeInput(kind, bytes)) });
    }
    return [...Map.groupBy(found, ({ columns }) => columns).values()].filter((same) => same.length > 1);
  }

  #named(merge: number, folder: string, index: number, same: readonly Candidate[], bytes: Uint8Array): LoggedFile {
    const { job, place, suffix } = this.#parts;
    const directory = directoryOf(same[0]?.file.name ?? '');
    const id = folder.split('-').at(-1)?.replace('/', '') ?? '';
    const facts = { rows: same.reduce((sum, { file }) => sum + file.rows, 0), bytes: bytes.byteLength };
    const name = `${directory}${job}-m${padded(merge, 9)}-${id}-${index}${suffix}`;
    return place.moves ? { name, staged: `${folder}${index}.staged`, ...facts } : { name, ...facts };
  }
}

/** With its slash; empty for the place itself. */
function directoryOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/') + 1);
}
