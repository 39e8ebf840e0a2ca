/**
 * Intervals of months and days together, `INTERVAL '1 month 2 days'` and `make_interval(…)`. An interval is one of months
 * or one of days and time here, so they stand where they are added to a time or taken from it: months first, then days
 * and time, as Spark does.
 */
import type { SqlExpr } from '../../../core/ast.ts';
import { callOf } from '../parse/nodes.ts';
import { spanOf } from './syntax.ts';

export interface MixedInterval {
  /** Years and months; null = none. */
  readonly months: SqlExpr | null;
  /** Whole weeks and days as a number, when there is nothing shorter; null = none, or in `time`. */
  readonly days: SqlExpr | null;
  /** Days and time; null = none. */
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
    return { months: part(months, 0), days: null, time: part(0, microseconds) };
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
    arg !== undefined && !(arg.kind === 'literal' && arg.literal.kind === 'number' && arg.literal.text === '0');
  const [years, months, weeks, days, ...shorter] = expr.args;
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
    days: shorter.length === 0 && allDays !== undefined ? allDays : null,
    time: shorter.length === 0 ? null : call('make_dt_interval', [allDays, ...shorter]),
  };
}

/** Such an interval as a value of its own, which it is where it has parts of one kind; undefined else. */
export function unmixedInterval(expr: SqlExpr): SqlExpr | undefined {
  const parts = mixedInterval(expr);
  if (parts === undefined) return undefined;
  const { months, days, time } = parts;
  const at = spanOf(expr);
  const inDays = (args: readonly SqlExpr[]): SqlExpr => callOf({ text: 'make_dt_interval', ...at }, args, at);
  const rest = time ?? (days && inDays([days]));
  if (months === null) return rest ?? inDays([]);
  return rest === null ? months : undefined;
}

/** What `time + interval` or `time - interval` is, `time` a DATE or not; months come before days. */
export function movedBy(
  op: '+' | '-',
  time: SqlExpr,
  isDate: boolean,
  { months, days, time: rest }: MixedInterval,
): SqlExpr {
  const at = spanOf(time);
  const wholeDays = days && (isDate ? days : callOf({ text: 'make_dt_interval', ...at }, [days], at));
  return [months, wholeDays, rest].reduce<SqlExpr>(
    (left, right) => (right === null ? left : { kind: 'binary', op, left, right, ...at }),
    time,
  );
}
