/** ORDER BY of queries and windows. */
import type { SortItem } from '../../../core/ast.ts';
import type { Grammar } from './grammar.ts';

/** The columns of ORDER BY (or SORT BY); none where neither stands. */
export function readOrderBy(p: Grammar): SortItem[] {
  if (!p.is('ORDER') && !p.is('SORT')) return [];
  p.next();
  p.expect('BY', 'behind ORDER');
  return p.list(() => sortItem(p));
}

function sortItem(p: Grammar): SortItem {
  const expr = p.expr();
  const descending = p.skip('DESC');
  if (!descending) p.skip('ASC');
  let nullsFirst: boolean | null = null;
  if (p.skip('NULLS')) {
    nullsFirst = p.skip('FIRST');
    if (!nullsFirst) p.expect('LAST', 'behind NULLS');
  }
  return { expr, descending, nullsFirst };
}
