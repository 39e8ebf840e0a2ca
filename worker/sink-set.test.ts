import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../connectors/system/clock.ts';
import type { Clock } from '../core/clock.ts';
import type { LanePlace } from '../core/row-sink.ts';
import type { LogWriter, TableWriter } from '../core/ports.ts';
import { MemoryPool } from '../core/memory-pool.ts';
import { always } from '../test/conformance/source.ts';
import { GatheredAppends } from './gathered-appends.ts';
import type { OpenSink } from './sink-set.ts';
import { SinkSet } from './sink-set.ts';

const counters = { rowCount: 0, bytes: new Uint8Array(0) };
const logSink = (name: string, writer: LogWriter): OpenSink => ({
  kind: 'log',
  name,
  topic: 'out',
  partitions: 1,
  appends: new GatheredAppends(writer, systemClock),
});
/** Bytes of an append that goes by itself. */
const LARGE = 40_000;
const largeBatch = (first: number): Uint8Array => new Uint8Array(LARGE).fill(first, 0, 1);
const noLetters = {} as TableWriter;
const still: Clock = { ...systemClock, mono: () => 0 };
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test('memory that rows were written from goes back to the pool once they are durable, and not before', async () => {
  const durable = Promise.withResolvers<void>();
  const writer = { append: () => durable.promise } as unknown as LogWriter;
  const pool = new MemoryPool();
  const sink = logSink('out', writer);
  const sinks = new SinkSet([sink], noLetters, null, still, pool);
  const memory = new ArrayBuffer(4096);
  const appends = [{ partition: 0, batch: new Uint8Array(memory, 0, 100) }];
  const written = sinks.write(
    { sinks: [{ kind: 'log', rowCount: 1, appends, memory }], deadLetters: counters },
    always,
  );
  await settled();
  assert.equal(pool.idleBytes, 0);
  durable.resolve();
  await written;
  assert.equal(pool.idleBytes, 4096);
});

test('memory that no row needed goes back too; after a failure it does not', async () => {
  const writer = { append: () => Promise.reject(new Error('lost')) } as unknown as LogWriter;
  const pool = new MemoryPool();
  const sink = logSink('out', writer);
  const sinks = new SinkSet([sink], noLetters, null, still, pool);
  const memory = new ArrayBuffer(4096);
  await sinks.write({ sinks: [{ kind: 'log', rowCount: 0, appends: [], memory }], deadLetters: counters }, always);
  assert.equal(pool.idleBytes, 4096);
  const appends = [{ partition: 0, batch: new Uint8Array(10) }];
  const failing = [{ kind: 'log', rowCount: 1, appends, memory: new ArrayBuffer(8192) }] as const;
  await assert.rejects(sinks.write({ sinks: failing, deadLetters: counters }, always), /lost/);
  assert.equal(pool.idleBytes, 4096);
});

test('how long rows wait for each sink: writes under way at the same time count once, one that goes on counts', async () => {
  let now = 100;
  const clock: Clock = { ...systemClock, mono: () => now };
  const writes: PromiseWithResolvers<void>[] = [];
  const append = async (): Promise<void> => {
    const write = Promise.withResolvers<void>();
    writes.push(write);
    await write.promise;
  };
  const sinks = new SinkSet(
    [logSink('slow', { append } as unknown as LogWriter), { kind: 'discard', name: 'none' }],
    noLetters,
    null,
    clock,
  );
  const appends = [{ partition: 0, batch: new Uint8Array(LARGE) }];
  const rows = {
    sinks: [
      { kind: 'log', rowCount: 1, appends },
      { kind: 'blackhole', rowCount: 1, hash: 7 },
    ],
    deadLetters: counters,
  } as const;
  const first = sinks.write(rows, always);
  await settled();
  now = 110;
  const second = sinks.write(rows, always);
  await settled();
  now = 130;
  assert.deepEqual(sinks.waitedMs(), [30, 0]);
  writes[0]?.resolve();
  await first;
  now = 150;
  writes[1]?.reject(new Error('lost'));
  await assert.rejects(second, /lost/);
  now = 900;
  assert.deepEqual(sinks.waitedMs(), [50, 0], 'nothing is under way any more');
});

test('what a lane appends to a topic goes out chunk by chunk, other lanes beside it', async () => {
  const appended: number[] = [];
  const writes: PromiseWithResolvers<void>[] = [];
  const append = async (appends: readonly { readonly batch: Uint8Array }[]): Promise<void> => {
    appended.push(appends[0]!.batch[0]!);
    const write = Promise.withResolvers<void>();
    writes.push(write);
    await write.promise;
  };
  const writer = { append } as unknown as LogWriter;
  const sink = logSink('out', writer);
  const sinks = new SinkSet([sink], noLetters, null, still);
  const write = (lane: string, chunk: number): Promise<void> =>
    sinks.write(
      {
        sinks: [{ kind: 'log', rowCount: 1, appends: [{ partition: 0, batch: largeBatch(chunk) }] }],
        deadLetters: counters,
      },
      always,
      { kind: 'lane', job: 'j', run: 1, lane, from: chunk, to: chunk + 1, continues: false } as unknown as LanePlace,
    );
  const all = [write('a', 1), write('a', 2), write('b', 3)];
  await settled();
  assert.deepEqual(appended, [1, 3]);
  writes[0]!.resolve();
  await settled();
  assert.deepEqual(appended, [1, 3, 2]);
  for (const each of writes) each.resolve();
  await Promise.all(all);
});
