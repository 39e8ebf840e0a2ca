/**
 * JSON documents into columns: the kernel of engine/scan/json-scanner.ts, which is its plain-TypeScript twin. A record
 * is taken only when every byte of it is good; any other is left to the twin, which finds out what is wrong. Values that
 * need more than these functions know are left to it one by one.
 *
 * The key that comes next is nearly always the one that came next last time: one comparison of 16 bytes. Strings are
 * searched 16 bytes at a time.
 */
import {
  FLAG_ESCAPE,
  FLAG_NON_ASCII,
  QUOTE,
  endOfString,
  hasNonAscii,
  isUtf8,
  specials,
  stringFlags,
  unescape,
} from './text.ts';
import {
  DIGITS_MAX,
  NO_DATE,
  NO_VALUE,
  asDecimal,
  asDouble,
  digits,
  isExactDouble,
  isInteger,
  mantissa,
  negative,
  readDate,
  readNumber,
  readTimestamp,
} from './values.ts';

/** The kinds of engine/scan/column-builder.ts. */
const STRING: u32 = 0;
const BOOLEAN: u32 = 2;
const TINYINT: u32 = 3;
const SMALLINT: u32 = 4;
const INT: u32 = 5;
const DATE: u32 = 6;
const BIGINT: u32 = 7;
const FLOAT: u32 = 8;
const DOUBLE: u32 = 9;
const TIMESTAMP: u32 = 10;
const DECIMAL: u32 = 11;
const BIG_DECIMAL: u32 = 12;
const LIST: u32 = 13;
const MAP: u32 = 14;
const STRUCT: u32 = 15;
const BINARY: u32 = 1;

const COMMA: u32 = 0x2c;
const COLON: u32 = 0x3a;
const OPEN_BRACKET: u32 = 0x5b;
const CLOSE_BRACKET: u32 = 0x5d;
const OPEN_BRACE: u32 = 0x7b;
const CLOSE_BRACE: u32 = 0x7d;

/** Length of a value that the twin has to read. */
const DEFERRED_LENGTH: i32 = -2;
/** The same for kinds with a byte of validity. */
const DEFERRED_VALID: u8 = 2;

/** Seconds whose µs a double holds exactly. */
const TIMESTAMP_SECONDS_MAX: u64 = 9_007_199_254;

/** A column to fill. Addresses are absolute. `start`, `length` and `nonAscii` of texts, `values` and `valid` of others. */
@unmanaged
class Field {
  kind: u32;
  /** Place among all fields, for the list of deferred values. */
  ordinal: u32;
  /** start or values. */
  values: usize;
  /** length or valid. */
  valid: usize;
  nonAscii: usize;
  /** Of a struct: its shape, relative to the image. */
  shape: usize;
  scale: u32;
  required: u32;
  /** 10^precision of a decimal. */
  limit: i64;
}

/** Bytes of a {@link Field}. */
const FIELD_BYTES: usize = 40;

/** A key of an object; the first one, without a name, stands for the beginning of an object and for unknown keys. */
@unmanaged
class Key {
  /** `"key":` with quotes and colon, relative to the image, with 16 readable bytes behind it. */
  pattern: usize;
  patternBytes: usize;
  /** The field it fills, relative to the image; 0 = none. */
  field: usize;
  /** The key that followed last time, relative to the image; 0 = unknown. */
  successor: usize;
  /** The next key of the same bucket, relative to the image; 0 = none. */
  next: usize;
  /** A bit for each of the first 16 bytes of the pattern. */
  firstMask: u32;
  unused1: u32;
  unused2: u32;
}

const KEY_BYTES: usize = 32;
const BUCKETS: u32 = 64;
/** Longer keys are not learned. */
const LEARNED_BYTES_MAX: usize = 64;

/** An object of the schema: its keys and fields. Addresses are relative to the image. */
@unmanaged
class Shape {
  keys: usize;
  keyCount: u32;
  keysMax: u32;
  patterns: usize;
  patternBytes: usize;
  patternBytesMax: usize;
  buckets: usize;
  fields: usize;
  fieldCount: u32;
  required: u32;
}

/** What {@link scanRows} is given and gives back. */
@unmanaged
class Scan {
  /** The tables of shapes, keys and fields; the shape of the document stands first. */
  image: usize;
  /** What positions are relative to. */
  base: usize;
  depthMax: u32;
  sessionFixed: u32;
  sessionOffsetUs: i64;
  /** Where text without escapes goes, and where it has to end. */
  tail: usize;
  tailLimit: usize;
  /** Values for the twin: ordinal of the field, row, start and end, four bytes each. */
  deferred: usize;
  deferredEnd: usize;
  /** Whether a key was learned or followed another one. */
  learned: u32;
}

