/** Errors as RFC 9457 problem documents. */
import type { ErrorCode } from '../../core/errors.ts';
import { codeOf, errorTable, isWeirError, messageOf } from '../../core/errors.ts';
import type { JobProblem } from '../../core/job/problem.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** A whole sentence. */
  readonly detail: string;
  readonly code: ErrorCode;
  readonly facts?: Readonly<Record<string, string | number | boolean | null>>;
  /** Of a refused job file: every mistake. */
  readonly problems?: readonly JobProblem[];
}

const statusOfCode: Partial<Record<ErrorCode, number>> = {
  NOT_FOUND: 404,
  TOPIC_NOT_FOUND: 404,
  CONFLICT: 409,
  STATE_INCOMPATIBLE: 409,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  TIMED_OUT: 504,
  JOB_INVALID: 422,
  SINK_SCHEMA: 422,
  INTERNAL: 500,
};

export function statusOf(code: ErrorCode): number {
  return (
    statusOfCode[code] ?? (errorTable[code].retry === 'backoff' ? 503 : errorTable[code].domain === 'user' ? 400 : 500)
  );
}

export function problem(code: ErrorCode, detail: string, status = statusOf(code)): ProblemDocument {
  return { type: `urn:weir:error:${code}`, title: errorTable[code].text, status, detail, code };
}

export function refusedJob(problems: readonly JobProblem[]): ProblemDocument {
  const count = problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`;
  return { ...problem('JOB_INVALID', `The job file has ${count}; nothing was changed.`), problems };
}

/** Messages of bugs stay in the log: they may hold anything. */
export function problemOf(error: unknown): ProblemDocument {
  const code = codeOf(error);
  if (isWeirError(error)) {
    // The caller said which revision it meant to change.
    const status = error.facts['expectedRevision'] === undefined ? statusOf(code) : 412;
    return { ...problem(code, messageOf(error), status), facts: error.facts };
  }
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) return problem('USAGE', messageOf(error), status);
  return problem('INTERNAL', 'The master met a bug; its log has the details.');
}
