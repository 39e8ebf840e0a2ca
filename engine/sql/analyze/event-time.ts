/**
 * Event time: which columns tell how old a row is. It begins at a watermark and goes with the column through filters,
 * projections, joins, generators and unions; `window(time, …)` of it is a window of event time, and window_time() of
 * such a window is event time again (Spark marks the attribute; an expression over it loses the mark).
 */
import type { Expr } from '../../../core/ast.ts';
import type { EventTimeColumn } from '../../plan/logical-plan.ts';
import type { ProjectedColumn } from '../../plan/stage-plan.ts';

/** What is known of an event-time column. */
export interface EventTime {
  readonly kind: EventTimeColumn['kind'];
  /** Delay of the watermark's declaration, µs. */
  readonly delayUs: number;
}

/** The event time that an expression passes on, if it does. */
export function eventTimeOf(expr: Expr, times: readonly (EventTime | null)[]): EventTime | null {
  if (expr.kind === 'column') return times[expr.index] ?? null;
  const window = windowOfWindowTime(expr);
  const time = window === undefined ? null : eventTimeOf(window, times);
  return time?.kind === 'window' ? { ...time, kind: 'timestamp' } : null;
}

/** `w` of `w.end - INTERVAL 1 MICROSECOND`. */
function windowOfWindowTime(expr: Expr): Expr | undefined {
  if (expr.kind !== 'call' || expr.name !== '-') return undefined;
  const [end, moment] = expr.args;
  if (end?.kind !== 'field' || end.index !== 1 || moment?.kind !== 'literal') return undefined;
  return moment.type.kind === 'interval' && moment.type.unit === 'microseconds' && moment.value === 1
    ? end.input
    : undefined;
}

/** Event times behind a projection. */
export function projectTimes(
  columns: readonly ProjectedColumn[],
  times: readonly (EventTime | null)[],
): readonly (EventTime | null)[] {
  return columns.map(({ expr }) => eventTimeOf(expr, times));
}

/** The event-time column among `columns` by which state is evicted: a window before a plain time. */
export function evictionColumn(
  columns: Iterable<number>,
  times: readonly (EventTime | null)[],
): EventTimeColumn | null {
  let found: EventTimeColumn | null = null;
  for (const column of columns) {
    const time = times[column];
    if (time === undefined || time === null) continue;
    if (found === null || (found.kind === 'timestamp' && time.kind === 'window')) found = { column, kind: time.kind };
  }
  return found;
}

/** A time as sum of columns and a constant: `l.ts - r.ts + 5 s`. */
export interface LinearTime {
  /** Factor of each column. */
  readonly columns: ReadonlyMap<number, number>;
  readonly constantUs: number;
}

/** The expression as a sum of time columns and intervals; undefined for what is none. */
export function linearTime(expr: Expr): LinearTime | undefined {
  switch (expr.kind) {
    case 'column':
      return expr.type.kind === 'timestamp' ? { columns: new Map([[expr.index, 1]]), constantUs: 0 } : undefined;
    case 'literal':
      return expr.type.kind === 'interval' && expr.type.unit === 'microseconds' && typeof expr.value === 'number'
        ? { columns: new Map(), constantUs: expr.value }
        : undefined;
    case 'call':
      return linearCall(expr);
    default:
      return undefined;
  }
}

function linearCall(call: Extract<Expr, { kind: 'call' }>): LinearTime | undefined {
  const [first, second] = call.args;
  const left = first && linearTime(first);
  if (left === undefined) return undefined;
  if (call.name === 'negative') return scaled(left, -1);
  if (call.name === 'positive') return left;
  if (second === undefined) return undefined;
  if (call.name === '*')
    return second.kind === 'cast' || second.kind === 'literal' ? timesLiteral(left, second) : undefined;
  const right = linearTime(second);
  if (right === undefined || (call.name !== '+' && call.name !== '-')) return undefined;
  return sum(left, call.name === '-' ? scaled(right, -1) : right);
}

function timesLiteral(time: LinearTime, factor: Expr): LinearTime | undefined {
  const literal = factor.kind === 'cast' ? factor.input : factor;
  if (literal.kind !== 'literal' || literal.value === null || time.columns.size > 0) return undefined;
  const value = Number(literal.value);
  return Number.isInteger(value) && literal.type.kind !== 'decimal' ? scaled(time, value) : undefined;
}

function scaled(time: LinearTime, factor: number): LinearTime {
  return {
    columns: new Map([...time.columns].map(([column, of]) => [column, of * factor])),
    constantUs: time.constantUs * factor,
  };
}

function sum(a: LinearTime, b: LinearTime): LinearTime {
  const columns = new Map(a.columns);
  for (const [column, factor] of b.columns) columns.set(column, (columns.get(column) ?? 0) + factor);
  for (const [column, factor] of columns) if (factor === 0) columns.delete(column);
  return { columns, constantUs: a.constantUs + b.constantUs };
}

/** `a − b`. */
export function difference(a: LinearTime, b: LinearTime): LinearTime {
  return sum(a, scaled(b, -1));
}
