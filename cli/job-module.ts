/**
 * Jobs written in TypeScript: a file is evaluated in a child process into the job file that it stands for, with the
 * sources of its functions in it. What the file prints goes to stderr.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { resolve } from 'node:path';
import { WeirError } from '../core/errors.ts';
import type { EvaluatedJob } from './job-module-child.ts';

/** What evaluating a file may take. */
const EVALUATION_MS_MAX = 30_000;
const RESULT_BYTES_MAX = 16 * 1024 * 1024;
/** The child writes its result there. */
export const RESULT_FD = 3;

/**
 * The job file, as JSON, of a TypeScript job. Throws: JOB_INVALID, with file and line, when the file cannot be evaluated
 * or exports no job within `timeoutMs`.
 */
export function evaluateJob(path: string, timeoutMs = EVALUATION_MS_MAX): string {
  // The child stands beside this file: .ts in the checkout, .js when built.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const child = fileURLToPath(new URL(`./job-module-child.${extension}`, import.meta.url));
  const { output, error, signal, status } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', child, resolve(path)],
    {
      stdio: ['ignore', 2, 2, 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: RESULT_BYTES_MAX,
    },
  );
  const code = error !== undefined && 'code' in error ? String(error.code) : null;
  if (code === 'ETIMEDOUT')
    throw invalid(path, `is not evaluated after ${timeoutMs / 1000} s: a job file describes a job and ends`);
  const text = output[RESULT_FD]?.toString() ?? '';
  if (text === '' || code !== null)
    throw invalid(path, `ended before it gave a job (${code ?? signal ?? `exit code ${status}`})`);
  const result = JSON.parse(text) as EvaluatedJob;
  if (result.kind === 'failed') throw new WeirError('JOB_INVALID', result.message);
  return JSON.stringify(result.document, null, 2);
}

function invalid(path: string, message: string): WeirError {
  return new WeirError('JOB_INVALID', `The job file ${path} ${message}.`);
}
