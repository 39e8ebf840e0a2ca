/**
 * JSON as bytes: where strings, numbers and whole values end, and whether they are well-formed. Strings are searched four
 * bytes at a time (the zero-byte trick of Warren, "Hacker's Delight", 6-1).
 */
import { assert } from '../../core/assert.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import { jsonBytes, stringFlags } from './json-bytes.ts';
import { scanReasons } from './scan-reasons.ts';
import { hexDigit } from './utf8.ts';

const { FLAG_ESCAPE, FLAG_NON_ASCII } = stringFlags;
const { BACKSLASH, CLOSE_BRACE, CLOSE_BRACKET, COLON, COMMA, MINUS, OPEN_BRACE, OPEN_BRACKET, QUOTE } = jsonBytes;
const { NOT_JSON, TOO_DEEP } = scanReasons;

/** Recursion follows the nesting, so it has to stay far below the stack's size. */
const DEPTH_LIMIT = 1000;

/**
 * Reads JSON text in an arena. A base class and no part of {@link JsonScanner}: every call of the hot loops stays one on
 * the object itself. Positions are those of the arena; -1 says that there is no such thing at the position.
 */
export abstract class JsonText {
  protected arena: ByteBuffer;
  protected bytes: Uint8Array;
  protected view: DataView;
  protected readonly depthMax: number;
  /** Of the string last read: see `stringFlags`. */
  protected flags = 0;
  /** Whether the number last read has neither fraction nor exponent. */
  protected integer = false;
  /** Why the document cannot be read any further. */
  protected broken = NOT_JSON;

  /** `depthMax`: levels of nesting allowed. */
  constructor(arena: ByteBuffer, depthMax: number) {
    assert(depthMax <= DEPTH_LIMIT, () => `a nesting limit of ${depthMax} is above ${DEPTH_LIMIT}`);
    this.arena = arena;
    this.bytes = arena.bytes;
    this.view = arena.view;
    this.depthMax = depthMax;
  }

  /** The arena may have moved. */
  protected refresh(): void {
    this.bytes = this.arena.bytes;
    this.view = this.arena.view;
  }

