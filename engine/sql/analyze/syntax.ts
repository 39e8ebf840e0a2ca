/** Questions about SQL as it is written, before it has types. */
import type { Span, SqlExpr } from '../../../core/ast.ts';
import { isAggregateName } from './calls.ts';

/** The place of a node without the node. */
export function spanOf({ offset, length }: Span): Span {
  return { offset, length };
}

/** A constant whole number that is written as digits. */
export function wholeNumber(expr: SqlExpr): number | undefined {
  if (expr.kind !== 'literal' || expr.literal.kind !== 'number' || !/^-?\d+$/.test(expr.literal.text)) return undefined;
  const value = Number(expr.literal.text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Is it this name alone, without a qualifier? `name` is small. */
export function isPlainName(expr: SqlExpr, name: string): boolean {
  return expr.kind === 'name' && expr.parts.length === 1 && expr.parts[0]?.text.toLowerCase() === name;
}

/** Does the expression hold a call that makes its SELECT a grouped one? */
export function hasAggregate(expr: SqlExpr): boolean {
  switch (expr.kind) {
    case 'call':
      return (
        (expr.over === null && isAggregateName(expr.name.text.toLowerCase())) ||
        expr.args.some(hasAggregate) ||
        (expr.over !== null &&
          [...expr.over.partitionBy, ...expr.over.orderBy.map((item) => item.expr)].some(hasAggregate))
      );
    case 'unary':
    case 'is':
    case 'cast':
    case 'field':
      return hasAggregate(expr.input);
    case 'index':
      return hasAggregate(expr.input) || hasAggregate(expr.index);
    case 'binary':
      return hasAggregate(expr.left) || hasAggregate(expr.right);
    case 'between':
      return [expr.input, expr.low, expr.high].some(hasAggregate);
    case 'in':
      return [expr.input, ...expr.list].some(hasAggregate);
    case 'like':
      return hasAggregate(expr.input) || hasAggregate(expr.pattern);
    case 'case':
      return [
        ...(expr.operand === null ? [] : [expr.operand]),
        ...expr.branches.flatMap(({ when, then }) => [when, then]),
        ...(expr.otherwise === null ? [] : [expr.otherwise]),
      ].some(hasAggregate);
    case 'lambda':
      return hasAggregate(expr.body);
    case 'inQuery':
      return hasAggregate(expr.input);
    default:
      return false;
  }
}

/** Does a query stand anywhere in the expression? */
export function holdsQuery(expr: SqlExpr): boolean {
  let holds = false;
  mapSql(expr, (node) => {
    holds ||= node.kind === 'subquery' || node.kind === 'inQuery' || node.kind === 'exists';
    return node;
  });
  return holds;
}

/** The expression with every node replaced, those below before those above. Queries within are nodes without any below. */
export function mapSql(expr: SqlExpr, replace: (node: SqlExpr) => SqlExpr): SqlExpr {
  const mapped = (inner: SqlExpr): SqlExpr => mapSql(inner, replace);
  switch (expr.kind) {
    case 'call':
      return replace({
        ...expr,
        args: expr.args.map(mapped),
        filter: expr.filter && mapped(expr.filter),
        over: expr.over && {
          ...expr.over,
          partitionBy: expr.over.partitionBy.map(mapped),
          orderBy: expr.over.orderBy.map((item) => ({ ...item, expr: mapped(item.expr) })),
        },
      });
    case 'unary':
    case 'is':
    case 'cast':
    case 'field':
    case 'inQuery':
      return replace({ ...expr, input: mapped(expr.input) });
    case 'index':
      return replace({ ...expr, input: mapped(expr.input), index: mapped(expr.index) });
    case 'binary':
      return replace({ ...expr, left: mapped(expr.left), right: mapped(expr.right) });
    case 'between':
      return replace({ ...expr, input: mapped(expr.input), low: mapped(expr.low), high: mapped(expr.high) });
    case 'in':
      return replace({ ...expr, input: mapped(expr.input), list: expr.list.map(mapped) });
    case 'like':
      return replace({ ...expr, input: mapped(expr.input), pattern: mapped(expr.pattern) });
    case 'case':
      return replace({
        ...expr,
        operand: expr.operand && mapped(expr.operand),
        branches: expr.branches.map(({ when, then }) => ({ when: mapped(when), then: mapped(then) })),
        otherwise: expr.otherwise && mapped(expr.otherwise),
      });
    case 'lambda':
      return replace({ ...expr, body: mapped(expr.body) });
    default:
      return replace(expr);
  }
}
