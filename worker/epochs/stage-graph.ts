/** Which stage of a plan sends rows to which. */
import { must } from '../../core/assert.ts';
import type { Branch, EpochsPlan, EpochStage } from '../../engine/plan/epoch-plan.ts';

/** All rows that one stage sends another, over any port. */
export interface Edge {
  readonly from: number;
  readonly to: number;
}

export class StageGraph {
  /** Indexes of the stages by kind, in the plan's (topological) order. */
  readonly mapStages: readonly number[];
  readonly stateStages: readonly number[];
  /** True when some state stage reads another: its groups cannot be replayed on their own. */
  readonly deep: boolean;
  readonly #edges: readonly Edge[];

  constructor(plan: EpochsPlan) {
    const indexesOf = (kind: EpochStage['kind']): number[] =>
      plan.stages.flatMap((stage, index) => (stage.kind === kind ? [index] : []));
    this.mapStages = indexesOf('map');
    this.stateStages = indexesOf('state');
    this.#edges = plan.stages.flatMap((stage, from) => targetsOf(stage).map((to) => ({ from, to })));
    this.deep = this.#edges.some(({ from }) => must(plan.stages[from], () => `no stage ${from}`).kind === 'state');
  }

  /** Stages that send rows to this one. */
  sendersTo(stage: number): number[] {
    return this.#edges.filter(({ to }) => to === stage).map(({ from }) => from);
  }

  receiversOf(stage: number): number[] {
    return this.#edges.filter(({ from }) => from === stage).map(({ to }) => to);
  }
}

function targetsOf(stage: EpochStage): number[] {
  const branches: readonly Branch[] = stage.kind === 'map' ? stage.branches : [stage.branch];
  return [...new Set(branches.flatMap(({ target }) => (target.kind === 'exchange' ? [target.stage] : [])))];
}
