/**
 * One line of CSV per record (RFC 4180) straight into columns. Text stays a range of the arena; only quoted text with a
 * doubled quote is written anew. What a value means follows Spark's UnivocityParser: text without quotes that equals
 * `nullText` is NULL, and so is an empty one for every type but STRING and BINARY.
 */
import { assert } from '../../core/assert.ts';
import { deadLetterReasons, WeirError } from '../../core/errors.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import { formatType } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import {
  BUILD_BIG_DECIMAL,
  BUILD_BIGINT,
  BUILD_BINARY,
  BUILD_BOOLEAN,
  BUILD_DATE,
  BUILD_DECIMAL,
  BUILD_FLOAT,
  BUILD_INT,
  BUILD_LIST,
  BUILD_SMALLINT,
  BUILD_STRING,
  BUILD_TIMESTAMP,
  BUILD_TINYINT,
} from '../scan/column-builder.ts';
import type { ColumnBuilder } from '../scan/column-builder.ts';
import { asciiText, parseBigint, parseDecimal, parseSafeInteger } from '../scan/numbers.ts';
import { parseDate, parseTimestamp } from '../scan/text-times.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { hasNonAscii, isUtf8 } from '../scan/utf8.ts';
import { DECODED } from './value-decoder.ts';
import type { ValueDecoder, ValueField } from './value-decoder.ts';
import { ValueColumns } from './value-columns.ts';
import type { CsvFormat } from './value-format.ts';

const reason = (code: DeadLetterReason): number => deadLetterReasons.indexOf(code);
const MALFORMED = reason('RECORD_MALFORMED');
const INVALID_UTF8 = reason('RECORD_INVALID_UTF8');
const WRONG_TYPE = reason('FIELD_WRONG_TYPE');
const OUT_OF_RANGE = reason('FIELD_OUT_OF_RANGE');
const MISSING = reason('FIELD_MISSING');

const LF = 0x0a;
const CR = 0x0d;
const BIGINT_MIN = -(2n ** 63n);
const BIGINT_MAX = 2n ** 63n - 1n;
/** Digits of a 64-bit number, with its sign. */
const BIGINT_TEXT_MAX = 20;

export class CsvDecoder implements ValueDecoder {
  readonly #arena: ByteBuffer;
  readonly #columns: ValueColumns;
  readonly #timeZone: TimeZone;
  readonly #delimiter: number;
  /** -1 = none. */
  readonly #quote: number;
  readonly #nullText: Uint8Array;
  /** Column by position in the line; null = nobody reads it. */
  readonly #byPosition: readonly (ColumnBuilder | null)[];
  readonly #required: readonly ColumnBuilder[];
  #bytes: Uint8Array;
  #failure = DECODED;
  #place = '';
  /** Of the value read last: where it stands, and whether it was quoted. */
  #from = 0;
  #to = 0;
  #quoted = false;

