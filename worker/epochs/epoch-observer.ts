/** What a runner of epochs tells about itself, once per task or epoch: feeds metrics and heartbeats. */
import type { EpochPlan } from '../../core/epoch/types.ts';
import type { LaneId } from '../../core/ids.ts';
import type { LaneCounters } from '../../core/lane/position.ts';
import type { MapResult, ReduceResult, StateFigures, TaskResult } from '../../engine/epoch/contract.ts';

/** map: from the order to MAPPED; fold: state stages, waiting for rows included; write: sinks; total: order to DONE. */
export type EpochPhase = 'map' | 'fold' | 'write' | 'total';

/** One worker's part of an epoch. */
export interface FinishedEpoch {
  readonly key: { readonly run: number; readonly epoch: number; readonly attempt: number };
  readonly plan: EpochPlan;
  /** Partitions that were read here. */
  readonly view: { readonly partitions: ReadonlySet<LaneId> };
  readonly counters: LaneCounters;
}

export interface EpochObserver {
  /** Bytes fetched from a source. */
  read(source: string, bytes: number): void;
  /** One of so many partitions here could not be read on for so long: what was read before was not done with. */
  blocked(ms: number, partitions: number): void;
  /** A map task of this job's records ended. */
  mapped(source: string, result: MapResult): void;
  /** A state stage of an epoch was folded in one thread. */
  folded(result: ReduceResult): void;
  /** A task's rows were acknowledged by every sink; `sinks` are their names, in order. */
  written(sinks: readonly string[], result: Pick<TaskResult, 'sinks'>): void;
  /** All of an epoch was done here; `late` by operator. */
  done(
    late: ReadonlyMap<string, number>,
    epoch: FinishedEpoch,
    sources: readonly { readonly name: string; readonly topic: string }[],
  ): void;
  phase(phase: EpochPhase, ms: number, epoch: number): void;
  /** So many records were acknowledged `ms` after they were appended. */
  latency(ms: number, records: number): void;
  /** Bytes sent to other workers. */
  sent(bytes: number): void;
  /** State of an operator on this worker. */
  state(operator: string, figures: StateFigures): void;
  /** What had changed was stored; ms from when it was taken. */
  snapshot(ms: number, bytes: number): void;
  /** Key groups were brought to where the job stands. */
  restored(groups: number, ms: number): void;
  /** Offsets were gone before they were read. */
  lost(offsets: number): void;
  /** The job holds nothing here any more. */
  left(): void;
}

export const silentEpochObserver: EpochObserver = {
  read: () => undefined,
  blocked: () => undefined,
  mapped: () => undefined,
  folded: () => undefined,
  written: () => undefined,
  done: () => undefined,
  phase: () => undefined,
  latency: () => undefined,
  sent: () => undefined,
  state: () => undefined,
  snapshot: () => undefined,
  restored: () => undefined,
  lost: () => undefined,
  left: () => undefined,
};
