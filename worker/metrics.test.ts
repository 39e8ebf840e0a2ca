import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobName } from '../core/ids.ts';
import { batchesOf, makeUsers, taskOf, userPlan, userRecord, userTableSink } from '../engine/created-users.fixture.ts';
import type { LanesPlan } from '../engine/plan/job-plan.ts';
import type { StagePlan } from '../engine/plan/stage-plan.ts';
import { compileStage } from '../engine/run-stage.ts';
import type { StageResult } from '../engine/stage.ts';
import { WorkerMetrics } from './metrics.ts';

function planOf(stage: StagePlan): Pick<LanesPlan, 'sources'> {
  const start = { startingOffsets: { kind: 'earliest' }, onDataLoss: 'fail', onFutureTimestamp: 'fail' } as const;
  return { sources: [{ name: 'users', connector: 'kafka', options: {}, topic: 'users_created', ...start, stage }] };
}

function resultsOf(stage: StagePlan, sizes: readonly number[]): StageResult[] {
  const next = makeUsers(7);
  const compiled = compileStage(stage);
  return sizes.map((size) => {
    const records = Array.from({ length: size }, () => userRecord(next(), 1_700_000_000_000));
    return compiled.run(taskOf(batchesOf(records, 50)));
  });
}

async function hashesOf(stage: StagePlan, sizes: readonly number[]): Promise<string[]> {
  const metrics = new WorkerMetrics('1.2.3');
  for (const result of resultsOf(stage, sizes)) {
    // Each batch through an observer of its own, as lanes have.
    metrics.observer(jobName('users'), 'users', planOf(stage) as LanesPlan).batch(result, 1);
  }
  const text = await metrics.registry.metrics();
  return text.split('\n').filter((line) => line.startsWith('weir_blackhole_hash{'));
}

test('the hash of a blackhole sink does not depend on how rows were batched', async () => {
  const stage = userPlan([userTableSink, { kind: 'blackhole', name: 'none' }]);
  const [whole] = resultsOf(stage, [90]);
  const output = whole?.sinks[1];
  assert.ok(output?.kind === 'blackhole' && output.hash > 0);
  const expected = [`weir_blackhole_hash{job_name="users",sink="none"} ${output.hash}`];
  assert.deepEqual(await hashesOf(stage, [90]), expected);
  assert.deepEqual(await hashesOf(stage, [20, 60, 10]), expected);
  assert.notDeepEqual(await hashesOf(stage, [20, 60]), expected);
});

test('a job without a blackhole sink has no hash', async () => {
  assert.deepEqual(await hashesOf(userPlan([userTableSink]), [10]), []);
});
