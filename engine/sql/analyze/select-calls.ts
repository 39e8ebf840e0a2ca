/**
 * The calls of one SELECT that are no functions of a row's values: windows of time, aggregates, functions OVER. Each
 * becomes a column that the operators below the projection make; until it is known where that column stands, one of
 * placeholders.ts is in its stead.
 */
import { collectColumns, type Expr, type Span, type SqlExpr } from '../../../core/ast.ts';
import type { AggregateCall, RankCall, SortKey } from '../../plan/logical-plan.ts';
import { aggregateByName } from '../aggregates.ts';
import { BIGINT, castTo, commonType, INT, isIntegral } from '../coercion.ts';
import { nullLiteral } from '../literal.ts';
import { isAggregateName, rankFunctions } from './calls.ts';
import { canonical } from './canonical.ts';
import type { Analysis } from './context.ts';
import { eventTimeOf } from './event-time.ts';
import type { ExpressionAnalyzer } from './expressions.ts';
import { groupingId, type GroupingSets } from './grouping-sets.ts';
import { aggregateColumn, holdsPlaceholder, rankColumn, SESSION_COLUMN } from './placeholders.ts';
import { type CallHandler, type CallNode, columnExpr, type Rows, type Scope, scopeOf } from './scope.ts';
import { spanOf, wholeNumber } from './syntax.ts';
import { sessionWindow, type SessionWindow, timeWindow, windowType } from './windows.ts';

/** The window that functions OVER look at. */
export interface RankWindow {
  readonly keys: readonly Expr[];
  readonly by: readonly SortKey[];
  readonly span: Span;
}

/** Which calls may stand in a place. */
export interface Allowed {
  readonly aggregates: boolean;
  readonly over: boolean;
}

export class SelectCalls {
  readonly aggregates: AggregateCall[] = [];
  readonly ranks: RankCall[] = [];
  rankWindow: RankWindow | null = null;
  session: SessionWindow | null = null;
  /** Of a GROUP BY with grouping sets. */
  grouping: GroupingSets | null = null;
  /** The rows that the calls are over, with the column that window() appends. */
  rows: Rows;
  /** Place of the column of window(), or -1. */
  windowColumn = -1;
  readonly #expressions: ExpressionAnalyzer;
  readonly #analysis: Analysis;
  /** Arguments of window() and session_window() look at the rows as they are before. */
  readonly #before: Rows['columns'];
  readonly #known = new Map<string, Expr>();
  #window = '';
  #sessionSpan: Span | null = null;

  constructor(rows: Rows, expressions: ExpressionAnalyzer, analysis: Analysis) {
    this.rows = rows;
    this.#before = rows.columns;
    this.#expressions = expressions;
    this.#analysis = analysis;
  }

  get sessionSpan(): Span | null {
    return this.#sessionSpan;
  }

  /** What names mean behind GROUP BY: `window` and `session_window` are those of the GROUP BY. */
  get columns(): Rows['columns'] {
    const made = new Set<string>();
    if (this.windowColumn >= 0) made.add('window');
    if (this.session !== null) made.add('session_window');
    const others = this.rows.columns.filter(
      ({ name, index }) => !made.has(name.toLowerCase()) && index !== this.windowColumn,
    );
    const own = { type: windowType, nullable: false, qualifier: null, hidden: false };
    return [
      ...others,
      ...(this.windowColumn >= 0 ? [{ ...own, name: 'window', index: this.windowColumn }] : []),
      ...(this.session !== null ? [{ ...own, name: 'session_window', index: SESSION_COLUMN }] : []),
    ];
  }

  /** Handles the calls of a place. */
  handler(allowed: Allowed): CallHandler {
    return (call, name, scope) => {
      // Within a lambda there are no rows to aggregate.
      if (scope.lambdas.size > 0) return null;
      if (call.over !== null || rankFunctions.has(name)) return this.#over(call, name, scope, allowed);
      if (name === 'window') return this.#timeWindow(call);
      if (name === 'session_window') return this.#session(call, allowed);
      if (name === 'grouping' || name === 'grouping_id') return this.#groupingId(call, name, scope);
      if (isAggregateName(name) && allowed.aggregates) return this.#aggregate(call, name, scope);
      return null;
    };
  }

