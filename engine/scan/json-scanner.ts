/**
 * JSON documents straight into columns. Only the fields of the schema are kept, but every byte is checked: a document
 * is accepted exactly when `JSON.parse` accepts it, and a field has the value `JSON.parse` gives it (duplicate keys:
 * the last wins), but integers are exact. Strings stay ranges of the bytes they came in; the few with escapes are
 * written out as plain UTF-8 behind them.
 *
 * How values become columns follows Spark's JacksonParser: numbers do not come from strings (but DECIMAL, and
 * DOUBLE's "NaN" and "Infinity"), integers do not come from `5.0`, a STRING field that holds something else keeps its
 * text, a TIMESTAMP number counts seconds.
 *
 * Strings are searched four bytes at a time (the zero-byte trick of Warren, "Hacker's Delight", 6-1).
 */
import { assert } from '../../core/assert.ts';
import { deadLetterReasons } from '../../core/errors.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import type { Column } from '../column-batch.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { DataType } from '../../core/types.ts';
import type { KernelArena } from '../kernels/kernel-arena.ts';
import { decodeBase64 } from './base64.ts';
import {
  BUILD_BIGINT,
  BUILD_BIG_DECIMAL,
  BUILD_BINARY,
  BUILD_BOOLEAN,
  BUILD_DATE,
  BUILD_DECIMAL,
  BUILD_DOUBLE,
  BUILD_FLOAT,
  BUILD_INT,
  BUILD_LIST,
  BUILD_MAP,
  BUILD_SMALLINT,
  BUILD_STRING,
  BUILD_STRUCT,
  BUILD_TIMESTAMP,
  BUILD_TINYINT,
  ColumnBuilder,
} from './column-builder.ts';
import { BEFORE_FIRST_KEY, KeyLayout } from './key-layout.ts';
import { asciiText, parseBigint, parseDecimal, parseDouble, parseSafeInteger, parseSmallDecimal } from './numbers.ts';
import { parseDate, parseTimestamp } from './text-times.ts';
import type { TimeZone } from './time-zone.ts';
import { hasNonAscii, hexDigit, isUtf8, unescapeJson } from './utf8.ts';

/** A column to fill: `path` is its key in the document. */
export interface ScanField {
  readonly name: string;
  readonly path: string;
  readonly type: DataType;
  readonly required: boolean;
}

export interface ScanOptions {
  /** Levels of nesting allowed; the document's own object is the first. */
  readonly depthMax: number;
  /** Zone of times written without one. */
  readonly timeZone: TimeZone;
}

/** Recursion follows the nesting, so it has to stay far below the stack's size. */
const DEPTH_LIMIT = 1000;

const reason = (code: DeadLetterReason): number => deadLetterReasons.indexOf(code);
const NOT_JSON = reason('RECORD_NOT_JSON');
const INVALID_UTF8 = reason('RECORD_INVALID_UTF8');
const TOO_DEEP = reason('RECORD_TOO_DEEP');
const WRONG_TYPE = reason('FIELD_WRONG_TYPE');
const OUT_OF_RANGE = reason('FIELD_OUT_OF_RANGE');
const MISSING = reason('FIELD_MISSING');
/** No failure. */
const NONE = -1;

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const FLAG_ESCAPE = 1;
const FLAG_NON_ASCII = 2;

const BIGINT_MIN = -(2n ** 63n);
const BIGINT_MAX = 2n ** 63n - 1n;

/** An object of the schema: its fields, the keys they come under, and which of them failed in the current object. */
export interface ObjectShape {
  readonly fields: readonly ColumnBuilder[];
  readonly keys: readonly string[];
  readonly layout: KeyLayout;
  readonly failure: Int32Array;
  readonly failurePlace: string[];
  readonly required: boolean;
}

function objectShape(fields: readonly ColumnBuilder[], keys: readonly string[]): ObjectShape {
  return {
    fields,
    keys,
    layout: new KeyLayout(keys),
    failure: new Int32Array(fields.length).fill(NONE),
    failurePlace: fields.map((field) => field.place),
    required: fields.some((field) => field.required),
  };
}

