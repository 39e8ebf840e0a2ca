/**
 * Record batches as parts of a transaction (KIP-98): the producer's id and epoch and the number of the batch's first
 * record, by which the broker refuses what a former producer sends and takes a repeated batch once.
 */
import { crc32cAfterChange } from '../../core/crc32c-change.ts';
import { crc32c } from '../../core/crc32c.ts';
import { ATTRIBUTE_TRANSACTIONAL, RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';

/** A producer as the transaction coordinator knows it. */
export interface ProducerIdentity {
  readonly id: number;
  /** Grows with everybody who takes the transactional id over. */
  readonly epoch: number;
}

const CRC_AT = 17;
const CRC_FROM = 21;

/**
 * Makes the encoded batch one of this producer, in place, whosever it was before. The records are not read: what changes
 * is in the header, and the checksum follows from that.
 */
export function claimBatch(batch: Uint8Array, producer: ProducerIdentity, sequence: number): void {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const before = crc32c(batch, CRC_FROM, RECORD_BATCH_HEADER_BYTES);
  view.setInt16(21, view.getInt16(21) | ATTRIBUTE_TRANSACTIONAL);
  view.setBigInt64(43, BigInt(producer.id));
  view.setInt16(51, producer.epoch);
  view.setInt32(53, sequence);
  const after = crc32c(batch, CRC_FROM, RECORD_BATCH_HEADER_BYTES);
  const following = batch.byteLength - RECORD_BATCH_HEADER_BYTES;
  view.setUint32(CRC_AT, crc32cAfterChange(view.getUint32(CRC_AT), before, after, following));
}

/** Records of a batch: how far the sequence goes on behind it. */
export function recordCountOf(batch: Uint8Array): number {
  return new DataView(batch.buffer, batch.byteOffset, batch.byteLength).getInt32(57);
}

/** Sequences run from 0 to 2^31 - 1 and begin anew. */
export function nextSequence(sequence: number, records: number): number {
  return (sequence + records) % 2 ** 31;
}
