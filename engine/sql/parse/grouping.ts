/** GROUP BY: expressions, grouping sets, CUBE and ROLLUP. */
import type { Select, SqlExpr } from '../../../core/ast.ts';
import type { Grammar } from './grammar.ts';

/** What stands behind GROUP: expressions, and sets of them. */
export function readGroupBy(p: Grammar): Pick<Select, 'groupBy' | 'groupingSets'> {
  p.expect('BY', 'behind GROUP');
  const groupBy: SqlExpr[] = [];
  const groupingSets: (readonly (readonly SqlExpr[])[])[] = [];
  do {
    if (isGroupingSets(p)) groupingSets.push(readGroupingSets(p));
    else if (isCubeOrRollup(p)) groupingSets.push(cubeOrRollup(p));
    else groupBy.push(p.expr());
  } while (p.skip(','));
  // Hive's forms: the sets behind the list are of its expressions.
  const ofAll = groupBy.map((expr) => [expr]);
  if (isGroupingSets(p)) return { groupBy: [], groupingSets: [...groupingSets, readGroupingSets(p)] };
  if (p.is('WITH') && (p.is('CUBE', 1) || p.is('ROLLUP', 1))) {
    p.next();
    return { groupBy: [], groupingSets: [p.next().text.toUpperCase() === 'CUBE' ? cube(ofAll) : rollup(ofAll)] };
  }
  return { groupBy, groupingSets };
}

function isGroupingSets(p: Grammar): boolean {
  return p.is('GROUPING') && p.is('SETS', 1);
}

/** `GROUPING SETS (…)`. */
function readGroupingSets(p: Grammar): readonly (readonly SqlExpr[])[] {
  p.advance(2);
  p.expect('(', 'behind GROUPING SETS');
  const sets = p.list(() => {
    if (isGroupingSets(p)) return readGroupingSets(p);
    return isCubeOrRollup(p) ? cubeOrRollup(p) : [groupingSet(p)];
  });
  p.expect(')', 'behind the grouping sets');
  return sets.flat();
}

function isCubeOrRollup(p: Grammar): boolean {
  return (p.is('CUBE') || p.is('ROLLUP')) && p.is('(', 1);
}

/** `CUBE (…)` or `ROLLUP (…)`. */
function cubeOrRollup(p: Grammar): readonly (readonly SqlExpr[])[] {
  return p.next().text.toUpperCase() === 'CUBE' ? cube(setList(p)) : rollup(setList(p));
}

/** `(a, (b, c))` behind CUBE and ROLLUP. */
function setList(p: Grammar): readonly (readonly SqlExpr[])[] {
  p.expect('(', 'before the grouping columns');
  const sets = p.list(() => groupingSet(p));
  p.expect(')', 'behind the grouping columns');
  return sets;
}

/** `(a, b)`, `()` or `a`. */
function groupingSet(p: Grammar): readonly SqlExpr[] {
  if (!p.is('(')) return [p.expr()];
  p.next();
  const exprs = p.is(')') ? [] : p.list(() => p.expr());
  p.expect(')', 'behind a grouping set');
  return exprs;
}

/** All sets of the parts. */
function cube(parts: readonly (readonly SqlExpr[])[]): readonly (readonly SqlExpr[])[] {
  const [first, ...others] = parts;
  if (first === undefined) return [[]];
  const rest = cube(others);
  return [...rest.map((set) => [...first, ...set]), ...rest];
}

/** The parts from the first on, each time one less. */
function rollup(parts: readonly (readonly SqlExpr[])[]): readonly (readonly SqlExpr[])[] {
  return [...parts.keys(), parts.length].map((length) => parts.slice(0, parts.length - length).flat());
}
