/**
 * Key groups whose state stands together: in one host of the executor, folded epoch by epoch as one.
 *
 * Invariants: the host is the cohort's alone and is closed with it, so nothing of a former life is ever in it; what is
 * done to it is done one thing after the other, in the order in which it was asked for; every state stage has folded
 * exactly the epochs up to its own number, for all groups of the cohort; the results of epochs that are not committed
 * are kept with the groups they came from.
 */
import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { EpochEnv, EpochExecutor, Frame, GroupState, ReduceResult, Routing } from '../../engine/epoch/contract.ts';
import type { AssignmentView } from './assignment-view.ts';
import { threadOf } from './assignment-view.ts';
import type { InputFrame } from './epoch-inbox.ts';
import { inSteps } from './replay-steps.ts';

/** What folding one stage of one epoch gave. */
export interface KeptPart {
  readonly groups: ReadonlySet<number>;
  /** The assignment whose destinations the frames name. */
  readonly view: AssignmentView;
  /** Write time of the rows as they were encoded, µs. */
  readonly writeTimeUs: number;
  readonly results: readonly { readonly thread: number; readonly result: ReduceResult }[];
  /** Results whose rows the sinks have acknowledged: they need not be written again. */
  readonly written: Set<ReduceResult>;
}

/** An epoch that is folded again, and the rows that come to one stage of it. */
export interface ReplayedEpoch {
  readonly env: EpochEnv;
  readonly inputs: readonly InputFrame[];
}