  /** The position of the first byte that is no blank. */
  protected blanks(at: number, end: number): number {
    const bytes = this.bytes;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    }
    return at;
  }

  /** As {@link #string} for strings without escapes; -1 for all others, also where the record ends within three bytes. */
  protected plainString(view: DataView, at: number, end: number): number {
    let seen = 0;
    for (const last = end - 4; at <= last; at += 4) {
      const word = view.getInt32(at, true);
      const hit =
        (((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101) | (word - 0x20202020)) &
        ~word &
        0x80808080;
      if (hit !== 0) {
        // Only the lowest mark is sure: a borrow may set others above it.
        const low = hit & -hit;
        this.flags = ((seen | (word & (low - 1))) & 0x80808080) !== 0 ? FLAG_NON_ASCII : 0;
        at += (31 - Math.clz32(low)) >>> 3;
        return view.getUint8(at) === QUOTE ? at : -1;
      }
      seen |= word;
    }
    return -1;
  }

  /** The position of the quote that ends the string whose inside begins at `at`; -1 when there is none. Sets #flags. */
  protected string(at: number, end: number): number {
    const view = this.view;
    let seen = 0;
    let flags = 0;
    for (;;) {
      let special = 0;
      for (const last = end - 4; at <= last; at += 4) {
        const word = view.getInt32(at, true);
        const hit =
          (((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101) | (word - 0x20202020)) &
          ~word &
          0x80808080;
        if (hit !== 0) {
          // Only the lowest mark is sure: a borrow may set others above it.
          const low = hit & -hit;
          seen |= word & (low - 1);
          at += (31 - Math.clz32(low)) >>> 3;
          special = view.getUint8(at);
          break;
        }
        seen |= word;
      }
      if (special === 0) {
        for (; at < end; at++) {
          const byte = view.getUint8(at);
          if (byte === QUOTE || byte === BACKSLASH || byte < 0x20) break;
          seen |= byte;
        }
        if (at >= end) return -1;
        special = view.getUint8(at);
      }
      if (special === QUOTE) {
        this.flags = (seen & 0x80808080) !== 0 ? flags | FLAG_NON_ASCII : flags;
        return at;
      }
      if (special !== BACKSLASH) return -1;
      flags = FLAG_ESCAPE;
      const next = this.#escape(at + 1, end);
      if (next < 0) return -1;
      at = next;
    }
  }

  /** The position behind the escape whose letter is at `at`; -1 when it is none. */
  #escape(at: number, end: number): number {
    if (at >= end) return -1;
    switch (this.bytes[at]) {
      case QUOTE:
      case BACKSLASH:
      case 0x2f:
      case 0x62:
      case 0x66:
      case 0x6e:
      case 0x72:
      case 0x74:
        return at + 1;
      case 0x75:
        if (at + 5 > end) return -1;
        for (let digit = at + 1; digit < at + 5; digit++) if (hexDigit(this.bytes[digit]!) < 0) return -1;
        return at + 5;
      default:
        return -1;
    }
  }

  /** The position behind the number at `at`; -1 when it is none. Sets #integer. */
  protected number(at: number, end: number): number {
    const bytes = this.bytes;
    if (bytes[at] === MINUS) at++;
    if (at >= end) return -1;
    let digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    at++;
    if (digit > 0) at = this.#digits(at, end);
    this.integer = true;
    if (at < end && bytes[at] === 0x2e) {
      this.integer = false;
      const from = at + 1;
      at = this.#digits(from, end);
      if (at === from) return -1;
    }
    if (at < end && (bytes[at]! | 0x20) === 0x65) {
      this.integer = false;
      at++;
      if (at < end && (bytes[at] === 0x2b || bytes[at] === MINUS)) at++;
      const from = at;
      at = this.#digits(from, end);
      if (at === from) return -1;
    }
    // `01` and `1x` end up here: what follows must end a value.
    if (at < end) {
      digit = bytes[at]! - 0x30;
      if (digit >= 0 && digit <= 9) return -1;
    }
    return at;
  }

  #digits(at: number, end: number): number {
    const bytes = this.bytes;
    for (; at < end; at++) {
      const digit = bytes[at]! - 0x30;
      if (digit < 0 || digit > 9) break;
    }
    return at;
  }

  /** The position behind `true`, `false` or `null` at `at`; -1 when it is none of them. */
  protected literal(at: number, end: number): number {
    const bytes = this.bytes;
    if (at + 4 > end) return -1;
    const word = this.view.getInt32(at, true);
    if (word === 0x65757274 || word === 0x6c6c756e) return at + 4;
    return word === 0x736c6166 && at + 5 <= end && bytes[at + 4] === 0x65 ? at + 5 : -1;
  }

  /** The position behind any value at `at`, checking all of it; -1 when it is malformed or too deep. */
  protected skip(at: number, end: number, depth: number): number {
    if (at >= end) return -1;
    switch (this.bytes[at]) {
      case QUOTE: {
        const close = this.string(at + 1, end);
        return close < 0 ? -1 : close + 1;
      }
      case OPEN_BRACE:
      case OPEN_BRACKET:
        return this.#skipNested(at, end, depth + 1);
      case 0x66:
      case 0x6e:
      case 0x74:
        return this.literal(at, end);
      default:
        return this.number(at, end);
    }
  }

  #skipNested(at: number, end: number, depth: number): number {
    if (depth > this.depthMax) {
      this.broken = TOO_DEEP;
      return -1;
    }
    const object = this.bytes[at] === OPEN_BRACE;
    const close = object ? CLOSE_BRACE : CLOSE_BRACKET;
    at = this.blanks(at + 1, end);
    if (at < end && this.bytes[at] === close) return at + 1;
    for (;;) {
      if (object) {
        if (at >= end || this.bytes[at] !== QUOTE) return -1;
        const quote = this.string(at + 1, end);
        if (quote < 0) return -1;
        at = this.blanks(quote + 1, end);
        if (at >= end || this.bytes[at] !== COLON) return -1;
        at = this.blanks(at + 1, end);
      }
      at = this.skip(at, end, depth);
      if (at < 0) return -1;
      at = this.blanks(at, end);
      if (at >= end) return -1;
      const byte = this.bytes[at];
      if (byte === close) return at + 1;
      if (byte !== COMMA) return -1;
      at = this.blanks(at + 1, end);
    }
  }
}
