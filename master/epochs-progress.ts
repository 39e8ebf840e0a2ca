/** Figures of a stateful job for people: Spark's StreamingQueryProgress names where there are such. */
import type { EpochAssignment, EpochHead, EpochPlan, OffsetRange } from '../core/epoch/types.ts';
import type { LaneId, Offset } from '../core/ids.ts';
import { parseLaneId } from '../core/ids.ts';
import type { LaneCounters } from '../core/lane/position.ts';
import { zeroCounters } from '../core/lane/position.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { EpochDone } from '../proto/gen/control.ts';
import type { EpochLogs } from './epochs-logs.ts';

const DURATIONS_KEPT = 64;

/** An epoch that came through, with the moments it passed (monotonic ms). */
export interface FinishedEpoch {
  readonly plan: EpochPlan;
  readonly attempt: number;
  readonly done: ReadonlyMap<string, EpochDone>;
  readonly plannedAt: number;
  readonly mappedAt: number | null;
  readonly doneAt: number | null;
}

/** One state operator over all workers. */
export interface StateOperatorView {
  readonly operatorName: string;
  readonly numRowsTotal: number;
  readonly memoryUsedBytes: number;
  readonly numRowsRemoved: number;
  /** Since the run began. */
  readonly numRowsDroppedByWatermark: number;
}

export interface EpochSourceView {
  readonly description: string;
  readonly startOffset: Readonly<Record<string, number>>;
  readonly endOffset: Readonly<Record<string, number>>;
  readonly latestOffset: Readonly<Record<string, number>>;
}

/** The last committed epoch. */
export interface EpochProgressView {
  readonly batchId: number;
  readonly numInputRows: number;
  /** ms from plan to commit. */
  readonly batchDuration: number;
  readonly durationMs: {
    /** Making the plan durable. */
    readonly walCommit: number;
    /** Reading and mapping. */
    readonly map: number;
    /** Exchange, state and sinks. */
    readonly addBatch: number;
    readonly commitOffsets: number;
    readonly triggerExecution: number;
  };
  readonly attempts: number;
  readonly sources: readonly EpochSourceView[];
}

export interface EpochsView {
  /** Last epoch planned and committed; -1 = none. */
  readonly planned: number;
  readonly committed: number;
  /** In force in the next epoch, ms since 1970; null = none yet. */
  readonly watermarkMs: number | null;
  readonly positions: Readonly<Record<string, number>>;
  readonly counters: LaneCounters;
  readonly late: Readonly<Record<string, number>>;
  readonly lag: number;
  readonly stateOperators: readonly StateOperatorView[];
  readonly snapshotEpoch: number | null;
  /** ms since the last one this master saw; null = none. */
  readonly snapshotAgeMs: number | null;
  readonly snapshotBytes: number;
  readonly workers: readonly { readonly id: string; readonly groups: number; readonly partitions: number }[];
  readonly lastProgress: EpochProgressView | null;
  /** Epoch durations over the last epochs, ms; null = none yet. */
  readonly epochMsP50: number | null;
  readonly epochMsP99: number | null;
  /** Gaps between commits over the last epochs, ms. */
  readonly commitGapMsP99: number | null;
  readonly waiting: { readonly code: string; readonly message: string } | null;
}

export interface EpochsKnowledge {
  readonly head: EpochHead | null;
  readonly assignment: EpochAssignment | null;
  /** null while nobody reads. */
  readonly logs: EpochLogs | null;
  readonly snapshotBytes: number;
  readonly now: number;
  readonly waiting: { readonly code: string; readonly message: string } | null;
}

export class EpochProgress {
  readonly #plan: EpochsPlan;
  readonly #planMs: number[] = [];
  readonly #epochMs: number[] = [];
  readonly #gapsMs: number[] = [];
  /** By worker and stage. */
  readonly #state = new Map<string, ReadonlyMap<number, StageFigures>>();
  readonly #removed = new Map<number, number>();
  #last: FinishedEpoch | null = null;
  #committedAt: number | null = null;
  #snapshotAt: number | null = null;

  constructor(plan: EpochsPlan) {
    this.#plan = plan;
  }

