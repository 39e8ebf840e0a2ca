/** Calls of functions: arguments by place and by name, FILTER, OVER, and the forms with words between the arguments. */
import type { Identifier, Span, SqlExpr, WindowSpec } from '../../../core/ast.ts';
import { SqlSyntaxError } from '../problems.ts';
import type { Grammar } from './grammar.ts';
import type { Token } from './lexer.ts';
import { aliasOf, callOf, isNamedArgument, namedArgumentOf, textOf } from './nodes.ts';
import { POWER } from './operators.ts';
import { readOrderBy } from './order.ts';

/** Functions whose first argument may be the bare name of a unit. */
const unitFunctions = new Set([
  'DATEADD',
  'DATE_ADD',
  'DATEDIFF',
  'DATE_DIFF',
  'TIMEDIFF',
  'TIMESTAMPADD',
  'TIMESTAMPDIFF',
]);

/** Functions whose arguments may go by name, with their parameters in order. */
const namedParameters = new Map<string, readonly string[]>([
  ['MASK', ['str', 'upperChar', 'lowerChar', 'digitChar', 'otherChar']],
  ['EXPLODE', ['collection']],
  ['EXPLODE_OUTER', ['collection']],
  ['POSEXPLODE', ['collection']],
  ['POSEXPLODE_OUTER', ['collection']],
  ['INLINE', ['input']],
  ['INLINE_OUTER', ['input']],
]);

/** What stands for parameters in the middle that are left out. */
const namedDefaults = new Map([
  ['upperChar', 'X'],
  ['lowerChar', 'x'],
  ['digitChar', 'n'],
]);

/** What stands behind the name of a function: its arguments, FILTER and OVER. */
export function readCall(p: Grammar, name: Identifier, start: Span): SqlExpr {
  p.expect('(', 'behind the function name');
  const distinct = p.skip('DISTINCT');
  let args: SqlExpr[] = [];
  if (!p.is(')')) args = p.list(() => readArgument(p));
  p.expect(')', `behind the arguments of ${name.text}`);
  let filter: SqlExpr | null = null;
  if (p.is('FILTER') && p.is('(', 1)) {
    p.next();
    p.next();
    p.expect('WHERE', 'in FILTER');
    filter = p.expr();
    p.expect(')', 'behind the condition of FILTER');
  }
  const over = p.skip('OVER') ? readWindow(p) : null;
  args = placed(name, withUnit(name, args));
  return { kind: 'call', name, args, distinct, filter, over, ...p.span(start) };
}

/** `a`, `a AS name` (a field of struct) or `name => a`. */
export function readArgument(p: Grammar): SqlExpr {
  const expr = p.expr();
  if (p.is('=>')) {
    const [parameter] = expr.kind === 'name' && expr.parts.length === 1 ? expr.parts : [];
    if (parameter === undefined) throw p.unexpected('expected the name of a parameter before =>');
    p.next();
    const value = p.expr();
    return namedArgumentOf(parameter, value, p.span(expr));
  }
  // struct(a AS b): the alias names the field.
  if (p.is('AS')) {
    p.next();
    const alias = p.anyIdentifier('a field name behind AS');
    return aliasOf(expr, alias, p.span(expr));
  }
  return expr;
}

/** Arguments given by name, at their places. */
function placed(name: Identifier, args: SqlExpr[]): SqlExpr[] {
  const named = args.filter(isNamedArgument);
  if (named.length === 0) return args;
  const parameters = namedParameters.get(name.text.toUpperCase());
  const first = named[0] as SqlExpr;
  if (parameters === undefined) throw new SqlSyntaxError(`arguments of ${name.text} go by place, not by name`, first);
  const places: (SqlExpr | undefined)[] = [];
  for (const [index, arg] of args.entries()) {
    if (!isNamedArgument(arg)) {
      if (places.length !== index) throw new SqlSyntaxError('arguments by place stand before those by name', arg);
      places[index] = arg;
      continue;
    }
    const place = parameters.findIndex((parameter) => parameter.toLowerCase() === arg.name.text.slice(1).toLowerCase());
    if (place < 0)
      throw new SqlSyntaxError(
        `${name.text} has no parameter ${arg.name.text.slice(1)}`,
        arg,
        `the parameters are: ${parameters.join(', ')}`,
      );
    if (places[place] !== undefined) throw new SqlSyntaxError(`${parameters[place]} is given twice`, arg);
    places[place] = arg.args[0];
  }
  return Array.from(places, (arg, index) => {
    const value = namedDefaults.get(parameters[index] ?? '');
    if (arg !== undefined) return arg;
    if (value === undefined) throw new SqlSyntaxError(`${name.text} needs ${parameters[index]}`, first);
    return textOf(value, first);
  });
}

