/**
 * Queries over static tables in the place of values: `(SELECT max(x) FROM t)`, and `IN (SELECT …)` and `EXISTS` where
 * they are not conditions of their own. Each becomes columns that the rows are joined with, and an expression of those.
 */
import {
  type Expr,
  type Identifier,
  mapColumns,
  type Query,
  replaceNodes,
  type Span,
  type SqlExpr,
} from '../../../core/ast.ts';
import type { AggregateCall } from '../../plan/logical-plan.ts';
import type { ProjectedColumn } from '../../plan/stage-plan.ts';
import { booleanLiteral } from '../literal.ts';
import type { Analysis } from './context.ts';
import { type GroupedValue, groupedValue } from './correlated-values.ts';
import { dedupRows } from './dedup.ts';
import type { ExpressionAnalyzer } from './expressions.ts';
import { equalities, tableJoin } from './joins.ts';
import { placeholderOf, valueColumn } from './placeholders.ts';
import { columnExpr, plainColumns, type Rows, type ScopeColumn, scopeOf } from './scope.ts';
import { madeTable } from './static-queries.ts';
import type { Found, MembershipJoins, Subqueries } from './subqueries.ts';
import { holdsQuery, mapSql, spanOf } from './syntax.ts';

type QueryNode = Extract<SqlExpr, { kind: 'subquery' | 'inQuery' | 'exists' }>;

export class QueryValues {
  rows: Rows;
  readonly #subqueries: Subqueries;
  readonly #memberships: MembershipJoins;
  readonly #expressions: ExpressionAnalyzer;
  readonly #analysis: Analysis;
  #failed = false;
  /** Above a GROUP BY: tables that the groups will be joined with, and the columns that stand for theirs. */
  readonly #above: { readonly tables: Rows[]; readonly columns: ScopeColumn[] } | null;

  constructor(
    rows: Rows,
    subqueries: Subqueries,
    memberships: MembershipJoins,
    expressions: ExpressionAnalyzer,
    analysis: Analysis,
    isAbove = false,
  ) {
    this.rows = rows;
    this.#above = isAbove ? { tables: [], columns: [] } : null;
    this.#subqueries = subqueries;
    this.#memberships = memberships;
    this.#expressions = expressions;
    this.#analysis = analysis;
  }

  /** A query could not be made columns; what is wrong has been said. */
  get failed(): boolean {
    return this.#failed;
  }

  /** The expression with columns of {@link rows} in the place of its queries. */
  lifted(expr: SqlExpr): SqlExpr {
    return mapSql(negationsInside(expr), (node) => {
      if (node.kind !== 'subquery' && node.kind !== 'inQuery' && node.kind !== 'exists') return node;
      const value = this.#value(node);
      if (value === undefined) this.#failed = true;
      return value ?? node;
    });
  }

  /** Above a GROUP BY: what stands for the queries' values until {@link join}. */
  get columns(): readonly ScopeColumn[] {
    return this.#above?.columns ?? [];
  }

  /** The groups joined with the queries' values, and what puts those columns in the place of the ones that stood for them. */
  join(groups: Rows): { readonly rows: Rows; readonly place: (expr: Expr) => Expr } | undefined {
    let rows: Rows | undefined = groups;
    const places: Expr[] = [];
    for (const table of this.#above?.tables ?? []) {
      const width: number = rows.plan.output.length;
      const joined = tableJoin(rows, table, [], table.plan.span, this.#analysis);
      if (joined === undefined) return undefined;
      const own = joined.plan.output.slice(width);
      places.push(...own.map((field, index) => columnExpr(field, width + index)));
      rows = { ...joined, columns: rows.columns };
    }
    const place = (expr: Expr): Expr =>
      replaceNodes(expr, (node) => {
        const placeholder = node.kind === 'column' ? placeholderOf(node.index) : undefined;
        return placeholder?.kind === 'value' ? places[placeholder.index] : undefined;
      });
    return { rows, place };
  }

  #value(node: QueryNode): SqlExpr | undefined {
    if (this.#above !== null && node.kind === 'inQuery')
      return this.#analysis.problem(
        node,
        'IN (SELECT …) does not stand above GROUP BY',
        'group in a sub-query in FROM, and let WHERE of the query around ask',
      );
    switch (node.kind) {
      case 'subquery':
        return this.#scalar(node);
      case 'inQuery':
        return this.#member(node);
      case 'exists':
        return this.#exists(node);
    }
  }

  // ---- one value ------------------------------------------------------------------------------------------------

