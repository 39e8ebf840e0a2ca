/**
 * Single values of JSON into columns, after Spark's JacksonParser: numbers do not come from strings (but DECIMAL, and
 * DOUBLE's "NaN" and "Infinity"), integers do not come from `5.0`, a STRING field that holds something else keeps its
 * text, a TIMESTAMP number counts seconds.
 */
import type { ByteBuffer } from '../byte-buffer.ts';
import { decodeBase64 } from './base64.ts';
import {
  BUILD_BIG_DECIMAL,
  BUILD_BIGINT,
  BUILD_BINARY,
  BUILD_DATE,
  BUILD_DECIMAL,
  BUILD_DOUBLE,
  BUILD_FLOAT,
  BUILD_INT,
  BUILD_SMALLINT,
  BUILD_STRING,
  BUILD_TIMESTAMP,
  BUILD_TINYINT,
  type ColumnBuilder,
} from './column-builder.ts';
import { stringFlags } from './json-bytes.ts';
import { JsonText } from './json-text.ts';
import { asciiText, parseBigint, parseDecimal, parseDouble, parseSafeInteger, parseSmallDecimal } from './numbers.ts';
import { scanReasons } from './scan-reasons.ts';
import { parseDate, parseTimestamp } from './text-times.ts';
import type { TimeZone } from './time-zone.ts';
import { hasNonAscii, isUtf8, unescapeJson } from './utf8.ts';

const { FLAG_ESCAPE, FLAG_NON_ASCII } = stringFlags;
const { INVALID_UTF8, NONE, OUT_OF_RANGE, WRONG_TYPE } = scanReasons;

const BIGINT_MIN = -(2n ** 63n);
const BIGINT_MAX = 2n ** 63n - 1n;

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

/** Sets fields to strings and numbers that {@link JsonText} has found; a value that does not fit is kept as the failure. */
export abstract class JsonValues extends JsonText {
  readonly #timeZone: TimeZone;
  /** Reason and place of what is wrong with the value last read. */
  protected failure = NONE;
  protected failurePlace = '';

  /** `timeZone`: of times written without one. */
  constructor(arena: ByteBuffer, depthMax: number, timeZone: TimeZone) {
    super(arena, depthMax);
    this.#timeZone = timeZone;
  }

  /** Keeps what is wrong with a value, the first of a document; the field is null then. */
  protected fail(field: ColumnBuilder, row: number, reasonIndex: number): void {
    field.setNull(row);
    if (this.failure !== NONE) return;
    this.failure = reasonIndex;
    this.failurePlace = field.place;
  }

  /** A value of a kind the field does not take: text for a STRING, wrong for all others. */
  protected other(field: ColumnBuilder, row: number, start: number, end: number): number {
    if (end < 0) return -1;
    if (field.kind === BUILD_STRING) this.#setText(field, row, start, end, hasNonAscii(this.bytes, start, end));
    else this.fail(field, row, WRONG_TYPE);
    return end;
  }

