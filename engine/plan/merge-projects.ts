/** Projections in a row as one. */
import { childrenOf, type Expr, mapColumns } from '../../core/ast.ts';
import { columnAt } from './columns.ts';
import type { ProjectedColumn, StageOperator } from './stage-plan.ts';

/** Two projections in a row become one where no expression is computed twice by that. */
export function mergeProjects(operators: readonly StageOperator[]): readonly StageOperator[] {
  const merged: StageOperator[] = [];
  for (const operator of operators) {
    const last = merged.at(-1);
    if (operator.kind === 'project' && last?.kind === 'project' && isSpared(last.columns, operator.columns)) {
      const inlined = (expr: Expr): Expr => mapColumns(expr, (column) => columnAt(last.columns, column.index).expr);
      const columns = operator.columns.map((column) => ({ ...column, expr: inlined(column.expr) }));
      merged[merged.length - 1] = { kind: 'project', columns };
    } else merged.push(operator);
  }
  return merged;
}

/** Is no expression below read twice above? Columns and literals cost nothing. */
function isSpared(lower: readonly ProjectedColumn[], upper: readonly ProjectedColumn[]): boolean {
  const uses = lower.map(() => 0);
  for (const { expr } of upper) countUses(expr, uses, 1);
  return lower.every(({ expr }, index) => expr.kind === 'column' || expr.kind === 'literal' || (uses[index] ?? 0) <= 1);
}

/** Uses within a lambda count twice: it runs once per element. */
function countUses(expr: Expr, uses: number[], times: number): void {
  if (expr.kind === 'column') uses[expr.index] = (uses[expr.index] ?? 0) + times;
  for (const child of childrenOf(expr)) countUses(child, uses, expr.kind === 'lambda' ? 2 : times);
}
