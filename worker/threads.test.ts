import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { isWeirError } from '../core/errors.ts';
import { batchesOf, makeUsers, taskOf, userPlan, userRecord, userTableSink } from '../engine/created-users.fixture.ts';
import { compileStage } from '../engine/run-stage.ts';
import type { StageTask } from '../engine/stage.ts';
import { ThreadExecutor } from './threads.ts';

const executor = new ThreadExecutor({ threadCount: 2 });
after(() => executor.close());

const plan = userPlan([
  userTableSink,
  { kind: 'log', name: 'l', topic: 'l', compression: 'lz4', key: 0, value: 'json', headers: true },
  { kind: 'console', name: 'c' },
]);

function makeTask(seed: number, count: number): StageTask {
  const next = makeUsers(seed);
  const records = Array.from({ length: count }, (_, index) =>
    userRecord(index % 50 === 9 ? 'bad' : next(), 1_700_000_000_000 + index),
  );
  return taskOf(batchesOf(records, 100), { logPartitions: [3] });
}

test('a task gives the same in a thread as inline, and its bytes are handed over', async () => {
  await executor.addStage('users', plan);
  const inline = compileStage(plan);
  const tasks = [1, 2, 3, 4, 5, 6].map((seed) => makeTask(seed, 400));
  const expected = tasks.map((task) => inline.run(task));
  const results = await Promise.all(tasks.map((task) => executor.run('users', task)));
  assert.deepEqual(results, expected);
  for (const task of tasks) assert.equal(task.bytes.byteLength, 0);
});

test('part of a larger buffer is copied', async () => {
  const task = makeTask(9, 300);
  const large = new Uint8Array(task.bytes.byteLength + 100);
  large.set(task.bytes, 50);
  const part = { ...task, bytes: large.subarray(50, 50 + task.bytes.byteLength) };
  assert.deepEqual(await executor.run('users', part), compileStage(plan).run(task));
  assert.equal(large.byteLength, part.bytes.byteLength + 100);
});

test('few records do not leave the calling thread', async () => {
  const task = makeTask(9, 20);
  const result = await executor.run('users', task);
  assert.equal(result.counters.read, 20);
  assert.notEqual(task.bytes.byteLength, 0);
});

test('errors keep their code and facts', async () => {
  const task = makeTask(9, 300);
  task.bytes[100] = (task.bytes[100] ?? 0) ^ 1;
  await assert.rejects(
    executor.run('users', task),
    (error: unknown) => isWeirError(error, 'BATCH_CORRUPT') && error.facts['offset'] === 0,
  );
  await assert.rejects(executor.run('nobody', makeTask(9, 300)), (error: unknown) => isWeirError(error, 'NOT_FOUND'));
  await assert.rejects(executor.addStage('bad', { ...plan, timeZone: 'Mars/Olympus' }), (error: unknown) =>
    isWeirError(error, 'CONFIG_INVALID'),
  );
  assert.equal((await executor.run('users', makeTask(9, 300))).counters.read, 300);
});

test('a removed stage is gone', async () => {
  await executor.addStage('other', plan);
  await executor.removeStage('other');
  await assert.rejects(executor.run('other', makeTask(9, 300)), (error: unknown) => isWeirError(error, 'NOT_FOUND'));
});
