/** What names a row of a query's result: the groups of its topmost aggregate, as far as the result still shows them. */
import type { Expr } from '../../core/ast.ts';
import type { LogicalPlan } from './logical-plan.ts';

/** A grouping key, and the columns of the result that tell it: any one of them does. */
export interface RowKey {
  readonly name: string;
  readonly shownBy: ReadonlySet<number>;
}

export interface RowKeys {
  readonly keys: readonly RowKey[];
}

/** The keys of a query's rows; null where rows are not one per group. */
export function rowKeysOf(node: LogicalPlan): RowKeys | null {
  switch (node.kind) {
    case 'aggregate': {
      const session = node.session === null ? [] : [node.keys.length];
      const places = [...node.keys.keys(), ...session];
      const keys = places.map((place) => ({ name: node.output[place]?.name ?? '', shownBy: new Set([place]) }));
      return { keys };
    }
    case 'project': {
      const input = rowKeysOf(node.input);
      if (input === null) return null;
      const shows = (expr: Expr, key: RowKey): boolean =>
        expr.kind === 'column' ? key.shownBy.has(expr.index) : isWindowField(expr) && shows(expr.input, key);
      const keys = input.keys.map((key) => ({
        name: key.name,
        shownBy: new Set(node.columns.flatMap(({ expr }, index) => (shows(expr, key) ? [index] : []))),
      }));
      return { keys };
    }
    case 'dedup':
    case 'filter':
    case 'limit':
    case 'sort':
    case 'watermark':
      return rowKeysOf(node.input);
    default:
      return null;
  }
}

/** `window.start` tells the window, and so does `window.end`. */
function isWindowField(expr: Expr): expr is Extract<Expr, { kind: 'field' }> {
  if (expr.kind !== 'field' || expr.input.type.kind !== 'struct') return false;
  const [start, end, ...others] = expr.input.type.fields;
  return start?.name === 'start' && end?.name === 'end' && others.length === 0 && start.type.kind === 'timestamp';
}
