/**
 * Rows of a log sink as record batches, one or more per target partition. A key goes to the partition that Kafka's
 * default partitioner gives it, a row without one to the partition of its source record (modulo the count). The header
 * `weir-id` names the row, so that a reader can tell a repeated one: `job/run/partition/offset/index` in lanes,
 * `job/run/epoch/stage/…` in epochs.
 */
import { must } from '../../core/assert.ts';
import { partitionOfKey } from '../../core/murmur2.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column, ColumnBatch } from '../column-batch.ts';
import { KernelArena } from '../kernels/kernel-arena.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { SinkOutput } from '../stage.ts';
import { writeAvroRow, writeSchemaId } from './avro-writer.ts';
import { isNull, JsonWriter } from './json-writer.ts';
import type { KernelInput } from './kernel-records.ts';
import { jsonInputOf, KernelRecords, plainInputOf } from './kernel-records.ts';
import { PartitionBatches } from './partition-batches.ts';
import { ProtobufValues } from './protobuf-values.ts';
import type { EncodeContext, EncodeTask, RowCheck, SinkEncoder } from './sink-encoder.ts';
import { appendInteger, appendText } from './text.ts';

type LogPlan = Extract<SinkPlan, { kind: 'log' }>;

/** Fewer rows gain nothing from the kernel. */
const KERNEL_ROWS_MIN = 16;

export class LogEncoder implements SinkEncoder {
  readonly #plan: LogPlan;
  readonly #schema: Schema;
  readonly #logIndex: number;
  readonly #timeZone: TimeZone;
  readonly #json: JsonWriter;
  /** null = values are something else. */
  readonly #protobuf: ProtobufValues | null;
  /** Where the rows are made, or an arena of its own that is entered for each call. */
  readonly #arena: KernelArena;
  readonly #ownsArena: boolean;
  readonly #kernel: KernelRecords;
  readonly #batches: PartitionBatches;
  readonly #key = new ByteBuffer(256);
  readonly #value = new ByteBuffer(4096);
  readonly #id = new ByteBuffer(256);
  #idPrefixBytes = 0;
  #partitionCount = 1;
  /** null = rows without a key are spread. */
  #sourcePartition: number | null = 0;

  /** `logIndex`: which of the plan's log sinks this is. `arena`: the one that the rows are made in, if there is one. */
  constructor(plan: LogPlan, schema: Schema, logIndex: number, timeZone: TimeZone, arena: KernelArena | null = null) {
    this.#plan = plan;
    this.#schema = schema;
    this.#logIndex = logIndex;
    this.#timeZone = timeZone;
    this.#json = new JsonWriter(timeZone);
    const { value } = plan;
    this.#protobuf = typeof value === 'object' && value.kind === 'protobuf' ? new ProtobufValues(value, schema) : null;
    this.#arena = arena ?? new KernelArena();
    this.#ownsArena = arena === null;
    this.#kernel = new KernelRecords(this.#arena, schema, timeZone);
    this.#batches = new PartitionBatches(plan.compression);
  }

  /** What finds records bad whose rows are none of the sink's message; null = it takes all rows. */
  get check(): RowCheck | null {
    return this.#protobuf?.isFallible === true ? this.#protobuf : null;
  }

