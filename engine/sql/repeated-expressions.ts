/** Which expressions are worth computing once where they stand more than once. */
import { childrenOf, type Expr } from '../../core/ast.ts';
import { pathOf } from './column-path.ts';
import { functionByName } from './functions.ts';
import { reprOf } from './repr.ts';

/**
 * The numbers of the expressions that stand more than once in `exprs`, outermost ones only. Fills `numbers`: equal
 * expressions get one number; those that are not the same each time get null.
 */
export function findRepeated(exprs: readonly Expr[], numbers: Map<Expr, number | null>): ReadonlySet<number> {
  const byShape = new Map<string, number>();
  const numberOf = (expr: Expr): number | null => {
    const below = childrenOf(expr).map(numberOf);
    let number: number | null = null;
    if (isRepeatable(expr) && !below.includes(null)) {
      const shape = JSON.stringify([shapeOf(expr), below]);
      number = byShape.get(shape) ?? byShape.size;
      byShape.set(shape, number);
    }
    numbers.set(expr, number);
    return number;
  };
  exprs.forEach(numberOf);
  const seen = new Set<number>();
  const repeated = new Set<number>();
  const visit = (expr: Expr): void => {
    const number = numbers.get(expr) ?? null;
    if (number !== null && isComputed(expr)) {
      if (seen.has(number)) {
        // What stands below it is shared with it.
        repeated.add(number);
        return;
      }
      seen.add(number);
    }
    childrenOf(expr).forEach(visit);
  };
  exprs.forEach(visit);
  return repeated;
}

/** What a node is apart from the expressions below it. */
function shapeOf(expr: Expr): readonly unknown[] {
  switch (expr.kind) {
    case 'literal':
      return [expr.kind, expr.type, Object.is(expr.value, -0) ? '-0' : expr.value];
    case 'column':
    case 'field':
      return [expr.kind, expr.type, expr.nullable, expr.index];
    case 'call':
      return [expr.kind, expr.type, expr.nullable, expr.name];
    case 'cast':
      return [expr.kind, expr.type, expr.mode];
    case 'case':
      return [expr.kind, expr.type, expr.otherwise === null];
    case 'lambda':
    case 'variable':
      return [expr.kind];
  }
}

/** Whether a node's value is the same each time for one row, where those below are. */
function isRepeatable(expr: Expr): boolean {
  if (expr.kind === 'variable' || expr.kind === 'lambda') return false;
  return expr.kind !== 'call' || functionByName(expr.name)?.deterministic === true;
}

/** Is it work, and not a value that is there? */
function isComputed(expr: Expr): boolean {
  return (
    expr.kind === 'call' ||
    expr.kind === 'cast' ||
    expr.kind === 'case' ||
    (expr.kind === 'field' && pathOf(expr) === null)
  );
}

/** Worth a look at a flag: makes text or objects, or looks at some that were made. */
export function isCostly(expr: Expr): boolean {
  const makes = ({ type }: Expr): boolean => reprOf(type) === 'text' || reprOf(type) === 'box';
  return makes(expr) || childrenOf(expr).some((child) => makes(child) || isCostly(child));
}
