/** `weir eval 'SQL'`: an expression or a query on rows of a file, in this process; nothing else is needed. */
import { WeirError } from '../../core/errors.ts';
import { formatJobDocument, parseJobDocument } from '../../core/job/document.ts';
import { loadJobFile, locateProblems } from '../../core/job/file.ts';
import { renderProblems } from '../../core/job/render.ts';
import { planJob } from '../../engine/plan/plan-job.ts';
import type { SampleRecord, SampleRows } from '../../master/lab.ts';
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
  readonly outputMode: string;
}

const INPUT = 'input';
/** Records of rows that have no time of their own: reproducible. */
const RECORD_TIME_MS = Date.UTC(2024, 0, 1);

/** Returns the exit code. Throws: USAGE, NOT_FOUND, what the query cannot be run with. */
export function evaluate(sql: string | undefined, options: EvalOptions): number {
  const format = outputFormat(options, ['table', 'json']);
  const {
    text,
    inputs,
    sql: written,
  } = options.job === undefined ? jobOfQuery(sql, options) : jobOfFile(options.job, options);
  const file = loadJobFile(text);
  const planned = file.spec === null ? null : planJob(file.spec, { tables: null });
  const problems = planned === null ? file.problems : locateProblems(file.positions, planned.problems);
  if (planned?.plan == null || problems.length > 0) {
    tell(written === undefined ? renderProblems(options.job ?? '', text, problems) : renderSql(written, problems));
    return exitCodes.invalid;
  }
  const pieces = [...inputs].flatMap(([source, rows]) =>
    rows.length === 0 ? [] : [pieceOf(source, rows, RECORD_TIME_MS)],
  );
  show(sampleRun(planned.plan, pieces, null, Number.MAX_SAFE_INTEGER), format === 'json');
  return exitCodes.ok;
}

interface Evaluated {
  readonly text: string;
  readonly inputs: ReadonlyMap<string, readonly SampleRecord[]>;
  /** What was typed, and where in the query it begins; absent where a file was named. */
  readonly sql?: TypedSql;
}

/** Before an expression, to make a query of it. */
const SELECT = 'SELECT ';

/** An expression is a query over one row without columns. */
function jobOfQuery(sql: string | undefined, options: EvalOptions): Evaluated {
  if (sql === undefined || sql.trim() === '')
    throw new WeirError(
      'USAGE',
      `Say what to evaluate: weir eval "upper('a')", or weir eval "SELECT …" --input rows.json.`,
    );
  const isQuery = /^\s*(select|with)\b/i.test(sql);
  const name = isQuery ? (/\bfrom\s+`?([A-Za-z_]\w*)/i.exec(sql)?.[1] ?? INPUT) : INPUT;
  const inputs = readInputs(options.input ?? [], name);
  const rows: readonly SampleRecord[] = inputs.get(name) ?? (isQuery ? [] : [{}]);
  const objects = rows.filter(
    (row): row is Readonly<Record<string, unknown>> => typeof row === 'object' && row !== null,
  );
  const inferred = options.schema ?? inferSchema(objects);
  const text = formatJobDocument({
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'eval',
    sources: { [name]: { connector: 'kafka', topic: name, schema: inferred === '' ? 'nothing STRING' : inferred } },
    query: isQuery ? sql : `${SELECT}${sql} AS value FROM ${name}`,
    sinks: [{ connector: 'blackhole' }],
    outputMode: options.outputMode as 'append',
  });
  return { text, inputs: new Map([[name, rows]]), sql: { text: sql, offset: isQuery ? 0 : SELECT.length } };
}

function jobOfFile(path: string, options: EvalOptions): Evaluated {
  const { text } = readJobFile(path);
  const document = parseJobDocument(text);
  const [only = INPUT] = Object.keys(document.sources);
  return {
    text: formatJobDocument({ ...document, sinks: [{ connector: 'blackhole' }] }),
    inputs: readInputs(options.input ?? [], only),
  };
}

function show({ columns, rows, deadLetters, filtered }: SampleRows, asJson: boolean): void {
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
  const dead = deadLetters.map(({ code, count }) => `${count} × ${code}`);
  if (dead.length > 0) tell(`dead letters: ${dead.join(', ')}`);
  if (filtered > 0) tell(`${filtered} filtered`);
}
