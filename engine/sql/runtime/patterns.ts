/**
 * LIKE and regular expressions. Regular expressions are Java's in Spark; here they run on the platform's own engine,
 * with what is written differently translated. That engine backtracks: patterns whose time may explode are refused by
 * {@link patternDanger}. A linear-time engine would take the place of {@link compileRegexp}.
 */
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

// ---- regular expressions ----------------------------------------------------------------------------------------

const posixClasses = new Map([
  ['Lower', 'a-z'],
  ['Upper', 'A-Z'],
  ['Alpha', 'A-Za-z'],
  ['Digit', '0-9'],
  ['Alnum', 'A-Za-z0-9'],
  ['Punct', '!-\\/:-@\\[-`{-~'],
  ['Graph', '!-~'],
  ['Print', ' -~'],
  ['Blank', ' \\t'],
  ['Cntrl', '\\x00-\\x1f\\x7f'],
  ['XDigit', '0-9a-fA-F'],
  ['Space', ' \\t\\n\\x0b\\f\\r'],
  ['ASCII', '\\x00-\\x7f'],
  ['IsAlphabetic', '\\p{Alphabetic}'],
  ['javaLowerCase', '\\p{Lowercase}'],
  ['javaUpperCase', '\\p{Uppercase}'],
]);

/** A Java regular expression with the flags it opens with, as the platform writes it. */
function translate(pattern: string): { readonly source: string; readonly flags: string } {
  const opening = /^\(\?([imsux]+)\)/.exec(pattern);
  const flags = [...(opening?.[1] ?? '')].filter((flag) => 'ims'.includes(flag)).join('');
  let rest = opening === null ? pattern : pattern.slice(opening[0].length);
  rest = rest.replaceAll(/\\Q([\s\S]*?)(?:\\E|$)/g, (_, text: string) =>
    text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&'),
  );
  let source = '';
  let inClass = 0;
  for (let at = 0; at < rest.length; at++) {
    const char = rest[at] as string;
    if (char === '\\') {
      const escape = translateEscape(rest, at, inClass > 0);
      source += escape.text;
      at += escape.length - 1;
    } else {
      if (char === '[') inClass = 1;
      else if (char === ']') inClass = 0;
      source += char;
    }
  }
  return { source, flags };
}

function translateEscape(
  pattern: string,
  at: number,
  inClass: boolean,
): { readonly text: string; readonly length: number } {
  const property = /^\\([pP])\{(\w+)\}/.exec(pattern.slice(at, at + 40));
  if (property !== null) {
    const members = posixClasses.get(property[2] ?? '');
    if (members === undefined) return { text: property[0].replace('{Is', '{Script='), length: property[0].length };
    const negated = property[1] === 'P' ? '^' : '';
    return { text: inClass && negated === '' ? members : `[${negated}${members}]`, length: property[0].length };
  }
  const next = pattern[at + 1] ?? '';
  const blanks = ' \\t\\n\\x0b\\f\\r';
  switch (next) {
    case 's':
      return { text: inClass ? blanks : `[${blanks}]`, length: 2 };
    case 'S':
      return { text: inClass ? '\\S' : `[^${blanks}]`, length: 2 };
    case 'h':
      return { text: inClass ? ' \\t\\xa0' : '[ \\t\\xa0]', length: 2 };
    case 'A':
      return { text: '(?<![\\s\\S])', length: 2 };
    case 'z':
      return { text: '(?![\\s\\S])', length: 2 };
    case 'Z':
      return { text: '(?=\\n?(?![\\s\\S]))', length: 2 };
    case 'e':
      return { text: '\\x1b', length: 2 };
    case 'a':
      return { text: '\\x07', length: 2 };
    default:
      // Escaping what needs no escape is allowed in Java and not with the flag u.
      if (/[^A-Za-z0-9\s^$\\.*+?()[\]{}|/-]/.test(next)) return { text: next, length: 2 };
      if (next === '-' && !inClass) return { text: '-', length: 2 };
      return { text: `\\${next}`, length: 2 };
  }
}

