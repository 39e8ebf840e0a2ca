/**
 * Rows as the records of a RecordBatch v2 (the layout is in core/record-batch-encoder.ts), their values as JSON text:
 * the kernel of engine/encode/record-writer.ts and json-writer.ts, which are its plain-TypeScript twins. Text is copied and
 * searched for characters to escape 16 bytes at a time; what has no short way to text comes as text already.
 *
 * Up to 16 bytes behind what is written may be overwritten, and as many behind every value are read.
 */
import { specials } from './text.ts';
import { writeDate, writeDecimal, writeInteger, writeTimestamp } from './write-values.ts';

/** UTF-8, to be quoted and escaped. */
const TEXT: u32 = 0;
/** JSON text, or the bytes of a key, as they are. */
const RAW: u32 = 1;
const BOOLEAN: u32 = 2;
const INT: u32 = 3;
const DATE: u32 = 4;
const BIGINT: u32 = 5;
const DECIMAL: u32 = 6;
const TIMESTAMP: u32 = 7;

const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;

/** A column to write. Addresses are absolute. */
@unmanaged
class Field {
  kind: u32;
  /** Starts of TEXT and RAW relative to `data`, values of others. */
  values: usize;
  /** Lengths of TEXT and RAW, -1 = null; of others a byte that is 0 for null. */
  valid: usize;
  data: usize;
  /** `,"name":`, with 16 readable bytes behind it. */
  label: usize;
  labelBytes: u32;
  scale: u32;
  unused: u32;
}

/** Bytes of a {@link Field}. */
const FIELD_BYTES: usize = 32;

/** What is to be written, and how far that is. */
@unmanaged
class Batch {
  fields: usize;
  fieldCount: u32;
  /** The {@link Field} of the records' keys; 0 = none. */
  key: usize;
  /** The {@link Field} of the records' values; 0 = all fields as one JSON object. */
  value: usize;
  timestampMs: usize;
  offset: usize;
  index: usize;
  /** The one header's name as a record has it, length first, and what its value begins with. 0 = no header. */
  headerName: usize;
  headerNameBytes: u32;
  id: usize;
  idBytes: u32;
  /** Records so far. */
  count: u32;
  /** Where the next record goes, and where the last one must end. */
  to: usize;
  limit: usize;
  firstTimestampMs: f64;
  maxTimestampMs: f64;
  /** µs between UTC and the times that are written. */
  offsetUs: f64;
}

/** Room for all of a record but its key, value and id. */
const FRAME_BYTES: usize = 128;
/** Longest text of a value that is not TEXT or RAW. */
const SCALAR_BYTES: usize = 64;

/** Bytes that the length of a record and of its value took last time: rarely another number than this time. */
let recordLengthBytes: usize = 2;
let valueLengthBytes: usize = 2;

/**
 * Appends the rows listed at `rows` to the batch, as many of `count` as there is room for; how many were written. A row
 * that is not written into an empty batch is one for the twin: too large, or with a time out of reach.
 */
export function encodeRecords(context: usize, rows: usize, count: u32): u32 {
  const batch = changetype<Batch>(context);
  for (let done: u32 = 0; done < count; done++) {
    const end = encodeRecord(batch, load<u32>(rows + ((<usize>done) << 2)));
    if (end == 0) return done;
    batch.to = end;
    batch.count++;
  }
  return count;
}

