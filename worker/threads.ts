/**
 * Compute threads: one Piscina instance of exactly one thread each, so that state can be addressed to the thread that
 * holds it. Tasks without state go to the thread with the fewest bytes waiting. Small ones run on the calling
 * thread: below about 200 records the way to a thread and back costs more than the work.
 */
import { availableParallelism } from 'node:os';
import { must } from '../core/assert.ts';
import type { MemoryPool } from '../core/memory-pool.ts';
import { recordCountOf } from '../engine/codecs/decode-records.ts';
import type {
  EpochExecutor,
  Frame,
  GroupState,
  MapResult,
  MapTask,
  ReduceResult,
  ReduceTask,
} from '../engine/epoch/contract.ts';
import { hostOptionsOf } from '../engine/epoch/host.ts';
import { OpenRanges } from '../engine/epoch/range-parts.ts';
import { InlineExecutor } from '../engine/inline-executor.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { StagePlan } from '../engine/plan/stage-plan.ts';
import { BATCH_STRIDE } from '../engine/stage.ts';
import type { Executor, StageResult, StageTask } from '../engine/stage.ts';
import { answered, ComputeThread } from './compute-thread.ts';
import { loadModule } from './load-module.ts';
import type { ThreadReply, ThreadRequest } from './thread.ts';
import { deadlineOf, UserThreads } from './user-threads.ts';

export interface ThreadExecutorOptions {
  /** Default: {@link defaultThreadCount}. 0 runs everything inline, as one thread. */
  readonly threadCount?: number;
  /** Tasks with fewer records run on the calling thread. Default 200. */
  readonly inlineRecordsMax?: number;
  /** Told after every task. */
  readonly onWork?: (work: ThreadWork) => void;
  /** Where the memory of tasks goes that were run; default: to the garbage collector. */
  readonly memory?: MemoryPool;
}

/** That a task was run. */
export interface ThreadWork {
  /** null = the calling thread, or one of the job's own. */
  readonly thread: number | null;
  /** Of the stage of a lane, or of a stateful job's host: begins with the job's name and a slash. */
  readonly key: string;
  /** Place in the plan of a stateful job; null for lanes. */
  readonly stage: number | null;
  /** From when the thread was free for it. */
  readonly ms: number;
}

const INLINE_RECORDS_MAX = 200;
/** Few records may still be many bytes. */
const INLINE_BYTES_MAX = 128 * 1024;

/**
 * One per core but one, which is the event loop's: it reads from sockets, sends to sinks and hands tasks out, and threads
 * that take its core make it and themselves slower (docs/decisions/0010-a-core-for-the-event-loop.md). At least one.
 */
export function defaultThreadCount(): number {
  return Math.max(1, availableParallelism() - 1);
}

export class ThreadExecutor implements Executor, EpochExecutor {
  readonly #threads: readonly ComputeThread[];
  /** Runs small tasks; without threads it also holds the state. */
  readonly #inline = new InlineExecutor({ loadModule });
  readonly #inlineRecordsMax: number;
  readonly #memory: MemoryPool | null;
  readonly #onWork: ((work: ThreadWork) => void) | null;
  readonly #filename: string;
  /** Of stages that write a log: about how many bytes that takes per task. */
  readonly #outputBytes = new Map<string, number>();
  /** Where parts of ranges go, by host, stage and partition; none = to the calling thread. */
  readonly #ranges = new OpenRanges<ComputeThread>();
  /** Of jobs with code, by job and hash of the code: all of a job's hosts share them. */
  readonly #userThreads = new Map<string, UserThreads>();
  /** By key, for jobs with code. */
  readonly #userHosts = new Map<string, { readonly threads: UserThreads; readonly plan: EpochsPlan }>();

  /** The threads start with what is first asked of them, or with {@link start}. */
  constructor(options: ThreadExecutorOptions = {}) {
    const count = options.threadCount ?? defaultThreadCount();
    this.#inlineRecordsMax = options.inlineRecordsMax ?? INLINE_RECORDS_MAX;
    this.#memory = options.memory ?? null;
    this.#onWork = options.onWork ?? null;
    // The thread's file stands beside this one: .ts in the checkout, .js when built.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const filename = new URL(`./thread.${extension}`, import.meta.url).href;
    this.#filename = filename;
    this.#threads = Array.from(
      { length: count },
      (_, thread) => new ComputeThread(filename, (request, ms) => this.#tell(thread, request, ms)),
    );
  }

