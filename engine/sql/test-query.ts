/** Runs queries over rows of JS values, for tests. */
import type { JobProblem } from '../../core/job/problem.ts';
import { deadLetterReasons } from '../../core/errors.ts';
import type { Schema } from '../../core/types.ts';
import type { RowFailure } from '../column-batch.ts';
import { FailureLog } from '../operators/operator.ts';
import { compileProgram } from '../operators/program.ts';
import { Project } from '../operators/project.ts';
import { batchOf, rowsOfBatch } from '../operators/test-batch.ts';
import { timeZoneOf } from '../scan/time-zone.ts';
import type { LogicalPlan } from '../plan/logical-plan.ts';
import type { StageOperator } from '../plan/stage-plan.ts';
import { analyzePlan } from './analyzer.ts';
import { parseColumns, parseQuery } from './parser.ts';
import { catchSyntax, renderProblem } from './problems.ts';
import type { BoxedMap, BoxedValue } from './runtime/boxed.ts';
import { Runtime } from './runtime/runtime.ts';
import { utc } from './runtime/time.ts';

/** A query without state: operators over the columns of the source. */
export interface AnalyzedQuery {
  readonly operators: readonly StageOperator[];
  readonly output: Schema;
}

export interface QuerySetup {
  /** Columns of the source `t`. */
  readonly schema?: string;
  readonly timeZone?: string;
}

/** The query over a source `t`, or its problems. */
export function analyze(
  query: string,
  setup: QuerySetup = {},
): { readonly analyzed: AnalyzedQuery | undefined; readonly problems: readonly JobProblem[] } {
  const problems: JobProblem[] = [];
  const columns = parseColumns(setup.schema ?? 'one INT');
  const zone = timeZoneOf(setup.timeZone ?? 'UTC') ?? utc;
  const sources = new Map([['t', columns.map((column) => ({ ...column, hidden: false }))]]);
  const parsed = catchSyntax('query', problems, () => parseQuery(query));
  const plan =
    parsed &&
    analyzePlan(parsed, {
      text: query,
      path: 'query',
      sources,
      zone,
      problems,
      tables: new Map(),
      outputMode: 'append',
      watermarks: new Map(),
    });
  return { analyzed: plan && { operators: operatorsOf(plan.root), output: plan.root.output }, problems };
}

/** The operators of a chain over the source. */
function operatorsOf(plan: LogicalPlan): readonly StageOperator[] {
  switch (plan.kind) {
    case 'source':
      return [];
    case 'filter':
      return [...operatorsOf(plan.input), { kind: 'filter', predicate: plan.predicate }];
    case 'project':
      return [...operatorsOf(plan.input), { kind: 'project', columns: plan.columns }];
    case 'generate': {
      const { generator, outer, expr, generated } = plan;
      return [...operatorsOf(plan.input), { kind: 'generate', generator, outer, input: expr, output: generated }];
    }
    default:
      throw new Error(`this query has state: ${plan.kind}`);
  }
}

/** The problems of a query as people see them. */
export function problemsOf(query: string, setup: QuerySetup = {}): string[] {
  return analyze(query, setup).problems.map((problem) => renderProblem(query, problem));
}

export interface QueryResult {
  readonly rows: BoxedValue[][];
  /** `CODE place` of each failed record. */
  readonly failures: string[];
  readonly output: Schema;
}

function analyzedOrThrow(query: string, setup: QuerySetup): AnalyzedQuery {
  const { analyzed, problems } = analyze(query, setup);
  if (analyzed === undefined) throw new Error(problems.map((problem) => renderProblem(query, problem)).join('\n'));
  return analyzed;
}

const failureTexts = (failures: readonly RowFailure[]): string[] =>
  failures.map(({ reason, place }) => `${deadLetterReasons[reason]} ${place}`);

/** Runs a query over rows of the source `t`. */
export function runQuery(query: string, rows: readonly (readonly unknown[])[], setup: QuerySetup = {}): QueryResult {
  const { operators, output } = analyzedOrThrow(query, setup);
  const schema = parseColumns(setup.schema ?? 'one INT');
  const columns = schema.map(({ name, type, nullable }) => ({
    kind: 'field' as const,
    name,
    path: name,
    type,
    required: !nullable,
  }));
  const program = compileProgram({ columns, operators, output, timeZone: setup.timeZone ?? 'UTC' });
  const failures: RowFailure[] = [];
  const result = program.run(batchOf(schema, rows), failures);
  return { rows: rowsOfBatch(output, result), failures: failureTexts(failures), output };
}

/**
 * The value of an expression over one row, twice: with its constants worked out beforehand, and computed row by row.
 * Text `CODE` when the record fails. Throws when the two differ.
 */
export function valueOf(
  expression: string,
  setup: QuerySetup & { readonly row?: readonly unknown[] } = {},
): BoxedValue {
  const query = `SELECT ${expression} AS x FROM t`;
  const folded = runQuery(query, [setup.row ?? [1]], setup);
  const value = outcomeOf(folded.rows, folded.failures);
  const unfolded = unfoldedValue(query, setup);
  if (JSON.stringify(readable(value)) !== JSON.stringify(readable(unfolded))) {
    throw new Error(
      `${expression} is ${JSON.stringify(readable(value))} folded and ${JSON.stringify(readable(unfolded))} computed`,
    );
  }
  return value;
}

function outcomeOf(rows: readonly (readonly BoxedValue[])[], failures: readonly string[]): BoxedValue {
  const [failure] = failures;
  return failure === undefined ? (rows[0]?.[0] ?? null) : (failure.split(' ')[0] ?? '');
}

function unfoldedValue(query: string, setup: QuerySetup & { readonly row?: readonly unknown[] }): BoxedValue {
  const { operators, output } = analyzedOrThrow(query, setup);
  const [project] = operators;
  if (project?.kind !== 'project') throw new Error('expected a projection alone');
  const runtime = new Runtime(timeZoneOf(setup.timeZone ?? 'UTC') ?? utc);
  const failures: RowFailure[] = [];
  const batch = batchOf(parseColumns(setup.schema ?? 'one INT'), [setup.row ?? [1]]);
  runtime.reset(batch.origins);
  const rows = new Project(project.columns, runtime).apply(
    { batch, selection: null, count: 1 },
    { runtime, failures: new FailureLog(failures), epoch: null },
  );
  return outcomeOf(failures.length > 0 ? [] : rowsOfBatch(output, rows.batch), failureTexts(failures));
}

/** Values as something that JSON and assertions can show. */
export function readable(value: BoxedValue): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? value : Object.is(value, -0) ? '-0' : String(value);
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  const map = value as BoxedMap;
  return { keys: map.keys.map(readable), values: map.values.map(readable) };
}
