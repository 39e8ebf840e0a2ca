/** JOIN: streams with streams, by equal keys and time; streams with static tables. */
import { collectColumns, type Expr, mapColumns, type Relation, type Span } from '../../../core/ast.ts';
import type { Field } from '../../../core/types.ts';
import { formatType } from '../../../core/types.ts';
import type { JoinType, LogicalPlan } from '../../plan/logical-plan.ts';
import type { ProjectedColumn } from '../../plan/stage-plan.ts';
import { joinConjuncts, splitConjuncts } from '../conjuncts.ts';
import type { Analysis } from './context.ts';
import { type EventTime, projectTimes } from './event-time.ts';
import type { ExpressionAnalyzer } from './expressions.ts';
import { filtered } from './filters.ts';
import { joinTimes } from './join-times.ts';
import { columnExpr, findColumns, type Rows, type ScopeColumn, scopeOf } from './scope.ts';
import { isGroupable } from '../coercion.ts';
import { tableRows } from './static-queries.ts';
import { spanOf } from './syntax.ts';

export type JoinRelation = Extract<Relation, { kind: 'join' }>;

/** A join and where it stands. */
interface JoinPlace extends Span {
  readonly type: JoinRelation['type'];
  /** Where its condition stands. */
  readonly on: Span | null;
}

export type EquiKey = Extract<LogicalPlan, { kind: 'join' }>['equi'][number];

/** The rows of a join; both sides have been looked at. */
export function joinRows(
  join: JoinRelation,
  left: Rows,
  right: Rows,
  expressions: ExpressionAnalyzer,
  analysis: Analysis,
): Rows | undefined {
  if (left.streaming && right.streaming && (join.type === 'cross' || (join.on === null && join.using.length === 0)))
    return analysis.problem(
      join,
      'two streams are joined by equal keys, not each row with each: the result would grow without bound',
      'write JOIN … ON a.key = b.key, with a bound on their times',
    );
  const repeated = repeatedQualifier(left, right);
  if (repeated !== undefined)
    return analysis.problem(
      join.right,
      `both sides of the join are called ${repeated}`,
      'give one of them another name with AS',
    );
  const using = usingColumns(join, left, right, analysis);
  if (using === undefined) return undefined;
  const conditions = conditionsOf(join, left, right, using, expressions);
  if (conditions === undefined) return undefined;
  if (left.streaming && right.streaming) {
    const joined = streamJoin(join, left, right, conditions, analysis);
    return joined && withUsing(joined, join, using, left, right, expressions);
  }
  const joined = staticJoin(join, left, right, conditions, analysis);
  return joined && withUsing(joined, join, using, left, right, expressions);
}

/** Rows with (semi) or without (anti) a row of the other query for which the conditions, over the columns of both, hold. */
export function memberJoin(
  rows: Rows,
  found: Rows,
  type: 'semi' | 'anti',
  conditions: readonly Expr[],
  span: Span,
  analysis: Analysis,
): Rows | undefined {
  const join: JoinPlace = { ...spanOf(span), type, on: null };
  return rows.streaming && found.streaming
    ? streamJoin(join, rows, found, conditions, analysis)
    : staticJoin(join, rows, found, conditions, analysis);
}

/** The rows, each with the rows of the table for which the conditions hold, or with NULLs. */
export function tableJoin(
  rows: Rows,
  table: Rows,
  conditions: readonly Expr[],
  span: Span,
  analysis: Analysis,
): Rows | undefined {
  return staticJoin({ ...spanOf(span), type: 'left', on: null }, rows, table, conditions, analysis);
}

// ---- names ------------------------------------------------------------------------------------------------------

function repeatedQualifier(left: Rows, right: Rows): string | undefined {
  const names = new Set(left.columns.map(({ qualifier }) => qualifier?.toLowerCase() ?? null));
  return (
    right.columns.find(({ qualifier }) => qualifier !== null && names.has(qualifier.toLowerCase()))?.qualifier ??
    undefined
  );
}

interface UsingColumn {
  readonly left: ScopeColumn;
  /** Its index counts the right side's columns. */
  readonly right: ScopeColumn;
}

