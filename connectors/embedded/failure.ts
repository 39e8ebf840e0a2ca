/** Expected failures on their way from the embedded process to a client, and between its threads. */
import type { ServiceError, StatusObject } from '@grpc/grpc-js';
import { Metadata, status } from '@grpc/grpc-js';
import type { ErrorCode, ErrorDetails } from '../../core/errors.ts';
import { errorTable, messageOf, WeirError } from '../../core/errors.ts';
import type { Failure } from '../../proto/gen/embedded.ts';

/** Trailer with the JSON of a Failure. */
const FAILURE_KEY = 'weir-failure-bin';

export function failureOf(error: unknown): Failure {
  if (error instanceof WeirError) return { code: error.code, message: error.message, facts: JSON.stringify(error.facts) };
  return { code: 'INTERNAL', message: `The embedded process failed: ${messageOf(error)}.`, facts: '{}' };
}

/** Inverse of {@link failureOf}. A code that this version does not know becomes INTERNAL. */
export function errorOf(failure: Failure): WeirError {
  const code = failure.code in errorTable ? (failure.code as ErrorCode) : 'INTERNAL';
  const facts = failure.facts === '' ? {} : (JSON.parse(failure.facts) as NonNullable<ErrorDetails['facts']>);
  return new WeirError(code, failure.message, { facts });
}

/** What a handler answers instead of a message. */
export function statusOf(error: unknown): Partial<StatusObject> {
  const failure = failureOf(error);
  const metadata = new Metadata();
  metadata.set(FAILURE_KEY, Buffer.from(JSON.stringify(failure)));
  return { code: error instanceof WeirError ? status.FAILED_PRECONDITION : status.INTERNAL, details: failure.message, metadata };
}

/** The failure the embedded process reported; undefined when the call failed on its way. */
export function reportedError(error: ServiceError): WeirError | undefined {
  const value = error.metadata?.get(FAILURE_KEY)[0];
  return value === undefined ? undefined : errorOf(JSON.parse(value.toString()) as Failure);
}
