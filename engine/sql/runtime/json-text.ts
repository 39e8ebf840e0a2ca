/**
 * JSON text as values: JSON.parse, and a second look at what is not quite JSON but what Spark's reader (Jackson, with
 * single quotes and non-numeric numbers allowed) takes all the same.
 */

import { formatDouble } from './numbers.ts';

/** A number in its own digits: whole numbers beyond 2^53 and decimals must not go through a double. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Json = null | boolean | string | JsonNumber | Json[] | { [key: string]: Json };

/** The value of a text with numbers as {@link JsonNumber}; undefined when it is not JSON. */
export function parseJson(text: string, leadingZeros = false): Json | undefined {
  const json = parseStrict(text);
  if (json !== undefined) return json;
  const relaxed = relax(text, leadingZeros);
  return relaxed === undefined ? undefined : parseStrict(relaxed);
}

function parseStrict(text: string): Json | undefined {
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) =>
      typeof value === 'number' ? new JsonNumber(context?.source ?? String(value)) : value,
    ) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const pieces =
  /\s+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}[\],:]|[+-]?(?:INF|Infinity)\b|NaN\b|true\b|false\b|null\b|-?\d[\d.eE+-]*/sy;

/**
 * The first value of a text as JSON: 'texts' in single quotes and NaN and its like become texts, and what follows the
 * value is left out. Undefined when something else stands in it, or when it ends too early.
 */
function relax(text: string, leadingZeros: boolean): string | undefined {
  let json = '';
  let depth = 0;
  for (let at = 0; at < text.length;) {
    pieces.lastIndex = at;
    const piece = pieces.exec(text)?.[0];
    if (piece === undefined) return undefined;
    at += piece.length;
    if (/^\s/.test(piece)) continue;
    if (piece === '{' || piece === '[') depth++;
    else if (piece === '}' || piece === ']') depth--;
    json += relaxedPiece(piece, leadingZeros);
    if (depth <= 0) return json;
  }
  return undefined;
}

function relaxedPiece(piece: string, leadingZeros: boolean): string {
  if (piece.startsWith("'")) {
    const body = piece.slice(1, -1).replace(/\\.|"/gs, (part) => (part === "\\'" ? "'" : part === '"' ? '\\"' : part));
    return `"${body}"`;
  }
  if (/^[+-]?(?:INF|Infinity)$|^NaN$/.test(piece)) return `"${piece}"`;
  return leadingZeros ? piece.replace(/^(-?)0+(?=\d)/, '$1') : piece;
}

export function isObject(json: Json | undefined): json is { [key: string]: Json } {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !(json instanceof JsonNumber);
}

export function own(json: { readonly [key: string]: Json }, key: string): Json {
  return Object.hasOwn(json, key) ? (json[key] ?? null) : null;
}

/** A number as a text: whole numbers in their own digits, others as the double that Spark makes of them. */
export function numberText(text: string): string {
  return /^-?\d+$/.test(text) ? text : formatDouble(Number(text));
}

/** JSON as it was, without blanks. */
export function stringify(json: Json): string {
  if (json === null || typeof json === 'boolean') return String(json);
  if (json instanceof JsonNumber) return numberText(json.text);
  if (typeof json === 'string') return JSON.stringify(json);
  if (Array.isArray(json)) return `[${json.map(stringify).join(',')}]`;
  return `{${Object.keys(json)
    .map((key) => `${JSON.stringify(key)}:${stringify(own(json, key))}`)
    .join(',')}}`;
}
