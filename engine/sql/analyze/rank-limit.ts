/** Top-N: a condition `rn <= N` on a row_number() or rank() lets its operator keep the first rows of each key alone. */
import type { Expr } from '../../../core/ast.ts';
import type { LogicalPlan, RankCall } from '../../plan/logical-plan.ts';

type RankNode = Extract<LogicalPlan, { kind: 'rank' }>;

/** The plan with the bounds that conditions over its output set on row numbers and ranks. */
export function limitRanks(plan: LogicalPlan, conditions: readonly Expr[]): LogicalPlan {
  let limited = plan;
  for (const condition of conditions) {
    const bound = upperBound(condition);
    if (bound !== undefined) limited = limitColumn(limited, bound.column, bound.most);
  }
  return limited;
}

/** `column <= most`, in any of its forms. */
function upperBound(condition: Expr): { readonly column: number; readonly most: number } | undefined {
  if (condition.kind !== 'call') return undefined;
  const [left, right] = condition.args;
  if (left === undefined || right === undefined) return undefined;
  const turned: Record<string, string> = { '<=': '>=', '<': '>', '>=': '<=', '>': '<', '=': '=', '<=>': '<=>' };
  const [column, value, op] =
    columnIn(left) === undefined
      ? [columnIn(right), numberIn(left), turned[condition.name]]
      : [columnIn(left), numberIn(right), condition.name];
  if (column === undefined || value === undefined) return undefined;
  if (op === '<=' || op === '=' || op === '<=>') return { column, most: Math.floor(value) };
  return op === '<' ? { column, most: Math.ceil(value) - 1 } : undefined;
}

function columnIn(expr: Expr): number | undefined {
  if (expr.kind === 'column') return expr.index;
  return expr.kind === 'cast' && expr.type.kind === 'bigint' ? columnIn(expr.input) : undefined;
}

function numberIn(expr: Expr): number | undefined {
  if (expr.kind === 'cast') return numberIn(expr.input);
  if (expr.kind !== 'literal' || expr.value === null || expr.type.kind === 'decimal') return undefined;
  const value = Number(expr.value);
  return Number.isSafeInteger(value) ? value : undefined;
}

function limitColumn(plan: LogicalPlan, column: number, most: number): LogicalPlan {
  switch (plan.kind) {
    case 'filter':
      return { ...plan, input: limitColumn(plan.input, column, most) };
    case 'project': {
      const expr = plan.columns[column]?.expr;
      return expr?.kind === 'column' ? { ...plan, input: limitColumn(plan.input, expr.index, most) } : plan;
    }
    case 'rank': {
      const call = plan.calls[column - plan.input.output.length];
      // A row's rank, and what it lags behind, come from rows before it; what leads it comes after it.
      if (plan.calls.some((other) => other.function === 'lead')) return plan;
      return withLimit(plan, call?.function, Math.max(0, most));
    }
    default:
      return plan;
  }
}

/** A limit on row numbers holds whatever one on ranks says: no more rows have such a number than have such a rank. */
function withLimit(plan: RankNode, name: RankCall['function'] | undefined, most: number): RankNode {
  const { ties, ...rest } = plan;
  const limit = Math.min(plan.limit ?? Infinity, most);
  if (name === 'row_number') return { ...rest, limit: ties === true ? most : limit };
  const isOfRanks = plan.limit === null || ties === true;
  if (name !== 'rank' || !isOfRanks || plan.calls.some(({ function: other }) => other === 'lag')) return plan;
  return { ...plan, limit, ties: true };
}
