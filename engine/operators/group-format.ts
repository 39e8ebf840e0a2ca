import { WeirError } from '../../core/errors.ts';
import type { ByteReader } from '../state/byte-reader.ts';

/** Reads the format number that a key group's stored state begins with. Throws: STATE_DAMAGED for another one. */
export function checkFormat(reader: ByteReader, format: number): void {
  const found = reader.byte();
  if (found === format) return;
  throw new WeirError(
    'STATE_DAMAGED',
    `A key group's stored state has format ${found} where this version of Weir reads ${format}; ` +
      'restore the job from another snapshot or savepoint, or run the version that wrote it.',
  );
}
