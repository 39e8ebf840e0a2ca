/** Base64 (RFC 4648) as bytes, for BINARY fields of JSON documents. */
import type { ByteBuffer } from '../byte-buffer.ts';

function sextet(byte: number): number {
  if (byte >= 0x41 && byte <= 0x5a) return byte - 0x41;
  if (byte >= 0x61 && byte <= 0x7a) return byte - 0x61 + 26;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30 + 52;
  if (byte === 0x2b) return 62;
  return byte === 0x2f ? 63 : -1;
}

/** Appends the decoded bytes of `arena[start, end)`; false, with nothing appended, when it is not base64. */
export function decodeBase64(arena: ByteBuffer, start: number, end: number): boolean {
  let stop = end;
  while (stop > start && end - stop < 2 && arena.bytes[stop - 1] === 0x3d) stop--;
  if ((stop - start) % 4 === 1 || (stop !== end && (end - start) % 4 !== 0)) return false;
  const mark = arena.length;
  arena.reserve(stop - start);
  const bytes = arena.bytes;
  let to = mark;
  let bits = 0;
  let held = 0;
  for (let at = start; at < stop; at++) {
    const value = sextet(bytes[at]!);
    if (value < 0) return false;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[to++] = held >>> bits;
    }
  }
  arena.length = to;
  return true;
}
