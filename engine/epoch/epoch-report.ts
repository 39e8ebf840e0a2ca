/** What every task of an epoch gives beside its rows: event times and late rows; and what its rows have in common. */
import { deadLetterReasons } from '../../core/errors.ts';
import type { RowFailure } from '../column-batch.ts';
import { lastActions } from '../encode/last-actions.ts';
import type { EpochScope, StaticRows } from '../operators/operator.ts';
import type { EpochsPlan } from '../plan/epoch-plan.ts';
import type { OperatorId } from '../plan/logical-plan.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import type { SinkOutput } from '../stage.ts';
import type { EpochEnv, TaskResult } from './contract.ts';

const LATE = deadLetterReasons.indexOf('RECORD_LATE');

/**
 * Collects what the operators of a task report. A part of the task's rows may have to run again without the bad ones
 * among them: what they report counts from {@link keep} on.
 */
export class EpochReport {
  readonly #env: EpochEnv;
  readonly #statics: ReadonlyMap<string, StaticRows>;
  readonly #eventTimes: Float64Array;
  readonly #late = new Map<OperatorId, number>();
  readonly #keepsLate: boolean;
  #current: EpochScope;

  constructor(plan: EpochsPlan, env: EpochEnv, statics: ReadonlyMap<string, StaticRows>) {
    this.#env = env;
    this.#keepsLate = plan.onLate === 'deadLetter';
    this.#statics = statics;
    this.#eventTimes = new Float64Array(plan.watermarks.length).fill(-Infinity);
    this.#current = this.begin();
  }

  /** A scope for the next part, or for another try at it. */
  begin(): EpochScope {
    const { lateUs, evictUs } = this.#env;
    const eventTimes = new Float64Array(this.#eventTimes.length).fill(-Infinity);
    const lateRecords = this.#keepsLate ? new Map<number, OperatorId>() : null;
    this.#current = { lateUs, evictUs, eventTimes, late: new Map(), lateRecords, statics: this.#statics };
    return this.#current;
  }

  /** Counts what was reported to the scope begun last. Records with late rows that are to become dead letters. */
  keep(): RowFailure[] {
    const { eventTimes, late, lateRecords } = this.#current;
    eventTimes.forEach((time, watermark) => {
      this.#eventTimes[watermark] = Math.max(this.#eventTimes[watermark]!, time);
    });
    for (const [id, rows] of late) this.#late.set(id, (this.#late.get(id) ?? 0) + rows);
    return Array.from(lateRecords ?? [], ([record, place]) => ({ record, reason: LATE, place }));
  }

  result(): Pick<TaskResult, 'eventTimes' | 'late'> {
    return { eventTimes: [...this.#eventTimes], late: Object.fromEntries(this.#late) };
  }
}

/** The time that rows of an epoch have, ms, one entry per row: what current_timestamp() reads. */
export function timesOfEpoch({ epochTsUs }: EpochEnv, rowCount: number): Float64Array {
  return new Float64Array(rowCount).fill(epochTsUs / 1000);
}

/** Outputs of one task of an epoch, with one final action per primary key of a table. */
export function lastRows(outputs: readonly SinkOutput[], plans: readonly SinkPlan[]): SinkOutput[] {
  return outputs.map((output, index) => {
    const plan = plans[index];
    if (output.kind !== 'table' || plan?.kind !== 'table') return output;
    return { kind: 'table', ...lastActions(output, plan.shape.primaryKeyCount) };
  });
}
