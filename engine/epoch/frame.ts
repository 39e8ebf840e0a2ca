/**
 * Frames: rows as columns with a key group per row, on their way to a state stage. Little-endian; every array begins at
 * a multiple of 8 bytes, so that a received frame is read through views of its own memory.
 *
 *   magic u32 | stage u16 | port u16 | fromStage u16 | flags u16 | fromPartition i32 | sequence f64 | rowCount u32
 *   | columnCount u32 | byteCount u32 | fromBranch u32 | key groups u8[] | sending key groups u8[] (flag 1) | columns
 *
 * A column: kind u8, flags u8 (1 = a byte per row for validity, or for non-ASCII texts), u16, extra u32, then its arrays;
 * those of lists, maps and structs are followed by the columns below them. Of texts and elements only what the frame's
 * rows refer to is in it.
 *
 * `fromStage`, `fromPartition`, `sequence`, `fromBranch` and the sending key groups give the rows of an epoch one order that does not
 * depend on which process sent them.
 */
import { assert, must, unreachable } from '../../core/assert.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column, ColumnBatch, RowOrigins } from '../column-batch.ts';
import { NO_DESTINATION } from './contract.ts';
import type { Frame, Routing } from './contract.ts';

assert(new Uint8Array(Uint16Array.of(1).buffer)[0] === 1, () => 'frames are little-endian, and this machine is not');

const MAGIC = 0x31524657;
const HEADER_BYTES = 40;
const FLAG_FROM_GROUPS = 1;
const COLUMN_HEADER_BYTES = 8;
const PER_ROW = 1;

const BYTES = 0;
const I32 = 1;
const F64 = 2;
const I64 = 3;
const BIG = 4;
const LIST = 5;
const MAP = 6;
const STRUCT = 7;

/** Where a frame's rows come from and go to. */
export interface FrameHeader {
  readonly stage: number;
  readonly port: number;
  readonly fromStage: number;
  /** The source partition that a map stage read; -1 = rows of a state stage. */
  readonly fromPartition: number;
  /** Grows within a sending stage and partition: the offset of the first record behind the frame's rows. */
  readonly sequence: number;
  /** Index of the sending stage's branch. */
  readonly fromBranch: number;
}

export interface DecodedFrame extends FrameHeader {
  /** Views of the frame's memory. Its origins are empty. */
  readonly batch: ColumnBatch;
  /** Key group of each row, by the target's key. */
  readonly groups: Uint8Array;
  /** Key group of the sending stage that each row came out of; null for rows of a map stage. */
  readonly fromGroups: Uint8Array | null;
}

/** Rows to send, with the key group of each in the target stage and, for a state stage, in the sending one. */
export interface RowsToSend {
  readonly batch: ColumnBatch;
  readonly groups: Uint8Array;
  readonly fromGroups: Uint8Array | null;
}

/**
 * Rows as one frame per destination that gets any, in their order. Rows whose key group has no destination are left
 * out. The frames' bytes are memory of their own.
 */
export function framesOf(header: FrameHeader, rows: RowsToSend, routing: Routing): Frame[] {
  const { rowCount } = rows.batch;
  if (rowCount === 0) return [];
  const counts = new Int32Array(NO_DESTINATION + 1);
  const { destinationOf } = routing;
  for (let row = 0; row < rowCount; row++) counts[destinationOf[rows.groups[row]!]!]!++;
  const starts = new Int32Array(NO_DESTINATION + 1);
  for (let to = 1; to <= NO_DESTINATION; to++) starts[to] = starts[to - 1]! + counts[to - 1]!;
  const index = new Int32Array(rowCount);
  const next = starts.slice();
  for (let row = 0; row < rowCount; row++) index[next[destinationOf[rows.groups[row]!]!]!++] = row;
  const frames: Frame[] = [];
  for (let destination = 0; destination < NO_DESTINATION; destination++) {
    const count = counts[destination]!;
    if (count === 0) continue;
    assert(destination < routing.destinationCount, () => `there is no destination ${destination}`);
    const bytes = encodeFrame(header, rows, index.subarray(starts[destination], starts[destination]! + count));
    frames.push({ stage: header.stage, port: header.port, destination, rowCount: count, bytes });
  }
  return frames;
}

/** The frames that hold a kept frame's rows under another routing. A frame that stays whole keeps its bytes. */
export function splitFrame(bytes: Uint8Array, routing: Routing): Frame[] {
  const frame = decodeFrame(bytes);
  const { rowCount } = frame.batch;
  const first = rowCount === 0 ? NO_DESTINATION : routing.destinationOf[frame.groups[0]!]!;
  let isWhole = first !== NO_DESTINATION;
  for (let row = 1; row < rowCount && isWhole; row++) isWhole = routing.destinationOf[frame.groups[row]!] === first;
  if (isWhole) return [{ stage: frame.stage, port: frame.port, destination: first, rowCount, bytes }];
  return framesOf(frame, frame, routing);
}

