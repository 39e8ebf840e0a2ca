/**
 * Which stage of a plan sends rows to which. A topic that is written exactly once counts as a stage behind those of the
 * plan: its rows go to the one worker that writes them.
 */
import { must } from '../../core/assert.ts';
import { addsUpRanges } from '../../engine/epoch/range-parts.ts';
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
  /** Map stages that are given the ranges of an epoch in parts. */
  readonly partedStages: ReadonlySet<number>;
  /** True when some state stage reads another: its groups cannot be replayed on their own. */
  readonly deep: boolean;
  /** Stages that stand for sinks, with the index of the sink. */
  readonly sinkStages: readonly { readonly stage: number; readonly sink: number }[];
  readonly #edges: readonly Edge[];

  constructor(plan: EpochsPlan) {
    const indexesOf = (kind: EpochStage['kind']): number[] =>
      plan.stages.flatMap((stage, index) => (stage.kind === kind ? [index] : []));
    this.mapStages = indexesOf('map');
    this.stateStages = indexesOf('state');
    this.partedStages = new Set(
      plan.stages.flatMap((stage, index) => (stage.kind === 'map' && addsUpRanges(stage) ? [index] : [])),
    );
    const exchanges = plan.stages.flatMap((stage, from) => targetsOf(stage).map((to) => ({ from, to })));
    this.deep = exchanges.some(({ from }) => must(plan.stages[from], () => `no stage ${from}`).kind === 'state');
    this.sinkStages = plan.sinkPlans.flatMap((sink, index) =>
      sink.kind === 'log' && sink.transactions !== undefined
        ? [{ stage: plan.stages.length + index, sink: index }]
        : [],
    );
    const ends = plan.stages.flatMap((stage, from) =>
      branchesOf(stage).some(({ target }) => target.kind === 'sink') ? [from] : [],
    );
    this.#edges = [...exchanges, ...this.sinkStages.flatMap(({ stage }) => ends.map((from) => ({ from, to: stage })))];
  }

  /** Stages that send rows to this one. */
  sendersTo(stage: number): number[] {
    return this.#edges.filter(({ to }) => to === stage).map(({ from }) => from);
  }

  isSink(stage: number): boolean {
    return this.sinkStages.some((sink) => sink.stage === stage);
  }

  receiversOf(stage: number): number[] {
    return this.#edges.filter(({ from }) => from === stage).map(({ to }) => to);
  }
}

function branchesOf(stage: EpochStage): readonly Branch[] {
  return stage.kind === 'map' ? stage.branches : [stage.branch];
}

function targetsOf(stage: EpochStage): number[] {
  return [...new Set(branchesOf(stage).flatMap(({ target }) => (target.kind === 'exchange' ? [target.stage] : [])))];
}
