/**
 * Strings of JSON documents: where they end, whether they are UTF-8, and their text without escapes. The twins are in
 * engine/scan/json-scanner.ts and utf8.ts. Whatever is read ends in zeros (see json.ts), which stop every loop.
 */
export const QUOTE: u32 = 0x22;
export const BACKSLASH: u32 = 0x5c;

export const FLAG_ESCAPE: u32 = 1;
export const FLAG_NON_ASCII: u32 = 2;

/** Of the string that {@link endOfString} read last. */
export let stringFlags: u32 = 0;

/** All ones in the bytes that end the plain part of a string: quotes, backslashes and control characters. */
export function specials(bytes: v128): v128 {
  return v128.or(
    v128.or(i8x16.eq(bytes, i8x16.splat(0x22)), i8x16.eq(bytes, i8x16.splat(0x5c))),
    i8x16.le_u(bytes, i8x16.splat(0x1f)),
  );
}

/** The position of the quote that ends the string whose inside begins at `at`; 0 when it is malformed. */
export function endOfString(at: usize): usize {
  let flags: u32 = 0;
  for (;;) {
    const bytes = v128.load(at);
    const hits = i8x16.bitmask(specials(bytes));
    const high = i8x16.bitmask(bytes);
    if (hits == 0) {
      if (high != 0) flags |= FLAG_NON_ASCII;
      at += 16;
      continue;
    }
    const first = ctz(hits);
    if ((high & ((1 << first) - 1)) != 0) flags |= FLAG_NON_ASCII;
    at += <usize>first;
    const special: u32 = load<u8>(at);
    if (special == QUOTE) {
      stringFlags = flags;
      return at;
    }
    if (special != BACKSLASH) return 0;
    flags |= FLAG_ESCAPE;
    at = behindEscape(at + 1);
    if (at == 0) return 0;
  }
  return 0;
}

/** The position behind the escape whose letter is at `at`; 0 when it is none. */
function behindEscape(at: usize): usize {
  switch (<u32>load<u8>(at)) {
    case 0x22:
    case 0x5c:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at + 1;
    case 0x75:
      for (let digit = at + 1; digit < at + 5; digit++) if (hexDigit(load<u8>(digit)) < 0) return 0;
      return at + 5;
    default:
      return 0;
  }
}

function hexDigit(byte: u32): i32 {
  if (byte - 0x30 <= 9) return <i32>(byte - 0x30);
  const lower = byte | 0x20;
  return lower - 0x61 <= 5 ? <i32>(lower - 0x57) : -1;
}

function hex4(at: usize): u32 {
  return (
    ((<u32>hexDigit(load<u8>(at))) << 12) |
    ((<u32>hexDigit(load<u8>(at, 1))) << 8) |
    ((<u32>hexDigit(load<u8>(at, 2))) << 4) |
    <u32>hexDigit(load<u8>(at, 3))
  );
}

/** Whether any byte of the range is ≥ 0x80. */
export function hasNonAscii(at: usize, end: usize): bool {
  for (; at + 16 <= end; at += 16) if (i8x16.bitmask(v128.load(at)) != 0) return true;
  for (; at < end; at++) if (load<u8>(at) >= 0x80) return true;
  return false;
}

/** Whether `[at, end)` is well-formed UTF-8 (Unicode 15, table 3-7). */
export function isUtf8(at: usize, end: usize): bool {
  while (at < end) {
    const lead: u32 = load<u8>(at);
    if (lead < 0x80) {
      if (at + 8 <= end && (load<u64>(at) & 0x8080808080808080) == 0) at += 8;
      else at += 1;
    } else if (lead < 0xe0) {
      if (lead < 0xc2 || at + 2 > end || (load<u8>(at, 1) & 0xc0) != 0x80) return false;
      at += 2;
    } else if (lead < 0xf0) {
      if (at + 3 > end || (load<u16>(at, 1) & 0xc0c0) != 0x8080) return false;
      const second: u32 = load<u8>(at, 1);
      if (lead == 0xe0 && second < 0xa0) return false;
      if (lead == 0xed && second > 0x9f) return false;
      at += 3;
    } else {
      if (lead > 0xf4 || at + 4 > end || (load<u32>(at) & 0xc0c0c000) != 0x80808000) return false;
      const second: u32 = load<u8>(at, 1);
      if (lead == 0xf0 && second < 0x90) return false;
      if (lead == 0xf4 && second > 0x8f) return false;
      at += 4;
    }
  }
  return true;
}

/**
 * Writes the text of the string inside `[at, end)`, whose escapes were checked before, to `to`; where it ends. The text
 * is never longer than the inside, but 15 bytes more may be overwritten. A lone surrogate becomes U+FFFD.
 */
export function unescape(at: usize, end: usize, to: usize): usize {
  while (at < end) {
    const bytes = v128.load(at);
    const hits = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(0x5c)));
    v128.store(to, bytes);
    const plain: usize = hits == 0 ? 16 : <usize>ctz(hits);
    if (plain >= end - at) return to + (end - at);
    at += plain;
    to += plain;
    if (hits == 0) continue;
    const letter: u32 = load<u8>(at, 1);
    at += 2;
    if (letter != 0x75) {
      store<u8>(to++, <u8>simpleEscape(letter));
      continue;
    }
    let code = hex4(at);
    at += 4;
    if (code >= 0xd800 && code <= 0xdfff) {
      let pair: u32 = 0;
      if (code < 0xdc00 && at + 6 <= end && load<u16>(at) == 0x755c) pair = hex4(at + 2);
      if (pair >= 0xdc00 && pair <= 0xdfff) {
        at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (pair - 0xdc00);
      } else {
        code = 0xfffd;
      }
    }
    to = writeCodePoint(to, code);
  }
  return to;
}

function simpleEscape(letter: u32): u32 {
  switch (letter) {
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
      return letter;
  }
}

function writeCodePoint(to: usize, code: u32): usize {
  if (code < 0x80) {
    store<u8>(to, <u8>code);
    return to + 1;
  }
  if (code < 0x800) {
    store<u8>(to, <u8>(0xc0 | (code >>> 6)));
    store<u8>(to, <u8>(0x80 | (code & 0x3f)), 1);
    return to + 2;
  }
  if (code < 0x10000) {
    store<u8>(to, <u8>(0xe0 | (code >>> 12)));
    store<u8>(to, <u8>(0x80 | ((code >>> 6) & 0x3f)), 1);
    store<u8>(to, <u8>(0x80 | (code & 0x3f)), 2);
    return to + 3;
  }
  store<u8>(to, <u8>(0xf0 | (code >>> 18)));
  store<u8>(to, <u8>(0x80 | ((code >>> 12) & 0x3f)), 1);
  store<u8>(to, <u8>(0x80 | ((code >>> 6) & 0x3f)), 2);
  store<u8>(to, <u8>(0x80 | (code & 0x3f)), 3);
  return to + 4;
}
