/** One SELECT: lateral views, WHERE, GROUP BY, HAVING, the select list, DISTINCT, ORDER BY. */
import {
  collectColumns,
  type Expr,
  type Select,
  type SelectItem,
  type SortItem,
  type Span,
  type SqlExpr,
} from '../../../core/ast.ts';
import { formatType } from '../../../core/types.ts';
import type { SortKey } from '../../plan/logical-plan.ts';
import type { ProjectedColumn } from '../../plan/stage-plan.ts';
import { isGroupable } from '../coercion.ts';
import { splitConjuncts } from '../conjuncts.ts';
import { generators, isAggregateName } from './calls.ts';
import { canonical } from './canonical.ts';
import type { Analysis } from './context.ts';
import { dedupRows } from './dedup.ts';
import { projectTimes } from './event-time.ts';
import type { ExpressionAnalyzer } from './expressions.ts';
import { filtered } from './filters.ts';
import { generated, type GenerateStep, generateStep, lateralStep } from './generate-steps.ts';
import { groupKeys } from './group-keys.ts';
import { groupRows } from './groups.ts';
import { holdsPlaceholder, type Place } from './placeholders.ts';
import { QueryValues } from './query-values.ts';
import { ranked } from './rank-columns.ts';
import { columnExpr, columnOf, plainColumns, type Rows, type Scope, scopeOf } from './scope.ts';
import { SelectCalls } from './select-calls.ts';
import { MembershipJoins, splitMemberships, type Subqueries } from './subqueries.ts';
import { hasAggregate, holdsQuery, mapSql, spanOf, wholeNumber } from './syntax.ts';

/** ORDER BY behind a SELECT; `limit` is that of the LIMIT behind it. */
export interface OrderBy {
  readonly items: readonly SortItem[];
  readonly span: Span;
  readonly limit: number | null;
}

/** A column of the select list before the calls in it have their places. */
interface DraftColumn {
  readonly name: string;
  readonly expr: Expr;
  readonly span: Span;
}

export class SelectAnalyzer {
  readonly #expressions: ExpressionAnalyzer;
  readonly #analysis: Analysis;
  readonly #memberships: MembershipJoins;

  constructor(expressions: ExpressionAnalyzer, analysis: Analysis) {
    this.#expressions = expressions;
    this.#analysis = analysis;
    this.#memberships = new MembershipJoins(expressions, analysis);
  }

  /** The rows of a SELECT over those of its FROM. */
  select(written: Select, from: Rows, order: OrderBy | null, subqueries: Subqueries): Rows | undefined {
    const found = this.#where(written, from, subqueries);
    const lifted = found && this.#lifted(written, found, subqueries);
    if (lifted === undefined) return undefined;
    const { select, rows, above } = lifted;
    const grouped =
      select.groupBySpan !== null ||
      select.having !== null ||
      select.items.some(({ expr }) => hasAggregate(expr)) ||
      (order !== null && order.items.some(({ expr }) => hasAggregate(expr)));
    return grouped ? this.#grouped(select, rows, order, above) : this.#plain(select, rows, order);
  }

  // ---- lateral views and WHERE ----------------------------------------------------------------------------------

  /**
   * WHERE behind the lateral views; conditions that only look at columns from before go in front of them, where they
   * spare the work.
   */
  #where(select: Select, from: Rows, subqueries: Subqueries): Rows | undefined {
    const steps: GenerateStep[] = [];
    let all = from;
    for (const view of select.lateralViews) {
      const step = lateralStep(all, view, this.#expressions, this.#analysis);
      if (step === undefined) continue;
      steps.push(step);
      all = generated(all, step);
    }
    if (select.where === null) return all;
    const { memberships, rest } = splitMemberships(select.where);
    const plain = rest.filter((condition) => !holdsQuery(condition));
    const rows = this.#conditions(plain, select.where, from, steps, all);
    const joined = this.#memberships.joined(rows, memberships, subqueries);
    if (joined === undefined || plain.length === rest.length) return joined;
    const values = this.#values(joined, subqueries);
    const others = rest.filter(holdsQuery).map((condition) => values.lifted(condition));
    if (values.failed) return undefined;
    const typed = others.map((condition) =>
      this.#expressions.boolean(condition, scopeOf(values.rows.columns), 'WHERE'),
    );
    if (typed.includes(undefined)) return undefined;
    return filtered(values.rows, (typed as Expr[]).flatMap(splitConjuncts), select.where);
  }

  #values(rows: Rows, subqueries: Subqueries, isAbove = false): QueryValues {
    return new QueryValues(rows, subqueries, this.#memberships, this.#expressions, this.#analysis, isAbove);
  }

