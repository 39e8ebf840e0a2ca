/** Joins of a stream with a static table: no state, the table is at hand in every worker. */
import { type Expr, mapColumns } from '../../core/ast.ts';
import { joinConjuncts } from '../sql/conjuncts.ts';
import { below, columnAt, moved, pick, placeOf, reading, referTo, shifted, sorted } from './columns.ts';
import type { OutputMode } from './epoch-plan.ts';
import { projected, type Rows } from './flows.ts';
import type { PlannedLookup } from './lookup-plan.ts';
import { refusedLookup } from './plan-epoch-lookups.ts';
import { planStaticQuery } from './plan-static-query.ts';
import type { NodeOf, StageDraft } from './stage-draft.ts';
import { staticTable } from './static-table.ts';
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
  const lookups = stages.context.lookups ?? new Map<string, PlannedLookup>();
  const isLookup = table.query === undefined && lookups.has(table.name);
  if (table.query !== undefined) planStaticQuery(table.name, table.query, table.single, stages);
  else if (!isLookup) stages.tables.add(table.name);
  // Filters of the table become part of the condition; that means the same as long as the stream's rows are kept.
  const right = (expr: Expr): Expr => mapColumns(expr, (column) => columnAt(table.columns, column.index - width).expr);
  const equiLeft = node.equi.map((pair) => pair.left);
  const residualReads = reading(new Set(), node.residual === null ? [] : [node.residual]);
  const wanted = new Set([...below(needed, width), ...below(residualReads, width)]);
  const input = stages.rows(node.input, reading(wanted, equiLeft), mode);
  const refused = isLookup ? refusedLookup(node, table.name, input.flows, lookups) : null;
  if (refused !== null) stages.context.refuse(node, refused.message, refused.hint);
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
    ...(isLookup && refused === null ? { lookup: true } : {}),
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
