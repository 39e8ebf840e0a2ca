/**
 * Which lines of which files a feed has read, and which it reads next: decisions only. A file is known by its number on
 * its disk (inode) and by how it begins, so one that is renamed (rotated) stays the same file, and another one under an
 * old name is a new one.
 */
import type { Json } from './feed.ts';

/** A file as it is on the disk now. */
export interface FileFacts {
  readonly path: string;
  /** Device and inode. */
  readonly id: string;
  readonly size: number;
  /** ms since 1970. */
  readonly modifiedMs: number;
}

/** A file as far as it was read. */
export interface FileMark {
  /** Bytes read, always at the end of a line. */
  readonly at: number;
  /** Lines read, for ids; the first one is 0. */
  readonly line: number;
  /** Hash of the first bytes, as many as `printed`: tells a new file apart that got the inode of an old one. */
  readonly print: string;
  readonly printed: number;
  /** Begins the ids of its lines: another one whenever the file is taken for a new one. */
  readonly name: string;
  /** How often it began anew, by being cut short or written over. */
  readonly life: number;
}

/** Where a feed of files stands: files by id. */
export type FilesCursor = ReadonlyMap<string, FileMark>;

/** Files that are remembered; of those that are gone the longest-gone are forgotten first. */
const MARKS_MAX = 10_000;

/** The cursor as it was kept; what is none of this feed begins anew. */
export function filesCursor(kept: Json): FilesCursor {
  if (!Array.isArray(kept)) return new Map();
  const marks: readonly [string, FileMark][] = kept;
  return new Map(marks);
}

/** For the log. */
export function keptFiles(cursor: FilesCursor): Json {
  return [...cursor].map(([id, mark]) => [id, { ...mark }]);
}

/** The files with unread bytes, in the order they are read: as they were last changed, then by name. */
export function unread(files: readonly FileFacts[], cursor: FilesCursor): FileFacts[] {
  return files
    .filter(({ id, size }) => size > (cursor.get(id)?.at ?? 0) || size < (cursor.get(id)?.at ?? 0))
    .toSorted((a, b) => a.modifiedMs - b.modifiedMs || (a.path < b.path ? -1 : 1));
}

/** Files read to their end that did not change for `restMs`. */
export function finished(files: readonly FileFacts[], cursor: FilesCursor, nowMs: number, restMs: number): FileFacts[] {
  return files.filter(({ id, size, modifiedMs }) => cursor.get(id)?.at === size && nowMs - modifiedMs >= restMs);
}

/** The cursor with a file read further. Marks of files that are gone go when there are too many. */
export function marked(cursor: FilesCursor, id: string, mark: FileMark, present: ReadonlySet<string>): FilesCursor {
  const next = new Map(cursor);
  next.delete(id);
  next.set(id, mark);
  for (const other of cursor.keys()) {
    if (next.size <= MARKS_MAX) break;
    if (!present.has(other)) next.delete(other);
  }
  return next;
}
