/**
 * The keys of a JSON object by their bytes, without reading its values: finds one that is not expected. Producers write
 * their keys in one order, so each is first compared with the one that followed the last time.
 */
import { jsonBytes } from '../scan/json-bytes.ts';

const { CLOSE_BRACE, CLOSE_BRACKET, COLON, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE } = jsonBytes;
const BACKSLASH = 0x5c;

/** No key of the object was unexpected. */
export const ALL_KNOWN = null;

export class ObjectKeys {
  readonly #names: Uint8Array[] = [];
  /** Index of the name that came after each; behind the last one what came first. */
  readonly #next: number[] = [0];
  /** By name's index: the number of the walk that saw it last. */
  readonly #seenBy: number[] = [];
  #walk = 0;

  constructor(names: Iterable<string>) {
    for (const name of names) this.add(name);
  }

  /** From here on the key is expected. */
  add(name: string): void {
    this.#names.push(new TextEncoder().encode(name));
    this.#seenBy.push(0);
    this.#next.splice(this.#names.length - 1, 0, this.#names.length);
  }

  /** Was the `index`th name among the keys of the object that was walked last? Only after a walk to the end. */
  wasSeen(index: number): boolean {
    return this.#seenBy[index] === this.#walk;
  }

  /**
   * The first key of the object `[start, end)` that is not expected; {@link ALL_KNOWN} = there is none, or the bytes are
   * no object, which is for others to say.
   */
  unexpected(bytes: Uint8Array, start: number, end: number): string | null {
    this.#walk++;
    let at = blanks(bytes, start, end);
    if (bytes[at] !== OPEN_BRACE) return ALL_KNOWN;
    at = blanks(bytes, at + 1, end);
    let before = this.#names.length;
    while (at < end && bytes[at] === QUOTE) {
      const close = closingQuote(bytes, at + 1, end);
      if (close < 0) return ALL_KNOWN;
      const found = this.#find(bytes, at + 1, close, this.#next[before] ?? 0);
      if (found < 0) return keyText(bytes, at, close + 1) ?? ALL_KNOWN;
      this.#seenBy[found] = this.#walk;
      this.#next[before] = found;
      before = found;
      at = blanks(bytes, close + 1, end);
      if (bytes[at] !== COLON) return ALL_KNOWN;
      at = blanks(bytes, behindValue(bytes, blanks(bytes, at + 1, end), end), end);
      if (bytes[at] !== COMMA) return ALL_KNOWN;
      at = blanks(bytes, at + 1, end);
    }
    return ALL_KNOWN;
  }

  #find(bytes: Uint8Array, start: number, end: number, guess: number): number {
    if (guess < this.#names.length && sameBytes(this.#names[guess]!, bytes, start, end)) return guess;
    const exact = this.#names.findIndex((name) => sameBytes(name, bytes, start, end));
    if (exact >= 0 || !bytes.subarray(start, end).includes(BACKSLASH)) return exact;
    const text = keyText(bytes, start - 1, end + 1);
    const plain = text === null ? null : new TextEncoder().encode(text);
    return plain === null ? -1 : this.#names.findIndex((name) => sameBytes(name, plain, 0, plain.byteLength));
  }
}

/** The string `[start, end)` with its quotes; null when it is none. */
function keyText(bytes: Uint8Array, start: number, end: number): string | null {
  try {
    return String(JSON.parse(Buffer.from(bytes.subarray(start, end)).toString('utf8')));
  } catch {
    return null;
  }
}

function sameBytes(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.byteLength !== end - start) return false;
  for (let index = 0; index < name.byteLength; index++) if (name[index] !== bytes[start + index]) return false;
  return true;
}

function blanks(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at]! <= 0x20) at++;
  return at;
}

/** Where the string that begins at `at` ends; -1 = it does not. */
function closingQuote(bytes: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    if (bytes[at] === QUOTE) return at;
    if (bytes[at] === BACKSLASH) at++;
  }
  return -1;
}

/** The position behind the value at `at`, or `end`. */
function behindValue(bytes: Uint8Array, at: number, end: number): number {
  let depth = 0;
  for (; at < end; at++) {
    switch (bytes[at]) {
      case QUOTE: {
        const close = closingQuote(bytes, at + 1, end);
        if (close < 0) return end;
        at = close;
        break;
      }
      case OPEN_BRACE:
      case OPEN_BRACKET:
        depth++;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        if (depth === 0) return at;
        depth--;
        break;
      case COMMA:
        if (depth === 0) return at;
        break;
      default:
    }
  }
  return end;
}
