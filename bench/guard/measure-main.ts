/** The guard's measuring process: see bench/guard.ts. Prints its figures as JSON. */
import { GCProfiler, getHeapStatistics } from 'node:v8';
import { MessagePort, Worker } from 'node:worker_threads';
import { must } from '../../core/assert.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { taskOf, userPlan, userTableSink } from '../../engine/created-users.fixture.ts';
import type { SinkPlan } from '../../engine/plan/stage-plan.ts';
import { compileStage } from '../../engine/run-stage.ts';
import { ThreadExecutor } from '../../worker/threads.ts';
import { BenchUsers } from '../data/users.ts';

const RECORDS_PER_BATCH = 2500;
/** Runs before anything is counted: buffers have grown, code is compiled. */
const WARM_UP_BATCHES = 60;
const MESSAGE_BATCHES = 200;

const records = Number(process.argv[2] ?? '250000');
const users = new BenchUsers(1);
const batch = encodeRecordBatch(
  Array.from({ length: RECORDS_PER_BATCH }, (_, index) => ({
    ...users.bytesAt(index),
    timestampMs: 1_700_000_000_000,
  })),
);
const sinks = {
  blackhole: { kind: 'blackhole', name: 'blackhole' },
  table: userTableSink,
} as const satisfies Record<string, SinkPlan>;

const figures: Record<string, number> = {};
for (const [name, sink] of Object.entries(sinks)) {
  const stage = compileStage(userPlan([sink]));
  const run = (): void => {
    stage.run(taskOf([batch]));
  };
  for (let index = 0; index < WARM_UP_BATCHES; index++) run();
  const batches = Math.ceil(records / RECORDS_PER_BATCH);
  // The task itself is made by the bench: what it costs is taken off.
  const [bareHeap, bareOutside] = allocated(batches, () => taskOf([batch]));
  const [heap, outside] = allocated(batches, run);
  const perRecord = (bytes: number): number => Math.max(0, bytes) / (batches * RECORDS_PER_BATCH);
  figures[`${name}.heapBytesPerRecord`] = perRecord(heap - bareHeap);
  figures[`${name}.outsideBytesPerRecord`] = perRecord(outside - bareOutside);
}
figures['messagesPerBatch'] = await messagesPerBatch();
process.stdout.write(JSON.stringify(figures));
process.exit(0);

/**
 * Bytes allocated on the heap and in buffers outside by calling `run` so often: what there is more in the end, and what
 * collections took away meanwhile.
 */
function allocated(times: number, run: () => void): readonly [heap: number, outside: number] {
  must(globalThis.gc, () => 'run with --expose-gc')();
  const profiler = new GCProfiler();
  profiler.start();
  const before = getHeapStatistics();
  for (let index = 0; index < times; index++) run();
  const after = getHeapStatistics();
  let heap = after.used_heap_size - before.used_heap_size;
  let outside = after.external_memory - before.external_memory;
  for (const { beforeGC, afterGC } of must(profiler.stop(), () => 'the profiler was started').statistics) {
    heap += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
    outside += beforeGC.heapStatistics.externalMemory - afterGC.heapStatistics.externalMemory;
  }
  return [heap, outside];
}

/** Messages to a thread and back, counted where they are posted and received on this side. */
async function messagesPerBatch(): Promise<number> {
  let messages = 0;
  const counted = (target: { postMessage: (...args: never[]) => void }): void => {
    const { postMessage } = target;
    target.postMessage = function (this: unknown, ...args: never[]): void {
      messages++;
      postMessage.apply(this, args);
    };
  };
  counted(MessagePort.prototype);
  counted(Worker.prototype);
  const executor = new ThreadExecutor({ threadCount: 1 });
  await executor.addStage('guard', userPlan([sinks.blackhole]));
  const once = async (): Promise<void> => {
    await executor.run('guard', taskOf([batch]));
  };
  for (let index = 0; index < 3; index++) await once();
  messages = 0;
  for (let index = 0; index < MESSAGE_BATCHES; index++) await once();
  // Every request has one reply, which the thread posts.
  return (2 * messages) / MESSAGE_BATCHES;
}
