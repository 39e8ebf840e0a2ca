/**
 * Schemas for stages whose records name them by id: threads cannot wait for a registry, so a stage that meets an unknown
 * id gives its task up, the ids are asked for here, and the task runs again with their schemas. A stage keeps what it has
 * learned: that happens once per schema and thread.
 */
import { isWeirError } from '../core/errors.ts';
import type {
  EpochExecutor,
  Frame,
  GroupState,
  MapResult,
  MapTask,
  ReduceResult,
  ReduceTask,
} from '../engine/epoch/contract.ts';
import { registryOf } from '../engine/formats/value-format.ts';
import type { WriterSchema } from '../engine/formats/value-format.ts';
import { wantedIds } from '../engine/formats/wire-format.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { StagePlan } from '../engine/plan/stage-plan.ts';
import type { Executor, StageResult, StageTask } from '../engine/stage.ts';

export interface SchemaSource {
  /** Throws: SCHEMA_REGISTRY_UNAVAILABLE, UNAUTHORIZED, CONFIG_INVALID. */
  schemas(registry: string, ids: readonly number[]): Promise<readonly WriterSchema[]>;
}

export class SchemaExecutor implements Executor, EpochExecutor {
  readonly #inner: Executor & EpochExecutor;
  readonly #schemas: SchemaSource;
  /** Stages and jobs with a registry: their tasks are copied, so that they can run again. */
  readonly #askers = new Set<string>();

  constructor(inner: Executor & EpochExecutor, schemas: SchemaSource) {
    this.#inner = inner;
    this.#schemas = schemas;
  }

  get threadCount(): number {
    return this.#inner.threadCount;
  }

  async addStage(stageId: string, plan: unknown): Promise<void> {
    await this.#inner.addStage(stageId, plan);
    if (registryOf((plan as StagePlan).format) !== null) this.#askers.add(stageId);
  }

  async removeStage(stageId: string): Promise<void> {
    this.#askers.delete(stageId);
    await this.#inner.removeStage(stageId);
  }

  /** The task's bytes stay as they are when it throws SCHEMA_REGISTRY_UNAVAILABLE. */
  async run(stageId: string, task: StageTask): Promise<StageResult> {
    if (!this.#askers.has(stageId)) return await this.#inner.run(stageId, task);
    return await this.#asking((schemas) => this.#inner.run(stageId, { ...task, bytes: task.bytes.slice(), schemas }));
  }

  async openEpochs(key: string, plan: EpochsPlan): Promise<void> {
    await this.#inner.openEpochs(key, plan);
    if (plan.stages.some((stage) => stage.kind === 'map' && registryOf(stage.scan.format) !== null))
      this.#askers.add(key);
  }

  async closeEpochs(key: string): Promise<void> {
    this.#askers.delete(key);
    await this.#inner.closeEpochs(key);
  }

  async map(key: string, task: MapTask): Promise<MapResult> {
    if (!this.#askers.has(key)) return await this.#inner.map(key, task);
    return await this.#asking((schemas) => {
      const more = task.more?.map((piece) => ({ ...piece, bytes: piece.bytes.slice() }));
      const copy = { ...task, bytes: task.bytes.slice(), schemas };
      return this.#inner.map(key, more === undefined ? copy : { ...copy, more });
    });
  }

  async mapAgain(key: string, tasks: readonly MapTask[]): Promise<readonly (readonly Frame[])[]> {
    if (!this.#askers.has(key)) return await this.#inner.mapAgain(key, tasks);
    return await this.#asking((schemas) => {
      const copies = new Map(tasks.map(({ bytes }) => [bytes, bytes.slice()]));
      return this.#inner.mapAgain(
        key,
        tasks.map((task) => ({ ...task, bytes: copies.get(task.bytes) ?? task.bytes.slice(), schemas })),
      );
    });
  }

  /** Runs until no schema is missing. Ids that the registry does not know count for this task alone. */
  async #asking<T>(run: (schemas: readonly WriterSchema[]) => Promise<T>): Promise<T> {
    const found = new Map<number, WriterSchema>();
    for (;;) {
      try {
        return await run([...found.values()]);
      } catch (error) {
        if (!isWeirError(error, 'SCHEMA_UNKNOWN')) throw error;
        const registry = String(error.facts['registry'] ?? '');
        for (const schema of await this.#schemas.schemas(registry, wantedIds(error))) found.set(schema.id, schema);
      }
    }
  }

  reduce(key: string, thread: number, task: ReduceTask): Promise<ReduceResult> {
    return this.#inner.reduce(key, thread, task);
  }

  replay(key: string, thread: number, tasks: readonly ReduceTask[]): Promise<readonly (readonly Frame[])[]> {
    return this.#inner.replay(key, thread, tasks);
  }

  takeChanged(key: string, thread: number, all: boolean): Promise<GroupState[]> {
    return this.#inner.takeChanged(key, thread, all);
  }

  restore(key: string, thread: number, states: readonly GroupState[]): Promise<void> {
    return this.#inner.restore(key, thread, states);
  }

  drop(key: string, thread: number, groups: readonly number[]): Promise<void> {
    return this.#inner.drop(key, thread, groups);
  }

  setStatic(key: string, name: string, rows: readonly (readonly unknown[])[]): Promise<void> {
    return this.#inner.setStatic(key, name, rows);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
