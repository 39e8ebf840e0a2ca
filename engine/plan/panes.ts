/** Windows that overlap, added up by pane (engine/operators/pane-aggregate.ts, engine/operators/sliding-aggregate.ts). */
import { collectColumns } from '../../core/ast.ts';
import { aggregateOf } from '../sql/aggregates.ts';
import type { AggregateFamily } from '../sql/aggregate-buffers.ts';
import type { AggregatePlan, OutputMode, PaneWindows } from './epoch-plan.ts';
import type { Flow, Rows } from './flows.ts';
import type { StageOperator } from './stage-plan.ts';

/** Their result does not depend on the order of rows, and is made of what was added up of some of them and of others. */
const addUp: ReadonlySet<AggregateFamily> = new Set<AggregateFamily>([
  'count',
  'countIf',
  'sum',
  'avg',
  'min',
  'max',
  'boolAnd',
  'boolOr',
  'bitAnd',
  'bitOr',
  'bitXor',
  'approxCountDistinct',
]);

/** Rows with panes instead of windows. */
export interface PanedRows {
  readonly rows: Rows;
  /** The panes go on to the state, which puts windows together; absent = windows go there. */
  readonly panes?: Pick<PaneWindows, 'sizeUs' | 'slideUs'>;
}

/**
 * The rows, with panes instead of windows where these overlap and come right from a source to a partial aggregate by a
 * whole number of panes; the same rows where they do not. A state that gives windows when they are final takes panes:
 * one that gives them with every change would have to put them together each time.
 */
export function withPanes(rows: Rows, mode: OutputMode): PanedRows {
  const paned = rows.flows.map(panedFlow);
  const [first] = paned;
  if (first === undefined || !paned.every((each) => each !== undefined)) return { rows };
  const { sizeUs, slideUs, watermarkLagUs } = first.panes;
  const isSame = paned.every(
    ({ startUs, panes }) => panes.sizeUs === sizeUs && panes.slideUs === slideUs && startUs === first.startUs,
  );
  // Which windows an epoch brings out must be told by its watermarks alone.
  const keeps = mode === 'append' && isSame && watermarkLagUs === 0;
  if (!keeps && !paned.every(({ isNeverRefused }) => isNeverRefused)) return { rows };
  const flows = paned.map(({ flow, panes }) => (keeps ? flow : withWindows(flow, panes)));
  return { rows: { ...rows, flows }, ...(keeps ? { panes: { sizeUs, slideUs } } : {}) };
}

/** The operators as they are without panes, for those who look at rows before they are added up. */
export function withoutPanes(operators: readonly StageOperator[]): readonly StageOperator[] {
  return operators.map((operator) => {
    if (operator.kind !== 'assignWindow' && operator.kind !== 'late') return operator;
    const { panes: _, ...rest } = operator;
    return rest;
  });
}

interface PanedFlow {
  readonly flow: Flow;
  readonly panes: PaneWindows;
  readonly startUs: number;
  /** What is held of some rows can always be added to what is held of others. */
  readonly isNeverRefused: boolean;
}

/** undefined where it cannot have panes: windows, a projection, what is late, and the aggregate have to follow each other. */
function panedFlow({ origin, operators }: Flow): PanedFlow | undefined {
  const [windows, project, late, aggregate] = operators.slice(-4);
  if (origin.kind !== 'source' || windows?.kind !== 'assignWindow' || project?.kind !== 'project') return undefined;
  if (late?.kind !== 'late' || late.rule !== 'window' || aggregate?.kind !== 'partialAggregate') return undefined;
  if (operators.filter(({ kind }) => kind === 'assignWindow').length !== 1) return undefined;
  const { sizeUs, slideUs, startUs } = windows;
  if (sizeUs <= slideUs || sizeUs % slideUs !== 0 || late.column >= aggregate.keyCount) return undefined;
  const key = project.columns[late.column]?.expr;
  if (key?.kind !== 'column') return undefined;
  const others = new Set<number>();
  for (const [index, { expr }] of project.columns.entries()) if (index !== late.column) collectColumns(expr, others);
  // An argument that is the window itself shares the key's column.
  const isRead = aggregate.aggregates.some(
    ({ inputs, filter }) => inputs.includes(late.column) || filter === late.column,
  );
  if (others.has(key.index) || isRead || !aggregate.aggregates.every(addsUp)) return undefined;
  return {
    flow: {
      origin,
      operators: [
        ...operators.slice(0, -4),
        { ...windows, panes: true },
        project,
        { ...late, panes: { sizeUs, slideUs } },
        aggregate,
      ],
    },
    panes: { column: late.column, sizeUs, slideUs, watermarkLagUs: late.watermarkLagUs },
    startUs,
    isNeverRefused: aggregate.aggregates.every(isNeverRefused),
  };
}

/** With windows behind the partial aggregate. */
function withWindows({ origin, operators }: Flow, panes: PaneWindows): Flow {
  return {
    origin,
    operators: operators.map((operator) => (operator.kind === 'partialAggregate' ? { ...operator, panes } : operator)),
  };
}

function addsUp(plan: AggregatePlan): boolean {
  return !plan.distinct && plan.signed !== true && addUp.has(aggregateOf(plan).family);
}

function isNeverRefused(plan: AggregatePlan): boolean {
  const { family, bufferSchema } = aggregateOf(plan);
  return (family !== 'sum' && family !== 'avg') || bufferSchema(plan)[0]?.type.kind === 'double';
}
