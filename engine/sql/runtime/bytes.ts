/**
 * Kernels over UTF-8 bytes. A text is (data, start, length, nonAscii). Kernels that give a text leave it in the
 * runtime's registers; those named in the function table as views leave a range of their argument, the others write to
 * the arena. Characters are code points, as in Spark's UTF8String.
 */
import { raiseExpressionFailed, type Runtime } from './runtime.ts';

export function bytesEqual(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): boolean {
  if (aLength !== bLength) return false;
  for (let index = 0; index < aLength; index++) if (a[aStart + index] !== b[bStart + index]) return false;
  return true;
}

/** Order of unsigned bytes, which for UTF-8 is the order of code points. */
export function bytesCompare(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): number {
  const length = aLength < bLength ? aLength : bLength;
  for (let index = 0; index < length; index++) {
    const difference = (a[aStart + index] as number) - (b[bStart + index] as number);
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** Byte index of `b` in `a` at or after `from` (relative to aStart), or -1. */
function bytesIndexOf(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
  from: number,
): number {
  if (bLength === 0) return from;
  const first = b[bStart] as number;
  const last = aStart + aLength - bLength;
  for (let at = aStart + from; at <= last; at++) {
    if (a[at] !== first) continue;
    let index = 1;
    while (index < bLength && a[at + index] === b[bStart + index]) index++;
    if (index === bLength) return at - aStart;
  }
  return -1;
}

export function bytesContains(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): boolean {
  return bytesIndexOf(a, aStart, aLength, b, bStart, bLength, 0) >= 0;
}

export function bytesStartsWith(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): boolean {
  return bLength <= aLength && bytesEqual(a, aStart, bLength, b, bStart, bLength);
}

export function bytesEndsWith(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): boolean {
  return bLength <= aLength && bytesEqual(a, aStart + aLength - bLength, bLength, b, bStart, bLength);
}

/** Code points in a text. */
export function charCount(data: Uint8Array, start: number, length: number, nonAscii: number): number {
  if (nonAscii === 0) return length;
  let count = 0;
  for (let at = start, end = start + length; at < end; at++) if (((data[at] as number) & 0xc0) !== 0x80) count++;
  return count;
}

/** Byte index (relative to start) of the code point number `chars`, or `length` where there are fewer. */
function byteOfChar(data: Uint8Array, start: number, length: number, nonAscii: number, chars: number): number {
  if (chars <= 0) return 0;
  if (nonAscii === 0) return chars < length ? chars : length;
  let count = -1;
  for (let index = 0; index < length; index++) {
    if (((data[start + index] as number) & 0xc0) !== 0x80 && ++count === chars) return index;
  }
  return length;
}

export function upper(rt: Runtime, data: Uint8Array, start: number, length: number, nonAscii: number): void {
  if (nonAscii === 0) shiftLetters(rt, data, start, length, 97, -32);
  else rt.put(rt.text(data, start, length, nonAscii).toUpperCase());
}

export function lower(rt: Runtime, data: Uint8Array, start: number, length: number, nonAscii: number): void {
  if (nonAscii === 0) shiftLetters(rt, data, start, length, 65, 32);
  else rt.put(rt.text(data, start, length, nonAscii).toLowerCase());
}

/** Copies ASCII text, the 26 letters from `first` on moved by `shift`. */
function shiftLetters(
  rt: Runtime,
  data: Uint8Array,
  start: number,
  length: number,
  first: number,
  shift: number,
): void {
  const at = rt.reserve(length);
  const arena = rt.data;
  const last = first + 25;
  for (let index = 0; index < length; index++) {
    const byte = data[start + index] as number;
    arena[at + index] = byte >= first && byte <= last ? byte + shift : byte;
  }
  rt.s = at;
  rt.l = length;
  rt.f = 0;
  rt.used = at + length;
}

const SPACE = 32;

/** View. `side` 1 = leading, 2 = trailing, 3 = both. Only the space character, as in Spark. */
export function trim(
  rt: Runtime,
  data: Uint8Array,
  start: number,
  length: number,
  nonAscii: number,
  side: number,
): void {
  let from = start;
  let to = start + length;
  if ((side & 1) !== 0) while (from < to && data[from] === SPACE) from++;
  if ((side & 2) !== 0) while (to > from && data[to - 1] === SPACE) to--;
  rt.s = from;
  rt.l = to - from;
  rt.f = nonAscii;
}

/** View. `position` counts characters from 1, 0 is the same as 1, negative counts from the end. */
export function substring(
  rt: Runtime,
  data: Uint8Array,
  start: number,
  length: number,
  nonAscii: number,
  position: number,
  count: number,
): void {
  const chars = position < 0 || count < 0 ? charCount(data, start, length, nonAscii) : 0;
  const first = position > 0 ? position - 1 : position < 0 ? chars + position : 0;
  const last = first + count;
  const from = byteOfChar(data, start, length, nonAscii, first);
  const to = last <= first ? from : byteOfChar(data, start, length, nonAscii, last);
  rt.s = start + from;
  rt.l = to > from ? to - from : 0;
  rt.f = nonAscii;
}

/** View: the last `count` characters. */
export function right(
  rt: Runtime,
  data: Uint8Array,
  start: number,
  length: number,
  nonAscii: number,
  count: number,
): void {
  const chars = charCount(data, start, length, nonAscii);
  const from = count <= 0 ? length : byteOfChar(data, start, length, nonAscii, chars - count);
  rt.s = start + from;
  rt.l = length - from;
  rt.f = nonAscii;
}

/** Position of the first occurrence in characters from 1, or 0; the search begins at character `from` (from 1). */
export function instr(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  aNonAscii: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
  from: number,
): number {
  if (from < 1) return 0;
  if (bLength === 0) return 1;
  const skip = byteOfChar(a, aStart, aLength, aNonAscii, from - 1);
  const at = bytesIndexOf(a, aStart, aLength, b, bStart, bLength, skip);
  return at < 0 ? 0 : charCount(a, aStart, at, aNonAscii) + 1;
}

/** Appends to the text that began at `rt.s`: see {@link concatBegin}. */
export function concatAppend(rt: Runtime, data: Uint8Array, start: number, length: number, nonAscii: number): void {
  const at = rt.reserve(length);
  const arena = rt.data;
  // A text that lies in the arena may have moved with it; its start is still true.
  if (length < 48) {
    for (let index = 0; index < length; index++) arena[at + index] = data[start + index] as number;
  } else {
    arena.set(data.subarray(start, start + length), at);
  }
  rt.used = at + length;
  if (nonAscii !== 0) rt.f = 1;
}

/** Between this and {@link concatEnd} nothing else may write to the arena. */
export function concatBegin(rt: Runtime): void {
  rt.s = rt.used;
  rt.f = 0;
}

export function concatEnd(rt: Runtime): void {
  rt.l = rt.used - rt.s;
}

export function replaceAll(
  rt: Runtime,
  data: Uint8Array,
  start: number,
  length: number,
  nonAscii: number,
  search: Uint8Array,
  searchStart: number,
  searchLength: number,
  by: Uint8Array,
  byStart: number,
  byLength: number,
  byNonAscii: number,
): void {
  let at = searchLength === 0 ? -1 : bytesIndexOf(data, start, length, search, searchStart, searchLength, 0);
  if (at < 0) {
    rt.keep(data, start, length, nonAscii);
    return;
  }
  concatBegin(rt);
  let from = 0;
  let flag = nonAscii;
  while (at >= 0) {
    concatAppend(rt, data, start + from, at - from, 0);
    concatAppend(rt, by, byStart, byLength, 0);
    if (byNonAscii !== 0) flag = 1;
    from = at + searchLength;
    at = bytesIndexOf(data, start, length, search, searchStart, searchLength, from);
  }
  concatAppend(rt, data, start + from, length - from, 0);
  concatEnd(rt);
  rt.f = flag;
}

export function repeat(
  rt: Runtime,
  data: Uint8Array,
  start: number,
  length: number,
  nonAscii: number,
  times: number,
): void {
  const total = times > 0 ? length * times : 0;
  const at = rt.reserve(total);
  const arena = rt.data;
  for (let index = 0; index < total; index++) arena[at + index] = data[start + (index % length)] as number;
  rt.s = at;
  rt.l = total;
  rt.f = nonAscii;
  rt.used = at + total;
}

/** Pads to `chars` characters on the left or right, or cuts to that many. */
export function pad(
  rt: Runtime,
  data: Uint8Array,
  start: number,
  length: number,
  nonAscii: number,
  chars: number,
  fill: Uint8Array,
  fillStart: number,
  fillLength: number,
  fillNonAscii: number,
  atLeft: boolean,
): void {
  const have = charCount(data, start, length, nonAscii);
  if (chars <= have || fillLength === 0) {
    const cut = chars >= have ? length : byteOfChar(data, start, length, nonAscii, chars);
    rt.keep(data, start, chars <= 0 ? 0 : cut, nonAscii);
    return;
  }
  const missing = chars - have;
  const fillChars = charCount(fill, fillStart, fillLength, fillNonAscii);
  const whole = Math.floor(missing / fillChars);
  const rest = byteOfChar(fill, fillStart, fillLength, fillNonAscii, missing % fillChars);
  const total = whole * fillLength + (missing % fillChars === 0 ? 0 : rest);
  if (total + length > 64 * 1024 * 1024) raiseExpressionFailed();
  rt.reserve(total + length);
  concatBegin(rt);
  if (!atLeft) concatAppend(rt, data, start, length, nonAscii);
  for (let index = 0; index < whole; index++) concatAppend(rt, fill, fillStart, fillLength, fillNonAscii);
  if (missing % fillChars !== 0) concatAppend(rt, fill, fillStart, rest, fillNonAscii);
  if (atLeft) concatAppend(rt, data, start, length, nonAscii);
  concatEnd(rt);
}
