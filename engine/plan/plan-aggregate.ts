/** GROUP BY: groups that are aggregated in part before the exchange, and sessions that cannot be. */
import { must } from '../../core/assert.ts';
import type { Expr } from '../../core/ast.ts';
import { bufferSchemaOf } from '../sql/aggregates.ts';
import { isStateful } from '../sql/analyze/eviction.ts';
import { inputsOf } from '../sql/analyze/tree.ts';
import { columnAt, exprsOf, pick, range, reading } from './columns.ts';
import type { AggregatePlan, OutputMode, StatePlan } from './epoch-plan.ts';
import { late, projected, type Rows, withOperator } from './flows.ts';
import type { AggregateCall, LogicalPlan } from './logical-plan.ts';
import { type PanedRows, withPanes } from './panes.ts';
import { SentColumns } from './sent-columns.ts';
import type { NodeOf, StageDraft } from './stage-draft.ts';
import type { StageOperator } from './stage-plan.ts';

export function planAggregate(
  node: NodeOf<'aggregate'>,
  needed: ReadonlySet<number>,
  mode: OutputMode,
  stages: StageDraft,
): Rows {
  checkFinal(node, mode, stages);
  const { calls, kept } = neededCalls(node, needed, node.keys.length);
  const isSigned = mode !== 'append' && hasChangingRows(node.input);
  const read = reading(new Set(), [...exprsOf(node.keys), ...exprsOfCalls(calls)]);
  const input = stages.rows(node.input, read, isSigned ? 'update' : 'append');
  const columns = new SentColumns(input.kept, node.keys);
  const plain = calls.map((call) => columns.call(call));
  const aggregates = isSigned ? [...plain, rowCount].map((call) => ({ ...call, signed: true as const })) : plain;
  const keyCount = node.keys.length;
  let rows: Rows = { ...projected(input, columns.columns), times: [] };
  // What is below a whole result is never final.
  const eventTime = mode === 'update' && stages.context.outputMode === 'complete' ? null : node.eventTime;
  const evicts = eventTime !== null && mode !== 'complete';
  if (evicts) rows = late(rows, node.id, eventTime, node.watermarkLagUs);
  const partial = [...pick(rows.output, range(keyCount)), ...bufferSchemaOf(aggregates)];
  rows = { ...withOperator(rows, { kind: 'partialAggregate', keyCount, aggregates }), output: partial };
  const paned: PanedRows = evicts ? withPanes(rows, mode) : { rows };
  stages.evicts ||= evicts;
  const { watermarkLagUs } = node;
  const facts = { ...(isSigned ? { signed: true as const } : {}), ...(paned.panes && { panes: paned.panes }) };
  const state: StatePlan = { kind: 'aggregate', keyCount, aggregates, ...facts, eventTime, mode, watermarkLagUs };
  // Panes of one window go where the other keys lead.
  const keys = range(keyCount).filter((key) => paned.panes === undefined || key !== eventTime?.column);
  const sent = { ...paned.rows, keyCount: keys.length, keys, changes: isSigned };
  return stages.state(node.id, state, resultOf(node, kept), [sent]);
}

/** Groups that other operators read come when they are final. */
function checkFinal(node: NodeOf<'aggregate'>, mode: OutputMode, stages: StageDraft): void {
  if (mode !== 'append' || node.eventTime !== null || stages.context.whole === true) return;
  stages.context.refuse(
    node,
    `${node.id} hands on each group when it is final, and without event time among its keys none ever is`,
    'group by a window of a column with a watermark',
  );
}

export function planSession(
  node: NodeOf<'aggregate'>,
  needed: ReadonlySet<number>,
  mode: OutputMode,
  stages: StageDraft,
): Rows {
  checkFinal(node, mode, stages);
  const session = must(node.session, () => `${node.id} has no session`);
  const { calls, kept } = neededCalls(node, needed, node.keys.length + 1);
  const keyExprs = exprsOf(node.keys);
  const read = reading(new Set(), [...keyExprs, session.on, session.gapUs, ...exprsOfCalls(calls)]);
  const input = stages.rows(node.input, read, 'append');
  const keyCount = node.keys.length;
  const columns = new SentColumns(input.kept, [
    ...node.keys,
    { name: 'time', type: session.on.type, nullable: session.on.nullable, expr: session.on },
    { name: 'gap', type: session.gapUs.type, nullable: session.gapUs.nullable, expr: session.gapUs },
  ]);
  const aggregates = calls.map((call) => columns.call(call));
  const rows: Rows = { ...projected(input, columns.columns), times: [] };
  const operator: StageOperator = {
    kind: 'late',
    operatorId: node.id,
    rule: 'session',
    column: keyCount,
    gap: keyCount + 1,
    watermarkLagUs: node.watermarkLagUs,
  };
  if (node.eventTime === null && stages.watermarks.length > 0) {
    stages.context.refuse(
      node,
      'the watermark stands on another column than the time of session_window',
      'declare it on the column that session_window takes',
    );
  }
  if (node.eventTime !== null && mode !== 'complete') stages.evicts = true;
  const { watermarkLagUs } = node;
  const state: StatePlan = { kind: 'session', keyCount, aggregates, mode, watermarkLagUs };
  return stages.state(node.id, state, resultOf(node, kept), [{ ...withOperator(rows, operator), keyCount }]);
}

/** Counts the rows of a group: without any it is gone. */
const rowCount: AggregatePlan = {
  function: 'count',
  distinct: false,
  inputs: [],
  inputTypes: [],
  filter: -1,
  name: 'rows',
  type: { kind: 'bigint' },
  nullable: false,
};

/** Outside of append mode, rows that change after they came out; those of other operators with state are final. */
function hasChangingRows(node: LogicalPlan): boolean {
  if (node.kind === 'aggregate' || node.kind === 'rank') return true;
  return !isStateful(node) && inputsOf(node).some(hasChangingRows);
}

/** The aggregates that are asked for, and the columns of the node that come out with them. */
function neededCalls(
  node: NodeOf<'aggregate'>,
  needed: ReadonlySet<number>,
  first: number,
): { readonly calls: readonly AggregateCall[]; readonly kept: readonly number[] } {
  const places = range(node.aggregates.length).filter((index) => needed.has(first + index));
  return {
    calls: places.map((index) => columnAt(node.aggregates, index)),
    kept: [...range(first), ...places.map((index) => first + index)],
  };
}

/** What comes out of an aggregate. */
function resultOf(node: NodeOf<'aggregate'>, kept: readonly number[]): Omit<Rows, 'flows'> {
  return { kept, output: pick(node.output, kept), times: node.eventTime === null ? [] : [node.eventTime] };
}

function exprsOfCalls(calls: readonly AggregateCall[]): Expr[] {
  return calls.flatMap(({ args, filter }) => (filter === null ? args : [...args, filter]));
}
