/**
 * State by key on one thread: random updates of count and sum, memory, snapshot and restore. Run:
 * `node --expose-gc engine/state/state.bench.ts [million keys] [million updates]`. Every line runs in the same process, one behind
 * the other; making the batches is not counted.
 */
import type { AggregatePlan, StatePlan } from '../plan/epoch-plan.ts';
import type { Schema } from '../../core/types.ts';
import type { ColumnBatch, RowFailure } from '../column-batch.ts';
import { bufferSchemaOf } from '../sql/aggregates.ts';
import { Aggregate } from '../operators/aggregate.ts';
import { FailureLog } from '../operators/operator.ts';
import { PartialAggregate } from '../operators/partial-aggregate.ts';
import { noOrigins } from '../operators/picked-rows.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { KeyDictionary } from './key-dictionary.ts';
import { KeyEncoder, keyGroupOf } from './key-encoder.ts';

const keyCount = Number(process.argv[2] ?? 1) * 1e6;
const updates = Number(process.argv[3] ?? 4) * 1e6;
const BATCH = 20_000;

/** Numbers that look random and are the same in every run. */
let seed = 12345;
function random(limit: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
  return Math.floor(((seed >>> 0) / 2 ** 32) * limit);
}

/** Keys `customer_N` with a value of 1, and what a partial aggregate makes of each row alone. */
function batchOf(keyAt: (row: number) => number): ColumnBatch {
  const data = Buffer.alloc(BATCH * 18);
  const start = new Int32Array(BATCH);
  const length = new Int32Array(BATCH);
  let used = 0;
  for (let row = 0; row < BATCH; row++) {
    start[row] = used;
    length[row] = data.write(`customer_${keyAt(row)}`, used, 'latin1');
    used += length[row]!;
  }
  const values = new BigInt64Array(BATCH).fill(1n);
  const valid = new Uint8Array(BATCH).fill(1);
  const ones = { kind: 'i64', values, words: new Int32Array(values.buffer), valid } as const;
  const keys = { kind: 'bytes', data, start, length, nonAscii: new Uint8Array(BATCH) } as const;
  return { rowCount: BATCH, columns: [keys, ones, ones], origins: noOrigins(BATCH) };
}

function groupsOf(batch: ColumnBatch): Uint8Array {
  const encoder = new KeyEncoder([{ kind: 'string' }]).bind(batch.columns);
  const out = new ByteBuffer();
  return Uint8Array.from({ length: BATCH }, (_, row) => {
    out.length = 0;
    encoder.encode(row, out);
    return keyGroupOf(out.bytes, 0, out.length);
  });
}

const cpuMs = (since: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
};
const memory = (): string => `${(process.memoryUsage().rss / 1e6).toFixed(0)} MB RSS`;
const rate = (rows: number, ms: number): string => `${(rows / ms).toFixed(0)} k/CPU-s`;

const plans: AggregatePlan[] = [
  {
    function: 'count',
    distinct: false,
    inputs: [],
    inputTypes: [],
    filter: -1,
    name: 'n',
    type: { kind: 'bigint' },
    nullable: false,
  },
  {
    function: 'sum',
    distinct: false,
    inputs: [1],
    inputTypes: [{ kind: 'bigint' }],
    filter: -1,
    name: 's',
    type: { kind: 'bigint' },
    nullable: true,
  },
];
const keys: Schema = [{ name: 'k', type: { kind: 'string' }, nullable: true }];
const schema: Schema = [...keys, ...bufferSchemaOf(plans)];
const plan: Extract<StatePlan, { kind: 'aggregate' }> = {
  kind: 'aggregate',
  keyCount: 1,
  aggregates: plans,
  eventTime: null,
  mode: 'append',
  watermarkLagUs: 0,
};
const env = { run: 1, epoch: 0, epochTsUs: 0, lateUs: -Infinity, evictUs: -Infinity, writeTimeUs: 0 };

