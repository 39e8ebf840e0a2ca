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

/** How a column is called. */
export type ColumnName = (column: Extract<Expr, { kind: 'column' }>) => string;

/**
 * The expression as SQL that means the same; conversions that the analyzer added are shown. `columnName` says how a
 * column is called; by default by its name.
 */
export function formatExpr(expr: Expr, columnName: ColumnName = ({ name }) => formatName(name)): string {
  const format = (part: Expr): string => formatExpr(part, columnName);
  switch (expr.kind) {
    case 'literal':
      return formatLiteral(expr);
    case 'column':
      return columnName(expr);
    case 'variable':
      return formatName(expr.name);
    case 'cast':
      return `${expr.mode === 'try' ? 'TRY_CAST' : 'CAST'}(${format(expr.input)} AS ${formatType(expr.type)})`;
    case 'case': {
      const branches = expr.branches.map(({ when, then }) => ` WHEN ${format(when)} THEN ${format(then)}`);
      return `CASE${branches.join('')}${expr.otherwise === null ? '' : ` ELSE ${format(expr.otherwise)}`} END`;
    }
    case 'field': {
      const field = expr.input.type.kind === 'struct' ? expr.input.type.fields[expr.index] : undefined;
      return `${format(expr.input)}.${formatName(field?.name ?? `_${expr.index}`)}`;
    }
    case 'lambda': {
      const params = expr.params.map(({ name }) => formatName(name));
      return `${params.length === 1 ? params[0] : `(${params.join(', ')})`} -> ${format(expr.body)}`;
    }
    case 'call':
      return formatCall(expr, format);
  }
}

function formatCall({ name, args }: Extract<Expr, { kind: 'call' }>, format: (expr: Expr) => string): string {
  const [first, second] = args;
  if (first !== undefined && second !== undefined && args.length === 2 && infix.has(name)) {
    return `(${format(first)} ${name.toUpperCase()} ${format(second)})`;
  }
  if (first !== undefined) {
    if (name === 'not') return `(NOT ${format(first)})`;
    if (name === 'isnull') return `(${format(first)} IS NULL)`;
    if (name === 'isnotnull') return `(${format(first)} IS NOT NULL)`;
    if (name === 'negative') return `(-${format(first)})`;
    if (second !== undefined && patternWords.has(name)) return formatPattern(name, first, second, args[2], format);
    if (name === 'in') return `(${format(first)} IN (${args.slice(1).map(format).join(', ')}))`;
  }
  return `${name}(${args.map(format).join(', ')})`;
}

const patternWords = new Set(['like', 'ilike', 'rlike']);

function formatPattern(
  name: string,
  text: Expr,
  pattern: Expr,
  escape: Expr | undefined,
  format: (expr: Expr) => string,
): string {
  const usual = escape === undefined || (escape.kind === 'literal' && escape.value === '\\');
  return `(${format(text)} ${name.toUpperCase()} ${format(pattern)}${usual ? '' : ` ESCAPE ${format(escape)}`})`;
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
      return type.unit === 'months' ? `INTERVAL ${value} MONTHS` : formatDuration(Number(value));
    default:
      return String(value);
  }
}

const durationUnits: readonly (readonly [us: number, name: string])[] = [
  [86_400_000_000, 'DAYS'],
  [3_600_000_000, 'HOURS'],
  [60_000_000, 'MINUTES'],
  [1_000_000, 'SECONDS'],
  [1000, 'MILLISECONDS'],
];

/** In the largest unit that it is a whole number of. */
function formatDuration(us: number): string {
  const [size, name] = durationUnits.find(([unit]) => us !== 0 && us % unit === 0) ?? [1, 'MICROSECONDS'];
  const count = us / size;
  return `INTERVAL ${count} ${Math.abs(count) === 1 ? name.slice(0, -1) : name}`;
}
