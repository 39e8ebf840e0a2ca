/** What GROUP BY lists: expressions, ordinals, aliases, ALL and grouping sets, as typed keys. */
import type { Select, SqlExpr } from '../../../core/ast.ts';
import type { Analysis } from './context.ts';
import type { ExpressionAnalyzer } from './expressions.ts';
import { expanded, type GroupKey, productOf } from './grouping-sets.ts';
import { findColumns, scopeOf } from './scope.ts';
import type { SelectCalls } from './select-calls.ts';
import { hasAggregate, isPlainName, spanOf, wholeNumber } from './syntax.ts';

/** The keys of GROUP BY; with grouping sets, over the rows once for each set. */
export function groupKeys(
  select: Select,
  calls: SelectCalls,
  expressions: ExpressionAnalyzer,
  analysis: Analysis,
): readonly GroupKey[] | undefined {
  const plain = listedKeys(select, select.groupBy, calls, expressions, analysis);
  if (select.groupingSets.length === 0 || plain === undefined) return plain;
  const sets = productOf(select.groupingSets).map((set) => listedKeys(select, set, calls, expressions, analysis));
  if (sets.includes(undefined)) return undefined;
  const span = select.groupBySpan ?? spanOf(select);
  if (calls.session !== null) return analysis.problem(span, 'session_window() does not stand beside grouping sets');
  const all = (sets as (readonly GroupKey[])[]).map((set) => [...plain, ...set]);
  const made = expanded(calls.rows, all, span, analysis);
  if (made === undefined) return undefined;
  calls.rows = made.rows;
  calls.grouping = made.grouping;
  return made.keys;
}

/** One list of GROUP BY, typed. */
function listedKeys(
  select: Select,
  groupBy: readonly SqlExpr[],
  calls: SelectCalls,
  expressions: ExpressionAnalyzer,
  analysis: Analysis,
): readonly GroupKey[] | undefined {
  const keys: GroupKey[] = [];
  let failed = false;
  const [only] = groupBy;
  const isAll =
    only !== undefined &&
    select.groupingSets.length === 0 &&
    groupBy.length === 1 &&
    isPlainName(only, 'all') &&
    findColumns(calls.rows.columns, 'all', null).length === 0;
  const listed = isAll
    ? select.items.filter(({ expr }) => !hasAggregate(expr)).map(({ expr }) => expr)
    : groupBy.map((expr) => groupItem(expr, select, calls, analysis));
  const handler = calls.handler({ aggregates: false, over: false });
  for (const sql of listed) {
    if (sql === undefined) {
      failed = true;
      continue;
    }
    const isSession = sql.kind === 'call' && sql.name.text.toLowerCase() === 'session_window';
    const scope = scopeOf(calls.rows.columns, isSession ? calls.handler({ aggregates: true, over: false }) : handler);
    const expr = expressions.expr(sql, scope);
    if (expr === undefined) failed = true;
    else keys.push({ name: expressions.nameOf(sql), expr, span: spanOf(sql) });
  }
  return failed ? undefined : keys;
}

/** The expression that an ordinal or the alias of a column stands for; others as they are. */
function groupItem(expr: SqlExpr, select: Select, calls: SelectCalls, analysis: Analysis): SqlExpr | undefined {
  const problem = (message: string, hint?: string): undefined => analysis.problem(expr, message, hint);
  const ordinal = wholeNumber(expr);
  if (ordinal !== undefined) {
    const item = select.items[ordinal - 1];
    if (item === undefined) return problem(`there is no column ${ordinal} in the select list to group by`);
    if (hasAggregate(item.expr)) return problem(`column ${ordinal} is an aggregate: it cannot be grouped by`);
    return item.expr;
  }
  if (expr.kind !== 'name' || expr.parts.length !== 1) return expr;
  const name = expr.parts[0]?.text ?? '';
  if (findColumns(calls.rows.columns, name, null).length > 0) return expr;
  const item = select.items.find(({ alias }) => alias?.text.toLowerCase() === name.toLowerCase());
  if (item === undefined) return expr;
  return hasAggregate(item.expr) ? problem(`${name} is an aggregate: it cannot be grouped by`) : item.expr;
}
