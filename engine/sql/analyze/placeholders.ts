/**
 * Columns that stand for calls of a SELECT (sessions, aggregates, functions OVER) until it is known where the operators
 * below its projection put them.
 */
import { collectColumns, type Expr, type Span } from '../../../core/ast.ts';

/** Columns from here on are placeholders: no rows are so wide. */
const PLACEHOLDERS = 1 << 24;
/** The column that stands for the session of a GROUP BY. */
export const SESSION_COLUMN = PLACEHOLDERS;
const AGGREGATES = PLACEHOLDERS + (1 << 20);
const RANKS = PLACEHOLDERS + (2 << 20);
const VALUES = PLACEHOLDERS + (3 << 20);

/** The column that stands for the n-th aggregate of a SELECT. */
export function aggregateColumn(index: number): number {
  return AGGREGATES + index;
}

/** The column that stands for the n-th call of a SELECT with OVER. */
export function rankColumn(index: number): number {
  return RANKS + index;
}

/** The column that stands for the n-th value of a query above a GROUP BY. */
export function valueColumn(index: number): number {
  return VALUES + index;
}

/** What a placeholder stands for. */
export type Placeholder =
  | { readonly kind: 'session' }
  | { readonly kind: 'aggregate'; readonly index: number }
  | { readonly kind: 'rank'; readonly index: number }
  | { readonly kind: 'value'; readonly index: number };

/** Undefined for a real column. */
export function placeholderOf(index: number): Placeholder | undefined {
  if (index < PLACEHOLDERS) return undefined;
  if (index === SESSION_COLUMN) return { kind: 'session' };
  if (index >= VALUES) return { kind: 'value', index: index - VALUES };
  return index < RANKS ? { kind: 'aggregate', index: index - AGGREGATES } : { kind: 'rank', index: index - RANKS };
}

/** Is a placeholder of one of the kinds in the expression? */
export function holdsPlaceholder(expr: Expr, ...kinds: readonly Placeholder['kind'][]): boolean {
  const columns = new Set<number>();
  collectColumns(expr, columns);
  return [...columns].some((index) => {
    const placeholder = placeholderOf(index);
    return placeholder !== undefined && kinds.includes(placeholder.kind);
  });
}

/** Puts columns in the stead of placeholders; undefined when a mistake was said. */
export type Place = (expr: Expr, span: Span) => Expr | undefined;