function usingColumns(
  join: JoinRelation,
  left: Rows,
  right: Rows,
  analysis: Analysis,
): readonly UsingColumn[] | undefined {
  const found: UsingColumn[] = [];
  for (const name of join.using) {
    const sides = [left, right].map(({ columns }) => findColumns(columns, name.text, null));
    const [of, other] = sides.map((columns) => (columns.length === 1 ? columns[0] : undefined));
    if (of === undefined || other === undefined)
      return analysis.problem(
        name,
        `USING (${name.text}) needs exactly one column of that name on each side`,
        'write ON with qualified names',
      );
    found.push({ left: of, right: other });
  }
  return found;
}

function shifted(columns: readonly ScopeColumn[], by: number): readonly ScopeColumn[] {
  return columns.map((column) => ({ ...column, index: column.index + by }));
}

/** The conditions that AND joins, over the columns of both sides. */
function conditionsOf(
  join: JoinRelation,
  left: Rows,
  right: Rows,
  using: readonly UsingColumn[],
  expressions: ExpressionAnalyzer,
): readonly Expr[] | undefined {
  const width = left.plan.output.length;
  const conditions: Expr[] = [];
  for (const { left: a, right: b } of using) {
    const same = expressions.apply('=', [columnExpr(a, a.index), columnExpr(b, b.index + width)], join, []);
    if (same === undefined) return undefined;
    conditions.push(same);
  }
  if (join.on === null) return conditions;
  const scope = scopeOf([...left.columns, ...shifted(right.columns, width)]);
  const typed = expressions.boolean(join.on, scope, 'ON');
  if (typed === undefined) return undefined;
  conditions.push(...splitConjuncts(typed));
  return conditions;
}

/** Behind USING, the column is there once; that of a side is still found by its qualifier. */
function withUsing(
  joined: Rows,
  join: JoinRelation,
  using: readonly UsingColumn[],
  left: Rows,
  right: Rows,
  expressions: ExpressionAnalyzer,
): Rows | undefined {
  if (using.length === 0 || join.type === 'semi' || join.type === 'anti') return joined;
  const leftColumns = joined.columns.slice(0, left.columns.length);
  const rightColumns = joined.columns.slice(left.columns.length);
  const at = (columns: readonly ScopeColumn[], of: Rows, wanted: ScopeColumn): ScopeColumn =>
    columns[of.columns.indexOf(wanted)] as ScopeColumn;
  const pairs = using.map((pair) => ({
    left: at(leftColumns, left, pair.left),
    right: at(rightColumns, right, pair.right),
  }));
  const merged = new Set(pairs.flatMap((pair) => [pair.left, pair.right]));
  const hide = (column: ScopeColumn): ScopeColumn => (merged.has(column) ? { ...column, hidden: true } : column);
  const others = joined.columns.map(hide);
  if (join.type !== 'full') {
    const own = pairs.map((pair) => ({ ...(join.type === 'right' ? pair.right : pair.left), qualifier: null }));
    return { ...joined, columns: [...own, ...others] };
  }
  // Either side may be missing: the column is whichever is there.
  const { output } = joined.plan;
  const projected = output.map((field, index): ProjectedColumn => ({ ...field, expr: columnExpr(field, index) }));
  const own: ScopeColumn[] = [];
  for (const pair of pairs) {
    const sides = [columnExpr(pair.left, pair.left.index), columnExpr(pair.right, pair.right.index)];
    const expr = expressions.apply('coalesce', sides, join, []);
    if (expr === undefined) return undefined;
    const field: Field = { name: pair.left.name, type: expr.type, nullable: expr.nullable };
    own.push({ ...field, qualifier: null, hidden: false, index: projected.length });
    projected.push({ ...field, expr });
  }
  return {
    ...joined,
    plan: {
      kind: 'project',
      input: joined.plan,
      columns: projected,
      output: projected.map(({ name, type, nullable }) => ({ name, type, nullable })),
      span: spanOf(join),
    },
    columns: [...own, ...others],
    times: projectTimes(projected, joined.times),
  };
}

// ---- conditions -------------------------------------------------------------------------------------------------

export interface SplitConditions {
  readonly equi: readonly EquiKey[];
  readonly rest: readonly Expr[];
}

type Side = 'left' | 'right' | 'both' | 'none';

