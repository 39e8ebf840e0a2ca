/** Queries over static tables alone: their rows are a table again, which a stream can be joined with. */
import type { JoinType, LogicalPlan } from '../../plan/logical-plan.ts';
import type { Analysis } from './context.ts';
import type { Rows } from './scope.ts';
import { nodesOf } from './tree.ts';
import { expressionsOf, isVolatile } from './volatile.ts';

/**
 * The rows as what a join can hold against a stream: a table with conditions and columns chosen stays one, of everything
 * else a table is made before.
 */
export function tableRows(rows: Rows, type: JoinType, analysis: Analysis): Rows | undefined {
  return isChosen(rows.plan, type) ? rows : madeTable(rows, analysis);
}

/** A table of its own of the rows, computed whenever the tables below are read; `single`: of no more than one row. */
export function madeTable(rows: Rows, analysis: Analysis, single = false): Rows | undefined {
  const { plan } = rows;
  for (const node of nodesOf(plan)) {
    const volatile = expressionsOf(node).find(isVolatile);
    if (volatile !== undefined)
      return analysis.problem(
        analysis.placeOf(volatile) ?? node.span,
        'a query over static tables is computed when they are read, and this one calls a function that gives other values each time',
        'call it in the query around',
      );
  }
  return {
    ...rows,
    plan: {
      kind: 'static',
      table: analysis.nextTable(),
      query: plan,
      ...(single ? { single: true as const } : {}),
      output: plan.output,
      span: plan.span,
    },
  };
}

function isChosen(plan: LogicalPlan, type: JoinType): boolean {
  if (plan.kind === 'static') return true;
  if (plan.kind === 'filter') return isChosen(plan.input, type);
  if (plan.kind !== 'project' || !isChosen(plan.input, type)) return false;
  // Where a row of the table may be missing, what is computed of it is missing too.
  return type !== 'left' || plan.columns.every(({ expr }) => expr.kind === 'column');
}
