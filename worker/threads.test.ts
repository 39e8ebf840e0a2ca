import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { isWeirError } from '../core/errors.ts';
import { MemoryPool } from '../core/memory-pool.ts';
import { batchesOf, makeUsers, taskOf, userPlan, userRecord, userTableSink } from '../engine/created-users.fixture.ts';
import type { EpochEnv, EpochExecutor, MapResult, ReduceResult } from '../engine/epoch/contract.ts';
import { jobText, planOf, recordInput } from '../engine/epoch/test-run.ts';
import { InlineExecutor } from '../engine/inline-executor.ts';
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

test('the memory of a task comes back into the pool, from a thread and from here', async () => {
  const memory = new MemoryPool();
  const pooled = new ThreadExecutor({ threadCount: 1, memory });
  await pooled.addStage('users', plan);
  for (const count of [300, 20]) {
    const task = makeTask(9, count);
    const own = memory.take(Math.max(task.bytes.byteLength, 1 << 16));
    const bytes = new Uint8Array(own, 0, task.bytes.byteLength);
    bytes.set(task.bytes);
    const size = own.byteLength;
    assert.deepEqual(await pooled.run('users', { ...task, bytes }), compileStage(plan).run(task));
    assert.equal(memory.idleBytes, size);
    assert.equal(memory.take(size).byteLength, size, 'whole');
    assert.equal(memory.idleBytes, 0);
  }
  await pooled.close();
});

