/** Problems of a job file as people read them: place, message, the line, a caret, and what to write instead. */
import { loadJobFile, problemLength } from './file.ts';
import type { FilePositions } from './positions.ts';
import type { JobProblem } from './problem.ts';

/** One block per problem, `file:line:col message` first; ends without a newline. Control characters are made visible. */
export function renderProblems(fileName: string, text: string, problems: readonly JobProblem[]): string {
  const { positions } = loadJobFile(text);
  const lines = text.split('\n');
  return problems.map((problem) => renderProblem(fileName, lines, problem, positions)).join('\n');
}

function renderProblem(
  fileName: string,
  lines: readonly string[],
  problem: JobProblem,
  positions: FilePositions,
): string {
  const { line, column } = problem;
  const hint = problem.hint === undefined ? [] : [`  hint: ${printable(problem.hint)}`];
  if (line === undefined || column === undefined)
    return [`${fileName} ${printable(problem.message)}`, ...hint].join('\n');
  const source = (lines[line - 1] ?? '').replace(/\r$/, '');
  const length = problemLength(positions, problem);
  const gutter = `${line}`;
  // Tabs stay tabs under the line, so that the caret stands where the text does.
  const indent = printable(source.slice(0, column - 1)).replaceAll(/[^\t]/g, ' ');
  const carets = '^'.repeat(Math.max(1, Math.min(length, source.length - column + 1)));
  return [
    `${fileName}:${line}:${column} ${printable(problem.message)}`,
    `  ${gutter} | ${printable(source)}`,
    `  ${' '.repeat(gutter.length)} | ${indent}${carets}`,
    ...hint,
  ].join('\n');
}

/** Control characters (but the tab) as their Unicode pictures: file text must not drive a terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, (char) => {
    const code = char.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : '\ufffd';
  });
}