  begin({ logPartitions, partition, idPrefix, spare }: EncodeTask): void {
    this.#partitionCount = must(
      logPartitions[this.#logIndex],
      () => `no partition count for the sink ${this.#plan.name}`,
    );
    this.#sourcePartition = partition;
    this.#batches.begin(this.#partitionCount, this.#logIndex === 0 ? (spare ?? null) : null);
    this.#id.clear();
    appendText(this.#id, idPrefix);
    this.#idPrefixBytes = this.#id.length;
  }

  /**
   * Deletes are records without a value; nothing where the sink writes no keys. Of a result that changed as a whole a
   * key is deleted if no row is given for it.
   */
  encode(rows: ColumnBatch, context: EncodeContext): void {
    if (this.#encodeByKernel(rows, context)) return;
    const { origins } = rows;
    const { deletes, change } = context;
    const given = change === undefined || deletes === null ? null : this.#givenKeys(rows, context, deletes);
    for (let row = 0; row < rows.rowCount; row++) {
      const record = origins.record[row]!;
      if (context.isDead(record)) continue;
      const isDelete = deletes !== null && deletes[record] !== 0;
      if (isDelete && this.#plan.key < 0) continue;
      const hasKey = this.#writeKey(rows, row);
      if (isDelete ? given !== null && given.has(this.#keyText()) : !this.#fits(rows, row)) continue;
      const partition = hasKey
        ? partitionOfKey(this.#key.bytes, this.#partitionCount, this.#key.length)
        : (this.#sourcePartition ?? origins.offset[row]! + origins.index[row]!) % this.#partitionCount;
      this.#append(rows, row, partition, hasKey, !isDelete);
    }
  }

  finish(): SinkOutput {
    return this.#batches.finish();
  }

  /** False when the rows are for the twin, and nothing has happened. */
  #encodeByKernel(rows: ColumnBatch, context: EncodeContext): boolean {
    const { rowCount, origins } = rows;
    const { deletes } = context;
    const first = origins.record[0];
    if (rowCount < KERNEL_ROWS_MIN || first === undefined || context.change !== undefined) return false;
    // In lanes, rows come in runs: either all of them are deletes or none.
    if (deletes !== null && origins.record.some((record, row) => row < rowCount && deletes[record] !== 0)) return false;
    if (this.#ownsArena && !this.#arena.enter()) return false;
    this.#id.length = this.#idPrefixBytes;
    const { key } = this.#plan;
    const done = this.#kernel.encode(
      {
        rowCount,
        isLive: (row) => !context.isDead(origins.record[row]!) && this.#fits(rows, row),
        origins,
        key: key < 0 ? null : this.#plainInput(rows, key),
        value: this.#valueInput(rows),
        id: this.#plan.headers ? this.#id : null,
        partitionCount: this.#partitionCount,
        fixedPartition: this.#sourcePartition === null ? -1 : this.#sourcePartition % this.#partitionCount,
        writeByTwin: (row, partition) => this.#append(rows, row, partition, this.#writeKey(rows, row), true),
      },
      this.#batches,
    );
    if (this.#ownsArena) this.#arena.leave();
    return done;
  }

  /** A row that is the same as before, and did not fit then, is not reported again. */
  #fits({ columns }: ColumnBatch, row: number): boolean {
    return this.#protobuf === null || this.#protobuf.fits(columns, row);
  }

  #valueInput(rows: ColumnBatch): KernelInput | readonly KernelInput[] {
    const { value } = this.#plan;
    if (typeof value === 'number') return this.#plainInput(rows, value);
    if (value !== 'json') return { write: (out, row) => this.#appendValue(out, rows, row) };
    return this.#schema.map(({ type }, index): KernelInput => {
      const column = must(rows.columns[index], () => `output column ${index} is missing`);
      const input = jsonInputOf(type, column, this.#timeZone);
      return (
        input ?? { write: (out, row) => writePresent(column, row, () => this.#json.write(out, type, column, row)) }
      );
    });
  }

  #plainInput(rows: ColumnBatch, index: number): KernelInput {
    const column = must(rows.columns[index], () => `output column ${index} is missing`);
    const { type } = must(this.#schema[index], () => `there is no output column ${index}`);
    const input = plainInputOf(column);
    return (
      input ?? { write: (out, row) => writePresent(column, row, () => this.#json.writePlain(out, type, column, row)) }
    );
  }

  #givenKeys({ rowCount, columns, origins }: ColumnBatch, context: EncodeContext, deletes: Uint8Array): Set<string> {
    const keys = new Set<string>();
    if (this.#plan.key < 0) return keys;
    for (let row = 0; row < rowCount; row++) {
      const record = origins.record[row]!;
      if (deletes[record] !== 0 || context.isDead(record) || !this.#fits({ rowCount, columns, origins }, row)) continue;
      if (this.#writeKey({ rowCount, columns, origins }, row)) keys.add(this.#keyText());
    }
    return keys;
  }

  #keyText(): string {
    return Buffer.from(this.#key.bytes.buffer, this.#key.bytes.byteOffset, this.#key.length).toString('latin1');
  }

  #writeKey(rows: ColumnBatch, row: number): boolean {
    const { key } = this.#plan;
    const column = rows.columns[key];
    if (key < 0 || column === undefined || isNull(column, row)) return false;
    this.#key.clear();
    this.#json.writePlain(this.#key, this.#schema[key]!.type, column, row);
    return true;
  }

  /** Appends the value; false = the record has none. */
  #appendValue(out: ByteBuffer, rows: ColumnBatch, row: number): boolean {
    const { value } = this.#plan;
    if (value === 'json') {
      this.#json.writeRow(out, this.#schema, rows.columns, row);
      return true;
    }
    if (this.#protobuf !== null) {
      this.#protobuf.append(out, rows.columns, row);
      return true;
    }
    if (typeof value === 'object') {
      if (value.registration !== null)
        writeSchemaId(
          out,
          must(value.registration.id, () => `${value.schema} is not registered`),
        );
      writeAvroRow(out, this.#schema, rows.columns, row);
      return true;
    }
    const column = rows.columns[value];
    if (column === undefined || isNull(column, row)) return false;
    this.#json.writePlain(out, this.#schema[value]!.type, column, row);
    return true;
  }

  /** Appends a record with the key that was written last, if it has one. */
  #append(rows: ColumnBatch, row: number, partition: number, hasKey: boolean, hasValue: boolean): void {
    const { origins } = rows;
    this.#value.clear();
    const isThere = hasValue && this.#appendValue(this.#value, rows, row);
    if (this.#plan.headers) {
      this.#id.length = this.#idPrefixBytes;
      appendInteger(this.#id, origins.offset[row]!);
      appendText(this.#id, '/');
      appendInteger(this.#id, origins.index[row]!);
    }
    this.#batches.append(partition, {
      timestampMs: Math.floor(origins.timestampMs[row]!),
      key: hasKey ? this.#key : null,
      value: isThere ? this.#value : null,
      id: this.#plan.headers ? this.#id : null,
    });
  }
}

/** Runs `write` unless the row has no value; whether it had one. */
function writePresent(column: Column, row: number, write: () => void): boolean {
  if (isNull(column, row)) return false;
  write();
  return true;
}
