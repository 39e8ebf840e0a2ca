/** Runs stages on the calling thread, at once: for small tasks and for the simulator. */
import { WeirError } from '../core/errors.ts';
import type { StagePlan } from './plan/stage-plan.ts';
import { compileStage } from './run-stage.ts';
import type { CompiledStage } from './run-stage.ts';
import type { Executor, StageResult, StageTask } from './stage.ts';

export class InlineExecutor implements Executor {
  readonly #stages = new Map<string, CompiledStage>();

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

  close(): Promise<void> {
    this.#stages.clear();
    return Promise.resolve();
  }
}

/** What is thrown becomes a rejection. */
function settled<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(run());
  });
}
