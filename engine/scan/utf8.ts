/** UTF-8 as bytes: checking ranges, and turning JSON's escapes into plain UTF-8. */
import type { ByteBuffer } from '../byte-buffer.ts';

/** Whether `bytes[start, end)` is well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end;) {
    const lead = bytes[at]!;
    if (lead < 0x80) {
      at += 1;
    } else if (lead < 0xe0) {
      if (lead < 0xc2 || at + 2 > end || (bytes[at + 1]! & 0xc0) !== 0x80) return false;
      at += 2;
    } else if (lead < 0xf0) {
      if (at + 3 > end || (bytes[at + 1]! & 0xc0) !== 0x80 || (bytes[at + 2]! & 0xc0) !== 0x80) return false;
      if (lead === 0xe0 && bytes[at + 1]! < 0xa0) return false;
      if (lead === 0xed && bytes[at + 1]! > 0x9f) return false;
      at += 3;
    } else {
      if (lead > 0xf4 || at + 4 > end) return false;
      const second = bytes[at + 1]!;
      if ((second & 0xc0) !== 0x80 || (bytes[at + 2]! & 0xc0) !== 0x80 || (bytes[at + 3]! & 0xc0) !== 0x80)
        return false;
      if (lead === 0xf0 && second < 0x90) return false;
      if (lead === 0xf4 && second > 0x8f) return false;
      at += 4;
    }
  }
  return true;
}

/** Whether any byte of the range is ≥ 0x80. */
export function hasNonAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! >= 0x80) return true;
  return false;
}

const BACKSLASH = 0x5c;

/**
 * Appends the text of a JSON string's inside `arena[start, end)`, whose escapes were checked before. A lone surrogate
 * becomes U+FFFD, as whoever writes a JavaScript string as UTF-8 does. The result never is longer than the escapes.
 */
export function unescapeJson(arena: ByteBuffer, start: number, end: number): void {
  arena.reserve(end - start);
  const bytes = arena.bytes;
  let to = arena.length;
  for (let at = start; at < end;) {
    const byte = bytes[at++]!;
    if (byte !== BACKSLASH) {
      bytes[to++] = byte;
      continue;
    }
    const escape = bytes[at++]!;
    if (escape !== 0x75) {
      bytes[to++] = simpleEscape(escape);
      continue;
    }
    let code = hex4(bytes, at);
    at += 4;
    if (code >= 0xd800 && code <= 0xdfff) {
      let pair = 0;
      if (code < 0xdc00 && at + 6 <= end && bytes[at] === BACKSLASH && bytes[at + 1] === 0x75)
        pair = hex4(bytes, at + 2);
      if (pair >= 0xdc00 && pair <= 0xdfff) {
        at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (pair - 0xdc00);
      } else {
        code = 0xfffd;
      }
    }
    to = writeCodePoint(bytes, to, code);
  }
  arena.length = to;
}

function simpleEscape(escape: number): number {
  switch (escape) {
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return escape;
  }
}

/** Value of a hexadecimal digit; -1 for another byte. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function hex4(bytes: Uint8Array, at: number): number {
  return (
    (hexDigit(bytes[at]!) << 12) |
    (hexDigit(bytes[at + 1]!) << 8) |
    (hexDigit(bytes[at + 2]!) << 4) |
    hexDigit(bytes[at + 3]!)
  );
}

function writeCodePoint(bytes: Uint8Array, to: number, code: number): number {
  if (code < 0x80) {
    bytes[to] = code;
    return to + 1;
  }
  if (code < 0x800) {
    bytes[to] = 0xc0 | (code >>> 6);
    bytes[to + 1] = 0x80 | (code & 0x3f);
    return to + 2;
  }
  if (code < 0x10000) {
    bytes[to] = 0xe0 | (code >>> 12);
    bytes[to + 1] = 0x80 | ((code >>> 6) & 0x3f);
    bytes[to + 2] = 0x80 | (code & 0x3f);
    return to + 3;
  }
  bytes[to] = 0xf0 | (code >>> 18);
  bytes[to + 1] = 0x80 | ((code >>> 12) & 0x3f);
  bytes[to + 2] = 0x80 | ((code >>> 6) & 0x3f);
  bytes[to + 3] = 0x80 | (code & 0x3f);
  return to + 4;
}