let scan: Scan = changetype<Scan>(0);
let image: usize = 0;
let base: usize = 0;
let depthMax: u32 = 0;

function isBlank(byte: u32): bool {
  return byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09;
}

function blanks(at: usize): usize {
  while (isBlank(load<u8>(at))) at++;
  return at;
}

/**
 * Reads the documents of `rows` rows, at `starts` (relative) with `lengths`, into the columns of the image. Sets
 * `status` of every row that is left to the twin to 1; gives back how many there are. 64 zeros stand behind the last
 * document.
 */
export function scanRows(context: usize, rows: u32, starts: usize, lengths: usize, status: usize): u32 {
  scan = changetype<Scan>(context);
  image = scan.image;
  base = scan.base;
  depthMax = scan.depthMax;
  let hard: u32 = 0;
  for (let row: usize = 0; row < <usize>rows; row++) {
    const start = base + load<u32>(starts + (row << 2));
    const end = start + load<u32>(lengths + (row << 2));
    const tail = scan.tail;
    const deferred = scan.deferred;
    let at = blanks(start);
    if (<u32>load<u8>(at) == OPEN_BRACE && depthMax >= 1) {
      at = scanObject(image, row, at + 1, end, 1);
      if (at != 0) {
        while (at < end && isBlank(load<u8>(at))) at++;
        if (at == end) continue;
      }
    }
    store<u8>(status + row, 1);
    hard++;
    scan.tail = tail;
    scan.deferred = deferred;
  }
  return hard;
}

/** Reads an object from behind its brace; the position behind it, or 0 when the record is for the twin. */
function scanObject(shapeAt: usize, row: usize, at: usize, end: usize, depth: u32): usize {
  const shape = changetype<Shape>(shapeAt);
  // In locals, which stay in registers.
  const tables = image;
  const origin = base;
  let key = changetype<Key>(tables + shape.keys);
  const unknown = key;
  at = blanks(at);
  if (<u32>load<u8>(at) == CLOSE_BRACE) return endOfObject(shape, row, at + 1);
  for (;;) {
    if (at >= end) return 0;
    // A branch, not a choice of values: the processor goes on with the value before the key is compared.
    const guess = key.successor;
    const next = changetype<Key>(tables + guess);
    if (guess != 0 && startsAs(next, tables, at) && (next.patternBytes <= 16 || endsAs(next, tables, at))) {
      key = next;
      at += next.patternBytes;
    } else {
      at = readKey(shape, key, at);
      if (at == 0) return 0;
      key = foundKey == 0 ? unknown : changetype<Key>(tables + foundKey);
    }
    let byte: u32 = load<u8>(at);
    if (byte <= 0x20) {
      at = blanks(at);
      byte = load<u8>(at);
    }
    const fieldAt = key.field;
    if (byte == QUOTE) {
      // Most strings are plain: here is their loop, without a call.
      const start = at + 1;
      let close = start;
      let bytes = v128.load(close);
      let hits = i8x16.bitmask(specials(bytes));
      let high: i32 = 0;
      while (hits == 0) {
        high |= i8x16.bitmask(bytes);
        close += 16;
        bytes = v128.load(close);
        hits = i8x16.bitmask(specials(bytes));
      }
      high |= i8x16.bitmask(bytes) & (hits ^ (hits - 1));
      close += <usize>ctz(hits);
      let flags: u32 = high != 0 ? FLAG_NON_ASCII : 0;
      if (<u32>load<u8>(close) != QUOTE) {
        close = endOfString(start);
        if (close == 0) return 0;
        flags = stringFlags;
      }
      at = close + 1;
      if (fieldAt != 0) {
        const field = changetype<Field>(tables + fieldAt);
        if (field.kind == STRING && flags == 0) setText(field, row, start, close, 0, origin);
        else if (!fromString(field, row, start, close, flags)) return 0;
      }
    } else {
      at = fieldAt == 0 ? skip(at, end, depth) : readValue(changetype<Field>(tables + fieldAt), row, at, end, depth);
      if (at == 0) return 0;
    }
    byte = load<u8>(at);
    if (byte != COMMA) {
      at = blanks(at);
      byte = load<u8>(at);
      if (byte == CLOSE_BRACE) return endOfObject(shape, row, at + 1);
      if (byte != COMMA) return 0;
    }
    at++;
    if (<u32>load<u8>(at) <= 0x20) at = blanks(at);
  }
  return 0;
}

