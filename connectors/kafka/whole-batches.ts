/** Where whole record batches end in what a broker sent. */
import { RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';

/** Bytes before those that a batch's length counts. */
const LENGTH_PREFIX_BYTES = 12;

/**
 * Bytes of the batches at the start of `records` that are there in full; a broker may cut the last one short. A length
 * that cannot be is left in, for the decoder to name.
 */
export function wholeBatchesBytes(records: Buffer): number {
  let end = 0;
  while (records.byteLength - end >= RECORD_BATCH_HEADER_BYTES) {
    const length = records.readInt32BE(end + 8);
    if (length < RECORD_BATCH_HEADER_BYTES - LENGTH_PREFIX_BYTES) return records.byteLength;
    if (end + LENGTH_PREFIX_BYTES + length > records.byteLength) break;
    end += LENGTH_PREFIX_BYTES + length;
  }
  return end;
}
