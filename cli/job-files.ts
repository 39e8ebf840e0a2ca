/** Job files named on a command line: files, or folders with *.yaml, *.yml, *.json and TypeScript jobs in them. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WeirError } from '../core/errors.ts';
import type { JobProblem } from '../core/job/problem.ts';
import { renderProblems } from '../core/job/render.ts';
import { evaluateJob } from './job-module.ts';
import { renderModuleProblems } from './job-module-problems.ts';

export interface JobFileText {
  /** As the user named it, for messages. */
  readonly path: string;
  /** YAML or JSON: what the master gets. */
  readonly text: string;
  /** What the user wrote, where it is TypeScript; null = it is `text`. */
  readonly source: string | null;
}

/** Tests of jobs (*.test.yaml) are left out of folders. Throws: NOT_FOUND, USAGE; JOB_INVALID for TypeScript that gives no job. */
export function readJobFiles(paths: readonly string[]): JobFileText[] {
  return paths.flatMap(expand).map(readJobFile);
}

/** Throws as {@link readJobFiles}. */
export function readJobFile(path: string): JobFileText {
  const text = read(path);
  return isModule(path) ? { path, text: evaluateJob(path), source: text } : { path, text, source: null };
}

/** What is wrong with a job file, at its places in what the user wrote. */
export function renderJobProblems(file: JobFileText, problems: readonly JobProblem[]): string {
  return file.source === null
    ? renderProblems(file.path, file.text, problems)
    : renderModuleProblems(file.path, file.source, file.text, problems);
}

function isModule(path: string): boolean {
  return /\.[cm]?[jt]s$/.test(path);
}

function expand(path: string): string[] {
  if (path === '-' || statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
  const names = readdirSync(path).filter((name) => isJobFile(path, name));
  if (names.length === 0)
    throw new WeirError('NOT_FOUND', `The folder ${path} holds no job files (*.yaml, *.yml, *.json, *.ts).`);
  return names.toSorted().map((name) => join(path, name));
}

/** Other programs may lie beside jobs: of TypeScript those are jobs that define one. */
function isJobFile(folder: string, name: string): boolean {
  if (/\.test\.\w+$/.test(name)) return false;
  return (
    /\.(ya?ml|json)$/.test(name) ||
    (name.endsWith('.ts') && /^export default defineJob\b/m.test(read(join(folder, name))))
  );
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