/** Whether the first 16 bytes of the key, with its colon, stand at `at`. */
function startsAs(key: Key, tables: usize, at: usize): bool {
  const mask = <i32>key.firstMask;
  return (i8x16.bitmask(i8x16.eq(v128.load(at), v128.load(tables + key.pattern))) & mask) == mask;
}

/** Whether those behind them do. */
function endsAs(key: Key, tables: usize, at: usize): bool {
  return isSame(at + 16, tables + key.pattern + 16, key.patternBytes - 16);
}

function isSame(at: usize, pattern: usize, bytes: usize): bool {
  let done: usize = 0;
  for (; done + 16 <= bytes; done += 16) {
    if (i8x16.bitmask(i8x16.eq(v128.load(at + done), v128.load(pattern + done))) != 0xffff) return false;
  }
  for (; done < bytes; done++) if (load<u8>(at + done) != load<u8>(pattern + done)) return false;
  return true;
}

/** What {@link readKey} found, relative to the image; 0 = a key of no interest. */
let foundKey: usize = 0;

/** Reads a key that was not the expected one, and its colon; the position behind that, or 0. */
function readKey(shape: Shape, previous: Key, at: usize): usize {
  if (<u32>load<u8>(at) != QUOTE) return 0;
  const close = endOfString(at + 1);
  if (close == 0 || (stringFlags & FLAG_ESCAPE) != 0) return 0;
  foundKey = findKey(shape, at, close);
  if (foundKey != 0 && previous.successor != foundKey) {
    previous.successor = foundKey;
    scan.learned = 1;
  }
  const colon = blanks(close + 1);
  return <u32>load<u8>(colon) == COLON ? colon + 1 : 0;
}

/** The key whose opening quote is at `at` and whose closing one at `close`, learning it if it is new; 0 = no room. */
function findKey(shape: Shape, at: usize, close: usize): usize {
  const bytes = close + 1 - at;
  let hash: u32 = <u32>bytes;
  for (let from = at + 1; from < close; from++) hash = hash * 31 + <u32>load<u8>(from);
  const bucket = image + shape.buckets + ((<usize>((hash ^ (hash >>> 8)) & (BUCKETS - 1))) << 2);
  let found: usize = load<u32>(bucket);
  while (found != 0) {
    const key = changetype<Key>(image + found);
    if (key.patternBytes == bytes + 1 && isSame(at, image + key.pattern, bytes)) return found;
    found = key.next;
  }
  const patternBytes = (bytes + 1 + 15) & ~15;
  if (
    shape.keyCount >= shape.keysMax ||
    bytes - 2 > LEARNED_BYTES_MAX ||
    shape.patternBytes + patternBytes > shape.patternBytesMax
  ) {
    return 0;
  }
  const added = shape.keys + <usize>shape.keyCount * KEY_BYTES;
  const key = changetype<Key>(image + added);
  shape.keyCount++;
  key.pattern = shape.patterns + shape.patternBytes;
  key.patternBytes = bytes + 1;
  key.firstMask = bytes >= 15 ? 0xffff : (1 << (<u32>bytes + 1)) - 1;
  shape.patternBytes += patternBytes;
  memory.copy(image + key.pattern, at, bytes);
  store<u8>(image + key.pattern + bytes, <u8>COLON);
  key.field = 0;
  key.successor = 0;
  key.next = load<u32>(bucket);
  store<u32>(bucket, <u32>added);
  scan.learned = 1;
  return added;
}

/** Gives back `at`, or 0 when a field that has to have a value has none. */
function endOfObject(shape: Shape, row: usize, at: usize): usize {
  if (shape.required == 0) return at;
  let fieldAt = image + shape.fields;
  for (let index: u32 = 0; index < shape.fieldCount; index++) {
    const field = changetype<Field>(fieldAt);
    if (field.required != 0 && isNull(field, row)) return 0;
    fieldAt += FIELD_BYTES;
  }
  return at;
}

function hasLength(field: Field): bool {
  return field.kind <= BINARY || field.kind == LIST || field.kind == MAP;
}

function isNull(field: Field, row: usize): bool {
  return hasLength(field) ? load<i32>(field.valid + (row << 2)) == -1 : load<u8>(field.valid + row) == 0;
}

