/** Expressions: operators by binding power (Pratt, "Top down operator precedence"), everything else by its first token. */
import type { CastMode, Identifier, Span, SqlExpr, SqlLiteral } from '../../../core/ast.ts';
import { SqlSyntaxError } from '../problems.ts';
import { readArgument, readCall, readExtract, readWordyCall } from './calls.ts';
import type { Grammar } from './grammar.ts';
import type { Token } from './lexer.ts';
import { readInterval, readText, readTypedText } from './literals.ts';
import { callOf, isAlias } from './nodes.ts';
import { binaryOperators, POWER } from './operators.ts';
import { reservedWords } from './token-reader.ts';
import { readType } from './types.ts';

/** Reserved words that are also functions. */
const reservedFunctions = new Set(['LEFT', 'RIGHT', 'LIKE', 'ILIKE', 'RLIKE', 'REGEXP']);

/** Words that are functions and, where no parenthesis follows, names. */
const nameOrFunction = new Set(['LEFT', 'RIGHT']);

/** Functions that may be written without parentheses. */
const bareFunctions = new Set(['CURRENT_TIMESTAMP', 'CURRENT_DATE', 'LOCALTIMESTAMP']);

/** An expression of the operators that bind stronger than `power`. */
export function readExpr(p: Grammar, power: number): SqlExpr {
  return p.nested(() => {
    const start = p.peek();
    let left = prefix(p);
    for (;;) {
      const longer = infix(p, left, start, power);
      if (longer === null) return left;
      left = longer;
    }
  });
}

function prefix(p: Grammar): SqlExpr {
  const token = p.peek();
  if (p.is('NOT') || p.is('!')) {
    p.next();
    return { kind: 'unary', op: 'not', input: p.expr(POWER.not), ...p.span(token) };
  }
  if (p.is('-') || p.is('+') || p.is('~')) {
    p.next();
    const op = token.text as '-' | '+' | '~';
    // The sign belongs to a number, so that the smallest BIGINT can be written.
    const number = p.peek();
    if (op === '-' && number.kind === 'number') {
      p.next();
      const literal: SqlLiteral = { kind: 'number', text: `-${number.text}`, suffix: number.suffix };
      return postfix(p, { kind: 'literal', literal, ...p.span(token) }, token);
    }
    return { kind: 'unary', op, input: p.expr(POWER.unary), ...p.span(token) };
  }
  return postfix(p, readPrimary(p), token);
}

/** The expression that the next operator makes of `left`, or null when it binds less than `power`. */
function infix(p: Grammar, left: SqlExpr, start: Span, power: number): SqlExpr | null {
  const token = p.peek();
  const key = token.kind === 'word' ? token.upper : token.kind === 'symbol' ? token.text : '';
  const shift = shiftAhead(p);
  if (shift !== null) {
    if (POWER.shift <= power) return null;
    for (let count = shift.symbols; count > 0; count--) p.next();
    const right = p.expr(POWER.shift);
    const name: Identifier = { text: shift.name, offset: token.offset, length: shift.symbols };
    return callOf(name, [left, right], p.span(start));
  }
  const operator = binaryOperators.get(key);
  if (operator !== undefined) {
    if (operator.power <= power) return null;
    p.next();
    const right = p.expr(operator.power);
    return { kind: 'binary', op: operator.op, left, right, ...p.span(start) };
  }
  return power <= POWER.predicate ? predicate(p, left, start) : null;
}

/** `<<`, `>>` or `>>>` ahead. They are no tokens: `ARRAY<ARRAY<INT>>` ends in two. */
function shiftAhead(p: Grammar): { readonly name: string; readonly symbols: number } | null {
  const first = p.peek();
  const joined = (ahead: number, text: string): boolean =>
    p.is(text, ahead) && p.peek(ahead).offset === first.offset + ahead;
  if (joined(0, '<') && joined(1, '<')) return { name: 'shiftleft', symbols: 2 };
  if (!joined(0, '>') || !joined(1, '>')) return null;
  return joined(2, '>') ? { name: 'shiftrightunsigned', symbols: 3 } : { name: 'shiftright', symbols: 2 };
}