/** Where the record ends; 0 when it was not written. */
function encodeRecord(batch: Batch, row: usize): usize {
  const start = batch.to;
  const limit = batch.limit;
  const keyBytes = batch.key == 0 ? -1 : lengthOf(batch.key, row);
  const room = FRAME_BYTES + <usize>max(keyBytes, 0) + <usize>batch.headerNameBytes + <usize>batch.idBytes;
  if (start + room > limit) return 0;
  const timestampMs = floor<f64>(load<f64>(batch.timestampMs + (row << 3)));
  const first = batch.count == 0 ? timestampMs : batch.firstTimestampMs;

  const body = start + recordLengthBytes;
  let at = body;
  store<u8>(at++, 0);
  at = writeVarint(at, <i64>(timestampMs - first));
  at = writeVarint(at, <i64>batch.count);
  at = writeVarint(at, <i64>keyBytes);
  if (keyBytes > 0) {
    copy(at, startOf(batch.key, row), <usize>keyBytes);
    at += <usize>keyBytes;
  }
  at = writeValue(batch, row, at, limit - batch.headerNameBytes - batch.idBytes - FRAME_BYTES);
  if (at == 0) return 0;
  at = writeHeader(batch, row, at);

  const bytes = at - body;
  const width = varintBytes(<i64>bytes);
  if (width != recordLengthBytes) {
    memory.copy(start + width, body, bytes);
    at = start + width + bytes;
    recordLengthBytes = width;
  }
  writeVarint(start, <i64>bytes);
  batch.firstTimestampMs = first;
  batch.maxTimestampMs = batch.count == 0 ? timestampMs : max<f64>(batch.maxTimestampMs, timestampMs);
  return at;
}

/** Writes length and bytes of the record's value; where they end, or 0 when there is no room. */
function writeValue(batch: Batch, row: usize, at: usize, limit: usize): usize {
  if (batch.value != 0) {
    const bytes = lengthOf(batch.value, row);
    if (bytes >= 0 && at + <usize>bytes > limit) return 0;
    at = writeVarint(at, <i64>bytes);
    if (bytes <= 0) return at;
    copy(at, startOf(batch.value, row), <usize>bytes);
    return at + <usize>bytes;
  }
  const start = at + valueLengthBytes;
  const end = writeObject(batch, row, start, limit);
  if (end == 0) return 0;
  const bytes = end - start;
  const width = varintBytes(<i64>bytes);
  if (width != valueLengthBytes) {
    memory.copy(at + width, start, bytes);
    valueLengthBytes = width;
  }
  writeVarint(at, <i64>bytes);
  return at + width + bytes;
}

/** Writes `{…}` with the fields that have a value; where it ends, or 0. */
function writeObject(batch: Batch, row: usize, start: usize, limit: usize): usize {
  let at = start;
  let fieldAt = batch.fields;
  const end = fieldAt + <usize>batch.fieldCount * FIELD_BYTES;
  for (; fieldAt < end; fieldAt += FIELD_BYTES) {
    const field = changetype<Field>(fieldAt);
    if (field.kind <= RAW) {
      const bytes = load<i32>(field.valid + (row << 2));
      if (bytes < 0) continue;
      const most = field.kind == TEXT ? <usize>bytes * 6 : <usize>bytes;
      if (at + field.labelBytes + most + SCALAR_BYTES > limit) return 0;
      copy(at, field.label, field.labelBytes);
      at += field.labelBytes;
      const from = field.data + load<i32>(field.values + (row << 2));
      if (field.kind == TEXT) at = writeText(at, from, <usize>bytes);
      else {
        copy(at, from, <usize>bytes);
        at += <usize>bytes;
      }
    } else {
      if (load<u8>(field.valid + row) == 0) continue;
      if (at + field.labelBytes + SCALAR_BYTES > limit) return 0;
      copy(at, field.label, field.labelBytes);
      at = writeScalar(field, row, at + field.labelBytes, batch.offsetUs);
      if (at == 0) return 0;
    }
  }
  // Every label begins with a comma; that of the first field is where the brace belongs.
  if (at == start) at++;
  store<u8>(start, 0x7b);
  store<u8>(at, 0x7d);
  return at + 1;
}

