/**
 * Compute threads: one Piscina instance of exactly one thread per core, so that state can be addressed to the thread
 * that holds it. Tasks without state go to the thread with the fewest bytes waiting. Small ones run on the calling
 * thread: below about 200 records the way to a thread and back costs more than the work.
 */
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { must } from '../core/assert.ts';
import { WeirError } from '../core/errors.ts';
import { recordCountOf } from '../engine/codecs/decode-records.ts';
import type {
  EpochExecutor,
  GroupState,
  MapResult,
  MapTask,
  ReduceResult,
  ReduceTask,
} from '../engine/epoch/contract.ts';
import { hostOptionsOf } from '../engine/epoch/host.ts';
import { InlineExecutor } from '../engine/inline-executor.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { StagePlan } from '../engine/plan/stage-plan.ts';
import { BATCH_STRIDE } from '../engine/stage.ts';
import type { Executor, StageResult, StageTask } from '../engine/stage.ts';
import type { ThreadReply, ThreadRequest } from './thread.ts';

export interface ThreadExecutorOptions {
  /** Default: one per core. 0 runs everything inline, as one thread. */
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

export class ThreadExecutor implements Executor, EpochExecutor {
  readonly #threads: readonly Thread[];
  /** Runs small tasks; without threads it also holds the state. */
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

  /** Parts that the state of a job has; at least 1. */
  get threadCount(): number {
    return Math.max(1, this.#threads.length);
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
    const bytes = ownBytes(task.bytes);
    const request: ThreadRequest = { kind: 'run', stageId, task: { ...task, bytes } };
    const reply = await askLoaded(thread, request, bytes.byteLength, [bytes.buffer]);
    return must(reply.kind === 'result' ? reply.result : null, () => NO_RESULT);
  }

  /** Throws: CONFLICT when the key is open, UNSUPPORTED, SINK_SCHEMA, CONFIG_INVALID. */
  async openEpochs(key: string, plan: EpochsPlan): Promise<void> {
    await this.#inline.openEpochs(key, plan);
    const options = hostOptionsOf(plan, this.threadCount);
    try {
      await this.#askAll({ kind: 'openEpochs', key, plan, options });
    } catch (error) {
      await this.closeEpochs(key);
      throw error;
    }
  }

  async closeEpochs(key: string): Promise<void> {
    await this.#inline.closeEpochs(key);
    await this.#askAll({ kind: 'closeEpochs', key });
  }

  /**
   * Runs the task in the least loaded thread, or here when it is small. Its bytes belong to the executor from here on:
   * they may be detached.
   *
   * Throws: NOT_FOUND when the key is not open, BATCH_CORRUPT.
   */
  async map(key: string, task: MapTask): Promise<MapResult> {
    const thread = this.#isSmall(task) ? undefined : this.#leastLoaded();
    if (thread === undefined) return this.#inline.map(key, task);
    const bytes = ownBytes(task.bytes);
    const request: ThreadRequest = { kind: 'map', key, task: { ...task, bytes } };
    const reply = await askLoaded(thread, request, bytes.byteLength, [bytes.buffer]);
    return must(reply.kind === 'mapped' ? reply.result : null, () => NO_RESULT);
  }

  /** The frames stay as they are: whoever sent them keeps them. Throws: NOT_FOUND, STATE_LIMIT. */
  async reduce(key: string, thread: number, task: ReduceTask): Promise<ReduceResult> {
    const to = this.#thread(thread);
    if (to === undefined) return this.#inline.reduce(key, thread, task);
    const size = task.inputs.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    const reply = await askLoaded(to, { kind: 'reduce', key, task }, size);
    return must(reply.kind === 'reduced' ? reply.result : null, () => NO_RESULT);
  }

  async takeChanged(key: string, thread: number, all: boolean): Promise<GroupState[]> {
    const to = this.#thread(thread);
    if (to === undefined) return this.#inline.takeChanged(key, thread, all);
    const reply = await ask(to, { kind: 'takeChanged', key, all });
    return must(reply.kind === 'states' ? reply.states : null, () => NO_RESULT);
  }

  /** The states' bytes stay as they are. Throws: NOT_FOUND, STATE_DAMAGED. */
  async restore(key: string, thread: number, states: readonly GroupState[]): Promise<void> {
    const to = this.#thread(thread);
    if (to === undefined) await this.#inline.restore(key, thread, states);
    else await ask(to, { kind: 'restore', key, states });
  }

  async drop(key: string, thread: number, groups: readonly number[]): Promise<void> {
    const to = this.#thread(thread);
    if (to === undefined) await this.#inline.drop(key, thread, groups);
    else await ask(to, { kind: 'drop', key, groups });
  }

  /** Throws: JOB_INVALID for a value that is not of its column's type. */
  async setStatic(key: string, name: string, rows: readonly (readonly unknown[])[]): Promise<void> {
    await this.#inline.setStatic(key, name, rows);
    await this.#askAll({ kind: 'setStatic', key, name, rows });
  }

  /** Ends the threads once their tasks are done. */
  async close(): Promise<void> {
    await this.#inline.close();
    await Promise.all(this.#threads.map((thread) => thread.pool.close()));
  }

  /** undefined = without threads, where everything is inline. */
  #thread(thread: number): Thread | undefined {
    if (this.#threads.length === 0) return undefined;
    return must(this.#threads[thread], () => `there is no thread ${thread}`);
  }

  async #askAll(request: ThreadRequest): Promise<void> {
    await Promise.all(this.#threads.map((thread) => ask(thread, request)));
  }

  #isSmall(task: Pick<StageTask, 'bytes' | 'batches'>): boolean {
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

const NO_RESULT = 'a thread answered a task without a result';

/** Bytes that fill their memory: a part of a larger buffer cannot be moved away from the others, so it is copied. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const isWhole = bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength;
  return isWhole ? (bytes as Uint8Array<ArrayBuffer>) : bytes.slice();
}

/** As {@link ask}; the thread counts as busy with so many bytes until the answer comes. */
async function askLoaded(
  thread: Thread,
  request: ThreadRequest,
  size: number,
  transferList: ArrayBuffer[] = [],
): Promise<ThreadReply> {
  thread.waitingBytes += size;
  try {
    return await ask(thread, request, transferList);
  } finally {
    thread.waitingBytes -= size;
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
