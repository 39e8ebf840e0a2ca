/** Branches of one source read columns of their own; its map stage scans them all together. */
import type { Field } from '../../core/types.ts';
import { columnAt, placeOf } from './columns.ts';
import type { Branch } from './epoch-plan.ts';
import { changeColumns } from './operator-columns.ts';
import type { InputColumn, ProjectedColumn, StageOperator } from './stage-plan.ts';

/** The branch over the columns that its map stage scans, instead of those it reads itself. */
export function onScan(
  branch: Branch,
  own: readonly number[],
  scanned: readonly number[],
  columns: readonly InputColumn[],
): Branch {
  if (own.length === scanned.length && own.every((column, place) => scanned[place] === column)) return branch;
  const places = own.map((column) => placeOf(scanned, column));
  const first = branch.operators.findIndex(({ kind }) => kind === 'project');
  if (first < 0) {
    const chosen = own.map((column, index): ProjectedColumn => {
      const { name, type, nullable } = fieldOf(columnAt(columns, column));
      return { name, type, nullable, expr: { kind: 'column', type, nullable, index: columnAt(places, index), name } };
    });
    return { ...branch, operators: [{ kind: 'project', columns: chosen }, ...branch.operators] };
  }
  // What operators append stands behind the scanned columns.
  const shift = scanned.length - own.length;
  const at = (column: number): number => places[column] ?? column + shift;
  const fields = scanned.map((column) => fieldOf(columnAt(columns, column)));
  const change = (operator: StageOperator): StageOperator => {
    const changed = changeColumns(operator, at);
    if (changed.kind !== 'staticJoin') return changed;
    return { ...changed, output: [...fields, ...changed.output.slice(own.length)] };
  };
  return {
    ...branch,
    operators: branch.operators.map((operator, place) => (place > first ? operator : change(operator))),
  };
}

function fieldOf(column: InputColumn): Field {
  const { name, type } = column;
  if (column.kind === 'field') return { name, type, nullable: !column.required };
  return { name, type, nullable: column.column === 'key' || column.column === 'value' || column.column === 'headers' };
}
