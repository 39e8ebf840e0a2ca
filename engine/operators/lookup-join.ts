import { failedOf } from '../lookups/lookup-rows.ts';
import type { EpochOperator } from '../plan/epoch-plan.ts';
import type { Runtime } from '../sql/runtime/runtime.ts';
import type { Operator, Rows, RunContext } from './operator.ts';
import { StaticJoin } from './static-join.ts';

type JoinPlan = Extract<EpochOperator, { kind: 'staticJoin' }>;

/**
 * Joins rows with what was looked up for them. Records whose key failed are dead letters; where no key did, this is the
 * join with a static table and nothing besides.
 */
export class LookupJoin implements Operator {
  readonly #table: string;
  readonly #failedTable: string;
  readonly #join: StaticJoin;
  readonly #failed: StaticJoin;

  constructor(plan: JoinPlan, runtime: Runtime) {
    this.#table = plan.table;
    this.#failedTable = failedOf(plan.table);
    this.#join = new StaticJoin(plan, runtime);
    this.#failed = new StaticJoin({ ...plan, table: this.#failedTable, type: 'semi', residual: null }, runtime);
  }

  apply(rows: Rows, context: RunContext): Rows {
    if (context.epoch?.statics.has(this.#failedTable) === true) {
      const { batch, selection, count } = this.#failed.apply(rows, context);
      for (let index = 0; index < count; index++) {
        const row = selection === null ? index : (selection[index] as number);
        context.failures.add(batch.origins.record[row] as number, 'LOOKUP_FAILED', this.#table);
      }
    }
    return this.#join.apply(rows, context);
  }
}
