/** Which stages of a plan have rows for tables. */
import type { TableStages } from '../../core/epoch/row-times.ts';
import type { EpochsPlan } from './epoch-plan.ts';

export interface PlanTableStages extends TableStages {
  /** Indexes of the state stages among them. */
  readonly stateStages: readonly number[];
}

/** Stages whose rows go to the sinks, when one of these is a table. */
export function tableStagesOf({ stages, sinkPlans }: Pick<EpochsPlan, 'stages' | 'sinkPlans'>): PlanTableStages {
  if (!sinkPlans.some(({ kind }) => kind === 'table')) return { records: false, stateful: 0, stateStages: [] };
  const stateStages = stages.flatMap((stage, index) =>
    stage.kind === 'state' && stage.branch.target.kind === 'sink' ? [index] : [],
  );
  const records = stages.some(
    (stage) => stage.kind === 'map' && stage.branches.some(({ target }) => target.kind === 'sink'),
  );
  return { records, stateful: stateStages.length, stateStages };
}