// ---- writing ----------------------------------------------------------------------------------------------------

/** The rows `index` as a frame. */
export function encodeFrame(header: FrameHeader, rows: RowsToSend, index: Int32Array): Uint8Array {
  const out = new ByteBuffer(HEADER_BYTES + index.length * (8 + rows.batch.columns.length * 12));
  out.length = HEADER_BYTES;
  appendU8(out, rows.groups, index);
  if (rows.fromGroups !== null) appendU8(out, rows.fromGroups, index);
  for (const column of rows.batch.columns) appendColumn(out, column, index);
  const { view } = out;
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, header.stage, true);
  view.setUint16(6, header.port, true);
  view.setUint16(8, header.fromStage, true);
  view.setUint16(10, rows.fromGroups === null ? 0 : FLAG_FROM_GROUPS, true);
  view.setInt32(12, header.fromPartition, true);
  view.setFloat64(16, header.sequence, true);
  view.setUint32(24, index.length, true);
  view.setUint32(28, rows.batch.columns.length, true);
  view.setUint32(32, out.length, true);
  view.setUint32(36, header.fromBranch, true);
  return out.copy();
}

/** `index` of -1 stands for a null. */
function appendColumn(out: ByteBuffer, column: Column, index: Int32Array): void {
  switch (column.kind) {
    case 'bytes':
      appendBytes(out, column, index);
      return;
    case 'i32': {
      appendHeader(out, I32, appendsValidity(column.valid, index), 0);
      appendValidity(out, column.valid, index);
      const target = i32View(out, index.length);
      const { values } = column;
      for (let row = 0; row < index.length; row++) target[row] = index[row]! < 0 ? 0 : values[index[row]!]!;
      return;
    }
    case 'f64': {
      appendHeader(out, F64, appendsValidity(column.valid, index), 0);
      appendValidity(out, column.valid, index);
      const at = grow(out, index.length * 8);
      const target = new Float64Array(out.bytes.buffer, out.bytes.byteOffset + at, index.length);
      const { values } = column;
      for (let row = 0; row < index.length; row++) target[row] = index[row]! < 0 ? 0 : values[index[row]!]!;
      return;
    }
    case 'i64': {
      appendHeader(out, I64, appendsValidity(column.valid, index), 0);
      appendValidity(out, column.valid, index);
      const target = i32View(out, index.length * 2);
      const { words } = column;
      for (let row = 0; row < index.length; row++) {
        const from = index[row]!;
        if (from < 0) continue;
        target[2 * row] = words[2 * from]!;
        target[2 * row + 1] = words[2 * from + 1]!;
      }
      return;
    }
    case 'big': {
      appendHeader(out, BIG, appendsValidity(column.valid, index), 0);
      appendValidity(out, column.valid, index);
      const at = grow(out, index.length * 16);
      for (let row = 0; row < index.length; row++) {
        const value = index[row]! < 0 ? 0n : column.values[index[row]!]!;
        assert(BigInt.asIntN(128, value) === value, () => 'a decimal takes more than 128 bits');
        out.view.setBigUint64(at + 16 * row, BigInt.asUintN(64, value), true);
        out.view.setBigInt64(at + 16 * row + 8, BigInt.asIntN(64, value >> 64n), true);
      }
      return;
    }
    case 'list': {
      const elements = elementsOf(column, index);
      appendHeader(out, LIST, false, elements.length);
      appendLengths(out, column.length, index);
      appendColumn(out, column.element, elements);
      return;
    }
    case 'map': {
      const entries = elementsOf(column, index);
      appendHeader(out, MAP, false, entries.length);
      appendLengths(out, column.length, index);
      appendColumn(out, column.keys, entries);
      appendColumn(out, column.values, entries);
      return;
    }
    case 'struct':
      appendHeader(out, STRUCT, appendsValidity(column.valid, index), column.fields.length);
      appendValidity(out, column.valid, index);
      for (const field of column.fields) appendColumn(out, field, index);
      return;
    default:
      unreachable(column);
  }
}