  #scalar(node: QueryNode): SqlExpr | undefined {
    const grouped = groupedValue(this.rows, node, this.#subqueries, this.#expressions, this.#analysis);
    if (grouped === undefined) return undefined;
    if (grouped !== null) return this.#ofGroup(grouped, node);
    return this.#single(node.query, node);
  }

  /** The value of a query of one row, or NULL where it has none. */
  #single(query: Query, node: QueryNode): SqlExpr | undefined {
    const found = this.#static(query, node, 'a query in the place of a value');
    if (found === undefined) return undefined;
    const [column, ...others] = found.columns.filter(({ hidden }) => !hidden);
    if (column === undefined || others.length > 0)
      return this.#analysis.problem(node, `a query in the place of a value gives one column, not ${1 + others.length}`);
    const [value] = this.#joined(projected(found, [columnExpr(column, column.index)], node), [], node, true) ?? [];
    return value;
  }

  /** The value of the group that a row belongs to; where there is none, that of no rows. */
  #ofGroup({ query, keys, empty }: GroupedValue, node: QueryNode): SqlExpr | undefined {
    if (this.#above !== null)
      return this.#analysis.problem(
        node,
        'a query in the place of a value does not look at columns of the query around above GROUP BY',
        'group in a sub-query in FROM, and let the query around ask',
      );
    const found = this.#static(query, node, 'a query in the place of a value');
    if (found === undefined) return undefined;
    const width = this.rows.plan.output.length;
    const conditions = keys.map(({ outer, nullSafe }, index) =>
      this.#expressions.apply(
        nullSafe ? '<=>' : '=',
        [outer, columnExpr(found.plan.output[index]!, width + index)],
        node,
        [],
      ),
    );
    if (conditions.includes(undefined)) return undefined;
    const [mark, value] = this.#joined(found, conditions as Expr[], node)?.slice(keys.length) ?? [];
    if (mark === undefined || value === undefined || empty === null) return value;
    const without = this.#single(empty, node);
    const at = spanOf(node);
    return (
      without && {
        kind: 'case',
        operand: null,
        branches: [{ when: { kind: 'is', what: 'null', input: mark, negated: false, ...at }, then: without }],
        otherwise: value,
        ...at,
      }
    );
  }

  // ---- conditions -----------------------------------------------------------------------------------------------

  #member(node: Extract<SqlExpr, { kind: 'inQuery' }>): SqlExpr | undefined {
    const around = this.#memberships.found(this.rows, node.query, this.#subqueries);
    if (around === undefined) return undefined;
    if (around.conditions.length > 0) return this.#memberAround(node, around);
    const found = this.#static(node.query, node, 'IN (SELECT …) beside OR or within an expression');
    if (found === undefined) return undefined;
    const [column, ...others] = found.columns.filter(({ hidden }) => !hidden);
    const isTuple = node.input.kind === 'call' && node.input.name.text === 'struct';
    if (column === undefined || others.length > 0 || isTuple)
      return this.#analysis.problem(
        node,
        'IN (SELECT …) beside OR or within an expression takes one column',
        correlatedHint,
      );
    const value = columnExpr(column, column.index);
    const input = this.#expressions.expr(node.input, scopeOf(this.rows.columns));
    if (input === undefined) return undefined;
    const count: AggregateCall = { ...countOf([]), name: 'rows' };
    const known: AggregateCall = { ...countOf([value]), name: 'known' };
    const facts = this.#joined(totals(found, [count, known], node, this.#analysis), [], node);
    if (facts === undefined) return undefined;
    const marked = dedupRows(projected(found, [value, booleanLiteral(true)], node), null, null, node, this.#analysis);
    const width = this.rows.plan.output.length;
    const same = this.#expressions.apply('=', [input, columnExpr(column, width)], node, []);
    const [, mark] = (marked && same && this.#joined(marked, [same], node)) ?? [];
    const [rows, values] = facts;
    if (rows === undefined || values === undefined || mark === undefined) return undefined;
    const at = spanOf(node);
    const isUnknown = and(
      compare('>', rows, numberOf(0, at), at),
      or({ kind: 'is', what: 'null', input: node.input, negated: false, ...at }, compare('>', rows, values, at), at),
      at,
    );
    const result: SqlExpr = {
      kind: 'case',
      operand: null,
      branches: [
        { when: { kind: 'is', what: 'null', input: mark, negated: true, ...at }, then: truth(true, at) },
        { when: isUnknown, then: { kind: 'cast', input: nullOf(at), type: { kind: 'boolean' }, mode: 'ansi', ...at } },
      ],
      otherwise: truth(false, at),
      ...at,
    };
    return node.negated ? { kind: 'unary', op: 'not', input: result, ...at } : result;
  }

  /** `v IN (SELECT x FROM t WHERE …)` that looks at columns around: is there a row with x = v? (Unknown is false, as in Spark.) */
  #memberAround(node: Extract<SqlExpr, { kind: 'inQuery' }>, found: Found): SqlExpr | undefined {
    if (found.rows.streaming) return this.#streaming(node, 'IN (SELECT …) beside OR or within an expression');
    if (node.negated)
      return this.#analysis.problem(
        node,
        'NOT IN (SELECT …) beside OR or within an expression does not look at columns of the query around it',
        'write NOT EXISTS (SELECT 1 FROM … WHERE … AND x = v)',
      );
    const same = this.#memberships.members(this.rows, found, node, false);
    return same && this.#marked(node, found.rows, [...found.conditions, ...same]);
  }

  #exists(node: Extract<SqlExpr, { kind: 'exists' }>): SqlExpr | undefined {
    const found = this.#memberships.found(this.rows, node.query, this.#subqueries);
    if (found === undefined) return undefined;
    if (found.rows.streaming) return this.#streaming(node, 'EXISTS (SELECT …) beside OR or within an expression');
    const at = spanOf(node);
    if (found.conditions.length === 0) {
      const [rows] = this.#joined(totals(found.rows, [countOf([])], node, this.#analysis), [], node) ?? [];
      return rows && compare('>', rows, numberOf(0, at), at);
    }
    if (this.#above !== null)
      return this.#analysis.problem(
        node,
        'EXISTS (SELECT …) above GROUP BY does not look at columns of the query around',
        'group in a sub-query in FROM, and let WHERE of the query around ask',
      );
    return this.#marked(node, found.rows, found.conditions);
  }

  /** Is there a row for which the conditions, over the columns of both, hold? */
  #marked(node: QueryNode, rows: Rows, conditions: readonly Expr[]): SqlExpr | undefined {
    const keys = this.#keys(conditions, node);
    const marked =
      keys &&
      dedupRows(
        projected(rows, [...keys.map(({ right }) => right), booleanLiteral(true)], node),
        null,
        null,
        node,
        this.#analysis,
      );
    if (keys === undefined || marked === undefined) return undefined;
    const width = this.rows.plan.output.length;
    const same = keys.map(({ left, nullSafe }, index) =>
      this.#expressions.apply(
        nullSafe ? '<=>' : '=',
        [left, columnExpr(marked.plan.output[index]!, width + index)],
        node,
        [],
      ),
    );
    if (same.includes(undefined)) return undefined;
    const mark = this.#joined(marked, same as Expr[], node)?.at(-1);
    return mark && { kind: 'is', what: 'null', input: mark, negated: true, ...spanOf(node) };
  }

  /** The equalities between the two queries, the inner one's sides over its own columns. */
  #keys(conditions: readonly Expr[], node: QueryNode): ReturnType<typeof equalities>['equi'] | undefined {
    const width = this.rows.plan.output.length;
    const { equi, rest } = equalities(conditions, width);
    const own = (expr: Expr): Expr => mapColumns(expr, (column) => ({ ...column, index: column.index - width }));
    if (rest.length === 0) return equi.map((key) => ({ ...key, right: own(key.right) }));
    return this.#analysis.problem(
      node,
      `${node.kind === 'exists' ? 'EXISTS' : 'IN'} (SELECT …) beside OR or within an expression compares columns of both queries by = alone`,
      correlatedHint,
    );
  }

  // ---- columns --------------------------------------------------------------------------------------------------

  #static(query: Query, span: Span, what: string): Rows | undefined {
    const found = this.#subqueries.rows(query);
    return found?.streaming === true ? this.#streaming(span, what) : found;
  }

  #streaming(span: Span, what: string): undefined {
    return this.#analysis.problem(
      span,
      `${what} reads static tables alone: what a stream has changes while rows come`,
      'join with the other stream in FROM',
    );
  }

  /** Names of the columns that the rows get from `made`. */
  #joined(made: Rows | undefined, conditions: readonly Expr[], span: Span, single = false): SqlExpr[] | undefined {
    const table = made && madeTable(made, this.#analysis, single);
    if (table !== undefined && this.#above !== null) return this.#stand(table, this.#above, span);
    const joined = table && tableJoin(this.rows, table, conditions, span, this.#analysis);
    if (table === undefined || joined === undefined) return undefined;
    const before = this.rows.columns.length;
    const names: SqlExpr[] = [];
    const columns = joined.columns.map((column, index) => {
      if (index < before) return column;
      const name = valueName(index);
      names.push(nameOf(name, span));
      return { ...column, name, qualifier: null, hidden: true };
    });
    this.rows = { ...joined, columns };
    return names;
  }

  #stand(table: Rows, { tables, columns }: { tables: Rows[]; columns: ScopeColumn[] }, span: Span): SqlExpr[] {
    tables.push(table);
    return table.plan.output.map((field) => {
      const index = columns.length;
      const name = valueName(index);
      columns.push({ ...field, nullable: true, name, qualifier: null, hidden: true, index: valueColumn(index) });
      return nameOf(name, span);
    });
  }
}