/** The compiled pattern, always global; or what is wrong with it. */
export function compileRegexp(pattern: string): RegExp | string {
  const danger = patternDanger(pattern);
  if (danger !== null) return danger;
  const { source, flags } = translate(pattern);
  try {
    return new RegExp(source, `gu${flags}`);
  } catch {
    // Java allows some escapes and braces that the flag u does not.
    try {
      return new RegExp(source, `g${flags}`);
    } catch (error) {
      return error instanceof SyntaxError
        ? error.message.replace(/^Invalid regular expression: /, '')
        : 'it cannot be compiled';
    }
  }
}

const regexps = new Map<string, RegExp>();

/** For patterns that come out of columns. Raises on a wrong one. */
export function regexpOf(pattern: string): RegExp {
  const known = regexps.get(pattern);
  if (known !== undefined) return known;
  const compiled = compileRegexp(pattern);
  if (typeof compiled === 'string') return raiseExpressionFailed();
  if (regexps.size >= PATTERNS_KEPT) regexps.clear();
  regexps.set(pattern, compiled);
  return compiled;
}

/**
 * Finds a repeated group that holds nothing certain but a repetition, as `(a+)+`, `(a*)*`, `(a|b+)*`: there are
 * exponentially many ways to split a text over both repetitions, and a backtracking engine tries them all. Returns a
 * sentence, or null where nothing was found.
 */
function patternDanger(pattern: string): string | null {
  const scanner = new RepetitionScanner(pattern);
  const found = scanner.scan();
  return found === null
    ? null
    : `${found} repeats what repeats already and can take for ever on some texts; write it with one repetition`;
}

interface Piece {
  /** May match nothing. */
  readonly optional: boolean;
  /** Has no upper bound, or (a group) is nothing but pieces that have none. */
  readonly endless: boolean;
}

