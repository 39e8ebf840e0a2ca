import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from './crc32c.ts';
import { offset } from './ids.ts';
import type { AbortedTransaction, BatchHeader } from './record-batch.ts';
import {
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_TRANSACTIONAL,
  firstBatchBytes,
  isAbortMarker,
  readBatchHeaders,
  visibleBatches,
  writeBaseOffset,
} from './record-batch.ts';
import { encodeRecordBatch } from './record-batch-encoder.ts';

/** What producers did to one partition, in order. */
type LogEvent =
  | { readonly kind: 'plain'; readonly records: number }
  | { readonly kind: 'transactional'; readonly producer: number; readonly records: number }
  | { readonly kind: 'end'; readonly producer: number; readonly commit: boolean };

interface OracleRecord {
  readonly offset: number;
  committed: boolean;
}

/** The log as a broker keeps it, and what a record-by-record reading of its transactions says is committed. */
interface BuiltLog {
  readonly headers: BatchHeader[];
  readonly bytes: Uint8Array;
  readonly aborted: { readonly producerId: bigint; readonly firstOffset: number; readonly lastOffset: number }[];
  /** For each batch: do its records count? */
  readonly committed: boolean[];
}

function build(events: readonly LogEvent[]): BuiltLog {
  const parts: Uint8Array[] = [];
  const batches: { readonly records: OracleRecord[]; readonly isControl: boolean }[] = [];
  const open = new Map<number, { readonly first: number; readonly records: OracleRecord[] }>();
  const aborted: BuiltLog['aborted'] = [];
  let next = 0;
  const append = (count: number, attributes: number, producer: number, key: Uint8Array | null): OracleRecord[] => {
    const bytes = encodeRecordBatch(
      Array.from({ length: count }, () => ({ key, value: null, timestampMs: 1000 })),
      { baseOffset: next },
    );
    const view = new DataView(bytes.buffer);
    view.setInt16(21, attributes);
    view.setBigInt64(43, BigInt(producer));
    view.setUint32(17, crc32c(bytes, 21));
    parts.push(bytes);
    const records = Array.from({ length: count }, (_, index) => ({ offset: next + index, committed: false }));
    batches.push({ records, isControl: (attributes & ATTRIBUTE_CONTROL) !== 0 });
    next += count;
    return records;
  };
  for (const event of events) {
    if (event.kind === 'plain') {
      for (const record of append(event.records, 0, -1, null)) record.committed = true;
    } else if (event.kind === 'transactional') {
      const first = next;
      const records = append(event.records, ATTRIBUTE_TRANSACTIONAL, event.producer, null);
      const transaction = open.get(event.producer) ?? { first, records: [] };
      transaction.records.push(...records);
      open.set(event.producer, transaction);
    } else {
      const transaction = open.get(event.producer);
      if (transaction === undefined) continue;
      open.delete(event.producer);
      if (event.commit) for (const record of transaction.records) record.committed = true;
      else aborted.push({ producerId: BigInt(event.producer), firstOffset: transaction.first, lastOffset: next });
      append(
        1,
        ATTRIBUTE_TRANSACTIONAL | ATTRIBUTE_CONTROL,
        event.producer,
        Uint8Array.of(0, 0, 0, event.commit ? 1 : 0),
      );
    }
  }
  const bytes = Buffer.concat(parts);
  const headers = readBatchHeaders(bytes);
  const committed = batches.map(({ records, isControl }) => !isControl && records.every((record) => record.committed));
  return { headers, bytes, aborted, committed };
}

const logEvent: fc.Arbitrary<LogEvent> = fc.oneof(
  fc.record({ kind: fc.constant('plain' as const), records: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    kind: fc.constant('transactional' as const),
    producer: fc.integer({ min: 1, max: 3 }),
    records: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ kind: fc.constant('end' as const), producer: fc.integer({ min: 1, max: 3 }), commit: fc.boolean() }),
);

