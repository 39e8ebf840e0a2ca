/** Joins of two streams: both sides go by the join's keys to one state stage. */
import type { Expr } from '../../core/ast.ts';
import { moved, pick, placeOf, reading, referTo, shifted, sorted } from './columns.ts';
import type { OutputMode, StatePlan } from './epoch-plan.ts';
import { late, projected, type Rows } from './flows.ts';
import type { EventTimeColumn, LogicalPlan } from './logical-plan.ts';
import type { NodeOf, StageDraft } from './stage-draft.ts';
import type { ProjectedColumn } from './stage-plan.ts';

export function planJoin(
  node: NodeOf<'join'>,
  needed: ReadonlySet<number>,
  mode: OutputMode,
  stages: StageDraft,
): Rows {
  const width = node.left.output.length;
  const isHalf = node.type === 'semi' || node.type === 'anti';
  const residual = reading(new Set(), node.residual === null ? [] : [node.residual]);
  const own = new Set([...needed, ...residual]);
  // Times that nothing is evicted by are not kept for their own sake.
  const isTimed = node.equalTime || node.bounds !== null;
  for (const column of isTimed ? [node.leftTime?.column, node.bounds?.left] : [])
    if (column !== undefined) own.add(column);
  for (const column of isTimed ? [node.rightTime?.column, node.bounds?.right] : [])
    if (column !== undefined) own.add(width + column);
  const leftOwn = sorted(own).filter((index) => index < width);
  const rightOwn = sorted(own).flatMap((index) => (index < width ? [] : [index - width]));
  const keyCount = node.equi.length;
  const leftKeys = node.equi.map((pair) => pair.left);
  const rightKeys = node.equi.map((pair) => shifted(pair.right, -width));
  const left = joinSide(node, node.left, leftKeys, leftOwn, node.leftTime, stages);
  const right = joinSide(node, node.right, rightKeys, rightOwn, node.rightTime, stages);
  const inState = [...leftOwn, ...rightOwn.map((index) => width + index)];
  // No negative zero: a plan goes through JSON and stays the same.
  const plain = (us: number | null): number | null => (us === null ? null : us + 0);
  const bounds = node.bounds && {
    lowerUs: plain(node.bounds.lowerUs),
    upperUs: plain(node.bounds.upperUs),
    left: placeOf(leftOwn, node.bounds.left),
    right: placeOf(rightOwn, node.bounds.right),
  };
  const placed = (time: EventTimeColumn | null, kept: readonly number[]): EventTimeColumn | null =>
    time === null || !isTimed ? null : { ...time, column: placeOf(kept, time.column) };
  const leftTime = placed(node.leftTime, leftOwn);
  const rightTime = placed(node.rightTime, rightOwn);
  if (node.equalTime || (bounds !== null && (bounds.lowerUs ?? bounds.upperUs) !== null)) stages.evicts = true;
  const state: StatePlan = {
    kind: 'join',
    type: node.type,
    keyCount,
    nullSafe: node.equi.map(({ nullSafe }) => nullSafe),
    residual: node.residual && moved(node.residual, inState),
    leftTime,
    rightTime,
    bounds,
    equalTime: node.equalTime,
    mode,
    watermarkLagUs: node.watermarkLagUs,
    timeZone: stages.context.timeZone,
  };
  const kept = isHalf ? leftOwn : inState;
  const rightTimes = isHalf ? [] : right.times.map((time) => ({ ...time, column: leftOwn.length + time.column }));
  const output = { kept, output: pick(node.output, kept), times: [...left.times, ...rightTimes] };
  return stages.state(node.id, state, output, [
    { ...left.rows, keyCount },
    { ...right.rows, keyCount },
  ]);
}

/** One side of a join: keys, then its own columns; `times` count the latter. */
function joinSide(
  node: NodeOf<'join'>,
  side: LogicalPlan,
  keys: readonly Expr[],
  own: readonly number[],
  time: EventTimeColumn | null,
  stages: StageDraft,
): { readonly rows: Rows; readonly times: readonly EventTimeColumn[] } {
  const input = stages.rows(side, reading(new Set(own), keys), 'append');
  const columns = [
    ...keys.map((expr, index): ProjectedColumn => {
      const { type, nullable } = expr;
      return { name: `key${index + 1}`, type, nullable, expr: moved(expr, input.kept) };
    }),
    ...own.map((index) => referTo(input.output, placeOf(input.kept, index))),
  ];
  const times = input.times.flatMap((each): EventTimeColumn[] => {
    const place = own.indexOf(input.kept[each.column] ?? -1);
    return place < 0 ? [] : [{ ...each, column: place }];
  });
  const rows: Rows = { ...projected(input, columns), times: [] };
  // As in Spark: what is marked as event time makes rows late; what the condition makes equal to it does not. Of
  // several it is the one that rows are kept by: else a row would be late for a window that is still open.
  const keptBy = times.find(({ column }) => column === own.indexOf(time?.column ?? -1));
  const lateTime = keptBy ?? times[0];
  if (lateTime === undefined) return { rows, times };
  const shifted = { ...lateTime, column: keys.length + lateTime.column };
  return { rows: late(rows, node.id, shifted, node.watermarkLagUs), times };
}
