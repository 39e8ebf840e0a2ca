/**
 * The measuring process of bench/path.ts: `measure-main.ts STEP RECORDS SEED` prints the nanoseconds of CPU per record of
 * one step. A process each, since code that has run many shapes of data is compiled for all of them.
 */
import { must } from '../../core/assert.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { loadJobFile } from '../../core/job/file.ts';
import type { EpochHost, ReduceTask } from '../../engine/epoch/contract.ts';
import { compileHost } from '../../engine/epoch/host.ts';
import type { EpochsPlan } from '../../engine/plan/epoch-plan.ts';
import type { JobPlan } from '../../engine/plan/job-plan.ts';
import { planJob } from '../../engine/plan/plan-job.ts';
import type { StagePlan } from '../../engine/plan/stage-plan.ts';
import { RecordChunks } from '../../engine/record-chunks.ts';
import { compileStage } from '../../engine/run-stage.ts';
import { RecordScanner } from '../../engine/scan/scan-records.ts';
import { timeZoneOf } from '../../engine/scan/time-zone.ts';
import type { StageTask } from '../../engine/stage.ts';
import { jobText as countJob } from '../count.ts';
import { BenchUsers } from '../data/users.ts';
import { median, round } from '../measure/statistics.ts';
import { PROJECTION } from '../noop.ts';
import { ALL_COLUMNS, usersJob } from '../users-topic.ts';
import type { Step } from '../path.ts';

const TASK_RECORDS = 8000;
const BATCH_RECORDS = 1000;
const WARM_ROUNDS = 25;
const MEASURED_ROUNDS = 15;

type InputFrame = ReduceTask['inputs'][number];

const routing = { destinationOf: new Uint8Array(256).map((_, group) => group & 1), destinationCount: 2 };
const epochTsUs = 1_750_000_000_000_000;
const env = { run: 1, epoch: 0, epochTsUs, lateUs: -Infinity, evictUs: -Infinity, writeTimeUs: epochTsUs };

const [name = '', records = '', seed = ''] = process.argv.slice(2);
const tasks = tasksOf(Number(seed), Number(records));
process.stdout.write(String(round(nanosOf(name as Step), 1)));
process.exit(0);

function nanosOf(step: Step): number {
  switch (step) {
    case 'decode': {
      const chunks = new RecordChunks('path', 'users');
      return measured(() => decodeAll(chunks));
    }
    case 'scan 2':
      return measured(scanAll(mapStageOf(countPlan()).scan));
    case 'scan 5':
      return measured(scanAll(noopStage()));
    case 'scan 12':
      return measured(scanAll(tableStage()));
    case 'noop':
      return measured(runAll(noopStage()));
    case 'cassandra':
      return measured(runAll(tableStage()));
    case 'kafka':
      return measured(
        runAll(stageOf(usersJob({ name: 'path', query: ALL_COLUMNS, sink: '{ connector: kafka, topic: out }' }))),
      );
    case 'map': {
      const plan = countPlan();
      const host = compileHost(plan, { stateBytesMax: 2 ** 32 });
      return measured(() => mapAll(plan, host).flat().length);
    }
    case 'fold': {
      const plan = countPlan();
      const hosts = [0, 1].map(() => compileHost(plan, { stateBytesMax: 2 ** 32 }));
      const inputs = mapAll(plan, hosts[0]!);
      return measured(() => foldAll(plan, hosts, inputs));
    }
  }
}

/** Median over the rounds after those that compile. `run`: over all tasks; what came of it, never nothing. */
function measured(run: () => number): number {
  const rounds: number[] = [];
  for (let index = 0; index < WARM_ROUNDS + MEASURED_ROUNDS; index++) {
    const before = process.cpuUsage();
    if (run() === 0) throw new TypeError(`nothing came of ${name}`);
    const { user, system } = process.cpuUsage(before);
    if (index >= WARM_ROUNDS) rounds.push(((user + system) * 1000) / Number(records));
  }
  return median(rounds);
}

function noopStage(): StagePlan {
  return stageOf(usersJob({ name: 'path', query: PROJECTION, sink: '{ connector: blackhole }' }));
}

function tableStage(): StagePlan {
  const sink = '{ connector: cassandra, keyspace: k, table: t, primaryKey: [id], create: true }';
  return stageOf(usersJob({ name: 'path', query: ALL_COLUMNS, sink }));
}

