/** Job files named on a command line: files, or folders with *.yaml, *.yml and *.json in them. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WeirError } from '../core/errors.ts';

export interface JobFileText {
  /** As the user named it, for messages. */
  readonly path: string;
  readonly text: string;
}

/** Tests of jobs (*.test.yaml) are left out of folders. Throws: NOT_FOUND, USAGE. */
export function readJobFiles(paths: readonly string[]): JobFileText[] {
  return paths.flatMap(expand).map((path) => ({ path, text: read(path) }));
}

function expand(path: string): string[] {
  if (path === '-' || statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
  const names = readdirSync(path).filter((name) => /\.(ya?ml|json)$/.test(name) && !/\.test\.\w+$/.test(name));
  if (names.length === 0)
    throw new WeirError('NOT_FOUND', `The folder ${path} holds no job files (*.yaml, *.yml, *.json).`);
  return names.toSorted().map((name) => join(path, name));
}

function read(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8').replace(/^\ufeff/, '');
  } catch (cause) {
    throw new WeirError(
      'NOT_FOUND',
      `The job file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`,
      { cause },
    );
  }
}
