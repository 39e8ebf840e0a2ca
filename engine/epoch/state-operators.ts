import { Aggregate } from '../operators/aggregate.ts';
import { Dedup } from '../operators/dedup.ts';
import { Join } from '../operators/join.ts';
import { Limit } from '../operators/limit.ts';
import { Rank } from '../operators/rank.ts';
import { Session } from '../operators/session.ts';
import { Sort } from '../operators/sort.ts';
import type { StateOperator } from '../operators/state-operator.ts';
import type { StateStage } from '../plan/epoch-plan.ts';

/** The operator that keeps a state stage's state. */
export function stateOperatorOf(stage: StateStage): StateOperator {
  const { state, inputs } = stage;
  switch (state.kind) {
    case 'aggregate':
      return new Aggregate(state, inputs);
    case 'dedup':
      return new Dedup(state, inputs);
    case 'join':
      return new Join(state, inputs);
    case 'limit':
      return new Limit(state, inputs);
    case 'rank':
      return new Rank(state, inputs);
    case 'session':
      return new Session(state, inputs);
    case 'sort':
      return new Sort(state, inputs);
  }
}