/** The position behind `"key":` at `at` when that is the key of the id; else -1. */
function expectedKey(layout: KeyLayout, id: number, view: DataView, at: number, end: number): number {
  const bytes = layout.patternBytes[id]!;
  const behind = at + bytes;
  if (bytes === 0 || behind + 3 > end) return -1;
  let word = layout.patternStart[id]!;
  let from = at;
  for (; from + 4 <= behind; from += 4) if (view.getInt32(from, true) !== layout.pattern[word++]!) return -1;
  const rest = behind - from;
  if (rest > 0 && (view.getInt32(from, true) ^ layout.pattern[word]!) << (32 - rest * 8) !== 0) return -1;
  return behind;
}

export class JsonScanner {
  readonly #root: ObjectShape;
  readonly #shapes = new Map<ColumnBuilder, ObjectShape>();
  readonly #fields: readonly ColumnBuilder[];
  readonly #depthMax: number;
  readonly #timeZone: TimeZone;
  readonly #columns: readonly number[];
  #arena: ByteBuffer;
  #bytes: Uint8Array;
  #view: DataView;
  /** Of the string last scanned. */
  #flags = 0;
  /** Whether the number last scanned has neither fraction nor exponent. */
  #integer = false;
  /** Reason and place of what is wrong with the value last read. */
  #failure = NONE;
  #place = '';
  /** Why the document cannot be read any further. */
  #broken = NOT_JSON;

