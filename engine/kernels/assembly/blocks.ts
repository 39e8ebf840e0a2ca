/**
 * LZ4 and Snappy blocks. Vectors of 16 bytes are copied where there is room behind the output, which is why `limit` is
 * where output must end at the latest and 32 bytes behind it may be overwritten. Both sides are checked before anything
 * is written. Their framing and the plain-TypeScript twins are in engine/codecs.
 */

/** Copies 16 bytes at a time, up to 15 more than asked for. */
function copyOver(to: usize, from: usize, bytes: usize): void {
  const end = to + bytes;
  do {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  } while (to < end);
}

/** Repeats what stands `distance` before `to`, up to 15 bytes more than asked for. */
function repeat(to: usize, distance: usize, bytes: usize): void {
  if (distance >= 16) {
    copyOver(to, to - distance, bytes);
    return;
  }
  const end = to + bytes;
  if (distance >= 8) {
    do {
      store<u64>(to, load<u64>(to - distance));
      to += 8;
    } while (to < end);
    return;
  }
  // A pattern of up to seven bytes: its first eight bytes one by one, the rest in multiples of its length.
  for (let at = to; at < to + 8; at++) store<u8>(at, load<u8>(at - distance));
  const step = distance * (8 / distance);
  for (let at = to + step; at < end; at += step) store<u64>(at, load<u64>(at - step));
}

/**
 * Decompresses the LZ4 block `[at, end)` to `to`; where the output ends, or 0 for a damaged block. Matches reach back to
 * `window` at most. 16 bytes behind `end` are readable.
 */
export function lz4Block(at: usize, end: usize, to: usize, window: usize, limit: usize): usize {
  while (at < end) {
    const token: usize = load<u8>(at++);
    let literals = token >>> 4;
    if (literals == 15) {
      let more: usize = 255;
      while (more == 255) {
        if (at >= end) return 0;
        more = load<u8>(at++);
        literals += more;
      }
    }
    if (literals > end - at || literals > limit - to) return 0;
    copyOver(to, at, literals);
    at += literals;
    to += literals;
    if (at >= end) break;
    if (end - at < 2) return 0;
    const distance: usize = load<u16>(at);
    at += 2;
    let length = (token & 15) + 4;
    if (length == 19) {
      let more: usize = 255;
      while (more == 255) {
        if (at >= end) return 0;
        more = load<u8>(at++);
        length += more;
      }
    }
    if (distance == 0 || distance > to - window || length > limit - to) return 0;
    repeat(to, distance, length);
    to += length;
  }
  return to;
}

/** As {@link lz4Block} for the elements of a Snappy block, behind its length. */
export function snappyBlock(at: usize, end: usize, to: usize, window: usize, limit: usize): usize {
  while (at < end) {
    const tag: usize = load<u8>(at++);
    if ((tag & 3) == 0) {
      let literals = (tag >>> 2) + 1;
      if (literals > 60) {
        const lengthBytes = literals - 60;
        if (lengthBytes > end - at) return 0;
        const wide: u64 = (<u64>load<u32>(at) & (0xffffffff >>> ((4 - lengthBytes) << 3))) + 1;
        at += lengthBytes;
        if (wide > <u64>(end - at)) return 0;
        literals = <usize>wide;
      }
      if (literals > end - at || literals > limit - to) return 0;
      copyOver(to, at, literals);
      at += literals;
      to += literals;
      continue;
    }
    const operandBytes: usize = (tag & 3) == 3 ? 4 : tag & 3;
    if (operandBytes > end - at) return 0;
    let length: usize;
    let distance: usize;
    if (operandBytes == 1) {
      length = ((tag >>> 2) & 7) + 4;
      distance = ((tag >>> 5) << 8) | <usize>load<u8>(at);
    } else {
      length = (tag >>> 2) + 1;
      distance = operandBytes == 4 ? <usize>load<u32>(at) : <usize>load<u16>(at);
    }
    at += operandBytes;
    if (distance == 0 || distance > to - window || length > limit - to) return 0;
    repeat(to, distance, length);
    to += length;
  }
  return to;
}

const HASH_BITS: u32 = 14;
/** Where each hash was seen last, behind the block's start; 0 = nowhere. */
const SEEN: usize = memory.data(65536, 16);
const MATCH_MIN: usize = 4;
/** The format keeps the last five bytes literal, and starts no match in the last twelve. */
const LAST_LITERALS: usize = 5;
const MATCH_START_MARGIN: usize = 12;

/**
 * Compresses `[at, end)`, at most 64 KiB, into an LZ4 block at `to`: where it ends. The block is that of the twin, byte by
 * byte. It is at most a 255th and 16 bytes longer than its input; 16 bytes behind it are overwritten.
 */
export function lz4Compress(at: usize, end: usize, to: usize): usize {
  memory.fill(SEEN, 0, (<usize>4) << HASH_BITS);
  // Positions begin with 1.
  const origin = at - 1;
  const matchEnd = end - LAST_LITERALS;
  let literals = at;
  let misses: usize = 0;
  while (at + MATCH_START_MARGIN < end) {
    const word = load<u32>(at);
    const slot = SEEN + ((<usize>((word * 0x9e3779b1) >>> (32 - HASH_BITS))) << 2);
    const seen: usize = load<u32>(slot);
    store<u32>(slot, <u32>(at - origin));
    if (seen == 0 || load<u32>(origin + seen) != word) {
      // Step faster through bytes that do not compress.
      at += 1 + (misses++ >>> 6);
      continue;
    }
    misses = 0;
    const stop = endOfMatch(at + MATCH_MIN, origin + seen + MATCH_MIN, matchEnd);
    to = writeLiterals(to, literals, at - literals, min<usize>(stop - at - MATCH_MIN, 15));
    store<u16>(to, <u16>(at - origin - seen));
    to += 2;
    if (stop - at - MATCH_MIN >= 15) to = writeLength(to, stop - at - MATCH_MIN - 15);
    at = stop;
    literals = at;
  }
  return writeLiterals(to, literals, end - literals, 0);
}

/** How far the bytes at `at` are those at `from`, before `limit`. */
function endOfMatch(at: usize, from: usize, limit: usize): usize {
  while (at + 8 <= limit) {
    const difference = load<u64>(at) ^ load<u64>(from);
    if (difference != 0) return at + <usize>(ctz(difference) >>> 3);
    at += 8;
    from += 8;
  }
  while (at < limit && load<u8>(at) == load<u8>(from)) {
    at++;
    from++;
  }
  return at;
}

/** Writes the token and literals of a sequence; `match` is the token's other half. */
function writeLiterals(to: usize, from: usize, bytes: usize, match: usize): usize {
  store<u8>(to++, <u8>((min<usize>(bytes, 15) << 4) | match));
  if (bytes >= 15) to = writeLength(to, bytes - 15);
  if (bytes > 0) copyOver(to, from, bytes);
  return to + bytes;
}

function writeLength(to: usize, rest: usize): usize {
  for (; rest >= 255; rest -= 255) store<u8>(to++, 255);
  store<u8>(to, <u8>rest);
  return to + 1;
}