  #setText(field: ColumnBuilder, row: number, start: number, end: number, nonAscii: boolean): void {
    if (nonAscii && !isUtf8(this.bytes, start, end)) {
      this.fail(field, row, INVALID_UTF8);
      return;
    }
    field.start[row] = start;
    field.length[row] = end - start;
    field.nonAscii[row] = nonAscii ? 1 : 0;
  }

  /** A string whose inside is `[start, end)`, with the flags it was read with. */
  protected fromString(field: ColumnBuilder, row: number, start: number, end: number, flags: number): void {
    let nonAscii = (flags & FLAG_NON_ASCII) !== 0;
    if (nonAscii && !isUtf8(this.bytes, start, end)) {
      this.fail(field, row, INVALID_UTF8);
      return;
    }
    if ((flags & FLAG_ESCAPE) !== 0) {
      const from = this.arena.length;
      unescapeJson(this.arena, start, end);
      this.refresh();
      start = from;
      end = this.arena.length;
      nonAscii = hasNonAscii(this.bytes, start, end);
    }
    switch (field.kind) {
      case BUILD_STRING:
        field.start[row] = start;
        field.length[row] = end - start;
        field.nonAscii[row] = nonAscii ? 1 : 0;
        return;
      case BUILD_TIMESTAMP:
        this.#setDouble(field, row, parseTimestamp(this.bytes, start, end, this.#timeZone));
        return;
      case BUILD_DATE: {
        const days = parseDate(this.bytes, start, end);
        if (Number.isNaN(days)) this.fail(field, row, WRONG_TYPE);
        else this.#setInt(field, row, days);
        return;
      }
      case BUILD_DECIMAL:
      case BUILD_BIG_DECIMAL:
        this.#decimalFromText(field, row, start, end);
        return;
      case BUILD_FLOAT:
      case BUILD_DOUBLE: {
        const value = end - start <= 9 ? namedNumbers.get(asciiText(this.bytes, start, end)) : undefined;
        if (value === undefined) this.fail(field, row, WRONG_TYPE);
        else {
          field.f64[row] = value;
          field.valid[row] = 1;
        }
        return;
      }
      case BUILD_BINARY: {
        const from = this.arena.length;
        const good = decodeBase64(this.arena, start, end);
        this.refresh();
        if (!good) {
          this.fail(field, row, WRONG_TYPE);
          return;
        }
        field.start[row] = from;
        field.length[row] = this.arena.length - from;
        field.nonAscii[row] = 1;
        return;
      }
      default:
        this.fail(field, row, WRONG_TYPE);
    }
  }

  #setDouble(field: ColumnBuilder, row: number, value: number): void {
    if (Number.isNaN(value)) {
      this.fail(field, row, WRONG_TYPE);
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
    const text = asciiText(this.bytes, start, end).replaceAll(',', '');
    const bytes = new TextEncoder().encode(text);
    this.#setDecimal(field, row, parseDecimal(bytes, 0, bytes.byteLength, field.scale));
  }

  #setDecimal(field: ColumnBuilder, row: number, unscaled: bigint | undefined): void {
    if (unscaled === undefined) {
      this.fail(field, row, WRONG_TYPE);
      return;
    }
    const limit = 10n ** BigInt(field.precision);
    if (unscaled >= limit || unscaled <= -limit) {
      this.fail(field, row, OUT_OF_RANGE);
      return;
    }
    if (field.kind === BUILD_BIG_DECIMAL) field.big[row] = unscaled;
    else field.i64[row] = unscaled;
    field.valid[row] = 1;
  }

  /** The number last read, `[start, end)`. */
  protected fromNumber(field: ColumnBuilder, row: number, start: number, end: number): void {
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
        field.f64[row] = parseDouble(this.bytes, start, end);
        field.valid[row] = 1;
        return;
      case BUILD_FLOAT:
        field.f64[row] = Math.fround(parseDouble(this.bytes, start, end));
        field.valid[row] = 1;
        return;
      case BUILD_DECIMAL: {
        const small = parseSmallDecimal(this.bytes, start, end, field.scale);
        if (Math.abs(small) < 10 ** field.precision) field.setInteger(row, small);
        else this.#setDecimal(field, row, parseDecimal(this.bytes, start, end, field.scale));
        return;
      }
      case BUILD_BIG_DECIMAL:
        this.#setDecimal(field, row, parseDecimal(this.bytes, start, end, field.scale));
        return;
      case BUILD_TIMESTAMP: {
        const seconds = parseSafeInteger(this.bytes, start, end);
        if (!this.integer) this.fail(field, row, WRONG_TYPE);
        else if (!(Math.abs(seconds) < TIMESTAMP_SECONDS_MAX)) this.fail(field, row, OUT_OF_RANGE);
        else this.#setDouble(field, row, seconds * 1_000_000);
        return;
      }
      case BUILD_STRING:
        this.#setText(field, row, start, end, false);
        return;
      default:
        this.fail(field, row, WRONG_TYPE);
    }
  }

  #smallInteger(field: ColumnBuilder, row: number, start: number, end: number, max: number): void {
    if (!this.integer) {
      this.fail(field, row, WRONG_TYPE);
      return;
    }
    const value = parseSafeInteger(this.bytes, start, end);
    if (value <= max && value >= -max - 1) this.#setInt(field, row, value);
    else this.fail(field, row, OUT_OF_RANGE);
  }

  #bigInteger(field: ColumnBuilder, row: number, start: number, end: number): void {
    if (!this.integer) {
      this.fail(field, row, WRONG_TYPE);
      return;
    }
    const small = parseSafeInteger(this.bytes, start, end);
    if (!Number.isNaN(small)) {
      field.setInteger(row, small);
      return;
    }
    if (end - start > 20) {
      this.fail(field, row, OUT_OF_RANGE);
      return;
    }
    const value = parseBigint(this.bytes, start, end);
    if (value < BIGINT_MIN || value > BIGINT_MAX) {
      this.fail(field, row, OUT_OF_RANGE);
      return;
    }
    field.i64[row] = value;
    field.valid[row] = 1;
  }
}
