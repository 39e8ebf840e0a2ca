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