  #timeWindow(call: CallNode): Expr | undefined {
    const window = timeWindow(call, scopeOf(this.#before), this.#expressions, this.#analysis);
    if (window === undefined) return undefined;
    const { sizeUs, slideUs, startUs } = window;
    const key = `${canonical(window.on)} ${sizeUs} ${slideUs} ${startUs}`;
    const field = { name: 'window', type: windowType, nullable: false };
    if (this.windowColumn < 0) {
      const { rows } = this;
      this.#window = key;
      this.windowColumn = rows.plan.output.length;
      const time = eventTimeOf(window.on, rows.times);
      this.rows = {
        ...rows,
        plan: {
          kind: 'assignWindow',
          input: rows.plan,
          ...window,
          output: [...rows.plan.output, field],
          span: spanOf(call),
        },
        columns: [...rows.columns, { ...field, qualifier: null, hidden: true, index: this.windowColumn }],
        times: [...rows.times, time === null ? null : { ...time, kind: 'window' }],
      };
    } else if (key !== this.#window) {
      return this.#analysis.problem(
        call,
        'one SELECT assigns rows to one kind of window',
        'assign the other window in a sub-query in FROM',
      );
    }
    return columnExpr(field, this.windowColumn);
  }

  #session(call: CallNode, allowed: Allowed): Expr | undefined {
    if (!allowed.aggregates && this.session === null)
      return this.#analysis.problem(call, 'session_window() belongs to a GROUP BY: a session is known by its rows');
    const session = sessionWindow(call, scopeOf(this.#before), this.#expressions, this.#analysis);
    if (session === undefined) return undefined;
    if (this.session === null) {
      this.session = session;
      this.#sessionSpan = spanOf(call);
    } else if (
      canonical(session.on) !== canonical(this.session.on) ||
      canonical(session.gapUs) !== canonical(this.session.gapUs)
    ) {
      return this.#analysis.problem(call, 'one GROUP BY makes one kind of session');
    }
    return columnExpr({ name: 'session_window', type: windowType, nullable: false }, SESSION_COLUMN);
  }

  /** Spark's grouping functions; NULLs of the data are told from those of the sets by them. */
  #groupingId(call: CallNode, name: string, scope: Scope): Expr | undefined {
    const { grouping } = this;
    if (grouping === null)
      return this.#analysis.problem(call, `${name} belongs to a GROUP BY with GROUPING SETS, CUBE or ROLLUP`);
    if (name === 'grouping' && call.args.length !== 1)
      return this.#analysis.problem(call, `grouping takes 1 argument, not ${call.args.length}`);
    const typed = call.args.map((arg) => this.#expressions.expr(arg, scope));
    if (typed.includes(undefined)) return undefined;
    const keys = call.args.length === 0 ? grouping.keys : (typed as Expr[]);
    return (
      groupingId(grouping, keys, name === 'grouping' ? { kind: 'tinyint' } : undefined) ??
      this.#analysis.problem(call, `${name} takes columns of the grouping sets`)
    );
  }

  // ---- aggregates -----------------------------------------------------------------------------------------------

  /** try_sum and try_avg. Whole numbers are summed as decimals, which no sum outgrows: NULL where that is no BIGINT. */
  #tryAggregate(call: CallNode, name: 'try_sum' | 'try_avg', scope: Scope): Expr | undefined {
    const [input] = call.args;
    if (input === undefined || call.args.length !== 1)
      return this.#analysis.problem(call, `${name} takes 1 argument, not ${call.args.length}`);
    const typed = this.#expressions.expr(input, { ...scope, calls: this.#withinAggregate() });
    if (typed === undefined) return undefined;
    const plain = name.slice('try_'.length);
    const callOf = (arg: SqlExpr): CallNode => ({ ...call, name: { ...call.name, text: plain }, args: [arg] });
    if (name === 'try_avg' || !isIntegral(typed.type)) return this.#aggregate(callOf(input), plain, scope);
    const { offset, length } = call;
    const wide: SqlExpr = {
      kind: 'cast',
      input,
      type: { kind: 'decimal', precision: 20, scale: 0 },
      mode: 'ansi',
      offset,
      length,
    };
    const sum: SqlExpr = { kind: 'cast', input: callOf(wide), type: BIGINT, mode: 'try', offset, length };
    return this.#expressions.expr(sum, scope);
  }

