/** MurmurHash2 (Austin Appleby), 32 bits, in the variant and with the seed by which Kafka's clients place keys. */
const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;
const SHIFT = 24;

/** Kafka's hash of a key that is the first `length` bytes, as a signed 32-bit number (`Utils.murmur2`). */
export function murmur2(bytes: Uint8Array, length: number = bytes.byteLength): number {
  const wordsEnd = length & ~3;
  let hash = SEED ^ length;
  for (let at = 0; at < wordsEnd; at += 4) {
    // Indexes are in range by the loop's bound; `!` keeps the loop free of fallbacks.
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    word = Math.imul(word, MULTIPLIER);
    word = Math.imul(word ^ (word >>> SHIFT), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ word;
  }
  const rest = length - wordsEnd;
  if (rest >= 3) hash ^= bytes[wordsEnd + 2]! << 16;
  if (rest >= 2) hash ^= bytes[wordsEnd + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[wordsEnd]!, MULTIPLIER);
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

/** The partition of a key that is the first `length` bytes, as Kafka's default partitioner chooses it. */
export function partitionOfKey(key: Uint8Array, partitionCount: number, length: number = key.byteLength): number {
  return (murmur2(key, length) & 0x7fffffff) % partitionCount;
}