/** The arguments with the bare name of a unit as a text. */
function withUnit(name: Identifier, args: SqlExpr[]): SqlExpr[] {
  const [unit, ...rest] = args;
  if (
    !unitFunctions.has(name.text.toUpperCase()) ||
    rest.length !== 2 ||
    unit?.kind !== 'name' ||
    unit.parts.length !== 1
  )
    return args;
  const value = (unit.parts[0] as Identifier).text;
  return [textOf(value, unit), ...rest];
}

/** The window behind OVER. */
function readWindow(p: Grammar): WindowSpec {
  if (!p.skip('('))
    throw p.unexpected('expected ( behind OVER', 'windows have no names here: write OVER (PARTITION BY … ORDER BY …)');
  let partitionBy: SqlExpr[] = [];
  if (p.skip('PARTITION')) {
    p.expect('BY', 'behind PARTITION');
    partitionBy = p.list(() => p.expr());
  }
  const orderBy = readOrderBy(p);
  if (p.is('ROWS') || p.is('RANGE')) usualFrame(p);
  p.expect(')', 'behind the window');
  return { partitionBy, orderBy };
}

/** The one frame that ranks and row numbers have; saying it changes nothing. */
function usualFrame(p: Grammar): void {
  const start = p.next();
  const words = ['BETWEEN', 'UNBOUNDED', 'PRECEDING', 'AND', 'CURRENT', 'ROW'];
  const isUsual = words.every((word, ahead) => p.is(word, ahead));
  if (!isUsual)
    throw new SqlSyntaxError(
      'frames of window functions are not supported',
      start,
      'take the frame away: row_number, rank, lag and lead look at the whole partition',
    );
  p.advance(words.length);
}

/** EXTRACT(field FROM time): a call of date_part. */
export function readExtract(p: Grammar): SqlExpr {
  const start = p.next();
  p.next();
  const field = p.anyIdentifier('a field of EXTRACT');
  p.expect('FROM', 'in EXTRACT');
  const input = p.expr();
  p.expect(')', 'behind EXTRACT');
  const { offset, length } = start;
  return callOf({ text: 'date_part', offset, length }, [textOf(field.text, field), input], p.span(start));
}

/** SUBSTRING(x FROM a FOR n), TRIM(BOTH c FROM x), POSITION(a IN x), OVERLAY(x PLACING y FROM a FOR n) and their plain forms. */
export function readWordyCall(p: Grammar, token: Extract<Token, { kind: 'word' }>): SqlExpr {
  const name = p.anyIdentifier('a function name');
  p.expect('(', 'behind the function name');
  const finish = (text: string, args: SqlExpr[]): SqlExpr => {
    p.expect(')', `behind the arguments of ${name.text}`);
    return callOf({ ...name, text }, args, p.span(token));
  };
  if (token.upper === 'TRIM') {
    const side = p.skip('LEADING') ? 'ltrim' : p.skip('TRAILING') ? 'rtrim' : p.skip('BOTH') ? 'trim' : null;
    if (side !== null && p.skip('FROM')) return finish(side, [p.expr()]);
    const first = p.expr();
    if (p.skip('FROM')) return finish(side ?? 'trim', [first, p.expr()]);
    return finish(side ?? 'trim', p.skip(',') ? [first, p.expr()] : [first]);
  }
  const args = [p.expr(token.upper === 'POSITION' ? POWER.comparison : 0)];
  if (token.upper === 'POSITION' && p.skip('IN')) return finish('locate', [...args, p.expr()]);
  while (p.skip(',') || p.skip('FROM') || p.skip('FOR') || p.skip('PLACING')) args.push(p.expr());
  return finish(name.text, args);
}
