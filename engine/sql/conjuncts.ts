import type { Expr } from '../../core/ast.ts';

/** The conditions that AND joins, from left to right. */
export function splitConjuncts(predicate: Expr): readonly Expr[] {
  if (predicate.kind !== 'call' || predicate.name !== 'and') return [predicate];
  return predicate.args.flatMap(splitConjuncts);
}

/** The inverse of {@link splitConjuncts}; at least one condition. */
export function joinConjuncts(conditions: readonly Expr[]): Expr {
  return conditions.reduce((left, right) => ({
    kind: 'call',
    name: 'and',
    type: { kind: 'boolean' },
    nullable: left.nullable || right.nullable,
    args: [left, right],
  }));
}
