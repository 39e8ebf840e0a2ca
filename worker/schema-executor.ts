/**
 * Schemas for stages whose records name them by id: threads cannot wait for a registry, so a stage that meets an unknown
 * id gives its task up, the ids are asked for here, and the task runs again with their schemas. A stage keeps what it has
 * learned: that happens once per schema and thread.
 *
 * What tasks tell of records with another shape than their schema passes on here, and stops the job where its source says so.
 */
import { isWeirError, WeirError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import { describeFieldChange } from '../core/field-change.ts';
import type {
  EpochExecutor,
  Frame,
  GroupState,
  MapResult,
  MapTask,
  ReduceResult,
  ReduceTask,
} from '../engine/epoch/contract.ts';
import { shapeReasons } from '../engine/formats/field-drift.ts';
import type { DriftPolicy, FieldDrift } from '../engine/formats/field-drift.ts';
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

type ShapeFacts = Pick<StageResult, 'drift' | 'failure'>;

/** A source that says what to do about records of another shape. */
interface WatchedSource {
  readonly job: string;
  readonly run: number;
  readonly source: string;
  readonly topic: string;
  readonly policy: DriftPolicy;
}

/** Told of every difference that a thread meets for the first time. */
export type OnDrift = (job: string, run: number, source: string, drift: FieldDrift) => void;

export class SchemaExecutor implements Executor, EpochExecutor {
  readonly #inner: Executor & EpochExecutor;
  readonly #schemas: SchemaSource;
  /** Stages and jobs with a registry: their tasks are copied, so that they can run again. */
  readonly #askers = new Set<string>();
  /** By stage or key, then by the stage's place in the plan (0 for lanes). */
  readonly #watched = new Map<string, ReadonlyMap<number, WatchedSource>>();
  readonly #onDrift: OnDrift;

  constructor(inner: Executor & EpochExecutor, schemas: SchemaSource, onDrift: OnDrift = () => undefined) {
    this.#inner = inner;
    this.#schemas = schemas;
    this.#onDrift = onDrift;
  }

  get threadCount(): number {
    return this.#inner.threadCount;
  }

  async addStage(stageId: string, plan: unknown): Promise<void> {
    await this.#inner.addStage(stageId, plan);
    const stage = plan as StagePlan;
    if (registryOf(stage.format) !== null) this.#askers.add(stageId);
    const { job, source, topic, drift } = stage;
    if (drift !== undefined)
      this.#watched.set(stageId, new Map([[0, { job, run: runOf(stageId), source, topic, policy: drift.policy }]]));
  }

  async removeStage(stageId: string): Promise<void> {
    this.#askers.delete(stageId);
    this.#watched.delete(stageId);
    await this.#inner.removeStage(stageId);
  }

  /** The task's bytes stay as they are when it throws SCHEMA_REGISTRY_UNAVAILABLE. */
  async run(stageId: string, task: StageTask): Promise<StageResult> {
    const result = this.#askers.has(stageId)
      ? await this.#asking((schemas) => this.#inner.run(stageId, { ...task, bytes: task.bytes.slice(), schemas }))
      : await this.#inner.run(stageId, task);
    this.#look(stageId, 0, task.partition, result);
    return result;
  }

  async openEpochs(key: string, plan: EpochsPlan): Promise<void> {
    await this.#inner.openEpochs(key, plan);
    if (plan.stages.some((stage) => stage.kind === 'map' && registryOf(stage.scan.format) !== null))
      this.#askers.add(key);
    const watched = new Map<number, WatchedSource>();
    for (const [index, stage] of plan.stages.entries()) {
      if (stage.kind !== 'map' || stage.scan.drift === undefined) continue;
      const { topic, drift } = stage.scan;
      watched.set(index, { job: plan.job, run: runOf(key), source: stage.source, topic, policy: drift.policy });
    }
    if (watched.size > 0) this.#watched.set(key, watched);
  }

  async closeEpochs(key: string): Promise<void> {
    this.#askers.delete(key);
    this.#watched.delete(key);
    await this.#inner.closeEpochs(key);
  }

  async map(key: string, task: MapTask): Promise<MapResult> {
    const result = this.#askers.has(key) ? await this.#mapAsking(key, task) : await this.#inner.map(key, task);
    this.#look(key, task.stage, task.partition, result);
    return result;
  }

  async #mapAsking(key: string, task: MapTask): Promise<MapResult> {
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

  /** Passes on what a task tells of shapes. Throws: the reason, where the source says that a record stops the job. */
  #look(key: string, stage: number, partition: number, { drift, failure }: ShapeFacts): void {
    const watched = this.#watched.get(key)?.get(stage);
    if (watched === undefined) return;
    const { job, run, source, topic, policy } = watched;
    for (const each of drift ?? []) this.#onDrift(job, run, source, each);
    if (failure === null || policy !== 'fail' || !shapeReasons.has(failure.code)) return;
    const { offset, code, place } = failure;
    const met = drift?.find(({ column }) => column === place);
    const what = met === undefined ? `field ${place}, ${code}` : describeFieldChange(met);
    throw new WeirError(
      code as ErrorCode,
      `job ${job}, topic ${topic}, partition ${partition}: the record at offset ${offset} has another shape than the ` +
        `schema of ${source} (${what}) and onSchemaChange is fail; correct the producer, or submit the job with the ` +
        'field in its schema, or with onSchemaChange: evolve or deadLetter',
      { facts: { partition, offset, field: place } },
    );
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

/** Keys begin with `<job>/<run>`. */
function runOf(key: string): number {
  return Number(key.split('/')[1]);
}
