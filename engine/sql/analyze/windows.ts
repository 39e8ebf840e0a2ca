/** window(time, size [, slide [, start]]) and session_window(time, gap): their arguments. */
import type { Expr, Span, SqlExpr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import { formatType } from '../../../core/types.ts';
import { windowFields } from '../../plan/logical-plan.ts';
import { BIGINT, canImplicitlyCast, castTo, TIMESTAMP } from '../coercion.ts';
import { type Interval, intervalOfText } from '../../../core/interval.ts';
import type { Analysis } from './context.ts';
import { endOfWindow, type ExpressionAnalyzer } from './expressions.ts';
import type { CallNode, Scope } from './scope.ts';

/** Type of the column that window() and session_window() give. */
export const windowType: DataType = { kind: 'struct', fields: windowFields };

/** What window() says. */
export interface TimeWindow {
  readonly on: Expr;
  readonly sizeUs: number;
  readonly slideUs: number;
  readonly startUs: number;
}

/** What session_window() says. */
export interface SessionWindow {
  readonly on: Expr;
  /** BIGINT µs. */
  readonly gapUs: Expr;
}

const durationHint = "write INTERVAL 10 SECONDS or '10 seconds'";

/** The windows that a call asks for. */
export function timeWindow(
  call: CallNode,
  scope: Scope,
  expressions: ExpressionAnalyzer,
  analysis: Analysis,
): TimeWindow | undefined {
  const [time, size, slide, start] = call.args;
  if (time === undefined || size === undefined || call.args.length > 4)
    return analysis.problem(
      call,
      `window takes a time and 1 to 3 durations, not ${call.args.length} arguments`,
      "usage: window(time, '10 seconds' [, '5 seconds' [, '1 second']])",
    );
  const on = timeOf(call, time, scope, expressions, analysis);
  const sizeUs = constantDuration(size, analysis);
  const slideUs = slide === undefined ? sizeUs : constantDuration(slide, analysis);
  const startUs = start === undefined ? 0 : constantDuration(start, analysis);
  if (on === undefined || sizeUs === undefined || slideUs === undefined || startUs === undefined) return undefined;
  if (sizeUs <= 0) return analysis.problem(size, 'the size of a window is more than 0', durationHint);
  if (slideUs <= 0) return analysis.problem(slide ?? call, 'the slide of a window is more than 0', durationHint);
  if (slideUs > sizeUs)
    return analysis.problem(
      slide ?? call,
      'the slide of a window is at most its size',
      'rows between two windows would belong to none',
    );
  if (Math.abs(startUs) >= slideUs)
    return analysis.problem(start ?? call, 'the start offset of a window is less than its slide');
  return { on, sizeUs, slideUs, startUs };
}

/** The sessions that a call asks for. */
export function sessionWindow(
  call: CallNode,
  scope: Scope,
  expressions: ExpressionAnalyzer,
  analysis: Analysis,
): SessionWindow | undefined {
  const [time, gap] = call.args;
  if (time === undefined || gap === undefined || call.args.length !== 2)
    return analysis.problem(
      call,
      `session_window takes a time and a gap, not ${call.args.length} arguments`,
      "usage: session_window(time, '5 minutes')",
    );
  const on = timeOf(call, time, scope, expressions, analysis);
  const typed = expressions.expr(gap, scope);
  const gapUs = typed && durationExpr(typed, gap, expressions, analysis);
  return on && gapUs && { on, gapUs };
}

/** The time that rows are put into windows by; of a window it is the window's last moment. */
function timeOf(
  call: CallNode,
  time: SqlExpr,
  scope: Scope,
  expressions: ExpressionAnalyzer,
  analysis: Analysis,
): Expr | undefined {
  const on = expressions.expr(time, scope);
  if (on === undefined) return undefined;
  if (endOfWindow(on) !== undefined) return expressions.windowTime(on, time);
  if (canImplicitlyCast(on.type, TIMESTAMP)) return castTo(on, TIMESTAMP);
  return analysis.problem(time, `${call.name.text} takes a TIMESTAMP first, not ${formatType(on.type)}`);
}

/** A constant duration in µs. */
function constantDuration(expr: SqlExpr, analysis: Analysis): number | undefined {
  const interval = constantInterval(expr);
  if (interval === undefined) return analysis.problem(expr, 'this is not a constant duration', durationHint);
  if (interval.months !== 0)
    return analysis.problem(expr, 'months have no fixed length here', 'write days, as in INTERVAL 30 DAYS');
  return interval.microseconds;
}

/** The interval that a literal, perhaps with a sign, stands for. */
export function constantInterval(expr: SqlExpr): Interval | undefined {
  if (expr.kind === 'unary' && expr.op === '-') {
    const inner = constantInterval(expr.input);
    return inner && { months: -inner.months, microseconds: -inner.microseconds };
  }
  if (expr.kind !== 'literal') return undefined;
  if (expr.literal.kind === 'interval') return expr.literal;
  return expr.literal.kind === 'string' ? intervalOfText(expr.literal.value) : undefined;
}

function micros(value: number | null): Expr {
  return { kind: 'literal', type: BIGINT, nullable: value === null, value: value === null ? null : String(value) };
}

function isConstantDuration(expr: Expr): boolean {
  return expr.type.kind === 'interval' || expr.kind === 'literal' || expr.kind === 'case';
}

/** An interval, or a text that names one, as BIGINT µs. */
function durationExpr(expr: Expr, span: Span, expressions: ExpressionAnalyzer, analysis: Analysis): Expr | undefined {
  const inner = (part: Expr): Expr | undefined => durationExpr(part, span, expressions, analysis);
  switch (expr.kind) {
    case 'literal': {
      if (expr.value === null) return micros(null);
      if (expr.type.kind === 'interval' && expr.type.unit === 'microseconds') return micros(Number(expr.value));
      const interval = expr.type.kind === 'string' ? intervalOfText(String(expr.value)) : undefined;
      if (interval !== undefined && interval.months === 0) return micros(interval.microseconds);
      if (expr.type.kind === 'interval' || interval !== undefined)
        return analysis.problem(span, 'months have no fixed length here', 'write days, as in INTERVAL 30 DAYS');
      return analysis.problem(span, `${expr.value} is not a duration`, durationHint);
    }
    case 'case': {
      const branches = expr.branches.map(({ when, then }) => ({ when, then: inner(then) }));
      const otherwise = expr.otherwise === null ? null : inner(expr.otherwise);
      if (otherwise === undefined || branches.some(({ then }) => then === undefined)) return undefined;
      return { ...expr, type: BIGINT, branches: branches as { when: Expr; then: Expr }[], otherwise };
    }
    case 'cast':
      if (isConstantDuration(expr.input)) return inner(expr.input);
      return spelled();
    case 'call': {
      const [first, second] = expr.args;
      if (expr.name === 'coalesce') {
        const args = expr.args.map(inner);
        return args.every((arg) => arg !== undefined) ? expressions.apply('coalesce', args, span, []) : undefined;
      }
      if (expr.type.kind === 'interval' && first !== undefined && ['*', '+', '-', 'negative'].includes(expr.name)) {
        const left = inner(first);
        if (left === undefined) return undefined;
        if (second === undefined) return expressions.apply(expr.name, [left], span, []);
        const right = expr.name === '*' ? second : inner(second);
        const product = right && expressions.apply(expr.name, [left, right], span, []);
        return product && castTo(product, BIGINT);
      }
      return spelled();
    }
    default:
      return spelled();
  }
  /** A text that each row has of its own. */
  function spelled(): Expr | undefined {
    return expr.type.kind === 'string' ? expressions.apply('duration_micros', [expr], span, []) : gapProblem();
  }
  function gapProblem(): undefined {
    return analysis.problem(
      span,
      'the gap of a session is a duration, or a text that names one',
      "write '5 minutes', INTERVAL 5 MINUTES, INTERVAL 1 SECOND * seconds, CASE WHEN … THEN '5 minutes' ELSE … END, or concat(seconds, ' seconds')",
    );
  }
}