/** Ends what is open: a read_committed reader is given nothing beyond the last stable offset. */
const closed = fc
  .array(logEvent, { maxLength: 30 })
  .map((events): LogEvent[] => [
    ...events,
    ...[1, 2, 3].map((producer): LogEvent => ({ kind: 'end', producer, commit: producer === 2 })),
  ]);

test('the visible batches are those whose records are committed, by a reading record by record', () => {
  fc.assert(
    fc.property(closed, (events) => {
      const { headers, bytes, aborted, committed } = build(events);
      const transactions = aborted.map(({ producerId, firstOffset }) => ({
        producerId,
        firstOffset: offset(firstOffset),
      }));
      assert.deepEqual(
        visibleBatches(headers, transactions, (header) => isAbortMarker(bytes, header)),
        committed,
      );
    }),
    { numRuns: 500 },
  );
});

test('a fetch from any batch on, with the aborted transactions a broker names for it, sees the same', () => {
  fc.assert(
    fc.property(closed, fc.nat(), fc.integer({ min: 1, max: 10 }), (events, from, count) => {
      const { headers, bytes, aborted, committed } = build(events);
      const start = headers.length === 0 ? 0 : from % headers.length;
      const fetched = headers.slice(start, start + count);
      const [low, high] = [fetched[0]?.baseOffset ?? 0, fetched.at(-1)?.nextOffset ?? 0];
      const named: AbortedTransaction[] = aborted
        .filter((transaction) => transaction.lastOffset >= low && transaction.firstOffset < high)
        .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: offset(firstOffset) }));
      assert.deepEqual(
        visibleBatches(fetched, named, (header) => isAbortMarker(bytes, header)),
        committed.slice(start, start + count),
      );
    }),
    { numRuns: 500 },
  );
});

test('headers tell offsets, times and sizes; a batch cut short is left out', () => {
  const first = encodeRecordBatch(
    [1, 5, 3].map((timestampMs) => ({ key: null, value: Uint8Array.of(1), timestampMs })),
    { baseOffset: 40 },
  );
  const second = encodeRecordBatch([{ key: null, value: null, timestampMs: 9 }], { baseOffset: 43 });
  const bytes = Buffer.concat([first, second]);
  const headers = readBatchHeaders(bytes);
  assert.deepEqual(
    headers.map(({ start, end, baseOffset, nextOffset, maxTimestampMs, recordCount }) => ({
      start,
      end,
      baseOffset,
      nextOffset,
      maxTimestampMs,
      recordCount,
    })),
    [
      { start: 0, end: first.length, baseOffset: 40, nextOffset: 43, maxTimestampMs: 5, recordCount: 3 },
      { start: first.length, end: bytes.length, baseOffset: 43, nextOffset: 44, maxTimestampMs: 9, recordCount: 1 },
    ],
  );
  for (let cut = first.length; cut < bytes.length; cut++)
    assert.equal(readBatchHeaders(bytes.subarray(0, cut)).length, 1);
  assert.equal(firstBatchBytes(bytes.subarray(0, 12)), first.length);
  assert.equal(firstBatchBytes(bytes.subarray(0, 11)), undefined);
});

test('base offsets beyond 32 bits are written and read back', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (base) => {
      const bytes = encodeRecordBatch([{ key: null, value: null, timestampMs: 0 }]);
      writeBaseOffset(bytes, 0, base);
      assert.equal(readBatchHeaders(bytes)[0]?.baseOffset, base);
    }),
  );
});

test('another format version and an impossible length are damage, not data', () => {
  const bytes = encodeRecordBatch([{ key: null, value: null, timestampMs: 0 }]);
  const old = bytes.slice();
  old[16] = 1;
  assert.throws(() => readBatchHeaders(old), { code: 'BATCH_CORRUPT' });
  const short = bytes.slice();
  new DataView(short.buffer).setInt32(8, 10);
  assert.throws(() => readBatchHeaders(short), { code: 'BATCH_CORRUPT' });
});
