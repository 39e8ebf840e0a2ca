import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobName, laneId, offset, partition, topicId } from '../core/ids.ts';
import { batchesOf, makeUsers, taskOf, userPlan, userRecord, userTableSink } from '../engine/created-users.fixture.ts';
import type { LanesPlan } from '../engine/plan/job-plan.ts';
import type { StagePlan } from '../engine/plan/stage-plan.ts';
import { compileStage } from '../engine/run-stage.ts';
import type { StageResult } from '../engine/stage.ts';
import type { FinishedEpoch } from './epochs/epoch-observer.ts';
import type { BatchPlace } from './observer.ts';
import { WorkerMetrics } from './metrics.ts';
import type { Worker } from './worker.ts';

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

const place: BatchPlace = { partition: partition(0), from: offset(0), to: offset(1) };
const finished = { key: { run: 1, epoch: 1, attempt: 1 }, view: { partitions: new Set() } } as unknown as FinishedEpoch;

async function hashesOf(stage: StagePlan, sizes: readonly number[]): Promise<string[]> {
  const metrics = new WorkerMetrics('1.2.3');
  for (const result of resultsOf(stage, sizes)) {
    // Each batch through an observer of its own, as lanes have.
    metrics.observer(jobName('users'), 'users', planOf(stage) as LanesPlan).batch(result, 1, place);
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

test('epochs are counted by job, stage and operator, and gauges go when the job leaves', async () => {
  const metrics = new WorkerMetrics('1.2.3');
  const observer = metrics.epochObserver(jobName('counts'));
  observer.state('aggregate-1', { rows: 7, bytes: 900, evicted: 2 });
  observer.state('aggregate-1', { rows: 5, bytes: 700, evicted: 3 });
  observer.done(
    new Map([
      ['aggregate-1', 4],
      ['dedup-2', 0],
    ]),
    finished,
    [],
  );
  observer.written(['none'], { sinks: [{ kind: 'blackhole', rowCount: 11, hash: 3 }] });
  observer.latency(12, 100);
  const figuresOf = async (): Promise<string[]> =>
    (await metrics.registry.metrics())
      .split('\n')
      .filter((line) => /^weir_(state|late|epochs|rows|blackhole)\w*\{/.test(line))
      .sort();
  const counters = [
    'weir_blackhole_hash{job_name="counts",sink="none"} 3',
    'weir_epochs_total{job_name="counts"} 1',
    'weir_late_rows_total{job_name="counts",operator="aggregate-1"} 4',
    'weir_rows_written_total{job_name="counts",sink="none"} 11',
    'weir_state_evicted_total{job_name="counts",operator="aggregate-1"} 5',
  ];
  const gauges = [
    'weir_state_bytes{job_name="counts",operator="aggregate-1"} 700',
    'weir_state_rows{job_name="counts",operator="aggregate-1"} 5',
  ];
  assert.deepEqual(await figuresOf(), [...counters, ...gauges].sort());
  observer.left();
  assert.deepEqual(await figuresOf(), counters);
  const [figures] = metrics.takeFigures();
  assert.deepEqual(
    [figures?.job, figures?.rows, figures?.latencyBuckets.reduce((sum, count) => sum + count, 0)],
    ['counts', 11, 100],
  );
});

/** What of a worker the metrics look at: lanes of two jobs, each with a lag of 10. */
function workerWith(partitions: Readonly<Record<string, number>>): Worker {
  const position = { nextOffset: 90 };
  const lanesOf = (count: number): unknown[] =>
    Array.from({ length: count }, (_, number) => ({
      lane: laneId({ source: 's', topicId: topicId('t'), partition: partition(number) }),
      topic: 'birds',
      state: 'running',
      position,
      endOffset: 100,
      aheadMs: -5,
    }));
  const runner = { sinkSets: () => [] };
  const snapshots = Object.entries(partitions).map(([job, count]) => ({ job, runner, lanes: lanesOf(count) }));
  return { snapshots: () => snapshots, epochRunners: () => [] } as unknown as Worker;
}

test('series by partition are bounded, and sums stay right', async () => {
  const metrics = new WorkerMetrics('1.2.3', { partitionSeriesMax: 5 });
  metrics.watch(workerWith({ few: 4, many: 200 }));
  const text = await metrics.registry.metrics();
  const lag = text.split('\n').filter((line) => line.startsWith('weir_consumer_lag_records{'));
  assert.equal(lag.length, 5);
  assert.ok(lag.includes('weir_consumer_lag_records{job_name="few",topic="birds",partition="3"} 10'));
  assert.ok(lag.includes('weir_consumer_lag_records{job_name="many",topic="birds",partition="all"} 2000'));
});

test('the time of threads goes to stages, and in parts to the master', async () => {
  const metrics = new WorkerMetrics('1.2.3');
  metrics.hasThreads(2);
  const plan = planOf(userPlan([userTableSink])) as LanesPlan;
  metrics.observer(jobName('users'), 'users', plan).blocked(30);
  metrics.worked({ thread: 1, key: 'users/1/definition/users', stage: null, ms: 400 });
  metrics.worked({ thread: null, key: 'counts/1/groups-7', stage: 2, ms: 50 });
  const text = await metrics.registry.metrics();
  for (const line of [
    'weir_thread_busy_seconds_total{thread="0"} 0',
    'weir_thread_busy_seconds_total{thread="1"} 0.4',
    'weir_stage_busy_seconds_total{job_name="users",stage="0"} 0.4',
    'weir_stage_busy_seconds_total{job_name="counts",stage="2"} 0.05',
    'weir_lane_blocked_seconds_total{job_name="users"} 0.03',
  ])
    assert.ok(text.split('\n').includes(line), line);
  const figures = new Map(metrics.takeFigures().map((of) => [of.job, of]));
  assert.deepEqual(figures.get('users')?.busy, [{ stage: 0, ms: 200 }]);
  assert.equal(figures.get('users')?.blockedMs, 30);
  assert.deepEqual(figures.get('counts')?.busy, [{ stage: 2, ms: 25 }]);
  assert.deepEqual(metrics.takeFigures(), []);
});

test('partitions of a stateful job that are not read on: the sum for Prometheus, the mean for the master', async () => {
  const metrics = new WorkerMetrics('1.2.3');
  const observer = metrics.epochObserver(jobName('counts'));
  observer.blocked(300, 4);
  observer.blocked(100, 4);
  const text = await metrics.registry.metrics();
  assert.ok(text.split('\n').includes('weir_lane_blocked_seconds_total{job_name="counts"} 0.4'));
  assert.equal(metrics.takeFigures()[0]?.blockedMs, 100);
  assert.deepEqual(metrics.takeFigures(), []);
});

test('the master is told how long rows waited for sinks since it was told last, also while nothing is acknowledged', () => {
  const metrics = new WorkerMetrics('1.2.3');
  let waited = [10, 400];
  const set = { waitedMs: () => waited, stats: () => [] };
  // Another source of the same job writes to the same sinks.
  const other = { waitedMs: () => waited.map((ms) => ms / 2), stats: () => [] };
  const runner = { sinkSets: () => [set, other] };
  const snapshots = [{ job: 'users', runner, lanes: [] }];
  metrics.watch({ snapshots: () => snapshots, epochRunners: () => [] } as unknown as Worker);
  metrics.observer(jobName('users'), 'users', planOf(userPlan([userTableSink])) as LanesPlan);
  const told = (): unknown => metrics.takeFigures()[0]?.sinks;
  assert.deepEqual(told(), [
    { sink: 0, ms: 10 },
    { sink: 1, ms: 400 },
  ]);
  assert.equal(told(), undefined);
  waited = [10, 900];
  assert.deepEqual(told(), [
    { sink: 0, ms: 0 },
    { sink: 1, ms: 500 },
  ]);
});