function predicate(p: Grammar, input: SqlExpr, start: Span): SqlExpr | null {
  if (p.skip('IS')) {
    const negated = p.skip('NOT') || p.skip('!');
    if (p.skip('DISTINCT')) {
      p.expect('FROM', 'behind IS DISTINCT');
      const right = p.expr(POWER.comparison);
      const same: SqlExpr = { kind: 'binary', op: '<=>', left: input, right, ...p.span(start) };
      return negated ? same : { kind: 'unary', op: 'not', input: same, ...p.span(start) };
    }
    if (p.skip('NULL') || p.skip('UNKNOWN')) return { kind: 'is', what: 'null', input, negated, ...p.span(start) };
    if (p.skip('TRUE')) return { kind: 'is', what: 'true', input, negated, ...p.span(start) };
    if (p.skip('FALSE')) return { kind: 'is', what: 'false', input, negated, ...p.span(start) };
    throw p.unexpected('expected NULL, TRUE, FALSE or DISTINCT FROM behind IS');
  }
  const isNegated = p.is('NOT') || p.is('!');
  const word = p.peek(isNegated ? 1 : 0);
  if (word.kind !== 'word' || !/^(BETWEEN|IN|LIKE|ILIKE|RLIKE|REGEXP)$/.test(word.upper)) return null;
  if (isNegated) p.next();
  p.next();
  switch (word.upper) {
    case 'BETWEEN': {
      const low = p.expr(POWER.comparison);
      p.expect('AND', 'between the limits of BETWEEN');
      const high = p.expr(POWER.comparison);
      return { kind: 'between', input, low, high, negated: isNegated, ...p.span(start) };
    }
    case 'IN': {
      p.expect('(', 'behind IN');
      if (p.is('SELECT') || p.is('WITH')) {
        const query = p.query();
        p.expect(')', 'behind the query');
        return { kind: 'inQuery', input, query, negated: isNegated, ...p.span(start) };
      }
      const list = p.list(() => p.expr());
      p.expect(')', 'behind the list');
      return { kind: 'in', input, list, negated: isNegated, ...p.span(start) };
    }
    default: {
      const op = word.upper === 'LIKE' ? 'like' : word.upper === 'ILIKE' ? 'ilike' : 'rlike';
      if (op !== 'rlike' && (p.is('ANY') || p.is('SOME') || p.is('ALL')) && p.is('(', 1))
        return likeOneOf(p, input, op, isNegated, start);
      const pattern = p.expr(POWER.comparison);
      const escape = op !== 'rlike' && p.skip('ESCAPE') ? escapeCharacter(p) : null;
      return { kind: 'like', op, input, pattern, escape, negated: isNegated, ...p.span(start) };
    }
  }
}

/** `a LIKE ANY (p, q)`: a LIKE for each pattern, joined by OR; by AND for ALL. */
function likeOneOf(p: Grammar, input: SqlExpr, op: 'like' | 'ilike', negated: boolean, start: Span): SqlExpr {
  const all = p.next().text.toUpperCase() === 'ALL';
  p.expect('(', 'before the patterns');
  const patterns = p.list(() => p.expr());
  p.expect(')', 'behind the patterns');
  const span = p.span(start);
  return patterns
    .map((pattern): SqlExpr => ({ kind: 'like', op, input, pattern, escape: null, negated, ...span }))
    .reduce((left, right) => ({ kind: 'binary', op: all ? 'and' : 'or', left, right, ...span }));
}

function escapeCharacter(p: Grammar): string {
  const token = p.next();
  if (token.kind !== 'string' || [...token.text].length !== 1)
    throw new SqlSyntaxError('ESCAPE takes a text of one character', token);
  return token.text;
}

function postfix(p: Grammar, input: SqlExpr, start: Span): SqlExpr {
  let expr = input;
  for (;;) {
    if (p.is('[')) {
      p.next();
      const index = p.expr();
      p.expect(']', 'behind the index');
      expr = { kind: 'index', input: expr, index, ...p.span(start) };
    } else if (p.is('.') && expr.kind !== 'name') {
      p.next();
      const field = p.anyIdentifier('the name of a field');
      expr = { kind: 'field', input: expr, field, ...p.span(start) };
    } else if (p.skip('::')) {
      expr = { kind: 'cast', input: expr, type: readType(p), mode: 'ansi', ...p.span(start) };
    } else {
      return expr;
    }
  }
}

/** A literal, name, call or parenthesis: what operators stand between. */
export function readPrimary(p: Grammar): SqlExpr {
  const token = p.peek();
  switch (token.kind) {
    case 'number':
      p.next();
      return {
        kind: 'literal',
        literal: { kind: 'number', text: token.text, suffix: token.suffix },
        ...p.span(token),
      };
    case 'string':
      return readText(p);
    case 'symbol':
      if (token.text === '(') return parenthesized(p);
      if (token.text === '*') {
        p.next();
        return { kind: 'star', qualifier: [], ...p.span(token) };
      }
      throw p.unexpected('expected an expression', token.text === '&' ? 'write AND' : undefined);
    case 'end':
      throw p.unexpected('expected an expression');
    case 'quoted':
      return nameOrCall(p);
    case 'word':
      return wordAhead(p, token);
  }
}

function parenthesized(p: Grammar): SqlExpr {
  const start = p.next();
  if (isLambdaParams(p)) {
    const params = p.list(() => p.anyIdentifier('a parameter'));
    p.expect(')', 'behind the parameters');
    p.expect('->', 'behind the parameters');
    return { kind: 'lambda', params, body: p.expr(), ...p.span(start) };
  }
  if (p.is('SELECT') || p.is('WITH')) {
    const query = p.query();
    p.expect(')', 'behind the query');
    return { kind: 'subquery', query, ...p.span(start) };
  }
  const expr = readArgument(p);
  if (p.is(',') || isAlias(expr)) {
    const rest = [expr];
    while (p.skip(',')) rest.push(readArgument(p));
    p.expect(')', 'behind the values');
    const { offset, length } = start;
    return callOf({ text: 'struct', offset, length }, rest, p.span(start));
  }
  p.expect(')', 'behind the expression');
  return { ...expr, ...p.span(start) };
}

