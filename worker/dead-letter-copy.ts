/**
 * Copies of dead letters for a topic: what `onBadRecord: { deadLetter: { topic } }` asks for. One JSON object per letter,
 * under a key that names the record, so that a compacted topic keeps one copy of a letter that was appended twice.
 */
import { must } from '../core/assert.ts';
import { partition } from '../core/ids.ts';
import type { LogAppend, LogWriter } from '../core/ports.ts';
import { encodeRecordBatch } from '../core/record-batch-encoder.ts';
import type { RecordToEncode } from '../core/record-batch-encoder.ts';
import { readValue, rowsOf } from '../core/row-block.ts';
import type { RowBlock, RowView } from '../core/row-block.ts';
import { decodeValue } from '../core/table/values.ts';
import { deadLetterShape } from '../engine/dead-letters.ts';

/**
 * Bytes of a record's key and value in its copy. With base64's third on top a copy stays below the 1 MiB that brokers
 * take by default: a record too large to be processed must not be too large to be reported.
 */
const KEY_BYTES_MAX = 48 * 1024;
const VALUE_BYTES_MAX = 576 * 1024;
/** Keys and values of one batch; no single copy is larger. */
const BATCH_BYTES_MAX = 900 * 1024;

/** Where copies go. */
export interface DeadLetterTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly writer: LogWriter;
}

/**
 * The copies of a block of dead letters, which are all of one source partition: they go to the partition of that number,
 * modulo the count. A copy carries the record's own time, so a replay appends the same again. At least one row.
 */
export function copyDeadLetters(letters: RowBlock, target: Omit<DeadLetterTopic, 'writer'>): LogAppend[] {
  const rows = [...rowsOf(letters)].map((row) => cellsOf(letters.bytes, row));
  const source = Number(
    printable(
      must(rows[0], () => 'a block of dead letters without rows'),
      'partition',
    ),
  );
  return batchesOf(rows.map(copyOf)).map((records) => ({
    topic: target.topic,
    partition: partition(source % target.partitions),
    batch: encodeRecordBatch(records),
  }));
}

function batchesOf(records: readonly RecordToEncode[]): RecordToEncode[][] {
  const batches: RecordToEncode[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const record of records) {
    const size = (record.key?.byteLength ?? 0) + (record.value?.byteLength ?? 0);
    bytes += size;
    if (bytes > BATCH_BYTES_MAX) {
      batches.push([]);
      bytes = size;
    }
    batches.at(-1)?.push(record);
  }
  return batches;
}

/** CQL bytes by column. */
type Cells = ReadonlyMap<string, Uint8Array | null>;

function cellsOf(bytes: Uint8Array, row: RowView): Cells {
  const cells = new Map<string, Uint8Array | null>();
  let at = row.bodyStart;
  for (const { name } of deadLetterShape.columns) {
    const { value, next } = readValue(bytes, at);
    cells.set(name, value ?? null);
    at = next;
  }
  return cells;
}

function copyOf(cells: Cells): RecordToEncode {
  const letter = {
    job: printable(cells, 'job'),
    run: printable(cells, 'run'),
    topic: printable(cells, 'topic'),
    partition: printable(cells, 'partition'),
    offset: printable(cells, 'offset'),
    code: printable(cells, 'code'),
    place: printable(cells, 'place'),
    record_time: printable(cells, 'record_time'),
    key: base64(cells.get('key'), KEY_BYTES_MAX),
    value: base64(cells.get('value'), VALUE_BYTES_MAX),
    // Before anything was cut off.
    value_bytes: printable(cells, 'value_bytes'),
  };
  const time = cells.get('record_time');
  return {
    key: Buffer.from(`${String(letter.topic)}-${String(letter.partition)}-${String(letter.offset)}`),
    value: Buffer.from(JSON.stringify(letter)),
    timestampMs: time ? Number(Buffer.from(time).readBigInt64BE()) : -1,
  };
}

function printable(cells: Cells, name: string): unknown {
  const { type } = must(
    deadLetterShape.columns.find((column) => column.name === name),
    () => `dead letters have no column ${name}`,
  );
  return decodeValue(type, cells.get(name) ?? null);
}

function base64(value: Uint8Array | null | undefined, bytesMax: number): string | null {
  return value ? Buffer.from(value.subarray(0, bytesMax)).toString('base64') : null;
}
