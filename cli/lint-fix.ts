/** `weir lint --fix`: words that are nearly one of those that can stand there become it. */
import { loadJobFile, problemLength } from '../core/job/file.ts';
import type { JobProblem } from '../core/job/problem.ts';

/** A word that was replaced; the place is that in the text before it. */
export interface Fix {
  readonly line: number;
  readonly column: number;
  readonly before: string;
  readonly after: string;
}

export interface Fixed {
  readonly text: string;
  readonly fixes: readonly Fix[];
}

const FIXES_MAX = 200;

/**
 * Replaces what a problem has one sure remedy for ("did you mean …?"), one word after the other: what is wrong behind a
 * mistake shows when that is gone. A word whose replacement does not take its problem away stays. All else of the text
 * stays as it is.
 */
export function fixText(text: string, problemsOf: (text: string) => readonly JobProblem[]): Fixed {
  const fixes: Fix[] = [];
  const tried = new Set<string>();
  for (let now = text, problems = problemsOf(now); ; problems = problemsOf(now)) {
    const next = problems.find((problem) => meantBy(problem) !== undefined && !tried.has(problem.message));
    if (next === undefined || fixes.length === FIXES_MAX) return { text: now, fixes };
    const made = replaced(now, next);
    const helps = made !== null && !problemsOf(made.text).some(({ message }) => message === next.message);
    if (helps) {
      now = made.text;
      fixes.push(made.fix);
    } else tried.add(next.message);
  }
}

function meantBy({ hint }: JobProblem): string | undefined {
  return /^did you mean ([\w.-]+)\?$/.exec(hint ?? '')?.[1];
}

/** null where the text does not have one word at the place of the problem. */
function replaced(text: string, problem: JobProblem): { readonly text: string; readonly fix: Fix } | null {
  const { line = 0, column = 0 } = problem;
  const after = meantBy(problem);
  if (line < 1 || column < 1 || after === undefined) return null;
  const lines = text.split('\n');
  const content = lines[line - 1] ?? '';
  const marked = content.slice(column - 1, column - 1 + problemLength(loadJobFile(text).positions, problem));
  // Of a qualified name the part behind the point is the wrong one; quotes stay where they are.
  const [, head = '', before = '', tail = ''] = /^((?:["'`]|[\w`]+\.)*)([\w-]+)(["'`]?)$/.exec(marked) ?? [];
  if (before === '') return null;
  lines[line - 1] = content.slice(0, column - 1) + head + after + tail + content.slice(column - 1 + marked.length);
  return { text: lines.join('\n'), fix: { line, column: column + head.length, before, after } };
}
