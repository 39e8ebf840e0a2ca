/**
 * Lines of files: of those that match a pattern, as they grow, as they are rotated and as new ones come. A line counts
 * when its line feed is there; at the end of a file that nobody writes to any more the last one counts without.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { glob, mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import { durationMs } from '../../core/duration.ts';
import type { Feed, FeedRow, FeedStep, Json } from '../../core/feed/feed.ts';
import { parseJson, textOf, valueAt } from '../../core/feed/json-path.ts';
import type { FileFacts, FileMark } from '../../core/feed/line-files.ts';
import { filesCursor, finished, keptFiles, marked, unread } from '../../core/feed/line-files.ts';
import type { FileSpec } from '../../core/job/feed-spec.ts';

/** Bytes of one file in one step, at least a line. */
const STEP_BYTES = 2 * 1024 * 1024;
/** Bytes that a file is known by. */
const PRINT_BYTES = 256;
const FILES_MAX = 100_000;
const LF = 10;
const CR = 13;

export interface FileParts {
  readonly clock: Clock;
  /** Files outside of this directory are not read. */
  readonly directory: string;
}

export class FileFeed implements Feed {
  readonly #spec: FileSpec;
  readonly #parts: FileParts;
  /** Files moved or deleted by the last step, once its rows are durable. */
  #over: readonly FileFacts[] = [];

  constructor(spec: FileSpec, parts: FileParts) {
    this.#spec = spec;
    this.#parts = parts;
  }

  async next(kept: Json): Promise<FeedStep> {
    const { clock } = this.#parts;
    const cursor = filesCursor(kept);
    const files = await this.#files();
    const present = new Set(files.map(({ id }) => id));
    for (const file of unread(files, cursor)) {
      const read = await this.#read(file, cursor.get(file.id));
      if (read === null) continue;
      const after = marked(cursor, file.id, read.mark, present);
      return { rows: read.rows, cursor: keptFiles(after), waitMs: 0, caughtUp: false };
    }
    const { finished: fate, finishedAfter, every } = this.#spec;
    this.#over = fate === 'keep' ? [] : finished(files, cursor, clock.now(), durationMs(finishedAfter));
    return { rows: [], cursor: keptFiles(cursor), waitMs: durationMs(every), caughtUp: true };
  }

  async appended(): Promise<void> {
    const over = this.#over;
    this.#over = [];
    for (const file of over) await this.#finish(file);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #files(): Promise<FileFacts[]> {
    const root = await this.#directory(this.#parts.directory, 'WEIR_FILES_DIR');
    const pattern = isAbsolute(this.#spec.path) ? this.#spec.path : join(root, this.#spec.path);
    const files: FileFacts[] = [];
    try {
      for await (const path of glob(pattern)) {
        const real = await realpath(path).catch(() => null);
        if (real === null) continue;
        if (!isBelow(real, root))
          throw new WeirError(
            'FEED_REFUSED',
            `${path} is outside of ${root}; sources read files below WEIR_FILES_DIR of the worker alone.`,
          );
        const facts = await stat(real, { bigint: true }).catch(() => null);
        if (facts === null || !facts.isFile()) continue;
        files.push({
          path,
          id: `${facts.dev}:${facts.ino}`,
          size: Number(facts.size),
          modifiedMs: Number(facts.mtimeMs),
        });
        if (files.length > FILES_MAX)
          throw new WeirError('FEED_REFUSED', `${pattern} matches more than ${FILES_MAX} files; choose fewer.`);
      }
    } catch (error) {
      throw asFailure(pattern, error);
    }
    return files;
  }

  async #directory(path: string, name: string): Promise<string> {
    try {
      return await realpath(path);
    } catch (error) {
      throw new WeirError('CONFIG_INVALID', `The directory ${path} of ${name} is not there.`, { cause: error });
    }
  }

