import type { Expr } from '../../core/ast.ts';

/**
 * The path of a column, or of a struct's field within a column: '3', '3.fields[1]'. Rows without the struct have null
 * fields, so such a field is a column like any other. Null for anything computed.
 */
export function pathOf(expr: Expr): string | null {
  if (expr.kind === 'column') return expr.type.kind === 'null' ? null : String(expr.index);
  if (expr.kind !== 'field') return null;
  const path = pathOf(expr.input);
  return path === null ? null : `${path}.fields[${expr.index}]`;
}
