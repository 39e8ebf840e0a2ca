/** Failures of stateful jobs as the coordinator tells and takes them. */
import type { ErrorCode } from '../core/errors.ts';
import { WeirError, codeOf, errorTable, isWeirError, messageOf } from '../core/errors.ts';
import type { EpochHead } from '../core/epoch/types.ts';
import type { JobName } from '../core/ids.ts';

/** The head carries a greater token than ours. */
export function fencedBy(job: JobName, head: EpochHead | undefined): WeirError {
  return new WeirError('FENCED', `job ${job} is led by another master (token ${head?.fence ?? 'unknown'})`);
}

export function asWeirError(error: unknown): WeirError {
  return isWeirError(error) ? error : new WeirError(codeOf(error), messageOf(error), { cause: error });
}

/** A code as a worker sent it: one that is not known here is INTERNAL. */
export function asCode(code: string): ErrorCode {
  return code in errorTable ? (code as ErrorCode) : 'INTERNAL';
}

/** Whether what a worker met may pass by itself. */
export function mayPass(code: string): boolean {
  return errorTable[asCode(code)].retry === 'backoff';
}