class RepetitionScanner {
  readonly #pattern: string;
  #at = 0;
  #found: string | null = null;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  scan(): string | null {
    while (this.#at < this.#pattern.length) {
      this.#alternatives(0);
      this.#at++;
    }
    return this.#found;
  }

  /** Reads to the end of a group. True when one of its alternatives is an endless piece beside optional ones only. */
  #alternatives(depth: number): Piece {
    if (depth > 100) {
      this.#found ??= 'the pattern';
      this.#at = this.#pattern.length;
      return { optional: false, endless: false };
    }
    let pieces: Piece[] = [];
    let endless = false;
    let optional = false;
    const close = (): void => {
      endless ||= pieces.some(
        (piece, index) => piece.endless && pieces.every((other, place) => place === index || other.optional),
      );
      optional ||= pieces.every((piece) => piece.optional);
      pieces = [];
    };
    while (this.#at < this.#pattern.length && this.#pattern[this.#at] !== ')') {
      if (this.#pattern[this.#at] === '|') {
        this.#at++;
        close();
      } else {
        pieces.push(this.#piece(depth));
      }
    }
    close();
    return { optional, endless };
  }

  #piece(depth: number): Piece {
    const start = this.#at;
    const group = this.#atom(depth);
    const quantifier = /^(?:[*+?]|\{\d+(?:,\d*)?\})[?+]?/.exec(this.#pattern.slice(this.#at, this.#at + 24))?.[0];
    if (quantifier === undefined) return group ?? { optional: false, endless: false };
    this.#at += quantifier.length;
    const unbounded = /^[*+]|^\{\d+,\}/.test(quantifier) || repetitions(quantifier) > 25;
    if (unbounded && group?.endless === true) this.#found ??= this.#pattern.slice(start, this.#at);
    const optional = /^[*?]|^\{0/.test(quantifier) || group?.optional === true;
    return { optional, endless: unbounded || group?.endless === true };
  }

  /** One character, class, escape or group; what is known of a group. */
  #atom(depth: number): Piece | null {
    const char = this.#pattern[this.#at];
    if (char === '\\') {
      this.#at += 2;
      return null;
    }
    if (char === '[') {
      this.#at++;
      if (this.#pattern[this.#at] === '^') this.#at++;
      if (this.#pattern[this.#at] === ']') this.#at++;
      while (this.#at < this.#pattern.length && this.#pattern[this.#at] !== ']')
        this.#at += this.#pattern[this.#at] === '\\' ? 2 : 1;
      this.#at++;
      return null;
    }
    if (char !== '(') {
      this.#at++;
      return char === '^' || char === '$' ? { optional: true, endless: false } : null;
    }
    this.#at +=
      /^\((?:\?(?:[:=!>]|<[=!]|<\w+>|[a-z-]+:?))?/.exec(this.#pattern.slice(this.#at, this.#at + 40))?.[0].length ?? 1;
    const inside = this.#alternatives(depth + 1);
    this.#at++;
    return inside;
  }
}

function repetitions(quantifier: string): number {
  return Number(/(\d+)\}/.exec(quantifier)?.[1] ?? 0);
}

export function regexpLike(text: string, regexp: RegExp): boolean {
  regexp.lastIndex = 0;
  return regexp.test(text);
}

/** The first match's group: '' when nothing matches or the group took no part. Raises for a group that is not there. */
export function regexpExtract(text: string, regexp: RegExp, group: number): string {
  regexp.lastIndex = 0;
  const match = regexp.exec(text);
  if (match === null) return '';
  if (group < 0 || group >= match.length) return raiseExpressionFailed();
  return match[group] ?? '';
}

export function regexpExtractAll(text: string, regexp: RegExp, group: number): readonly string[] {
  return Array.from(text.matchAll(regexp), (match) => {
    if (group < 0 || group >= match.length) return raiseExpressionFailed();
    return match[group] ?? '';
  });
}

export function regexpCount(text: string, regexp: RegExp): number {
  let count = 0;
  for (const _ of text.matchAll(regexp)) count++;
  return count;
}

export function regexpSubstr(text: string, regexp: RegExp): string | null {
  regexp.lastIndex = 0;
  return regexp.exec(text)?.[0] ?? null;
}

/** Position of the first match in characters from 1, 0 when there is none. */
export function regexpInstr(text: string, regexp: RegExp): number {
  regexp.lastIndex = 0;
  const match = regexp.exec(text);
  return match === null ? 0 : Array.from(text.slice(0, match.index)).length + 1;
}

/** A replacement as Java reads it: `$1`, `${name}`, `\` takes the next character as it is. */
export function regexpReplace(text: string, regexp: RegExp, replacement: string, position: number): string {
  if (position < 1) return raiseExpressionFailed();
  const from = position === 1 ? 0 : [...text].slice(0, position - 1).join('').length;
  const head = text.slice(0, from);
  const tail = text.slice(from);
  if (!/[$\\]/.test(replacement)) return head + tail.replace(regexp, () => replacement);
  return head + tail.replace(regexp, (...match: readonly unknown[]) => expand(replacement, match));
}

function expand(replacement: string, match: readonly unknown[]): string {
  const named = match.at(-1);
  const groups = match.slice(0, typeof named === 'object' ? -3 : -2) as readonly (string | undefined)[];
  return replacement.replace(
    /\\([\s\S])|\$\{(\w+)\}|\$(\d+)|[$\\]/g,
    (_, escaped?: string, name?: string, digits?: string) => {
      if (escaped !== undefined) return escaped;
      if (name !== undefined) return (named as Record<string, string | undefined> | undefined)?.[name] ?? '';
      if (digits === undefined) return raiseExpressionFailed();
      // As many digits as name a group: $12 is group 1 and a 2 where there is no group 12.
      for (let length = digits.length; length > 0; length--) {
        const group = Number(digits.slice(0, length));
        if (group < groups.length) return (groups[group] ?? '') + digits.slice(length);
      }
      return raiseExpressionFailed();
    },
  );
}

/** Java's String.split with Spark's limit: above 0 at most so many parts, else all, empty ones at the end included. */
export function splitText(text: string, regexp: RegExp, limit: number): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  regexp.lastIndex = 0;
  for (const match of text.matchAll(regexp)) {
    if (limit > 0 && parts.length === limit - 1) break;
    const end = match.index + match[0].length;
    // A match of nothing cuts between characters, but gives no empty part at either end.
    if (match[0] === '' && (match.index === 0 || match.index >= text.length)) continue;
    parts.push(text.slice(from, match.index));
    from = end;
  }
  parts.push(text.slice(from));
  return parts;
}
