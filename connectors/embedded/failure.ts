/** Expected failures on their way between the threads of the embedded process and to its clients. */
import type { ErrorCode, ErrorDetails } from '../../core/errors.ts';
import { errorTable, messageOf, WeirError } from '../../core/errors.ts';
import type { Failure } from '../../proto/gen/embedded.ts';

export function failureOf(error: unknown): Failure {
  if (error instanceof WeirError)
    return { code: error.code, message: error.message, facts: JSON.stringify(error.facts) };
  return { code: 'INTERNAL', message: `The embedded process failed: ${messageOf(error)}.`, facts: '{}' };
}

/** Inverse of {@link failureOf}. A code that this version does not know becomes INTERNAL. */
export function errorOf(failure: Failure): WeirError {
  const code = failure.code in errorTable ? (failure.code as ErrorCode) : 'INTERNAL';
  const facts = failure.facts === '' ? {} : (JSON.parse(failure.facts) as NonNullable<ErrorDetails['facts']>);
  return new WeirError(code, failure.message, { facts });
}
