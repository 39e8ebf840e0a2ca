/** Functions OVER as columns that an operator of their own appends. */
import { type Expr, replaceNodes } from '../../../core/ast.ts';
import { type Field, formatType } from '../../../core/types.ts';
import type { RankCall, SortKey } from '../../plan/logical-plan.ts';
import { isGroupable } from '../coercion.ts';
import type { Analysis } from './context.ts';
import { evictionColumn } from './event-time.ts';
import { type Place, placeholderOf } from './placeholders.ts';
import { columnExpr, type Rows } from './scope.ts';
import type { SelectCalls } from './select-calls.ts';

/** The rows with the columns of the functions OVER, and where those stand. */
export function ranked(
  calls: SelectCalls,
  rows: Rows,
  place: Place,
  analysis: Analysis,
): { readonly rows: Rows; readonly place: Place } | undefined {
  const { rankWindow: window } = calls;
  if (window === null) return { rows, place: (expr) => expr };
  const keys = window.keys.map((key) => place(key, window.span));
  const by = window.by.map(({ expr, ...rest }) => ({ ...rest, expr: place(expr, window.span) }));
  const ranks = calls.ranks.map((rank) => ({ ...rank, args: rank.args.map((arg) => place(arg, window.span)) }));
  if (keys.includes(undefined) || by.some(({ expr }) => expr === undefined)) return undefined;
  if (ranks.some(({ args }) => args.includes(undefined))) return undefined;
  const odd = [...(keys as Expr[]), ...(by as SortKey[]).map(({ expr }) => expr)].find(
    ({ type }) => !isGroupable(type),
  );
  if (odd !== undefined)
    return analysis.problem(window.span, `OVER cannot compare values of type ${formatType(odd.type)}`);
  const { plan, times, lagUs } = rows;
  const width = plan.output.length;
  const added: Field[] = ranks.map(({ name, type, nullable }) => ({ name, type, nullable }));
  const keyColumns = keys.flatMap((key) => (key?.kind === 'column' ? [key.index] : []));
  const output: Rows = {
    ...rows,
    plan: {
      kind: 'rank',
      id: analysis.nextOperator('rank'),
      watermarkLagUs: lagUs,
      input: plan,
      keys: keys as Expr[],
      by: by as SortKey[],
      calls: ranks as RankCall[],
      limit: null,
      eventTime: evictionColumn(keyColumns, times),
      output: [...plan.output, ...added],
      span: window.span,
    },
    times: [...times, ...added.map(() => null)],
  };
  const shift: Place = (expr) =>
    replaceNodes(expr, (node) => {
      const placeholder = node.kind === 'column' ? placeholderOf(node.index) : undefined;
      const field = placeholder?.kind === 'rank' ? added[placeholder.index] : undefined;
      return placeholder?.kind === 'rank' && field !== undefined
        ? columnExpr(field, width + placeholder.index)
        : undefined;
    });
  return { rows: output, place: shift };
}
