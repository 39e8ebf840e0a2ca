/** The stages and the state of one job in one thread: the implementation of {@link EpochHost}. */
import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { UserFunctions } from '../../core/job/user-functions.ts';
import type { StaticRows } from '../operators/operator.ts';
import type { EpochsPlan } from '../plan/epoch-plan.ts';
import { timeZoneOf } from '../scan/time-zone.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { EpochHost, Frame, GroupState, MapResult, MapTask } from './contract.ts';
import type { ReduceResult, ReduceTask, StateFigures } from './contract.ts';
import { MapRunner } from './map-runner.ts';
import { ReduceRunner } from './reduce-runner.ts';
import { stateOperatorOf } from './state-operators.ts';
import { queryRows } from './static-query.ts';
import { staticRows } from './static-rows.ts';

export interface HostOptions {
  /** Bytes of state that the host may hold, over all stages. */
  readonly stateBytesMax: number;
  /** Of the plan's module, loaded; absent = the plan has none. */
  readonly functions?: UserFunctions;
  /** Runs map stages and keeps no state: that of the job lives in other threads. Default false. */
  readonly mapOnly?: boolean;
  /** Keeps state and runs no map stage: another host does. Default false. */
  readonly reduceOnly?: boolean;
}

/** Bytes of state of one job in one worker where the job does not say. */
const STATE_BYTES_MAX = 2 ** 30;

/** What each of a worker's hosts for a job may hold. */
export function hostOptionsOf(plan: EpochsPlan, threadCount: number): Pick<HostOptions, 'stateBytesMax'> {
  return { stateBytesMax: Math.ceil((plan.stateBytesMax ?? STATE_BYTES_MAX) / threadCount) };
}

/** Throws: UNSUPPORTED, SINK_SCHEMA, CONFIG_INVALID, JOB_INVALID or USER_CODE_FAILED for a plan that cannot run. */
export function compileHost(plan: EpochsPlan, options: HostOptions): EpochHost {
  const timeZone = timeZoneOf(plan.timeZone);
  if (timeZone === undefined)
    throw new WeirError('CONFIG_INVALID', `job ${plan.job}: there is no time zone ${plan.timeZone}`);
  return new Host(plan, options, timeZone);
}

class Host implements EpochHost {
  readonly #plan: EpochsPlan;
  readonly #timeZone: TimeZone;
  readonly #stateBytesMax: number;
  readonly #statics = new Map<string, StaticRows>();
  /** By index of the plan's stage. */
  readonly #maps = new Map<number, MapRunner>();
  readonly #reduces = new Map<number, ReduceRunner>();

  constructor(plan: EpochsPlan, options: HostOptions, timeZone: TimeZone) {
    const { stateBytesMax, functions, mapOnly = false, reduceOnly = false } = options;
    this.#plan = plan;
    this.#timeZone = timeZone;
    this.#stateBytesMax = stateBytesMax;
    plan.stages.forEach((stage, index) => {
      if (stage.kind === 'map') {
        if (!reduceOnly) this.#maps.set(index, new MapRunner(plan, index, stage, timeZone, this.#statics));
      } else if (!mapOnly) {
        const operator = stateOperatorOf(stage, plan, functions ?? null);
        this.#reduces.set(index, new ReduceRunner(plan, index, stage, operator, timeZone, this.#statics));
      }
    });
    for (const { name, rows } of plan.statics) if (rows.kind === 'inline') this.#setRows(name, rows.rows);
    this.#computeTables();
  }

  map(task: MapTask): MapResult {
    return must(this.#maps.get(task.stage), () => `stage ${task.stage} is no map stage`).run(task);
  }

  reduce(task: ReduceTask): ReduceResult {
    const result = this.#reduce(task.stage).run(task);
    this.#checkBound();
    return result;
  }

  replay(task: ReduceTask): readonly Frame[] {
    const frames = this.#reduce(task.stage).replay(task);
    this.#checkBound();
    return frames;
  }

  #checkBound(): void {
    const { bytes } = this.figures();
    if (bytes > this.#stateBytesMax) {
      throw new WeirError(
        'STATE_LIMIT',
        `job ${this.#plan.job}: its state takes ${mib(bytes)} MiB in one thread, and ${mib(this.#stateBytesMax)} MiB are allowed; add workers, raise the bound or let the state expire by a watermark`,
        { facts: { bytes, bytesMax: this.#stateBytesMax } },
      );
    }
  }

  takeChanged(all: boolean): GroupState[] {
    const states: GroupState[] = [];
    for (const [stage, { operator }] of this.#reduces) {
      const groups = all ? operator.groups() : operator.changedGroups();
      for (const group of groups) states.push({ stage, group, bytes: operator.encodeGroup(group) });
      operator.clearChanged();
    }
    return states;
  }

  restore({ stage, group, bytes, sections }: GroupState): void {
    this.#reduce(stage).operator.restoreGroup(group, bytes, sections ?? null);
  }

  drop(groups: readonly number[]): void {
    for (const { operator } of this.#reduces.values()) for (const group of groups) operator.dropGroup(group);
  }

  setStatic(name: string, rows: readonly (readonly unknown[])[]): void {
    this.#setRows(name, rows);
    this.#computeTables();
  }

  /** The tables that queries make of others; each stands behind those that it reads. */
  #computeTables(): void {
    const { statics, timeZone } = this.#plan;
    const columnsOf = (name: string): readonly string[] =>
      statics.find((table) => table.name === name)?.schema.map((field) => field.name) ?? [];
    for (const table of statics) {
      if (table.rows.kind !== 'query') continue;
      const rows = queryRows(table, table.rows, timeZone, (name) => this.#statics.get(name), columnsOf);
      if (rows !== undefined) this.#statics.set(table.name, rows);
    }
  }

  #setRows(name: string, rows: readonly (readonly unknown[])[]): void {
    const { job, statics } = this.#plan;
    const table = must(
      statics.find((each) => each.name === name),
      () => `the plan has no static table ${name}`,
    );
    this.#statics.set(name, staticRows(table.schema, rows, this.#timeZone, `job ${job}: table ${name}`));
  }

  figures(): { readonly rows: number; readonly bytes: number; readonly byStage: readonly StateFigures[] } {
    const byStage = this.#plan.stages.map(
      (_, index) => this.#reduces.get(index)?.operator.figures() ?? { rows: 0, bytes: 0, evicted: 0 },
    );
    return {
      rows: byStage.reduce((sum, { rows }) => sum + rows, 0),
      bytes: byStage.reduce((sum, { bytes }) => sum + bytes, 0),
      byStage,
    };
  }

  #reduce(stage: number): ReduceRunner {
    return must(this.#reduces.get(stage), () => `stage ${stage} keeps no state`);
  }
}

function mib(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}
