/**
 * Problems of a TypeScript job at their places in its source. The job file is computed, so places are found by their
 * text: a stretch of the query where the query stands in the source as it is, else the last of the path's keys that the
 * source names, else the file alone.
 */
import type { JobProblem } from '../core/job/problem.ts';
import { printable } from '../core/job/render.ts';

/** One block per problem, as `renderProblems` makes them. `document`: the job file that the source became, as JSON. */
export function renderModuleProblems(
  path: string,
  source: string,
  document: string,
  problems: readonly JobProblem[],
): string {
  const { query } = JSON.parse(document) as { readonly query?: unknown };
  return problems.map((problem) => block(path, source, placeOf(source, query, problem), problem)).join('\n');
}

interface Place {
  readonly offset: number;
  readonly length: number;
}

function placeOf(source: string, query: unknown, problem: JobProblem): Place | null {
  const { sqlOffset, sqlLength = 1 } = problem;
  if (problem.path === 'query' && typeof query === 'string' && sqlOffset !== undefined) {
    const from = source.indexOf(query);
    if (from >= 0) return { offset: from + sqlOffset, length: sqlLength };
  }
  let found: Place | null = null;
  for (const step of problem.path.split(/[.[\]]+/)) {
    if (!/^[A-Za-z_]\w*$/.test(step)) continue;
    const key = new RegExp(`\\b${step}\\b(?=['"\`]?\\s*[:(,}])`, 'g');
    key.lastIndex = found === null ? 0 : found.offset + found.length;
    const match = key.exec(source);
    if (match !== null) found = { offset: match.index, length: step.length };
  }
  return found;
}

function block(path: string, source: string, place: Place | null, problem: JobProblem): string {
  const hint = problem.hint === undefined ? [] : [`  hint: ${printable(problem.hint)}`];
  if (place === null) return [`${path} ${printable(problem.message)}`, ...hint].join('\n');
  const before = source.slice(0, place.offset).split('\n');
  const line = before.length;
  const column = (before.at(-1) ?? '').length + 1;
  const text = (source.split('\n')[line - 1] ?? '').replace(/\r$/, '');
  const indent = printable(text.slice(0, column - 1)).replaceAll(/[^\t]/g, ' ');
  const carets = '^'.repeat(Math.max(1, Math.min(place.length, text.length - column + 1)));
  const gutter = `${line}`;
  return [
    `${path}:${line}:${column} ${printable(problem.message)}`,
    `  ${gutter} | ${printable(text)}`,
    `  ${' '.repeat(gutter.length)} | ${indent}${carets}`,
    ...hint,
  ].join('\n');
}
