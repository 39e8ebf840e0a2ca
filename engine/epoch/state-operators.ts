import { Aggregate } from '../operators/aggregate.ts';
import { Dedup } from '../operators/dedup.ts';
import { Join } from '../operators/join.ts';
import { Limit } from '../operators/limit.ts';
import { compileProgram } from '../operators/program.ts';
import { type PassesBehind, Rank } from '../operators/rank.ts';
import { Session } from '../operators/session.ts';
import { Sort } from '../operators/sort.ts';
import type { StateOperator } from '../operators/state-operator.ts';
import type { StageOperator } from '../plan/stage-plan.ts';
import type { StateStage } from '../plan/epoch-plan.ts';

/** The operator that keeps a state stage's state. */
export function stateOperatorOf(stage: StateStage, timeZone: string): StateOperator {
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
      return new Rank(state, inputs, passesBehind(stage, timeZone));
    case 'session':
      return new Session(state, inputs);
    case 'sort':
      return new Sort(state, inputs);
  }
}

/** Judges a state stage's rows by the conditions between it and the sinks; null = there are none. */
function passesBehind({ branch }: StateStage, timeZone: string): PassesBehind | null {
  const { operators, output, target } = branch;
  if (target.kind !== 'sink' || !operators.some(removesRows)) return null;
  const program = compileProgram({ columns: [], operators, output, timeZone });
  return (batch) => {
    const passes = new Uint8Array(batch.rowCount);
    // A row that cannot be computed passes nothing; it becomes a dead letter when the branch itself comes to it.
    const { rowCount, origins } = program.run(batch, []);
    for (let row = 0; row < rowCount; row++) passes[origins.record[row] as number] = 1;
    return passes;
  };
}

function removesRows({ kind }: StageOperator): boolean {
  return kind === 'filter' || kind === 'generate';
}
