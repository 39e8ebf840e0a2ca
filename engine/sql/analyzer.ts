/**
 * What a query means: names to columns, types to every node, conversions made explicit, state and its end known.
 * Collects all mistakes it can find; a query with any mistake gives no result. The parts stand in analyze/.
 */
import type { Query } from '../../core/ast.ts';
import type { AnalyzedPlan } from '../plan/logical-plan.ts';
import { Analysis, type PlanInput } from './analyze/context.ts';
import { keyedStateRows } from './analyze/keyed-state.ts';
import { checkOutputMode } from './analyze/output-modes.ts';
import { QueryAnalyzer } from './analyze/queries.ts';

export type { AnalyzerInput, PlanInput, SourceColumn } from './analyze/context.ts';

/** The plan of a query, or undefined when there are mistakes, which are then among the problems. */
export function analyzePlan(query: Query, input: PlanInput): AnalyzedPlan | undefined {
  const analysis = new Analysis(input);
  const rows = new QueryAnalyzer(analysis).root(query);
  if (rows === undefined || analysis.failed) return undefined;
  if (!rows.streaming)
    return analysis.problem(
      query,
      'this query reads static tables only',
      `read at least one source: ${analysis.sourceNames()}`,
    );
  checkOutputMode(rows.plan, analysis);
  if (analysis.failed) return undefined;
  const last = input.keyedState === undefined ? rows : keyedStateRows(rows, input.keyedState, analysis);
  if (last === undefined) return undefined;
  return {
    root: last.plan,
    deterministic: analysis.deterministic,
    sources: [...analysis.sources],
    warnings: analysis.warnings,
  };
}