/** `a, b) ->` ahead, behind the open parenthesis? */
function isLambdaParams(p: Grammar): boolean {
  let ahead = 0;
  while (['word', 'quoted'].includes(p.peek(ahead).kind)) {
    if (p.is(')', ahead + 1)) return p.is('->', ahead + 2);
    if (!p.is(',', ahead + 1)) return false;
    ahead += 2;
  }
  return false;
}

function wordAhead(p: Grammar, token: Extract<Token, { kind: 'word' }>): SqlExpr {
  const following = p.peek(1);
  switch (token.upper) {
    case 'NULL':
      p.next();
      return { kind: 'literal', literal: { kind: 'null' }, ...p.span(token) };
    case 'TRUE':
    case 'FALSE':
      p.next();
      return { kind: 'literal', literal: { kind: 'boolean', value: token.upper === 'TRUE' }, ...p.span(token) };
    case 'CASE':
      return readCase(p);
    case 'CAST':
    case 'TRY_CAST':
      if (p.is('(', 1)) return readCast(p, token.upper === 'CAST' ? 'ansi' : 'try');
      break;
    case 'DATE':
    case 'TIMESTAMP':
    case 'TIMESTAMP_LTZ':
    case 'X':
      if (following.kind === 'string') return readTypedText(p, token);
      break;
    case 'INTERVAL':
      if (following.kind === 'string' || following.kind === 'number' || p.is('-', 1) || p.is('+', 1))
        return readInterval(p);
      break;
    case 'EXTRACT':
      if (p.is('(', 1)) return readExtract(p);
      break;
    case 'EXISTS':
      if (p.is('(', 1) && (p.is('SELECT', 2) || p.is('WITH', 2))) return existsOf(p);
      break;
    case 'SUBSTRING':
    case 'SUBSTR':
    case 'TRIM':
    case 'POSITION':
    case 'OVERLAY':
      if (p.is('(', 1)) return readWordyCall(p, token);
      break;
  }
  const isCall = p.is('(', 1);
  if (reservedWords.has(token.upper) && !(isCall ? reservedFunctions : nameOrFunction).has(token.upper)) {
    throw p.unexpected('expected an expression');
  }
  if (bareFunctions.has(token.upper) && !p.is('(', 1)) {
    p.next();
    return callOf({ text: token.text, offset: token.offset, length: token.length }, [], p.span(token));
  }
  return nameOrCall(p);
}

function nameOrCall(p: Grammar): SqlExpr {
  const start = p.peek();
  const first = p.anyIdentifier('a name');
  if (p.skip('->')) return { kind: 'lambda', params: [first], body: p.expr(), ...p.span(start) };
  if (p.is('(')) return readCall(p, first, start);
  const parts = [first];
  while (p.is('.')) {
    p.next();
    if (p.skip('*')) return { kind: 'star', qualifier: parts, ...p.span(start) };
    parts.push(p.anyIdentifier('a name behind the point'));
  }
  if (parts.length > 1 && p.is('(')) {
    throw new SqlSyntaxError(
      `functions have plain names here, not ${parts.map(({ text }) => text).join('.')}`,
      p.span(start),
    );
  }
  return { kind: 'name', parts, ...p.span(start) };
}

function readCase(p: Grammar): SqlExpr {
  const start = p.next();
  const operand = p.is('WHEN') ? null : p.expr();
  const branches: { when: SqlExpr; then: SqlExpr }[] = [];
  while (p.skip('WHEN')) {
    const when = p.expr();
    p.expect('THEN', 'behind the condition of WHEN');
    branches.push({ when, then: p.expr() });
  }
  if (branches.length === 0) throw p.unexpected('expected WHEN in CASE');
  const otherwise = p.skip('ELSE') ? p.expr() : null;
  p.expect('END', 'at the end of CASE');
  return { kind: 'case', operand, branches, otherwise, ...p.span(start) };
}

function readCast(p: Grammar, mode: CastMode): SqlExpr {
  const start = p.next();
  p.expect('(', 'behind CAST');
  const input = p.expr();
  p.expect('AS', 'between value and type of CAST');
  const type = readType(p);
  p.expect(')', 'behind the type of CAST');
  return { kind: 'cast', input, type, mode, ...p.span(start) };
}

function existsOf(p: Grammar): SqlExpr {
  const start = p.next();
  p.next();
  const query = p.query();
  p.expect(')', 'behind the query');
  return { kind: 'exists', query, ...p.span(start) };
}
