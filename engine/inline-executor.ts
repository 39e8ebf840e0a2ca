/** Runs stages and epochs on the calling thread, at once: for small tasks, for the simulator and for tests. */
import { must } from '../core/assert.ts';
import { WeirError } from '../core/errors.ts';
import type { ModuleSource, UserFunctions } from '../core/job/user-functions.ts';
import type {
  EpochExecutor,
  EpochHost,
  Frame,
  GroupState,
  MapResult,
  MapTask,
  ReduceResult,
  ReduceTask,
} from './epoch/contract.ts';
import { compileHost, hostOptionsOf } from './epoch/host.ts';
import type { EpochsPlan } from './plan/epoch-plan.ts';
import type { StagePlan } from './plan/stage-plan.ts';
import { compileStage } from './run-stage.ts';
import type { CompiledStage } from './run-stage.ts';
import type { Executor, StageResult, StageTask } from './stage.ts';

export class InlineExecutor implements Executor, EpochExecutor {
  readonly threadCount: number;
  readonly #stages = new Map<string, CompiledStage>();
  /** One host per thread that there would be; the first one runs all map stages. */
  readonly #hosts = new Map<string, readonly EpochHost[]>();

  readonly #loadModule: LoadModule;

  /**
   * `threadCount`: how many parts the state of a job has. Default 1. `loadModule`: gives the functions of jobs that have
   * code; without it there are none.
   */
  constructor(options: { readonly threadCount?: number; readonly loadModule?: LoadModule } = {}) {
    this.threadCount = options.threadCount ?? 1;
    this.#loadModule = options.loadModule ?? noModules;
  }

  /** Throws: UNSUPPORTED, SINK_SCHEMA or CONFIG_INVALID for a plan that cannot run. */
  addStage(stageId: string, plan: unknown): Promise<void> {
    return settled(() => {
      this.#stages.set(stageId, compileStage(plan as StagePlan));
    });
  }

  removeStage(stageId: string): Promise<void> {
    this.#stages.delete(stageId);
    return Promise.resolve();
  }

  /** Throws: NOT_FOUND for an unknown stage, BATCH_CORRUPT. The task's bytes stay as they are. */
  run(stageId: string, task: StageTask): Promise<StageResult> {
    return settled(() => {
      const stage = this.#stages.get(stageId);
      if (stage === undefined) throw new WeirError('NOT_FOUND', `there is no stage ${stageId} in this process`);
      return stage.run(task);
    });
  }

  /**
   * `mapOnly`: its state lives elsewhere. Throws: CONFLICT when the key is open; UNSUPPORTED, SINK_SCHEMA,
   * CONFIG_INVALID or USER_CODE_FAILED for a plan that cannot run.
   */
  async openEpochs(key: string, plan: EpochsPlan, mapOnly = false): Promise<void> {
    if (this.#hosts.has(key)) throw new WeirError('CONFLICT', `the epochs of ${key} are open in this process already`);
    const loads = plan.module !== undefined && !mapOnly;
    const functions = loads ? { functions: await this.#loadModule(plan.module) } : {};
    const options = { ...hostOptionsOf(plan, this.threadCount), mapOnly, ...functions };
    this.#hosts.set(
      key,
      Array.from({ length: this.threadCount }, (_, index) => compileHost(plan, { ...options, reduceOnly: index > 0 })),
    );
  }

  closeEpochs(key: string): Promise<void> {
    this.#hosts.delete(key);
    return Promise.resolve();
  }

  /** The task's bytes stay as they are. */
  map(key: string, task: MapTask): Promise<MapResult> {
    return settled(() => this.#host(key, 0).map(task));
  }

  reduce(key: string, thread: number, task: ReduceTask): Promise<ReduceResult> {
    return settled(() => this.#host(key, thread).reduce(task));
  }

  mapAgain(key: string, tasks: readonly MapTask[]): Promise<readonly (readonly Frame[])[]> {
    return settled(() => tasks.map((task) => this.#host(key, 0).map(task).frames));
  }

  replay(key: string, thread: number, tasks: readonly ReduceTask[]): Promise<readonly (readonly Frame[])[]> {
    return settled(() => tasks.map((task) => this.#host(key, thread).replay(task)));
  }

  takeChanged(key: string, thread: number, all: boolean): Promise<GroupState[]> {
    return settled(() => this.#host(key, thread).takeChanged(all));
  }

  restore(key: string, thread: number, states: readonly GroupState[]): Promise<void> {
    return settled(() => {
      for (const state of states) this.#host(key, thread).restore(state);
    });
  }

  drop(key: string, thread: number, groups: readonly number[]): Promise<void> {
    return settled(() => this.#host(key, thread).drop(groups));
  }

  setStatic(key: string, name: string, rows: readonly (readonly unknown[])[]): Promise<void> {
    return settled(() => {
      for (let thread = 0; thread < this.threadCount; thread++) this.#host(key, thread).setStatic(name, rows);
    });
  }

  close(): Promise<void> {
    this.#stages.clear();
    this.#hosts.clear();
    return Promise.resolve();
  }

  #host(key: string, thread: number): EpochHost {
    const hosts = this.#hosts.get(key);
    if (hosts === undefined) throw new WeirError('NOT_FOUND', `the epochs of ${key} are not open in this process`);
    return must(hosts[thread], () => `there is no thread ${thread}`);
  }
}

/** Gives the functions of a job's module. Throws: USER_CODE_FAILED. */
export type LoadModule = (module: ModuleSource) => Promise<UserFunctions>;

function noModules({ entry }: ModuleSource): Promise<UserFunctions> {
  throw new WeirError('UNSUPPORTED', `The code of ${entry} cannot run here: this process runs no code of jobs.`);
}

/** What is thrown becomes a rejection. */
function settled<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(run());
  });
}
