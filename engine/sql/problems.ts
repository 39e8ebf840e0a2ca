/** Mistakes in SQL text: where they are, what is wrong, what to write instead. */
import type { Span } from '../../core/ast.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { similarWord } from '../../core/job/similar.ts';

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
function lineAt(
  text: string,
  offset: number,
): { readonly line: number; readonly column: number; readonly content: string } {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  const start = before.lastIndexOf('\n') + 1;
  const end = text.indexOf('\n', start);
  const content = text.slice(start, end < 0 ? text.length : end).replace(/\r$/, '');
  return { line, column: offset - start + 1, content };
}

/** "did you mean …?" for a name that nothing has, or undefined when nothing comes near. */
export function didYouMean(name: string, candidates: Iterable<string>): string | undefined {
  const near = similarWord(name, candidates);
  return near === undefined ? undefined : `did you mean ${near}?`;
}
