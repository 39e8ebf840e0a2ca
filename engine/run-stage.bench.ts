/**
 * Records per CPU-second of the created-users job on one thread: checksum, decode, scan, filter, project, encode. Run:
 * `node engine/run-stage.bench.ts [records per task]`. Beside it JSON.parse of the same values, as the measure.
 */
import { compressionCodes, finishRecordBatch } from '../core/record-batch-encoder.ts';
import type { Compression } from '../core/record-batch-encoder.ts';
import { readBatchHeaders } from '../core/record-batch.ts';
import { ByteBuffer } from './byte-buffer.ts';
import { Compressor } from './codecs/compression.ts';
import { decodeBatch, RecordIndex } from './codecs/decode-records.ts';
import {
  batchesOf,
  makeUsers,
  taskOf,
  userColumns,
  userPlan,
  userRecord,
  userTableSink,
} from './created-users.fixture.ts';
import type { SinkPlan } from './plan/stage-plan.ts';
import { compileStage } from './run-stage.ts';
import { JsonScanner } from './scan/json-scanner.ts';
import { timeZoneOf } from './scan/time-zone.ts';
import type { StageTask } from './stage.ts';

const recordCount = Number(process.argv[2] ?? 2500);
const next = makeUsers(1);
const records = Array.from({ length: recordCount }, (_, index) => userRecord(next(), 1_700_000_000_000 + index));
const plain = batchesOf(records, 500);

function compress(batch: Uint8Array, compression: Compression): Uint8Array {
  const [header] = readBatchHeaders(batch);
  if (header === undefined) throw new Error('no batch');
  const target = new ByteBuffer();
  target.append(batch, 0, 61);
  new Compressor(compression).compress(batch, 61, batch.byteLength, target);
  const bytes = target.copy();
  finishRecordBatch(bytes, {
    baseOffset: 0,
    compression,
    recordCount: header.recordCount,
    firstTimestampMs: 1_700_000_000_000,
    maxTimestampMs: header.maxTimestampMs,
  });
  return bytes;
}

/** Median of five rounds of at least 0.3 s of CPU after warm-up, in records per CPU-second of the whole process. */
function measure(name: string, run: () => void): void {
  const warmUntil = process.cpuUsage().user + 500_000;
  while (process.cpuUsage().user < warmUntil) run();
  const rates: number[] = [];
  for (let round = 0; round < 5; round++) {
    const start = process.cpuUsage();
    let done = 0;
    let used = 0;
    while (used < 300_000) {
      run();
      done += recordCount;
      const usage = process.cpuUsage(start);
      used = usage.user + usage.system;
    }
    rates.push((done / used) * 1000);
  }
  rates.sort((a, b) => a - b);
  process.stdout.write(`${name.padEnd(52)} ${(rates[2] ?? 0).toFixed(0).padStart(6)} k records per CPU-second\n`);
}

let kept = 0;

const index = new RecordIndex();
const arena = new ByteBuffer();
function decodeAll(task: StageTask): void {
  index.clear();
  arena.adopt(task.bytes);
  for (const { start, end, baseOffset } of readBatchHeaders(task.bytes)) {
    decodeBatch(
      task.bytes,
      { start, end, baseOffset, baseTimeUs: 0, stride: 16, fromOffset: 0, toOffset: Number.POSITIVE_INFINITY },
      arena,
      index,
    );
  }
}

const task = taskOf(plain, { logPartitions: [4] });
process.stdout.write(`${recordCount} records of ${Math.round(task.bytes.byteLength / recordCount)} B a task\n`);
decodeAll(task);
const text = Buffer.from(task.bytes.buffer);
measure('JSON.parse of every value', () => {
  for (let row = 0; row < index.count; row++) {
    const start = index.valueStart[row] ?? 0;
    const user = JSON.parse(text.toString('utf8', start, start + (index.valueLength[row] ?? 0))) as {
      post_code: number;
    };
    kept += user.post_code;
  }
});
measure('checksum and decode', () => decodeAll(task));

const timeZone = timeZoneOf('UTC');
if (timeZone === undefined) throw new Error('no UTC');
const scan = (fields: typeof userColumns): (() => void) => {
  const scanner = new JsonScanner(
    fields.map(({ name, type }) => ({ name, path: name, type, required: false })),
    { depthMax: 64, timeZone },
    arena,
  );
  return () => {
    scanner.begin(index.count);
    for (let row = 0; row < index.count; row++) {
      const start = index.valueStart[row] ?? 0;
      if (scanner.scan(start, start + (index.valueLength[row] ?? 0), row) >= 0) kept++;
    }
  };
};
measure(
  'scan of 12 fields, all but one as text',
  scan(
    userColumns.map((column) => (column.type.kind === 'timestamp' ? { ...column, type: { kind: 'string' } } : column)),
  ),
);
measure('scan of 12 fields, two of them timestamps', scan(userColumns));
measure(
  'scan of 4 fields',
  scan(userColumns.filter(({ name }) => ['id', 'post_code', 'username', 'picture'].includes(name))),
);

const sinks: Record<string, SinkPlan> = {
  blackhole: { kind: 'blackhole', name: 'b' },
  table: userTableSink,
  log: { kind: 'log', name: 'l', topic: 'l', compression: 'none', key: 0, value: 'json', headers: true },
  'log, lz4': { kind: 'log', name: 'l', topic: 'l', compression: 'lz4', key: 0, value: 'json', headers: true },
};
for (const [name, sink] of Object.entries(sinks)) {
  const stage = compileStage(userPlan([sink]));
  measure(`whole stage → ${name}`, () => {
    kept += stage.run(task).counters.passed;
  });
}
for (const compression of Object.keys(compressionCodes) as Compression[]) {
  if (compression === 'none') continue;
  const compressed = taskOf(plain.map((batch) => compress(batch, compression)));
  const stage = compileStage(userPlan([userTableSink]));
  measure(`whole stage, ${compression} → table`, () => {
    kept += stage.run(compressed).counters.passed;
  });
}
if (kept === 0) process.exitCode = 1;
