/** MurmurHash2 with the seed and the byte order of Kafka's default partitioner (org.apache.kafka.common.utils.Utils). */
const SEED = 0x9747b28c | 0;
const MULTIPLIER = 0x5bd1e995;

/** Hash of `bytes[start, start + length)`, a signed 32-bit number. */
export function murmur2(bytes: Uint8Array, start: number, length: number): number {
  let hash = SEED ^ length;
  let at = start;
  for (const last = start + length - 4; at <= last; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    word = Math.imul(word, MULTIPLIER);
    word = Math.imul(word ^ (word >>> 24), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ word;
  }
  const rest = start + length - at;
  if (rest > 0) {
    if (rest === 3) hash ^= bytes[at + 2]! << 16;
    if (rest >= 2) hash ^= bytes[at + 1]! << 8;
    hash = Math.imul(hash ^ bytes[at]!, MULTIPLIER);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

/** The partition Kafka's default partitioner gives to a record with this key. */
export function partitionOfKey(bytes: Uint8Array, start: number, length: number, partitionCount: number): number {
  return (murmur2(bytes, start, length) & 0x7fffffff) % partitionCount;
}
