import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { isWeirError, WeirError } from '../core/errors.ts';
import { batchesOf, taskOf } from '../engine/created-users.fixture.ts';
import type { DriftPolicy } from '../engine/formats/field-drift.ts';
import type { WriterSchema } from '../engine/formats/value-format.ts';
import { InlineExecutor } from '../engine/inline-executor.ts';
import type { StagePlan } from '../engine/plan/stage-plan.ts';
import type { StageTask } from '../engine/stage.ts';
import { SchemaExecutor } from './schema-executor.ts';
import { ThreadExecutor } from './threads.ts';

const schemaOf = (id: number): WriterSchema => ({
  id,
  type: 'AVRO',
  schema: JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'n', type: 'int' }] }),
  references: [],
});

const plan: StagePlan = {
  job: 'j',
  source: 's',
  topic: 't',
  format: { kind: 'avro', framing: 'confluent', registry: 'http://r', schema: null },
  columns: [{ kind: 'field', name: 'n', path: 'n', type: { kind: 'int' }, required: true }],
  operators: [],
  output: [{ name: 'n', type: { kind: 'int' }, nullable: false }],
  sinks: [{ kind: 'blackhole', name: 'b' }],
  onBadRecord: 'deadLetter',
  onNullValue: 'skip',
  timeZone: 'UTC',
  recordBytesMax: 1 << 20,
  recordDepthMax: 64,
};

/** Records that name the ids in turn. */
function task(ids: readonly number[], count: number): StageTask {
  const records = Array.from({ length: count }, (_, index) => ({
    key: null,
    value: Uint8Array.of(0, 0, 0, 0, ids[index % ids.length] ?? 0, 8),
    timestampMs: 1_700_000_000_000 + index,
  }));
  return taskOf(batchesOf(records, 100), {});
}

const threads = new ThreadExecutor({ threadCount: 1 });
after(() => threads.close());

const asked: [string, number[]][] = [];
const executor = new SchemaExecutor(threads, {
  schemas: (registry, ids) => {
    asked.push([registry, [...ids]]);
    return Promise.resolve(ids.map((id) => (id > 100 ? { id, type: 'UNKNOWN' } : schemaOf(id))));
  },
});

test('a thread asks for the schemas of a task at once, and keeps them', async () => {
  await executor.addStage('a', plan);
  const first = await executor.run('a', task([1, 2, 3], 600));
  assert.deepEqual([first.counters.read, first.counters.passed], [600, 600]);
  assert.deepEqual(asked.splice(0), [['http://r', [1, 2, 3]]]);
  assert.equal((await executor.run('a', task([3, 1], 600))).counters.passed, 600);
  assert.deepEqual(asked, []);
});

test('records of ids that the registry does not know are dead, the others are not', async () => {
  await executor.addStage('b', plan);
  for (const count of [500, 20]) {
    const { counters } = await executor.run('b', task([4, 104], count));
    assert.deepEqual([counters.passed, counters.dead], [count / 2, count / 2]);
  }
  // The last one ran on this thread, which had learned nothing yet.
  assert.deepEqual(asked.splice(0), [
    ['http://r', [4, 104]],
    ['http://r', [4, 104]],
  ]);
});

test('while the registry is away the task can be run again with the same bytes', async () => {
  let away = true;
  const waiting = new SchemaExecutor(threads, {
    schemas: (_, ids) => {
      if (away) return Promise.reject(new WeirError('SCHEMA_REGISTRY_UNAVAILABLE', 'away'));
      return Promise.resolve(ids.map(schemaOf));
    },
  });
  await waiting.addStage('c', plan);
  const one = task([9], 400);
  await assert.rejects(waiting.run('c', one), (error) => isWeirError(error, 'SCHEMA_REGISTRY_UNAVAILABLE'));
  away = false;
  assert.equal((await waiting.run('c', one)).counters.passed, 400);
});

test('an executor without a registry says what is missing', async () => {
  const alone = new InlineExecutor();
  await alone.addStage('d', plan);
  await assert.rejects(alone.run('d', task([5], 10)), (error) => isWeirError(error, 'SCHEMA_UNKNOWN'));
});

// Its schema has one field beside that of `schemaOf`.
const withDrift = (policy: DriftPolicy): StagePlan => ({
  ...plan,
  drift: {
    policy,
    fields: [
      { name: 'n', type: { kind: 'int' }, nullable: false },
      { name: 'm', type: { kind: 'int' }, nullable: true },
    ],
  },
});

test('a difference of schemas is told with its job and run, from whatever thread', async () => {
  const told: unknown[] = [];
  const registry = { schemas: (_: string, ids: readonly number[]) => Promise.resolve(ids.map(schemaOf)) };
  const watching = new SchemaExecutor(threads, registry, (...facts) => told.push(facts));
  await watching.addStage('j/7/hash/s', withDrift('report'));
  for (const count of [400, 10]) {
    const { counters } = await watching.run('j/7/hash/s', task([1], count));
    assert.equal(counters.passed, count);
  }
  const drift = { kind: 'missing', column: 'm', before: 'INT', after: null, partition: 3, offset: 0 };
  assert.deepEqual(told, [
    ['j', 7, 's', drift],
    ['j', 7, 's', drift],
  ]);
});

test('where the source says so, a record of another shape stops the job, by field, partition and offset', async () => {
  const registry = { schemas: (_: string, ids: readonly number[]) => Promise.resolve(ids.map(schemaOf)) };
  const watching = new SchemaExecutor(threads, registry);
  await watching.addStage('j/7/hash/s', withDrift('fail'));
  await assert.rejects(watching.run('j/7/hash/s', task([1], 10)), (error) => {
    assert.ok(isWeirError(error, 'RECORD_SCHEMA_CHANGED'));
    assert.match(
      error.message,
      /^job j, topic t, partition 3: the record at offset 0 .*\(m INT is missing\).*evolve or deadLetter$/,
    );
    return true;
  });
});
