/**
 * What the condition of a join says about time, and so how long rows of each side must wait for the other. As Spark's
 * StreamingJoinHelper: with the other side past the watermark W, a bound `left − right >= lower` makes left rows final
 * that are older than W + lower, and `left − right <= upper` right rows older than W − upper.
 */
import type { Expr } from '../../../core/ast.ts';
import type { EventTimeColumn, JoinTimeBounds, LogicalPlan } from '../../plan/logical-plan.ts';
import { difference, type EventTime, linearTime } from './event-time.ts';

type JoinNode = Extract<LogicalPlan, { kind: 'join' }>;

export interface JoinTimes {
  readonly leftTime: EventTimeColumn | null;
  readonly rightTime: EventTimeColumn | null;
  readonly bounds: JoinTimeBounds | null;
  readonly equalTime: boolean;
  /** µs by which the watermark of the join's output lies below that of its input. */
  readonly lagUs: number;
}

/** Spark keeps rows one millisecond longer where the bound itself still matches. */
const CLOSED_BOUND_US = 1000;

/** `width` is the number of the left side's columns; conditions count the right side's behind them. */
export function joinTimes(
  equi: JoinNode['equi'],
  rest: readonly Expr[],
  leftTimes: readonly (EventTime | null)[],
  rightTimes: readonly (EventTime | null)[],
  width: number,
): JoinTimes {
  const equal = equalTimes(equi, leftTimes, rightTimes, width);
  const bounds = timeBounds(equi, rest, leftTimes, rightTimes, width);
  if (equal !== undefined) return { ...equal, bounds: bounds?.bounds ?? null, equalTime: true, lagUs: 0 };
  if (bounds !== undefined) {
    return {
      leftTime: { column: bounds.bounds.left, kind: 'timestamp' },
      rightTime: { column: bounds.bounds.right, kind: 'timestamp' },
      bounds: bounds.bounds,
      equalTime: false,
      lagUs: bounds.lagUs,
    };
  }
  return { leftTime: firstTime(leftTimes), rightTime: firstTime(rightTimes), bounds: null, equalTime: false, lagUs: 0 };
}

function firstTime(times: readonly (EventTime | null)[]): EventTimeColumn | null {
  for (const [column, time] of times.entries()) if (time !== null) return { column, kind: time.kind };
  return null;
}

/**
 * Columns that the keys make equal, one of them event time: then both rows are of that time. A window comes before a
 * plain time.
 */
function equalTimes(
  equi: JoinNode['equi'],
  leftTimes: readonly (EventTime | null)[],
  rightTimes: readonly (EventTime | null)[],
  width: number,
): { readonly leftTime: EventTimeColumn; readonly rightTime: EventTimeColumn } | undefined {
  let found: { readonly leftTime: EventTimeColumn; readonly rightTime: EventTimeColumn } | undefined;
  for (const { left, right, nullSafe } of equi) {
    if (left.kind !== 'column' || right.kind !== 'column' || nullSafe) continue;
    const time = leftTimes[left.index] ?? rightTimes[right.index - width] ?? null;
    if (time === null || (found !== undefined && time.kind === 'timestamp')) continue;
    found = {
      leftTime: { column: left.index, kind: time.kind },
      rightTime: { column: right.index - width, kind: time.kind },
    };
  }
  return found;
}

interface Bounds {
  readonly bounds: JoinTimeBounds;
  readonly lagUs: number;
}

/** A bound on `left − right` and whether the bound itself matches. */
interface Bound {
  readonly us: number;
  readonly closed: boolean;
}

interface PairBounds {
  readonly left: number;
  readonly right: number;
  lower: Bound | null;
  upper: Bound | null;
}

/** The bounds on the first pair of times that has the most of them; at least one of the two is event time. */
function timeBounds(
  equi: JoinNode['equi'],
  rest: readonly Expr[],
  leftTimes: readonly (EventTime | null)[],
  rightTimes: readonly (EventTime | null)[],
  width: number,
): Bounds | undefined {
  const pairs = new Map<string, PairBounds>();
  const comparisons = [
    ...equi.filter(({ nullSafe }) => !nullSafe).map(({ left, right }) => ({ op: '=', left, right })),
    ...rest.flatMap((condition) => {
      if (condition.kind !== 'call') return [];
      const [left, right] = condition.args;
      return left === undefined || right === undefined ? [] : [{ op: condition.name, left, right }];
    }),
  ];
  for (const { op, left, right } of comparisons) addBounds(pairs, op, left, right, leftTimes, rightTimes, width);
  let best: PairBounds | undefined;
  for (const pair of pairs.values()) if (best === undefined || boundCount(pair) > boundCount(best)) best = pair;
  if (best === undefined || boundCount(best) === 0) return undefined;
  const { lower, upper } = best;
  const lags = [0];
  if (lower !== null) lags.push(-lower.us + (lower.closed ? CLOSED_BOUND_US : 0));
  if (upper !== null) lags.push(upper.us + (upper.closed ? CLOSED_BOUND_US : 0));
  return {
    bounds: {
      left: best.left,
      right: best.right,
      // Times are whole microseconds: beyond an open bound the next one matches.
      lowerUs: lower === null ? null : lower.us + (lower.closed ? 0 : 1),
      upperUs: upper === null ? null : upper.us - (upper.closed ? 0 : 1),
    },
    lagUs: Math.max(...lags),
  };
}

function boundCount(pair: PairBounds): number {
  return (pair.lower === null ? 0 : 1) + (pair.upper === null ? 0 : 1);
}

function addBounds(
  pairs: Map<string, PairBounds>,
  op: string,
  first: Expr,
  second: Expr,
  leftTimes: readonly (EventTime | null)[],
  rightTimes: readonly (EventTime | null)[],
  width: number,
): void {
  if (!['=', '<', '<=', '>', '>='].includes(op)) return;
  const a = linearTime(first);
  const b = linearTime(second);
  if (a === undefined || b === undefined) return;
  const { columns, constantUs } = difference(a, b);
  if (columns.size !== 2) return;
  const [[one, factor], [other, opposite]] = [...columns] as [[number, number], [number, number]];
  if (Math.abs(factor) !== 1 || opposite !== -factor) return;
  const [left, right] = one < other ? [one, other - width] : [other, one - width];
  // A side waits for the other's watermark: it needs event time there, and any time of its own.
  const leftWaits = rightTimes[right]?.kind === 'timestamp';
  const rightWaits = leftTimes[left]?.kind === 'timestamp';
  if (right < 0 || (!leftWaits && !rightWaits)) return;
  const key = `${left} ${right}`;
  const pair: PairBounds = pairs.get(key) ?? { left, right, lower: null, upper: null };
  pairs.set(key, pair);
  // sign × (left − right) + constant  op  0
  const sign = one < other ? factor : opposite;
  const us = sign === 1 ? -constantUs : constantUs;
  const closed = op === '=' || op.length === 2;
  const isLower = op === '=' || op.startsWith('>') === (sign === 1);
  const isUpper = op === '=' || !isLower;
  if (isLower && leftWaits && (pair.lower === null || isTighter(us, pair.lower.us, closed)))
    pair.lower = { us, closed };
  if (isUpper && rightWaits && (pair.upper === null || isTighter(-us, -pair.upper.us, closed)))
    pair.upper = { us, closed };
}

function isTighter(us: number, than: number, closed: boolean): boolean {
  return us > than || (us === than && !closed);
}