function writeScalar(field: Field, row: usize, at: usize, offsetUs: f64): usize {
  switch (field.kind) {
    case BOOLEAN: {
      if (load<i32>(field.values + (row << 2)) == 0) {
        store<u32>(at, 0x736c6166);
        store<u8>(at, 0x65, 4);
        return at + 5;
      }
      store<u32>(at, 0x65757274);
      return at + 4;
    }
    case INT:
      return writeInteger(at, <i64>load<i32>(field.values + (row << 2)));
    case BIGINT:
      return writeInteger(at, load<i64>(field.values + (row << 3)));
    case DECIMAL:
      return writeDecimal(at, load<i64>(field.values + (row << 3)), field.scale);
    case DATE: {
      store<u8>(at, QUOTE);
      const end = writeDate(at + 1, <i64>load<i32>(field.values + (row << 2)));
      store<u8>(end, QUOTE);
      return end + 1;
    }
    default: {
      store<u8>(at, QUOTE);
      const end = writeTimestamp(at + 1, load<f64>(field.values + (row << 3)), offsetUs);
      if (end == 0) return 0;
      store<u8>(end, QUOTE);
      return end + 1;
    }
  }
}

/** Writes the string with the text `[from, from + bytes)`; where it ends. */
function writeText(at: usize, from: usize, bytes: usize): usize {
  const end = from + bytes;
  store<u8>(at++, QUOTE);
  while (from < end) {
    const part = v128.load(from);
    v128.store(at, part);
    let hits = i8x16.bitmask(specials(part));
    const rest = end - from;
    if (rest < 16) hits &= (1 << (<i32>rest)) - 1;
    if (hits == 0) {
      const plain = min<usize>(rest, 16);
      from += plain;
      at += plain;
      continue;
    }
    const plain = <usize>ctz(hits);
    at = writeEscape(at + plain, load<u8>(from + plain));
    from += plain + 1;
  }
  store<u8>(at, QUOTE);
  return at + 1;
}

function writeEscape(at: usize, byte: u8): usize {
  store<u8>(at, BACKSLASH);
  const letter = escapeLetter(byte);
  store<u8>(at, letter, 1);
  if (letter != 0x75) return at + 2;
  store<u16>(at, 0x3030, 2);
  store<u8>(at, hexDigit(byte >> 4), 4);
  store<u8>(at, hexDigit(byte & 15), 5);
  return at + 6;
}

function escapeLetter(byte: u8): u8 {
  switch (byte) {
    case 0x08:
      return 0x62;
    case 0x09:
      return 0x74;
    case 0x0a:
      return 0x6e;
    case 0x0c:
      return 0x66;
    case 0x0d:
      return 0x72;
    default:
      return byte < 0x20 ? 0x75 : byte;
  }
}

function hexDigit(value: u8): u8 {
  return value + (value < 10 ? 0x30 : 0x57);
}

/** The one header: its value is the id's beginning, the row's offset, a slash, and its index. */
function writeHeader(batch: Batch, row: usize, at: usize): usize {
  if (batch.headerName == 0) {
    store<u8>(at, 0);
    return at + 1;
  }
  // Zigzag of 1.
  store<u8>(at++, 2);
  copy(at, batch.headerName, batch.headerNameBytes);
  at += batch.headerNameBytes;
  const offset = <i64>load<f64>(batch.offset + (row << 3));
  const index = <i64>load<i32>(batch.index + (row << 2));
  // Most ids are shorter than 64 bytes, and then their length is one byte.
  let value = at + 1;
  copy(value, batch.id, batch.idBytes);
  let end = writeInteger(value + batch.idBytes, offset);
  store<u8>(end++, 0x2f);
  end = writeInteger(end, index);
  const bytes = end - value;
  const width = varintBytes(<i64>bytes);
  if (width != 1) {
    memory.copy(at + width, value, bytes);
    end = at + width + bytes;
  }
  writeVarint(at, <i64>bytes);
  return end;
}

function lengthOf(fieldAt: usize, row: usize): i32 {
  return load<i32>(changetype<Field>(fieldAt).valid + (row << 2));
}

function startOf(fieldAt: usize, row: usize): usize {
  const field = changetype<Field>(fieldAt);
  return field.data + load<i32>(field.values + (row << 2));
}

