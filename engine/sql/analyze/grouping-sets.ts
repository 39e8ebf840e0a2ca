/**
 * GROUPING SETS, CUBE and ROLLUP: each row goes into one group of every set. The row is repeated with the number of the
 * set, and a key that the set lacks is NULL.
 */
import { type Expr, replaceNodes, type Span } from '../../../core/ast.ts';
import type { DataType, Field } from '../../../core/types.ts';
import { BIGINT, BOOLEAN, INT } from '../coercion.ts';
import { canonical } from './canonical.ts';
import type { Analysis } from './context.ts';
import { columnExpr, type Rows } from './scope.ts';

/** As many sets as a CUBE of six columns has. */
const SETS_MAX = 64;

/** An expression of GROUP BY. */
export interface GroupKey {
  readonly name: string;
  readonly expr: Expr;
  /** What rows are grouped by where that is not the expression itself: it is NULL outside of its grouping sets. */
  readonly computed?: Expr;
  readonly span: Span;
}

/** The sets of a GROUP BY. */
export interface GroupingSets {
  /** All keys, each once, in the order that they are met. */
  readonly keys: readonly Expr[];
  /** For each set the places of its keys. */
  readonly sets: readonly ReadonlySet<number>[];
  /** The column with the number of the set. */
  readonly column: Extract<Expr, { kind: 'column' }>;
}

/** Every way to take one set of each of the lists. */
export function productOf<T>(lists: readonly (readonly (readonly T[])[])[]): readonly (readonly T[])[] {
  return lists.reduce<readonly (readonly T[])[]>(
    (sets, list) => sets.flatMap((set) => list.map((more) => [...set, ...more])),
    [[]],
  );
}

/** The rows once for each set, and the keys as they are then; undefined when a mistake was said. */
export function expanded(
  rows: Rows,
  sets: readonly (readonly GroupKey[])[],
  span: Span,
  analysis: Analysis,
): { readonly rows: Rows; readonly keys: readonly GroupKey[]; readonly grouping: GroupingSets } | undefined {
  if (sets.length > SETS_MAX)
    return analysis.problem(span, `GROUP BY has ${sets.length} grouping sets here, at most ${SETS_MAX} are possible`);
  const unique = new Map<string, GroupKey>();
  for (const key of sets.flat()) if (!unique.has(canonical(key.expr))) unique.set(canonical(key.expr), key);
  const names = [...unique.keys()];
  const places = sets.map((set) => new Set(set.map(({ expr }) => names.indexOf(canonical(expr)))));
  const field: Field = { name: 'grouping_set', type: INT, nullable: false };
  const column = columnExpr(field, rows.plan.output.length);
  const numbers: Expr = {
    kind: 'call',
    name: 'array',
    type: { kind: 'array', element: INT, containsNull: false },
    nullable: false,
    args: sets.map((_, number) => whole(number, INT)),
  };
  const keys = [...unique.values()].map((key, place): GroupKey => {
    const holders = [...places.keys()].filter((number) => places[number]?.has(place));
    // A key of every set is never made NULL: event time stays event time.
    if (holders.length === sets.length) return key;
    const { type } = key.expr;
    const branches = holders.map((number) => ({ when: isSet(column, number), then: key.expr }));
    return { ...key, computed: { kind: 'case', type, nullable: true, branches, otherwise: null } };
  });
  return {
    rows: {
      ...rows,
      plan: {
        kind: 'generate',
        input: rows.plan,
        generator: 'explode',
        outer: false,
        expr: numbers,
        generated: [field],
        output: [...rows.plan.output, field],
        span,
      },
      columns: [...rows.columns, { ...field, name: '', qualifier: null, hidden: true, index: column.index }],
      times: [...rows.times, null],
    },
    keys: [...keys, { name: field.name, expr: column, span }],
    grouping: { keys: [...unique.values()].map(({ expr }) => expr), sets: places, column },
  };
}

/** grouping(key): 1 where the key is not of the row's set; grouping_id(keys): those digits as one number. */
export function groupingId(grouping: GroupingSets, keys: readonly Expr[], type: DataType = BIGINT): Expr | undefined {
  const places = keys.map((key) => grouping.keys.findIndex((other) => canonical(other) === canonical(key)));
  if (places.includes(-1)) return undefined;
  const branches = grouping.sets.map((set, number) => ({
    when: isSet(grouping.column, number),
    then: whole(
      places.reduce((id, place) => id * 2 + (set.has(place) ? 0 : 1), 0),
      type,
    ),
  }));
  return { kind: 'case', type, nullable: false, branches: branches.slice(1), otherwise: branches[0]?.then ?? null };
}

/** The expression as it is once its keys may be NULL. */
export function loosened(expr: Expr): Expr {
  return replaceNodes(expr, (node) =>
    !node.nullable && (node.kind === 'call' || node.kind === 'cast' || node.kind === 'case' || node.kind === 'field')
      ? loosened({ ...node, nullable: true })
      : undefined,
  );
}

function isSet(column: Expr, number: number): Expr {
  return { kind: 'call', name: '=', type: BOOLEAN, nullable: false, args: [column, whole(number, INT)] };
}

function whole(value: number, type: DataType): Expr {
  return { kind: 'literal', type, nullable: false, value: type.kind === 'bigint' ? String(value) : value };
}
