/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), the checksum of Kafka's record batches and of Weir's blobs.
 * Slicing by 16: sixteen bytes per step through sixteen tables (Kounavis and Berry, "A Systematic Approach to Building
 * High Performance Software-Based CRC Generators").
 */
const POLYNOMIAL = 0x82f63b78;
const SLICES = 16;
const TABLES = buildTables();

function buildTables(): Int32Array {
  const tables = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const previous = tables[at - 256] ?? 0;
    tables[at] = (previous >>> 8) ^ (tables[previous & 0xff] ?? 0);
  }
  return tables;
}

/**
 * The CRC-32C of `bytes[start, end)` as an unsigned 32-bit number. `seed` is the CRC of the bytes before these, so a
 * checksum may be computed in pieces.
 */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.byteLength, seed = 0): number {
  const table = TABLES;
  let crc = ~seed;
  // Positions often come out of arrays of doubles; the loop wants machine integers.
  let at = start | 0;
  const stop = end | 0;
  // Indexes are in range by the loop bounds and the masks; `!` keeps the hot loop free of fallbacks.
  for (const last = stop - 16; at <= last; at += 16) {
    crc =
      table[3840 + ((crc ^ bytes[at]!) & 0xff)]! ^
      table[3584 + (((crc >>> 8) ^ bytes[at + 1]!) & 0xff)]! ^
      table[3328 + (((crc >>> 16) ^ bytes[at + 2]!) & 0xff)]! ^
      table[3072 + ((crc >>> 24) ^ bytes[at + 3]!)]! ^
      table[2816 + bytes[at + 4]!]! ^
      table[2560 + bytes[at + 5]!]! ^
      table[2304 + bytes[at + 6]!]! ^
      table[2048 + bytes[at + 7]!]! ^
      table[1792 + bytes[at + 8]!]! ^
      table[1536 + bytes[at + 9]!]! ^
      table[1280 + bytes[at + 10]!]! ^
      table[1024 + bytes[at + 11]!]! ^
      table[768 + bytes[at + 12]!]! ^
      table[512 + bytes[at + 13]!]! ^
      table[256 + bytes[at + 14]!]! ^
      table[bytes[at + 15]!]!;
  }
  for (; at < stop; at++) crc = (crc >>> 8) ^ table[(crc ^ bytes[at]!) & 0xff]!;
  return ~crc >>> 0;
}
