/** Columns by their places: which ones are kept, where they are then, and expressions over them. */
import { assert, must } from '../../core/assert.ts';
import { collectColumns, type Expr, mapColumns } from '../../core/ast.ts';
import type { Field, Schema } from '../../core/types.ts';
import type { ProjectedColumn } from './stage-plan.ts';

/** In rising order. */
export function sorted(columns: ReadonlySet<number>): number[] {
  return [...columns].toSorted((a, b) => a - b);
}

/** `0 … length - 1`. */
export function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

/** Those on the left of `width`. */
export function below(columns: ReadonlySet<number>, width: number): ReadonlySet<number> {
  return new Set([...columns].filter((index) => index < width));
}

/** The columns with those that the expressions read. */
export function reading(needed: ReadonlySet<number>, exprs: readonly Expr[]): ReadonlySet<number> {
  const read = new Set(needed);
  for (const expr of exprs) collectColumns(expr, read);
  return read;
}

/** The fields at these places. */
export function pick(schema: Schema, columns: readonly number[]): Field[] {
  return columns.map((index) => columnAt(schema, index));
}

/** The column at the place, which exists. */
export function columnAt<T>(columns: readonly T[], index: number): T {
  return must(columns[index], () => `there is no column ${index} of ${columns.length}`);
}

/** Where a column is among those that were kept; it is one of them. */
export function placeOf(kept: readonly number[], column: number): number {
  const place = kept.indexOf(column);
  assert(place >= 0, () => `the column ${column} was taken away`);
  return place;
}

/** The expression over columns of which only those `kept` are left. */
export function moved(expr: Expr, kept: readonly number[]): Expr {
  return mapColumns(expr, (column) => ({ ...column, index: placeOf(kept, column.index) }));
}

/** The expression over columns that stand `by` places further right. */
export function shifted(expr: Expr, by: number): Expr {
  return mapColumns(expr, (column) => ({ ...column, index: column.index + by }));
}

/** A column as it is, as part of a projection. */
export function referTo(schema: Schema, index: number): ProjectedColumn {
  const { name, type, nullable } = columnAt(schema, index);
  return { name, type, nullable, expr: { kind: 'column', type, nullable, index, name } };
}

/** The expressions of columns. */
export function exprsOf(columns: readonly { readonly expr: Expr }[]): Expr[] {
  return columns.map(({ expr }) => expr);
}