test('what a log sink writes comes in memory of the pool, which the next task writes to again', async () => {
  const memory = new MemoryPool();
  const pooled = new ThreadExecutor({ threadCount: 1, memory });
  await pooled.addStage('users', plan);
  const outputOf = async (seed: number): Promise<{ readonly memory?: ArrayBuffer }> => {
    const result = await pooled.run('users', makeTask(seed, 400));
    assert.deepEqual(
      result.sinks.map((sink) => (sink.kind === 'log' ? sink.appends : sink)),
      compileStage(plan)
        .run(makeTask(seed, 400))
        .sinks.map((sink) => (sink.kind === 'log' ? sink.appends : sink)),
    );
    const log = result.sinks[1];
    assert.ok(log?.kind === 'log');
    assert.ok(log.appends.every(({ batch }) => log.memory === undefined || batch.buffer === log.memory));
    return log;
  };
  assert.equal((await outputOf(1)).memory, undefined, 'how much it will be is not known yet');
  const { memory: second } = await outputOf(2);
  assert.ok(second !== undefined);
  const size = second.byteLength;
  memory.give(second);
  const idleBytes = memory.idleBytes;
  const { memory: third } = await outputOf(3);
  assert.equal(third?.byteLength, size);
  assert.equal(memory.idleBytes, idleBytes - size, 'it was taken from the pool');
  await pooled.close();
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

// ---- epochs -------------------------------------------------------------------------------------------------------

const epochsPlan = planOf(
  jobText(
    'SELECT e.word, n.name, count(*) AS n, sum(e.x) AS s FROM events AS e JOIN names AS n ON e.word = n.word GROUP BY e.word, n.name',
    { events: 'word STRING, x DOUBLE' },
    {
      outputMode: 'update',
      sinks: [{ connector: 'console' }, { connector: 'kafka', topic: 'out' }],
      tables: { names: { schema: 'word STRING, name STRING', rows: [['w1', 'one']] } },
    },
  ),
);
const stateStage = epochsPlan.stages.findIndex(({ kind }) => kind === 'state');

function envOf(epoch: number): EpochEnv {
  const epochTsUs = 1_700_000_000_000_000 + epoch * 1024;
  return { run: 1, epoch, epochTsUs, lateUs: -Infinity, evictUs: -Infinity, writeTimeUs: epochTsUs };
}

/** One epoch by an executor of two threads: what its tasks gave. */
async function runEpoch(
  on: EpochExecutor,
  key: string,
  epoch: number,
  rows: number,
): Promise<(MapResult | ReduceResult)[]> {
  const common = {
    env: envOf(epoch),
    routing: { destinationOf: Uint8Array.from({ length: 256 }, (_, group) => group % 2), destinationCount: 2 },
    logPartitions: [3],
  };
  const { bytes, batches } = recordInput(
    Array.from({ length: rows }, (_, row) => (row % 50 === 9 ? null : { word: `w${row % 30}`, x: (row * epoch) / 7 })),
    0,
  );
  const mapped = await on.map(key, { ...common, stage: 0, partition: 0, bytes, batches, fromOffset: 0, toOffset: 1e9 });
  const reduced = await Promise.all(
    [0, 1].map((thread) => {
      const inputs = mapped.frames.filter(({ destination }) => destination === thread);
      return on.reduce(key, thread, { ...common, stage: stateStage, inputs });
    }),
  );
  return [mapped, ...reduced];
}

test('epochs give the same in threads as inline, and each thread keeps the state of its key groups', async () => {
  const inline = new InlineExecutor({ threadCount: 2 });
  const names = Array.from({ length: 20 }, (_, index) => [`w${index}`, `name ${index}`]);
  for (const on of [inline, executor]) {
    await on.openEpochs('run', epochsPlan);
    await on.setStatic('run', 'names', names);
  }
  assert.equal(executor.threadCount, 2);
  // Many records go to a thread, few stay here.
  for (const [epoch, rows] of [3000, 20, 0].entries())
    assert.deepEqual(await runEpoch(executor, 'run', epoch, rows), await runEpoch(inline, 'run', epoch, rows));
  const states = await Promise.all([0, 1].map((thread) => executor.takeChanged('run', thread, true)));
  assert.deepEqual(states, await Promise.all([0, 1].map((thread) => inline.takeChanged('run', thread, true))));
  for (const [thread, held] of states.entries()) {
    assert.ok(held.length > 2);
    assert.ok(held.every(({ group }) => group % 2 === thread));
  }
});

test('a scratch copy takes over states and does not touch the original', async () => {
  await executor.openEpochs('copy', epochsPlan);
  await executor.openEpochs('scratch', epochsPlan);
  await runEpoch(executor, 'copy', 0, 300);
  const states = (await executor.takeChanged('copy', 1, true)).map((state) => ({
    ...state,
    bytes: state.bytes?.slice() ?? null,
  }));
  await executor.restore('scratch', 1, states);
  await executor.drop(
    'copy',
    1,
    states.map(({ group }) => group),
  );
  assert.deepEqual(await executor.takeChanged('copy', 1, true), []);
  assert.deepEqual(await executor.takeChanged('scratch', 1, true), states);
  await executor.closeEpochs('scratch');
  await assert.rejects(executor.takeChanged('scratch', 1, true), (error: unknown) => isWeirError(error, 'NOT_FOUND'));
});

test('parts of a range run in one thread and in their order, however many wait', async () => {
  const inline = new InlineExecutor({ threadCount: 2 });
  const parts = Array.from({ length: 6 }, (_, index) => ({
    from: 300 * index,
    isFirst: index === 0,
    isLast: index === 5,
  }));
  const common = {
    env: envOf(1),
    routing: { destinationOf: new Uint8Array(256), destinationCount: 1 },
    logPartitions: [],
    stage: 0,
    fromOffset: 0,
    toOffset: 1e9,
  };
  const rows = (partition: number, from: number, count: number): ReturnType<typeof recordInput> =>
    recordInput(
      // The order of these makes a difference to their sum.
      Array.from({ length: count }, (_, row) => ({ word: 'w1', x: 1e16 / (from + row + partition + 1) })),
      from,
    );
  for (const on of [executor, inline]) await on.openEpochs('parts', epochsPlan);
  const partitions = Array.from({ length: 12 }, (_, partition) => partition);
  const given = await Promise.all(
    partitions.map(async (partition) => {
      const results = await Promise.all(
        parts.map(({ from, ...part }) =>
          executor.map('parts', { ...common, partition, ...rows(partition, from, 300), part: { range: 'r', ...part } }),
        ),
      );
      return results.flatMap(({ frames }) => frames);
    }),
  );
  const expected = await Promise.all(
    partitions.map(
      async (partition) => (await inline.map('parts', { ...common, partition, ...rows(partition, 0, 1800) })).frames,
    ),
  );
  assert.deepEqual(given, expected);
  for (const on of [executor, inline]) await on.closeEpochs('parts');
});

test('a range whose first part is small goes to a thread all the same', async () => {
  const threads: (number | null)[] = [];
  const watched = new ThreadExecutor({ threadCount: 1, onWork: ({ thread }) => threads.push(thread) });
  await watched.openEpochs('parts', epochsPlan);
  threads.length = 0;
  const common = { env: envOf(1), routing: { destinationOf: new Uint8Array(256), destinationCount: 1 }, stage: 0 };
  for (const [from, count, isLast] of [
    [0, 5, false],
    [5, 400, true],
  ] as const) {
    const input = recordInput(
      Array.from({ length: count }, () => ({ word: 'w1', x: 1 })),
      from,
    );
    const part = { range: 'r', isFirst: from === 0, isLast };
    const task = { ...common, ...input, partition: 0, logPartitions: [], fromOffset: 0, toOffset: 1e9, part };
    assert.equal((await watched.map('parts', task)).counters.read, count);
  }
  assert.deepEqual(threads, [0, 0]);
  await watched.close();
});

test('errors of epochs keep their code', async () => {
  await executor.openEpochs('narrow', { ...epochsPlan, stateBytesMax: 1000 });
  await executor.setStatic(
    'narrow',
    'names',
    Array.from({ length: 30 }, (_, index) => [`w${index}`, `name ${index}`]),
  );
  await assert.rejects(runEpoch(executor, 'narrow', 0, 300), (error: unknown) => isWeirError(error, 'STATE_LIMIT'));
  await assert.rejects(executor.openEpochs('narrow', epochsPlan), (error: unknown) => isWeirError(error, 'CONFLICT'));
  await assert.rejects(executor.openEpochs('odd', { ...epochsPlan, timeZone: 'Mars/Olympus' }), (error: unknown) =>
    isWeirError(error, 'CONFIG_INVALID'),
  );
  // A key that could not be opened is free.
  await executor.openEpochs('odd', epochsPlan);
});
