/**
 * Records → the stage's input batch: fields of the JSON value by the scanner, record columns (key, offset, …) from the
 * index. Records that cannot be read become failures and have no row.
 */
import { deadLetterReasons, WeirError } from '../../core/errors.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { RecordIndex } from '../codecs/decode-records.ts';
import { visitHeaders } from '../codecs/decode-records.ts';
import type { Column, ColumnBatch } from '../column-batch.ts';
import { makeDecoder } from '../formats/make-decoder.ts';
import type { FailRecord, RecordDrift } from '../formats/record-drift.ts';
import { makeRecordDrift } from '../formats/record-drift.ts';
import type { FieldDrift } from '../formats/field-drift.ts';
import type { RegistryDecoder, ValueDecoder } from '../formats/value-decoder.ts';
import { registryOf } from '../formats/value-format.ts';
import type { WriterSchema } from '../formats/value-format.ts';
import { schemasWanted } from '../formats/wire-format.ts';
import { KernelArena } from '../kernels/kernel-arena.ts';
import type { InputColumn, RecordColumn, StagePlan } from '../plan/stage-plan.ts';
import {
  BUILD_BIGINT,
  BUILD_BINARY,
  BUILD_LIST,
  BUILD_STRING,
  BUILD_STRUCT,
  BUILD_TIMESTAMP,
  ColumnBuilder,
} from './column-builder.ts';
import { JsonScanner } from './json-scanner.ts';
import type { ScanOptions } from './json-scanner.ts';
import { KernelJson } from './kernel-json.ts';
import type { TimeZone } from './time-zone.ts';
import { hasNonAscii, isUtf8 } from './utf8.ts';

const reason = (code: DeadLetterReason): number => deadLetterReasons.indexOf(code);
const TOO_LARGE = reason('RECORD_TOO_LARGE');
const INVALID_UTF8 = reason('RECORD_INVALID_UTF8');

/** Fewer records gain nothing from the kernel. */
const KERNEL_ROWS_MIN = 8;

/** Arrays in kernel memory: where the documents stand, and whether the kernel left them alone. */
interface Places {
  readonly address: number;
  readonly capacity: number;
  readonly start: Int32Array;
  readonly length: Int32Array;
  readonly status: Uint8Array;
}

interface RecordColumnBuilder {
  readonly column: RecordColumn;
  readonly builder: ColumnBuilder;
}

/** What scanning needs of a plan. */
export type ScanPlan = Pick<StagePlan, 'topic' | 'format' | 'columns' | 'recordBytesMax' | 'recordDepthMax' | 'drift'>;

export class RecordScanner {
  readonly #arena: ByteBuffer;
  readonly #topic: string;
  readonly #recordBytesMax: number;
  /** Reads the values; null for a raw source. JSON is the one format that the kernel knows too. */
  readonly #value: ValueDecoder | null;
  readonly #json: JsonScanner | null;
  readonly #learner: RegistryDecoder | null;
  readonly #drift: RecordDrift | null;
  readonly #registry: string;
  readonly #scanOptions: ScanOptions;
  /** Made by the first records that are many enough for it. */
  #kernel: KernelJson | null = null;
  readonly #record: readonly RecordColumnBuilder[];
  /** Per column of the plan: its place among the fields (≥ 0) or, as -1 - place, among the record columns. */
  readonly #places: readonly number[];
  #offset = new Float64Array(0);
  #timestampMs = new Float64Array(0);
  #index = new Int32Array(0);
  #recordOfRow = new Int32Array(0);
  #candidatePlaces: Places | null = null;
  /** Generation of the arena that was scanned last, and where its arrays began before. */
  #generation = -1;
  #mark = 0;