  /** Threads load their code in the background, so that the first job need not wait for it. */
  start(): void {
    for (const thread of this.#threads) thread.start();
  }

  /** Parts that the state of a job has; at least 1. */
  get threadCount(): number {
    return Math.max(1, this.#threads.length);
  }

  /**
   * Compiles the stage here and in every thread. A thread that is still loading does it before its first task, and
   * nobody waits: what cannot be compiled is refused here. Throws: UNSUPPORTED, SINK_SCHEMA, CONFIG_INVALID.
   */
  async addStage(stageId: string, plan: unknown): Promise<void> {
    await this.#inline.addStage(stageId, plan);
    const request: ThreadRequest = { kind: 'add', stageId, plan: plan as StagePlan };
    const added = this.#threads.map((thread) => ({ loaded: thread.hasAnswered, done: thread.ask(request) }));
    // Whatever else goes wrong in a thread, its tasks tell.
    for (const { done } of added) done.catch(() => undefined);
    await Promise.all(added.filter(({ loaded }) => loaded).map(({ done }) => done));
    if ((plan as StagePlan).sinks.some(({ kind }) => kind === 'log')) this.#outputBytes.set(stageId, 0);
  }

  async removeStage(stageId: string): Promise<void> {
    this.#outputBytes.delete(stageId);
    await this.#inline.removeStage(stageId);
    await Promise.all(this.#threads.map((thread) => thread.ask({ kind: 'remove', stageId })));
  }

  /**
   * Runs the task. The memory of its bytes belongs to the executor from here on: it goes to a thread and comes back into
   * the pool. What a log sink writes comes in memory of the pool, which is then the caller's.
   *
   * Throws: NOT_FOUND for an unknown stage, BATCH_CORRUPT.
   */
  async run(stageId: string, task: StageTask): Promise<StageResult> {
    const memory = must(task.bytes.buffer instanceof ArrayBuffer ? task.bytes.buffer : null, () => SHARED_BYTES);
    const thread = this.#isSmall(task) ? undefined : this.#leastLoaded();
    if (thread === undefined) {
      const result = await this.#here({ kind: 'run', stageId, task }, () => this.#inline.run(stageId, task));
      this.#memory?.give(memory);
      return result;
    }
    const expected = this.#outputBytes.get(stageId) ?? 0;
    const spare = expected > 0 ? this.#memory?.take(expected) : undefined;
    const request: ThreadRequest = { kind: 'run', stageId, task: spare === undefined ? task : { ...task, spare } };
    const buffers = spare === undefined ? [memory] : [memory, spare];
    const reply = await thread.askLoaded(request, task.bytes.byteLength, buffers);
    const { result, spent } = must(reply.kind === 'result' ? reply : null, () => NO_RESULT);
    this.#memory?.give(spent);
    this.#learnOutput(stageId, result);
    return result;
  }

  /** The next task writes about as much as this one, or as those before it. */
  #learnOutput(stageId: string, { sinks }: StageResult): void {
    const known = this.#outputBytes.get(stageId);
    const log = sinks.find((sink) => sink.kind === 'log');
    if (known === undefined || log === undefined) return;
    const bytes = log.appends.reduce((sum, { batch }) => sum + batch.byteLength, 0);
    this.#outputBytes.set(stageId, Math.max(bytes, known * 0.9));
  }

  /**
   * Code of a job runs in threads of its own; its map stages run in the common ones.
   *
   * Throws: CONFLICT when the key is open, UNSUPPORTED, SINK_SCHEMA, CONFIG_INVALID, USER_CODE_FAILED.
   */
  async openEpochs(key: string, plan: EpochsPlan): Promise<void> {
    const mapOnly = plan.module !== undefined && this.#threads.length > 0;
    // Where there are threads, state lives in them; only small map tasks run here.
    await this.#inline.openEpochs(key, plan, this.#threads.length > 0);
    const options = hostOptionsOf(plan, this.threadCount);
    try {
      await this.#askAll({ kind: 'openEpochs', key, plan, options: { ...options, mapOnly } });
      if (mapOnly) await this.#openUserHost({ kind: 'openEpochs', key, plan, options });
    } catch (error) {
      await this.closeEpochs(key);
      throw error;
    }
  }

  async closeEpochs(key: string): Promise<void> {
    this.#ranges.drop(`${key}/`);
    await this.#inline.closeEpochs(key);
    await this.#askAll({ kind: 'closeEpochs', key });
    await this.#closeUserHost(key);
  }

  async #openUserHost(request: Extract<ThreadRequest, { kind: 'openEpochs' }>): Promise<void> {
    const { key, plan } = request;
    const name = `${plan.job}/${plan.module?.hash}`;
    const known = this.#userThreads.get(name);
    const threads =
      known === undefined || known.broken !== null
        ? new UserThreads(plan.job, this.threadCount, this.#filename)
        : known;
    this.#userThreads.set(name, threads);
    threads.keys.add(key);
    this.#userHosts.set(key, { threads, plan });
    await Promise.all(range(threads.count).map((thread) => askUser(threads, thread, request, LOAD_MS_MAX)));
  }

  async #closeUserHost(key: string): Promise<void> {
    const host = this.#userHosts.get(key);
    if (host === undefined) return;
    const { threads } = host;
    this.#userHosts.delete(key);
    threads.keys.delete(key);
    if (threads.keys.size > 0) {
      if (threads.broken === null)
        await Promise.all(
          range(threads.count).map((thread) => askUser(threads, thread, { kind: 'closeEpochs', key }, null)),
        );
      return;
    }
    for (const [name, known] of this.#userThreads) if (known === threads) this.#userThreads.delete(name);
    await threads.close();
  }

  /**
   * Runs the task in the least loaded thread, or here when it is small. The memory of its bytes belongs to the executor
   * from here on, which gives it to a thread and then back into the pool.
   *
   * Throws: NOT_FOUND when the key is not open, BATCH_CORRUPT.
   */
  async map(key: string, task: MapTask): Promise<MapResult> {
    const thread = this.#threadOf(key, task);
    if (thread === undefined) {
      const result = await this.#here({ kind: 'map', key, task }, () => this.#inline.map(key, task));
      for (const { bytes } of [task, ...(task.more ?? [])])
        if (bytes.buffer instanceof ArrayBuffer) this.#memory?.give(bytes.buffer);
      return result;
    }
    const bytes = ownBytes(task.bytes);
    const more = task.more?.map((piece) => ({ ...piece, bytes: ownBytes(piece.bytes) })) ?? [];
    const all = [bytes, ...more.map((piece) => piece.bytes)];
    const size = all.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const own = more.length === 0 ? { ...task, bytes } : { ...task, bytes, more };
    const reply = await thread.askLoaded(
      { kind: 'map', key, task: own },
      size,
      all.map(({ buffer }) => buffer),
    );
    const { result, spent } = must(reply.kind === 'mapped' ? reply : null, () => NO_RESULT);
    for (const memory of spent) this.#memory?.give(memory);
    return result;
  }

  /** undefined = the calling thread. Parts of a range go where the first one went. */
  #threadOf(key: string, task: MapTask): ComputeThread | undefined {
    const { part, stage, partition } = task;
    const place = `${key}/${stage}/${partition}`;
    if (part === undefined || part.isFirst) {
      // What comes behind a small part may be large, and goes the same way.
      const isSmall = part === undefined && task.more === undefined && this.#isSmall(task);
      const thread = isSmall ? undefined : this.#leastLoaded();
      if (part !== undefined && thread !== undefined) this.#ranges.begin(place, part.range, thread);
      return thread;
    }
    const thread = this.#ranges.get(place, part.range);
    if (part.isLast) this.#ranges.end(place, part.range);
    return thread;
  }

  /**
   * The frames stay as they are: whoever sent them keeps them. Throws: NOT_FOUND, STATE_LIMIT, USER_CODE_TIMEOUT,
   * USER_CODE_FAILED.
   */
  async reduce(key: string, thread: number, task: ReduceTask): Promise<ReduceResult> {
    const user = this.#userHosts.get(key);
    if (user !== undefined) {
      const deadlineMs = deadlineOf(user.plan, task.stage);
      const reply = await askUser(user.threads, thread, { kind: 'reduce', key, task }, deadlineMs);
      return must(reply.kind === 'reduced' ? reply.result : null, () => NO_RESULT);
    }
    const to = this.#thread(thread);
    if (to === undefined)
      return this.#here({ kind: 'reduce', key, task }, () => this.#inline.reduce(key, thread, task));
    const size = task.inputs.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    const reply = await to.askLoaded({ kind: 'reduce', key, task }, size);
    return must(reply.kind === 'reduced' ? reply.result : null, () => NO_RESULT);
  }

  /** Throws: as {@link map}. */
  async mapAgain(key: string, tasks: readonly MapTask[]): Promise<readonly (readonly Frame[])[]> {
    const thread = this.#leastLoaded();
    if (thread === undefined) return this.#inline.mapAgain(key, tasks);
    const owned = new Map<Uint8Array, Uint8Array<ArrayBuffer>>();
    for (const { bytes } of tasks) if (!owned.has(bytes)) owned.set(bytes, ownBytes(bytes));
    const size = [...owned.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    const own = tasks.map((task) => ({ ...task, bytes: must(owned.get(task.bytes), () => 'a task without bytes') }));
    const buffers = [...owned.values()].map(({ buffer }) => buffer);
    const reply = await thread.askLoaded({ kind: 'mapAgain', key, tasks: own }, size, buffers);
    return must(reply.kind === 'frames' ? reply.frames : null, () => NO_RESULT);
  }

  /** Throws: as {@link reduce}. */
  async replay(key: string, thread: number, tasks: readonly ReduceTask[]): Promise<readonly (readonly Frame[])[]> {
    const request: ThreadRequest = { kind: 'replay', key, tasks };
    const user = this.#userHosts.get(key);
    if (user !== undefined) {
      const deadlineMs = tasks.reduce((sum, { stage }) => sum + (deadlineOf(user.plan, stage) ?? Infinity), 0);
      const reply = await askUser(user.threads, thread, request, Number.isFinite(deadlineMs) ? deadlineMs : null);
      return must(reply.kind === 'frames' ? reply.frames : null, () => NO_RESULT);
    }
    const to = this.#thread(thread);
    if (to === undefined) return this.#inline.replay(key, thread, tasks);
    const size = tasks.reduce(
      (sum, task) => task.inputs.reduce((bytes, input) => bytes + input.bytes.byteLength, sum),
      0,
    );
    const reply = await to.askLoaded(request, size);
    return must(reply.kind === 'frames' ? reply.frames : null, () => NO_RESULT);
  }

  async takeChanged(key: string, thread: number, all: boolean): Promise<GroupState[]> {
    const reply = await this.#askState(key, thread, { kind: 'takeChanged', key, all });
    if (reply === null) return this.#inline.takeChanged(key, thread, all);
    return must(reply.kind === 'states' ? reply.states : null, () => NO_RESULT);
  }

  /** The states' bytes stay as they are. Throws: NOT_FOUND, STATE_DAMAGED. */
  async restore(key: string, thread: number, states: readonly GroupState[]): Promise<void> {
    const reply = await this.#askState(key, thread, { kind: 'restore', key, states });
    if (reply === null) await this.#inline.restore(key, thread, states);
  }

  async drop(key: string, thread: number, groups: readonly number[]): Promise<void> {
    const reply = await this.#askState(key, thread, { kind: 'drop', key, groups });
    if (reply === null) await this.#inline.drop(key, thread, groups);
  }

  /** Throws: JOB_INVALID for a value that is not of its column's type. */
  async setStatic(key: string, name: string, rows: readonly (readonly unknown[])[]): Promise<void> {
    await this.#inline.setStatic(key, name, rows);
    const request: ThreadRequest = { kind: 'setStatic', key, name, rows };
    await this.#askAll(request);
    const user = this.#userHosts.get(key);
    if (user !== undefined)
      await Promise.all(range(user.threads.count).map((thread) => askUser(user.threads, thread, request, null)));
  }

  /** Ends the threads once their tasks are done. */
  async close(): Promise<void> {
    await this.#inline.close();
    await Promise.all([...this.#userThreads.values()].map((threads) => threads.close()));
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  /** Asks the thread that holds the state; null = it is held inline. */
  async #askState(key: string, thread: number, request: ThreadRequest): Promise<ThreadReply | null> {
    const user = this.#userHosts.get(key);
    if (user !== undefined) return await askUser(user.threads, thread, request, null);
    const to = this.#thread(thread);
    return to === undefined ? null : await to.ask(request);
  }

  /** undefined = without threads, where everything is inline. */
  #thread(thread: number): ComputeThread | undefined {
    if (this.#threads.length === 0) return undefined;
    return must(this.#threads[thread], () => `there is no thread ${thread}`);
  }

  async #askAll(request: ThreadRequest): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.ask(request)));
  }

  /** Runs a task on the calling thread. */
  async #here<T>(request: ThreadRequest, run: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const result = await run();
    this.#tell(null, request, performance.now() - startedAt);
    return result;
  }

  #tell(thread: number | null, request: ThreadRequest, ms: number): void {
    if (request.kind === 'run') this.#onWork?.({ thread, key: request.stageId, stage: null, ms });
    else if (request.kind === 'map' || request.kind === 'reduce')
      this.#onWork?.({ thread, key: request.key, stage: request.task.stage, ms });
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

  #leastLoaded(): ComputeThread | undefined {
    let best = this.#threads[0];
    for (const thread of this.#threads)
      if (best !== undefined && thread.waitingBytes < best.waitingBytes) best = thread;
    return best;
  }
}

/** What loading the code of a job may take. */
const LOAD_MS_MAX = 30_000;

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

const NO_RESULT = 'a thread answered a task without a result';
const SHARED_BYTES = 'the bytes of a task lie in shared memory';

/** Bytes at the start of their memory are alone in it; a part of a larger buffer cannot be moved away from the others, so it is copied. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const isAlone = bytes.buffer instanceof ArrayBuffer && bytes.byteOffset === 0;
  return isAlone ? (bytes as Uint8Array<ArrayBuffer>) : bytes.slice();
}

/** As {@link ComputeThread.ask}, of a thread that runs code of a job. */
async function askUser(
  threads: UserThreads,
  thread: number,
  request: ThreadRequest,
  deadlineMs: number | null,
): Promise<ThreadReply> {
  return answered(await threads.ask(thread, request, deadlineMs));
}
