import { collectColumns } from '../../core/ast.ts';
import { changeColumns } from './operator-columns.ts';
import type { InputColumn, StageOperator } from './stage-plan.ts';

/** What the stage of a lane consists of. */
export type LaneOperator = Extract<StageOperator, { readonly kind: 'filter' | 'project' | 'generate' | 'staticJoin' }>;

/**
 * Takes away the input columns that no operator reads. Required fields stay: whether a record is good must not depend
 * on the query. Operators see the new indexes; columns that a generator appends move along.
 */
export function pruneColumns(
  columns: readonly InputColumn[],
  operators: readonly LaneOperator[],
): { readonly columns: readonly InputColumn[]; readonly operators: readonly LaneOperator[] } {
  const read = columnsRead(operators);
  const kept = columns.map((_, index) => index).filter((index) => read.has(index) || isRequired(columns[index]));
  const places = new Map(kept.map((index, place) => [index, place]));
  const moved = columns.length - kept.length;
  const at = (column: number): number => places.get(column) ?? column - moved;
  const first = operators.findIndex(({ kind }) => kind === 'project');
  return {
    columns: kept.flatMap((index) => columns[index] ?? []),
    operators: operators.map((operator, place) => {
      if (first >= 0 && place > first) return operator;
      const changed = changeColumns(operator, at) as LaneOperator;
      if (changed.kind !== 'staticJoin') return changed;
      return { ...changed, output: changed.output.filter((_, index) => index >= columns.length || places.has(index)) };
    }),
  };
}

function isRequired(column: InputColumn | undefined): boolean {
  return column?.kind === 'field' && column.required;
}

/** Columns read up to and with the first projection; behind it there are others. */
function columnsRead(operators: readonly LaneOperator[]): ReadonlySet<number> {
  const read = new Set<number>();
  for (const operator of operators) {
    if (operator.kind === 'filter') collectColumns(operator.predicate, read);
    if (operator.kind === 'generate') collectColumns(operator.input, read);
    if (operator.kind === 'staticJoin') collectJoined(operator, read);
    if (operator.kind !== 'project') continue;
    for (const column of operator.columns) collectColumns(column.expr, read);
    break;
  }
  return read;
}

function collectJoined({ equi, residual }: Extract<LaneOperator, { kind: 'staticJoin' }>, read: Set<number>): void {
  for (const { left } of equi) collectColumns(left, read);
  if (residual !== null) collectColumns(residual, read);
}

/** The source columns that an output column is made of; `width` is the source's column count. */
export function sourceColumnsOf(
  operators: readonly LaneOperator[],
  output: number,
  width: number,
): ReadonlySet<number> {
  let wanted: ReadonlySet<number> = new Set([output]);
  for (let place = operators.length - 1; place >= 0; place--) {
    const operator = operators[place] as LaneOperator;
    if (operator.kind === 'filter') continue;
    const next = new Set<number>();
    if (operator.kind === 'project') {
      for (const index of wanted) {
        const column = operator.columns[index];
        if (column !== undefined) collectColumns(column.expr, next);
      }
    } else {
      const generated = inputWidth(operators, place, width);
      for (const index of wanted) {
        if (index < generated) next.add(index);
        else if (operator.kind === 'generate') collectColumns(operator.input, next);
        else for (const { left } of operator.equi) collectColumns(left, next);
      }
    }
    wanted = next;
  }
  return wanted;
}

/** Columns that go into the operator at `place`. */
function inputWidth(operators: readonly LaneOperator[], place: number, width: number): number {
  let count = width;
  for (const operator of operators.slice(0, place)) {
    if (operator.kind === 'project') count = operator.columns.length;
    if (operator.kind === 'generate') count += operator.output.length;
    if (operator.kind === 'staticJoin') count = operator.output.length;
  }
  return count;
}
