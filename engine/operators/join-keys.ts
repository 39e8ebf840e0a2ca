import type { Column } from '../column-batch.ts';

/**
 * Tells the rows whose key equals nothing, not even the same: those with NULL where the equality is not null-safe.
 * `columns` are the keys' in order; more may follow.
 */
export function equalsNothing(columns: readonly Column[], nullSafe: readonly boolean[]): (row: number) => boolean {
  const strict = columns.filter((_, index) => nullSafe[index] === false);
  const [only, other] = strict;
  if (only === undefined) return () => false;
  if (other === undefined) return (row) => isNull(only, row);
  return (row) => {
    for (const column of strict) if (isNull(column, row)) return true;
    return false;
  };
}

function isNull(column: Column, row: number): boolean {
  switch (column.kind) {
    case 'bytes':
    case 'list':
    case 'map':
      return (column.length[row] as number) < 0;
    default:
      return column.valid[row] === 0;
  }
}
