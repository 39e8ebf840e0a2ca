/** What the tests of this folder share: a cluster to talk to, and reading as a lane does. */
import type { Admin } from 'kafkajs';
import { Kafka, logLevel } from 'kafkajs';
import { offset, partition } from '../../core/ids.ts';
import type { SourceReader } from '../../core/ports.ts';
import { isAbortMarker, readBatchHeaders, visibleBatches } from '../../core/record-batch.ts';
import { ByteBuffer } from '../../engine/byte-buffer.ts';
import { decodeBatch, RecordIndex, visitHeaders } from '../../engine/codecs/decode-records.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { KafkaLogWriter } from './kafka-log-writer.ts';
import { KafkaSource } from './kafka-source.ts';
import type { KafkaOptions } from './options.ts';

export const parts = { clock: systemClock, rng: systemRng, log: noLog };

export interface TestCluster extends AsyncDisposable {
  readonly source: KafkaSource;
  readonly writer: KafkaLogWriter;
  /** kafkajs itself, for what Weir does not do: transactions, deletion. */
  readonly kafka: Kafka;
  readonly admin: Admin;
}

export async function connect(address: string, more: Partial<KafkaOptions> = {}): Promise<TestCluster> {
  const options: KafkaOptions = { brokers: address.split(','), clientId: 'weir-test', ...more };
  const source = new KafkaSource(options, parts);
  const writer = new KafkaLogWriter(options, parts);
  const kafka = new Kafka({
    brokers: [...options.brokers],
    logLevel: logLevel.NOTHING,
    retry: { retries: 20, initialRetryTime: 100, maxRetryTime: 1000 },
  });
  const admin = kafka.admin();
  await admin.connect();
  return {
    source,
    writer,
    kafka,
    admin,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([source.close(), writer.close(), admin.disconnect()]);
    },
  };
}

export interface ReadRecord {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [string, string | null])[];
  readonly timestampMs: number;
}

export interface ReadRange {
  readonly partition?: number;
  readonly from?: number;
  /** Read up to here. */
  readonly end: number;
  readonly maxBytes?: number;
}

/** The records a read_committed reader sees of a range, fetched in pieces as a lane does; every CRC is checked. */
export async function readVisible(reader: SourceReader, range: ReadRange): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  const at = partition(range.partition ?? 0);
  for (let from = range.from ?? 0; from < range.end;) {
    const fetched = await reader.fetch({
      partition: at,
      offset: offset(from),
      maxBytes: range.maxBytes ?? 1 << 20,
      maxWaitMs: 1000,
    });
    const headers = readBatchHeaders(fetched.bytes);
    const visible = visibleBatches(headers, fetched.aborted, (header) => isAbortMarker(fetched.bytes, header));
    for (const [index, header] of headers.entries()) {
      if (visible[index] === true) records.push(...recordsOf(fetched.bytes, header, from, range.end));
    }
    from = headers.at(-1)?.nextOffset ?? from;
  }
  return records;
}

interface Batch {
  readonly start: number;
  readonly end: number;
  readonly baseOffset: number;
}

function recordsOf(
  bytes: Uint8Array,
  { start, end, baseOffset }: Batch,
  fromOffset: number,
  toOffset: number,
): ReadRecord[] {
  const arena = new ByteBuffer();
  const index = new RecordIndex();
  decodeBatch(bytes, { start, end, baseOffset, baseTimeUs: 0, stride: 1, fromOffset, toOffset }, arena, index);
  const text = (from: number, length: number): string | null =>
    length < 0 ? null : new TextDecoder().decode(arena.bytes.subarray(from, from + length));
  return Array.from({ length: index.count }, (_, row) => {
    const headers: [string, string | null][] = [];
    visitHeaders(
      arena.bytes,
      index.headersStart[row] ?? 0,
      arena.length,
      (nameStart, nameLength, valueStart, valueLength) => {
        headers.push([text(nameStart, nameLength) ?? '', text(valueStart, valueLength)]);
      },
    );
    return {
      offset: index.offset[row] ?? -1,
      key: text(index.keyStart[row] ?? 0, index.keyLength[row] ?? -1),
      value: text(index.valueStart[row] ?? 0, index.valueLength[row] ?? -1),
      headers,
      timestampMs: index.timestampMs[row] ?? -1,
    };
  });
}