export class Cohort {
  /** Names the host. */
  readonly key: string;
  readonly groups: Set<number>;
  /** False until an epoch is folded with it: it is being restored or waits for its first epoch. */
  active = false;
  /** Upstream groups of others are in the host as long as it replays. */
  holdsAll = false;
  readonly #executor: EpochExecutor;
  readonly #epochs: Map<number, number>;
  readonly #kept = new Map<number, Map<number, KeptPart[]>>();
  readonly #ending = new AbortController();
  #last: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  constructor(key: string, executor: EpochExecutor, stateStages: readonly number[], groups: Iterable<number>) {
    this.key = key;
    this.#executor = executor;
    this.groups = new Set(groups);
    this.#epochs = new Map(stateStages.map((stage) => [stage, -1]));
  }

  /** Something went wrong half-way: what is in the host is not to be trusted. */
  get broken(): boolean {
    return this.#failure !== null;
  }

  /** Aborts when the cohort ends. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * Works on the host when everything that was asked for before is through. Work that fails breaks the cohort.
   *
   * Throws: what the work throws; when the cohort was broken before, what broke it; FENCED when it has ended.
   */
  do<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      this.#ending.signal.throwIfAborted();
      if (this.#failure !== null) throw this.#failure.error;
      try {
        return await work();
      } catch (error) {
        this.#failure = { error };
        throw error;
      }
    });
    this.#last = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  /** Nothing that has not begun is done any more; then the host is closed. */
  async end(): Promise<void> {
    this.#ending.abort(new WeirError('FENCED', `the key groups of ${this.key} are given up`));
    await this.#last;
    await this.#executor.closeEpochs(this.key);
  }

  /** The last epoch that every stage has folded; Infinity for a plan without state. */
  get standsAt(): number {
    return Math.min(...this.#epochs.values());
  }

  /** The last epoch that some stage has folded. */
  get reaches(): number {
    return Math.max(...this.#epochs.values());
  }

  epochOf(stage: number): number {
    return must(this.#epochs.get(stage), () => `stage ${stage} has no state`);
  }

  /** All stages stand at `epoch` from here on. */
  setEpoch(epoch: number): void {
    for (const stage of this.#epochs.keys()) this.#epochs.set(stage, epoch);
    this.#kept.clear();
  }

  /** What was kept of a stage of an epoch, if it is all that the cohort's groups gave. */
  kept(epoch: number, stage: number): readonly KeptPart[] | null {
    const parts = this.#kept.get(epoch)?.get(stage) ?? [];
    const covered = parts.reduce((sum, part) => sum + part.groups.size, 0);
    return parts.every(({ groups }) => isSubset(groups, this.groups)) && covered === this.groups.size ? parts : null;
  }

  /** Lets go what was kept of epochs up to `epoch`. */
  forget(epoch: number): void {
    for (const kept of this.#kept.keys()) if (kept <= epoch) this.#kept.delete(kept);
  }

  /** Folds one stage of one epoch. `inputs` hold rows of this cohort's groups alone. */
  fold(
    stage: number,
    env: EpochEnv,
    view: AssignmentView,
    inputs: readonly InputFrame[],
    logPartitions: readonly number[],
  ): Promise<KeptPart> {
    return this.do(() => this.#fold(stage, env, view, inputs, logPartitions));
  }

  async #fold(
    stage: number,
    env: EpochEnv,
    view: AssignmentView,
    inputs: readonly InputFrame[],
    logPartitions: readonly number[],
  ): Promise<KeptPart> {
    const results = await this.#reduce(stage, env, view.routing, inputs, logPartitions);
    const { writeTimeUs } = env;
    const part: KeptPart = { groups: new Set(this.groups), view, writeTimeUs, results, written: new Set() };
    const stages = this.#kept.get(env.epoch) ?? new Map<number, KeptPart[]>();
    stages.set(stage, [part]);
    this.#kept.set(env.epoch, stages);
    return part;
  }

  /**
   * Folds one stage of epochs that were folded before, which follow one another, and gives the frames of each for the
   * stages behind. Within {@link do}.
   */
  async replay(stage: number, epochs: readonly ReplayedEpoch[], routing: Routing): Promise<readonly Frame[][]> {
    const last = must(epochs.at(-1), () => 'no epoch to replay').env.epoch;
    const frames: Frame[][] = epochs.map(() => []);
    const replayed = [...this.#threads()].map(async (thread) => {
      const tasks = epochs.map(({ env, inputs }) => {
        const own = inputs.filter((input) => input.thread === thread).map(({ port, bytes }) => ({ port, bytes }));
        return { stage, env, routing, inputs: own, logPartitions: [] };
      });
      let at = 0;
      for (const some of inSteps(tasks, ({ inputs }) => inputs.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)))
        for (const given of await this.#executor.replay(this.key, thread, some)) frames[at++]?.push(...given);
    });
    await Promise.all(replayed);
    this.#epochs.set(stage, last);
    return frames;
  }

  async #reduce(
    stage: number,
    env: EpochEnv,
    routing: Routing,
    inputs: readonly InputFrame[],
    logPartitions: readonly number[],
  ): Promise<KeptPart['results']> {
    const byThread = new Map<number, { port: number; bytes: Uint8Array }[]>();
    for (const thread of this.#threads()) byThread.set(thread, []);
    for (const { thread, port, bytes } of inputs)
      must(byThread.get(thread), () => `rows for thread ${thread}, which has no key groups`).push({ port, bytes });
    const results = await Promise.all(
      [...byThread].map(async ([thread, own]) => ({
        thread,
        result: await this.#executor.reduce(this.key, thread, { stage, env, routing, inputs: own, logPartitions }),
      })),
    );
    this.#epochs.set(stage, env.epoch);
    return results;
  }

  /** Threads that hold groups of the cohort. */
  #threads(): ReadonlySet<number> {
    const count = this.#executor.threadCount;
    if (this.holdsAll) return new Set(Array.from({ length: count }, (_, thread) => thread));
    return new Set([...this.groups].map((group) => threadOf(group, count)));
  }

  /** Gives groups up. */
  async drop(groups: readonly number[]): Promise<void> {
    for (const group of groups) this.groups.delete(group);
    await this.do(() => dropGroups(this.#executor, this.key, groups));
  }

  /** Takes another cohort's groups over, with their states and kept results: both stand at the same epoch. */
  async join(other: Cohort, states: readonly GroupState[]): Promise<void> {
    const byThread = Map.groupBy(states, ({ group }) => threadOf(group, this.#executor.threadCount));
    await this.do(() =>
      Promise.all([...byThread].map(([thread, own]) => this.#executor.restore(this.key, thread, own))),
    );
    for (const [epoch, stages] of other.#kept) {
      const own = this.#kept.get(epoch) ?? new Map<number, KeptPart[]>();
      for (const [stage, parts] of stages) own.set(stage, [...(own.get(stage) ?? []), ...parts]);
      this.#kept.set(epoch, own);
    }
    for (const group of other.groups) this.groups.add(group);
  }
}

/** Forgets groups in the threads that they live in. */
export async function dropGroups(executor: EpochExecutor, key: string, groups: readonly number[]): Promise<void> {
  const byThread = Map.groupBy(groups, (group) => threadOf(group, executor.threadCount));
  await Promise.all([...byThread].map(([thread, own]) => executor.drop(key, thread, own)));
}

function isSubset(small: ReadonlySet<number>, large: ReadonlySet<number>): boolean {
  for (const item of small) if (!large.has(item)) return false;
  return true;
}
