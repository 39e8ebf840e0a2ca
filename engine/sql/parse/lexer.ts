/** SQL text to tokens, after Spark's lexical rules. */
import type { Span } from '../../../core/ast.ts';
import { SqlSyntaxError } from '../problems.ts';

/** A piece of the text: `offset` and `length` say where it stands, in UTF-16 units. */
export type Token = Span &
  (
    | {
        readonly kind: 'word';
        readonly text: string;
        /** In capitals, to compare with keywords. */ readonly upper: string;
      }
    /** `in backticks` */
    | { readonly kind: 'quoted'; readonly text: string }
    | { readonly kind: 'string'; readonly text: string }
    | { readonly kind: 'number'; readonly text: string; readonly suffix: '' | 'Y' | 'S' | 'L' | 'F' | 'D' | 'BD' }
    | { readonly kind: 'symbol'; readonly text: string }
    | { readonly kind: 'end'; readonly text: '' }
  );

const symbols = [
  '<=>',
  '<=',
  '>=',
  '<>',
  '!=',
  '==',
  '!<',
  '!>',
  '||',
  '::',
  '->',
  '=>',
  '!',
  '<',
  '>',
  '=',
  '+',
  '-',
  '*',
  '/',
  '%',
  '&',
  '|',
  '^',
  '~',
  '(',
  ')',
  '[',
  ']',
  ',',
  '.',
  ':',
  ';',
  '?',
];
const wordStart = /[A-Za-z_\u0080-\uffff]/;
const wordPattern = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const numberPattern = /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const suffixPattern = /(?:BD|[YSLFD])(?![A-Za-z0-9_])/iy;
const TEXT_CHARS_MAX = 1_000_000;

/** All tokens of a text, an end token last. Throws {@link SqlSyntaxError}. */
export function tokenize(text: string): readonly Token[] {
  if (text.length > TEXT_CHARS_MAX)
    throw new SqlSyntaxError('the SQL text is longer than 1,000,000 characters', { offset: 0, length: 1 });
  const tokens: Token[] = [];
  let at = 0;
  while ((at = skipBlank(text, at)) < text.length) {
    const token = readToken(text, at);
    tokens.push(token);
    at = token.offset + token.length;
  }
  tokens.push({ kind: 'end', text: '', offset: text.length, length: 1 });
  return tokens;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  for (;;) {
    while (at < text.length && /\s/.test(text[at] as string)) at++;
    if (text.startsWith('--', at)) {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end + 1;
    } else if (text.startsWith('/*', at)) {
      at = skipComment(text, at);
    } else {
      return at;
    }
  }
}

/** Comments nest. */
function skipComment(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith('/*', at)) {
      depth++;
      at++;
    } else if (text.startsWith('*/', at)) {
      depth--;
      at++;
      if (depth === 0) return at + 1;
    }
  }
  throw new SqlSyntaxError('this comment is not closed', { offset: from, length: 2 }, 'end it with */');
}

function readToken(text: string, at: number): Token {
  const char = text[at] as string;
  if (char === "'" || char === '"') return readString(text, at, at, false);
  if (/[rR]/.test(char) && (text[at + 1] === "'" || text[at + 1] === '"')) return readString(text, at, at + 1, true);
  if (char === '`') return readQuoted(text, at);
  if (/\d/.test(char) || (char === '.' && /\d/.test(text[at + 1] ?? ''))) return readNumber(text, at);
  if (wordStart.test(char)) {
    wordPattern.lastIndex = at;
    const word = wordPattern.exec(text)?.[0] ?? char;
    return { kind: 'word', text: word, upper: word.toUpperCase(), offset: at, length: word.length };
  }
  const symbol = symbols.find((candidate) => text.startsWith(candidate, at));
  if (symbol === undefined)
    throw new SqlSyntaxError(`the character ${JSON.stringify(char)} has no place here`, { offset: at, length: 1 });
  return { kind: 'symbol', text: symbol, offset: at, length: symbol.length };
}

function readQuoted(text: string, at: number): Token {
  let name = '';
  for (let index = at + 1; index < text.length; index++) {
    if (text[index] !== '`') {
      name += text[index];
    } else if (text[index + 1] === '`') {
      name += '`';
      index++;
    } else {
      if (name === '') throw new SqlSyntaxError('a name in backticks cannot be empty', { offset: at, length: 2 });
      return { kind: 'quoted', text: name, offset: at, length: index + 1 - at };
    }
  }
  throw new SqlSyntaxError('this name in backticks is not closed', { offset: at, length: 1 }, 'end it with `');
}

function readNumber(text: string, at: number): Token {
  numberPattern.lastIndex = at;
  const digits = numberPattern.exec(text)?.[0] ?? '';
  suffixPattern.lastIndex = at + digits.length;
  const suffix = (suffixPattern.exec(text)?.[0] ?? '').toUpperCase() as Extract<Token, { kind: 'number' }>['suffix'];
  const length = digits.length + suffix.length;
  if (/[A-Za-z0-9_]/.test(text[at + length] ?? '')) {
    throw new SqlSyntaxError(
      'a number and a name run into each other here',
      { offset: at, length: length + 1 },
      'names that begin with a digit stand in `backticks`',
    );
  }
  return { kind: 'number', text: digits, suffix, offset: at, length };
}

function readString(text: string, at: number, open: number, raw: boolean): Token {
  const quote = text[open] as string;
  let value = '';
  for (let index = open + 1; index < text.length; index++) {
    const char = text[index] as string;
    if (char === quote) {
      if (text[index + 1] !== quote || raw) return { kind: 'string', text: value, offset: at, length: index + 1 - at };
      value += quote;
      index++;
    } else if (char === '\\' && !raw) {
      const escape = readEscape(text, index);
      value += escape.value;
      index += escape.length - 1;
    } else {
      value += char;
    }
  }
  throw new SqlSyntaxError('this text is not closed', { offset: at, length: 1 }, `end it with ${quote}`);
}

const escapes = new Map([
  ['0', '\0'],
  ['b', '\b'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['Z', '\x1a'],
  // Kept with their backslash, for LIKE.
  ['%', '\\%'],
  ['_', '\\_'],
]);

function readEscape(text: string, at: number): { readonly value: string; readonly length: number } {
  const rest = text.slice(at, at + 10);
  const unicode = /^\\u([0-9a-fA-F]{4})/.exec(rest) ?? /^\\U([0-9a-fA-F]{8})/.exec(rest);
  if (unicode !== null) {
    const code = Number.parseInt(unicode[1] as string, 16);
    if (code <= 0x10ffff) return { value: String.fromCodePoint(code), length: unicode[0].length };
  }
  const octal = /^\\([01][0-7]{2})/.exec(rest);
  if (octal !== null) return { value: String.fromCharCode(Number.parseInt(octal[1] as string, 8)), length: 4 };
  const char = text[at + 1] ?? '';
  return { value: escapes.get(char) ?? char, length: 2 };
}