/** No name that somebody writes, and none that another of these columns has. */
function valueName(index: number): string {
  return `(value ${index})`;
}

const correlatedHint = 'let it stand by itself in WHERE, beside other conditions with AND, or join the table in FROM';

function projected(rows: Rows, exprs: readonly Expr[], span: Span): Rows {
  const columns = exprs.map((expr, index): ProjectedColumn => ({
    name: `c${index}`,
    type: expr.type,
    nullable: expr.nullable,
    expr,
  }));
  const output = columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
  return {
    ...rows,
    plan: { kind: 'project', input: rows.plan, columns, output, span: spanOf(span) },
    columns: plainColumns(output),
    times: output.map(() => null),
  };
}

function countOf(args: readonly Expr[]): AggregateCall {
  return {
    function: 'count',
    args,
    distinct: false,
    filter: null,
    name: 'count',
    type: { kind: 'bigint' },
    nullable: false,
  };
}

/** One row of aggregates over all rows. */
function totals(rows: Rows, aggregates: readonly AggregateCall[], span: Span, analysis: Analysis): Rows {
  const { counted } = analysis;
  const id = analysis.nextOperator('aggregate');
  analysis.recount(counted);
  const output = aggregates.map(({ name, type, nullable }) => ({ name, type, nullable }));
  return {
    ...rows,
    plan: {
      kind: 'aggregate',
      id,
      watermarkLagUs: 0,
      input: rows.plan,
      keys: [],
      aggregates,
      session: null,
      eventTime: null,
      output,
      span: spanOf(span),
    },
    columns: plainColumns(output),
    times: output.map(() => null),
  };
}

