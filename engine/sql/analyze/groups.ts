/** GROUP BY: the aggregate operator, and what expressions mean behind it. */
import { type Expr, replaceNodes, type Select, type Span } from '../../../core/ast.ts';
import { type Field, formatType } from '../../../core/types.ts';
import type { EventTimeColumn } from '../../plan/logical-plan.ts';
import type { ProjectedColumn } from '../../plan/stage-plan.ts';
import { isGroupable } from '../coercion.ts';
import { canonical } from './canonical.ts';
import type { Analysis } from './context.ts';
import { type EventTime, eventTimeOf, evictionColumn } from './event-time.ts';
import { type GroupKey, loosened } from './grouping-sets.ts';
import { holdsPlaceholder, placeholderOf } from './placeholders.ts';
import { columnExpr, plainColumns, type Rows } from './scope.ts';
import type { SelectCalls } from './select-calls.ts';
import { spanOf } from './syntax.ts';
import { windowType } from './windows.ts';

/** The groups as rows, and how an expression over the rows that were grouped is written over them. */
export interface Groups {
  readonly rows: Rows;
  readonly place: (expr: Expr, span: Span) => Expr | undefined;
}

/** Output: the keys, the session, the aggregates. */
export function groupRows(
  calls: SelectCalls,
  listed: readonly GroupKey[],
  select: Select,
  analysis: Analysis,
): Groups | undefined {
  const { rows, session } = calls;
  const keys: ProjectedColumn[] = [];
  const places = new Map<string, number>();
  for (const { name, expr, computed = expr, span } of listed) {
    if (isSession(expr)) continue;
    if (holdsPlaceholder(expr, 'session'))
      return analysis.problem(
        span,
        'session_window() stands by itself in GROUP BY',
        'take its fields in the select list',
      );
    if (!isGroupable(expr.type))
      return analysis.problem(span, `GROUP BY cannot compare values of type ${formatType(expr.type)}`);
    const key = canonical(expr);
    if (places.has(key)) continue;
    places.set(key, keys.length);
    keys.push({ name, type: expr.type, nullable: computed.nullable, expr: computed });
  }
  if (session !== null && !listed.some(({ expr }) => isSession(expr)))
    return analysis.problem(calls.sessionSpan ?? select, 'session_window() stands in GROUP BY too');
  if (session !== null && keys.length === 0)
    return analysis.problem(
      calls.sessionSpan ?? select,
      'a session needs at least one more key: sessions of all rows together would be one group on one worker',
      'add a column to GROUP BY',
    );
  const sessionField: Field = { name: 'session_window', type: windowType, nullable: false };
  const sessionTime = session === null ? null : windowOf(eventTimeOf(session.on, rows.times));
  const output: Field[] = [
    ...keys.map(({ name, type, nullable }) => ({ name, type, nullable })),
    ...(session === null ? [] : [sessionField]),
    ...calls.aggregates.map(({ name, type, nullable }) => ({ name, type, nullable })),
  ];
  const times = [
    ...keys.map(({ expr }) => eventTimeOf(expr, rows.times)),
    ...(session === null ? [] : [sessionTime]),
    ...calls.aggregates.map(() => null),
  ];
  const firstAggregate = keys.length + (session === null ? 0 : 1);
  const eventTime: EventTimeColumn | null =
    session === null
      ? evictionColumn(keys.keys(), times)
      : sessionTime === null
        ? null
        : { column: keys.length, kind: 'window' };
  const grouped: Rows = {
    plan: {
      kind: 'aggregate',
      id: analysis.nextOperator('aggregate'),
      watermarkLagUs: rows.lagUs,
      input: rows.plan,
      keys,
      aggregates: calls.aggregates,
      session,
      eventTime,
      output,
      span: select.groupBySpan ?? spanOf(select),
    },
    columns: plainColumns(output),
    times,
    streaming: rows.streaming,
    lagUs: rows.lagUs,
  };

  const place = (expr: Expr, span: Span): Expr | undefined => {
    let wrong: Expr | null = null;
    const placed = replaceNodes(expr, (node) => {
      const key = places.get(canonical(node));
      const field = key === undefined ? undefined : output[key];
      if (key !== undefined && field !== undefined) return columnExpr(field, key);
      if (node.kind !== 'column') return undefined;
      const placeholder = placeholderOf(node.index);
      if (placeholder === undefined) {
        wrong ??= node;
        return node;
      }
      if (placeholder.kind === 'session') return columnExpr(sessionField, keys.length);
      const call = placeholder.kind === 'aggregate' ? calls.aggregates[placeholder.index] : undefined;
      return placeholder.kind === 'aggregate' && call !== undefined
        ? columnExpr(call, firstAggregate + placeholder.index)
        : node;
    });
    if (wrong === null) return calls.grouping === null ? placed : loosened(placed);
    const column = wrong as Extract<Expr, { kind: 'column' }>;
    return analysis.problem(
      analysis.placeOf(column) ?? span,
      `the column ${column.name} is neither in GROUP BY nor within an aggregate function`,
      `add it to GROUP BY, or write any_value(${column.name})`,
    );
  };
  return { rows: grouped, place };
}

function windowOf(time: EventTime | null): EventTime | null {
  return time === null ? null : { ...time, kind: 'window' };
}

function isSession(expr: Expr): boolean {
  return expr.kind === 'column' && placeholderOf(expr.index)?.kind === 'session';
}