function dictionaryAlone(): void {
  const dictionary = new KeyDictionary();
  const encoder = new KeyEncoder([{ kind: 'string' }]);
  const key = new ByteBuffer();
  const counts = new Float64Array(keyCount);
  let ms = 0;
  for (let done = 0; done < updates; done += BATCH) {
    const batch = batchOf(() => random(keyCount));
    const begin = process.cpuUsage();
    encoder.bind(batch.columns);
    for (let row = 0; row < BATCH; row++) {
      key.length = 0;
      encoder.encode(row, key);
      counts[dictionary.add(key.bytes, 0, key.length)]!++;
    }
    ms += cpuMs(begin);
  }
  console.log(
    `dictionary and a column: ${dictionary.size} keys, ${rate(updates, ms)}, ${(dictionary.bytes / 1e6).toFixed(0)} MB held`,
  );
}

function partialAlone(): void {
  const partial = new PartialAggregate({ kind: 'partialAggregate', keyCount: 1, aggregates: plans }, schema);
  for (const distinct of [1000, keyCount]) {
    let ms = 0;
    let groups = 0;
    for (let done = 0; done < updates / 2; done += BATCH) {
      const batch = batchOf(() => random(distinct));
      const failures: RowFailure[] = [];
      const begin = process.cpuUsage();
      partial.begin();
      partial.add({ batch, selection: null, count: BATCH }, new FailureLog(failures));
      const out = partial.finish();
      ms += cpuMs(begin);
      groups += out.rowCount;
    }
    console.log(
      `partial aggregate, ${distinct} keys: ${rate(updates / 2, ms)}, ${((groups / updates) * 2).toFixed(2)} rows out per row`,
    );
  }
}

function aggregate(): void {
  const operator = new Aggregate(plan, [schema]);
  const log = new FailureLog([]);
  let worst = 0;
  let insertMs = 0;
  for (let done = 0; done < keyCount; done += BATCH) {
    const batch = batchOf((row) => done + row);
    const input = { port: 0, batch, groups: groupsOf(batch) };
    const begin = process.cpuUsage();
    operator.fold([input], env, log);
    const ms = cpuMs(begin);
    insertMs += ms;
    worst = Math.max(worst, ms);
  }
  console.log(
    `aggregate, inserts: ${rate(keyCount, insertMs)}, slowest fold of ${BATCH} rows ${worst.toFixed(0)} ms, ${memory()}`,
  );
  let ms = 0;
  worst = 0;
  for (let done = 0; done < updates; done += BATCH) {
    const batch = batchOf(() => random(keyCount));
    const input = { port: 0, batch, groups: groupsOf(batch) };
    const begin = process.cpuUsage();
    operator.fold([input], env, log);
    const own = cpuMs(begin);
    ms += own;
    worst = Math.max(worst, own);
  }
  const { rows, bytes } = operator.figures();
  globalThis.gc?.();
  console.log(
    `aggregate, updates: ${rows} keys, ${rate(updates, ms)}, slowest fold ${worst.toFixed(0)} ms, ${(bytes / 1e6).toFixed(0)} MB held, ${memory()}`,
  );
  const begin = process.cpuUsage();
  const snapshot = operator.groups().map((group) => ({ group, bytes: operator.encodeGroup(group) }));
  const size = snapshot.reduce((sum, each) => sum + (each.bytes?.length ?? 0), 0);
  console.log(`snapshot: ${(size / 1e6).toFixed(0)} MB in ${cpuMs(begin).toFixed(0)} ms CPU`);
  const other = new Aggregate(plan, [schema]);
  const again = process.cpuUsage();
  for (const { group, bytes: stored } of snapshot) other.restoreGroup(group, stored);
  console.log(`restore: ${other.figures().rows} keys in ${cpuMs(again).toFixed(0)} ms CPU`);
}

aggregate();
dictionaryAlone();
partialAlone();
