/**
 * Queries within WHERE: `IN (SELECT …)` and `EXISTS (SELECT …)` are semi joins, their opposites anti joins. A query that
 * only chooses rows may look at columns of the query around it.
 */
import { collectColumns, type Expr, mapColumns, type Query, type Select, type SqlExpr } from '../../../core/ast.ts';
import { splitConjuncts } from '../conjuncts.ts';
import { generators } from './calls.ts';
import type { Analysis } from './context.ts';
import type { ExpressionAnalyzer } from './expressions.ts';
import { filtered } from './filters.ts';
import { memberJoin } from './joins.ts';
import { type Rows, type Scope, type ScopeColumn, scopeOf } from './scope.ts';
import { hasAggregate } from './syntax.ts';

/** What a query within an expression may read. */
export interface Subqueries {
  /** The rows of a whole query. */
  readonly rows: (query: Query) => Rows | undefined;
  /** The rows of the FROM of a query that is one SELECT, and what queries within that one may read. */
  readonly from: (query: Query, select: Select) => { readonly rows: Rows; readonly subqueries: Subqueries } | undefined;
}

/** A condition that asks whether another query has a row. */
export interface Membership {
  readonly condition: Extract<SqlExpr, { kind: 'inQuery' } | { kind: 'exists' }>;
  readonly negated: boolean;
}

/** The conditions on other queries that AND joins, and the other conditions. */
export function splitMemberships(where: SqlExpr): {
  readonly memberships: readonly Membership[];
  readonly rest: readonly SqlExpr[];
} {
  if (where.kind === 'binary' && where.op === 'and') {
    const left = splitMemberships(where.left);
    const right = splitMemberships(where.right);
    return { memberships: [...left.memberships, ...right.memberships], rest: [...left.rest, ...right.rest] };
  }
  const membership = membershipOf(where, false);
  return membership === undefined ? { memberships: [], rest: [where] } : { memberships: [membership], rest: [] };
}

function membershipOf(expr: SqlExpr, negated: boolean): Membership | undefined {
  if (expr.kind === 'unary' && expr.op === 'not') return membershipOf(expr.input, !negated);
  if (expr.kind === 'exists') return { condition: expr, negated };
  return expr.kind === 'inQuery' ? { condition: expr, negated: negated !== expr.negated } : undefined;
}

/** Conditions on other queries as joins. */
export class MembershipJoins {
  readonly #expressions: ExpressionAnalyzer;
  readonly #analysis: Analysis;

  constructor(expressions: ExpressionAnalyzer, analysis: Analysis) {
    this.#expressions = expressions;
    this.#analysis = analysis;
  }

  /** The rows for which all conditions hold. */
  joined(rows: Rows, memberships: readonly Membership[], subqueries: Subqueries): Rows | undefined {
    let all: Rows | undefined = rows;
    for (const membership of memberships) all = all && this.#joined(all, membership, subqueries);
    return all;
  }

  #joined(rows: Rows, { condition, negated }: Membership, subqueries: Subqueries): Rows | undefined {
    const found = this.found(rows, condition.query, subqueries);
    if (found === undefined) return undefined;
    const conditions = [...found.conditions];
    if (condition.kind === 'inQuery') {
      const same = this.members(rows, found, condition, negated);
      if (same === undefined) return undefined;
      conditions.push(...same);
    }
    const type = negated ? 'anti' : 'semi';
    return memberJoin(rows, found.rows, type, conditions, condition, this.#analysis);
  }

  /** The other query's rows, and what must hold between them and those of the query around it. */
  found(rows: Rows, query: Query, subqueries: Subqueries): Found | undefined {
    const width = rows.plan.output.length;
    const simple = chosenRows(query);
    if (simple === undefined) {
      const found = subqueries.rows(query);
      return found && { rows: found, conditions: [], scope: scopeOf(shifted(found.columns, width)), items: null };
    }
    const from = subqueries.from(query, simple);
    if (from === undefined) return undefined;
    const { memberships, rest } =
      simple.where === null ? { memberships: [], rest: [] } : splitMemberships(simple.where);
    // Columns of the query around step back where the inner one has columns of that name.
    const outer = rows.columns.map((column) => ({ ...column, hidden: true }));
    const scope = scopeOf([...outer, ...shifted(from.rows.columns, width)]);
    const own: Expr[] = [];
    const conditions: Expr[] = [];
    for (const sql of rest) {
      const typed = this.#expressions.boolean(sql, scope, 'WHERE');
      if (typed === undefined) return undefined;
      for (const one of splitConjuncts(typed))
        if (readsFrom(one, width)) own.push(mapColumns(one, (column) => ({ ...column, index: column.index - width })));
        else conditions.push(one);
    }
    const inner = this.joined(filtered(from.rows, own, simple), memberships, from.subqueries);
    return inner && { rows: inner, conditions, scope, items: simple.items.map(({ expr }) => expr) };
  }