function appendBytes(out: ByteBuffer, column: Extract<Column, { kind: 'bytes' }>, index: Int32Array): void {
  const { start, length, nonAscii, data } = column;
  let total = 0;
  let someNonAscii = 0;
  for (let row = 0; row < index.length; row++) {
    const from = index[row]!;
    if (from < 0 || length[from]! < 0) continue;
    total += length[from]!;
    someNonAscii |= nonAscii[from]!;
  }
  assert(total < 2 ** 31, () => 'the texts of one frame take more than 2 GiB');
  appendHeader(out, BYTES, someNonAscii !== 0, total);
  appendLengths(out, length, index);
  if (someNonAscii !== 0) appendU8(out, nonAscii, index);
  let at = grow(out, total);
  const { bytes } = out;
  for (let row = 0; row < index.length; row++) {
    const from = index[row]!;
    const count = from < 0 ? -1 : length[from]!;
    if (count <= 0) continue;
    const first = start[from]!;
    if (count < 32) for (let byte = 0; byte < count; byte++) bytes[at + byte] = data[first + byte]!;
    else bytes.set(data.subarray(first, first + count), at);
    at += count;
  }
}

function elementsOf(
  column: { readonly start: Int32Array; readonly length: Int32Array },
  index: Int32Array,
): Int32Array {
  let total = 0;
  for (let row = 0; row < index.length; row++) if (index[row]! >= 0) total += Math.max(0, column.length[index[row]!]!);
  const elements = new Int32Array(total);
  let next = 0;
  for (let row = 0; row < index.length; row++) {
    const from = index[row]!;
    if (from < 0) continue;
    for (let element = 0; element < column.length[from]!; element++) elements[next++] = column.start[from]! + element;
  }
  return elements;
}

function appendHeader(out: ByteBuffer, kind: number, perRow: boolean, extra: number): void {
  const at = grow(out, COLUMN_HEADER_BYTES);
  out.view.setUint8(at, kind);
  out.view.setUint8(at + 1, perRow ? PER_ROW : 0);
  out.view.setUint32(at + 4, extra, true);
}

function appendsValidity(valid: Uint8Array, index: Int32Array): boolean {
  for (let row = 0; row < index.length; row++) if (index[row]! < 0 || valid[index[row]!] === 0) return true;
  return false;
}

function appendValidity(out: ByteBuffer, valid: Uint8Array, index: Int32Array): void {
  if (appendsValidity(valid, index)) appendU8(out, valid, index);
}

function appendU8(out: ByteBuffer, values: Uint8Array, index: Int32Array): void {
  const at = grow(out, index.length);
  const { bytes } = out;
  for (let row = 0; row < index.length; row++) bytes[at + row] = index[row]! < 0 ? 0 : values[index[row]!]!;
}

function appendLengths(out: ByteBuffer, length: Int32Array, index: Int32Array): void {
  const target = i32View(out, index.length);
  for (let row = 0; row < index.length; row++) target[row] = index[row]! < 0 ? -1 : length[index[row]!]!;
}

function i32View(out: ByteBuffer, count: number): Int32Array {
  const at = grow(out, count * 4);
  return new Int32Array(out.bytes.buffer, out.bytes.byteOffset + at, count);
}

/** Appends so many zero bytes and what is missing to a multiple of 8; where they begin. */
function grow(out: ByteBuffer, bytes: number): number {
  const at = out.length;
  const padded = padded8(bytes);
  out.reserve(padded);
  out.length = at + padded;
  out.bytes.fill(0, at, at + padded);
  return at;
}

function padded8(bytes: number): number {
  return (bytes + 7) & ~7;
}

// ---- reading ----------------------------------------------------------------------------------------------------

/**
 * A frame's rows. Bytes that do not begin at a multiple of 8 in their memory are copied once; else everything is a view.
 * What is wrong with a frame is a bug: the way it came over is checked by a checksum of its own.
 */
export function decodeFrame(frame: Uint8Array): DecodedFrame {
  const bytes = frame.byteOffset % 8 === 0 ? frame : frame.slice();
  const reader = new FrameReader(bytes);
  const { view } = reader;
  assert(
    bytes.byteLength >= HEADER_BYTES &&
      view.getUint32(0, true) === MAGIC &&
      view.getUint32(32, true) === bytes.byteLength,
    () => `${bytes.byteLength} bytes are not a frame`,
  );
  const rowCount = view.getUint32(24, true);
  const groups = reader.u8(rowCount);
  const fromGroups = (view.getUint16(10, true) & FLAG_FROM_GROUPS) === 0 ? null : reader.u8(rowCount);
  const columns = Array.from({ length: view.getUint32(28, true) }, () => reader.column(rowCount));
  assert(reader.at === bytes.byteLength, () => `a frame ends at ${reader.at} of ${bytes.byteLength} bytes`);
  return {
    stage: view.getUint16(4, true),
    port: view.getUint16(6, true),
    fromStage: view.getUint16(8, true),
    fromPartition: view.getInt32(12, true),
    sequence: view.getFloat64(16, true),
    fromBranch: view.getUint32(36, true),
    batch: { rowCount, columns, origins: noOrigins },
    groups,
    fromGroups,
  };
}

