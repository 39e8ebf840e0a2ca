import { must } from '../../core/assert.ts';
import type { Column } from '../column-batch.ts';
import type { EpochOperator } from '../plan/epoch-plan.ts';
import type { Runtime } from '../sql/runtime/runtime.ts';
import type { EpochScope, Operator, Rows, RunContext } from './operator.ts';

type LatePlan = Extract<EpochOperator, { kind: 'late' }>;
type Panes = NonNullable<LatePlan['panes']>;

/**
 * Drops the rows that come too late for the operator named, against the watermark of the epoch before, and counts them:
 * a window when its end is not above the watermark, a time when it is not above it, a session when the end it would have
 * on its own is not. Rows without a time pass, except that no session starts without a time or with a gap that is not
 * positive: those are left out and not counted. Keeps nothing between batches. (Spark: WatermarkSupport's predicate for
 * late events.)
 */
export class Late implements Operator {
  readonly #plan: LatePlan;

  constructor(plan: LatePlan, _runtime: Runtime) {
    this.#plan = plan;
  }

  apply(rows: Rows, context: RunContext): Rows {
    const plan = this.#plan;
    const epoch = must(context.epoch, () => 'late rows are told within an epoch');
    const watermark = epoch.lateUs - plan.watermarkLagUs;
    if (watermark === -Infinity && plan.rule !== 'session') return rows;
    const { values, valid } = timesOf(rows.batch.columns[plan.column], plan.rule);
    if (plan.panes !== undefined) return this.#latePanes(rows, values, watermark, plan.panes, epoch);
    const gaps = plan.rule === 'session' ? gapsOf(rows.batch.columns[plan.gap]) : null;
    const selection = new Int32Array(rows.count);
    let kept = 0;
    let late = 0;
    for (let index = 0; index < rows.count; index++) {
      const row = rows.selection === null ? index : (rows.selection[index] as number);
      let time = values[row] as number;
      const isThere = valid[row] !== 0;
      if (gaps !== null) {
        const gap = gaps(row);
        if (!isThere || !(gap > 0)) continue;
        time += gap;
      }
      if (!isThere || time > watermark) {
        selection[kept++] = row;
        continue;
      }
      late++;
      if (epoch.lateRecords !== null)
        note(epoch.lateRecords, rows.batch.origins.record[row] as number, plan.operatorId);
    }
    if (late > 0) count(epoch, plan.operatorId, late);
    return kept === rows.count ? rows : { batch: rows.batch, selection, count: kept };
  }

  /** A row stands for the windows of its pane, which end with it, a slide later, and so on. */
  #latePanes(rows: Rows, ends: Float64Array, watermark: number, panes: Panes, epoch: EpochScope): Rows {
    const { sizeUs, slideUs } = panes;
    const selection = new Int32Array(rows.count);
    let kept = 0;
    let late = 0;
    for (let index = 0; index < rows.count; index++) {
      const row = rows.selection === null ? index : (rows.selection[index] as number);
      const since = watermark - (ends[row] as number);
      const own = since < 0 ? 0 : Math.min(sizeUs / slideUs, Math.floor(since / slideUs) + 1);
      if (own * slideUs < sizeUs) selection[kept++] = row;
      if (own === 0) continue;
      late += own;
      if (epoch.lateRecords !== null)
        note(epoch.lateRecords, rows.batch.origins.record[row] as number, this.#plan.operatorId);
    }
    if (late > 0) count(epoch, this.#plan.operatorId, late);
    return kept === rows.count ? rows : { batch: rows.batch, selection, count: kept };
  }
}

function note(lateRecords: Map<number, string>, record: number, id: LatePlan['operatorId']): void {
  if (!lateRecords.has(record)) lateRecords.set(record, id);
}

function count({ late }: EpochScope, id: LatePlan['operatorId'], rows: number): void {
  late.set(id, (late.get(id) ?? 0) + rows);
}

function timesOf(
  column: Column | undefined,
  rule: LatePlan['rule'],
): { readonly values: Float64Array; readonly valid: Uint8Array } {
  const time = rule === 'window' && column?.kind === 'struct' ? column.fields[1] : column;
  if (time?.kind !== 'f64') throw new TypeError(`the time of a ${rule} is a ${time?.kind} column`);
  return time;
}

/** Reads a gap, µs; NaN = NULL. */
function gapsOf(column: Column | undefined): (row: number) => number {
  if (column?.kind === 'i64') return (row) => (column.valid[row] === 0 ? Number.NaN : Number(column.values[row]));
  if (column?.kind === 'f64') return (row) => (column.valid[row] === 0 ? Number.NaN : (column.values[row] as number));
  throw new TypeError(`the gap of a session is a ${column?.kind} column`);
}
