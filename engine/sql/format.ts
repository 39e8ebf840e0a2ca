/** Typed expressions as SQL, for `explain` and for the places of failures. */
import type { Expr } from '../../core/ast.ts';
import { formatType } from '../../core/types.ts';
import { formatDecimal } from './runtime/numbers.ts';
import { formatDate, formatTimestamp, utc } from './runtime/time.ts';

const infix = new Set([
  '=',
  '<>',
  '<',
  '<=',
  '>',
  '>=',
  '<=>',
  '+',
  '-',
  '*',
  '/',
  '%',
  'div',
  '&',
  '|',
  '^',
  'and',
  'or',
]);

/** The expression as SQL that means the same; conversions that the analyzer added are shown. */
export function formatExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'literal':
      return formatLiteral(expr);
    case 'column':
    case 'variable':
      return formatName(expr.name);
    case 'cast':
      return `${expr.mode === 'try' ? 'TRY_CAST' : 'CAST'}(${formatExpr(expr.input)} AS ${formatType(expr.type)})`;
    case 'case': {
      const branches = expr.branches.map(({ when, then }) => ` WHEN ${formatExpr(when)} THEN ${formatExpr(then)}`);
      return `CASE${branches.join('')}${expr.otherwise === null ? '' : ` ELSE ${formatExpr(expr.otherwise)}`} END`;
    }
    case 'field': {
      const field = expr.input.type.kind === 'struct' ? expr.input.type.fields[expr.index] : undefined;
      return `${formatExpr(expr.input)}.${formatName(field?.name ?? `_${expr.index}`)}`;
    }
    case 'lambda': {
      const params = expr.params.map(({ name }) => formatName(name));
      return `${params.length === 1 ? params[0] : `(${params.join(', ')})`} -> ${formatExpr(expr.body)}`;
    }
    case 'call':
      return formatCall(expr);
  }
}

function formatCall({ name, args }: Extract<Expr, { kind: 'call' }>): string {
  const [first, second] = args;
  if (first !== undefined && second !== undefined && args.length === 2 && infix.has(name)) {
    return `(${formatExpr(first)} ${name.toUpperCase()} ${formatExpr(second)})`;
  }
  if (first !== undefined) {
    if (name === 'not') return `(NOT ${formatExpr(first)})`;
    if (name === 'isnull') return `(${formatExpr(first)} IS NULL)`;
    if (name === 'isnotnull') return `(${formatExpr(first)} IS NOT NULL)`;
    if (name === 'negative') return `(-${formatExpr(first)})`;
    if (second !== undefined && patternWords.has(name)) return formatPattern(name, first, second, args[2]);
    if (name === 'in') return `(${formatExpr(first)} IN (${args.slice(1).map(formatExpr).join(', ')}))`;
  }
  return `${name}(${args.map(formatExpr).join(', ')})`;
}

const patternWords = new Set(['like', 'ilike', 'rlike']);

function formatPattern(name: string, text: Expr, pattern: Expr, escape: Expr | undefined): string {
  const usual = escape === undefined || (escape.kind === 'literal' && escape.value === '\\');
  return `(${formatExpr(text)} ${name.toUpperCase()} ${formatExpr(pattern)}${usual ? '' : ` ESCAPE ${formatExpr(escape)}`})`;
}

export function formatName(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `\`${name.replaceAll('`', '``')}\``;
}

function formatLiteral({ type, value }: Extract<Expr, { kind: 'literal' }>): string {
  if (value === null) return 'NULL';
  switch (type.kind) {
    case 'string':
      return `'${String(value).replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
    case 'binary':
      return `X'${value}'`;
    case 'date':
      return `DATE '${formatDate(Number(value))}'`;
    case 'timestamp':
      return `TIMESTAMP '${formatTimestamp(Number(value), utc)}Z'`;
    case 'decimal':
      return formatDecimal(BigInt(String(value)), type.scale);
    case 'bigint':
      return `${value}L`;
    case 'interval':
      return type.unit === 'months' ? `INTERVAL ${value} MONTHS` : `INTERVAL ${value} MICROSECONDS`;
    default:
      return String(value);
  }
}
