/**
 * Whole epochs of a job in one process, without transport: every map task, every exchange, every state stage. Property
 * tests, tests of queries and replays run on it. The outcome does not depend on the number of hosts.
 */
import { assert } from '../../core/assert.ts';
import type { UserFunctions } from '../../core/job/user-functions.ts';
import type { LaneCounters } from '../../core/lane/position.ts';
import { addCounters, zeroCounters } from '../../core/lane/position.ts';
import type { RowBlock } from '../../core/row-block.ts';
import type { EpochsPlan } from '../plan/epoch-plan.ts';
import { KEY_GROUPS } from '../plan/epoch-plan.ts';
import type { OperatorId } from '../plan/logical-plan.ts';
import type { SinkOutput } from '../stage.ts';
import { NO_DESTINATION } from './contract.ts';
import type {
  EpochEnv,
  EpochHost,
  Frame,
  GroupState,
  MapResult,
  Routing,
  StateFigures,
  TaskResult,
} from './contract.ts';
import { splitFrame } from './frame.ts';
import { compileHost } from './host.ts';

export interface LocalOptions {
  /** Key group k lives in host k mod hosts. Default 1. */
  readonly hosts?: number;
  /** Per host. Default: none. */
  readonly stateBytesMax?: number;
  /** Partition counts of the plan's log sinks. Default: 1 each. */
  readonly logPartitions?: readonly number[];
  /** Of the plan's module. */
  readonly functions?: UserFunctions;
}

/** Records of one partition, as in `MapTask`. */
export interface LocalInput {
  readonly source: string;
  readonly partition: number;
  readonly bytes: Uint8Array;
  readonly batches: Float64Array;
  readonly from: number;
  readonly to: number;
}

export interface LocalEpoch {
  readonly env: EpochEnv;
  readonly inputs: readonly LocalInput[];
  /** For a replay: which key groups of which stages take part. Default: all. */
  readonly keep?: (stage: number, group: number) => boolean;
}

export interface LocalResult {
  /** By sink of the plan, what the tasks gave, in the order of stages. */
  readonly outputs: readonly (readonly SinkOutput[])[];
  /** By watermark of the plan, µs; -Infinity = none. */
  readonly eventTimes: readonly number[];
  readonly late: Readonly<Record<OperatorId, number>>;
  readonly counters: LaneCounters;
  readonly rowsOut: number;
  readonly deadLetters: readonly RowBlock[];
  readonly deadByReason: readonly number[];
  /** By stage of the plan, after the epoch. */
  readonly state: readonly StateFigures[];
  /** Of the first map task that failed under onBadRecord: fail; nothing was folded then. */
  readonly failure: MapResult['failure'];
}

export class LocalRun {
  readonly plan: EpochsPlan;
  readonly hosts: readonly EpochHost[];
  readonly #routing: Routing;
  readonly #logPartitions: readonly number[];

