/**
 * Where things stand in a job file: paths of the document, and offsets within its text values, as lines and columns.
 */
import type { Document, LineCounter, Pair, ParsedNode, Scalar } from 'yaml';
import { isCollection, isMap, isPair, isScalar } from 'yaml';

/** Line and column count from 1, columns in UTF-16 units; `length` ≥ 1 of the text to underline on that line. */
export interface FilePosition {
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

export type DocumentPath = readonly (string | number)[];

export interface FilePositions {
  /** The value at `path`; where it is missing, its nearest ancestor's key. */
  ofValue(path: DocumentPath): FilePosition;
  /** The key that ends `path`. */
  ofKey(path: DocumentPath): FilePosition;
  /** A stretch of the text value at `path`, whatever YAML style it is written in. */
  ofText(path: DocumentPath, offset: number, length: number): FilePosition;
}

/** `sources.users.schema`, `sinks.0.table` or `sinks[0].table`. Source names hold no dots (checked by the schema). */
export function parsePath(path: string): (string | number)[] {
  const steps = path.split(/[.[\]]+/).filter((step) => step !== '');
  return steps.map((step) => (/^\d+$/.test(step) ? Number(step) : step));
}

export function formatPath(path: readonly PropertyKey[]): string {
  return path.map(String).join('.');
}

export function documentPositions(text: string, document: Document.Parsed, lines: LineCounter): FilePositions {
  const at = (offset: number, end: number): FilePosition => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    const lineEnd = text.indexOf('\n', offset);
    const last = Math.min(end, lineEnd < 0 ? text.length : lineEnd);
    return { line: Math.max(1, line), column: Math.max(1, col), length: Math.max(1, last - offset) };
  };
  const ofNode = (node: ParsedNode | null | undefined): FilePosition | undefined =>
    node?.range == null ? undefined : at(node.range[0], isCollection(node) ? node.range[0] + 1 : node.range[1]);
  const keyNode = (path: DocumentPath): ParsedNode | undefined => {
    const parent = document.getIn(path.slice(0, -1), true);
    if (!isMap(parent)) return undefined;
    const pair = parent.items.find((item) => isPair(item) && keyText(item) === String(path.at(-1)));
    return pair?.key as ParsedNode | undefined;
  };
  const ofKey = (path: DocumentPath): FilePosition => {
    for (let depth = path.length; depth > 0; depth--) {
      const prefix = path.slice(0, depth);
      const found = ofNode(keyNode(prefix)) ?? ofNode(document.getIn(prefix, true) as ParsedNode | undefined);
      if (found !== undefined) return found;
    }
    return ofNode(document.contents) ?? at(0, 1);
  };
  const ofValue = (path: DocumentPath): FilePosition => {
    const node = document.getIn(path, true) as ParsedNode | undefined;
    if (node === undefined || isCollection(node)) return ofKey(path);
    return ofNode(node) ?? ofKey(path);
  };
  const ofText = (path: DocumentPath, offset: number, length: number): FilePosition => {
    const node = document.getIn(path, true);
    if (!isScalar(node) || typeof node.value !== 'string') return ofValue(path);
    const from = textOffset(text, node as Scalar.Parsed, offset);
    return at(from, textOffset(text, node as Scalar.Parsed, offset + Math.max(0, length - 1)) + 1);
  };
  return { ofValue, ofKey, ofText };
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

/**
 * The place in the file of character `offset` of a text value. Every YAML style keeps the characters that are not white
 * space, in order, and changes only white space and, within quotes, escapes: so the n-th such character of the value is
 * the n-th of the source. White space stands behind the character before it.
 */
function textOffset(text: string, scalar: Scalar.Parsed, offset: number): number {
  const value = String(scalar.value);
  const exact = offset < value.length && !isSpace(value.charCodeAt(offset));
  const wanted = countSolid(value, exact ? offset + 1 : offset);
  const { start, end, quote } = content(text, scalar);
  if (wanted === 0) return nextSolid(text, start, end);
  let seen = 0;
  for (let at = start; at < end;) {
    const token = sourceCharacter(text, at, quote);
    seen += token.solid;
    if (seen >= wanted) return exact ? at : Math.min(end, at + token.width + spacesBefore(value, offset));
    at += token.width;
  }
  return end;
}

function content(text: string, scalar: Scalar.Parsed): { start: number; end: number; quote: string } {
  const [start, end] = scalar.range;
  const first = text[start] ?? '';
  if (scalar.type === 'QUOTE_DOUBLE' || scalar.type === 'QUOTE_SINGLE')
    return { start: start + 1, end: end - 1, quote: first };
  // The header of a block scalar (`|`, `>-`, `|2 # comment`) ends with its line.
  if (scalar.type === 'BLOCK_LITERAL' || scalar.type === 'BLOCK_FOLDED') {
    const headerEnd = text.indexOf('\n', start);
    return { start: headerEnd < 0 ? end : headerEnd + 1, end, quote: '' };
  }
  return { start, end, quote: '' };
}

/** Width in the source of what stands at `at`, and how many characters of the value that are not white space it gives. */
function sourceCharacter(text: string, at: number, quote: string): { width: number; solid: number } {
  const char = text[at] ?? '';
  if (quote === "'" && char === "'") return { width: 2, solid: 1 };
  if (quote === '"' && char === '\\') return escapeSequence(text, at);
  return { width: 1, solid: isSpace(text.charCodeAt(at)) ? 0 : 1 };
}

const escapeDigits = new Map([
  ['x', 2],
  ['u', 4],
  ['U', 8],
]);

function escapeSequence(text: string, at: number): { width: number; solid: number } {
  const kind = text[at + 1] ?? '';
  const digits = escapeDigits.get(kind);
  if (digits !== undefined) {
    const code = Number.parseInt(text.slice(at + 2, at + 2 + digits), 16);
    return { width: 2 + digits, solid: isSpace(code) ? 0 : code > 0xffff ? 2 : 1 };
  }
  return { width: 2, solid: ' \t\n\rntvfL_NP'.includes(kind) ? 0 : 1 };
}

/** White space as far as positions care: what YAML folds, and what its escapes for white space stand for. */
function isSpace(code: number): boolean {
  return code <= 32 && code !== 0 && code !== 7 && code !== 8 && code !== 27
    ? true
    : code === 0x85 || code === 0xa0 || code === 0x2028 || code === 0x2029;
}

function countSolid(value: string, end: number): number {
  let count = 0;
  for (let index = 0; index < Math.min(end, value.length); index++) if (!isSpace(value.charCodeAt(index))) count++;
  return count;
}

function spacesBefore(value: string, offset: number): number {
  let count = 0;
  for (let index = offset - 1; index >= 0 && value[index] === ' '; index--) count++;
  return count;
}

function nextSolid(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && isSpace(text.charCodeAt(at))) at++;
  return at;
}
