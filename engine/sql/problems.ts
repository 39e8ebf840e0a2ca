/** Mistakes in SQL text: where they are, what is wrong, what to write instead. */
import type { Span } from '../../core/ast.ts';
import type { JobProblem } from '../../core/job/problem.ts';

/** A mistake that ends parsing: the rest of the text has no certain meaning behind it. */
export class SqlSyntaxError extends Error {
  override readonly name = 'SqlSyntaxError';
  readonly span: Span;
  readonly hint: string | undefined;

  constructor(message: string, span: Span, hint?: string) {
    super(message);
    this.span = span;
    this.hint = hint;
  }
}

export function problemAt(path: string, span: Span, message: string, hint?: string): JobProblem {
  const place = { path, message, sqlOffset: span.offset, sqlLength: span.length };
  return hint === undefined ? place : { ...place, hint };
}

/** Runs `parse`; a syntax error becomes a problem of the document's `path`. */
export function catchSyntax<T>(path: string, problems: JobProblem[], parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    problems.push(problemAt(path, error.span, error.message, error.hint));
    return undefined;
  }
}

/**
 * A problem for people: the message with line and column, the line itself, a caret under what is wrong, the hint.
 * `text` is the SQL text that the problem's offset counts in.
 */
export function renderProblem(text: string, problem: JobProblem): string {
  const hint = problem.hint === undefined ? '' : `\n  hint: ${problem.hint}`;
  if (problem.sqlOffset === undefined) return `${problem.path}: ${problem.message}${hint}`;
  const { line, column, content } = lineAt(text, problem.sqlOffset);
  const gutter = `  ${line} | `;
  const blank = ' '.repeat(gutter.length - 2);
  // Tabs stay tabs, so that the caret stands under the same place.
  const indent = content.slice(0, column - 1).replace(/[^\t]/g, ' ');
  const rest = Math.max(1, content.length - column + 1);
  const caret = '^'.repeat(Math.min(Math.max(1, problem.sqlLength ?? 1), rest));
  return `${problem.path}, line ${line}, column ${column}: ${problem.message}\n${gutter}${content}\n${blank}| ${indent}${caret}${hint}`;
}

/** Line and column from 1 of a character, and the line's text. */
export function lineAt(text: string, offset: number): { readonly line: number; readonly column: number; readonly content: string } {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  const start = before.lastIndexOf('\n') + 1;
  const end = text.indexOf('\n', start);
  const content = text.slice(start, end < 0 ? text.length : end).replace(/\r$/, '');
  return { line, column: offset - start + 1, content };
}

const SUGGESTIONS_MAX = 3;

/** "did you mean …?" for a name that nothing has, or undefined when nothing comes near. */
export function didYouMean(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase();
  const near = [...new Set(candidates)]
    .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(Math.max(wanted.length, candidate.length) / 3)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, SUGGESTIONS_MAX)
    .map(({ candidate }) => candidate);
  return near.length === 0 ? undefined : `did you mean ${near.join(' or ')}?`;
}

/** Optimal string alignment: insert, delete, replace, swap neighbours. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (beforePrevious[j - 2] ?? 0) + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
