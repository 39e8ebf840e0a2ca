/**
 * Rows of a log sink as record batches, one or more per target partition. A key goes to the partition that Kafka's
 * default partitioner gives it, a row without one to the partition of its source record (modulo the count). The header
 * `weir-id` names the row, so that a reader can tell a repeated one: `job/run/partition/offset/index` in lanes,
 * `job/run/epoch/stage/…` in epochs.
 */
import { must } from '../../core/assert.ts';
import { partitionOfKey } from '../../core/murmur2.ts';
import { finishRecordBatch, varintBytes, writeVarint } from '../../core/record-batch-encoder.ts';
import { RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { Compressor } from '../codecs/compression.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { SinkOutput } from '../stage.ts';
import { isNull, JsonWriter } from './json-writer.ts';
import type { EncodeContext, EncodeTask, SinkEncoder } from './sink-encoder.ts';
import { appendInteger, appendText } from './text.ts';

type LogPlan = Extract<SinkPlan, { kind: 'log' }>;

/** Uncompressed bytes of a batch: below the default limit of brokers (1 MiB) even where nothing is compressed. */
const BATCH_BYTES_MAX = 900 * 1024;
const ID_HEADER = new TextEncoder().encode('weir-id');

/** The batch that grows for one target partition. */
class PartitionBatch {
  readonly records = new ByteBuffer(16 * 1024);
  count = 0;
  firstTimestampMs = 0;
  maxTimestampMs = 0;
}

export class LogEncoder implements SinkEncoder {
  readonly #plan: LogPlan;
  readonly #schema: Schema;
  readonly #logIndex: number;
  readonly #json: JsonWriter;
  readonly #compressor: Compressor;
  readonly #batches: PartitionBatch[] = [];
  readonly #key = new ByteBuffer(256);
  readonly #value = new ByteBuffer(4096);
  readonly #id = new ByteBuffer(256);
  #idPrefixBytes = 0;
  #partitionCount = 1;
  /** null = rows without a key are spread. */
  #sourcePartition: number | null = 0;
  #appends: { partition: number; batch: Uint8Array }[] = [];
  #rowCount = 0;

  /** `logIndex`: which of the plan's log sinks this is. */
  constructor(plan: LogPlan, schema: Schema, logIndex: number, timeZone: TimeZone) {
    this.#plan = plan;
    this.#schema = schema;
    this.#logIndex = logIndex;
    this.#json = new JsonWriter(timeZone);
    this.#compressor = new Compressor(plan.compression);
  }

  begin(task: EncodeTask): void {
    this.#partitionCount = must(
      task.logPartitions[this.#logIndex],
      () => `no partition count for the sink ${this.#plan.name}`,
    );
    this.#sourcePartition = task.partition;
    while (this.#batches.length < this.#partitionCount) this.#batches.push(new PartitionBatch());
    for (const batch of this.#batches) {
      batch.records.clear();
      batch.count = 0;
    }
    this.#appends = [];
    this.#rowCount = 0;
    this.#id.clear();
    appendText(this.#id, task.idPrefix);
    this.#idPrefixBytes = this.#id.length;
  }

  /**
   * Deletes are records without a value; nothing where the sink writes no keys. Of a result that changed as a whole a
   * key is deleted if no row is given for it.
   */
  encode(rows: ColumnBatch, context: EncodeContext): void {
    const { origins } = rows;
    const { deletes, change } = context;
    const given = change === undefined || deletes === null ? null : this.#givenKeys(rows, context, deletes);
    for (let row = 0; row < rows.rowCount; row++) {
      const record = origins.record[row]!;
      if (context.isDead(record)) continue;
      const isDelete = deletes !== null && deletes[record] !== 0;
      if (isDelete && this.#plan.key < 0) continue;
      const hasKey = this.#writeKey(rows, row);
      if (isDelete && given !== null && given.has(this.#keyText())) continue;
      const hasValue = !isDelete && this.#writeValue(rows, row);
      const partition = hasKey
        ? partitionOfKey(this.#key.bytes, this.#partitionCount, this.#key.length)
        : (this.#sourcePartition ?? origins.offset[row]! + origins.index[row]!) % this.#partitionCount;
      if (this.#plan.headers) {
        this.#id.length = this.#idPrefixBytes;
        appendInteger(this.#id, origins.offset[row]!);
        appendText(this.#id, '/');
        appendInteger(this.#id, origins.index[row]!);
      }
      this.#append(partition, Math.floor(origins.timestampMs[row]!), hasKey, hasValue);
    }
  }

  finish(): SinkOutput {
    for (let partition = 0; partition < this.#partitionCount; partition++)
      this.#close(this.#batches[partition]!, partition);
    return { kind: 'log', rowCount: this.#rowCount, appends: this.#appends };
  }

  #givenKeys({ rowCount, columns, origins }: ColumnBatch, context: EncodeContext, deletes: Uint8Array): Set<string> {
    const keys = new Set<string>();
    if (this.#plan.key < 0) return keys;
    for (let row = 0; row < rowCount; row++) {
      const record = origins.record[row]!;
      if (deletes[record] !== 0 || context.isDead(record)) continue;
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

  #writeValue(rows: ColumnBatch, row: number): boolean {
    const { value } = this.#plan;
    this.#value.clear();
    if (value === 'json') {
      this.#json.writeRow(this.#value, this.#schema, rows.columns, row);
      return true;
    }
    const column = rows.columns[value];
    if (column === undefined || isNull(column, row)) return false;
    this.#json.writePlain(this.#value, this.#schema[value]!.type, column, row);
    return true;
  }

  #append(partition: number, timestampMs: number, hasKey: boolean, hasValue: boolean): void {
    const batch = this.#batches[partition]!;
    const keyBytes = hasKey ? this.#key.length : -1;
    const valueBytes = hasValue ? this.#value.length : -1;
    const idBytes = this.#plan.headers ? this.#id.length : -1;
    const most = Math.max(0, keyBytes) + Math.max(0, valueBytes) + Math.max(0, idBytes) + 64;
    if (batch.records.length + most > BATCH_BYTES_MAX) this.#close(batch, partition);
    if (batch.count === 0) {
      batch.firstTimestampMs = timestampMs;
      batch.maxTimestampMs = timestampMs;
    }
    batch.maxTimestampMs = Math.max(batch.maxTimestampMs, timestampMs);
    const delta = timestampMs - batch.firstTimestampMs;
    const headerBytes =
      idBytes < 0 ? 1 : 1 + varintBytes(ID_HEADER.length) + ID_HEADER.length + varintBytes(idBytes) + idBytes;
    const size =
      1 + varintBytes(delta) + varintBytes(batch.count) + fieldBytes(keyBytes) + fieldBytes(valueBytes) + headerBytes;
    const out = batch.records;
    out.reserve(size + 5);
    out.length = writeVarint(out.bytes, out.length, size);
    out.bytes[out.length++] = 0;
    out.length = writeVarint(out.bytes, out.length, delta);
    out.length = writeVarint(out.bytes, out.length, batch.count);
    appendField(out, this.#key, keyBytes);
    appendField(out, this.#value, valueBytes);
    out.length = writeVarint(out.bytes, out.length, idBytes < 0 ? 0 : 1);
    if (idBytes >= 0) {
      out.length = writeVarint(out.bytes, out.length, ID_HEADER.length);
      out.append(ID_HEADER);
      appendField(out, this.#id, idBytes);
    }
    batch.count++;
    this.#rowCount++;
  }

  #close(batch: PartitionBatch, partition: number): void {
    if (batch.count === 0) return;
    const target = new ByteBuffer(RECORD_BATCH_HEADER_BYTES + (batch.records.length >>> 1));
    target.length = RECORD_BATCH_HEADER_BYTES;
    this.#compressor.compress(batch.records.bytes, 0, batch.records.length, target);
    const bytes = target.copy();
    finishRecordBatch(bytes, {
      baseOffset: 0,
      compression: this.#plan.compression,
      recordCount: batch.count,
      firstTimestampMs: batch.firstTimestampMs,
      maxTimestampMs: batch.maxTimestampMs,
    });
    this.#appends.push({ partition, batch: bytes });
    batch.records.clear();
    batch.count = 0;
  }
}

function fieldBytes(length: number): number {
  return length < 0 ? 1 : varintBytes(length) + length;
}

/** Room must be there already. */
function appendField(out: ByteBuffer, field: ByteBuffer, length: number): void {
  out.length = writeVarint(out.bytes, out.length, length);
  if (length > 0) out.append(field.bytes, 0, length);
}