  /** `input IN (…)` as conditions on pairs of rows; none may be true for NOT IN, and none unknown. */
  members(
    rows: Rows,
    found: Found,
    condition: Extract<SqlExpr, { kind: 'inQuery' }>,
    negated: boolean,
  ): readonly Expr[] | undefined {
    const width = rows.plan.output.length;
    const values = this.#values(found, width);
    if (values === undefined) return undefined;
    const { input } = condition;
    const isTuple = input.kind === 'call' && input.name.text === 'struct' && values.length > 1;
    const inputs = isTuple ? input.args : [input];
    if (inputs.length !== values.length)
      return this.#analysis.problem(
        condition,
        isTuple
          ? `IN (SELECT …) takes ${inputs.length} columns here, not ${values.length}`
          : `IN (SELECT …) takes one column, not ${values.length}`,
      );
    const conditions: Expr[] = [];
    for (const [index, value] of values.entries()) {
      const typed = this.#expressions.expr(inputs[index] ?? input, scopeOf(rows.columns));
      const same = typed && this.#expressions.apply('=', [typed, value], condition, []);
      if (same === undefined) return undefined;
      if (!negated || !same.nullable) {
        conditions.push(same);
        continue;
      }
      if (found.rows.streaming)
        return this.#analysis.problem(
          condition,
          'NOT IN (SELECT …) over a stream: a single NULL in it takes every row away, and it may come at any time',
          'write NOT EXISTS (SELECT 1 FROM b WHERE b.key = a.key AND …), where NULL equals nothing',
        );
      const unknown = this.#expressions.apply('isnull', [same], condition, []);
      const either = unknown && this.#expressions.apply('or', [same, unknown], condition, []);
      if (either === undefined) return undefined;
      conditions.push(either);
    }
    return conditions;
  }

  #values(found: Found, width: number): readonly Expr[] | undefined {
    if (found.items === null) return found.scope.columns.map(asColumn);
    const values: Expr[] = [];
    for (const item of found.items) {
      if (item.kind === 'star') {
        const own = found.scope.columns.filter(({ index }) => index >= width);
        values.push(...this.#expressions.star(item, own).map(({ expr }) => expr));
        continue;
      }
      const value = this.#expressions.expr(item, found.scope);
      if (value === undefined) return undefined;
      values.push(value);
    }
    return values;
  }
}

export interface Found {
  readonly rows: Rows;
  /** Over the columns of the query around it, and then those of the rows. */
  readonly conditions: readonly Expr[];
  readonly scope: Scope;
  /** The select list over the scope; null = the rows' own columns. */
  readonly items: readonly SqlExpr[] | null;
}

/** The SELECT of a query that only chooses rows of its FROM; undefined for others. */
function chosenRows(query: Query): Select | undefined {
  const { body } = query;
  if (body.kind !== 'select' || body.from === null || body.lateralViews.length > 0) return undefined;
  if (query.orderBySpan !== null || query.limit !== null || query.offsetRows !== null) return undefined;
  if (body.groupBySpan !== null || body.having !== null || body.distinctOn.length > 0) return undefined;
  const computes = body.items.some(
    ({ expr }) =>
      hasAggregate(expr) ||
      (expr.kind === 'call' && (expr.over !== null || generators.has(expr.name.text.toLowerCase()))),
  );
  return computes ? undefined : body;
}

function shifted(columns: readonly ScopeColumn[], by: number): readonly ScopeColumn[] {
  return columns.map((column) => ({ ...column, index: column.index + by }));
}

function asColumn({ name, type, nullable, index }: ScopeColumn): Expr {
  return { kind: 'column', type, nullable, index, name };
}

/** Does the expression look at columns from `first` on alone? */
function readsFrom(expr: Expr, first: number): boolean {
  const columns = new Set<number>();
  collectColumns(expr, columns);
  return [...columns].every((index) => index >= first);
}
