/** Windows that overlap, added up by pane before the exchange (engine/operators/pane-aggregate.ts). */
import { collectColumns } from '../../core/ast.ts';
import { aggregateOf } from '../sql/aggregates.ts';
import type { AggregateFamily } from '../sql/aggregate-buffers.ts';
import type { AggregatePlan } from './epoch-plan.ts';
import type { Flow, Rows } from './flows.ts';
import type { StageOperator } from './stage-plan.ts';

/**
 * Their result does not depend on the order of rows, and what they hold of some rows can be added to what they hold of
 * others without being refused.
 */
const addUp: ReadonlySet<AggregateFamily> = new Set<AggregateFamily>([
  'count',
  'countIf',
  'min',
  'max',
  'boolAnd',
  'boolOr',
  'bitAnd',
  'bitOr',
  'bitXor',
  'approxCountDistinct',
]);

/**
 * The rows, with panes instead of windows where these overlap and come right from a source to a partial aggregate by a
 * whole number of panes; the same rows where they do not.
 */
export function withPanes(rows: Rows): Rows {
  const flows = rows.flows.map(paned);
  return flows.every((flow) => flow !== undefined) ? { ...rows, flows } : rows;
}

/** The operators as they are without panes, for those who look at rows before they are added up. */
export function withoutPanes(operators: readonly StageOperator[]): readonly StageOperator[] {
  return operators.map((operator) => {
    if (operator.kind !== 'assignWindow' && operator.kind !== 'late') return operator;
    const { panes: _, ...rest } = operator;
    return rest;
  });
}

/** undefined where it cannot have panes: windows, a projection, what is late, and the aggregate have to follow each other. */
function paned({ origin, operators }: Flow): Flow | undefined {
  const [windows, project, late, aggregate] = operators.slice(-4);
  if (origin.kind !== 'source' || windows?.kind !== 'assignWindow' || project?.kind !== 'project') return undefined;
  if (late?.kind !== 'late' || late.rule !== 'window' || aggregate?.kind !== 'partialAggregate') return undefined;
  if (operators.filter(({ kind }) => kind === 'assignWindow').length !== 1) return undefined;
  const { sizeUs, slideUs } = windows;
  if (sizeUs <= slideUs || sizeUs % slideUs !== 0 || late.column >= aggregate.keyCount) return undefined;
  const key = project.columns[late.column]?.expr;
  if (key?.kind !== 'column') return undefined;
  const others = new Set<number>();
  for (const [index, { expr }] of project.columns.entries()) if (index !== late.column) collectColumns(expr, others);
  if (others.has(key.index) || !aggregate.aggregates.every(addsUp)) return undefined;
  const panes = { column: late.column, sizeUs, slideUs, watermarkLagUs: late.watermarkLagUs };
  return {
    origin,
    operators: [
      ...operators.slice(0, -4),
      { ...windows, panes: true },
      project,
      { ...late, panes: { sizeUs, slideUs } },
      { ...aggregate, panes },
    ],
  };
}

function addsUp(plan: AggregatePlan): boolean {
  const { family, bufferSchema } = aggregateOf(plan);
  if (plan.distinct || plan.signed === true) return false;
  if (family === 'sum' || family === 'avg') return bufferSchema(plan)[0]?.type.kind === 'double';
  return addUp.has(family);
}
