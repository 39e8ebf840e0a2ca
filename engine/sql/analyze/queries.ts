/** Queries as trees of operators: WITH, set operations, ORDER BY and LIMIT, and what stands in FROM. */
import type { Expr, Identifier, Query, QueryBody, Relation, SetOperation, SortItem, Span } from '../../../core/ast.ts';
import type { Field } from '../../../core/types.ts';
import { formatType } from '../../../core/types.ts';
import type { LogicalPlan, SortKey } from '../../plan/logical-plan.ts';
import type { ProjectedColumn } from '../../plan/stage-plan.ts';
import { castTo, commonType } from '../coercion.ts';
import { didYouMean } from '../problems.ts';
import type { Analysis } from './context.ts';
import { dedupRows } from './dedup.ts';
import type { EventTime } from './event-time.ts';
import { isStateful } from './eviction.ts';
import { ExpressionAnalyzer } from './expressions.ts';
import { generated, lateralStep } from './generate-steps.ts';
import { joinRows } from './joins.ts';
import { columnExpr, findColumns, plainColumns, requalified, type Rows, scopeOf } from './scope.ts';
import { spanOf, wholeNumber } from './syntax.ts';
import { type OrderBy, SelectAnalyzer, sortRows } from './selects.ts';
import type { Subqueries } from './subqueries.ts';
import { inputsOf, nodesOf } from './tree.ts';
import { constantInterval } from './windows.ts';

/** Common table expressions in reach, each with those that it may use itself. */
type Ctes = ReadonlyMap<string, { readonly query: Query; readonly outer: Ctes }>;

const DAYS_OF_MONTH = 31;
const DAY_US = 86_400_000_000;

export class QueryAnalyzer {
  readonly #analysis: Analysis;
  readonly #expressions: ExpressionAnalyzer;
  readonly #selects: SelectAnalyzer;

  constructor(analysis: Analysis) {
    this.#analysis = analysis;
    this.#expressions = new ExpressionAnalyzer(analysis);
    this.#selects = new SelectAnalyzer(this.#expressions, analysis);
  }

  /** The rows of a whole query. */
  root(query: Query): Rows | undefined {
    return this.#query(query, new Map());
  }

