import { type Expr, mapColumns } from '../../core/ast.ts';
import type { StageOperator } from './stage-plan.ts';

/** The operator, of the same kind, with every column of its input at another place. */
export function changeColumns(operator: StageOperator, at: (column: number) => number): StageOperator {
  const change = (expr: Expr): Expr => mapColumns(expr, (column) => ({ ...column, index: at(column.index) }));
  switch (operator.kind) {
    case 'filter':
      return { ...operator, predicate: change(operator.predicate) };
    case 'generate':
      return { ...operator, input: change(operator.input) };
    case 'project':
      return { ...operator, columns: operator.columns.map((column) => ({ ...column, expr: change(column.expr) })) };
    case 'watermark':
      return { ...operator, column: at(operator.column) };
    case 'assignWindow':
      return { ...operator, on: change(operator.on) };
    case 'late':
      return { ...operator, column: at(operator.column), gap: operator.gap < 0 ? -1 : at(operator.gap) };
    case 'staticJoin':
      return {
        ...operator,
        equi: operator.equi.map((pair) => ({ ...pair, left: change(pair.left) })),
        residual: operator.residual && change(operator.residual),
      };
    case 'partialAggregate':
      // It reads its columns by their order, so a projection stands before it.
      return operator;
  }
}
