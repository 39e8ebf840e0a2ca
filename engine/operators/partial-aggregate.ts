import type { Schema } from '../../core/types.ts';
import type { ColumnBatch } from '../column-batch.ts';
import { noOrigins } from '../epoch/frame.ts';
import type { EpochOperator } from '../plan/epoch-plan.ts';
import { identity } from './aggregate-accumulator.ts';
import { AggregateSet } from './aggregate-set.ts';
import { keyTableOf } from './key-table.ts';
import type { KeyTable } from './key-table.ts';
import type { FailureLog, Rows } from './operator.ts';

type PartialAggregatePlan = Extract<EpochOperator, { kind: 'partialAggregate' }>;

/** Rows that are added up by key, from `begin` to `finish`. */
export interface RowsAddedUp {
  /** Forgets everything. */
  begin(): void;
  /**
   * Adds rows. Records with rows that an aggregate cannot take are added to `failures`; they may not count anywhere, so
   * that everything has to be added again without them, from `begin` on.
   */
  add(rows: Rows, failures: FailureLog): void;
  /**
   * The keys, then the buffers, of what was added: good until the next `begin`. Its rows come from no single record.
   * `lateUs`: the watermark of the epoch before, µs.
   */
  finish(lateUs: number): ColumnBatch;
}

/**
 * One row per key of everything added between `begin` and `finish`: the keys, then the buffers of all aggregates, so
 * that an exchange carries a row per key instead of one per record.
 * Without keys there is one row, of an empty group where no row came: a global aggregate has a result from the first
 * epoch on. Keeps nothing between but memory, and no memory of what was added.
 */
export class PartialAggregate implements RowsAddedUp {
  readonly #set: AggregateSet;
  /** null without keys. */
  readonly #keys: KeyTable | null;
  #slots = new Int32Array(0);
  /** Slots in use. */
  #groups = 0;

  /** `output`: the keys, then the buffers. */
  constructor({ keyCount, aggregates }: PartialAggregatePlan, output: Schema) {
    this.#set = new AggregateSet(aggregates);
    this.#keys = keyCount === 0 ? null : keyTableOf(output.slice(0, keyCount).map(({ type }) => type));
  }

  begin(): void {
    this.#keys?.reset();
    this.#groups = 0;
    if (this.#keys === null) this.#open(1);
  }

  add({ batch, selection, count }: Rows, failures: FailureLog): void {
    const rows = selection ?? identity(count);
    if (count > this.#slots.length) this.#slots = new Int32Array(Math.max(count, 2 * this.#slots.length));
    const slots = this.#slots;
    if (this.#keys === null) slots.fill(0, 0, count);
    else {
      this.#keys.assign(batch.columns, rows, count, slots);
      this.#open(this.#keys.size);
    }
    this.#set.update(batch.columns, rows, slots, count, (row, reason, aggregate) =>
      failures.add(batch.origins.record[row]!, reason, aggregate),
    );
  }

  finish(): ColumnBatch {
    const rowCount = this.#groups;
    const buffers = this.#set.buffers(identity(rowCount), rowCount);
    return { rowCount, columns: [...(this.#keys?.columns() ?? []), ...buffers], origins: noOrigins };
  }

  /** All slots below `groups` are in use: new ones are empty. */
  #open(groups: number): void {
    this.#set.ensure(groups);
    for (let slot = this.#groups; slot < groups; slot++) this.#set.clear(slot);
    this.#groups = groups;
  }
}
