import { must } from '../../core/assert.ts';
import type { EpochOperator } from '../plan/epoch-plan.ts';
import type { Runtime } from '../sql/runtime/runtime.ts';
import type { Operator, Rows, RunContext } from './operator.ts';

type WatermarkPlan = Extract<EpochOperator, { kind: 'watermark' }>;

/**
 * Observes event time where the watermark is declared: rows go through as they are, and the epoch learns the greatest
 * time that is not NULL. Keeps nothing between batches.
 */
export class Watermark implements Operator {
  readonly #plan: WatermarkPlan;

  constructor(plan: WatermarkPlan, _runtime: Runtime) {
    this.#plan = plan;
  }

  apply(rows: Rows, context: RunContext): Rows {
    const epoch = must(context.epoch, () => 'a watermark runs within an epoch');
    const column = must(rows.batch.columns[this.#plan.column], () => `event time ${this.#plan.column} is missing`);
    if (column.kind !== 'f64') throw new TypeError(`event time is a ${column.kind} column`);
    const { values, valid } = column;
    let greatest = must(epoch.eventTimes[this.#plan.watermark], () => `watermark ${this.#plan.watermark} is unknown`);
    for (let index = 0; index < rows.count; index++) {
      const row = rows.selection === null ? index : (rows.selection[index] as number);
      const time = values[row] as number;
      if (valid[row] !== 0 && time > greatest) greatest = time;
    }
    epoch.eventTimes[this.#plan.watermark] = greatest;
    return rows;
  }
}