/** Origins of rows that have none of their own (yet). */
export const noOrigins: RowOrigins = {
  topic: '',
  partition: -1,
  offset: new Float64Array(0),
  timestampMs: new Float64Array(0),
  index: new Int32Array(0),
  record: new Int32Array(0),
};

class FrameReader {
  readonly view: DataView;
  at = HEADER_BYTES;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  column(count: number): Column {
    const at = this.#take(COLUMN_HEADER_BYTES);
    const kind = this.view.getUint8(at);
    const perRow = this.view.getUint8(at + 1) === PER_ROW;
    const extra = this.view.getUint32(at + 4, true);
    switch (kind) {
      case BYTES: {
        const length = this.#i32(count);
        const nonAscii = perRow ? this.u8(count) : new Uint8Array(count);
        return { kind: 'bytes', data: this.u8(extra), start: startsOf(length), length, nonAscii };
      }
      case I32:
        return { kind: 'i32', valid: this.#valid(perRow, count), values: this.#i32(count) };
      case F64: {
        const valid = this.#valid(perRow, count);
        const values = new Float64Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#take(count * 8), count);
        return { kind: 'f64', values, valid };
      }
      case I64: {
        const valid = this.#valid(perRow, count);
        const words = this.#i32(count * 2);
        return { kind: 'i64', values: new BigInt64Array(words.buffer, words.byteOffset, count), words, valid };
      }
      case BIG: {
        const valid = this.#valid(perRow, count);
        const from = this.#take(count * 16);
        const values = Array.from({ length: count }, (_, row) => {
          const low = this.view.getBigUint64(from + 16 * row, true);
          return (this.view.getBigInt64(from + 16 * row + 8, true) << 64n) | low;
        });
        return { kind: 'big', values, valid };
      }
      case LIST: {
        const length = this.#i32(count);
        return { kind: 'list', start: startsOf(length), length, element: this.column(extra) };
      }
      case MAP: {
        const length = this.#i32(count);
        return { kind: 'map', start: startsOf(length), length, keys: this.column(extra), values: this.column(extra) };
      }
      default: {
        assert(kind === STRUCT, () => `a frame has a column of kind ${kind}`);
        const valid = this.#valid(perRow, count);
        return { kind: 'struct', valid, fields: Array.from({ length: extra }, () => this.column(count)) };
      }
    }
  }

  #valid(perRow: boolean, count: number): Uint8Array {
    return perRow ? this.u8(count) : new Uint8Array(count).fill(1);
  }

  #i32(count: number): Int32Array {
    return new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#take(count * 4), count);
  }

  #take(count: number): number {
    const { at } = this;
    this.at += padded8(count);
    assert(this.at <= this.#bytes.byteLength, () => 'a frame is cut short');
    return at;
  }
}

/** Where each value begins when all of them stand one behind the other. */
function startsOf(length: Int32Array): Int32Array {
  const start = new Int32Array(length.length);
  let at = 0;
  for (let row = 0; row < length.length; row++) {
    start[row] = at;
    at += Math.max(0, length[row]!);
  }
  return start;
}

/** The rows in memory of their own. Its origins are empty. */
export function copyOf(batch: ColumnBatch): ColumnBatch {
  const all = Int32Array.from({ length: batch.rowCount }, (_, row) => row);
  const header = { stage: 0, port: 0, fromStage: 0, fromPartition: -1, sequence: 0, fromBranch: 0 };
  return decodeFrame(encodeFrame(header, { batch, groups: new Uint8Array(batch.rowCount), fromGroups: null }, all))
    .batch;
}

// ---- putting together ---------------------------------------------------------------------------------------------

/**
 * The rows of several batches of the same columns as one batch, in the order of the batches. Its origins are empty.
 * At least one batch.
 */
export function concatBatches(batches: readonly ColumnBatch[]): ColumnBatch {
  const [first] = batches;
  if (batches.length === 1 && first !== undefined) return first;
  const columns = must(first, () => 'no batches').columns.map((_, index) =>
    concatColumns(
      batches.map((batch) => must(batch.columns[index], () => `column ${index} is missing`)),
      batches.map((batch) => batch.rowCount),
    ),
  );
  return { rowCount: batches.reduce((sum, batch) => sum + batch.rowCount, 0), columns, origins: noOrigins };
}

