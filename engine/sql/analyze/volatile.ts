/** Functions that give other values each time. */
import { childrenOf, type Expr } from '../../../core/ast.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import { functionByName } from '../functions.ts';

/** What a node computes of its rows. */
export function expressionsOf(node: LogicalPlan): readonly Expr[] {
  switch (node.kind) {
    case 'filter':
      return [node.predicate];
    case 'project':
      return node.columns.map(({ expr }) => expr);
    case 'generate':
      return [node.expr];
    case 'assignWindow':
      return [node.on];
    case 'aggregate':
      return [
        ...node.keys.map(({ expr }) => expr),
        ...node.aggregates.flatMap(({ args, filter }) => (filter === null ? args : [...args, filter])),
      ];
    case 'staticJoin':
      return [
        ...node.equi.flatMap(({ left, right }) => [left, right]),
        ...(node.residual === null ? [] : [node.residual]),
      ];
    default:
      return [];
  }
}

/** Does it call a function that gives other values for equal arguments? */
export function isVolatile(expr: Expr): boolean {
  if (expr.kind === 'call' && changesByItself(expr.name)) return true;
  return childrenOf(expr).some(isVolatile);
}

/** Does the function give other values for equal arguments? */
function changesByItself(name: string): boolean {
  const definition = functionByName(name);
  return definition !== undefined && (definition.perRecord || !definition.deterministic);
}