  #aggregate(call: CallNode, name: string, scope: Scope): Expr | undefined {
    if (name === 'try_sum' || name === 'try_avg') return this.#tryAggregate(call, name, scope);
    const definition = aggregateByName(name);
    if (definition === undefined)
      return this.#analysis.unsupported(call.name, `the aggregate function ${name}`, insteadOfAggregates.get(name));
    const inner: Scope = { ...scope, calls: this.#withinAggregate() };
    const filter = call.filter === null ? null : this.#expressions.boolean(call.filter, inner, 'FILTER');
    const typed = aggregateArgs(call, name).map((arg) => this.#expressions.expr(arg, inner));
    if (filter === undefined || typed.some((arg) => arg === undefined)) return undefined;
    const args = typed as Expr[];
    // A name further left in the select list may stand for one.
    if ([...args, ...(filter === null ? [] : [filter])].some((arg) => holdsPlaceholder(arg, 'aggregate', 'rank')))
      return this.#nested(call, name);
    const resolved = definition.resolve(args);
    if (typeof resolved === 'string')
      return this.#analysis.problem(call, `${name} ${resolved}`, `usage: ${definition.usage}`);
    for (const index of definition.constants) {
      const arg = args[index];
      if (arg !== undefined && readsColumns(arg))
        return this.#analysis.problem(call.args[index] ?? call, `this argument of ${name} is a constant`);
    }
    const aggregate: AggregateCall = {
      function: definition.name,
      args: args.map((arg, index) => castTo(arg, resolved.args[index] ?? arg.type)),
      distinct: call.distinct && definition.countsDuplicates,
      filter,
      name: this.#analysis.textOf(call),
      type: resolved.type,
      nullable: resolved.nullable,
    };
    return this.#once(JSON.stringify({ ...aggregate, name: '', args: aggregate.args.map(canonical) }), () => {
      this.aggregates.push(aggregate);
      return columnExpr(aggregate, aggregateColumn(this.aggregates.length - 1));
    });
  }

  #withinAggregate(): CallHandler {
    return (call, name) => {
      if (name === 'window') return this.#timeWindow(call);
      if (!isAggregateName(name) && call.over === null) return null;
      return this.#nested(call, name);
    };
  }

  #nested(call: CallNode, name: string): undefined {
    return this.#analysis.problem(
      call,
      `${name} stands within or over another aggregate or window function`,
      'compute the inner one in a sub-query in FROM',
    );
  }

  // ---- OVER -----------------------------------------------------------------------------------------------------

  #over(call: CallNode, name: string, scope: Scope, allowed: Allowed): Expr | undefined | null {
    if (!allowed.over) return null;
    if (!isRankCall(name)) {
      return isAggregateName(name) || rankFunctions.has(name)
        ? this.#analysis.unsupported(
            call,
            `${name} OVER (…)`,
            'row_number, rank, dense_rank, lag and lead are; GROUP BY window(…) aggregates over time',
          )
        : this.#analysis.problem(call.name, `${name} is no window function`);
    }
    if (call.over === null)
      return this.#analysis.problem(
        call,
        `${name} needs OVER (…)`,
        `write ${name}(…) OVER (PARTITION BY … ORDER BY …)`,
      );
    const inner: Scope = { ...scope, calls: this.handler({ ...allowed, over: false }) };
    const keys = call.over.partitionBy.map((key) => this.#expressions.expr(key, inner));
    const by = call.over.orderBy.map(({ expr, descending, nullsFirst }) => {
      const typed = this.#expressions.expr(expr, inner);
      return typed && { expr: typed, descending, nullsFirst: nullsFirst ?? !descending };
    });
    const rank = this.#rankCall(call, name, inner);
    const parts = [...keys, ...by.map((key) => key?.expr), ...(rank?.args ?? [])];
    if (parts.some((part) => part !== undefined && holdsPlaceholder(part, 'rank'))) return this.#nested(call, name);
    if (rank === undefined || keys.includes(undefined) || by.includes(undefined)) return undefined;
    if (by.length === 0) return this.#analysis.problem(call, `${name} needs an order`, 'add ORDER BY to OVER (…)');
    const window: RankWindow = { keys: keys as Expr[], by: by as SortKey[], span: spanOf(call) };
    if (this.rankWindow === null) this.rankWindow = window;
    else if (rankKey(window) !== rankKey(this.rankWindow))
      return this.#analysis.unsupported(
        call,
        'a second OVER (…) that differs from the first',
        'compute it in a sub-query in FROM',
      );
    return this.#once(JSON.stringify({ ...rank, name: '' }), () => {
      this.ranks.push(rank);
      return columnExpr(rank, rankColumn(this.ranks.length - 1));
    });
  }

  #rankCall(call: CallNode, name: RankCall['function'], scope: Scope): RankCall | undefined {
    const own = { function: name, name: this.#analysis.textOf(call) };
    const [value, offset, otherwise] = call.args;
    if (name !== 'lag' && name !== 'lead') {
      if (call.args.length > 0) return this.#analysis.problem(call, `${name} takes no argument`);
      return { ...own, args: [], offset: 0, type: INT, nullable: false };
    }
    if (value === undefined || call.args.length > 3)
      return this.#analysis.problem(call, `${name} takes 1 to 3 arguments, not ${call.args.length}`);
    const rows = offset === undefined ? 1 : wholeNumber(offset);
    if (rows === undefined || rows < 0)
      return this.#analysis.problem(offset ?? call, `the offset of ${name} is a constant whole number`);
    const typed = this.#expressions.expr(value, scope);
    const other = otherwise === undefined ? nullLiteral({ kind: 'null' }) : this.#expressions.expr(otherwise, scope);
    if (typed === undefined || other === undefined) return undefined;
    const type = commonType(typed.type, other.type);
    if (type === undefined)
      return this.#analysis.problem(otherwise ?? call, `the value and the default of ${name} are of one type`);
    const args = otherwise === undefined ? [castTo(typed, type)] : [castTo(typed, type), castTo(other, type)];
    return { ...own, args, offset: rows, type, nullable: typed.nullable || other.nullable };
  }

  #once(key: string, make: () => Expr): Expr {
    const known = this.#known.get(key) ?? make();
    this.#known.set(key, known);
    return known;
  }
}

function isRankCall(name: string): name is RankCall['function'] {
  return ['row_number', 'rank', 'dense_rank', 'lag', 'lead'].includes(name);
}

function rankKey({ keys, by }: RankWindow): string {
  return JSON.stringify([keys.map(canonical), by.map((key) => ({ ...key, expr: canonical(key.expr) }))]);
}

/** count(*) counts rows: it has no argument. */
function aggregateArgs(call: CallNode, name: string): readonly SqlExpr[] {
  const [only] = call.args;
  return name === 'count' &&
    call.args.length === 1 &&
    only?.kind === 'star' &&
    only.qualifier.length === 0 &&
    !call.distinct
    ? []
    : call.args;
}

function readsColumns(expr: Expr): boolean {
  const columns = new Set<number>();
  collectColumns(expr, columns);
  return columns.size > 0;
}

const insteadOfAggregates = new Map([
  ['listagg', "write array_join(collect_list(x), ',')"],
  ['string_agg', "write array_join(collect_list(x), ',')"],
]);
