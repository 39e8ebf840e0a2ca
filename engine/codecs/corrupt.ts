/** How every decoder says that bytes are not what they should be. */
import { WeirError } from '../../core/errors.ts';

/** Bytes one record batch may have after decompression: more is taken for a decompression bomb. */
export const BATCH_BYTES_MAX = 64 * 1024 * 1024;

/** `what` completes the sentence "a record batch …"; the caller adds topic, partition and offset. */
export function corrupt(what: string, cause?: unknown): WeirError {
  return new WeirError('BATCH_CORRUPT', `a record batch ${what}`, cause === undefined ? {} : { cause });
}

export function tooLarge(): WeirError {
  return corrupt(`has more than ${BATCH_BYTES_MAX / 1024 / 1024} MiB after decompression`);
}