  /** The SELECT with columns in the place of queries that stand for values; `above` has those above GROUP BY. */
  #lifted(
    select: Select,
    rows: Rows,
    subqueries: Subqueries,
  ): { readonly select: Select; readonly rows: Rows; readonly above: QueryValues | null } | undefined {
    const written = [...select.items.map(({ expr }) => expr), ...select.groupBy];
    if (select.having !== null) written.push(select.having);
    if (!written.some(holdsQuery)) return { select, rows, above: null };
    const isGrouped =
      select.groupBySpan !== null || select.having !== null || select.items.some(({ expr }) => hasAggregate(expr));
    const below = this.#values(rows, subqueries);
    const above = isGrouped ? this.#values(rows, subqueries, true) : null;
    const lift = (expr: SqlExpr): SqlExpr =>
      above === null ? below.lifted(expr) : above.lifted(withinAggregates(expr, (arg) => below.lifted(arg)));
    const items = select.items.map((item) => {
      if (!holdsQuery(item.expr)) return item;
      const { offset, length } = spanOf(item.expr);
      const alias = item.alias ?? { text: this.#analysis.textOf(item.expr), offset, length };
      return { ...item, alias, expr: lift(item.expr) };
    });
    const groupBy = select.groupBy.map((expr) => below.lifted(expr));
    const having = select.having && lift(select.having);
    if (below.failed || above?.failed === true) return undefined;
    return { select: { ...select, items, groupBy, having }, rows: below.rows, above };
  }

  #conditions(where: readonly SqlExpr[], span: Span, from: Rows, steps: readonly GenerateStep[], all: Rows): Rows {
    const typed = where.map((condition) => this.#expressions.boolean(condition, scopeOf(all.columns), 'WHERE'));
    if (typed.length === 0 || typed.includes(undefined)) return all;
    const width = from.plan.output.length;
    const early: Expr[] = [];
    const late: Expr[] = [];
    for (const condition of (typed as Expr[]).flatMap(splitConjuncts))
      (late.length === 0 && readsOnlyBelow(condition, width) ? early : late).push(condition);
    let rows = filtered(from, early, span);
    for (const step of steps) rows = generated(rows, step);
    return filtered(rows, late, span);
  }

  // ---- without groups -------------------------------------------------------------------------------------------

  #plain(select: Select, input: Rows, order: OrderBy | null): Rows | undefined {
    let rows = input;
    let generatorItem: SelectItem | undefined;
    for (const item of select.items) {
      const known = item.expr.kind === 'call' ? generators.get(item.expr.name.text.toLowerCase()) : undefined;
      if (item.expr.kind !== 'call' || known === undefined) continue;
      if (generatorItem !== undefined) {
        this.#analysis.problem(item.expr, 'a select list takes one generator', 'use LATERAL VIEW for the others');
        continue;
      }
      generatorItem = item;
      const aliases = item.alias === null ? item.aliases : [item.alias];
      const use = { ...known, aliases, qualifier: null };
      const step = generateStep(rows, item.expr, use, this.#expressions, this.#analysis);
      if (step !== undefined) rows = generated(rows, step);
    }
    // Names in the list mean what they mean without the generator; it adds none.
    const made = rows.columns.slice(input.columns.length);
    const calls = new SelectCalls(rows, this.#expressions, this.#analysis);
    const aliases = new Map<string, Expr>();
    const scope = scopeOf(input.columns, calls.handler({ aggregates: false, over: true }), aliases);
    const columns = this.#items(select.items, scope, aliases, generatorItem, made.map(columnOf));
    const on = select.distinctOn.map((expr) => ({ expr: this.#expressions.expr(expr, scope), span: expr }));
    const drafts = order === null ? [] : this.#orderDrafts(order, columns, scope);
    if (columns === undefined || drafts === undefined || on.some(({ expr }) => expr === undefined)) return undefined;
    const placed = ranked(calls, calls.rows, (expr) => expr, this.#analysis);
    return placed && this.#finish(select, placed.rows, columns, on as Located[], order, drafts, placed.place);
  }

  // ---- with groups ----------------------------------------------------------------------------------------------

  #grouped(select: Select, input: Rows, order: OrderBy | null, above: QueryValues | null): Rows | undefined {
    const calls = new SelectCalls(input, this.#expressions, this.#analysis);
    const keys = groupKeys(select, calls, this.#expressions, this.#analysis);
    // What the list says of keys that are wrong would be wrong as well.
    if (keys === undefined) return undefined;
    const aliases = new Map<string, Expr>();
    const named = above === null ? calls.columns : [...calls.columns, ...above.columns];
    const scope = scopeOf(named, calls.handler({ aggregates: true, over: true }), aliases);
    const generatorItem = select.items.find(
      ({ expr }) => expr.kind === 'call' && generators.has(expr.name.text.toLowerCase()),
    );
    if (generatorItem !== undefined)
      this.#analysis.problem(
        generatorItem.expr,
        'a generator does not stand beside GROUP BY',
        'use LATERAL VIEW, or generate in a query around this one',
      );
    const items = select.items.filter((item) => item !== generatorItem);
    const columns = this.#items(items, scope, aliases, undefined, []);
    const withAliases = { ...scope, calls: calls.handler({ aggregates: true, over: false }) };
    const having = select.having === null ? null : this.#expressions.boolean(select.having, withAliases, 'HAVING');
    const on = select.distinctOn.map((expr) => ({ expr: this.#expressions.expr(expr, scope), span: expr }));
    const drafts = order === null ? [] : this.#orderDrafts(order, columns, scope);
    if (columns === undefined || having === undefined || drafts === undefined) return undefined;
    if (on.some(({ expr }) => expr === undefined)) return undefined;
    const groups = groupRows(calls, keys, select, this.#analysis);
    const valued = groups && above?.join(groups.rows);
    if (groups === undefined || (above !== null && valued === undefined)) return undefined;
    let { rows } = valued ?? groups;
    const onGroups: Place = (expr, span) => {
      const placed = groups.place(expr, span);
      return placed && (valued?.place(placed) ?? placed);
    };
    if (having !== null && select.having !== null) {
      if (holdsPlaceholder(having, 'rank'))
        return this.#analysis.problem(
          select.having,
          'HAVING cannot look at a window function: it is computed behind it',
          'filter in a query around this one',
        );
      const condition = onGroups(having, select.having);
      if (condition === undefined) return undefined;
      rows = filtered(rows, splitConjuncts(condition), select.having);
    }
    const over = ranked(calls, rows, onGroups, this.#analysis);
    if (over === undefined) return undefined;
    const place: Place = (expr, span) => {
      const ungrouped = onGroups(expr, span);
      return ungrouped && over.place(ungrouped, span);
    };
    return this.#finish(select, over.rows, columns, on as Located[], order, drafts, place);
  }

  // ---- the select list ------------------------------------------------------------------------------------------

  #items(
    items: readonly SelectItem[],
    scope: Scope,
    aliases: Map<string, Expr>,
    generatorItem: SelectItem | undefined,
    generatedItems: readonly ProjectedColumn[],
  ): readonly DraftColumn[] | undefined {
    const columns: DraftColumn[] = [];
    let failed = false;
    for (const item of items) {
      const span = spanOf(item.expr);
      if (item === generatorItem) {
        columns.push(...generatedItems.map(({ name, expr }) => ({ name, expr, span })));
      } else if (item.expr.kind === 'star') {
        const listed = this.#expressions.star(item.expr, scope.columns);
        columns.push(...listed.map(({ name, expr }) => ({ name, expr, span })));
      } else {
        const expr = this.#expressions.expr(item.expr, scope);
        if (expr === undefined) {
          failed = true;
          continue;
        }
        if (expr.kind === 'lambda') {
          this.#analysis.problem(item.expr, 'a lambda stands only as an argument of a function like transform');
          failed = true;
          continue;
        }
        columns.push({ name: item.alias?.text ?? this.#expressions.nameOf(item.expr), expr, span });
        if (item.alias !== null) aliases.set(item.alias.text.toLowerCase(), expr);
      }
    }
    return failed ? undefined : columns;
  }

  /** What ORDER BY lists, typed: names of the select list come first, as in Spark. */
  #orderDrafts(
    order: OrderBy,
    columns: readonly DraftColumn[] | undefined,
    scope: Scope,
  ): readonly Located[] | undefined {
    const drafts = order.items.map(({ expr: sql }): Located | undefined => {
      const span = spanOf(sql);
      const ordinal = wholeNumber(sql);
      if (ordinal !== undefined) {
        const column = columns?.[ordinal - 1];
        return column === undefined
          ? this.#analysis.problem(sql, `there is no column ${ordinal} in the select list to order by`)
          : { expr: column.expr, span };
      }
      const named =
        sql.kind === 'name' && sql.parts.length === 1
          ? columns?.find(({ name }) => name.toLowerCase() === sql.parts[0]?.text.toLowerCase())
          : undefined;
      const expr = named?.expr ?? this.#expressions.expr(sql, scope);
      return expr && { expr, span };
    });
    return drafts.includes(undefined) ? undefined : (drafts as Located[]);
  }

  // ---- the end --------------------------------------------------------------------------------------------------

  #finish(
    select: Select,
    input: Rows,
    drafts: readonly DraftColumn[],
    distinctOn: readonly Located[],
    order: OrderBy | null,
    orderDrafts: readonly Located[],
    place: Place,
  ): Rows | undefined {
    const columns = drafts.map(({ name, expr, span }): ProjectedColumn | undefined => {
      const placed = place(expr, span);
      return placed && { name, type: placed.type, nullable: placed.nullable, expr: placed };
    });
    const keys = distinctOn.map(({ expr, span }) => place(expr, span));
    const sortBy = orderDrafts.map(({ expr, span }) => place(expr, span));
    if (columns.includes(undefined) || keys.includes(undefined) || sortBy.includes(undefined)) return undefined;
    const within = select.withinWatermark ? spanOf(select) : null;
    let rows: Rows | undefined = input;
    if (select.distinctOn.length > 0) rows = this.#distinctOn(rows, keys as Expr[], within, select);
    if (rows === undefined) return undefined;
    const shown = columns as ProjectedColumn[];
    const hidden: ProjectedColumn[] = [];
    const odd = (sortBy as Expr[]).find(({ type }) => !isGroupable(type));
    if (odd !== undefined && order !== null)
      return this.#analysis.problem(order.span, `ORDER BY cannot compare values of type ${formatType(odd.type)}`);
    const by = (sortBy as Expr[]).map((expr, index): SortKey => {
      const item = order?.items[index];
      const descending = item?.descending ?? false;
      const wanted = canonical(expr);
      let column = [...shown, ...hidden].findIndex((other) => canonical(other.expr) === wanted);
      if (column < 0) {
        column = shown.length + hidden.length;
        hidden.push({ name: `order_${hidden.length + 1}`, type: expr.type, nullable: expr.nullable, expr });
      }
      const field = [...shown, ...hidden][column] ?? { name: '', type: expr.type, nullable: expr.nullable };
      return { expr: columnExpr(field, column), descending, nullsFirst: item?.nullsFirst ?? !descending };
    });
    let result: Rows | undefined = projected(rows, [...shown, ...hidden], select);
    if (select.distinct && select.distinctOn.length === 0) {
      if (hidden.length > 0 && order !== null)
        return this.#analysis.problem(order.span, 'ORDER BY behind SELECT DISTINCT takes columns of the select list');
      result = dedupRows(result, null, within, select, this.#analysis);
    }
    if (result === undefined || order === null) return result;
    const sorted = sortRows(result, by, order, this.#analysis);
    return hidden.length === 0 ? sorted : projected(sorted, shown.map(passed), select);
  }

  /** The first row of each value of the expressions; those that are no columns become columns for that. */
  #distinctOn(rows: Rows, keys: readonly Expr[], within: Span | null, select: Select): Rows | undefined {
    const { output } = rows.plan;
    const own = output.map((field, index): ProjectedColumn => ({ ...field, expr: columnExpr(field, index) }));
    const added: ProjectedColumn[] = [];
    const columns = keys.map((expr, index) => {
      if (expr.kind === 'column') return expr.index;
      added.push({ name: `key_${index + 1}`, type: expr.type, nullable: expr.nullable, expr });
      return output.length + added.length - 1;
    });
    const wide = added.length === 0 ? rows : projected(rows, [...own, ...added], select);
    return dedupRows(wide, columns, within, select, this.#analysis);
  }
}

/** The expression with the arguments of aggregate functions replaced. */
function withinAggregates(expr: SqlExpr, replace: (arg: SqlExpr) => SqlExpr): SqlExpr {
  return mapSql(expr, (node) =>
    node.kind === 'call' && node.over === null && isAggregateName(node.name.text.toLowerCase())
      ? { ...node, args: node.args.map(replace), filter: node.filter && replace(node.filter) }
      : node,
  );
}

/** An expression and where it stands. */
interface Located {
  readonly expr: Expr;
  readonly span: Span;
}

function passed(column: ProjectedColumn, index: number): ProjectedColumn {
  return { ...column, expr: columnExpr(column, index) };
}

/** The rows in order. */
export function sortRows(rows: Rows, by: readonly SortKey[], order: OrderBy, analysis: Analysis): Rows {
  return {
    ...rows,
    plan: {
      kind: 'sort',
      id: analysis.nextOperator('sort'),
      watermarkLagUs: rows.lagUs,
      input: rows.plan,
      by,
      limit: order.limit,
      output: rows.plan.output,
      span: order.span,
    },
  };
}

function projected(rows: Rows, columns: readonly ProjectedColumn[], span: Span): Rows {
  const output = columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
  return {
    ...rows,
    plan: { kind: 'project', input: rows.plan, columns, output, span: spanOf(span) },
    columns: plainColumns(output),
    times: projectTimes(columns, rows.times),
  };
}

function readsOnlyBelow(expr: Expr, width: number): boolean {
  const columns = new Set<number>();
  collectColumns(expr, columns);
  return [...columns].every((index) => index < width);
}
