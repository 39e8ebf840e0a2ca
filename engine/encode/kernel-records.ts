/**
 * The kernel's side of a log sink: puts columns where engine/kernels/assembly/records.ts reads them, and takes finished
 * batches from there. The layouts are those of that file. What it has no short way to text for (floating point, nested
 * and binary columns, time zones with changing offsets, Avro) is written as text first, by the twins.
 */
import { assert, must } from '../../core/assert.ts';
import type { Checksum } from '../../core/record-batch-encoder.ts';
import { RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { lz4FrameByKernel, lz4FrameBytesMax } from '../codecs/lz4.ts';
import type { BytesColumn, Column, RowOrigins } from '../column-batch.ts';
import type { KernelArena } from '../kernels/kernel-arena.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { KERNEL_SLACK_BYTES } from '../kernels/kernels.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { PartitionBatches } from './partition-batches.ts';
import { BATCH_BYTES_MAX, ID_HEADER } from './partition-batches.ts';

/** How the kernel writes a column; RAW = bytes as they are. */
const kinds = { TEXT: 0, RAW: 1, BOOLEAN: 2, INT: 3, DATE: 4, BIGINT: 5, DECIMAL: 6, TIMESTAMP: 7 } as const;
type Kind = (typeof kinds)[keyof typeof kinds];

const FIELD_BYTES = 32;
const CONTEXT_BYTES = 80;
/** Bytes that the kernel reads behind a value, at most. */
const OVERREAD_BYTES = 16;
/** Where records begin behind the start of a batch's memory, which is aligned. */
const OUT_BYTES = RECORD_BATCH_HEADER_BYTES + BATCH_BYTES_MAX + KERNEL_SLACK_BYTES;

/** Appends the text of one row's value; false = it has none. */
export type ValueWriter = (out: ByteBuffer, row: number) => boolean;

/** A column of the output, or what takes its place: bytes that the twins write row by row. */
export type KernelInput =
  | { readonly column: Column; readonly kind: Kind; readonly scale: number }
  | { readonly write: ValueWriter };

/** What is to be written, for the rows of one batch of columns. */
export interface KernelTask {
  readonly rowCount: number;
  /** Whether the row is to be written. */
  readonly isLive: (row: number) => boolean;
  readonly origins: RowOrigins;
  /** Of the keys; null = records have none. */
  readonly key: KernelInput | null;
  /** Of the values: one column, or the fields of a JSON object. */
  readonly value: KernelInput | readonly KernelInput[];
  /** What the ids begin with; null = no ids. */
  readonly id: ByteBuffer | null;
  readonly partitionCount: number;
  /** Where rows without a key go; -1 = spread by offset and index. */
  readonly fixedPartition: number;
  /** Writes a row that is too much for the kernel. */
  readonly writeByTwin: (row: number, partition: number) => void;
}

/** How the kernel takes a column into a JSON object; null = it does not. */
export function jsonInputOf(type: DataType, column: Column, timeZone: TimeZone): KernelInput | null {
  const direct = (kind: Kind, scale = 0): KernelInput => ({ column, kind, scale });
  switch (type.kind) {
    case 'string':
      return column.kind === 'bytes' ? direct(kinds.TEXT) : null;
    case 'boolean':
      return column.kind === 'i32' ? direct(kinds.BOOLEAN) : null;
    case 'tinyint':
    case 'smallint':
    case 'int':
      return column.kind === 'i32' ? direct(kinds.INT) : null;
    case 'date':
      return column.kind === 'i32' ? direct(kinds.DATE) : null;
    case 'bigint':
      return column.kind === 'i64' ? direct(kinds.BIGINT) : null;
    case 'decimal':
      return column.kind === 'i64' && type.scale >= 0 ? direct(kinds.DECIMAL, type.scale) : null;
    case 'timestamp':
      return column.kind === 'f64' && timeZone.fixedOffsetUs !== null ? direct(kinds.TIMESTAMP) : null;
    default:
      return null;
  }
}

/** How the kernel takes a column whose bytes are a key or a value as they are; null = it does not. */
export function plainInputOf(column: Column): KernelInput | null {
  return column.kind === 'bytes' ? { column, kind: kinds.RAW, scale: 0 } : null;
}

export class KernelRecords {
  readonly #arena: KernelArena;
  readonly #timeZone: TimeZone;
  /** `,"name":` of each field, and where they begin; the header's name stands behind them. */
  readonly #labels: Uint8Array;
  readonly #labelStarts: readonly number[];
  readonly #text = new ByteBuffer(1024);

  /** The columns of `schema` are the fields of JSON objects. */
  constructor(arena: KernelArena, schema: Schema, timeZone: TimeZone) {
    this.#arena = arena;
    this.#timeZone = timeZone;
    const encoder = new TextEncoder();
    const labels = schema.map(({ name }) => encoder.encode(`,${JSON.stringify(name)}:`));
    const starts: number[] = [];
    let end = 0;
    for (const label of labels) {
      starts.push(end);
      end += label.byteLength;
    }
    starts.push(end);
    this.#labels = new Uint8Array(end + 1 + ID_HEADER.byteLength);
    labels.forEach((label, index) => this.#labels.set(label, starts[index]));
    this.#labels[end] = ID_HEADER.byteLength * 2;
    this.#labels.set(ID_HEADER, end + 1);
    this.#labelStarts = starts;
  }

  /** Adds the rows to the batches; false when there is no room for that and nothing has happened. */
  encode(task: KernelTask, batches: PartitionBatches): boolean {
    const kernels = this.#arena.memory;
    if (kernels === null) return false;
    const mark = this.#arena.mark();
    const placed = this.#place(kernels, task, batches.compression === 'lz4');
    if (placed !== null) this.#write(kernels, placed, task, batches);
    this.#arena.reset(mark);
    return placed !== null;
  }

  #place(kernels: Kernels, task: KernelTask, byLz4: boolean): Placed | null {
    const { rowCount, origins, key, value, id, isLive } = task;
    const place = new Placement(this.#arena, kernels);
    const rows = place.take(rowCount * 4);
    if (rows === 0) return null;
    const list = new Int32Array(kernels.buffer, rows, rowCount);
    let count = 0;
    for (let row = 0; row < rowCount; row++) if (isLive(row)) list[count++] = row;
    const live = list.subarray(0, count);

    const labels = place.copy(this.#labels);
    const single = 'length' in value ? null : value;
    const inputs: readonly KernelInput[] = 'length' in value ? value : [];
    const fields = place.take((inputs.length + 2) * FIELD_BYTES);
    const context = place.take(CONTEXT_BYTES);
    const idAt = id === null ? 0 : place.copy(id.bytes.subarray(0, id.length));
    const timestampMs = place.address(origins.timestampMs, rowCount);
    const offset = place.address(origins.offset, rowCount);
    const index = place.address(origins.index, rowCount);
    const extra = fields + inputs.length * FIELD_BYTES;
    [...inputs, ...(key === null ? [] : [key]), ...(single === null ? [] : [single])].forEach((input, at) => {
      const column = 'write' in input ? this.#asText(input.write, live, rowCount) : input;
      this.#placeField(place, fields + at * FIELD_BYTES, column, rowCount, live);
      const label = this.#labelStarts[at] ?? 0;
      place.words(fields + at * FIELD_BYTES + 16, [labels + label, (this.#labelStarts[at + 1] ?? label) - label]);
    });
    const out = place.take(OUT_BYTES);
    const compressed = byLz4 ? place.take(RECORD_BATCH_HEADER_BYTES + lz4FrameBytesMax(BATCH_BYTES_MAX)) : 0;
    const sorted = task.partitionCount > 1 ? place.take((2 * count + task.partitionCount + 1) * 4) : rows;
    if (!place.hasAll) return null;

    const nameStart = must(this.#labelStarts.at(-1), () => 'labels have an end');
    place.words(context, [fields, inputs.length, key === null ? 0 : extra]);
    place.words(context + 12, [single === null ? 0 : extra + (key === null ? 0 : FIELD_BYTES), timestampMs, offset]);
    place.words(context + 24, [index, id === null ? 0 : labels + nameStart, this.#labels.byteLength - nameStart]);
    place.words(context + 36, [idAt, id?.length ?? 0, 0, 0, out + OUT_BYTES - KERNEL_SLACK_BYTES]);
    kernels.view.setFloat64(context + 72, this.#timeZone.fixedOffsetUs ?? 0, true);
    return { rows, count, context, out, compressed, sorted };
  }

  #placeField(
    place: Placement,
    at: number,
    { column, kind, scale }: Extract<KernelInput, { kind: Kind }>,
    rowCount: number,
    live: Int32Array,
  ): void {
    place.words(at, [kind, 0, 0, 0, 0, 0, scale, 0]);
    switch (column.kind) {
      case 'bytes':
        place.words(at + 4, [place.address(column.start, rowCount), place.address(column.length, rowCount)]);
        place.words(at + 12, [place.bytesOf(column, live)]);
        return;
      case 'i32':
      case 'f64':
      case 'i64':
        place.words(at + 4, [place.address(column.values, rowCount), place.address(column.valid, rowCount)]);
        return;
      default:
        assert(false, () => `a column of kind ${column.kind} has no place in kernel memory`);
    }
  }

  /** The values that a twin writes, as a column. */
  #asText(write: ValueWriter, live: Int32Array, rowCount: number): Extract<KernelInput, { kind: Kind }> {
    const text = this.#text;
    text.clear();
    const start = new Int32Array(rowCount);
    const length = new Int32Array(rowCount).fill(-1);
    for (const row of live) {
      const from = text.length;
      start[row] = from;
      if (write(text, row)) length[row] = text.length - from;
      else text.length = from;
    }
    const data = text.bytes.subarray(0, text.length);
    return { column: { kind: 'bytes', data, start, length, nonAscii: NONE }, kind: kinds.RAW, scale: 0 };
  }

  #write(kernels: Kernels, placed: Placed, task: KernelTask, batches: PartitionBatches): void {
    const { rows, count, context, sorted } = placed;
    const { partitionCount, fixedPartition } = task;
    const write = (partition: number, from: number, to: number): void => {
      if (to > from) this.#writePartition(kernels, placed, partition, from, to, task, batches);
    };
    if (partitionCount === 1) {
      write(0, rows, rows + count * 4);
      return;
    }
    const places = sorted + count * 4;
    const starts = places + count * 4;
    kernels.run.partitionRows(context, rows, count, partitionCount, fixedPartition, places, starts, sorted);
    for (let partition = 0; partition < partitionCount; partition++) {
      const from = kernels.view.getUint32(starts + partition * 4, true);
      const to = kernels.view.getUint32(starts + partition * 4 + 4, true);
      write(partition, sorted + from * 4, sorted + to * 4);
    }
  }

  /** Writes the rows listed at the addresses `[from, to)` as batches of one partition. */
  #writePartition(
    kernels: Kernels,
    { context, out, compressed }: Placed,
    partition: number,
    from: number,
    to: number,
    task: KernelTask,
    batches: PartitionBatches,
  ): void {
    const { run, view, bytes } = kernels;
    const checksum: Checksum = (batch, start) =>
      run.crc32c(batch.byteOffset + start, batch.byteLength - start, 0) >>> 0;
    for (let at = from; at < to;) {
      view.setUint32(context + 44, 0, true);
      view.setUint32(context + 48, out + RECORD_BATCH_HEADER_BYTES, true);
      const count = run.encodeRecords(context, at, (to - at) >>> 2);
      if (count === 0) {
        task.writeByTwin(view.getUint32(at, true), partition);
        at += 4;
        continue;
      }
      batches.close(partition);
      const records = {
        count,
        firstTimestampMs: view.getFloat64(context + 56, true),
        maxTimestampMs: view.getFloat64(context + 64, true),
      };
      const end = view.getUint32(context + 48, true);
      const first = out + RECORD_BATCH_HEADER_BYTES;
      if (batches.compression === 'none') batches.addBatch(partition, records, bytes.subarray(out, end), checksum);
      else if (compressed > 0) {
        const frameEnd = lz4FrameByKernel(kernels, first, end, compressed + RECORD_BATCH_HEADER_BYTES);
        batches.addBatch(partition, records, bytes.subarray(compressed, frameEnd), checksum);
      } else batches.addRecords(partition, records, bytes, first, end);
      at += count * 4;
    }
  }
}

const NONE = new Uint8Array(0);

/** Addresses of what a task has in kernel memory. */
interface Placed {
  readonly rows: number;
  readonly count: number;
  readonly context: number;
  /** Where batches grow. */
  readonly out: number;
  /** Where batches are compressed; 0 = by the twins. */
  readonly compressed: number;
  /** The rows by their partitions, then room for partitioning; of one partition the list of rows itself. */
  readonly sorted: number;
}

/** Puts arrays into kernel memory that are not there yet. */
class Placement {
  readonly #arena: KernelArena;
  readonly #kernels: Kernels;
  /** False once there was no room for something; its address is 0 then. */
  hasAll = true;

  constructor(arena: KernelArena, kernels: Kernels) {
    this.#arena = arena;
    this.#kernels = kernels;
  }

  take(bytes: number): number {
    const at = this.#arena.allocate(bytes);
    if (at === 0) this.hasAll = false;
    return at;
  }

  copy(source: Uint8Array): number {
    const at = this.take(source.byteLength + OVERREAD_BYTES);
    if (at > 0) this.#kernels.bytes.set(source, at);
    return at;
  }

  /** Where the first `count` numbers of the array stand. */
  address(array: Int32Array | Float64Array | BigInt64Array | Uint8Array, count: number): number {
    if (array.buffer === this.#kernels.buffer) return array.byteOffset;
    return this.copy(new Uint8Array(array.buffer, array.byteOffset, count * array.BYTES_PER_ELEMENT));
  }

  /** Where position 0 of the column's bytes is, of which those of the rows are there. */
  bytesOf({ data, start, length }: BytesColumn, rows: Int32Array): number {
    if (data.buffer === this.#kernels.buffer) return data.byteOffset;
    let first = data.byteLength;
    let end = 0;
    for (const row of rows) {
      const bytes = length[row]!;
      if (bytes <= 0) continue;
      const from = start[row]!;
      if (from < first) first = from;
      if (from + bytes > end) end = from + bytes;
    }
    return end === 0 ? this.copy(NONE) : this.copy(data.subarray(first, end)) - first;
  }

  words(at: number, values: readonly number[]): void {
    if (at === 0) return;
    const { view } = this.#kernels;
    for (let index = 0; index < values.length; index++) view.setUint32(at + 4 * index, values[index]!, true);
  }
}
