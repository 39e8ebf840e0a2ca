/** Documents as records of a topic, as a producer would send them. */
import { partition } from '../../core/ids.ts';
import type { LogWriter } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';

const permit = { valid: () => true, check: () => undefined };
const BATCH_RECORDS = 200;
const encoder = new TextEncoder();

/** JSON documents without keys, spread over the partitions in turns of a batch. `at`: time of the records, Unix ms. */
export async function appendJson(
  writer: LogWriter,
  topic: string,
  partitions: number,
  values: readonly unknown[],
  at = Date.now(),
): Promise<void> {
  for (let from = 0, turn = 0; from < values.length; from += BATCH_RECORDS, turn++) {
    const records = values
      .slice(from, from + BATCH_RECORDS)
      .map((value) => ({ key: null, value: encoder.encode(JSON.stringify(value)), timestampMs: at }));
    const append = { topic, partition: partition(turn % partitions), batch: encodeRecordBatch(records) };
    await writer.append([append], permit);
  }
}
