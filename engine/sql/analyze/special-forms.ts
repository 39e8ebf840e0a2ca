/** Calls that are written as other expressions: IF, NULLIF, decode, typeof and their kind. */
import type { Expr, Span } from '../../../core/ast.ts';
import { type DataType, formatType } from '../../../core/types.ts';
import { BOOLEAN, castTo, INT, STRING, TIMESTAMP } from '../coercion.ts';
import { nullLiteral, stringLiteral } from '../literal.ts';
import type { Analysis } from './context.ts';
import type { CallNode } from './scope.ts';

/** Names of types that cast when they are called: int(x). */
export const castFunctions = new Map<string, DataType>([
  ['boolean', BOOLEAN],
  ['tinyint', { kind: 'tinyint' }],
  ['smallint', { kind: 'smallint' }],
  ['int', INT],
  ['bigint', { kind: 'bigint' }],
  ['float', { kind: 'float' }],
  ['double', { kind: 'double' }],
  ['decimal', { kind: 'decimal', precision: 10, scale: 0 }],
  ['string', STRING],
  ['binary', { kind: 'binary' }],
  ['date', { kind: 'date' }],
  ['timestamp', TIMESTAMP],
]);

/** Functions that are rewritten to others. */
export const specialForms = new Set(['if', 'iff', 'nullif', 'nvl2', 'typeof', 'current_date', 'curdate', 'struct']);

/** What the forms are made with: see {@link ExpressionAnalyzer}. */
export interface FormBuilder {
  apply(name: string, args: readonly Expr[], span: Span, places: readonly Span[]): Expr | undefined;
  conditional(
    whens: readonly Expr[],
    thens: readonly Expr[],
    otherwise: Expr,
    span: Span,
    places: readonly Span[],
  ): Expr | undefined;
}

/** The expression that a call of one of {@link specialForms} is, `struct` excepted; undefined when a mistake was said. */
export function specialForm(
  name: string,
  args: readonly Expr[],
  expr: CallNode,
  forms: FormBuilder,
  analysis: Analysis,
): Expr | undefined {
  const [a, b, c] = args;
  const wrongCount = (takes: string): undefined => analysis.problem(expr, `${name} takes ${takes}, not ${args.length}`);
  switch (name) {
    case 'if':
    case 'iff': {
      if (a === undefined || b === undefined || c === undefined || args.length !== 3) return wrongCount('3 arguments');
      if (a.type.kind !== 'boolean' && a.type.kind !== 'null')
        return analysis.problem(expr.args[0] ?? expr, `${name} takes a BOOLEAN first, not ${formatType(a.type)}`);
      return forms.conditional([castTo(a, BOOLEAN)], [b], c, expr, expr.args.slice(1));
    }
    case 'nullif': {
      if (a === undefined || b === undefined || args.length !== 2) return wrongCount('2 arguments');
      const same = forms.apply('=', [a, b], expr, expr.args);
      return same && forms.conditional([same], [nullLiteral({ kind: 'null' })], a, expr, expr.args);
    }
    case 'nvl2': {
      if (a === undefined || b === undefined || c === undefined || args.length !== 3) return wrongCount('3 arguments');
      const there = forms.apply('isnotnull', [a], expr, expr.args);
      return there && forms.conditional([there], [b], c, expr, expr.args.slice(1));
    }
    case 'typeof':
      if (a === undefined || args.length !== 1) return wrongCount('1 argument');
      return stringLiteral(catalogType(a.type));
    case 'current_date':
    case 'curdate': {
      if (args.length !== 0) return wrongCount('no argument');
      const now = forms.apply('current_timestamp', [], expr, []);
      return now && castTo(now, { kind: 'date' });
    }
    default:
      return analysis.problem(expr.name, `there is no function ${name}`);
  }
}

/** decode(value, search, result, … [, otherwise]): a CASE in which NULL equals NULL. */
export function decodeForm(
  [value, ...rest]: readonly [Expr, ...Expr[]],
  expr: CallNode,
  forms: FormBuilder,
): Expr | undefined {
  const whens: (Expr | undefined)[] = [];
  const thens: Expr[] = [];
  for (let index = 0; index + 1 < rest.length; index += 2) {
    whens.push(forms.apply('<=>', [value, rest[index] as Expr], expr, expr.args));
    thens.push(rest[index + 1] as Expr);
  }
  if (whens.includes(undefined)) return undefined;
  const last = rest.length % 2 === 1 ? rest.at(-1) : undefined;
  const otherwise = last ?? nullLiteral({ kind: 'null' });
  return forms.conditional(whens as Expr[], thens, otherwise, expr, []);
}

/** The type as `typeof` writes it: small letters, no blanks within. */
function catalogType(type: DataType): string {
  switch (type.kind) {
    case 'array':
      return `array<${catalogType(type.element)}>`;
    case 'map':
      return `map<${catalogType(type.key)},${catalogType(type.value)}>`;
    case 'struct':
      return `struct<${type.fields.map(({ name, type: field }) => `${name}:${catalogType(field)}`).join(',')}>`;
    default:
      return formatType(type).toLowerCase();
  }
}