  #query(query: Query, outer: Ctes): Rows | undefined {
    const { counted } = this.#analysis;
    const rows = this.#rowsOf(query, outer);
    if (rows?.streaming === false) this.#analysis.recount(counted);
    return rows;
  }

  #rowsOf(query: Query, outer: Ctes): Rows | undefined {
    const ctes = this.#ctes(query, outer);
    const limit = this.#count(query);
    const span = query.orderBySpan;
    const order: OrderBy | null = span === null ? null : { items: query.orderBy, span, limit: limit?.count ?? null };
    const rows = this.#body(query.body, ctes, order);
    if (rows === undefined || limit === null || order !== null) return rows;
    const { plan, lagUs } = rows;
    const sorted = limitSort(plan, limit.count);
    if (sorted !== undefined) return { ...rows, plan: sorted };
    return {
      ...rows,
      plan: {
        kind: 'limit',
        id: this.#analysis.nextOperator('limit'),
        watermarkLagUs: lagUs,
        input: plan,
        count: limit.count,
        output: plan.output,
        span: limit.span,
      },
    };
  }

  #count(query: Query): { readonly count: number; readonly span: Span } | null {
    if (query.offsetRows !== null)
      this.#analysis.problem(query.offsetRows, 'OFFSET has no meaning for a stream', 'use LIMIT alone');
    if (query.limit === null) return null;
    const count = wholeNumber(query.limit);
    if (count !== undefined && count >= 0) return { count, span: spanOf(query.limit) };
    this.#analysis.problem(query.limit, 'LIMIT takes a whole number', 'write LIMIT 10');
    return null;
  }

  #body(body: QueryBody, ctes: Ctes, order: OrderBy | null): Rows | undefined {
    switch (body.kind) {
      case 'select': {
        const from = body.from === null ? this.#nothing(body) : this.#relation(body.from, ctes);
        return from && this.#selects.select(body, from, order, this.#subqueries(ctes));
      }
      case 'nested':
        return this.#ordered(this.#query(body.query, ctes), order);
      case 'set':
        return this.#ordered(this.#set(body, ctes), order);
    }
  }

  #subqueries(ctes: Ctes): Subqueries {
    return {
      rows: (query) => this.#query(query, ctes),
      from: (query, { from }) => {
        const inner = this.#ctes(query, ctes);
        const rows = from === null ? this.#nothing(query) : this.#relation(from, inner);
        return rows && { rows, subqueries: this.#subqueries(inner) };
      },
    };
  }

  #ctes(query: Query, outer: Ctes): Ctes {
    let ctes = outer;
    for (const { name, query: inner } of query.ctes)
      ctes = new Map(ctes).set(name.text.toLowerCase(), { query: inner, outer: ctes });
    return ctes;
  }

  #nothing(span: Span): undefined {
    return this.#analysis.problem(
      span,
      'this SELECT reads nothing',
      `add FROM and the name of a source: ${this.#analysis.sourceNames()}`,
    );
  }

  #ordered(rows: Rows | undefined, order: OrderBy | null): Rows | undefined {
    if (rows === undefined || order === null) return rows;
    const by = order.items.map((item) => this.#sortKey(item, rows));
    if (by.includes(undefined)) return undefined;
    return sortRows(rows, by as SortKey[], order, this.#analysis);
  }

  #sortKey(item: SortItem, rows: Rows): SortKey | undefined {
    const { descending } = item;
    const nullsFirst = item.nullsFirst ?? !descending;
    const ordinal = wholeNumber(item.expr);
    const column = ordinal === undefined ? undefined : rows.plan.output[ordinal - 1];
    const expr =
      ordinal === undefined
        ? this.#expressions.expr(item.expr, scopeOf(rows.columns))
        : column === undefined
          ? this.#analysis.problem(item.expr, `there is no column ${ordinal} to order by`)
          : columnExpr(column, ordinal - 1);
    return expr && { expr, descending, nullsFirst };
  }

  // ---- set operations -------------------------------------------------------------------------------------------

  #set(set: SetOperation, ctes: Ctes): Rows | undefined {
    const parts = setInputs(set, set).map((part) => this.#body(part, ctes, null));
    if (set.op === 'intersect' || set.op === 'except')
      return this.#analysis.problem(
        set,
        `${set.op.toUpperCase()} has no meaning for streams`,
        set.op === 'intersect' ? 'use LEFT SEMI JOIN' : 'use LEFT ANTI JOIN',
      );
    if (parts.includes(undefined)) return undefined;
    const ordered = set.byName ? this.#byName(parts as Rows[], set) : (parts as Rows[]);
    const union = ordered && this.#union(ordered, set);
    return union && set.op === 'union' ? dedupRows(union, null, null, set, this.#analysis) : union;
  }

  /** The parts with their columns in the order of the first one's. */
  #byName(parts: readonly Rows[], span: Span): readonly Rows[] | undefined {
    const [first, ...others] = parts as [Rows, ...Rows[]];
    const ordered = others.map((rows): Rows | undefined => {
      const columns = first.columns.map(({ name }) => findColumns(rows.columns, name, null));
      if (rows.columns.length === columns.length && columns.every(({ length }) => length === 1))
        return { ...rows, columns: columns.flat() };
      const [odd = ''] = oddNames(first, rows);
      return this.#analysis.problem(
        span,
        `UNION BY NAME needs the same names on both sides, and ${odd} is not on each exactly once`,
        'give the columns the same names with AS; a missing one is CAST(NULL AS …) AS name',
      );
    });
    return ordered.includes(undefined) ? undefined : [first, ...(ordered as Rows[])];
  }

  #union(parts: readonly Rows[], span: Span): Rows | undefined {
    const [first] = parts as [Rows];
    const width = first.columns.length;
    const odd = parts.find(({ columns }) => columns.length !== width);
    if (odd !== undefined)
      return this.#analysis.problem(
        span,
        `the queries of UNION have ${width} and ${odd.columns.length} columns`,
        'list the same columns in each',
      );
    if (parts.some(({ streaming }) => streaming !== first.streaming))
      return this.#analysis.problem(span, 'UNION of a stream and a static table is not supported');
    const output: Field[] = [];
    for (const [index, column] of first.columns.entries()) {
      let { type, nullable } = column;
      for (const part of parts.slice(1)) {
        const other = part.columns[index];
        if (other === undefined) continue;
        const common = commonType(type, other.type);
        if (common === undefined)
          return this.#analysis.problem(
            span,
            `column ${index + 1} of UNION is ${formatType(type)} in one query and ${formatType(other.type)} in another`,
            'convert one of them with CAST',
          );
        type = common;
        nullable ||= other.nullable;
      }
      output.push({ name: column.name, type, nullable });
    }
    return {
      plan: {
        kind: 'union',
        inputs: parts.map((part) => unionInput(part, output)),
        output,
        span: spanOf(span),
      },
      columns: plainColumns(output),
      times: output.map((_, index) => unionTime(parts, index)),
      streaming: first.streaming,
      lagUs: Math.max(...parts.map(({ lagUs }) => lagUs)),
    };
  }

  // ---- FROM -----------------------------------------------------------------------------------------------------

  #relation(relation: Relation, ctes: Ctes): Rows | undefined {
    switch (relation.kind) {
      case 'join': {
        const left = this.#relation(relation.left, ctes);
        const right = this.#relation(relation.right, ctes);
        return left && right && joinRows(relation, left, right, this.#expressions, this.#analysis);
      }
      case 'subquery': {
        const inner = this.#query(relation.query, ctes);
        return inner && requalified(inner, relation.alias?.text ?? null);
      }
      case 'watermark': {
        const inner = this.#relation(relation.input, ctes);
        const marked = inner && this.#watermark(inner, relation);
        return marked && relation.alias !== null ? requalified(marked, relation.alias.text) : marked;
      }
      case 'named': {
        const inner = this.#relation(relation.input, ctes);
        return inner && this.#named(inner, relation);
      }
      case 'lateral': {
        const inner = this.#relation(relation.input, ctes);
        const step = inner && lateralStep(inner, relation.view, this.#expressions, this.#analysis);
        return inner && step && generated(inner, step);
      }
      case 'table':
        return this.#table(relation, ctes);
    }
  }

  #named(
    rows: Rows,
    { alias, columns: names, offset, length }: Extract<Relation, { kind: 'named' }>,
  ): Rows | undefined {
    const shown = rows.columns.filter(({ hidden }) => !hidden);
    if (shown.length !== names.length)
      return this.#analysis.problem(
        { offset, length },
        `${alias.text} has ${shown.length} columns, and the list behind it names ${names.length}`,
        `the columns are: ${shown.map(({ name }) => name).join(', ')}`,
      );
    const columns = rows.columns.map((column) => {
      const name = names[shown.indexOf(column)]?.text;
      return { ...column, name: name ?? column.name, qualifier: alias.text };
    });
    return { ...rows, columns };
  }

  #table(relation: Extract<Relation, { kind: 'table' }>, ctes: Ctes): Rows | undefined {
    const name = relation.name.map(({ text }) => text).join('.');
    const alias = relation.alias?.text ?? relation.name.at(-1)?.text ?? name;
    const cte = ctes.get(name.toLowerCase());
    if (cte !== undefined) {
      const inner = this.#query(cte.query, cte.outer);
      return inner && requalified(inner, alias);
    }
    const { input } = this.#analysis;
    for (const source of input.sources.keys())
      if (source.toLowerCase() === name.toLowerCase()) return this.#source(source, alias, relation);
    for (const [table, schema] of input.tables) {
      if (table.toLowerCase() !== name.toLowerCase()) continue;
      return {
        plan: { kind: 'static', table, output: schema, span: spanOf(relation) },
        columns: plainColumns(schema, alias),
        times: schema.map(() => null),
        streaming: false,
        lagUs: 0,
      };
    }
    const candidates = [...input.sources.keys(), ...input.tables.keys(), ...ctes.keys()];
    return this.#analysis.problem(
      relation,
      `there is no source ${name}`,
      didYouMean(name, candidates) ?? `the job's sources are: ${this.#analysis.sourceNames()}`,
    );
  }

  #source(source: string, alias: string, span: Span): Rows | undefined {
    const { input, sources } = this.#analysis;
    const columns = input.sources.get(source) ?? [];
    sources.add(source);
    const rows: Rows = {
      plan: {
        kind: 'source',
        source,
        output: columns.map(({ name, type, nullable }) => ({ name, type, nullable })),
        span: spanOf(span),
      },
      columns: columns.map((column, index) => ({ ...column, qualifier: alias, index })),
      times: columns.map(() => null),
      streaming: true,
      lagUs: 0,
    };
    const declared = input.watermarks.get(source);
    if (declared === undefined) return rows;
    const name = { text: declared.column, ...spanOf(span) };
    return this.#marked(rows, name, declared.delayUs, span);
  }

  #watermark(rows: Rows, relation: Extract<Relation, { kind: 'watermark' }>): Rows | undefined {
    const interval = constantInterval(relation.delay);
    if (interval === undefined)
      return this.#analysis.problem(
        relation.delay,
        'the delay of a watermark is a constant interval',
        'write DELAY OF INTERVAL 10 SECONDS',
      );
    const delayUs = interval.microseconds + interval.months * DAYS_OF_MONTH * DAY_US;
    if (delayUs < 0 || interval.months < 0)
      return this.#analysis.problem(relation.delay, 'the delay of a watermark is not negative');
    return this.#marked(rows, relation.column, delayUs, relation);
  }

  #marked(rows: Rows, name: Identifier, delayUs: number, span: Span): Rows | undefined {
    if (!rows.streaming)
      return this.#analysis.problem(span, 'a static table has no watermark', 'watermarks belong to streams');
    const stateful = [...nodesOf(rows.plan)].find(isStateful);
    if (stateful !== undefined)
      return this.#analysis.problem(
        span,
        'a watermark stands below operators that keep state: it is computed while records are read',
        'declare it within the sub-query, right behind the source: FROM events WATERMARK ts DELAY OF …; its column stays event time through joins, window_time() and DISTINCT',
      );
    const earlier = findWatermark(rows.plan);
    if (earlier !== undefined)
      return this.#analysis.problem(
        span,
        `a second watermark on the same stream: it already has one on ${earlier}`,
        'declare one watermark for each stream, either here or in the job file',
      );
    const expr: Expr | undefined = this.#expressions.expr(
      { kind: 'name', parts: [name], ...spanOf(name) },
      scopeOf(rows.columns),
    );
    if (expr === undefined) return undefined;
    if (expr.kind !== 'column' || expr.type.kind !== 'timestamp')
      return this.#analysis.problem(
        name,
        `a watermark is on a column of type TIMESTAMP, not ${formatType(expr.type)}`,
        'convert the column in a sub-query: FROM (SELECT CAST(… AS TIMESTAMP) AS ts, …) WATERMARK ts DELAY OF …',
      );
    const column = expr.index;
    const time: EventTime = { kind: 'timestamp', delayUs };
    return {
      ...rows,
      plan: { kind: 'watermark', input: rows.plan, column, delayUs, output: rows.plan.output, span: spanOf(span) },
      times: rows.times.map((known, index) => (index === column ? time : known)),
    };
  }
}

