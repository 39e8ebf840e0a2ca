/** Walks over logical plans. */
import type { LogicalPlan } from '../../plan/logical-plan.ts';

/** The plans directly below one, left to right. */
export function inputsOf(plan: LogicalPlan): readonly LogicalPlan[] {
  switch (plan.kind) {
    case 'source':
    case 'static':
      return [];
    case 'join':
      return [plan.left, plan.right];
    case 'staticJoin':
      return [plan.input, plan.table];
    case 'union':
      return plan.inputs;
    default:
      return [plan.input];
  }
}

/** All nodes, those above before those below. */
export function* nodesOf(plan: LogicalPlan): Generator<LogicalPlan> {
  yield plan;
  for (const input of inputsOf(plan)) yield* nodesOf(input);
}
