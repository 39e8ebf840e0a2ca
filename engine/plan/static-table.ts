/** What a join reads of a static table. */
import { type Expr, mapColumns } from '../../core/ast.ts';
import type { Schema } from '../../core/types.ts';
import { columnAt, referTo } from './columns.ts';
import type { LogicalPlan } from './logical-plan.ts';
import type { ProjectedColumn } from './stage-plan.ts';

/** A table below filters and projections: what is read of it, in terms of its own columns; undefined for other queries. */
export function staticTable(node: LogicalPlan):
  | {
      readonly name: string;
      readonly query: LogicalPlan | undefined;
      readonly single: boolean;
      readonly base: Schema;
      readonly columns: readonly ProjectedColumn[];
      readonly filters: readonly Expr[];
    }
  | undefined {
  if (node.kind === 'static') {
    const columns = node.output.map((_, index) => referTo(node.output, index));
    return {
      name: node.table,
      query: node.query,
      single: node.single === true,
      base: node.output,
      columns,
      filters: [],
    };
  }
  if (node.kind !== 'filter' && node.kind !== 'project') return undefined;
  const inner = staticTable(node.input);
  if (inner === undefined) return undefined;
  const inlined = (expr: Expr): Expr => mapColumns(expr, (column) => columnAt(inner.columns, column.index).expr);
  if (node.kind === 'filter') return { ...inner, filters: [...inner.filters, inlined(node.predicate)] };
  return { ...inner, columns: node.columns.map((column) => ({ ...column, expr: inlined(column.expr) })) };
}
