/**
 * Deletes what lookups answered once nobody can ask for it any more: a restore begins with the snapshot before the
 * newest one at the earliest, so answers of epochs up to that one are of no use.
 */
import { answersId } from '../core/epoch/answers.ts';
import type { EpochHead, EpochPlan } from '../core/epoch/types.ts';
import { PLAN_SLOTS } from '../core/epoch/types.ts';
import { messageOf } from '../core/errors.ts';
import type { JobName, LaneId, Run } from '../core/ids.ts';
import { epoch as epochOf, parseLaneId } from '../core/ids.ts';
import type { MetaStore } from '../core/meta.ts';
import type { BlobStore, Log } from '../core/ports.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';

export interface AnswersParts {
  readonly job: JobName;
  readonly run: Run;
  readonly plan: EpochsPlan;
  readonly store: Pick<MetaStore, 'readPlans'>;
  readonly blobs: Pick<BlobStore, 'delete'>;
  readonly log: Log;
}

/** Whether the job keeps answers. */
export function keepsAnswers({ stages }: EpochsPlan): boolean {
  return stages.some((stage) => stage.kind === 'map' && stage.lookups !== undefined);
}

/** Ids of what these epochs may have kept. */
export function answersOf(job: JobName, { stages }: EpochsPlan, epochs: readonly EpochPlan[]): string[] {
  const bySource = new Map<string, string>();
  for (const stage of stages)
    if (stage.kind === 'map' && stage.lookups !== undefined) bySource.set(stage.source, stage.lookups.definition);
  return epochs.flatMap((plan) =>
    (Object.keys(plan.ranges) as LaneId[]).flatMap((lane) => {
      const definition = bySource.get(parseLaneId(lane).source);
      return definition === undefined ? [] : [answersId(job, definition, plan, lane)];
    }),
  );
}

export class EpochAnswers {
  readonly #parts: AnswersParts;
  readonly #keeps: boolean;
  /** Epochs whose answers are there, oldest first. */
  #kept: EpochPlan[] = [];
  #collecting = false;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
    this.#keeps = keepsAnswers(parts.plan);
  }

  /** Goes on where a leader before was: what it may have left is deleted once more. */
  async open({ planned, base }: EpochHead): Promise<void> {
    const first = epochOf(Math.max((base?.epoch ?? -1) + 1, planned - PLAN_SLOTS / 2));
    if (!this.#keeps || first > planned) return;
    const { store, job, run, log } = this.#parts;
    try {
      this.#kept = await store.readPlans(job, run, first, planned);
    } catch (error) {
      log.warn({ job, err: error }, `answers of former epochs may stay for good: ${messageOf(error)}`);
    }
  }

  planned(plan: EpochPlan): void {
    if (this.#keeps) this.#kept.push(plan);
  }

  /** Not while a worker may still restore from a snapshot that the head no longer names. */
  collect({ formerSnapshot }: EpochHead): void {
    const covered = formerSnapshot?.epoch ?? -1;
    if (this.#collecting || (this.#kept[0]?.epoch ?? Infinity) > covered) return;
    this.#collecting = true;
    const { blobs, job, plan, log } = this.#parts;
    const gone = this.#kept.filter(({ epoch }) => epoch <= covered);
    blobs
      .delete(answersOf(job, plan, gone))
      .then(
        () => {
          this.#kept = this.#kept.filter(({ epoch }) => epoch > covered);
        },
        (error: unknown) => log.warn({ job, err: error }, `old answers stay for now: ${messageOf(error)}`),
      )
      .finally(() => {
        this.#collecting = false;
      });
  }
}
