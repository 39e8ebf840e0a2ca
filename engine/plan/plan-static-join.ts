/** Joins of a stream with a static table: no state, the table is at hand in every worker. */
import { type Expr, mapColumns } from '../../core/ast.ts';
import type { Schema } from '../../core/types.ts';
import { joinConjuncts } from '../sql/conjuncts.ts';
import { below, columnAt, moved, pick, placeOf, reading, referTo, shifted, sorted } from './columns.ts';
import type { OutputMode } from './epoch-plan.ts';
import { projected, type Rows } from './flows.ts';
import type { LogicalPlan } from './logical-plan.ts';
import { planStaticQuery } from './plan-static-query.ts';
import type { NodeOf, StageDraft } from './stage-draft.ts';
import type { ProjectedColumn, StageOperator } from './stage-plan.ts';

export function planStaticJoin(
  node: NodeOf<'staticJoin'>,
  needed: ReadonlySet<number>,
  mode: OutputMode,
  stages: StageDraft,
): Rows {
  const width = node.input.output.length;
  const table = staticTable(node.table);
  if (table === undefined) {
    stages.context.refuse(
      node.table,
      'a static table is joined as it is, or filtered or with columns chosen',
      'move the rest of the sub-query behind the join',
    );
    return { flows: [], kept: sorted(needed), output: pick(node.output, sorted(needed)), times: [] };
  }
  if (table.query === undefined) stages.tables.add(table.name);
  else planStaticQuery(table.name, table.query, table.single, stages);
  // Filters of the table become part of the condition; that means the same as long as the stream's rows are kept.
  const right = (expr: Expr): Expr => mapColumns(expr, (column) => columnAt(table.columns, column.index - width).expr);
  const equiLeft = node.equi.map((pair) => pair.left);
  const residualReads = reading(new Set(), node.residual === null ? [] : [node.residual]);
  const wanted = new Set([...below(needed, width), ...below(residualReads, width)]);
  const input = stages.rows(node.input, reading(wanted, equiLeft), mode);
  const streamWidth = input.kept.length;
  const both = (expr: Expr): Expr =>
    mapColumns(expr, (column) =>
      column.index < width
        ? { ...column, index: placeOf(input.kept, column.index) }
        : shifted(columnAt(table.columns, column.index - width).expr, streamWidth),
    );
  const conditions = [
    ...(node.residual === null ? [] : [both(node.residual)]),
    ...table.filters.map((filter) => shifted(filter, streamWidth)),
  ];
  const equi = node.equi.map((pair) => ({
    left: moved(pair.left, input.kept),
    right: right(pair.right),
    nullSafe: pair.nullSafe,
  }));
  const type = node.type === 'right' ? 'left' : node.type;
  const keepsTable = type === 'inner' || type === 'left';
  const tableOutput = table.base.map((field) => (type === 'left' ? { ...field, nullable: true } : field));
  const operator: StageOperator = {
    kind: 'staticJoin',
    table: table.name,
    type,
    equi,
    residual: conditions.length === 0 ? null : joinConjuncts(conditions),
    output: keepsTable ? [...input.output, ...tableOutput] : input.output,
  };
  const flows = input.flows.map((flow) => ({ ...flow, operators: [...flow.operators, operator] }));
  if (!keepsTable) return { ...input, flows };
  const rows: Rows = { ...input, flows, output: operator.output };
  const kept = [...input.kept, ...sorted(needed).filter((index) => index >= width)];
  const columns = kept.map((index): ProjectedColumn => {
    const { name, type: ofType, nullable } = columnAt(node.output, index);
    if (index < width) return referTo(rows.output, placeOf(input.kept, index));
    const { expr } = columnAt(table.columns, index - width);
    if (type === 'left' && expr.kind !== 'column') {
      stages.context.refuse(
        node.table,
        `${name} is computed in the sub-query of a table that is joined with LEFT JOIN`,
        'compute it in the select list behind the join',
      );
    }
    const own = shifted(expr, streamWidth);
    // What the table's rows always have is missing where there is no row.
    return { name, type: ofType, nullable, expr: type === 'left' ? { ...own, nullable: true } : own };
  });
  return { ...projected(rows, columns), kept, times: input.times };
}

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