/** Copies 16 bytes at a time, up to 15 more than asked for. */
function copy(to: usize, from: usize, bytes: usize): void {
  const end = to + bytes;
  do {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  } while (to < end);
}

function zigzag(value: i64): u64 {
  return <u64>((value << 1) ^ (value >> 63));
}

function varintBytes(value: i64): usize {
  let bytes: usize = 1;
  for (let rest = zigzag(value); rest >= 0x80; rest >>= 7) bytes++;
  return bytes;
}

function writeVarint(at: usize, value: i64): usize {
  let rest = zigzag(value);
  while (rest >= 0x80) {
    store<u8>(at++, <u8>((rest & 0x7f) | 0x80));
    rest >>= 7;
  }
  store<u8>(at, <u8>rest);
  return at + 1;
}

/**
 * Puts the rows listed at `rows` in the order of their target partitions, the order within one kept: into `sorted`, with
 * the number of rows before each partition's in `starts` (one more than partitions). A row without a key goes to
 * `fixed`; -1 = by its offset and index. `places` is room for a number per row.
 */
export function partitionRows(
  context: usize,
  rows: usize,
  count: u32,
  partitions: u32,
  fixed: i32,
  places: usize,
  starts: usize,
  sorted: usize,
): void {
  const batch = changetype<Batch>(context);
  memory.fill(starts, 0, (<usize>partitions + 1) << 2);
  for (let place: usize = 0; place < <usize>count; place++) {
    const row: usize = load<u32>(rows + (place << 2));
    const keyBytes = batch.key == 0 ? -1 : lengthOf(batch.key, row);
    let partition: u32;
    if (keyBytes >= 0) partition = (murmur2(startOf(batch.key, row), <u32>keyBytes) & 0x7fffffff) % partitions;
    else if (fixed >= 0) partition = <u32>fixed;
    else {
      const position = <u64>load<f64>(batch.offset + (row << 3)) + <u64>load<i32>(batch.index + (row << 2));
      partition = <u32>(position % <u64>partitions);
    }
    store<u32>(places + (place << 2), partition);
    const cell = starts + ((<usize>partition) << 2);
    store<u32>(cell, load<u32>(cell) + 1);
  }
  // How many rows each partition has becomes where its rows end.
  for (let partition: usize = 1; partition <= <usize>partitions; partition++) {
    const cell = starts + (partition << 2);
    store<u32>(cell, load<u32>(cell) + load<u32>(cell - 4));
  }
  // The ends become starts: rows are placed from the last to the first, each before those that were.
  for (let place: usize = <usize>count; place > 0;) {
    place--;
    const cell = starts + ((<usize>load<u32>(places + (place << 2))) << 2);
    const at = load<u32>(cell) - 1;
    store<u32>(cell, at);
    store<u32>(sorted + ((<usize>at) << 2), load<u32>(rows + (place << 2)));
  }
}

const SEED: u32 = 0x9747b28c;
const MULTIPLIER: u32 = 0x5bd1e995;

/** The twin is core/murmur2.ts. */
function murmur2(at: usize, bytes: u32): u32 {
  let hash = SEED ^ bytes;
  const end = at + <usize>(bytes & ~3);
  for (; at < end; at += 4) {
    let word = load<u32>(at) * MULTIPLIER;
    word = (word ^ (word >>> 24)) * MULTIPLIER;
    hash = (hash * MULTIPLIER) ^ word;
  }
  const rest = bytes & 3;
  if (rest >= 3) hash ^= (<u32>load<u8>(at, 2)) << 16;
  if (rest >= 2) hash ^= (<u32>load<u8>(at, 1)) << 8;
  if (rest >= 1) hash = (hash ^ <u32>load<u8>(at)) * MULTIPLIER;
  hash = (hash ^ (hash >>> 13)) * MULTIPLIER;
  return hash ^ (hash >>> 15);
}
