/** Analyzes queries over two streams and a table, for tests. */
import type { JobProblem } from '../../../core/job/problem.ts';
import type { OutputMode } from '../../plan/epoch-plan.ts';
import type { AnalyzedPlan, LogicalKind, LogicalPlan } from '../../plan/logical-plan.ts';
import { analyzePlan } from '../analyzer.ts';
import { parseColumns, parseQuery } from '../parser.ts';
import { catchSyntax } from '../problems.ts';
import { utc } from '../runtime/time.ts';
import type { DeclaredWatermark, SourceColumn } from './context.ts';
import { formatPlan } from './format-plan.ts';
import { nodesOf } from './tree.ts';
import { assertValidPlan } from './valid-plan.ts';

const sources = new Map<string, readonly SourceColumn[]>(
  [
    ['a', 'ts TIMESTAMP, k STRING, v INT, n BIGINT NOT NULL, tags ARRAY<STRING>, m MAP<STRING, INT>'],
    ['b', 'ts TIMESTAMP, k STRING, w BIGINT, at TIMESTAMP'],
  ].map(([name = '', columns = '']) => [name, parseColumns(columns).map((column) => ({ ...column, hidden: false }))]),
);
const tables = new Map([['colors', parseColumns('k STRING NOT NULL, color STRING NOT NULL')]]);

/** The streams with a watermark of ten seconds. */
export const A = 'a WATERMARK ts DELAY OF INTERVAL 10 SECONDS';
export const B = 'b WATERMARK ts DELAY OF INTERVAL 10 SECONDS';

export interface Outcome {
  readonly plan: AnalyzedPlan | undefined;
  readonly problems: readonly JobProblem[];
}

/** The plan of a query over `a`, `b` and the table `colors`, or what is wrong with it. */
export function outcomeOf(
  query: string,
  outputMode: OutputMode = 'append',
  watermarks: ReadonlyMap<string, DeclaredWatermark> = new Map(),
): Outcome {
  const problems: JobProblem[] = [];
  const parsed = catchSyntax('query', problems, () => parseQuery(query));
  const input = { text: query, path: 'query', sources, tables, zone: utc, problems, outputMode, watermarks };
  return { plan: parsed && analyzePlan(parsed, input), problems };
}

/** The plan of a query that has one. */
export function planOf(query: string, outputMode: OutputMode = 'append'): AnalyzedPlan {
  const { plan, problems } = outcomeOf(query, outputMode);
  if (plan === undefined) throw new Error(problems.map(({ message }) => message).join('\n'));
  assertValidPlan(plan.root);
  return plan;
}

/** The plan as text. */
export function explained(query: string, outputMode: OutputMode = 'append'): string {
  return formatPlan(planOf(query, outputMode).root, outputMode).join('\n');
}

/** `text at message` for each mistake: the text that it is about. */
export function mistakes(query: string, outputMode: OutputMode = 'append'): string[] {
  return outcomeOf(query, outputMode).problems.map(({ message, sqlOffset = 0, sqlLength = 0 }) => {
    const text = query.slice(sqlOffset, sqlOffset + sqlLength);
    return `${text}: ${message}`;
  });
}

/** The first node of a kind, from the top. */
export function nodeOf<Kind extends LogicalKind>(plan: AnalyzedPlan, kind: Kind): Extract<LogicalPlan, { kind: Kind }> {
  for (const node of nodesOf(plan.root)) if (node.kind === kind) return node as Extract<LogicalPlan, { kind: Kind }>;
  throw new Error(`the plan has no ${kind}`);
}
