/** What `weir lint` found, for machines that show it beside the code. */
import type { JobProblem } from '../core/job/problem.ts';

export interface LintResult {
  readonly path: string;
  readonly problems: readonly JobProblem[];
  readonly warnings: readonly string[];
}

/** Commands of GitHub's workflow log, one a line. */
export function githubLines(results: readonly LintResult[]): string[] {
  return results.flatMap(({ path, problems, warnings }) => [
    ...problems.map(({ line = 1, column = 1, message, hint }) => {
      const place = `file=${escapeProperty(path)},line=${line},col=${column}`;
      return `::error ${place}::${escapeData(hint === undefined ? message : `${message} (${hint})`)}`;
    }),
    ...warnings.map((warning) => `::warning file=${escapeProperty(path)}::${escapeData(warning)}`),
  ]);
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

/** A SARIF 2.1.0 log. */
export function sarifLog(results: readonly LintResult[], version: string): unknown {
  const found = results.flatMap(({ path, problems, warnings }) => [
    ...problems.map(({ line = 1, column = 1, message, hint }) => ({
      ruleId: 'job-invalid',
      level: 'error',
      message: { text: hint === undefined ? message : `${message} (${hint})` },
      locations: [location(path, line, column)],
    })),
    ...warnings.map((text) => ({
      ruleId: 'job-warning',
      level: 'warning',
      message: { text },
      locations: [location(path, 1, 1)],
    })),
  ]);
  const rules = [
    { id: 'job-invalid', shortDescription: { text: 'The job file has a mistake' } },
    { id: 'job-warning', shortDescription: { text: 'Worth a look; the job runs' } },
  ];
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver: { name: 'weir lint', version, rules } }, results: found }],
  };
}

function location(path: string, startLine: number, startColumn: number): unknown {
  return {
    physicalLocation: { artifactLocation: { uri: path.replaceAll('\\', '/') }, region: { startLine, startColumn } },
  };
}