function sideOf(expr: Expr, width: number): Side {
  const columns = new Set<number>();
  collectColumns(expr, columns);
  const isLeft = [...columns].some((index) => index < width);
  const isRight = [...columns].some((index) => index >= width);
  return isLeft && isRight ? 'both' : isLeft ? 'left' : isRight ? 'right' : 'none';
}

/** Equalities between the sides, and the rest. */
export function equalities(conditions: readonly Expr[], width: number): SplitConditions {
  const equi: EquiKey[] = [];
  const rest: Expr[] = [];
  for (const condition of conditions) {
    const key = equiKey(condition, width);
    if (key === undefined) rest.push(condition);
    else equi.push(key);
  }
  return { equi, rest };
}

function equiKey(condition: Expr, width: number): EquiKey | undefined {
  if (condition.kind !== 'call' || (condition.name !== '=' && condition.name !== '<=>')) return undefined;
  const [a, b] = condition.args;
  if (a === undefined || b === undefined || !isGroupable(a.type)) return undefined;
  const sides = `${sideOf(a, width)} ${sideOf(b, width)}`;
  const nullSafe = condition.name === '<=>';
  if (sides === 'left right') return { left: a, right: b, nullSafe };
  return sides === 'right left' ? { left: b, right: a, nullSafe } : undefined;
}

/** The side with the conditions that look at it alone in front of the join; what stays, and the side. */
function pushed(
  rows: Rows,
  conditions: readonly Expr[],
  side: 'left' | 'right',
  width: number,
  span: Span,
): { readonly rows: Rows; readonly rest: readonly Expr[] } {
  const own = conditions.filter((condition) => sideOf(condition, width) === side);
  const moved = own.map((condition) =>
    side === 'left' ? condition : mapColumns(condition, (column) => ({ ...column, index: column.index - width })),
  );
  return { rows: filtered(rows, moved, span), rest: conditions.filter((condition) => !own.includes(condition)) };
}

function residualOf(rest: readonly Expr[]): Expr | null {
  return rest.length === 0 ? null : joinConjuncts(rest);
}

// ---- two streams ------------------------------------------------------------------------------------------------

function streamJoin(
  join: JoinPlace,
  left: Rows,
  right: Rows,
  conditions: readonly Expr[],
  analysis: Analysis,
): Rows | undefined {
  const type = join.type as JoinType;
  const width = left.plan.output.length;
  const { equi, rest } = equalities(conditions, width);
  if (equi.length === 0)
    return analysis.problem(
      join.on ?? join,
      'a join of two streams needs an equality between columns of both: rows meet where their keys are equal',
      'add one to ON, as in a.key = b.key',
    );
  // A side whose rows come out alone keeps those that match nothing; the other's are of no use.
  const keepsLeft = type === 'left' || type === 'full' || type === 'anti';
  const keepsRight = type === 'right' || type === 'full';
  const span = join.on ?? join;
  const fromLeft = keepsLeft ? { rows: left, rest } : pushed(left, rest, 'left', width, span);
  const fromRight = keepsRight
    ? { rows: right, rest: fromLeft.rest }
    : pushed(right, fromLeft.rest, 'right', width, span);
  const times = joinTimes(equi, fromRight.rest, fromLeft.rows.times, fromRight.rows.times, width);
  const lag = Math.max(left.lagUs, right.lagUs);
  const only = type === 'semi' || type === 'anti';
  const output = joinOutput(fromLeft.rows.plan.output, fromRight.rows.plan.output, keepsRight, keepsLeft, only);
  return {
    plan: {
      kind: 'join',
      id: analysis.nextOperator('join'),
      watermarkLagUs: lag,
      type,
      left: fromLeft.rows.plan,
      right: fromRight.rows.plan,
      equi,
      residual: residualOf(fromRight.rest),
      leftTime: times.leftTime,
      rightTime: times.rightTime,
      bounds: times.bounds,
      equalTime: times.equalTime,
      output,
      span: spanOf(join),
    },
    columns: joinColumns(fromLeft.rows, fromRight.rows, width, output, only),
    times: only ? left.times : [...left.times, ...right.times],
    streaming: true,
    lagUs: lag + times.lagUs,
  };
}