  /** Throws: UNSUPPORTED for a column that records do not have. */
  constructor(plan: ScanPlan, timeZone: TimeZone, arena: ByteBuffer) {
    this.#arena = arena;
    this.#topic = plan.topic;
    this.#recordBytesMax = plan.recordBytesMax;
    const fields = plan.columns.filter((column) => column.kind === 'field');
    const recordColumns = plan.columns.filter((column) => column.kind === 'record');
    this.#scanOptions = { depthMax: plan.recordDepthMax, timeZone };
    this.#json = plan.format === 'json' ? new JsonScanner(fields, this.#scanOptions, arena) : null;
    const made = makeDecoder(plan.format, { fields, depthMax: plan.recordDepthMax, timeZone, arena });
    this.#value = this.#json ?? made?.decoder ?? null;
    this.#learner = made?.learner ?? null;
    this.#drift = makeRecordDrift(plan.drift, plan.format);
    this.#registry = registryOf(plan.format) ?? '';
    if (this.#value === null && fields.length > 0) {
      throw new WeirError(
        'UNSUPPORTED',
        `a source of format raw has no field ${fields[0]?.name}; it has the columns key and value`,
      );
    }
    this.#record = recordColumns.map((column) => ({ column: column.column, builder: recordBuilder(column) }));
    this.#places = plan.columns.map((column) =>
      column.kind === 'field' ? fields.indexOf(column) : -1 - recordColumns.indexOf(column),
    );
  }

  /** Takes the schemas that a task brings for its records. */
  learn(schemas: readonly WriterSchema[] = []): void {
    this.#learner?.learn(schemas);
    this.#drift?.learn(schemas);
  }

  /** Differences from the schema that were met since the last call; undefined = none. */
  takeDrift(): readonly FieldDrift[] | undefined {
    return this.#drift?.notes.take();
  }

  /** Throws: SCHEMA_UNKNOWN when records name schemas that were not learned; the arena is left as after a task. */
  #requireSchemas(records: RecordIndex, from: number, to: number): void {
    if (this.#learner === null) return;
    const wanted = new Set<number>();
    this.#learner.addWanted(records, from, to, wanted);
    if (wanted.size === 0) return;
    if (this.#arena instanceof KernelArena) this.#arena.leave();
    throw schemasWanted(this.#registry, wanted);
  }

  /**
   * The rows of the records `[from, to)`. Records for which `skip` is true have none. With `nullValues` the records
   * have no value, and their fields are all NULL. Valid until the next call.
   */
  scan(
    records: RecordIndex,
    partition: number,
    from: number,
    to: number,
    nullValues: boolean,
    skip: (record: number) => boolean,
    fail: (record: number, reasonIndex: number, place: string) => void,
  ): ColumnBatch {
    if (!nullValues) this.#requireSchemas(records, from, to);
    const drift = nullValues || from === to ? null : this.#drift;
    if (drift !== null) fail = this.#watched(drift, records, partition, from, to, skip, fail);
    const capacity = to - from;
    this.#ensure(capacity);
    for (const { builder } of this.#record) builder.begin(capacity);
    const rowCount =
      this.#rowsByKernel(records, partition, from, to, nullValues, skip, fail) ??
      this.#rows(records, partition, from, to, nullValues, skip, fail);
    return {
      rowCount,
      columns: this.#columns(),
      origins: {
        topic: this.#topic,
        partition,
        offset: this.#offset,
        timestampMs: this.#timestampMs,
        index: this.#index,
        record: this.#recordOfRow,
      },
    };
  }

  /** Looks at the shape of the records, and from here on at those that fail. */
  #watched(
    drift: RecordDrift,
    records: RecordIndex,
    partition: number,
    from: number,
    to: number,
    skip: (record: number) => boolean,
    fail: FailRecord,
  ): FailRecord {
    drift.inspect(this.#arena.bytes, records, partition, from, to, skip, fail);
    return (record, reasonIndex, place) => {
      drift.failed(this.#arena.bytes, records, partition, record, reasonIndex, place);
      fail(record, reasonIndex, place);
    };
  }

  /** The rows, where the records stand in kernel memory; undefined where they have to be scanned without it. */
  #rowsByKernel(
    records: RecordIndex,
    partition: number,
    from: number,
    to: number,
    nullValues: boolean,
    skip: (record: number) => boolean,
    fail: (record: number, reasonIndex: number, place: string) => void,
  ): number | undefined {
    const arena = this.#arena;
    if (this.#json === null || nullValues || to - from < KERNEL_ROWS_MIN) return undefined;
    if (!(arena instanceof KernelArena) || arena.kernels === null) return undefined;
    // What the last scan of the same chunk took is free again.
    if (arena.generation === this.#generation) arena.reset(this.#mark);
    this.#generation = arena.generation;
    this.#mark = arena.mark();
    const places = this.#takePlaces(arena, to - from);
    if (places === null) return undefined;
    const candidates = this.#candidates(records, from, to, places, skip, fail);
    const { address, capacity } = places;
    const lengths = address + capacity * 4;
    this.#kernel ??= new KernelJson(this.#json, this.#scanOptions);
    const hard = this.#kernel.scan(arena, candidates, address, lengths, lengths + capacity * 4);
    if (hard < 0) return undefined;
    if (hard === 0 && this.#record.length === 0) {
      this.#takeOrigins(records, candidates);
      return candidates;
    }
    return this.#settle(records, partition, candidates, places, fail);
  }

  #takePlaces(arena: KernelArena, rows: number): Places | null {
    const capacity = Math.ceil(rows / 512) * 512;
    const address = arena.allocate(capacity * 9);
    if (address === 0 || arena.memory === null) return null;
    const known = this.#candidatePlaces;
    if (known !== null && known.address === address && known.capacity === capacity) return known;
    const { buffer } = arena.memory;
    this.#candidatePlaces = {
      address,
      capacity,
      start: new Int32Array(buffer, address, capacity),
      length: new Int32Array(buffer, address + capacity * 4, capacity),
      status: new Uint8Array(buffer, address + capacity * 8, capacity),
    };
    return this.#candidatePlaces;
  }

  /** Lists the records that may become rows; how many there are. */
  #candidates(
    records: RecordIndex,
    from: number,
    to: number,
    { start, length }: Places,
    skip: (record: number) => boolean,
    fail: (record: number, reasonIndex: number, place: string) => void,
  ): number {
    const { valueStart, valueLength, keyLength } = records;
    const recordOfRow = this.#recordOfRow;
    const bytesMax = this.#recordBytesMax;
    let row = 0;
    for (let record = from; record < to; record++) {
      if (skip(record)) continue;
      const bytes = valueLength[record]!;
      if (Math.max(0, keyLength[record]!) + Math.max(0, bytes) > bytesMax) {
        fail(record, TOO_LARGE, '');
        continue;
      }
      start[row] = valueStart[record]!;
      length[row] = bytes;
      recordOfRow[row] = record;
      row++;
    }
    return row;
  }

  #takeOrigins(records: RecordIndex, rows: number): void {
    const { offset, timestampMs } = records;
    const recordOfRow = this.#recordOfRow;
    for (let row = 0; row < rows; row++) {
      const record = recordOfRow[row]!;
      this.#offset[row] = offset[record]!;
      this.#timestampMs[row] = timestampMs[record]!;
    }
    this.#index.fill(0, 0, rows);
  }

  /** Scans what the kernel left alone, fills the record columns and closes the gaps of records that failed. */
  #settle(
    records: RecordIndex,
    partition: number,
    candidates: number,
    { start, length, status }: Places,
    fail: (record: number, reasonIndex: number, place: string) => void,
  ): number {
    const json = this.#json!;
    const topic = this.#appendTopic();
    let row = 0;
    for (let candidate = 0; candidate < candidates; candidate++) {
      const record = this.#recordOfRow[candidate]!;
      if (status[candidate] !== 0) {
        const failure = json.rescan(start[candidate]!, start[candidate]! + length[candidate]!, candidate);
        if (failure >= 0) {
          fail(record, failure, json.place);
          continue;
        }
      }
      const failedColumn = this.#record.length === 0 ? -1 : this.#recordColumns(records, record, partition, topic, row);
      if (failedColumn >= 0) {
        fail(record, INVALID_UTF8, this.#record[failedColumn]!.builder.place);
        continue;
      }
      if (row !== candidate) json.moveRow(candidate, row);
      this.#recordOfRow[row] = record;
      row++;
    }
    this.#takeOrigins(records, row);
    return row;
  }

  /** A method of its own, with nothing behind the loop, so that it is compiled once and stays so. */
  #rows(
    records: RecordIndex,
    partition: number,
    from: number,
    to: number,
    nullValues: boolean,
    skip: (record: number) => boolean,
    fail: (record: number, reasonIndex: number, place: string) => void,
  ): number {
    const topic = this.#appendTopic();
    this.#value?.begin(to - from);
    let row = 0;
    for (let record = from; record < to; record++) {
      if (skip(record)) continue;
      const valueLength = records.valueLength[record]!;
      if (Math.max(0, records.keyLength[record]!) + Math.max(0, valueLength) > this.#recordBytesMax) {
        fail(record, TOO_LARGE, '');
        continue;
      }
      if (this.#value !== null && !nullValues) {
        const start = records.valueStart[record]!;
        const failure = this.#value.scan(start, start + valueLength, row);
        if (failure >= 0) {
          fail(record, failure, this.#value.place);
          continue;
        }
      }
      const failedColumn = this.#record.length === 0 ? -1 : this.#recordColumns(records, record, partition, topic, row);
      if (failedColumn >= 0) {
        fail(record, INVALID_UTF8, this.#record[failedColumn]!.builder.place);
        this.#value?.setNull(row);
        continue;
      }
      this.#offset[row] = records.offset[record]!;
      this.#timestampMs[row] = records.timestampMs[record]!;
      this.#index[row] = 0;
      this.#recordOfRow[row] = record;
      row++;
    }
    return row;
  }

  #columns(): Column[] {
    // Kernel memory is much larger than what of it is in use.
    const data = this.#arena.bytes.subarray(0, this.#arena.length);
    const fields = this.#value?.columns(data) ?? [];
    const record = this.#record.map(({ builder }) => builder.column(data));
    return this.#places.map((place) => (place >= 0 ? fields[place]! : record[-1 - place]!));
  }

  /** Where the topic's name stands, when a column needs it. */
  #appendTopic(): number {
    if (!this.#record.some(({ column }) => column === 'topic')) return 0;
    return this.#arena.append(new TextEncoder().encode(this.#topic));
  }

  /** Fills the record columns of a row; the index of the first that is not UTF-8 but should be, or -1. */
  #recordColumns(records: RecordIndex, record: number, partition: number, topic: number, row: number): number {
    for (let index = 0; index < this.#record.length; index++) {
      const { column, builder } = this.#record[index]!;
      switch (column) {
        case 'key':
          if (!this.#bytes(builder, row, records.keyStart[record]!, records.keyLength[record]!)) return index;
          break;
        case 'value':
          if (!this.#bytes(builder, row, records.valueStart[record]!, records.valueLength[record]!)) return index;
          break;
        case 'topic':
          this.#bytes(builder, row, topic, Buffer.byteLength(this.#topic));
          break;
        case 'partition':
          setNumber(builder, row, partition);
          break;
        case 'offset':
          setNumber(builder, row, records.offset[record]!);
          break;
        case 'timestamp':
          if (records.timestampMs[record]! < 0) builder.setNull(row);
          else setNumber(builder, row, records.timestampMs[record]! * 1000);
          break;
        case 'timestampType':
          setNumber(builder, row, records.timestampType[record]!);
          break;
        case 'headers':
          this.#headers(builder, row, records.headersStart[record]!);
          break;
      }
    }
    return -1;
  }

  #bytes(builder: ColumnBuilder, row: number, start: number, length: number): boolean {
    builder.start[row] = start;
    builder.length[row] = length;
    if (builder.kind === BUILD_BINARY || length <= 0) {
      builder.nonAscii[row] = 1;
      return true;
    }
    const { bytes } = this.#arena;
    const nonAscii = hasNonAscii(bytes, start, start + length);
    builder.nonAscii[row] = nonAscii ? 1 : 0;
    return !nonAscii || isUtf8(bytes, start, start + length);
  }

  /** As Spark: NULL when the record has none. A name that is not UTF-8 is left out. */
  #headers(builder: ColumnBuilder, row: number, start: number): void {
    const element = builder.children[0]!;
    const first = element.count;
    const found = visitHeaders(
      this.#arena.bytes,
      start,
      this.#arena.length,
      (nameStart, nameLength, valueStart, valueLength) => {
        const header = element.append();
        element.valid[header] = 1;
        const [name, value] = [element.children[0]!, element.children[1]!];
        if (!this.#bytes(name, header, nameStart, nameLength)) name.setNull(header);
        if (!this.#bytes(value, header, valueStart, valueLength)) value.setNull(header);
      },
    );
    builder.start[row] = first;
    builder.length[row] = found === 0 ? -1 : element.count - first;
  }

  #ensure(rows: number): void {
    if (rows <= this.#offset.length) return;
    const capacity = Math.max(rows, this.#offset.length * 2);
    this.#offset = new Float64Array(capacity);
    this.#timestampMs = new Float64Array(capacity);
    this.#index = new Int32Array(capacity);
    this.#recordOfRow = new Int32Array(capacity);
  }
}

const bytesColumns: readonly RecordColumn[] = ['key', 'value', 'topic'];

function recordBuilder(column: Extract<InputColumn, { kind: 'record' }>): ColumnBuilder {
  const builder = new ColumnBuilder(column.type, column.name, false);
  const isText = builder.kind === BUILD_STRING || builder.kind === BUILD_BINARY;
  const header = builder.children[0];
  const isHeaders = builder.kind === BUILD_LIST && header?.kind === BUILD_STRUCT && header.children.length === 2;
  const fits = bytesColumns.includes(column.column)
    ? isText
    : column.column === 'headers'
      ? isHeaders
      : !isText && !isHeaders;
  if (!fits)
    throw new WeirError('UNSUPPORTED', `the record column ${column.column} cannot have the type of ${column.name}`);
  return builder;
}

function setNumber(builder: ColumnBuilder, row: number, value: number): void {
  if (builder.kind === BUILD_BIGINT) {
    builder.setInteger(row, value);
    return;
  }
  if (builder.kind === BUILD_TIMESTAMP) builder.f64[row] = value;
  else builder.i32[row] = value;
  builder.valid[row] = 1;
}
