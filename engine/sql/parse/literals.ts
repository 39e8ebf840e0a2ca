/** Texts, dates, times and intervals that are written out. */
import type { SqlExpr } from '../../../core/ast.ts';
import { intervalOfText } from '../../../core/interval.ts';
import { intervalOfUnits, isIntervalUnit } from '../interval.ts';
import { SqlSyntaxError } from '../problems.ts';
import type { Token } from './lexer.ts';
import type { TokenReader } from './token-reader.ts';

/** Texts side by side are one text. */
export function readText(p: TokenReader): SqlExpr {
  const start = p.peek();
  let value = '';
  for (let token = p.peek(); token.kind === 'string'; token = p.peek()) {
    value += token.text;
    p.next();
  }
  return { kind: 'literal', literal: { kind: 'string', value }, ...p.span(start) };
}

/** `DATE '2024-01-31'`, `TIMESTAMP '…'`, `X'…'`: a word and the text behind it. */
export function readTypedText(p: TokenReader, token: Extract<Token, { kind: 'word' }>): SqlExpr {
  p.next();
  const text = p.next().text;
  const type = token.upper === 'DATE' ? 'date' : token.upper === 'X' ? 'binary' : 'timestamp';
  return { kind: 'literal', literal: { kind: 'typed', type, text }, ...p.span(token) };
}

/** `INTERVAL 5 MINUTES`, `INTERVAL '1 day 2 hours'`, `INTERVAL '1-2' YEAR TO MONTH`. */
export function readInterval(p: TokenReader): SqlExpr {
  const start = p.next();
  let months = 0;
  let microseconds = 0;
  let parts = 0;
  let hasRange = false;
  do {
    parts++;
    const sign = p.skip('-') ? -1 : 1;
    if (sign === 1) p.skip('+');
    const value = p.next();
    if (value.kind !== 'string' && value.kind !== 'number')
      throw new SqlSyntaxError('expected a number or text in INTERVAL', value);
    const unit = p.peek();
    const hasUnit = unit.kind === 'word' && isIntervalUnit(unit.upper);
    if (hasUnit) p.next();
    const to = hasUnit && p.skip('TO') ? p.anyIdentifier('a unit').text : null;
    const part = hasUnit
      ? intervalOfUnits(value.text, unit.upper, to?.toUpperCase() ?? null)
      : intervalOfText(value.text);
    hasRange ||= to !== null;
    if (part === undefined || (hasRange && parts > 1))
      throw new SqlSyntaxError(
        'this is not an interval',
        p.span(start),
        "write INTERVAL 5 MINUTES, INTERVAL '1 day 2 hours' or INTERVAL '1-2' YEAR TO MONTH",
      );
    months += sign * part.months;
    microseconds += sign * part.microseconds;
  } while (isIntervalPart(p));
  if ((months | 0) !== months || !(microseconds >= -(2 ** 63) && microseconds <= 2 ** 63))
    throw new SqlSyntaxError('this interval is too long', p.span(start));
  return { kind: 'literal', literal: { kind: 'interval', months, microseconds }, ...p.span(start) };
}

/** Another number and unit of an interval; a sign before it belongs to it. */
function isIntervalPart(p: TokenReader): boolean {
  const signs = p.is('-') || p.is('+') ? 1 : 0;
  const value = p.peek(signs);
  const unit = p.peek(signs + 1);
  if (value.kind !== 'number' && value.kind !== 'string') return false;
  return unit.kind === 'word' && isIntervalUnit(unit.upper);
}
