/**
 * The checksum of bytes whose beginning changed, without reading the rest: CRCs are linear, so what a change of the first
 * bytes does to the whole depends on the change and on how many bytes follow (Mark Adler's `crc32_combine` of zlib).
 */
/** CRC-32C's polynomial in the reflected order: the highest bit is x^0. */
const POLYNOMIAL = 0x82f63b78;
const ONE = 0x80000000;
/** x^(2^k) for k = 0, 1, … */
const POWERS = squares(0x40000000, 32);

function squares(first: number, count: number): Int32Array {
  const powers = new Int32Array(count);
  let power = first;
  for (let k = 0; k < count; k++) {
    powers[k] = power;
    power = multiply(power, power);
  }
  return powers;
}

/** Product of two polynomials modulo the CRC's. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b | 0;
  for (let bit = 31; bit >= 0; bit--) {
    if (((a >>> bit) & 1) !== 0) product ^= factor;
    factor = (factor & 1) !== 0 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product;
}

/** x^(8 × bytes). */
function powerOfBytes(bytes: number): number {
  let power: number = ONE;
  for (let rest = bytes, k = 3; rest > 0; rest = Math.floor(rest / 2), k++)
    if (rest % 2 === 1) power = multiply(POWERS[k] ?? ONE, power);
  return power;
}

/**
 * The CRC-32C of `B' + C`, given that of `B + C`, those of `B` and of `B'` (of equal lengths), and the number of bytes in
 * `C`, at most 2^28.
 */
export function crc32cAfterChange(whole: number, before: number, after: number, followingBytes: number): number {
  return (whole ^ multiply(powerOfBytes(followingBytes), before ^ after)) >>> 0;
}
