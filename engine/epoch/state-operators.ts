import { collectColumns } from '../../core/ast.ts';
import { WeirError } from '../../core/errors.ts';
import type { UserFunctions } from '../../core/job/user-functions.ts';
import type { Wanted } from '../operators/changes.ts';
import { Aggregate } from '../operators/aggregate.ts';
import { Dedup } from '../operators/dedup.ts';
import { FirstRow, keepsOneRow } from '../operators/first-row.ts';
import { Join } from '../operators/join.ts';
import { KeyedState } from '../operators/keyed-state.ts';
import { Limit } from '../operators/limit.ts';
import { Rank } from '../operators/rank.ts';
import { Session } from '../operators/session.ts';
import { SlidingAggregate } from '../operators/sliding-aggregate.ts';
import { Sort } from '../operators/sort.ts';
import type { StateOperator } from '../operators/state-operator.ts';
import type { EpochsPlan, StatePlan, StateStage } from '../plan/epoch-plan.ts';
import type { SinkPlan, StageOperator } from '../plan/stage-plan.ts';

/** The operator that keeps a state stage's state. */
export function stateOperatorOf(
  stage: StateStage,
  { sinkPlans }: Pick<EpochsPlan, 'sinkPlans'>,
  functions: UserFunctions | null,
): StateOperator {
  const { state, inputs } = stage;
  switch (state.kind) {
    case 'aggregate':
      if (state.panes !== undefined) return new SlidingAggregate(state, inputs);
      return new Aggregate(state, inputs, wantedOf(stage, sinkPlans));
    case 'dedup':
      return new Dedup(state, inputs);
    case 'join':
      return new Join(state, inputs);
    case 'limit':
      return new Limit(state, inputs);
    case 'rank':
      if (keepsOneRow(state, inputs[0] ?? [])) return new FirstRow(state, inputs);
      return new Rank(state, inputs, wantedOf(stage, sinkPlans));
    case 'session':
      return new Session(state, inputs, wantedOf(stage, sinkPlans));
    case 'sort':
      return new Sort(state, inputs);
    case 'user':
      return new KeyedState(state, inputs, functionsOf(stage, functions));
  }
}

/** Throws: USER_CODE_FAILED when the module that was loaded is not the one that the plan was made for. */
function functionsOf({ operatorId, state }: StateStage, functions: UserFunctions | null): UserFunctions {
  const wanted = state.kind === 'user' ? state.functions : [];
  const missing = wanted.filter((name) => functions?.[name] === undefined);
  if (functions !== null && missing.length === 0) return functions;
  throw new WeirError(
    'USER_CODE_FAILED',
    `The module of the job has no ${missing.join(', ')} for ${operatorId}; apply the TypeScript job again.`,
  );
}

/**
 * Which rows the stage's operator gives besides present ones. Former ones, where sinks tell rows by keys and a row may
 * leave its key: it may come to be left out behind the operator, or the key is made of values that change. Rows that
 * stay as they were, where somebody shows whole results.
 */
function wantedOf({ branch, state, inputs }: StateStage, sinkPlans: readonly SinkPlan[]): Wanted {
  const { operators, target } = branch;
  if (target.kind === 'exchange') return { former: target.changes === true, whole: true };
  const whole = sinkPlans.some(({ kind }) => kind === 'log' || kind === 'console' || kind === 'rows');
  const isCut = operators.some(({ kind }) => kind !== 'project');
  const keyColumns = sinkPlans.flatMap(keyColumnsOf);
  if (state.kind === 'session' && state.mode === 'complete') return { former: keyColumns.length > 0, whole };
  // What comes to be left out is said in update mode even where no key tells the row.
  if (isCut) return { former: keyColumns.length > 0 || ('mode' in state && state.mode === 'update'), whole };
  const fixed = fixedColumnsOf(state, inputs);
  const keyReads = keyColumns.flatMap((column) => [...readBy(operators, column)]);
  return { former: keyReads.some((column) => column >= fixed), whole };
}

/** Columns of the sinks' input that say which row of the sink a row is. */
function keyColumnsOf(plan: SinkPlan): readonly number[] {
  switch (plan.kind) {
    case 'table':
      return plan.bindings.slice(0, plan.shape.primaryKeyCount).map(({ input }) => input);
    case 'log':
      return plan.key < 0 ? [] : [plan.key];
    case 'rows':
      return plan.keys;
    case 'keys':
    case 'blackhole':
    case 'console':
      return [];
  }
}

/** So many first columns of the operator's output stay the same while its row changes. */
function fixedColumnsOf(state: StatePlan, inputs: StateStage['inputs']): number {
  switch (state.kind) {
    case 'aggregate':
      return state.keyCount;
    case 'session':
      return state.keyCount + 1;
    case 'rank':
      return (inputs[0]?.length ?? 0) - state.keyCount;
    default:
      return Number.POSITIVE_INFINITY;
  }
}

/** Columns in front of projections that a column behind them is made of. */
function readBy(operators: readonly StageOperator[], column: number): ReadonlySet<number> {
  let read: ReadonlySet<number> = new Set([column]);
  for (const operator of operators.toReversed()) {
    if (operator.kind !== 'project') continue;
    const next = new Set<number>();
    for (const index of read) {
      const projected = operator.columns[index];
      if (projected !== undefined) collectColumns(projected.expr, next);
    }
    read = next;
  }
  return read;
}
