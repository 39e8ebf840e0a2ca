/**
 * Intervals of months and days together, `INTERVAL '1 month 2 days'` and `make_interval(…)`. An interval is one of months
 * or one of days and time here, so they stand where they are added to a time or taken from it: months first, then days
 * and time, as Spark does.
 */
import type { Span, SqlExpr } from '../../../core/ast.ts';
import { callOf } from '../parse/nodes.ts';
import { spanOf } from './syntax.ts';

export interface MixedInterval {
  /** Years and months; null = none. */
  readonly months: SqlExpr | null;
  /** Whole weeks and days as a number; null = none. */
  readonly days: SqlExpr | null;
  /** Numbers; null = none. They move a moment, however many they are: 24 hours are no day where the clock changes. */
  readonly hours: SqlExpr | null;
  readonly minutes: SqlExpr | null;
  readonly seconds: SqlExpr | null;
  /** Days and time that are written as one; null = none. */
  readonly time: SqlExpr | null;
}

/** How many numbers make_interval takes: years, months, weeks, days, hours, minutes, seconds. */
const PARTS = 7;

/** The parts of such an interval; undefined for any other expression. */
export function mixedInterval(expr: SqlExpr): MixedInterval | undefined {
  if (expr.kind === 'literal' && expr.literal.kind === 'interval') {
    const { months, microseconds } = expr.literal;
    if (months === 0 || microseconds === 0) return undefined;
    const part = (ofMonths: number, ofTime: number): SqlExpr => ({
      ...expr,
      literal: { kind: 'interval', months: ofMonths, microseconds: ofTime },
    });
    const none = { days: null, hours: null, minutes: null, seconds: null };
    return { months: part(months, 0), ...none, time: part(0, microseconds) };
  }
  if (
    expr.kind !== 'call' ||
    expr.name.text.toLowerCase() !== 'make_interval' ||
    expr.args.length === 0 ||
    expr.args.length > PARTS
  )
    return undefined;
  const at = spanOf(expr);
  const isThere = (arg: SqlExpr | undefined): boolean =>
    arg !== undefined && !(arg.kind === 'literal' && arg.literal.kind === 'number' && Number(arg.literal.text) === 0);
  const orNone = (arg: SqlExpr | undefined): SqlExpr | null => (arg !== undefined && isThere(arg) ? arg : null);
  const [years, months, weeks, days, hours, minutes, seconds] = expr.args;
  const call = (name: string, args: readonly (SqlExpr | undefined)[]): SqlExpr =>
    callOf(
      { text: name, ...at },
      args.flatMap((arg) => arg ?? []),
      at,
    );
  const inWeeks: SqlExpr | undefined = weeks && {
    kind: 'binary',
    op: '*',
    left: weeks,
    right: { kind: 'literal', literal: { kind: 'number', text: '7', suffix: '' }, ...at },
    ...at,
  };
  const allDays: SqlExpr | undefined =
    inWeeks && days ? { kind: 'binary', op: '+', left: inWeeks, right: days, ...at } : inWeeks;
  return {
    months: isThere(years) || isThere(months) ? call('make_ym_interval', [years, months]) : null,
    days: isThere(weeks) || isThere(days) ? (allDays ?? null) : null,
    hours: orNone(hours),
    minutes: orNone(minutes),
    seconds: orNone(seconds),
    time: null,
  };
}

const DAY_SECONDS = 86_400;

/** Whether seconds are known to be fewer than a day's; none are. */
export function isShort(seconds: SqlExpr | null): boolean {
  if (seconds === null) return true;
  if (seconds.kind !== 'literal' || seconds.literal.kind !== 'number') return false;
  return Math.abs(Number(seconds.literal.text)) < DAY_SECONDS;
}

/** Such an interval as a value of its own, which it is where it has parts of one kind; undefined else. */
export function unmixedInterval(expr: SqlExpr): SqlExpr | undefined {
  const parts = mixedInterval(expr);
  if (parts === undefined) return undefined;
  const rest = timeOf(parts, spanOf(expr));
  if (parts.months === null) return rest ?? callOf({ text: 'make_dt_interval', ...spanOf(expr) }, [], spanOf(expr));
  return rest === null ? parts.months : undefined;
}

/** Days and time of the interval as one; null = none. */
export function timeOf({ days, hours, minutes, seconds, time }: MixedInterval, at: Span): SqlExpr | null {
  const parts = [days, hours, minutes, seconds];
  if (parts.every((part) => part === null)) return time;
  const none: SqlExpr = { kind: 'literal', literal: { kind: 'number', text: '0', suffix: '' }, ...at };
  return callOf(
    { text: 'make_dt_interval', ...at },
    parts.map((part) => part ?? none),
    at,
  );
}
