/** Functions over the characters and bytes of JS strings. */
import { raiseExpressionFailed } from './runtime.ts';
import { encodeText, unbase64, unhex } from './text.ts';

/** The code point of the first character, 0 for an empty text. */
export function firstCode(text: string): number {
  return text.codePointAt(0) ?? 0;
}

/** The character of a code modulo 256; empty below 0. */
export function charOf(code: bigint): string {
  return code < 0n ? '' : String.fromCharCode(Number(code & 0xffn));
}

export function findInSet(text: string, list: string): number {
  return text.includes(',') ? 0 : list.split(',').indexOf(text) + 1;
}

/** `length` below 0: as many as the replacement has. */
export function overlay(text: string, by: string, position: number, length: number): string {
  const chars = [...text];
  const from = Math.max(0, position - 1);
  const removed = length < 0 ? [...by].length : length;
  // A place in front of the text counts from its end, as substring's does.
  const behind = position + removed;
  const rest = behind > 0 ? behind - 1 : behind === 0 ? 0 : Math.max(0, chars.length + behind);
  return [...chars.slice(0, from), by, ...chars.slice(rest)].join('');
}

/** NULL for a stand-in leaves such characters as they are. */
export function mask(
  text: string | null,
  upper: string | null,
  lower: string | null,
  digit: string | null,
  other: string | null,
): string | null {
  if (text === null) return null;
  let masked = '';
  for (const char of text) {
    const by = /\p{Lu}/u.test(char) ? upper : /\p{Ll}/u.test(char) ? lower : /\p{Nd}/u.test(char) ? digit : other;
    masked += by ?? char;
  }
  return masked;
}

export function luhnCheck(text: string): boolean {
  if (!/^\d+$/.test(text)) return false;
  let sum = 0;
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(text.length - 1 - index) - 48;
    const weighted = index % 2 === 1 ? digit * 2 : digit;
    sum += weighted > 9 ? weighted - 9 : weighted;
  }
  return sum % 10 === 0;
}

/** Digits of A to Z; 7: H and W, which do not part equal digits; 0: vowels, which do. */
const soundexDigits = '01230127022455012623017202';

/** org.apache.spark.unsafe.types.UTF8String.soundex: what does not begin with a letter stays as it is. */
export function soundex(text: string): string {
  const upper = text.toUpperCase();
  if (!/^[A-Z]/.test(upper)) return text;
  let code = upper[0] as string;
  let last = soundexDigits[upper.charCodeAt(0) - 65];
  for (const char of upper.slice(1)) {
    const digit = /[A-Z]/.test(char) ? (soundexDigits[char.charCodeAt(0) - 65] as string) : '0';
    if (digit === '7') continue;
    if (digit !== '0' && digit !== last) code += digit;
    if (code.length === 4) return code;
    last = digit;
  }
  return code.padEnd(4, '0');
}

/** Longest text of the two that are compared: the work grows with the product of their lengths. */
const LEVENSHTEIN_MAX = 4096;

/** Edits from one text to the other; -1 when they are more than `threshold`. Raises for texts that are too long. */
export function levenshtein(a: string, b: string, threshold: number): number {
  const from = [...a];
  const to = [...b];
  if (from.length > LEVENSHTEIN_MAX || to.length > LEVENSHTEIN_MAX) return raiseExpressionFailed();
  let above = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [row, char] of from.entries()) {
    const current = [row + 1];
    for (const [column, other] of to.entries()) {
      const replaced = (above[column] as number) + (char === other ? 0 : 1);
      current.push(Math.min(replaced, (above[column + 1] as number) + 1, (current[column] as number) + 1));
    }
    above = current;
  }
  const distance = above[to.length] as number;
  return distance > threshold ? -1 : distance;
}

/** Bytes of a text in hexadecimal digits, UTF-8 or base 64. Raises for what is neither. */
export function toBinary(text: string, format: string): Uint8Array {
  switch (format.toLowerCase()) {
    case 'hex':
      return unhex(text) ?? raiseExpressionFailed();
    case 'utf-8':
    case 'utf8':
      return encodeText(text, 'UTF-8');
    case 'base64':
      return unbase64(text);
    default:
      return raiseExpressionFailed();
  }
}
