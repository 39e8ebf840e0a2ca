import type { DeadLetterReason } from '../../core/errors.ts';
import { deadLetterReasons } from '../../core/errors.ts';
import type { ColumnBatch, RowFailure, RowOrigins } from '../column-batch.ts';
import type { OperatorId } from '../plan/logical-plan.ts';
import { failureOf, type Runtime } from '../sql/runtime/runtime.ts';

/** Rows on their way through a program: all of the batch, or those that `selection` lists, in ascending order. */
export interface Rows {
  readonly batch: ColumnBatch;
  /** Indexes of the batch's rows; null = all of them. Only the first `count` entries mean something. */
  readonly selection: Int32Array | null;
  readonly count: number;
}

/** A compiled operator: rows in, rows out. Rows that fail are reported, and left out by the program. */
export interface Operator {
  apply(rows: Rows, context: RunContext): Rows;
}

/** What operators share during one run over one batch. */
export interface RunContext {
  readonly runtime: Runtime;
  readonly failures: FailureLog;
  /** null in lanes. */
  readonly epoch: EpochScope | null;
}

/** What the operators of an epoch's task read of the epoch, and what they report beside their rows. */
export interface EpochScope {
  /** As in `EpochEnv` (engine/epoch/contract.ts). */
  readonly lateUs: number;
  readonly evictUs: number;
  /** One entry per watermark of the plan, µs, -Infinity at first: raised to the greatest event time seen. */
  readonly eventTimes: Float64Array;
  /** Rows dropped as late, added up by operator. */
  readonly late: Map<OperatorId, number>;
  /** Records with rows that were late, with the first operator that found so. null = they are counted only. */
  readonly lateRecords: Map<number, OperatorId> | null;
  /** The static tables by name, as this epoch sees them. */
  readonly statics: ReadonlyMap<string, StaticRows>;
}

/** A static table's rows. A table read anew is a new object; its memory stays as it is while somebody holds it. */
export interface StaticRows {
  readonly batch: ColumnBatch;
}

/** Records that failed during one run: each is listed once, with what went wrong first. */
export class FailureLog {
  readonly #failures: RowFailure[];
  readonly #records = new Set<number>();

  constructor(failures: RowFailure[]) {
    this.#failures = failures;
  }

  get size(): number {
    return this.#records.size;
  }

  has(record: number): boolean {
    return this.#records.has(record);
  }

  add(record: number, reason: DeadLetterReason, place: string): void {
    this.#add(record, deadLetterReasons.indexOf(reason), place);
  }

  /** For the catch of generated loops: notes a failure of the row's record, and rethrows what is a bug. */
  caught(thrown: unknown, origins: RowOrigins, row: number, place: string): void {
    const failure = failureOf(thrown);
    if (failure === null) throw thrown;
    this.#add(origins.record[row] as number, failure.reason, place);
  }

  #add(record: number, reason: number, place: string): void {
    if (this.#records.has(record)) return;
    this.#records.add(record);
    this.#failures.push({ record, reason, place });
  }
}

/** The rows without those of failed records. */
export function dropFailed(rows: Rows, failures: FailureLog): Rows {
  const { record } = rows.batch.origins;
  const selection = new Int32Array(rows.count);
  let count = 0;
  for (let index = 0; index < rows.count; index++) {
    const row = rows.selection === null ? index : (rows.selection[index] as number);
    if (!failures.has(record[row] as number)) selection[count++] = row;
  }
  return count === rows.count ? rows : { batch: rows.batch, selection, count };
}
