/** DISTINCT: the first row of each key. */
import type { Span } from '../../../core/ast.ts';
import { formatType } from '../../../core/types.ts';
import type { Analysis } from './context.ts';
import { evictionColumn } from './event-time.ts';
import type { Rows } from './scope.ts';
import { isGroupable } from '../coercion.ts';
import { spanOf } from './syntax.ts';

/** The rows without those whose keys have been there; null = all columns that `*` shows. */
export function dedupRows(
  rows: Rows,
  keys: readonly number[] | null,
  withinWatermark: Span | null,
  span: Span,
  analysis: Analysis,
): Rows | undefined {
  const { plan, times } = rows;
  const columns = keys ?? rows.columns.filter(({ hidden }) => !hidden).map(({ index }) => index);
  for (const column of columns) {
    const field = plan.output[column];
    if (field !== undefined && !isGroupable(field.type))
      return analysis.problem(
        span,
        `DISTINCT cannot compare the column ${field.name} of type ${formatType(field.type)}`,
        'leave it out with DISTINCT ON (…)',
      );
  }
  const within = withinWatermark === null ? null : eventColumn(rows, withinWatermark, analysis);
  if (within === undefined) return undefined;
  return {
    ...rows,
    plan: {
      kind: 'dedup',
      id: analysis.nextOperator('dedup'),
      watermarkLagUs: rows.lagUs,
      input: plan,
      keys: columns,
      withinWatermark: within,
      eventTime: within === null ? evictionColumn(columns, times) : null,
      output: plan.output,
      span: spanOf(span),
    },
  };
}

/** The column that says how old the rows are, and its watermark's delay. */
function eventColumn(
  rows: Rows,
  span: Span,
  analysis: Analysis,
): { readonly column: number; readonly delayUs: number } | undefined {
  const found = rows.times.flatMap((time, column) => (time?.kind === 'timestamp' ? [{ time, column }] : []));
  const [only] = found;
  if (only === undefined)
    return analysis.problem(
      span,
      'DISTINCT … WITHIN WATERMARK needs a watermark: its keys are forgotten when the watermark passes them',
      'declare one behind the source: FROM events WATERMARK ts DELAY OF INTERVAL 10 SECONDS, and keep its column',
    );
  if (found.length > 1)
    return analysis.problem(
      span,
      `DISTINCT … WITHIN WATERMARK needs one event time, and these rows have ${found.length}: ${found
        .map(({ column }) => rows.plan.output[column]?.name ?? '')
        .join(', ')}`,
      'keep one of them in a sub-query in FROM',
    );
  return { column: only.column, delayUs: only.time.delayUs };
}
