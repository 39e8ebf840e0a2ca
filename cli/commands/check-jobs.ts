/** `weir lint` and `weir explain`: what can be said of a job file without a cluster, and of a plan. */
import { existsSync, writeFileSync } from 'node:fs';
import { readManifests } from '../../connectors/packages/packages.ts';
import { WeirError } from '../../core/errors.ts';
import { loadJobFile, locateProblems } from '../../core/job/file.ts';
import { jobJsonSchema } from '../../core/job/json-schema.ts';
import { loadJobTest } from '../../core/job/job-test.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { explainDot, explainMermaid } from '../../engine/plan/explain-chart.ts';
import { explainJob } from '../../engine/plan/explain.ts';
import type { JobPlan } from '../../engine/plan/job-plan.ts';
import { planJob } from '../../engine/plan/plan-job.ts';
import type { Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { exitCodes } from '../exit.ts';
import type { JobFileText } from '../job-files.ts';
import { readJobFile, readJobFiles, renderJobProblems } from '../job-files.ts';
import { fixText } from '../lint-fix.ts';
import { githubLines, sarifLog } from '../lint-formats.ts';
import { jobPath } from '../names.ts';
import { print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import { WEIR_VERSION } from '../version.ts';

interface Planned {
  readonly plan: JobPlan | null;
  readonly problems: readonly JobProblem[];
}

function check(text: string): Planned {
  if (!/^kind:\s*JobTest\s*$/m.test(text)) return plan(text);
  const { problem } = loadJobTest(text);
  const [, line, column, message] = /^(\d+):(\d+): (.*)$/s.exec(problem ?? '') ?? [];
  const problems = problem === null ? [] : [{ path: '', message: message ?? problem }];
  return {
    plan: null,
    problems: problems.map((found) =>
      line === undefined ? found : { ...found, line: Number(line), column: Number(column) },
    ),
  };
}

function plan(text: string): Planned {
  const file = loadJobFile(text);
  if (file.spec === null) return { plan: null, problems: file.problems };
  const planned = planJob(file.spec, { tables: null, connectors: readManifests(process.env) });
  return { plan: planned.plan, problems: locateProblems(file.positions, planned.problems) };
}

export interface LintOptions extends GlobalOptions {
  readonly format?: string;
  /** Words that are nearly right are made right, in the files. */
  readonly fix?: boolean;
}

function lintFormat(options: LintOptions): 'text' | 'json' | 'github' | 'sarif' {
  if (options.format === undefined) return outputFormat(options, ['table', 'json']) === 'json' ? 'json' : 'text';
  const format = (['text', 'json', 'github', 'sarif'] as const).find((name) => name === options.format);
  if (format === undefined)
    throw new WeirError('USAGE', `There is no format ${options.format}; lint has text, json, github and sarif.`);
  return format;
}

/** Returns the exit code. */
export function lint(paths: readonly string[], options: LintOptions): number {
  const format = lintFormat(options);
  const files = readJobFiles(paths);
  const results = (options.fix === true ? files.map(fixFile) : files).map((file) => ({ ...file, ...check(file.text) }));
  if (format === 'json') {
    printJson(
      results.map((result) => ({
        file: result.path,
        valid: result.problems.length === 0,
        problems: result.problems,
        warnings: result.plan?.warnings ?? [],
      })),
    );
  } else if (format === 'github' || format === 'sarif') {
    const found = results.map(({ path, problems, plan: planned }) => ({
      path,
      problems,
      warnings: planned?.warnings ?? [],
    }));
    if (format === 'sarif') printJson(sarifLog(found, WEIR_VERSION));
    else for (const line of githubLines(found)) print(line);
  } else {
    for (const result of results) {
      if (result.problems.length > 0) print(renderJobProblems(result, result.problems));
      for (const warning of result.plan?.warnings ?? []) print(`${result.path} warning: ${warning}`);
    }
  }
  const bad = results.filter((result) => result.problems.length > 0).length;
  tell(
    bad === 0
      ? `${count(results.length, 'job file')} without mistakes`
      : `${count(bad, 'job file')} of ${results.length} with mistakes`,
  );
  return bad === 0 ? exitCodes.ok : exitCodes.invalid;
}

/** The file after what could be mended in it was. */
function fixFile(file: JobFileText): JobFileText {
  // What TypeScript computes has no one place to mend, and stdin none to write to.
  if (file.source !== null || file.path === '-') return file;
  const { text, fixes } = fixText(file.text, (now) => check(now).problems);
  if (fixes.length > 0) writeFileSync(file.path, text);
  for (const { line, column, before, after } of fixes) tell(`${file.path}:${line}:${column} ${before} is ${after} now`);
  return { ...file, text };
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

export interface ExplainOptions extends GlobalOptions {
  readonly format?: string;
}

const explainers = { text: explainJob, mermaid: explainMermaid, dot: explainDot } as const;

/**
 * Prints the plan: as text, as JSON (the whole plan), or its stages as a chart. `path`: a job file, a folder, or the name
 * of a job of the cluster where there is no such file. Returns the exit code.
 */
export async function explain(path: string, options: ExplainOptions): Promise<number> {
  const format = explainFormat(options);
  if (/^[a-z][a-z0-9-]*$/.test(path) && !existsSync(path)) {
    const { MasterClient } = await import('../client.ts');
    const client = new MasterClient(target(options));
    const running = await client.request<{ readonly plan: JobPlan }>('GET', `${jobPath(path)}/plan`);
    if (format === 'json') printJson(running.plan);
    else print(explainers[format](running.plan));
    return exitCodes.ok;
  }
  for (const file of readJobFiles([path])) {
    const planned = plan(file.text);
    if (planned.plan === null || planned.problems.length > 0) {
      tell(renderJobProblems(file, planned.problems));
      return exitCodes.invalid;
    }
    if (format === 'json') printJson(planned.plan);
    else print(explainers[format](planned.plan));
  }
  return exitCodes.ok;
}

const explainFormats = ['text', 'json', 'mermaid', 'dot'] as const;

/** `-o dot` and `-o mermaid` mean the same as `--format`. Throws: USAGE. */
function explainFormat(options: ExplainOptions): (typeof explainFormats)[number] {
  const asked = options.format ?? explainFormats.find((name) => name === options.output);
  if (asked === undefined) return outputFormat(options, ['table', 'json']) === 'json' ? 'json' : 'text';
  const format = explainFormats.find((name) => name === asked);
  if (format === undefined)
    throw new WeirError('USAGE', `There is no format ${asked}; explain has ${explainFormats.join(', ')}.`);
  return format;
}

/** Prints the JSON Schema of job files; with a job file the columns of its result. Returns the exit code. */
export function schema(path: string | undefined, options: GlobalOptions): number {
  const format = outputFormat(options, ['table', 'json']);
  if (path === undefined || path === 'job') {
    printJson(jobJsonSchema());
    return exitCodes.ok;
  }
  const file = readJobFile(path);
  const planned = plan(file.text);
  if (planned.plan === null || planned.problems.length > 0) {
    tell(renderJobProblems(file, planned.problems));
    return exitCodes.invalid;
  }
  const columns = resultOf(planned.plan).map(({ name, type, nullable }) => ({
    name,
    type: formatType(type),
    nullable,
  }));
  if (format === 'json') printJson({ columns });
  else print(columns.map(({ name, type, nullable }) => `${name} ${type}${nullable ? '' : ' NOT NULL'}`).join(',\n'));
  return exitCodes.ok;
}

/** Columns of the rows that go to the sinks. */
function resultOf(planned: JobPlan): Schema {
  if (planned.protocol === 'lanes') return planned.sources[0]?.stage.output ?? [];
  const branches = planned.stages.flatMap((stage) => (stage.kind === 'map' ? stage.branches : [stage.branch]));
  return branches.find(({ target }) => target.kind === 'sink')?.output ?? [];
}
