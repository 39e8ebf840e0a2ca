/**
 * Compute threads: one Piscina instance of exactly one thread per core, so that a stage (and later its state) can be
 * addressed to a thread. Stateless tasks go to the thread with the fewest bytes waiting. Small tasks run on the calling
 * thread: below about 200 records the way to a thread and back costs more than the work.
 */
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { must } from '../core/assert.ts';
import { WeirError } from '../core/errors.ts';
import { recordCountOf } from '../engine/codecs/decode-records.ts';
import { InlineExecutor } from '../engine/inline-executor.ts';
import type { StagePlan } from '../engine/plan/stage-plan.ts';
import { BATCH_STRIDE } from '../engine/stage.ts';
import type { Executor, StageResult, StageTask } from '../engine/stage.ts';
import type { ThreadReply, ThreadRequest } from './thread.ts';

export interface ThreadExecutorOptions {
  /** Default: one per core. 0 runs everything inline. */
  readonly threadCount?: number;
  /** Tasks with fewer records run on the calling thread. Default 200. */
  readonly inlineRecordsMax?: number;
}

const INLINE_RECORDS_MAX = 200;
/** Few records may still be many bytes. */
const INLINE_BYTES_MAX = 128 * 1024;

interface Thread {
  readonly pool: Piscina<ThreadRequest, ThreadReply>;
  /** Bytes of tasks sent and not answered. */
  waitingBytes: number;
}

export class ThreadExecutor implements Executor {
  readonly #threads: readonly Thread[];
  readonly #inline = new InlineExecutor();
  readonly #inlineRecordsMax: number;

  /** Starts the threads; they load in the background. */
  constructor(options: ThreadExecutorOptions = {}) {
    const count = options.threadCount ?? availableParallelism();
    this.#inlineRecordsMax = options.inlineRecordsMax ?? INLINE_RECORDS_MAX;
    // The thread's file stands beside this one: .ts in the checkout, .js when built.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const filename = new URL(`./thread.${extension}`, import.meta.url).href;
    this.#threads = Array.from({ length: count }, () => ({
      pool: new Piscina<ThreadRequest, ThreadReply>({
        filename,
        minThreads: 1,
        maxThreads: 1,
        recordTiming: false,
      }),
      waitingBytes: 0,
    }));
  }

  get threadCount(): number {
    return this.#threads.length;
  }

  /** Compiles the stage here and in every thread. Throws: UNSUPPORTED, SINK_SCHEMA, CONFIG_INVALID. */
  async addStage(stageId: string, plan: unknown): Promise<void> {
    await this.#inline.addStage(stageId, plan);
    await Promise.all(this.#threads.map((thread) => ask(thread, { kind: 'add', stageId, plan: plan as StagePlan })));
  }

  async removeStage(stageId: string): Promise<void> {
    await this.#inline.removeStage(stageId);
    await Promise.all(this.#threads.map((thread) => ask(thread, { kind: 'remove', stageId })));
  }

  /**
   * Runs the task. Its bytes belong to the executor from here on: they may be detached.
   *
   * Throws: NOT_FOUND for an unknown stage, BATCH_CORRUPT.
   */
  async run(stageId: string, task: StageTask): Promise<StageResult> {
    const thread = this.#isSmall(task) ? undefined : this.#leastLoaded();
    if (thread === undefined) return this.#inline.run(stageId, task);
    const { bytes } = task;
    // A part of a larger buffer cannot be moved away from the others.
    const isWhole = bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength;
    const own = isWhole ? (bytes as Uint8Array<ArrayBuffer>) : bytes.slice();
    const size = own.byteLength;
    thread.waitingBytes += size;
    try {
      const reply = await ask(thread, { kind: 'run', stageId, task: { ...task, bytes: own } }, [own.buffer]);
      return must(reply.kind === 'result' ? reply.result : null, () => 'a thread answered a task without a result');
    } finally {
      thread.waitingBytes -= size;
    }
  }

  /** Ends the threads once their tasks are done. */
  async close(): Promise<void> {
    await this.#inline.close();
    await Promise.all(this.#threads.map((thread) => thread.pool.close()));
  }

  #isSmall(task: StageTask): boolean {
    if (task.bytes.byteLength > INLINE_BYTES_MAX) return false;
    let records = 0;
    for (let batch = 0; batch < task.batches.length; batch += BATCH_STRIDE) {
      records += recordCountOf(
        task.bytes,
        must(task.batches[batch], () => 'batch without a start'),
      );
    }
    return records < this.#inlineRecordsMax;
  }

  #leastLoaded(): Thread | undefined {
    let best = this.#threads[0];
    for (const thread of this.#threads)
      if (best !== undefined && thread.waitingBytes < best.waitingBytes) best = thread;
    return best;
  }
}

/** Sends a request; an error in the thread is thrown here with its code. */
async function ask(thread: Thread, request: ThreadRequest, transferList: ArrayBuffer[] = []): Promise<ThreadReply> {
  const reply = await thread.pool.run(request, { transferList });
  if (reply.kind !== 'error') return reply;
  if (reply.code !== null) throw new WeirError(reply.code, reply.message, { facts: reply.facts });
  const error = new Error(reply.message);
  error.name = reply.name;
  error.stack = reply.stack;
  throw error;
}