  /** The next lines of a file; null when there is no whole one. */
  async #read(
    file: FileFacts,
    before: FileMark | undefined,
  ): Promise<{ readonly rows: FeedRow[]; readonly mark: FileMark } | null> {
    let handle: FileHandle;
    try {
      handle = await open(file.path);
    } catch (error) {
      // Gone or renamed since it was listed: the next look finds it under its new name.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw asFailure(file.path, error);
    }
    try {
      const facts = await handle.stat({ bigint: true });
      if (`${facts.dev}:${facts.ino}` !== file.id) return null;
      const size = Number(facts.size);
      const isKnown = before !== undefined && (await isSame(handle, before, size));
      const life = isKnown ? before.life : before === undefined ? 0 : before.life + 1;
      return await this.#lines(handle, file, size, isKnown ? before : undefined, life);
    } catch (error) {
      throw asFailure(file.path, error);
    } finally {
      await handle.close();
    }
  }

  async #lines(
    handle: FileHandle,
    file: FileFacts,
    size: number,
    before: FileMark | undefined,
    life: number,
  ): Promise<{ readonly rows: FeedRow[]; readonly mark: FileMark } | null> {
    const { lineBytesMax, finishedAfter, headerLines } = this.#spec;
    const from = before?.at ?? 0;
    let bytes = await bytesAt(handle, from, Math.min(size - from, STEP_BYTES));
    let end = bytes.lastIndexOf(LF) + 1;
    if (end === 0 && size - from > bytes.byteLength) {
      bytes = await bytesAt(handle, from, Math.min(size - from, lineBytesMax + 2));
      end = bytes.lastIndexOf(LF) + 1;
      if (end === 0 && bytes.byteLength > lineBytesMax) {
        const text = `${file.path} has a line of more than ${lineBytesMax} bytes at byte ${from}; raise lineBytesMax or take the file away.`;
        throw new WeirError('FEED_MALFORMED', text, { facts: { path: file.path, at: from } });
      }
    }
    const isWhole = from + bytes.byteLength === size;
    const isOld = this.#parts.clock.now() - file.modifiedMs >= durationMs(finishedAfter);
    if (isWhole && isOld) end = bytes.byteLength;
    if (end === 0) return null;
    const { print, printed } =
      before !== undefined && before.printed === PRINT_BYTES ? before : await printOf(handle, from + end);
    const name = before?.name ?? hash(`${file.id} ${life} ${print}`);
    const rows: FeedRow[] = [];
    let line = before?.line ?? 0;
    for (let at = 0; at < end;) {
      const feed = bytes.indexOf(LF, at);
      const stop = feed < 0 || feed >= end ? end : feed;
      const length = stop > at && bytes[stop - 1] === CR ? stop - 1 : stop;
      if (line >= headerLines && length > at) {
        const value = bytes.slice(at, length);
        rows.push({ id: this.#idOf(value) ?? `${name}:${line}`, value });
      }
      line += 1;
      at = stop + 1;
    }
    return { rows, mark: { at: from + end, line, print, printed, name, life } };
  }

  #idOf(value: Uint8Array): string | undefined {
    if (this.#spec.id === undefined) return undefined;
    try {
      return textOf(valueAt(parseJson(new TextDecoder().decode(value)), this.#spec.id));
    } catch {
      // A line that is no JSON is the job's to judge.
      return undefined;
    }
  }

  async #finish({ path, id, size }: FileFacts): Promise<void> {
    const { finished: fate } = this.#spec;
    try {
      const facts = await stat(path, { bigint: true });
      // Written to, or another one, since it was looked at.
      if (`${facts.dev}:${facts.ino}` !== id || Number(facts.size) !== size) return;
      if (fate === 'delete') await rm(path);
      else if (fate !== 'keep') {
        const root = await this.#directory(this.#parts.directory, 'WEIR_FILES_DIR');
        const target = resolve(dirname(path), fate.moveTo);
        if (target !== root && !isBelow(target, root))
          throw new WeirError('FEED_REFUSED', `${target} is outside of ${root}; moveTo names a directory below it.`);
        await mkdir(target, { recursive: true });
        await rename(path, join(target, basename(path)));
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw asFailure(path, error);
    }
  }
}

/** What a file is known by: the hash of its first bytes, as many as were read of it. */
async function printOf(handle: FileHandle, upTo: number): Promise<Pick<FileMark, 'print' | 'printed'>> {
  const bytes = await bytesAt(handle, 0, Math.min(upTo, PRINT_BYTES));
  return { print: hash(bytes), printed: bytes.byteLength };
}

function hash(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('base64url').slice(0, 16);
}

function isBelow(path: string, root: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep);
}

/** Whether the file is still the one that was read: as long at least, and beginning the same. */
async function isSame(handle: FileHandle, { at, print, printed }: FileMark, size: number): Promise<boolean> {
  if (size < at) return false;
  return (await printOf(handle, printed)).print === print;
}

async function bytesAt(handle: FileHandle, from: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const { bytesRead } = await handle.read(bytes, at, length - at, from + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

function asFailure(place: string, error: unknown): unknown {
  if (error instanceof WeirError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM')
    return new WeirError('UNAUTHORIZED', `${place} may not be read by the worker's user: ${code}.`, { cause: error });
  if (code === undefined) return error;
  return new WeirError('SOURCE_UNAVAILABLE', `${place} cannot be read: ${messageOf(error)}.`, { cause: error });
}
