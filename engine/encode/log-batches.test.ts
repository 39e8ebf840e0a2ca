import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { crc32c } from '../../core/crc32c.ts';
import { readBatchHeaders } from '../../core/record-batch.ts';
import { compressionCodes } from '../../core/record-batch-encoder.ts';
import type { Compression } from '../../core/record-batch-encoder.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { decompress } from '../codecs/compression.ts';
import { batchesOf, makeUsers, taskOf, userPlan, userRecord, userTableSink } from '../created-users.fixture.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import { batchOf } from '../operators/test-batch.ts';
import { compileStage } from '../run-stage.ts';
import { utc } from '../sql/runtime/time.ts';
import type { SinkOutput } from '../stage.ts';
import { partitionOfKey } from '../../core/murmur2.ts';
import type { Schema } from '../../core/types.ts';
import { LogEncoder } from './log-batches.ts';
import type { EncodeContext } from './sink-encoder.ts';

// A Kafka client of others reads the batches; it decompresses with our codecs but decodes on its own.
const require = createRequire(import.meta.url);
const { CompressionCodecs, CompressionTypes } = require('kafkajs') as typeof import('kafkajs');
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => unknown;
const decodeRecordBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: unknown) => Promise<{
  records: { key: Buffer | null; value: Buffer | null; timestamp: string; headers: Record<string, Buffer> }[];
}>;
const defaultPartitioner = (require('kafkajs/src/producer/partitioners/default') as () => (args: object) => number)();
for (const [type, codec] of [
  [CompressionTypes.Snappy, 'snappy'],
  [CompressionTypes.LZ4, 'lz4'],
  [CompressionTypes.ZSTD, 'zstd'],
] as const) {
  CompressionCodecs[type] = () => ({
    compress: () => Promise.reject(new Error('not used')),
    decompress: (bytes: Buffer) => {
      const target = new ByteBuffer();
      decompress(compressionCodes[codec], bytes, 0, bytes.byteLength, target);
      return Promise.resolve(Buffer.from(target.copy()));
    },
  });
}

type LogOutput = Extract<SinkOutput, { kind: 'log' }>;

async function readAll(
  output: LogOutput,
): Promise<
  { partition: number; key: string | null; value: string | null; id: string | undefined; timestamp: number }[]
> {
  const records = await Promise.all(
    output.appends.map(async ({ partition, batch }) => {
      assert.equal(new DataView(batch.buffer).getUint32(17), crc32c(batch, 21));
      const decoded = await decodeRecordBatch(new Decoder(Buffer.from(batch)));
      return decoded.records.map(({ key, value, headers, timestamp }) => ({
        partition,
        key: key?.toString() ?? null,
        value: value?.toString() ?? null,
        id: headers['weir-id']?.toString(),
        timestamp: Number(timestamp),
      }));
    }),
  );
  return records.flat();
}

function run(
  sink: Partial<Extract<SinkPlan, { kind: 'log' }>>,
  count: number,
  partitions: number,
): { output: LogOutput; users: Record<string, unknown>[] } {
  const next = makeUsers(4);
  const users = Array.from({ length: count }, next);
  users.forEach((user, index) => {
    if (index % 5 === 0) user['gender'] = null;
    if (index % 7 === 0) user['email'] = 'a "quoted" \\ text\u0001\n\u{1f600}';
  });
  const log: SinkPlan = {
    kind: 'log',
    name: 'out',
    topic: 'out',
    compression: 'lz4',
    key: 7,
    value: 'json',
    headers: true,
    ...sink,
  };
  const task = taskOf(
    batchesOf(
      users.map((user, index) => userRecord(user, 1_700_000_000_000 + index)),
      500,
    ),
    { logPartitions: [partitions], run: 2 },
  );
  const output = compileStage(userPlan([userTableSink, log])).run(task).sinks[1];
  assert.ok(output?.kind === 'log');
  return { output, users };
}

