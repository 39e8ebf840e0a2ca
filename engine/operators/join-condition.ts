import { childrenOf, collectColumns, type Expr, mapColumns } from '../../core/ast.ts';
import { joinConjuncts, splitConjuncts } from '../sql/conjuncts.ts';
import { functionByName } from '../sql/functions.ts';

/** A join's condition beside its equalities, by what it takes to judge it. null = nothing to judge. */
export interface JoinCondition {
  /** Over the left columns alone. */
  readonly left: Expr | null;
  /** Over the right columns alone, counted from 0. */
  readonly right: Expr | null;
  /** Over left and then right columns. */
  readonly both: Expr | null;
}

/**
 * Splits a condition over the left columns and then the right ones into what one side alone decides and the rest. What
 * needs no column at all is asked of both sides; what differs from call to call, once per pair. (Spark:
 * JoinConditionSplitPredicates.)
 */
export function splitJoinCondition(residual: Expr | null, leftCount: number): JoinCondition {
  const conditions = residual === null ? [] : splitConjuncts(residual);
  const left: Expr[] = [];
  const right: Expr[] = [];
  const both: Expr[] = [];
  for (const condition of conditions) {
    const columns = new Set<number>();
    collectColumns(condition, columns);
    const isLeft = isDeterministic(condition) && [...columns].every((index) => index < leftCount);
    const isRight = isDeterministic(condition) && [...columns].every((index) => index >= leftCount);
    if (isLeft) left.push(condition);
    if (isRight) right.push(mapColumns(condition, (column) => ({ ...column, index: column.index - leftCount })));
    if (!isLeft && !isRight) both.push(condition);
  }
  return { left: joined(left), right: joined(right), both: joined(both) };
}

function joined(conditions: readonly Expr[]): Expr | null {
  return conditions.length === 0 ? null : joinConjuncts(conditions);
}

/** Whether a condition says the same of a row whichever partner it is tried with. The time is one for a whole epoch. */
function isDeterministic(expr: Expr): boolean {
  if (expr.kind === 'call') {
    const definition = functionByName(expr.name);
    if (definition !== undefined && !definition.deterministic) return false;
    if (definition?.perRecord === true && definition.group !== 'time') return false;
  }
  return childrenOf(expr).every(isDeterministic);
}