/** Left columns, then right ones; a side that may be missing is NULL then. */
function joinOutput(
  left: readonly Field[],
  right: readonly Field[],
  leftMissing: boolean,
  rightMissing: boolean,
  only: boolean,
): readonly Field[] {
  const missing = (field: Field, is: boolean): Field => (is ? { ...field, nullable: true } : field);
  const first = left.map((field) => missing(field, leftMissing));
  return only ? first : [...first, ...right.map((field) => missing(field, rightMissing))];
}

function joinColumns(
  left: Rows,
  right: Rows,
  width: number,
  output: readonly Field[],
  only: boolean,
): readonly ScopeColumn[] {
  const columns = only ? left.columns : [...left.columns, ...shifted(right.columns, width)];
  return columns.map((column) => ({ ...column, nullable: output[column.index]?.nullable ?? column.nullable }));
}

// ---- a stream and a table ---------------------------------------------------------------------------------------

function staticJoin(
  join: JoinPlace,
  left: Rows,
  right: Rows,
  conditions: readonly Expr[],
  analysis: Analysis,
): Rows | undefined {
  // Of two tables one takes the place of the stream.
  const streaming = left.streaming || right.streaming;
  const leftFirst = left.streaming || (!streaming && join.type !== 'right');
  const type = staticType(join, leftFirst);
  if (type === undefined)
    return analysis.problem(
      join,
      streaming ? refusedStatic(join, left.streaming) : 'FULL JOIN of two static tables is not supported',
      left.streaming || !streaming
        ? 'put the table on the right of INNER, LEFT, LEFT SEMI or LEFT ANTI JOIN'
        : 'put the stream on the left',
    );
  const stream = leftFirst ? left : right;
  const table = tableRows(leftFirst ? right : left, type, analysis);
  if (table === undefined) return undefined;
  const leftWidth = left.plan.output.length;
  const width = stream.plan.output.length;
  // The stream's columns come first in the operator, wherever it was written.
  const turned = leftFirst
    ? conditions
    : conditions.map((condition) =>
        mapColumns(condition, (column) => ({
          ...column,
          index: column.index >= leftWidth ? column.index - leftWidth : column.index + width,
        })),
      );
  const split = equalities(turned, width);
  const keys = split.equi.find(({ left: key }) => !isGroupable(key.type));
  if (keys !== undefined)
    return analysis.problem(join, `rows cannot be joined by values of type ${formatType(keys.left.type)}`);
  const only = type === 'semi' || type === 'anti';
  const output = joinOutput(stream.plan.output, table.plan.output, false, type === 'left', only);
  const own = stream.columns;
  const others = shifted(table.columns, width);
  const columns = only ? own : leftFirst ? [...own, ...others] : [...others, ...own];
  const tableTimes: (EventTime | null)[] = table.plan.output.map(() => null);
  return {
    plan: {
      kind: 'staticJoin',
      type,
      input: stream.plan,
      table: table.plan,
      equi: split.equi,
      residual: residualOf(split.rest),
      output,
      span: spanOf(join),
    },
    columns: columns.map((column) => ({ ...column, nullable: output[column.index]?.nullable ?? column.nullable })),
    times: only ? stream.times : [...stream.times, ...tableTimes],
    streaming,
    lagUs: stream.lagUs,
  };
}

/** The join as seen from the stream; undefined where rows of the table alone would have to come out. */
function staticType(join: JoinPlace, streamLeft: boolean): 'inner' | 'left' | 'semi' | 'anti' | undefined {
  switch (join.type) {
    case 'inner':
    case 'cross':
      return 'inner';
    case 'left':
      return streamLeft ? 'left' : undefined;
    case 'right':
      return streamLeft ? undefined : 'left';
    case 'semi':
    case 'anti':
      return streamLeft ? join.type : undefined;
    case 'full':
      return undefined;
  }
}

function refusedStatic(join: JoinPlace, streamLeft: boolean): string {
  const names = {
    left: 'LEFT',
    right: 'RIGHT',
    full: 'FULL',
    semi: 'LEFT SEMI',
    anti: 'LEFT ANTI',
    inner: '',
    cross: '',
  };
  return `${names[join.type]} JOIN with a stream on the ${streamLeft ? 'left' : 'right'} and a static table on the ${
    streamLeft ? 'right' : 'left'
  } is not supported: whether a row of the table has no match is known only when the stream ends`;
}
