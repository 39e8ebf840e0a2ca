/** Files of the data directory: errors in words people can act on, and names made durable. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, WeirError } from '../../core/errors.ts';

/** SQLite's result code for a full disk. */
const SQLITE_FULL = 13;

/** What went wrong while doing `what`, as a WeirError where it is known; other errors as they are. */
export function diskError(error: unknown, what: string): unknown {
  if (error instanceof WeirError) return error;
  const { code, errcode } = (error ?? {}) as { readonly code?: unknown; readonly errcode?: unknown };
  if (code === 'ENOSPC' || code === 'EDQUOT' || errcode === SQLITE_FULL) {
    return new WeirError(
      'DISK_FULL',
      `The embedded process could not ${what}: the disk of its data directory is full. Free some space.`,
      {
        cause: error,
      },
    );
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR') {
    return new WeirError(
      'CONFIG_INVALID',
      `The embedded process could not ${what}: ${messageOf(error)}. Give it a directory it may write to.`,
      { cause: error },
    );
  }
  return new WeirError('STORE_UNAVAILABLE', `The embedded process could not ${what}: ${messageOf(error)}.`, {
    cause: error,
  });
}

/** Makes creations, renames and removals within a directory durable. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Replaces a small file as a whole: readers and a restart see the old text or the new one. */
export function writeFileAtomic(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { flush: true });
  renameSync(`${path}.new`, path);
  syncDirectory(dirname(path));
}