  /** Throws: UNSUPPORTED for a type no record can hold. */
  constructor(fields: readonly ScanField[], options: ScanOptions, arena: ByteBuffer) {
    assert(options.depthMax <= DEPTH_LIMIT, () => `a nesting limit of ${options.depthMax} is above ${DEPTH_LIMIT}`);
    this.#depthMax = options.depthMax;
    this.#timeZone = options.timeZone;
    this.#arena = arena;
    this.#bytes = arena.bytes;
    this.#view = arena.view;
    // Two columns may read one key; they share one builder.
    const paths = [...new Set(fields.map((field) => field.path))];
    this.#fields = paths.map((path) => {
      const [first, ...others] = fields.filter((field) => field.path === path);
      assert(
        first !== undefined && others.every((other) => JSON.stringify(other.type) === JSON.stringify(first.type)),
        () => `two types for ${path}`,
      );
      const builder = new ColumnBuilder(
        first.type,
        first.name,
        first.required || others.some((other) => other.required),
      );
      this.#addShapes(builder, first.type);
      return builder;
    });
    this.#columns = fields.map((field) => paths.indexOf(field.path));
    this.#root = objectShape(this.#fields, paths);
  }

  #addShapes(builder: ColumnBuilder, type: DataType): void {
    if (type.kind === 'struct') {
      const names = type.fields.map((field) => field.name);
      this.#shapes.set(builder, objectShape(builder.children, names));
      type.fields.forEach((field, index) => this.#addShapes(builder.children[index]!, field.type));
    } else if (type.kind === 'array') {
      this.#addShapes(builder.children[0]!, type.element);
    } else if (type.kind === 'map') {
      assert(type.key.kind === 'string', () => `keys of a JSON object are STRING, not those of ${builder.place}`);
      this.#addShapes(builder.children[1]!, type.value);
    }
  }

  /** The document's own object. */
  get root(): ObjectShape {
    return this.#root;
  }

  /** The object of a struct of the schema. */
  shapeOf(struct: ColumnBuilder): ObjectShape {
    const shape = this.#shapes.get(struct);
    assert(shape !== undefined, () => `${struct.place} is no struct`);
    return shape;
  }

  /** Begins a batch of at most `rows` documents, which stand in the arena. */
  begin(rows: number): void {
    for (const field of this.#fields) field.begin(rows);
    this.#refresh();
  }

  /** The same with columns in kernel memory, for the kernel; false when that has no room. */
  beginPlaced(rows: number, arena: KernelArena): boolean {
    return this.#fields.every((field) => field.beginPlaced(rows, arena));
  }

  /** The columns in the order of the fields, over `data`, the arena's bytes. Valid until the next {@link begin}. */
  columns(data: Uint8Array = this.#arena.bytes): Column[] {
    const columns = this.#fields.map((field) => field.column(data));
    return this.#columns.map((index) => columns[index]!);
  }

  /** The field that the last failed {@link scan} was about; empty when it was the whole record. */
  get place(): string {
    return this.#place;
  }

  /**
   * Reads the document `[start, end)` of the arena into `row`. -1 when it was good; else an index into
   * `deadLetterReasons`, the row is null again and may be used for the next document.
   */
  scan(start: number, end: number, row: number): number {
    this.#failure = NONE;
    this.#broken = NOT_JSON;
    let at = this.#blanks(start, end);
    if (at < end && this.#bytes[at] === OPEN_BRACE) {
      if (this.#depthMax < 1) this.#broken = TOO_DEEP;
      else {
        at = this.#object(this.#root, row, at + 1, end, 1);
        if (at >= 0 && this.#blanks(at, end) === end) {
          if (this.#failure === NONE) return NONE;
          this.setNull(row);
          return this.#failure;
        }
      }
    }
    this.setNull(row);
    this.#place = '';
    return this.#broken;
  }

  /**
   * Reads the value `[start, end)` of the arena, which stands `depth` levels deep, into the field; false when it is not
   * good, and the record has to be scanned to know why.
   */
  readValue(field: ColumnBuilder, row: number, start: number, end: number, depth: number): boolean {
    this.#refresh();
    this.#failure = NONE;
    field.setNull(row);
    return this.#value(field, row, start, end, depth) === end && this.#failure === NONE;
  }

  /** As {@link scan}, for a row that another has begun to fill. */
  rescan(start: number, end: number, row: number): number {
    this.#refresh();
    this.setNull(row);
    return this.scan(start, end, row);
  }

  /** Moves what row `from` holds to row `to`. */
  moveRow(from: number, to: number): void {
    for (const field of this.#fields) field.moveRow(from, to);
  }

  setNull(row: number): void {
    for (const field of this.#fields) field.setNull(row);
  }

  /** The arena may have moved. */
  #refresh(): void {
    this.#bytes = this.#arena.bytes;
    this.#view = this.#arena.view;
  }

  #blanks(at: number, end: number): number {
    const bytes = this.#bytes;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    }
    return at;
  }

  #fail(field: ColumnBuilder, row: number, reasonIndex: number): void {
    field.setNull(row);
    if (this.#failure !== NONE) return;
    this.#failure = reasonIndex;
    this.#place = field.place;
  }

  /**
   * Reads an object from behind its brace into the fields of `shape`; the position behind it, or -1 when it is
   * malformed. A wrong value is kept as #failure, the first by the schema's order.
   */
  #object(shape: ObjectShape, row: number, at: number, end: number, depth: number): number {
    const { layout, fields } = shape;
    let bytes = this.#bytes;
    let view = this.#view;
    let failed = false;
    let key = BEFORE_FIRST_KEY;
    at = this.#blanks(at, end);
    if (at < end && bytes[at] === CLOSE_BRACE) return this.#endOfObject(shape, row, at + 1, false);
    for (;;) {
      const guess = layout.successor[key]!;
      const behind = guess > 0 ? expectedKey(layout, guess, view, at, end) : -1;
      if (behind >= 0) {
        key = guess;
        at = behind;
      } else {
        at = this.#key(layout, at, end);
        if (at < 0) break;
        const found = this.#keyId;
        if (found > 0) layout.successor[key] = found;
        key = found > 0 ? found : BEFORE_FIRST_KEY;
        bytes = this.#bytes;
        view = this.#view;
      }
      if (at < end && bytes[at]! <= 0x20) at = this.#blanks(at, end);
      const field = layout.fieldOf[key]!;
      // Most values are short strings without escapes: they are done here, without a call that cannot be inlined.
      const close = at < end && bytes[at] === QUOTE ? this.#plainString(view, at + 1, end) : -1;
      if (close >= 0 && (field < 0 || (fields[field]!.kind === BUILD_STRING && this.#flags === 0))) {
        if (field >= 0) {
          const column = fields[field]!;
          column.start[row] = at + 1;
          column.length[row] = close - at - 1;
          column.nonAscii[row] = 0;
          if (failed) shape.failure[field] = NONE;
        }
        at = close + 1;
      } else if (field < 0) {
        at = this.#skip(at, end, depth);
      } else {
        if (close >= 0) {
          this.#fromString(fields[field]!, row, at + 1, close, this.#flags);
          at = close + 1;
        } else {
          at = this.#value(fields[field]!, row, at, end, depth);
        }
        bytes = this.#bytes;
        view = this.#view;
        if (this.#failure !== NONE) {
          shape.failure[field] = this.#failure;
          shape.failurePlace[field] = this.#place;
          this.#failure = NONE;
          failed = true;
        } else if (failed) {
          shape.failure[field] = NONE;
        }
      }
      if (at < 0) break;
      if (at < end && bytes[at] !== COMMA) {
        at = this.#blanks(at, end);
        if (at < end && bytes[at] === CLOSE_BRACE) return this.#endOfObject(shape, row, at + 1, failed);
      }
      if (at >= end || bytes[at] !== COMMA) break;
      at++;
      if (at < end && bytes[at]! <= 0x20) at = this.#blanks(at, end);
    }
    return this.#endOfObject(shape, row, -1, failed);
  }

  /** Settles what failed in an object and what is missing; gives back `at`. */
  #endOfObject(shape: ObjectShape, row: number, at: number, failed: boolean): number {
    if (failed) this.#takeFailure(shape);
    if (shape.required && at >= 0 && this.#failure === NONE) this.#requireFields(shape, row);
    return at;
  }

  /** The first failed field of the object that ended; forgets all. */
  #takeFailure(shape: ObjectShape): void {
    for (let field = shape.failure.length - 1; field >= 0; field--) {
      if (shape.failure[field] === NONE) continue;
      this.#failure = shape.failure[field]!;
      this.#place = shape.failurePlace[field]!;
      shape.failure[field] = NONE;
    }
  }

  #requireFields(shape: ObjectShape, row: number): void {
    for (const field of shape.fields) {
      if (!field.required || !field.isNull(row)) continue;
      this.#failure = MISSING;
      this.#place = field.place;
      return;
    }
  }

  #keyId = 0;

  /**
   * Reads a key that was not the expected one, and its colon; the position behind that, the key's id in #keyId
   * (-1 = of no interest).
   */
  #key(layout: KeyLayout, at: number, end: number): number {
    if (at >= end || this.#bytes[at] !== QUOTE) return -1;
    const start = at + 1;
    const close = this.#string(start, end);
    if (close < 0) return -1;
    if ((this.#flags & FLAG_ESCAPE) === 0) {
      this.#keyId = layout.find(this.#bytes, start, close, true);
    } else {
      const mark = this.#arena.length;
      unescapeJson(this.#arena, start, close);
      this.#refresh();
      this.#keyId = layout.find(this.#bytes, mark, this.#arena.length, false);
      this.#arena.length = mark;
    }
    const colon = this.#blanks(close + 1, end);
    return colon < end && this.#bytes[colon] === COLON ? colon + 1 : -1;
  }

  /** As {@link #string} for strings without escapes; -1 for all others, also where the record ends within three bytes. */
  #plainString(view: DataView, at: number, end: number): number {
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
        this.#flags = ((seen | (word & (low - 1))) & 0x80808080) !== 0 ? FLAG_NON_ASCII : 0;
        at += (31 - Math.clz32(low)) >>> 3;
        return view.getUint8(at) === QUOTE ? at : -1;
      }
      seen |= word;
    }
    return -1;
  }

  /** The position of the quote that ends the string whose inside begins at `at`; -1 when there is none. Sets #flags. */
  #string(at: number, end: number): number {
    const view = this.#view;
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
        this.#flags = (seen & 0x80808080) !== 0 ? flags | FLAG_NON_ASCII : flags;
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
    switch (this.#bytes[at]) {
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
        for (let digit = at + 1; digit < at + 5; digit++) if (hexDigit(this.#bytes[digit]!) < 0) return -1;
        return at + 5;
      default:
        return -1;
    }
  }

  /** The position behind the number at `at`; -1 when it is none. Sets #integer. */
  #number(at: number, end: number): number {
    const bytes = this.#bytes;
    if (bytes[at] === MINUS) at++;
    if (at >= end) return -1;
    let digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    at++;
    if (digit > 0) at = this.#digits(at, end);
    this.#integer = true;
    if (at < end && bytes[at] === 0x2e) {
      this.#integer = false;
      const from = at + 1;
      at = this.#digits(from, end);
      if (at === from) return -1;
    }
    if (at < end && (bytes[at]! | 0x20) === 0x65) {
      this.#integer = false;
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
    const bytes = this.#bytes;
    for (; at < end; at++) {
      const digit = bytes[at]! - 0x30;
      if (digit < 0 || digit > 9) break;
    }
    return at;
  }

  /** The position behind `true`, `false` or `null` at `at`; -1 when it is none of them. */
  #literal(at: number, end: number): number {
    const bytes = this.#bytes;
    if (at + 4 > end) return -1;
    const word = this.#view.getInt32(at, true);
    if (word === 0x65757274 || word === 0x6c6c756e) return at + 4;
    return word === 0x736c6166 && at + 5 <= end && bytes[at + 4] === 0x65 ? at + 5 : -1;
  }

  /** The position behind any value at `at`, checking all of it; -1 when it is malformed or too deep. */
  #skip(at: number, end: number, depth: number): number {
    if (at >= end) return -1;
    switch (this.#bytes[at]) {
      case QUOTE: {
        const close = this.#string(at + 1, end);
        return close < 0 ? -1 : close + 1;
      }
      case OPEN_BRACE:
      case OPEN_BRACKET:
        return this.#skipNested(at, end, depth + 1);
      case 0x66:
      case 0x6e:
      case 0x74:
        return this.#literal(at, end);
      default:
        return this.#number(at, end);
    }
  }

  #skipNested(at: number, end: number, depth: number): number {
    if (depth > this.#depthMax) {
      this.#broken = TOO_DEEP;
      return -1;
    }
    const object = this.#bytes[at] === OPEN_BRACE;
    const close = object ? CLOSE_BRACE : CLOSE_BRACKET;
    at = this.#blanks(at + 1, end);
    if (at < end && this.#bytes[at] === close) return at + 1;
    for (;;) {
      if (object) {
        if (at >= end || this.#bytes[at] !== QUOTE) return -1;
        const quote = this.#string(at + 1, end);
        if (quote < 0) return -1;
        at = this.#blanks(quote + 1, end);
        if (at >= end || this.#bytes[at] !== COLON) return -1;
        at = this.#blanks(at + 1, end);
      }
      at = this.#skip(at, end, depth);
      if (at < 0) return -1;
      at = this.#blanks(at, end);
      if (at >= end) return -1;
      const byte = this.#bytes[at];
      if (byte === close) return at + 1;
      if (byte !== COMMA) return -1;
      at = this.#blanks(at + 1, end);
    }
  }

  /** Reads the value at `at` into the field; the position behind it, -1 when it is malformed or too deep. */
  #value(field: ColumnBuilder, row: number, at: number, end: number, depth: number): number {
    if (at >= end) return -1;
    const byte = this.#bytes[at]!;
    switch (byte) {
      case QUOTE: {
        const close = this.#string(at + 1, end);
        if (close < 0) return -1;
        const flags = this.#flags;
        if (field.kind === BUILD_STRING && flags === 0) {
          field.start[row] = at + 1;
          field.length[row] = close - at - 1;
          field.nonAscii[row] = 0;
        } else {
          this.#fromString(field, row, at + 1, close, flags);
        }
        return close + 1;
      }
      case OPEN_BRACE:
        if (field.kind === BUILD_STRUCT) return this.#struct(field, row, at, end, depth + 1);
        if (field.kind === BUILD_MAP) return this.#map(field, row, at, end, depth + 1);
        return this.#other(field, row, at, this.#skip(at, end, depth));
      case OPEN_BRACKET:
        if (field.kind === BUILD_LIST) return this.#list(field, row, at, end, depth + 1);
        return this.#other(field, row, at, this.#skip(at, end, depth));
      case 0x74:
      case 0x66: {
        const behind = this.#literal(at, end);
        if (field.kind !== BUILD_BOOLEAN) return this.#other(field, row, at, behind);
        field.i32[row] = byte === 0x74 ? 1 : 0;
        field.valid[row] = 1;
        return behind;
      }
      case 0x6e:
        field.setNull(row);
        return this.#literal(at, end);
      default: {
        const behind = this.#number(at, end);
        if (behind < 0) return -1;
        this.#fromNumber(field, row, at, behind);
        return behind;
      }
    }
  }

  /** A value of a kind the field does not take: text for a STRING, wrong for all others. */
  #other(field: ColumnBuilder, row: number, start: number, end: number): number {
    if (end < 0) return -1;
    if (field.kind === BUILD_STRING) this.#setText(field, row, start, end, hasNonAscii(this.#bytes, start, end));
    else this.#fail(field, row, WRONG_TYPE);
    return end;
  }

  #setText(field: ColumnBuilder, row: number, start: number, end: number, nonAscii: boolean): void {
    if (nonAscii && !isUtf8(this.#bytes, start, end)) {
      this.#fail(field, row, INVALID_UTF8);
      return;
    }
    field.start[row] = start;
    field.length[row] = end - start;
    field.nonAscii[row] = nonAscii ? 1 : 0;
  }

  #fromString(field: ColumnBuilder, row: number, start: number, end: number, flags: number): void {
    let nonAscii = (flags & FLAG_NON_ASCII) !== 0;
    if (nonAscii && !isUtf8(this.#bytes, start, end)) {
      this.#fail(field, row, INVALID_UTF8);
      return;
    }
    if ((flags & FLAG_ESCAPE) !== 0) {
      const from = this.#arena.length;
      unescapeJson(this.#arena, start, end);
      this.#refresh();
      start = from;
      end = this.#arena.length;
      nonAscii = hasNonAscii(this.#bytes, start, end);
    }
    switch (field.kind) {
      case BUILD_STRING:
        field.start[row] = start;
        field.length[row] = end - start;
        field.nonAscii[row] = nonAscii ? 1 : 0;
        return;
      case BUILD_TIMESTAMP:
        this.#setDouble(field, row, parseTimestamp(this.#bytes, start, end, this.#timeZone));
        return;
      case BUILD_DATE: {
        const days = parseDate(this.#bytes, start, end);
        if (Number.isNaN(days)) this.#fail(field, row, WRONG_TYPE);
        else this.#setInt(field, row, days);
        return;
      }
      case BUILD_DECIMAL:
      case BUILD_BIG_DECIMAL:
        this.#decimalFromText(field, row, start, end);
        return;
      case BUILD_FLOAT:
      case BUILD_DOUBLE: {
        const value = end - start <= 9 ? namedNumbers.get(asciiText(this.#bytes, start, end)) : undefined;
        if (value === undefined) this.#fail(field, row, WRONG_TYPE);
        else {
          field.f64[row] = value;
          field.valid[row] = 1;
        }
        return;
      }
      case BUILD_BINARY: {
        const from = this.#arena.length;
        const good = decodeBase64(this.#arena, start, end);
        this.#refresh();
        if (!good) {
          this.#fail(field, row, WRONG_TYPE);
          return;
        }
        field.start[row] = from;
        field.length[row] = this.#arena.length - from;
        field.nonAscii[row] = 1;
        return;
      }
      default:
        this.#fail(field, row, WRONG_TYPE);
    }
  }

  #setDouble(field: ColumnBuilder, row: number, value: number): void {
    if (Number.isNaN(value)) {
      this.#fail(field, row, WRONG_TYPE);
      return;
    }
    field.f64[row] = value;
    field.valid[row] = 1;
  }

  #setInt(field: ColumnBuilder, row: number, value: number): void {
    field.i32[row] = value;
    field.valid[row] = 1;
  }

  #decimalFromText(field: ColumnBuilder, row: number, start: number, end: number): void {
    // As Spark in its default locale: thousands may be separated by commas.
    const text = asciiText(this.#bytes, start, end).replaceAll(',', '');
    const bytes = new TextEncoder().encode(text);
    this.#setDecimal(field, row, parseDecimal(bytes, 0, bytes.byteLength, field.scale));
  }

  #setDecimal(field: ColumnBuilder, row: number, unscaled: bigint | undefined): void {
    if (unscaled === undefined) {
      this.#fail(field, row, WRONG_TYPE);
      return;
    }
    const limit = 10n ** BigInt(field.precision);
    if (unscaled >= limit || unscaled <= -limit) {
      this.#fail(field, row, OUT_OF_RANGE);
      return;
    }
    if (field.kind === BUILD_BIG_DECIMAL) field.big[row] = unscaled;
    else field.i64[row] = unscaled;
    field.valid[row] = 1;
  }

  #fromNumber(field: ColumnBuilder, row: number, start: number, end: number): void {
    switch (field.kind) {
      case BUILD_INT:
        this.#smallInteger(field, row, start, end, 0x7fffffff);
        return;
      case BUILD_SMALLINT:
        this.#smallInteger(field, row, start, end, 0x7fff);
        return;
      case BUILD_TINYINT:
        this.#smallInteger(field, row, start, end, 0x7f);
        return;
      case BUILD_BIGINT:
        this.#bigInteger(field, row, start, end);
        return;
      case BUILD_DOUBLE:
        field.f64[row] = parseDouble(this.#bytes, start, end);
        field.valid[row] = 1;
        return;
      case BUILD_FLOAT:
        field.f64[row] = Math.fround(parseDouble(this.#bytes, start, end));
        field.valid[row] = 1;
        return;
      case BUILD_DECIMAL: {
        const small = parseSmallDecimal(this.#bytes, start, end, field.scale);
        if (Math.abs(small) < 10 ** field.precision) field.setInteger(row, small);
        else this.#setDecimal(field, row, parseDecimal(this.#bytes, start, end, field.scale));
        return;
      }
      case BUILD_BIG_DECIMAL:
        this.#setDecimal(field, row, parseDecimal(this.#bytes, start, end, field.scale));
        return;
      case BUILD_TIMESTAMP: {
        const seconds = parseSafeInteger(this.#bytes, start, end);
        if (!this.#integer) this.#fail(field, row, WRONG_TYPE);
        else if (!(Math.abs(seconds) < TIMESTAMP_SECONDS_MAX)) this.#fail(field, row, OUT_OF_RANGE);
        else this.#setDouble(field, row, seconds * 1_000_000);
        return;
      }
      case BUILD_STRING:
        this.#setText(field, row, start, end, false);
        return;
      default:
        this.#fail(field, row, WRONG_TYPE);
    }
  }

  #smallInteger(field: ColumnBuilder, row: number, start: number, end: number, max: number): void {
    if (!this.#integer) {
      this.#fail(field, row, WRONG_TYPE);
      return;
    }
    const value = parseSafeInteger(this.#bytes, start, end);
    if (value <= max && value >= -max - 1) this.#setInt(field, row, value);
    else this.#fail(field, row, OUT_OF_RANGE);
  }

  #bigInteger(field: ColumnBuilder, row: number, start: number, end: number): void {
    if (!this.#integer) {
      this.#fail(field, row, WRONG_TYPE);
      return;
    }
    const small = parseSafeInteger(this.#bytes, start, end);
    if (!Number.isNaN(small)) {
      field.setInteger(row, small);
      return;
    }
    if (end - start > 20) {
      this.#fail(field, row, OUT_OF_RANGE);
      return;
    }
    const value = parseBigint(this.#bytes, start, end);
    if (value < BIGINT_MIN || value > BIGINT_MAX) {
      this.#fail(field, row, OUT_OF_RANGE);
      return;
    }
    field.i64[row] = value;
    field.valid[row] = 1;
  }

  #struct(field: ColumnBuilder, row: number, at: number, end: number, depth: number): number {
    if (depth > this.#depthMax) {
      this.#broken = TOO_DEEP;
      return -1;
    }
    field.setNull(row);
    const behind = this.#object(this.#shapes.get(field)!, row, at + 1, end, depth);
    if (behind >= 0 && this.#failure === NONE) field.valid[row] = 1;
    return behind;
  }

  #list(field: ColumnBuilder, row: number, at: number, end: number, depth: number): number {
    if (depth > this.#depthMax) {
      this.#broken = TOO_DEEP;
      return -1;
    }
    const element = field.children[0]!;
    const start = element.count;
    let count = 0;
    at = this.#blanks(at + 1, end);
    if (at < end && this.#bytes[at] === CLOSE_BRACKET) {
      at++;
    } else {
      for (;;) {
        const elementRow = element.append();
        count++;
        at = this.#value(element, elementRow, at, end, depth);
        if (at < 0) return -1;
        if (element.required && this.#failure === NONE && element.isNull(elementRow))
          this.#fail(element, elementRow, MISSING);
        at = this.#blanks(at, end);
        if (at >= end) return -1;
        const byte = this.#bytes[at++];
        if (byte === CLOSE_BRACKET) break;
        if (byte !== COMMA) return -1;
        at = this.#blanks(at, end);
      }
    }
    field.start[row] = start;
    field.length[row] = count;
    return at;
  }

  /** An object as a map. Its entries are read once more when a key comes twice: then the earlier ones are left out. */
  #map(field: ColumnBuilder, row: number, at: number, end: number, depth: number): number {
    if (depth > this.#depthMax) {
      this.#broken = TOO_DEEP;
      return -1;
    }
    const [keys, values] = [field.children[0]!, field.children[1]!];
    const start = keys.count;
    const behind = this.#mapEntries(keys, values, at, end, depth, null);
    if (behind < 0) return -1;
    const superseded = this.#supersededEntries(keys, start);
    if (superseded !== null) {
      keys.count = start;
      values.count = start;
      this.#failure = NONE;
      this.#mapEntries(keys, values, at, end, depth, superseded);
    }
    field.start[row] = start;
    field.length[row] = keys.count - start;
    return behind;
  }

  #mapEntries(
    keys: ColumnBuilder,
    values: ColumnBuilder,
    at: number,
    end: number,
    depth: number,
    without: ReadonlySet<number> | null,
  ): number {
    at = this.#blanks(at + 1, end);
    if (at < end && this.#bytes[at] === CLOSE_BRACE) return at + 1;
    for (let entry = 0; ; entry++) {
      if (at >= end || this.#bytes[at] !== QUOTE) return -1;
      const close = this.#string(at + 1, end);
      if (close < 0) return -1;
      const skipped = without?.has(entry) === true;
      if (!skipped) this.#fromString(keys, keys.append(), at + 1, close, this.#flags);
      at = this.#blanks(close + 1, end);
      if (at >= end || this.#bytes[at] !== COLON) return -1;
      at = this.#blanks(at + 1, end);
      if (skipped) {
        at = this.#skip(at, end, depth);
      } else {
        const row = values.append();
        at = this.#value(values, row, at, end, depth);
        if (at >= 0 && values.required && this.#failure === NONE && values.isNull(row))
          this.#fail(values, row, MISSING);
      }
      if (at < 0) return -1;
      at = this.#blanks(at, end);
      if (at >= end) return -1;
      const byte = this.#bytes[at++];
      if (byte === CLOSE_BRACE) return at;
      if (byte !== COMMA) return -1;
      at = this.#blanks(at, end);
    }
  }

  /** Entries (by index within the map) whose key comes again later; null when there are none. */
  #supersededEntries(keys: ColumnBuilder, start: number): Set<number> | null {
    const last = new Map<string, number>();
    let superseded: Set<number> | null = null;
    for (let row = start; row < keys.count; row++) {
      const from = keys.start[row]!;
      const length = keys.length[row]!;
      // Bytes as code units: a string that is equal exactly when the bytes are.
      const text = length < 0 ? '' : asciiText(this.#bytes, from, from + length);
      const earlier = last.get(text);
      if (earlier !== undefined) (superseded ??= new Set()).add(earlier);
      last.set(text, row - start);
    }
    return superseded;
  }
}

/** Seconds whose µs a double holds exactly. */
const TIMESTAMP_SECONDS_MAX = 9_007_199_254;

/** What Spark's option allowNonNumericNumbers takes for FLOAT and DOUBLE. */
const namedNumbers: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['+Infinity', Number.POSITIVE_INFINITY],
  ['INF', Number.POSITIVE_INFINITY],
  ['+INF', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-INF', Number.NEGATIVE_INFINITY],
]);
