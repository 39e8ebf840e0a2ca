/**
 * A query in the place of a value that looks at columns of the query around it,
 * `(SELECT max(x) FROM t WHERE t.k = a.k)`, as one that does not: the same query grouped by what it is compared with. Its
 * groups are joined with the rows around. (Spark's RewriteCorrelatedScalarSubquery.)
 */
import {
  collectColumns,
  type Expr,
  type Identifier,
  type Query,
  type Select,
  type Span,
  type SqlExpr,
} from '../../../core/ast.ts';
import { isAggregateName } from './calls.ts';
import type { Analysis } from './context.ts';
import type { ExpressionAnalyzer } from './expressions.ts';
import { type Rows, scopeOf } from './scope.ts';
import type { Subqueries } from './subqueries.ts';
import { hasAggregate, holdsQuery, spanOf } from './syntax.ts';

/** What a row around is compared with. */
export interface OuterKey {
  /** Over the columns of the query around, of the type of the group's key. */
  readonly outer: Expr;
  readonly nullSafe: boolean;
}

export interface GroupedValue {
  /** Columns: a group's key for each of `keys`, TRUE, the value. */
  readonly query: Query;
  readonly keys: readonly OuterKey[];
  /** What the query gives over no rows, `count(*)` say; null = NULL. */
  readonly empty: Query | null;
}

/** Aggregates that have a value where no rows are. */
const countingNames = new Set(
  'count count_if regr_count approx_count_distinct collect_list collect_set array_agg'.split(' '),
);

interface Comparison extends OuterKey {
  readonly inner: SqlExpr;
}

/** The query grouped; null where it looks at nothing around it, undefined when a mistake was said. */
export function groupedValue(
  rows: Rows,
  value: Span & { readonly query: Query },
  subqueries: Subqueries,
  expressions: ExpressionAnalyzer,
  analysis: Analysis,
): GroupedValue | null | undefined {
  const { query } = value;
  const { body } = query;
  if (body.kind !== 'select' || body.from === null || body.where === null || body.lateralViews.length > 0) return null;
  const from = subqueries.from(query, body);
  if (from === undefined) return undefined;
  const width = rows.plan.output.length;
  // Columns of the query around step back where the inner one has columns of that name.
  const around = rows.columns.map((column) => ({ ...column, hidden: true }));
  const own = from.rows.columns.map((column) => ({ ...column, index: column.index + width }));
  const scope = scopeOf([...around, ...own]);
  const conditions: SqlExpr[] = [];
  const keys: Comparison[] = [];
  for (const sql of conjunctsOf(body.where)) {
    if (holdsQuery(sql)) {
      conditions.push(sql);
      continue;
    }
    const typed = expressions.boolean(sql, scope, 'WHERE');
    if (typed === undefined) return undefined;
    if (!reads(typed, (index) => index < width)) {
      conditions.push(sql);
      continue;
    }
    const key = comparison(sql, typed, width);
    if (key === undefined)
      return analysis.problem(
        sql,
        'a query in the place of a value compares columns of the query around it with its own by = alone',
        'join the table in FROM, and aggregate there',
      );
    keys.push(key);
  }
  if (keys.length === 0) return null;
  const [item, ...others] = body.items;
  if (item === undefined || others.length > 0 || item.expr.kind === 'star')
    return analysis.problem(value, `a query in the place of a value gives one column, not ${1 + others.length}`);
  if (!isOneAggregate(query, body))
    return analysis.problem(
      value,
      'a query in the place of a value that looks at columns of the query around it is one aggregate of its rows',
      'write max(…), min(…) or any_value(…) of the column, without GROUP BY and LIMIT; or LEFT JOIN the table in FROM',
    );
  const at = spanOf(query);
  const named = (expr: SqlExpr, name: string): Select['items'][number] => ({
    expr,
    // As the names of tables that queries make: no name that somebody writes.
    alias: { text: `(${name})`, ...at } satisfies Identifier,
    aliases: [],
  });
  const truth = (is: boolean): SqlExpr => ({ kind: 'literal', literal: { kind: 'boolean', value: is }, ...at });
  const groupBy = keys.map(({ inner }) => inner);
  const where = conditions.reduce<SqlExpr | null>(
    (left, right) => (left === null ? right : { kind: 'binary', op: 'and', left, right, ...at }),
    null,
  );
  const items = [...groupBy.map((key, index) => named(key, `key ${index + 1}`)), named(truth(true), 'mark')];
  const grouped: Select = {
    ...body,
    items: [...items, named(item.expr, 'value')],
    where,
    groupBy,
    groupBySpan: at,
  };
  return {
    query: { ...query, body: grouped },
    keys,
    empty: isNullOverNothing(item.expr) ? null : { ...query, body: { ...body, where: truth(false) } },
  };
}

function conjunctsOf(where: SqlExpr): readonly SqlExpr[] {
  return where.kind === 'binary' && where.op === 'and'
    ? [...conjunctsOf(where.left), ...conjunctsOf(where.right)]
    : [where];
}

/** A column of the inner query beside one of the query around; undefined for any other condition. */
function comparison(sql: SqlExpr, typed: Expr, width: number): Comparison | undefined {
  if (sql.kind !== 'binary' || (sql.op !== '=' && sql.op !== '<=>') || typed.kind !== 'call') return undefined;
  const [left, right] = typed.args;
  if (left === undefined || right === undefined) return undefined;
  const isInner = (expr: Expr): boolean =>
    reads(expr, (index) => index >= width) && !reads(expr, (index) => index < width);
  const isOuter = (expr: Expr): boolean => !reads(expr, (index) => index >= width);
  const nullSafe = sql.op === '<=>';
  if (isOuter(left) && isInner(right)) return { outer: left, inner: castAs(sql.right, right), nullSafe };
  return isOuter(right) && isInner(left) ? { outer: right, inner: castAs(sql.left, left), nullSafe } : undefined;
}

/** Values that the comparison finds equal are one group: it may compare them as another type. */
function castAs(sql: SqlExpr, typed: Expr): SqlExpr {
  return typed.kind === 'cast' ? { kind: 'cast', input: sql, type: typed.type, mode: 'ansi', ...spanOf(sql) } : sql;
}

function reads(expr: Expr, wanted: (index: number) => boolean): boolean {
  const columns = new Set<number>();
  collectColumns(expr, columns);
  return [...columns].some(wanted);
}

function isOneAggregate(query: Query, body: Select): boolean {
  return (
    body.items.every(({ expr }) => hasAggregate(expr)) &&
    body.groupBySpan === null &&
    body.having === null &&
    !body.distinct &&
    query.orderBySpan === null &&
    query.limit === null &&
    query.offsetRows === null
  );
}

/** Is it NULL where no rows are? A function around aggregates (coalesce, say) need not be. */
function isNullOverNothing(expr: SqlExpr): boolean {
  return (
    expr.kind === 'call' &&
    isAggregateName(expr.name.text.toLowerCase()) &&
    !countingNames.has(expr.name.text.toLowerCase())
  );
}
