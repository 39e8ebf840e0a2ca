/** `weir eval 'SQL'`: an expression or a query on rows of a file, in this process; nothing else is needed. */
import { must } from '../../core/assert.ts';
import { type ErrorCode, errorTable, WeirError } from '../../core/errors.ts';
import { formatJobDocument, parseJobDocument } from '../../core/job/document.ts';
import { loadJobFile, locateProblems } from '../../core/job/file.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { renderProblems } from '../../core/job/render.ts';
import type { JobPlan } from '../../engine/plan/job-plan.ts';
import { planJob } from '../../engine/plan/plan-job.ts';
import type { SampleRecord } from '../../master/lab.ts';
import { exitCodes } from '../exit.ts';
import { inferSchema } from '../infer-schema.ts';
import { readJobFile } from '../job-files.ts';
import { pieceOf, sampleRun } from '../lab/sample-run.ts';
import { readInputs } from '../sample-files.ts';
import { formatTable, formatValue, print, printJson, tell } from '../output.ts';
import type { TypedSql } from '../render-sql.ts';
import { renderSql } from '../render-sql.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat } from '../settings.ts';

export interface EvalOptions extends GlobalOptions {
  /** Files of rows: JSON or one JSON document a line; `-` = stdin; `name=file` where there are several sources. */
  readonly input?: readonly string[];
  readonly schema?: string;
  /** A job file whose query is run instead. */
  readonly job?: string;
  /** Of a query; unless told, the first that the query goes with: append, complete, update. */
  readonly outputMode?: string;
}

const INPUT = 'input';
/** Records of rows that have no time of their own: reproducible. */
const RECORD_TIME_MS = Date.UTC(2024, 0, 1);

/** Returns the exit code. Throws: USAGE, NOT_FOUND, what the query cannot be run with. */
export function evaluate(sql: string | undefined, options: EvalOptions): number {
  const format = outputFormat(options, ['table', 'json']);
  const attempts = options.job === undefined ? jobsOfQuery(sql, options) : [jobOfFile(options.job, options)];
  let best: { readonly evaluated: Evaluated; readonly problems: readonly JobProblem[] } | undefined;
  for (const evaluated of attempts) {
    const file = loadJobFile(evaluated.text);
    const planned = file.spec === null ? null : planJob(file.spec, { tables: null });
    const problems = planned === null ? file.problems : locateProblems(file.positions, planned.problems);
    if (planned?.plan != null && problems.length === 0) return shown(planned.plan, evaluated, format === 'json');
    if (best === undefined || problems.length < best.problems.length) best = { evaluated, problems };
  }
  const { evaluated, problems } = must(best, () => 'something was tried');
  tell(
    evaluated.sql === undefined
      ? renderProblems(options.job ?? '', evaluated.text, problems)
      : renderSql(evaluated.sql, problems),
  );
  return exitCodes.invalid;
}

interface Evaluated {
  readonly text: string;
  readonly inputs: ReadonlyMap<string, readonly SampleRecord[]>;
  /** One value is asked for, not rows. */
  readonly isValue: boolean;
  /** What was typed, and where in the query it begins; absent where a file was named. */
  readonly sql?: TypedSql;
}

/** A query around an expression. */
const WHOLE = ['SELECT ', ' AS value'] as const;
/** Calls that give rows, and so have names of their own for their columns. */
const ROWS = ['SELECT ', ''] as const;
/** What no sink can hold, as text. */
const AS_TEXT = ['SELECT CAST((', ') AS STRING) AS value'] as const;
const modes = ['append', 'complete', 'update'] as const;

/** What is typed as jobs, the likeliest first. An expression is a query over one row without columns. */
function jobsOfQuery(sql: string | undefined, options: EvalOptions): readonly Evaluated[] {
  if (sql === undefined || sql.trim() === '')
    throw new WeirError(
      'USAGE',
      `Say what to evaluate: weir eval "upper('a')", or weir eval "SELECT …" --input rows.json.`,
    );
  const isQuery = /^\s*(select|with)\b/i.test(sql);
  // Values of nothing: Spark has one row for them.
  const isFromNothing = isQuery && !/\bfrom\b/i.test(sql);
  const name = isQuery ? (/\bfrom\s+`?([A-Za-z_]\w*)/i.exec(sql)?.[1] ?? INPUT) : INPUT;
  const inputs = readInputs(options.input ?? [], name);
  const rows: readonly SampleRecord[] = inputs.get(name) ?? (isQuery && !isFromNothing ? [] : [{}]);
  const objects = rows.filter(
    (row): row is Readonly<Record<string, unknown>> => typeof row === 'object' && row !== null,
  );
  const inferred = options.schema ?? inferSchema(objects);
  const job = (query: string, outputMode: string, offset: number): Evaluated => ({
    text: formatJobDocument({
      apiVersion: 'weir/v1',
      kind: 'Job',
      name: 'eval',
      sources: { [name]: { connector: 'kafka', topic: name, schema: inferred === '' ? 'nothing STRING' : inferred } },
      query,
      sinks: [{ connector: 'blackhole' }],
      outputMode: outputMode as 'append',
    }),
    inputs: new Map([[name, rows]]),
    isValue: !isQuery,
    sql: { text: sql, offset },
  });
  const asked = options.outputMode === undefined ? modes : [options.outputMode];
  if (isFromNothing) return asked.map((mode) => job(`${sql.replace(/[\s;]+$/, '')} FROM ${name}`, mode, 0));
  if (isQuery) return asked.map((mode) => job(sql, mode, 0));
  const isRows = /^\s*((pos)?explode|inline)(_outer)?\s*\(|^\s*(stack|json_tuple)\s*\(/i.test(sql);
  return [...(isRows ? [ROWS] : []), WHOLE, AS_TEXT].flatMap(([before, behind]) =>
    asked.map((mode) => job(`${before}${sql}${behind} FROM ${name}`, mode, before.length)),
  );
}

function jobOfFile(path: string, options: EvalOptions): Evaluated {
  const { text } = readJobFile(path);
  const document = parseJobDocument(text);
  const [only = INPUT] = Object.keys(document.sources);
  return {
    text: formatJobDocument({ ...document, sinks: [{ connector: 'blackhole' }] }),
    inputs: readInputs(options.input ?? [], only),
    isValue: false,
  };
}

/** Runs and prints; the exit code. A value that cannot be computed is a failure, rows that cannot are dead letters. */
function shown(plan: JobPlan, { inputs, isValue }: Evaluated, asJson: boolean): number {
  const pieces = [...inputs].flatMap(([source, rows]) =>
    rows.length === 0 ? [] : [pieceOf(source, rows, RECORD_TIME_MS)],
  );
  const { columns, rows, deadLetters, filtered } = sampleRun(plan, pieces, null, Number.MAX_SAFE_INTEGER);
  const reasons = deadLetters.map(({ code, count }) => {
    const { text } = errorTable[code as ErrorCode];
    return isValue ? `${code}: ${text}` : `${count} × ${code} (${text})`;
  });
  if (isValue && rows.length === 0 && reasons.length > 0) {
    tell(reasons.join('\n'));
    return exitCodes.failed;
  }
  const names = columns.map(({ name }) => name);
  if (asJson) printJson(rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? null]))));
  else if (names.length === 1 && rows.length === 1 && names[0] === 'value') print(formatValue(rows[0]?.[0]));
  else
    print(
      formatTable(
        names,
        rows.map((row) => row.map(formatValue)),
      ),
    );
  if (reasons.length > 0) tell(`dead letters: ${reasons.join(', ')}`);
  if (filtered > 0) tell(`${filtered} filtered`);
  return exitCodes.ok;
}
