import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';
import { readBatchHeaders } from './record-batch.ts';
import { encodeRecordBatch, varintBytes, writeVarint } from './record-batch-encoder.ts';

const require = createRequire(import.meta.url);
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => unknown;
const decodeRecordBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: unknown) => Promise<{
  firstOffset: string;
  maxTimestamp: string;
  records: {
    key: Buffer | null;
    value: Buffer | null;
    timestamp: string;
    offset: string;
    headers: Record<string, Buffer>;
  }[];
}>;

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const records = [
  {
    key: text('k'),
    value: text('{"a":1}'),
    timestampMs: 1_700_000_000_000,
    headers: [['weir-id', text('x')]] as const,
  },
  { key: null, value: new Uint8Array(300).fill(65), timestampMs: 1_700_000_005_000 },
  { key: text(''), value: null, timestampMs: 1_699_999_000_000 },
];

test('the header says what is inside', () => {
  const [header] = readBatchHeaders(encodeRecordBatch(records, { baseOffset: 2 ** 40 }));
  assert.ok(header);
  assert.equal(header.baseOffset, 2 ** 40);
  assert.equal(header.nextOffset, 2 ** 40 + 3);
  assert.equal(header.recordCount, 3);
  assert.equal(header.maxTimestampMs, 1_700_000_005_000);
  assert.equal(header.producerId, -1n);
});

test('the checksum covers everything from the attributes on', () => {
  const batch = encodeRecordBatch(records);
  const stored = new DataView(batch.buffer).getUint32(17);
  assert.equal(stored, crc32c(batch, 21));
  batch[80] = (batch[80] ?? 0) ^ 1;
  assert.notEqual(stored, crc32c(batch, 21));
});

test('a Kafka client reads the records', async () => {
  const bytes = encodeRecordBatch(records, { baseOffset: 41 });
  const batch = await decodeRecordBatch(new Decoder(Buffer.from(bytes)));
  assert.deepEqual(
    batch.records.map((record) => [
      record.key,
      record.value?.toString('latin1') ?? null,
      Number(record.timestamp),
      Number(record.offset),
    ]),
    [
      [Buffer.from('k'), '{"a":1}', 1_700_000_000_000, 41],
      [null, 'A'.repeat(300), 1_700_000_005_000, 42],
      [Buffer.from(''), null, 1_699_999_000_000, 43],
    ],
  );
  assert.equal(batch.records[0]?.headers['weir-id']?.toString(), 'x');
});

test('variable-length integers take the size they claim', () => {
  const target = new Uint8Array(16);
  for (const [value, size] of [
    [0, 1],
    [-1, 1],
    [63, 1],
    [64, 2],
    [-64, 1],
    [-65, 2],
    [2 ** 31, 5],
    [2 ** 51, 8],
  ] as const) {
    assert.equal(varintBytes(value), size, String(value));
    assert.equal(writeVarint(target, 0, value), size, String(value));
  }
});
