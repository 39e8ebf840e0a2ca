/** LIKE. Regular expressions are in regexp.ts. */
import { bytesContains, bytesEndsWith, bytesEqual, bytesStartsWith } from './bytes.ts';
import { raiseExpressionFailed } from './runtime.ts';

// ---- LIKE -------------------------------------------------------------------------------------------------------

const ANY_CHAR = 256;
const ANY_TEXT = 257;

/** A LIKE pattern as bytes, {@link ANY_CHAR} for `_` and {@link ANY_TEXT} for `%`. */
export interface LikePattern {
  readonly codes: Int32Array;
  /** Patterns that need no search for wildcards within: the text between them, and where it must stand. */
  readonly simple: { readonly kind: 'equal' | 'prefix' | 'suffix' | 'within'; readonly text: Uint8Array } | null;
}

/** Null when the pattern ends with its escape character, or has it in front of an ordinary one. */
export function compileLike(pattern: string, escape: string): LikePattern | null {
  const codes: number[] = [];
  const chars = [...pattern];
  for (let index = 0; index < chars.length; index++) {
    const char = chars[index] as string;
    if (char === escape) {
      const next = chars[++index];
      if (next !== '%' && next !== '_' && next !== escape) return null;
      codes.push(...Buffer.from(next, 'utf8'));
    } else if (char === '%') {
      if (codes.at(-1) !== ANY_TEXT) codes.push(ANY_TEXT);
    } else if (char === '_') {
      codes.push(ANY_CHAR);
    } else {
      codes.push(...Buffer.from(char, 'utf8'));
    }
  }
  return { codes: Int32Array.from(codes), simple: simpleLike(codes) };
}

function simpleLike(codes: readonly number[]): LikePattern['simple'] {
  const open = codes[0] === ANY_TEXT;
  const close = codes.length > 1 && codes.at(-1) === ANY_TEXT;
  const inner = codes.slice(open ? 1 : 0, close ? -1 : undefined);
  if (inner.some((code) => code >= 256)) return null;
  const kind = open && close ? 'within' : open ? 'suffix' : close ? 'prefix' : 'equal';
  return { kind, text: Uint8Array.from(inner) };
}

const simpleKernels = { equal: bytesEqual, prefix: bytesStartsWith, suffix: bytesEndsWith, within: bytesContains };

/** The kernel (text, part) → boolean for a simple pattern. */
export function simpleLikeKernel(simple: NonNullable<LikePattern['simple']>): typeof bytesContains {
  return simpleKernels[simple.kind];
}

/** Greedy match with one step back to the last `%`: time grows with text × pattern at worst. */
export function likeMatches(data: Uint8Array, start: number, length: number, { codes }: LikePattern): boolean {
  const end = start + length;
  let at = start;
  let code = 0;
  let resumeAt = -1;
  let resumeCode = -1;
  while (at < end) {
    const wanted = code < codes.length ? (codes[code] as number) : -1;
    if (wanted === ANY_TEXT) {
      resumeCode = ++code;
      resumeAt = at;
    } else if (wanted === ANY_CHAR) {
      at += charBytes(data[at] as number);
      code++;
    } else if (wanted === data[at]) {
      at++;
      code++;
    } else if (resumeCode >= 0) {
      resumeAt += charBytes(data[resumeAt] as number);
      at = resumeAt;
      code = resumeCode;
    } else {
      return false;
    }
  }
  while (code < codes.length && codes[code] === ANY_TEXT) code++;
  return code === codes.length;
}

function charBytes(first: number): number {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

const PATTERNS_KEPT = 256;
const likes = new Map<string, LikePattern>();

/** For patterns that come out of columns. Raises on a wrong one. */
export function likeDynamic(data: Uint8Array, start: number, length: number, pattern: string, escape: string): boolean {
  const key = `${escape}${pattern}`;
  let compiled = likes.get(key);
  if (compiled === undefined) {
    compiled = compileLike(pattern, escape) ?? raiseExpressionFailed();
    if (likes.size >= PATTERNS_KEPT) likes.clear();
    likes.set(key, compiled);
  }
  return likeMatches(data, start, length, compiled);
}

export function ilikeText(text: string, pattern: string, escape: string): boolean {
  const bytes = Buffer.from(text.toLowerCase(), 'utf8');
  return likeDynamic(bytes, 0, bytes.length, pattern.toLowerCase(), escape);
}