  /** Throws what compiling the plan throws. */
  constructor(plan: EpochsPlan, options: LocalOptions = {}) {
    const { hosts = 1, stateBytesMax = Number.POSITIVE_INFINITY } = options;
    const functions = options.functions === undefined ? {} : { functions: options.functions };
    this.plan = plan;
    this.hosts = Array.from({ length: hosts }, () => compileHost(plan, { stateBytesMax, ...functions }));
    this.#routing = {
      destinationOf: Uint8Array.from({ length: KEY_GROUPS }, (_, group) => group % hosts),
      destinationCount: hosts,
    };
    this.#logPartitions = options.logPartitions ?? plan.sinkPlans.filter(({ kind }) => kind === 'log').map(() => 1);
  }

  /** Throws what hosts throw. */
  runEpoch(epoch: LocalEpoch): LocalResult {
    const sums = new Sums(this.plan);
    const waiting = new Map<string, Frame[]>();
    const send = (frames: readonly Frame[]): void => {
      for (const frame of frames.flatMap((each) => this.#kept(each, epoch.keep))) {
        const key = `${frame.stage}/${frame.destination}`;
        const at = waiting.get(key);
        if (at === undefined) waiting.set(key, [frame]);
        else at.push(frame);
      }
    };
    for (const result of this.#map(epoch)) {
      sums.addMap(result);
      send(result.frames);
    }
    if (sums.failure === null) this.#reduce(epoch.env, waiting, send, sums);
    return sums.result(this.hosts);
  }

  /** All state, in the order of stages and groups: equal states are equal byte for byte. */
  states(): GroupState[] {
    return this.hosts
      .flatMap((host) => host.takeChanged(true))
      .filter(({ bytes }) => bytes !== null)
      .toSorted((a, b) => a.stage - b.stage || a.group - b.group);
  }

  /** Puts a state where its key group lives. Throws: STATE_DAMAGED. */
  restore(states: readonly GroupState[]): void {
    for (const state of states) this.hosts[state.group % this.hosts.length]!.restore(state);
  }

  setStatic(name: string, rows: readonly (readonly unknown[])[]): void {
    for (const host of this.hosts) host.setStatic(name, rows);
  }

  #map({ env, inputs }: LocalEpoch): MapResult[] {
    const results: MapResult[] = [];
    this.plan.stages.forEach((stage, index) => {
      if (stage.kind !== 'map') return;
      for (const { source, partition, bytes, batches, from, to } of inputs) {
        if (source !== stage.source) continue;
        const host = this.hosts[results.length % this.hosts.length]!;
        results.push(
          host.map({
            stage: index,
            env,
            routing: this.#routing,
            partition,
            bytes,
            batches,
            fromOffset: from,
            toOffset: to,
            logPartitions: this.#logPartitions,
          }),
        );
      }
    });
    return results;
  }

  #reduce(env: EpochEnv, waiting: Map<string, Frame[]>, send: (frames: readonly Frame[]) => void, sums: Sums): void {
    for (const [stage, { kind }] of this.plan.stages.entries()) {
      if (kind !== 'state') continue;
      for (const [destination, host] of this.hosts.entries()) {
        const inputs = (waiting.get(`${stage}/${destination}`) ?? []).map(({ port, bytes }) => ({ port, bytes }));
        waiting.delete(`${stage}/${destination}`);
        const task = { stage, env, routing: this.#routing, inputs, logPartitions: this.#logPartitions };
        const result = host.reduce(task);
        sums.add(result);
        send(result.frames);
      }
    }
    assert(waiting.size === 0, () => `frames for ${[...waiting.keys()].join()} came after their stage`);
  }

  #kept(frame: Frame, keep: LocalEpoch['keep']): Frame[] {
    if (keep === undefined) return [frame];
    const destinationOf = this.#routing.destinationOf.map((destination, group) =>
      keep(frame.stage, group) ? destination : NO_DESTINATION,
    );
    return splitFrame(frame.bytes, { ...this.#routing, destinationOf });
  }
}

/** Adds up what the tasks of an epoch gave. */
class Sums {
  failure: MapResult['failure'] = null;
  readonly #outputs: SinkOutput[][];
  readonly #eventTimes: number[];
  readonly #late = new Map<OperatorId, number>();
  readonly #deadLetters: RowBlock[] = [];
  #deadByReason: number[] = [];
  #counters = zeroCounters;
  #rowsOut = 0;

  constructor(plan: EpochsPlan) {
    this.#outputs = plan.sinkPlans.map(() => []);
    this.#eventTimes = plan.watermarks.map(() => -Infinity);
  }

  addMap(result: MapResult): void {
    this.failure ??= result.failure;
    this.#counters = addCounters(this.#counters, result.counters);
    this.add(result);
  }

  add(result: TaskResult): void {
    result.sinks.forEach((output, sink) => this.#outputs[sink]?.push(output));
    result.eventTimes.forEach((time, index) => {
      this.#eventTimes[index] = Math.max(this.#eventTimes[index] ?? -Infinity, time);
    });
    for (const [id, rows] of Object.entries(result.late)) this.#late.set(id, (this.#late.get(id) ?? 0) + rows);
    if (result.deadLetters.rowCount > 0) this.#deadLetters.push(result.deadLetters);
    this.#deadByReason = result.deadByReason.map((count, reason) => count + (this.#deadByReason[reason] ?? 0));
    this.#rowsOut += result.rowsOut;
  }

  result(hosts: readonly EpochHost[]): LocalResult {
    const figures = hosts.map((host) => host.figures().byStage);
    const state = (figures[0] ?? []).map((_, stage) =>
      figures.reduce(
        (sum, byStage) => {
          const { rows, bytes, evicted } = byStage[stage]!;
          return { rows: sum.rows + rows, bytes: sum.bytes + bytes, evicted: sum.evicted + evicted };
        },
        { rows: 0, bytes: 0, evicted: 0 },
      ),
    );
    return {
      outputs: this.#outputs,
      eventTimes: this.#eventTimes,
      late: Object.fromEntries(this.#late),
      counters: this.#counters,
      rowsOut: this.#rowsOut,
      deadLetters: this.#deadLetters,
      deadByReason: this.#deadByReason,
      state,
      failure: this.failure,
    };
  }
}