function countPlan(): EpochsPlan {
  const plan = planOf(countJob('count', 'update'));
  if (plan.protocol !== 'epochs') throw new TypeError('not a job of epochs');
  return plan;
}

function mapStageOf(plan: EpochsPlan): Extract<EpochsPlan['stages'][number], { kind: 'map' }> {
  const [stage] = plan.stages;
  if (stage?.kind !== 'map') throw new TypeError('the first stage reads');
  return stage;
}

function tasksOf(seed: number, records: number): StageTask[] {
  const users = new BenchUsers(seed);
  const tasks: StageTask[] = [];
  for (let from = 0; from < records; from += TASK_RECORDS) {
    const batches: number[] = [];
    const parts: Uint8Array[] = [];
    let at = 0;
    for (let first = from; first < from + TASK_RECORDS; first += BATCH_RECORDS) {
      const batch = encodeRecordBatch(
        Array.from({ length: BATCH_RECORDS }, (_, index) => {
          const { key, value } = users.bytesAt(first + index);
          return { key: key.slice(), value: value.slice(), timestampMs: users.timeMsAt(first + index) };
        }),
        { baseOffset: first },
      );
      batches.push(at, at + batch.byteLength, first, 0, users.timeMsAt(first));
      at += batch.byteLength;
      parts.push(batch);
    }
    tasks.push({
      partition: 0,
      run: 1,
      fromOffset: from,
      toOffset: from + TASK_RECORDS,
      stride: 16,
      logPartitions: [4],
      bytes: new Uint8Array(Buffer.concat(parts)),
      batches: Float64Array.from(batches),
    });
  }
  return tasks;
}

function planOf(text: string): JobPlan {
  const { spec, problems } = loadJobFile(text);
  const planned = planJob(
    must(spec, () => JSON.stringify(problems)),
    { tables: null },
  );
  return must(planned.plan, () => JSON.stringify(planned.problems));
}

function stageOf(text: string): StagePlan {
  const plan = planOf(text);
  if (plan.protocol !== 'lanes') throw new TypeError('not a job of lanes');
  return must(plan.sources[0], () => 'a job without a source').stage;
}

function decodeAll(chunks: RecordChunks): number {
  let read = 0;
  for (const task of tasks)
    for (let batch = 0; batch < task.batches.length;) {
      batch = chunks.decode(task, batch);
      read += chunks.records.count;
    }
  return read;
}

function scanAll(plan: ConstructorParameters<typeof RecordScanner>[0]): () => number {
  const chunks = new RecordChunks('path', 'users');
  const zone = must(timeZoneOf('UTC'), () => 'no UTC');
  const scanner = new RecordScanner(plan, zone, chunks.arena);
  const fail = (record: number): never => {
    throw new TypeError(`record ${record} is bad`);
  };
  return () => {
    let rows = 0;
    for (const task of tasks)
      for (let batch = 0; batch < task.batches.length;) {
        batch = chunks.decode(task, batch);
        rows += scanner.scan(chunks.records, 0, 0, chunks.records.count, false, () => false, fail).rowCount;
      }
    return rows;
  };
}

function runAll(plan: StagePlan): () => number {
  const stage = compileStage(plan);
  return () => tasks.reduce((passed, task) => passed + stage.run(task).counters.passed, 0);
}

/** Inputs of the fold by destination. */
function mapAll(plan: EpochsPlan, host: EpochHost): InputFrame[][] {
  const inputs: InputFrame[][] = [[], []];
  const stage = plan.stages.findIndex(({ kind }) => kind === 'map');
  for (const task of tasks)
    for (const frame of host.map({ ...task, stage, env, routing }).frames)
      must(inputs[frame.destination], () => 'no such destination').push(frame);
  return inputs;
}

function foldAll(plan: EpochsPlan, hosts: readonly EpochHost[], inputs: readonly InputFrame[][]): number {
  const stage = plan.stages.findIndex(({ kind }) => kind !== 'map');
  return hosts.reduce(
    (rows, host, index) =>
      rows + host.reduce({ stage, env, routing, inputs: inputs[index] ?? [], logPartitions: [] }).rowsOut,
    0,
  );
}
