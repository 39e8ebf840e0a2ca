/** Mistakes in SQL that was typed: as lint shows those of a file. */
import type { JobProblem } from '../core/job/problem.ts';
import { printable } from '../core/job/render.ts';

const TOO_EARLY = 'the expression ends too early: something is missing behind it';

export interface TypedSql {
  readonly text: string;
  /** Where it begins in the query that was made of it; 0 = it is the query. */
  readonly offset: number;
}

/** Message, the line it is about with carets below, and the hint. */
export function renderSql({ text, offset }: TypedSql, problems: readonly JobProblem[]): string {
  return problems.map((problem) => renderOne(text, offset, problem)).join('\n');
}

function renderOne(text: string, offset: number, { message, hint, sqlOffset, sqlLength }: JobProblem): string {
  const hints = hint === undefined ? [] : [`  hint: ${printable(hint)}`];
  if (sqlOffset === undefined) return [printable(message), ...hints].join('\n');
  const at = sqlOffset - offset;
  // What follows an expression is not what was typed, so it must not be named.
  if (at >= text.length && offset > 0)
    return renderOne(text, 0, { path: '', message: TOO_EARLY, sqlOffset: text.length });
  const begin = text.lastIndexOf('\n', Math.max(0, at - 1)) + 1;
  const [line = ''] = text.slice(begin).split('\n');
  const indent = printable(line.slice(0, Math.max(0, at - begin))).replaceAll(/[^\t]/g, ' ');
  const carets = '^'.repeat(Math.max(1, Math.min(sqlLength ?? 1, line.length - (at - begin))));
  return [printable(message), `  ${printable(line)}`, `  ${indent}${carets}`, ...hints].join('\n');
}
