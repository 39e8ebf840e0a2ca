/** Nodes that the parser makes of more than one form. */
import type { Identifier, Span, SqlExpr } from '../../../core/ast.ts';

/** A call without DISTINCT, FILTER and OVER. */
export function callOf(name: Identifier, args: readonly SqlExpr[], { offset, length }: Span): SqlExpr {
  return { kind: 'call', name, args, distinct: false, filter: null, over: null, offset, length };
}

/** A text as if it were written there. */
export function textOf(value: string, { offset, length }: Span): SqlExpr {
  return { kind: 'literal', literal: { kind: 'string', value }, offset, length };
}

/** `a AS b` among arguments: a call of `$alias`. */
export function aliasOf(expr: SqlExpr, alias: Identifier, span: Span): SqlExpr {
  const { offset, length } = alias;
  return callOf({ text: '$alias', offset, length }, [expr, textOf(alias.text, alias)], span);
}

/** Is it `a AS b`? */
export function isAlias(expr: SqlExpr): boolean {
  return expr.kind === 'call' && expr.name.text === '$alias';
}

/** An argument by name, `name => value`: a call of `=name`. */
export function namedArgumentOf(parameter: Identifier, value: SqlExpr, span: Span): SqlExpr {
  return callOf({ ...parameter, text: `=${parameter.text}` }, [value], span);
}

/** Was it given by name? */
export function isNamedArgument(expr: SqlExpr): expr is Extract<SqlExpr, { kind: 'call' }> {
  return expr.kind === 'call' && expr.name.text.startsWith('=');
}
