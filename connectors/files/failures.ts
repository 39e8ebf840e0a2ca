/** What went wrong with files, in the words of core/errors.ts. */
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';

const codes: ReadonlyMap<string, readonly [code: ErrorCode, remedy: string]> = new Map([
  ['ENOSPC', ['DISK_FULL', 'make room; it goes on by itself']],
  ['EDQUOT', ['DISK_FULL', 'make room; it goes on by itself']],
  ['EACCES', ['UNAUTHORIZED', 'let the account of the worker write there']],
  ['EPERM', ['UNAUTHORIZED', 'let the account of the worker write there']],
  ['EROFS', ['UNAUTHORIZED', 'let the account of the worker write there']],
  ['ENOTDIR', ['SINK_REFUSED', 'a part of the path is a file; choose another path']],
  ['ENOENT', ['SINK_REFUSED', 'somebody removed what was written; all workers must share the path']],
  ['EISDIR', ['SINK_REFUSED', 'a directory has the name of a file; choose another path']],
]);

/** `doing`: what was tried, for the message. What is a WeirError stays as it is. */
export function fileFailure(error: unknown, doing: string): WeirError {
  if (isWeirError(error)) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const [kind, remedy] = codes.get(code) ?? (['SINK_UNAVAILABLE', 'it is tried again'] as const);
  return new WeirError(kind, `${doing}: ${messageOf(error)}; ${remedy}.`, {
    cause: error,
    facts: { systemCode: code },
  });
}