function setNull(field: Field, row: usize): void {
  if (hasLength(field)) {
    store<i32>(field.valid + (row << 2), -1);
    return;
  }
  store<u8>(field.valid + row, 0);
  if (field.kind != STRUCT) return;
  const shape = changetype<Shape>(image + field.shape);
  let fieldAt = image + shape.fields;
  for (let index: u32 = 0; index < shape.fieldCount; index++) {
    setNull(changetype<Field>(fieldAt), row);
    fieldAt += FIELD_BYTES;
  }
}

function setText(field: Field, row: usize, start: usize, end: usize, nonAscii: u32, origin: usize): void {
  store<i32>(field.values + (row << 2), <i32>(start - origin));
  store<i32>(field.valid + (row << 2), <i32>(end - start));
  store<u8>(field.nonAscii + row, <u8>nonAscii);
}

function setInt(field: Field, row: usize, value: i32): usize {
  store<i32>(field.values + (row << 2), value);
  store<u8>(field.valid + row, 1);
  return 1;
}

function setLong(field: Field, row: usize, value: i64): usize {
  store<i64>(field.values + (row << 3), value);
  store<u8>(field.valid + row, 1);
  return 1;
}

function setDouble(field: Field, row: usize, value: f64): usize {
  store<f64>(field.values + (row << 3), value);
  store<u8>(field.valid + row, 1);
  return 1;
}

/** Leaves the value `[start, end)` to the twin; 0 when there is no more room for that. */
function defer(field: Field, row: usize, start: usize, end: usize): usize {
  const at = scan.deferred;
  if (at + 16 > scan.deferredEnd) return 0;
  store<u32>(at, field.ordinal);
  store<u32>(at, <u32>row, 4);
  store<u32>(at, <u32>(start - base), 8);
  store<u32>(at, <u32>(end - base), 12);
  scan.deferred = at + 16;
  if (hasLength(field)) store<i32>(field.valid + (row << 2), DEFERRED_LENGTH);
  else store<u8>(field.valid + row, DEFERRED_VALID);
  return 1;
}

/** Takes the string with the inside `[start, end)`; 0 when the record is for the twin. */
function fromString(field: Field, row: usize, start: usize, end: usize, flags: u32): usize {
  const escaped = (flags & FLAG_ESCAPE) != 0;
  switch (field.kind) {
    case STRING: {
      if ((flags & FLAG_NON_ASCII) != 0 && !isUtf8(start, end)) return 0;
      if (!escaped) {
        setText(field, row, start, end, 1, base);
        return 1;
      }
      const from = scan.tail;
      if (from + (end - start) + 16 > scan.tailLimit) return 0;
      const to = unescape(start, end, from);
      scan.tail = to;
      setText(field, row, from, to, hasNonAscii(from, to) ? 1 : 0, base);
      return 1;
    }
    case TIMESTAMP: {
      const us = escaped
        ? NO_VALUE
        : readTimestamp(start, end, field.ordinal, scan.sessionFixed != 0, scan.sessionOffsetUs);
      return us == NO_VALUE ? defer(field, row, start - 1, end + 1) : setDouble(field, row, <f64>us);
    }
    case DATE: {
      const days = end - start == 10 ? readDate(start) : NO_DATE;
      return days == NO_DATE ? defer(field, row, start - 1, end + 1) : setInt(field, row, days);
    }
    default:
      return defer(field, row, start - 1, end + 1);
  }
}

/** Reads the value at `at`, which is no string; the position behind it, or 0 when the record is for the twin. */
function readValue(field: Field, row: usize, at: usize, end: usize, depth: u32): usize {
  const byte: u32 = load<u8>(at);
  const kind = field.kind;
  switch (byte) {
    case OPEN_BRACE: {
      if (kind == STRUCT) {
        if (depth >= depthMax) return 0;
        setNull(field, row);
        const behind = scanObject(image + field.shape, row, at + 1, end, depth + 1);
        if (behind != 0) store<u8>(field.valid + row, 1);
        return behind;
      }
      const behind = skipNested(at, end, depth + 1);
      if (kind == MAP && behind != 0) return defer(field, row, at, behind) != 0 ? behind : 0;
      return asText(field, row, at, behind);
    }
    case OPEN_BRACKET: {
      const behind = skipNested(at, end, depth + 1);
      if (kind == LIST && behind != 0) return defer(field, row, at, behind) != 0 ? behind : 0;
      return asText(field, row, at, behind);
    }
    case 0x74:
    case 0x66: {
      const behind = literal(at);
      if (kind != BOOLEAN) return asText(field, row, at, behind);
      setInt(field, row, byte == 0x74 ? 1 : 0);
      return behind;
    }
    case 0x6e:
      setNull(field, row);
      return literal(at);
    default: {
      const behind = readNumber(at);
      return behind != 0 && fromNumber(field, row, at, behind) != 0 ? behind : 0;
    }
  }
}

