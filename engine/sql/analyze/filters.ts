/** Conditions on rows. */
import { collectColumns, type Expr, mapColumns, type Span } from '../../../core/ast.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import { joinConjuncts } from '../conjuncts.ts';
import { limitRanks } from './rank-limit.ts';
import type { Rows } from './scope.ts';
import { spanOf } from './syntax.ts';

/** The rows for which all conditions hold; a column known by IS NOT NULL is never NULL behind it. */
export function filtered(rows: Rows, conditions: readonly Expr[], span: Span): Rows {
  if (conditions.length === 0) return rows;
  const present = presentColumns(conditions);
  return {
    ...rows,
    plan: filteredPlan(rows.plan, conditions, spanOf(span)),
    columns: rows.columns.map((column) => (present.has(column.index) ? { ...column, nullable: false } : column)),
  };
}

/** Conditions on one side of a join go below it where that keeps the result, so that its state is smaller. */
function filteredPlan(plan: LogicalPlan, conditions: readonly Expr[], span: Span): LogicalPlan {
  if (conditions.length === 0) return plan;
  if (plan.kind === 'join') {
    const width = plan.left.output.length;
    const { type } = plan;
    const ofLeft = type === 'right' || type === 'full' ? [] : conditions.filter((one) => readsOnly(one, 0, width));
    const ofRight =
      type === 'inner' || type === 'right' ? conditions.filter((one) => readsOnly(one, width, Infinity)) : [];
    const moved = ofRight.map((one) => mapColumns(one, (column) => ({ ...column, index: column.index - width })));
    const below: LogicalPlan = {
      ...plan,
      left: filteredPlan(plan.left, ofLeft, span),
      right: filteredPlan(plan.right, moved, span),
      output: presentOutput(plan.output, [...ofLeft, ...ofRight]),
    };
    const rest = conditions.filter((one) => !ofLeft.includes(one) && !ofRight.includes(one));
    return filterAbove(below, rest, span);
  }
  if (plan.kind === 'staticJoin') {
    const ofStream = conditions.filter((one) => readsOnly(one, 0, plan.input.output.length));
    const below: LogicalPlan = {
      ...plan,
      input: filteredPlan(plan.input, ofStream, span),
      output: presentOutput(plan.output, ofStream),
    };
    return filterAbove(
      below,
      conditions.filter((one) => !ofStream.includes(one)),
      span,
    );
  }
  return filterAbove(limitRanks(plan, conditions), conditions, span);
}

function filterAbove(input: LogicalPlan, conditions: readonly Expr[], span: Span): LogicalPlan {
  if (conditions.length === 0) return input;
  const output = presentOutput(input.output, conditions);
  return { kind: 'filter', input, predicate: joinConjuncts(conditions), output, span };
}

function presentOutput(output: LogicalPlan['output'], conditions: readonly Expr[]): LogicalPlan['output'] {
  const present = presentColumns(conditions);
  return output.map((field, index) => (present.has(index) ? { ...field, nullable: false } : field));
}

/** The columns that conditions `x IS NOT NULL` are about. */
function presentColumns(conditions: readonly Expr[]): ReadonlySet<number> {
  const present = new Set<number>();
  for (const condition of conditions) {
    if (condition.kind !== 'call' || condition.name !== 'isnotnull') continue;
    const [arg] = condition.args;
    if (arg?.kind === 'column') present.add(arg.index);
  }
  return present;
}

/** Does the condition look at columns, all of them from `first` up to `end`? */
function readsOnly(condition: Expr, first: number, end: number): boolean {
  const columns = new Set<number>();
  collectColumns(condition, columns);
  return columns.size > 0 && [...columns].every((index) => index >= first && index < end);
}
