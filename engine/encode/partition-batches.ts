/** The record batches that one task appends to a log: for each target partition one that grows, and those that are done. */
import { must } from '../../core/assert.ts';
import type { Checksum, RecordBatchFields } from '../../core/record-batch-encoder.ts';
import { finishRecordBatch, varintBytes, writeVarint } from '../../core/record-batch-encoder.ts';
import { RECORD_BATCH_HEADER_BYTES } from '../../core/record-batch.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { Compressor } from '../codecs/compression.ts';
import type { SinkOutput } from '../stage.ts';

type LogOutput = Extract<SinkOutput, { kind: 'log' }>;

/** Uncompressed bytes of a batch: below the default limit of brokers (1 MiB) even where nothing is compressed. */
export const BATCH_BYTES_MAX = 900 * 1024;

/** The one header that records may have: its value names the row. */
export const ID_HEADER = new TextEncoder().encode('weir-id');

/** A record to append; what a buffer holds counts up to its length, null = the record has none. */
export interface RecordParts {
  readonly timestampMs: number;
  readonly key: ByteBuffer | null;
  readonly value: ByteBuffer | null;
  readonly id: ByteBuffer | null;
}

class OpenBatch {
  readonly records = new ByteBuffer(1024);
  count = 0;
  firstTimestampMs = 0;
  maxTimestampMs = 0;
}

export class PartitionBatches {
  readonly #compressor: Compressor;
  readonly #open: OpenBatch[] = [];
  readonly #compressed = new ByteBuffer(1024);
  #appends: { partition: number; batch: Uint8Array }[] = [];
  #rowCount = 0;
  #partitionCount = 0;
  #spare: ArrayBuffer | null = null;
  #spareUsed = 0;

  constructor(compression: RecordBatchFields['compression']) {
    this.#compressor = new Compressor(compression);
  }

  get compression(): RecordBatchFields['compression'] {
    return this.#compressor.compression;
  }

  /** Forgets what was there. Finished batches are laid into `spare` while it has room. */
  begin(partitionCount: number, spare: ArrayBuffer | null): void {
    while (this.#open.length < partitionCount) this.#open.push(new OpenBatch());
    for (const batch of this.#open) {
      batch.records.clear();
      batch.count = 0;
    }
    this.#partitionCount = partitionCount;
    this.#appends = [];
    this.#rowCount = 0;
    this.#spare = spare;
    this.#spareUsed = 0;
  }

  /** Appends one record: the plain-TypeScript twin of engine/kernels/assembly/records.ts. */
  append(partition: number, { timestampMs, key, value, id }: RecordParts): void {
    const batch = this.#openOf(partition);
    const most = (key?.length ?? 0) + (value?.length ?? 0) + (id?.length ?? 0) + 64;
    if (batch.records.length + most > BATCH_BYTES_MAX) this.close(partition);
    if (batch.count === 0) {
      batch.firstTimestampMs = timestampMs;
      batch.maxTimestampMs = timestampMs;
    }
    batch.maxTimestampMs = Math.max(batch.maxTimestampMs, timestampMs);
    const delta = timestampMs - batch.firstTimestampMs;
    const headerBytes =
      id === null ? 1 : 1 + varintBytes(ID_HEADER.length) + ID_HEADER.length + varintBytes(id.length) + id.length;
    const size = 1 + varintBytes(delta) + varintBytes(batch.count) + fieldBytes(key) + fieldBytes(value) + headerBytes;
    const out = batch.records;
    out.reserve(size + 5);
    out.length = writeVarint(out.bytes, out.length, size);
    out.bytes[out.length++] = 0;
    out.length = writeVarint(out.bytes, out.length, delta);
    out.length = writeVarint(out.bytes, out.length, batch.count);
    appendField(out, key);
    appendField(out, value);
    out.length = writeVarint(out.bytes, out.length, id === null ? 0 : 1);
    if (id !== null) {
      out.length = writeVarint(out.bytes, out.length, ID_HEADER.length);
      out.append(ID_HEADER);
      appendField(out, id);
    }
    batch.count++;
  }

  /** Finishes the partition's growing batch: what is added next comes behind it. */
  close(partition: number): void {
    const batch = this.#openOf(partition);
    if (batch.count === 0) return;
    const { count, firstTimestampMs, maxTimestampMs, records } = batch;
    this.addRecords(partition, { count, firstTimestampMs, maxTimestampMs }, records.bytes, 0, records.length);
    records.clear();
    batch.count = 0;
  }

  /** Adds a batch of the encoded, not yet compressed records in `source[start, end)`. */
  addRecords(
    partition: number,
    records: Pick<RecordBatchFields, 'firstTimestampMs' | 'maxTimestampMs'> & { readonly count: number },
    source: Uint8Array,
    start: number,
    end: number,
  ): void {
    const target = this.#compressed;
    target.clear();
    target.reserve(RECORD_BATCH_HEADER_BYTES);
    target.length = RECORD_BATCH_HEADER_BYTES;
    this.#compressor.compress(source, start, end, target);
    this.addBatch(partition, records, target.bytes.subarray(0, target.length));
  }

  /** Adds a batch whose records, compressed if so, begin behind 61 bytes of `batch`, which are written here. */
  addBatch(
    partition: number,
    records: Pick<RecordBatchFields, 'firstTimestampMs' | 'maxTimestampMs'> & { readonly count: number },
    batch: Uint8Array,
    checksum?: Checksum,
  ): void {
    const { count, firstTimestampMs, maxTimestampMs } = records;
    const { compression } = this.#compressor;
    const fields = { baseOffset: 0, compression, recordCount: count, firstTimestampMs, maxTimestampMs };
    finishRecordBatch(batch, fields, checksum);
    const copy = this.#room(batch.byteLength);
    copy.set(batch);
    this.#appends.push({ partition, batch: copy });
    this.#rowCount += count;
  }

  finish(): LogOutput {
    for (let partition = 0; partition < this.#partitionCount; partition++) this.close(partition);
    const memory = this.#spare;
    const output: LogOutput = { kind: 'log', rowCount: this.#rowCount, appends: this.#appends };
    this.#appends = [];
    this.#spare = null;
    return memory === null ? output : { ...output, memory };
  }

  #openOf(partition: number): OpenBatch {
    return must(this.#open[partition], () => `there is no partition ${partition} to write to`);
  }

  /** Memory of a finished batch, not cleared. */
  #room(bytes: number): Uint8Array {
    const start = this.#spareUsed;
    if (this.#spare === null || start + bytes > this.#spare.byteLength)
      return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
    this.#spareUsed = start + bytes;
    return new Uint8Array(this.#spare, start, bytes);
  }
}

function fieldBytes(field: ByteBuffer | null): number {
  return field === null ? 1 : varintBytes(field.length) + field.length;
}

/** Room must be there already. */
function appendField(out: ByteBuffer, field: ByteBuffer | null): void {
  out.length = writeVarint(out.bytes, out.length, field === null ? -1 : field.length);
  if (field !== null && field.length > 0) out.append(field.bytes, 0, field.length);
}
