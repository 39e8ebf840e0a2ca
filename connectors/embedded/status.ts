/** Failures as gRPC carries them. Apart from failure.ts so that the store's thread does not load gRPC. */
import type { ServiceError, StatusObject } from '@grpc/grpc-js';
import { Metadata, status } from '@grpc/grpc-js';
import { WeirError } from '../../core/errors.ts';
import type { Failure } from '../../proto/gen/embedded.ts';
import { errorOf, failureOf } from './failure.ts';

/** Raised when one side could misread the other. */
export const EMBEDDED_PROTOCOL_VERSION = 3;

/** Trailer with the JSON of a Failure. */
const FAILURE_KEY = 'weir-failure-bin';

/** What a handler answers instead of a message. */
export function statusOf(error: unknown): Partial<StatusObject> {
  const failure = failureOf(error);
  const metadata = new Metadata();
  metadata.set(FAILURE_KEY, Buffer.from(JSON.stringify(failure)));
  return {
    code: error instanceof WeirError ? status.FAILED_PRECONDITION : status.INTERNAL,
    details: failure.message,
    metadata,
  };
}

/** The failure the embedded process reported; undefined when the call failed on its way. */
export function reportedError(error: ServiceError): WeirError | undefined {
  const value = error.metadata?.get(FAILURE_KEY)[0];
  return value === undefined ? undefined : errorOf(JSON.parse(value.toString()) as Failure);
}