  planTook(ms: number): void {
    keep(this.#planMs, ms);
  }

  /** ms; 0 before the first. */
  get planMsP50(): number {
    return quantile(this.#planMs, 0.5) ?? 0;
  }

  committed(epoch: FinishedEpoch, now: number): void {
    keep(this.#epochMs, now - epoch.plannedAt);
    if (this.#committedAt !== null) keep(this.#gapsMs, now - this.#committedAt);
    this.#committedAt = now;
    this.#last = epoch;
    this.#state.clear();
    for (const [worker, done] of epoch.done) {
      this.#state.set(worker, new Map(done.state.map((figures) => [figures.stage, figures])));
      for (const { stage, evicted } of done.state) this.#removed.set(stage, (this.#removed.get(stage) ?? 0) + evicted);
    }
  }

  snapshotTaken(now: number): void {
    this.#snapshotAt = now;
  }

  view({ head, assignment, logs, snapshotBytes, now, waiting }: EpochsKnowledge): EpochsView {
    return {
      planned: head?.planned ?? -1,
      committed: head?.committed ?? -1,
      watermarkMs: head?.watermarkUs == null ? null : Math.floor(head.watermarkUs / 1000),
      positions: head?.positions ?? {},
      counters: head?.counters ?? zeroCounters,
      late: head?.late ?? {},
      lag: head === null || logs === null ? 0 : logs.lag(head.positions),
      stateOperators: this.#operators(head),
      snapshotEpoch: head?.snapshot?.epoch ?? null,
      snapshotAgeMs: this.#snapshotAt === null ? null : now - this.#snapshotAt,
      snapshotBytes,
      workers: (assignment?.workers ?? []).map(({ id }, index) => ({
        id,
        groups: assignment?.groups.filter((owner) => owner === index).length ?? 0,
        partitions: Object.values(assignment?.partitions ?? {}).filter((owner) => owner === index).length,
      })),
      lastProgress: this.#last === null ? null : this.#progressOf(this.#last, head, logs),
      epochMsP50: quantile(this.#epochMs, 0.5),
      epochMsP99: quantile(this.#epochMs, 0.99),
      commitGapMsP99: quantile(this.#gapsMs, 0.99),
      waiting,
    };
  }

  #operators(head: EpochHead | null): StateOperatorView[] {
    return this.#plan.stages.flatMap((stage, index) => {
      if (stage.kind !== 'state') return [];
      let rows = 0;
      let bytes = 0;
      for (const byStage of this.#state.values()) {
        rows += byStage.get(index)?.rows ?? 0;
        bytes += byStage.get(index)?.bytes ?? 0;
      }
      return [
        {
          operatorName: stage.operatorId,
          numRowsTotal: rows,
          memoryUsedBytes: bytes,
          numRowsRemoved: this.#removed.get(index) ?? 0,
          numRowsDroppedByWatermark: head?.late[stage.operatorId] ?? 0,
        },
      ];
    });
  }

  #progressOf(epoch: FinishedEpoch, head: EpochHead | null, logs: EpochLogs | null): EpochProgressView {
    const mapped = epoch.mappedAt ?? epoch.plannedAt;
    const done = epoch.doneAt ?? mapped;
    const committed = this.#committedAt ?? done;
    const ranges = Object.entries(epoch.plan.ranges) as [LaneId, OffsetRange][];
    const walCommit = this.#planMs.at(-1) ?? 0;
    return {
      batchId: epoch.plan.epoch,
      numInputRows: [...epoch.done.values()].reduce((sum, { counters }) => sum + (counters?.read ?? 0), 0),
      batchDuration: committed - epoch.plannedAt,
      durationMs: {
        walCommit,
        map: mapped - epoch.plannedAt,
        addBatch: done - mapped,
        commitOffsets: committed - done,
        triggerExecution: walCommit + committed - epoch.plannedAt,
      },
      attempts: epoch.attempt + 1,
      sources: this.#plan.sources.map(({ name, topic }) => {
        const mine = ranges.filter(([lane]) => parseLaneId(lane).source === name);
        const latest = (Object.keys(head?.positions ?? {}) as LaneId[]).filter(
          (lane) => parseLaneId(lane).source === name,
        );
        return {
          description: `${name} (${topic})`,
          startOffset: byPartition(mine.map(([lane, { from }]) => [lane, from])),
          endOffset: byPartition(mine.map(([lane, { to }]) => [lane, to])),
          latestOffset: byPartition(latest.map((lane) => [lane, logs?.logEnd(lane) ?? head?.positions[lane]])),
        };
      }),
    };
  }
}

interface StageFigures {
  readonly rows: number;
  readonly bytes: number;
}

function byPartition(entries: readonly (readonly [LaneId, Offset | undefined])[]): Record<string, number> {
  const known = entries.flatMap(([lane, at]) => (at === undefined ? [] : [[String(parseLaneId(lane).partition), at]]));
  return Object.fromEntries(known) as Record<string, number>;
}

function keep(list: number[], value: number): void {
  list.push(value);
  if (list.length > DURATIONS_KEPT) list.shift();
}

function quantile(list: readonly number[], q: number): number | null {
  if (list.length === 0) return null;
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? null;
}

/** A job that does not run, by its head. */
export function viewAtRest(plan: EpochsPlan, head: EpochHead | null): EpochsView {
  return new EpochProgress(plan).view({ head, assignment: null, logs: null, snapshotBytes: 0, now: 0, waiting: null });
}