/** NOT beside the queries that it is about: `v NOT IN …` is another question than `v IN …` where there are NULLs. */
function negationsInside(expr: SqlExpr): SqlExpr {
  return mapSql(expr, (node) => (node.kind === 'unary' && node.op === 'not' ? negation(node) : node));
}

function negation(not: Extract<SqlExpr, { kind: 'unary' }>): SqlExpr {
  const { input } = not;
  if (input.kind === 'inQuery') return { ...input, negated: !input.negated };
  if (input.kind !== 'binary' || (input.op !== 'and' && input.op !== 'or') || !holdsQuery(input)) return not;
  const of = (side: SqlExpr): SqlExpr => negation({ ...not, input: side });
  return { ...input, op: input.op === 'and' ? 'or' : 'and', left: of(input.left), right: of(input.right) };
}

// ---- syntax ---------------------------------------------------------------------------------------------------------

function nameOf(text: string, span: Span): SqlExpr {
  const part: Identifier = { text, ...spanOf(span) };
  return { kind: 'name', parts: [part], ...spanOf(span) };
}

function numberOf(value: number, at: Span): SqlExpr {
  return { kind: 'literal', literal: { kind: 'number', text: String(value), suffix: '' }, ...at };
}

function truth(value: boolean, at: Span): SqlExpr {
  return { kind: 'literal', literal: { kind: 'boolean', value }, ...at };
}

function nullOf(at: Span): SqlExpr {
  return { kind: 'literal', literal: { kind: 'null' }, ...at };
}

function compare(op: '>' | '=', left: SqlExpr, right: SqlExpr, at: Span): SqlExpr {
  return { kind: 'binary', op, left, right, ...at };
}

function and(left: SqlExpr, right: SqlExpr, at: Span): SqlExpr {
  return { kind: 'binary', op: 'and', left, right, ...at };
}

function or(left: SqlExpr, right: SqlExpr, at: Span): SqlExpr {
  return { kind: 'binary', op: 'or', left, right, ...at };
}
