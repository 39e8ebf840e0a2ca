import type { Expr } from '../../../core/ast.ts';

/** A text that two expressions share exactly when they compute the same: what lambdas call their variables does not count. */
export function canonical(expr: Expr): string {
  const ids = new Map<number, number>();
  return JSON.stringify(expr, function (this: unknown, key, value: unknown) {
    const isVariable = typeof this === 'object' && this !== null && 'id' in this;
    if (!isVariable || (key !== 'id' && key !== 'name')) return value;
    if (key === 'name' || typeof value !== 'number') return '';
    const known = ids.get(value) ?? ids.size;
    ids.set(value, known);
    return known;
  });
}
