import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogWriter, TableWriter } from '../core/ports.ts';
import { MemoryPool } from '../core/memory-pool.ts';
import { always } from '../test/conformance/source.ts';
import { SinkSet } from './sink-set.ts';

const counters = { rowCount: 0, bytes: new Uint8Array(0) };
const noLetters = {} as TableWriter;

test('memory that rows were written from goes back to the pool once they are durable, and not before', async () => {
  const durable = Promise.withResolvers<void>();
  const writer = { append: () => durable.promise } as unknown as LogWriter;
  const pool = new MemoryPool();
  const sink = { kind: 'log', name: 'out', topic: 'out', writer, partitions: 1, transactions: null } as const;
  const sinks = new SinkSet([sink], noLetters, null, pool);
  const memory = new ArrayBuffer(4096);
  const appends = [{ partition: 0, batch: new Uint8Array(memory, 0, 100) }];
  const written = sinks.write(
    { sinks: [{ kind: 'log', rowCount: 1, appends, memory }], deadLetters: counters },
    always,
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(pool.idleBytes, 0);
  durable.resolve();
  await written;
  assert.equal(pool.idleBytes, 4096);
});

test('memory that no row needed goes back too; after a failure it does not', async () => {
  const writer = { append: () => Promise.reject(new Error('lost')) } as unknown as LogWriter;
  const pool = new MemoryPool();
  const sink = { kind: 'log', name: 'out', topic: 'out', writer, partitions: 1, transactions: null } as const;
  const sinks = new SinkSet([sink], noLetters, null, pool);
  const memory = new ArrayBuffer(4096);
  await sinks.write({ sinks: [{ kind: 'log', rowCount: 0, appends: [], memory }], deadLetters: counters }, always);
  assert.equal(pool.idleBytes, 4096);
  const appends = [{ partition: 0, batch: new Uint8Array(10) }];
  const failing = [{ kind: 'log', rowCount: 1, appends, memory: new ArrayBuffer(8192) }] as const;
  await assert.rejects(sinks.write({ sinks: failing, deadLetters: counters }, always), /lost/);
  assert.equal(pool.idleBytes, 4096);
});
