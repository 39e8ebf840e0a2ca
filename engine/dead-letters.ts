/**
 * Dead letters: the records a job could not process, as rows of `weir.dead_letters`. A row is a function of the record
 * and the job's revision alone (no clock), written at the record's own write time, so a replay writes it again as it is.
 */
import { deadLetterReasons } from '../core/errors.ts';
import { ROW_HEADER_BYTES, ROW_OP_UPSERT, VALUE_NULL } from '../core/row-block.ts';
import type { RowShape } from '../core/row-block.ts';
import type { TableSchema } from '../core/table/schema.ts';
import { ByteBuffer } from './byte-buffer.ts';
import type { RecordIndex } from './codecs/decode-records.ts';
import { writeAbsent, writeI64 } from './encode/cells.ts';
import { appendText } from './encode/text.ts';

/** Keys and values are cut at so many bytes. */
export const DEAD_LETTER_BYTES_MAX = 1024 * 1024;
/** Offsets of one partition of the table: keeps partitions of the table small. */
export const DEAD_LETTER_BUCKET_OFFSETS = 65_536;

/** The table, for whoever creates it. */
export const deadLetterTable: TableSchema = {
  keyspace: 'weir',
  table: 'dead_letters',
  columns: [
    { name: 'job', type: { kind: 'text' } },
    { name: 'run', type: { kind: 'int' } },
    { name: 'topic', type: { kind: 'text' } },
    { name: 'partition', type: { kind: 'int' } },
    { name: 'bucket', type: { kind: 'bigint' } },
    { name: 'offset', type: { kind: 'bigint' } },
    { name: 'code', type: { kind: 'text' } },
    { name: 'place', type: { kind: 'text' } },
    { name: 'record_time', type: { kind: 'timestamp' } },
    { name: 'key', type: { kind: 'blob' } },
    { name: 'value', type: { kind: 'blob' } },
    { name: 'value_bytes', type: { kind: 'int' } },
  ],
  partitionKey: ['job', 'run', 'topic', 'partition', 'bucket'],
  clusteringKey: ['offset'],
};

/** Shape of the rows that {@link DeadLetterEncoder} makes. */
export const deadLetterShape: RowShape = {
  keyspace: deadLetterTable.keyspace,
  table: deadLetterTable.table,
  columns: deadLetterTable.columns,
  partitionKeyCount: deadLetterTable.partitionKey.length,
  primaryKeyCount: deadLetterTable.partitionKey.length + deadLetterTable.clusteringKey.length,
};

/** Collects the dead letters of one task. */
export class DeadLetterEncoder {
  readonly #job: string;
  readonly #topic: string;
  readonly #out = new ByteBuffer();
  readonly #counts = new Int32Array(deadLetterReasons.length);
  #run = 0;
  #partition = 0;
  #rowCount = 0;

  constructor(job: string, topic: string) {
    this.#job = job;
    this.#topic = topic;
  }

  begin(run: number, partition: number): void {
    this.#out.clear();
    this.#out.shrink(DEAD_LETTER_BYTES_MAX);
    this.#counts.fill(0);
    this.#rowCount = 0;
    this.#run = run;
    this.#partition = partition;
  }

  /** Appends the record at `index`, whose bytes are in `data`. `place` is static text of the job. */
  append(records: RecordIndex, index: number, data: Uint8Array, reason: number, place: string): void {
    const out = this.#out;
    const timestampMs = records.timestampMs[index]!;
    const start = this.#head(this.#partition, records.offset[index]!, reason, place);
    if (timestampMs < 0) writeAbsent(out, VALUE_NULL);
    else writeLong(out, timestampMs);
    writeBlob(out, data, records.keyStart[index]!, records.keyLength[index]!);
    writeBlob(out, data, records.valueStart[index]!, records.valueLength[index]!);
    if (records.valueLength[index]! < 0) writeAbsent(out, VALUE_NULL);
    else writeInt(out, records.valueLength[index]!);
    this.#end(start, records.writeTimeUs[index]!, reason);
  }

  /**
   * Appends what stands for a row that comes from no single record. `partition` and `offset` must name it for ever;
   * `timestampMs` is its time.
   */
  appendRow(
    partition: number,
    offset: number,
    timestampMs: number,
    writeTimeUs: number,
    reason: number,
    place: string,
  ): void {
    const out = this.#out;
    const start = this.#head(partition, offset, reason, place);
    writeLong(out, timestampMs);
    for (let absent = 0; absent < 3; absent++) writeAbsent(out, VALUE_NULL);
    this.#end(start, writeTimeUs, reason);
  }

  /** Begins a row and writes its columns up to `place`; where it begins. */
  #head(partition: number, offset: number, reason: number, place: string): number {
    const out = this.#out;
    const start = out.length;
    out.reserve(ROW_HEADER_BYTES);
    out.length = start + ROW_HEADER_BYTES;
    writeText(out, this.#job);
    writeInt(out, this.#run);
    writeText(out, this.#topic);
    writeInt(out, partition);
    writeLong(out, Math.floor(offset / DEAD_LETTER_BUCKET_OFFSETS));
    writeLong(out, offset);
    writeText(out, deadLetterReasons[reason] ?? '');
    writeText(out, place);
    return start;
  }

  #end(start: number, writeTimeUs: number, reason: number): void {
    const out = this.#out;
    writeLong(out, writeTimeUs);
    out.view.setInt32(start, out.length - start - ROW_HEADER_BYTES);
    out.view.setInt32(start + 4, ROW_OP_UPSERT << 24);
    this.#rowCount++;
    this.#counts[reason] = this.#counts[reason]! + 1;
  }

  finish(): { readonly rowCount: number; readonly bytes: Uint8Array; readonly countByReason: readonly number[] } {
    return { rowCount: this.#rowCount, bytes: this.#out.copy(), countByReason: [...this.#counts] };
  }
}

function writeText(out: ByteBuffer, text: string): void {
  out.reserve(4);
  const at = out.length;
  out.length += 4;
  appendText(out, text);
  out.view.setInt32(at, out.length - at - 4);
}

function writeInt(out: ByteBuffer, value: number): void {
  out.reserve(8);
  out.view.setInt32(out.length, 4);
  out.view.setInt32(out.length + 4, value);
  out.length += 8;
}

function writeLong(out: ByteBuffer, value: number): void {
  out.reserve(12);
  writeI64(out, value);
}

function writeBlob(out: ByteBuffer, data: Uint8Array, start: number, length: number): void {
  if (length < 0) {
    writeAbsent(out, VALUE_NULL);
    return;
  }
  const kept = Math.min(length, DEAD_LETTER_BYTES_MAX);
  out.reserve(4);
  out.view.setInt32(out.length, kept);
  out.length += 4;
  out.append(data, start, start + kept);
}