  /**
   * `positions`: the columns of the source in the order of the line, where no header is given. Throws: UNSUPPORTED for a
   * column that one text cannot hold.
   */
  constructor(format: CsvFormat, fields: readonly ValueField[], timeZone: TimeZone, arena: ByteBuffer) {
    this.#arena = arena;
    this.#bytes = arena.bytes;
    this.#timeZone = timeZone;
    this.#columns = new ValueColumns(fields);
    this.#delimiter = format.delimiter.charCodeAt(0);
    this.#quote = format.quote === null ? -1 : format.quote.charCodeAt(0);
    this.#nullText = new TextEncoder().encode(format.nullText);
    for (const { path, type, builder } of this.#columns.targets) {
      if (builder.kind >= BUILD_LIST)
        throw new WeirError('UNSUPPORTED', `the column ${path} is ${formatType(type)}, which no CSV value can hold`);
    }
    const header = format.header;
    assert(header !== null, () => 'the plan of a CSV source names the values of a line');
    this.#byPosition = header.map(
      (name) => this.#columns.targets.find(({ path }) => path.toLowerCase() === name.toLowerCase())?.builder ?? null,
    );
    this.#required = this.#columns.targets.flatMap(({ builder }) => (builder.required ? [builder] : []));
  }

  begin(rows: number): void {
    this.#columns.begin(rows);
    this.#bytes = this.#arena.bytes;
  }

  columns(data: Uint8Array): Column[] {
    return this.#columns.columns(data);
  }

  get place(): string {
    return this.#place;
  }

  setNull(row: number): void {
    this.#columns.setNull(row);
  }

  /** A line may end in CR LF or LF; a second line is malformed, a line with too few values has NULLs. */
  scan(start: number, end: number, row: number): number {
    this.#failure = DECODED;
    this.#place = '';
    if (end > start && this.#bytes[end - 1] === LF) end--;
    if (end > start && this.#bytes[end - 1] === CR) end--;
    const positions = this.#byPosition;
    let at = start;
    for (let position = 0; ; position++) {
      at = this.#value(at, end);
      if (at < 0 || position >= positions.length) {
        this.#place = '';
        this.#columns.setNull(row);
        return MALFORMED;
      }
      const builder = positions[position]!;
      if (builder !== null) this.#set(builder, row);
      if (at >= end) break;
      // Behind the delimiter; at the end of the line there is one more, empty value.
      at++;
    }
    for (let index = 0; index < this.#required.length && this.#failure === DECODED; index++) {
      const builder = this.#required[index]!;
      if (builder.isNull(row)) this.#fail(builder, row, MISSING);
    }
    if (this.#failure !== DECODED) this.#columns.setNull(row);
    return this.#failure;
  }

  /** Finds the value at `at`; the position of the delimiter behind it or `end`, -1 when it is malformed. */
  #value(at: number, end: number): number {
    const bytes = this.#bytes;
    const delimiter = this.#delimiter;
    this.#quoted = false;
    if (at < end && bytes[at] === this.#quote) return this.#quotedValue(at + 1, end);
    this.#from = at;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === delimiter) break;
      // A quote within plain text has no meaning that readers agree on.
      if (byte === LF || byte === CR || byte === this.#quote) return -1;
    }
    this.#to = at;
    return at;
  }

  #quotedValue(start: number, end: number): number {
    const bytes = this.#bytes;
    const quote = this.#quote;
    let doubled = 0;
    let at = start;
    for (; at < end; at++) {
      if (bytes[at] !== quote) continue;
      if (at + 1 >= end || bytes[at + 1] !== quote) break;
      doubled++;
      at++;
    }
    if (at >= end || (at + 1 < end && bytes[at + 1] !== this.#delimiter)) return -1;
    this.#quoted = true;
    this.#from = start;
    this.#to = at;
    if (doubled > 0) this.#unquote(start, at);
    return at + 1;
  }

  /** Writes the text with single quotes behind the records. */
  #unquote(start: number, end: number): void {
    const arena = this.#arena;
    arena.reserve(end - start);
    const bytes = arena.bytes;
    let to = arena.length;
    this.#from = to;
    for (let at = start; at < end; at++) {
      bytes[to++] = bytes[at]!;
      if (bytes[at] === this.#quote) at++;
    }
    arena.length = to;
    this.#to = to;
    this.#bytes = bytes;
  }

  #fail(builder: ColumnBuilder, row: number, reasonIndex: number): void {
    builder.setNull(row);
    if (this.#failure !== DECODED) return;
    this.#failure = reasonIndex;
    this.#place = builder.place;
  }

  #isNullText(): boolean {
    const text = this.#nullText;
    const bytes = this.#bytes;
    if (this.#to - this.#from !== text.byteLength) return false;
    for (let index = 0; index < text.byteLength; index++) if (bytes[this.#from + index] !== text[index]) return false;
    return true;
  }

  #set(builder: ColumnBuilder, row: number): void {
    const bytes = this.#bytes;
    const from = this.#from;
    const to = this.#to;
    const isText = builder.kind === BUILD_STRING || builder.kind === BUILD_BINARY;
    if ((!this.#quoted && this.#isNullText()) || (!isText && from === to)) {
      builder.setNull(row);
      return;
    }
    switch (builder.kind) {
      case BUILD_STRING: {
        const nonAscii = hasNonAscii(bytes, from, to);
        if (nonAscii && !isUtf8(bytes, from, to)) return this.#fail(builder, row, INVALID_UTF8);
        this.#setBytes(builder, row, nonAscii);
        return;
      }
      case BUILD_BINARY:
        this.#setBytes(builder, row, true);
        return;
      case BUILD_TINYINT:
      case BUILD_SMALLINT:
      case BUILD_INT:
        this.#setSmallInteger(builder, row, builder.kind === BUILD_INT ? 31 : builder.kind === BUILD_SMALLINT ? 15 : 7);
        return;
      case BUILD_BIGINT:
        this.#setBigint(builder, row);
        return;
      case BUILD_BOOLEAN: {
        const text = to - from <= 5 ? asciiText(bytes, from, to).toLowerCase() : '';
        if (text !== 'true' && text !== 'false') return this.#fail(builder, row, WRONG_TYPE);
        builder.i32[row] = text === 'true' ? 1 : 0;
        builder.valid[row] = 1;
        return;
      }
      case BUILD_DATE: {
        const days = parseDate(bytes, from, to);
        if (Number.isNaN(days)) return this.#fail(builder, row, WRONG_TYPE);
        builder.i32[row] = days;
        builder.valid[row] = 1;
        return;
      }
      case BUILD_TIMESTAMP:
        this.#setDouble(builder, row, parseTimestamp(bytes, from, to, this.#timeZone));
        return;
      case BUILD_DECIMAL:
      case BUILD_BIG_DECIMAL:
        this.#setDecimal(builder, row);
        return;
      default:
        this.#setFloating(builder, row);
    }
  }

  #setBytes(builder: ColumnBuilder, row: number, nonAscii: boolean): void {
    builder.start[row] = this.#from;
    builder.length[row] = this.#to - this.#from;
    builder.nonAscii[row] = nonAscii ? 1 : 0;
  }

  #setDouble(builder: ColumnBuilder, row: number, value: number): void {
    if (Number.isNaN(value)) return this.#fail(builder, row, WRONG_TYPE);
    builder.f64[row] = value;
    builder.valid[row] = 1;
  }

  /** Whether the value is a sign, if any, and digits. */
  #isInteger(): boolean {
    const bytes = this.#bytes;
    let at = this.#from;
    if (bytes[at] === 0x2d || bytes[at] === 0x2b) at++;
    if (at >= this.#to) return false;
    for (; at < this.#to; at++) if (bytes[at]! < 0x30 || bytes[at]! > 0x39) return false;
    return true;
  }

  #setSmallInteger(builder: ColumnBuilder, row: number, bits: number): void {
    if (!this.#isInteger()) return this.#fail(builder, row, WRONG_TYPE);
    const value = this.#integer();
    if (value >= 2 ** bits || value < -(2 ** bits)) return this.#fail(builder, row, OUT_OF_RANGE);
    builder.i32[row] = Number(value);
    builder.valid[row] = 1;
  }

  #setBigint(builder: ColumnBuilder, row: number): void {
    if (!this.#isInteger()) return this.#fail(builder, row, WRONG_TYPE);
    const value = this.#integer();
    if (typeof value === 'number') return builder.setInteger(row, value);
    if (value > BIGINT_MAX || value < BIGINT_MIN) return this.#fail(builder, row, OUT_OF_RANGE);
    builder.i64[row] = value;
    builder.valid[row] = 1;
  }

  #integer(): number | bigint {
    const from = this.#bytes[this.#from] === 0x2b ? this.#from + 1 : this.#from;
    const small = parseSafeInteger(this.#bytes, from, this.#to);
    if (!Number.isNaN(small)) return small;
    if (this.#to - from > BIGINT_TEXT_MAX) return BIGINT_MAX + 1n;
    return parseBigint(this.#bytes, from, this.#to);
  }

  #setDecimal(builder: ColumnBuilder, row: number): void {
    const unscaled = parseDecimal(this.#bytes, this.#from, this.#to, builder.scale);
    if (unscaled === undefined) return this.#fail(builder, row, WRONG_TYPE);
    const limit = 10n ** BigInt(builder.precision);
    if (unscaled >= limit || unscaled <= -limit) return this.#fail(builder, row, OUT_OF_RANGE);
    if (builder.kind === BUILD_BIG_DECIMAL) builder.big[row] = unscaled;
    else builder.i64[row] = unscaled;
    builder.valid[row] = 1;
  }

  #setFloating(builder: ColumnBuilder, row: number): void {
    const text = asciiText(this.#bytes, this.#from, this.#to);
    const value =
      namedNumbers.get(text) ?? (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : null);
    if (value === null) return this.#fail(builder, row, WRONG_TYPE);
    builder.f64[row] = builder.kind === BUILD_FLOAT ? Math.fround(value) : value;
    builder.valid[row] = 1;
  }
}

/** As Spark's options nanValue, positiveInf and negativeInf have them. */
const namedNumbers: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Inf', Number.POSITIVE_INFINITY],
  ['-Inf', Number.NEGATIVE_INFINITY],
]);