/** LIMIT over rows in order is a matter of the sort itself; undefined where there is none right below. */
function limitSort(plan: LogicalPlan, count: number): LogicalPlan | undefined {
  if (plan.kind === 'sort') return { ...plan, limit: Math.min(plan.limit ?? count, count) };
  if (plan.kind !== 'project') return undefined;
  const input = limitSort(plan.input, count);
  return input && { ...plan, input };
}

/** The queries that one kind of set operation puts together, from left to right. */
function setInputs(body: QueryBody, of: SetOperation): readonly QueryBody[] {
  if (body.kind !== 'set' || body.op !== of.op || body.byName !== of.byName) return [body];
  return [...setInputs(body.left, of), ...setInputs(body.right, of)];
}

/** Names that are not on each side exactly once. */
function oddNames(a: Rows, b: Rows): string[] {
  const names = [...a.columns, ...b.columns].map(({ name }) => name);
  return names.filter((name) => [a, b].some(({ columns }) => findColumns(columns, name, null).length !== 1));
}

/** The input with exactly the columns of the union; itself where it has them. */
function unionInput(rows: Rows, output: readonly Field[]): LogicalPlan {
  const { plan, columns } = rows;
  const inPlace = columns.length === plan.output.length && columns.every(({ index }, place) => index === place);
  const projected = columns.map((column, index): ProjectedColumn => {
    const { type } = output[index] ?? column;
    const expr = castTo(columnExpr(column, column.index), type);
    return { name: column.name, type, nullable: expr.nullable, expr };
  });
  if (inPlace && projected.every(({ expr }) => expr.kind === 'column')) return plan;
  return {
    kind: 'project',
    input: plan,
    columns: projected,
    output: projected.map(({ name, type, nullable }) => ({ name, type, nullable })),
    span: plan.span,
  };
}

/** As Spark, a union's column is event time when the first query's is. */
function unionTime(parts: readonly Rows[], index: number): EventTime | null {
  const times = parts.map(({ columns, times: own }) => own[columns[index]?.index ?? -1] ?? null);
  const [first = null] = times;
  if (first === null) return null;
  const delays = times.map((time) => time?.delayUs ?? 0);
  return { kind: first.kind, delayUs: Math.max(...delays) };
}

/** The column of a watermark below, if there is one. */
function findWatermark(plan: LogicalPlan): string | undefined {
  if (plan.kind === 'watermark') return plan.output[plan.column]?.name;
  for (const input of inputsOf(plan)) {
    const found = findWatermark(input);
    if (found !== undefined) return found;
  }
  return undefined;
}
