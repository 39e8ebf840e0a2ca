/**
 * Fills topics before a measurement: record `i` lies in partition `i % partitions`, in uncompressed batches of about
 * 128 KiB. The encoded batches are kept in the benches' cache, so that the next run need not make them again.
 */
import { createWriteStream, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert, must } from '../../core/assert.ts';
import { isWeirError } from '../../core/errors.ts';
import { partition as partitionId } from '../../core/ids.ts';
import type { LogWriter } from '../../core/ports.ts';
import type { RecordToEncode } from '../../core/record-batch-encoder.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { benchCache } from '../cache.ts';
import { round } from '../measure/statistics.ts';

const BATCH_BYTES = 128 * 1024;
/** Bytes read from the cache at a time, and sent before the next are read. */
const CHUNK_BYTES = 16 * 1024 * 1024;
const FRAME_BYTES = 8;
const TOPIC_LIMIT_MS = 120_000;

/** Nobody else owns what a bench writes. */
export const alwaysPermitted = { valid: (): boolean => true, check: (): void => undefined };

/** Key and value of a record by its index. */
export type RecordAt = (index: number) => { readonly key: Uint8Array | null; readonly value: Uint8Array };

export interface Preload {
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
  readonly recordAt: RecordAt;
  /** Says everything that the records depend on, but for their number and the partitions. */
  readonly dataset: string;
}

/** Creates a topic, however busy the broker is: one that has no leaders in time is asked for once more. */
export async function createTopic(writer: LogWriter, topic: string, partitions: number): Promise<void> {
  for (const deadline = performance.now() + TOPIC_LIMIT_MS; ;) {
    try {
      await writer.createTopic(topic, partitions);
      return;
    } catch (error) {
      if (!(isWeirError(error) && error.retryable) || performance.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

/** Creates the topic and writes it. */
export async function preload(writer: LogWriter, data: Preload): Promise<void> {
  const startedAt = performance.now();
  const { topic, partitions, records } = data;
  const file = await encodedFile(data);
  await createTopic(writer, topic, partitions);
  await send(writer, topic, file);
  const seconds = round((performance.now() - startedAt) / 1000, 1);
  process.stderr.write(`bench: ${records} records of ${data.dataset} written to ${topic} in ${seconds} s\n`);
}

/** A file of frames (partition i32, length i32, record batch), made unless it is there. */
export async function encodedFile(data: Preload): Promise<string> {
  const directory = join(benchCache(), 'data');
  const file = join(directory, `${data.dataset}-${data.records}-${data.partitions}.batches`);
  if (existsSync(file)) return file;
  mkdirSync(directory, { recursive: true });
  const part = `${file}.part-${process.pid}`;
  const out = createWriteStream(part, { highWaterMark: CHUNK_BYTES });
  for (const { partition, batch } of encodedBatches(data)) {
    const frame = Buffer.alloc(FRAME_BYTES);
    frame.writeInt32BE(partition);
    frame.writeInt32BE(batch.byteLength, 4);
    out.write(frame);
    if (!out.write(batch)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'finish');
  renameSync(part, file);
  return file;
}

/** Round by round over the partitions, so that a round holds consecutive records. */
function* encodedBatches(data: Preload): Generator<{ readonly partition: number; readonly batch: Uint8Array }> {
  const { partitions, records, recordAt } = data;
  const timestampMs = Date.now();
  const next = Array.from({ length: partitions }, (_, index) => index);
  while (next.some((index) => index < records)) {
    for (let partition = 0; partition < partitions; partition++) {
      const batch: RecordToEncode[] = [];
      let index = must(next[partition], () => 'one index per partition');
      for (let bytes = 0; bytes < BATCH_BYTES && index < records; index += partitions) {
        const { key, value } = recordAt(index);
        batch.push({ key, value, timestampMs });
        bytes += value.byteLength + (key?.byteLength ?? 0);
      }
      next[partition] = index;
      if (batch.length > 0) yield { partition, batch: encodeRecordBatch(batch) };
    }
  }
}

async function send(writer: LogWriter, topic: string, path: string): Promise<void> {
  const total = statSync(path).size;
  await using file = await open(path);
  let sending = Promise.resolve();
  for (let at = 0; at < total;) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, total - at));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
    const appends: { topic: string; partition: ReturnType<typeof partitionId>; batch: Uint8Array }[] = [];
    let end = 0;
    while (end + FRAME_BYTES <= bytesRead) {
      const length = chunk.readInt32BE(end + 4);
      if (end + FRAME_BYTES + length > bytesRead) break;
      const batch = chunk.subarray(end + FRAME_BYTES, end + FRAME_BYTES + length);
      appends.push({ topic, partition: partitionId(chunk.readInt32BE(end)), batch });
      end += FRAME_BYTES + length;
    }
    assert(end > 0, () => `a frame of ${path} at ${at} is larger than ${CHUNK_BYTES} bytes`);
    at += end;
    await sending;
    sending = writer.append(appends, alwaysPermitted);
  }
  await sending;
}
