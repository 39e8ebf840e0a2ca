/**
 * Stages with lookups, in steps: a small stage gives the keys of a task's records, the event loop asks for their rows,
 * and the stage runs with them. Each lookup whose key depends on another one's row is a step of its own. A task's bytes
 * are read once per step; jobs without lookups never come here.
 */
import { must } from '../../core/assert.ts';
import type { Clock, Rng } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { LookupKey } from '../../core/lookup.ts';
import type { Connections } from '../../core/ports.ts';
import type { LookedUp } from '../../engine/lookups/lookup-rows.ts';
import type { LookupPlan } from '../../engine/plan/lookup-plan.ts';
import type { Executor, StageResult, StageTask } from '../../engine/stage.ts';
import { Lookup } from './lookup.ts';
import type { LookupObserver } from './lookup-observer.ts';
import { silentLookupObserver } from './lookup-observer.ts';

export interface LookupPorts {
  readonly connections: Connections;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly observe?: (job: string, table: string) => LookupObserver;
}

interface Step {
  readonly plan: LookupPlan;
  readonly lookup: Lookup;
}

/**
 * An executor whose stages join with these tables. Throws: what opening a table throws: LOOKUP_UNAVAILABLE, UNAUTHORIZED,
 * FORBIDDEN, LOOKUP_REFUSED, CONFIG_INVALID.
 */
export async function openLookups(
  inner: Executor,
  plans: readonly LookupPlan[],
  ports: LookupPorts,
): Promise<LookupExecutor> {
  const steps: Step[] = [];
  try {
    for (const plan of plans) steps.push({ plan, lookup: await openLookup(plan, ports) });
  } catch (error) {
    await Promise.all(steps.map(({ lookup }) => lookup.close()));
    throw error;
  }
  return new LookupExecutor(inner, steps);
}

/** Throws: as {@link openLookups}. */
export async function openLookup(plan: LookupPlan, { connections, clock, rng, observe }: LookupPorts): Promise<Lookup> {
  const { job, name, connector } = plan.table;
  const place = connections.lookups?.(connector);
  if (place === undefined)
    throw new WeirError('UNSUPPORTED', `job ${job}: nothing is looked up with ${connector} here`);
  const source = await place.open(plan.table);
  return new Lookup({ plan, source, clock, rng, observer: observe?.(job, name) ?? silentLookupObserver });
}

export class LookupExecutor implements Executor {
  readonly #inner: Executor;
  readonly #steps: readonly Step[];

  constructor(inner: Executor, steps: readonly Step[]) {
    this.#inner = inner;
    this.#steps = steps;
  }

  async addStage(stageId: string, plan: unknown): Promise<void> {
    await this.#inner.addStage(stageId, plan);
    for (const [index, step] of this.#steps.entries())
      await this.#inner.addStage(keysId(stageId, index), step.plan.keys);
  }

  async removeStage(stageId: string): Promise<void> {
    for (const index of this.#steps.keys()) await this.#inner.removeStage(keysId(stageId, index));
    await this.#inner.removeStage(stageId);
  }

  /** The task's bytes stay as they are when a lookup fails. Throws: what `Lookup.resolve` throws. */
  async run(stageId: string, task: StageTask): Promise<StageResult> {
    const tables: LookedUp[] = [];
    for (const [index, { lookup }] of this.#steps.entries()) {
      const { spare: _spare, ...rest } = task;
      const own = { ...rest, bytes: task.bytes.slice(), logPartitions: [], tables: [...tables] };
      tables.push(await lookup.resolve(keysIn(await this.#inner.run(keysId(stageId, index), own))));
    }
    return await this.#inner.run(stageId, { ...task, tables });
  }

  /** Ends the lookups; the executor that stages run in stays open. */
  async close(): Promise<void> {
    await Promise.all(this.#steps.map(({ lookup }) => lookup.close()));
  }
}

function keysId(stageId: string, index: number): string {
  return `${stageId}#${index}`;
}

/** The keys that a stage of keys gave, each once. */
export function keysIn({ sinks }: StageResult): readonly LookupKey[] {
  const [output] = sinks;
  const { text } = must(output?.kind === 'keys' ? output : null, () => 'the stage gave no keys');
  return JSON.parse(text) as readonly LookupKey[];
}
