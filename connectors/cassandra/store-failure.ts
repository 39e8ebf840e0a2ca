/** What a failed request for durable facts means to the rest of Weir. */
import { WeirError } from '../../core/errors.ts';
import { classify } from './failures.ts';

/** `place`: for people, which keyspace of which cluster. */
export function storeFailure(error: unknown, place: string): unknown {
  const failure = classify(error);
  switch (failure.kind) {
    case 'foreign':
      return error;
    case 'credentials':
    case 'forbidden':
      return new WeirError('UNAUTHORIZED', `The metadata in ${place} may not be read or written: ${failure.message}.`, {
        cause: error,
      });
    default:
      return new WeirError('STORE_UNAVAILABLE', `The metadata in ${place} cannot be reached: ${failure.message}.`, {
        cause: error,
      });
  }
}