/** A STRING that is written as something else keeps its text. */
function asText(field: Field, row: usize, start: usize, end: usize): usize {
  if (field.kind != STRING || end == 0) return 0;
  const nonAscii = hasNonAscii(start, end);
  if (nonAscii && !isUtf8(start, end)) return 0;
  setText(field, row, start, end, nonAscii ? 1 : 0, base);
  return end;
}

function fromNumber(field: Field, row: usize, start: usize, end: usize): usize {
  switch (field.kind) {
    case STRING:
      setText(field, row, start, end, 0, base);
      return 1;
    case TINYINT:
      return smallInteger(field, row, 0x7f);
    case SMALLINT:
      return smallInteger(field, row, 0x7fff);
    case INT:
      return smallInteger(field, row, 0x7fffffff);
    case BIGINT: {
      if (!isInteger || digits > DIGITS_MAX) return 0;
      const limit: u64 = negative ? 0x8000000000000000 : 0x7fffffffffffffff;
      if (mantissa > limit) return 0;
      return setLong(field, row, negative ? <i64>(0 - mantissa) : <i64>mantissa);
    }
    case DOUBLE:
      return isExactDouble() ? setDouble(field, row, asDouble()) : defer(field, row, start, end);
    case FLOAT:
      return isExactDouble() ? setDouble(field, row, <f64>(<f32>asDouble())) : defer(field, row, start, end);
    case DECIMAL: {
      const value = asDecimal(field.scale);
      if (value == NO_VALUE || value >= field.limit || value <= -field.limit) return defer(field, row, start, end);
      return setLong(field, row, value);
    }
    case BIG_DECIMAL:
      return defer(field, row, start, end);
    case TIMESTAMP: {
      if (!isInteger || digits > DIGITS_MAX || mantissa >= TIMESTAMP_SECONDS_MAX) return 0;
      const us = <i64>mantissa * 1_000_000;
      return setDouble(field, row, <f64>(negative ? -us : us));
    }
    default:
      return 0;
  }
}

function smallInteger(field: Field, row: usize, max: u64): usize {
  if (!isInteger || digits > DIGITS_MAX || mantissa > (negative ? max + 1 : max)) return 0;
  return setInt(field, row, negative ? <i32>(0 - <i64>mantissa) : <i32>mantissa);
}

/** The position behind `true`, `false` or `null` at `at`; 0 when it is none of them. */
function literal(at: usize): usize {
  const word = load<u32>(at);
  if (word == 0x65757274 || word == 0x6c6c756e) return at + 4;
  return word == 0x736c6166 && load<u8>(at, 4) == 0x65 ? at + 5 : 0;
}

/** The position behind any value at `at`, checking all of it; 0 when it is malformed or too deep. */
function skip(at: usize, end: usize, depth: u32): usize {
  switch (<u32>load<u8>(at)) {
    case QUOTE: {
      const close = endOfString(at + 1);
      return close == 0 ? 0 : close + 1;
    }
    case OPEN_BRACE:
    case OPEN_BRACKET:
      return skipNested(at, end, depth + 1);
    case 0x66:
    case 0x6e:
    case 0x74:
      return literal(at);
    default:
      return readNumber(at);
  }
}

function skipNested(at: usize, end: usize, depth: u32): usize {
  if (depth > depthMax) return 0;
  const object = <u32>load<u8>(at) == OPEN_BRACE;
  const closing = object ? CLOSE_BRACE : CLOSE_BRACKET;
  at = blanks(at + 1);
  if (<u32>load<u8>(at) == closing) return at + 1;
  for (;;) {
    if (at >= end) return 0;
    if (object) {
      if (<u32>load<u8>(at) != QUOTE) return 0;
      const close = endOfString(at + 1);
      if (close == 0) return 0;
      at = blanks(close + 1);
      if (<u32>load<u8>(at) != COLON) return 0;
      at = blanks(at + 1);
    }
    at = skip(at, end, depth);
    if (at == 0) return 0;
    at = blanks(at);
    const byte: u32 = load<u8>(at);
    if (byte == closing) return at + 1;
    if (byte != COMMA) return 0;
    at = blanks(at + 1);
  }
  return 0;
}