function concatColumns(columns: readonly Column[], counts: readonly number[]): Column {
  const parts = <K extends Column['kind']>(kind: K): readonly Extract<Column, { kind: K }>[] =>
    columns.map((column) => {
      assert(column.kind === kind, () => `a ${column.kind} column behind a ${kind} column`);
      return column as Extract<Column, { kind: K }>;
    });
  const kind = must(columns[0], () => 'no columns').kind;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const valid = (of: readonly { readonly valid: Uint8Array }[]): Uint8Array =>
    concatInto(
      new Uint8Array(total),
      of.map((part) => part.valid),
      counts,
    );
  switch (kind) {
    case 'bytes': {
      const of = parts(kind);
      const sizes = of.map((part) => part.data.byteLength);
      const data = concatInto(
        new Uint8Array(sizes.reduce((sum, size) => sum + size, 0)),
        of.map((part) => part.data),
        sizes,
      );
      return {
        kind,
        data,
        start: concatStarts(
          of.map((part) => part.start),
          counts,
          sizes,
        ),
        length: concatInto(
          new Int32Array(total),
          of.map((part) => part.length),
          counts,
        ),
        nonAscii: concatInto(
          new Uint8Array(total),
          of.map((part) => part.nonAscii),
          counts,
        ),
      };
    }
    case 'i32': {
      const of = parts(kind);
      return {
        kind,
        values: concatInto(
          new Int32Array(total),
          of.map((part) => part.values),
          counts,
        ),
        valid: valid(of),
      };
    }
    case 'f64': {
      const of = parts(kind);
      return {
        kind,
        values: concatInto(
          new Float64Array(total),
          of.map((part) => part.values),
          counts,
        ),
        valid: valid(of),
      };
    }
    case 'i64': {
      const of = parts(kind);
      const doubled = counts.map((count) => count * 2);
      const words = concatInto(
        new Int32Array(total * 2),
        of.map((part) => part.words),
        doubled,
      );
      return { kind, values: new BigInt64Array(words.buffer), words, valid: valid(of) };
    }
    case 'big': {
      const of = parts(kind);
      return { kind, values: of.flatMap((part, index) => part.values.slice(0, counts[index])), valid: valid(of) };
    }
    case 'list': {
      const of = parts(kind);
      const sizes = of.map((part) => columnRows(part.element));
      return {
        kind,
        start: concatStarts(
          of.map((part) => part.start),
          counts,
          sizes,
        ),
        length: concatInto(
          new Int32Array(total),
          of.map((part) => part.length),
          counts,
        ),
        element: concatColumns(
          of.map((part) => part.element),
          sizes,
        ),
      };
    }
    case 'map': {
      const of = parts(kind);
      const sizes = of.map((part) => columnRows(part.keys));
      return {
        kind,
        start: concatStarts(
          of.map((part) => part.start),
          counts,
          sizes,
        ),
        length: concatInto(
          new Int32Array(total),
          of.map((part) => part.length),
          counts,
        ),
        keys: concatColumns(
          of.map((part) => part.keys),
          sizes,
        ),
        values: concatColumns(
          of.map((part) => part.values),
          sizes,
        ),
      };
    }
    case 'struct': {
      const of = parts(kind);
      const fields = must(of[0], () => 'no columns').fields.map((_, field) =>
        concatColumns(
          of.map((part) => must(part.fields[field], () => `field ${field} is missing`)),
          counts,
        ),
      );
      return { kind, valid: valid(of), fields };
    }
  }
}

function columnRows(column: Column): number {
  switch (column.kind) {
    case 'bytes':
    case 'list':
    case 'map':
      return column.length.length;
    default:
      return column.valid.length;
  }
}

type Settable = Uint8Array | Int32Array | Float64Array;

/** Columns may be longer than their batch: only the first `counts` of each part belong to it. */
function concatInto<T extends Settable>(target: T, parts: readonly T[], counts: readonly number[]): T {
  let at = 0;
  parts.forEach((part, index) => {
    const count = counts[index] ?? 0;
    target.set(part.subarray(0, count), at);
    at += count;
  });
  return target;
}

function concatStarts(starts: readonly Int32Array[], counts: readonly number[], sizes: readonly number[]): Int32Array {
  const target = concatInto(new Int32Array(counts.reduce((sum, count) => sum + count, 0)), starts, counts);
  let at = 0;
  let shift = 0;
  counts.forEach((count, index) => {
    if (shift !== 0) for (let row = at; row < at + count; row++) target[row] = target[row]! + shift;
    at += count;
    shift += sizes[index] ?? 0;
  });
  return target;
}