for (const compression of Object.keys(compressionCodes) as Compression[]) {
  test(`rows arrive as JSON, by ${compression}`, async () => {
    const { output, users } = run({ compression }, 300, 4);
    const records = await readAll(output);
    assert.equal(output.rowCount, 300);
    assert.equal(records.length, 300);
    const byId = new Map(records.map((record) => [record.id, record]));
    users.forEach((user, index) => {
      const record = byId.get(`created-users/2/3/${index}/0`);
      assert.ok(record);
      assert.equal(record.key, user['username']);
      assert.equal(record.timestamp, 1_700_000_000_000 + index);
      const expected = Object.fromEntries(
        Object.entries({ ...user, last_name: String(user['last_name']).toUpperCase() }).filter(
          ([, value]) => value !== null,
        ),
      );
      assert.deepEqual(JSON.parse(record.value ?? ''), expected);
      const partitionMetadata = Array.from({ length: 4 }, (_, partitionId) => ({ partitionId, leader: 1 }));
      assert.equal(
        record.partition,
        defaultPartitioner({ topic: 'out', partitionMetadata, message: { key: record.key } }),
      );
    });
  });
}

test('without a key rows follow their source partition, and one column may be the value', async () => {
  const { output, users } = run({ key: -1, value: 6, headers: false, compression: 'none' }, 10, 2);
  assert.deepEqual(
    await readAll(output),
    users.map((user, index) => ({
      partition: 1,
      key: null,
      value: user['email'],
      id: undefined,
      timestamp: 1_700_000_000_000 + index,
    })),
  );
});

test('batches stay below what a broker takes', async () => {
  const { output } = run({ compression: 'none' }, 6000, 1);
  assert.ok(output.appends.length > 2);
  for (const { batch } of output.appends) assert.ok(batch.byteLength <= 900 * 1024 + 100);
  assert.equal(
    output.appends.reduce((sum, { batch }) => sum + (readBatchHeaders(batch)[0]?.recordCount ?? 0), 0),
    6000,
  );
});

test('keys go where Java’s partitioner sends them', () => {
  const partition = (key: string): number => partitionOfKey(new TextEncoder().encode(key), 100);
  // toPositive(murmur2(key)) % 100 of org.apache.kafka.common.utils.UtilsTest's values.
  for (const [key, hash] of [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
  ] as const) {
    assert.equal(partition(key), (hash & 0x7fffffff) % 100, key);
  }
});

test('of a result that changed as a whole a key is deleted if no row is given for it', async () => {
  const schema: Schema = [
    { name: 'k', type: { kind: 'string' }, nullable: true },
    { name: 'n', type: { kind: 'int' }, nullable: true },
  ];
  const plan = {
    kind: 'log',
    name: 'out',
    topic: 'out',
    compression: 'none',
    key: 0,
    value: 1,
    headers: false,
  } as const;
  const encoder = new LogEncoder(plan, schema, 0, utc);
  const rows = batchOf(schema, [
    ['a', 1],
    ['b', 2],
    ['a', 3],
    ['c', 4],
  ]);
  const context: EncodeContext = {
    writeTimeUs: new Float64Array(4),
    deletes: Uint8Array.of(1, 1, 0, 0),
    isDead: () => false,
    fail: assert.fail,
  };
  const written = async (given: EncodeContext): Promise<(readonly [string | null, string | null])[]> => {
    encoder.begin({ idPrefix: '', partition: null, logPartitions: [1] });
    encoder.encode(rows, given);
    return (await readAll(encoder.finish() as LogOutput)).map(({ key, value }) => [key, value] as const);
  };
  const change = { isWhole: true, replaced: Uint8Array.of(1, 0, 0, 0) };
  assert.deepEqual(await written({ ...context, change }), [
    ['b', null],
    ['a', '3'],
    ['c', '4'],
  ]);
  assert.deepEqual(await written(context), [
    ['a', null],
    ['b', null],
    ['a', '3'],
    ['c', '4'],
  ]);
});
