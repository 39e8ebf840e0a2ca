import type { DeadLetterReason } from '../../core/errors.ts';
import type { Column } from '../column-batch.ts';

/** Rows on their way into groups: `rows[i]` of the columns belongs to `slots[i]`, for i below `count`. */
export interface GroupedRows {
  readonly columns: readonly Column[];
  readonly rows: Int32Array;
  readonly slots: Int32Array;
  readonly count: number;
  /** Called for a row whose value does not fit: the row then adds nothing to this aggregate. */
  readonly fail: (row: number, reason: DeadLetterReason) => void;
}

/**
 * The partial results of one aggregate function for many groups, by slot. Slots must lie below the capacity; a new or
 * cleared slot is empty. Merging a slot's buffers into an empty slot gives a slot with the same buffers and the same
 * future: snapshots rest on it.
 */
export interface Accumulator {
  /** Room for the slots below `capacity`. */
  ensure(capacity: number): void;
  /** Empties a slot. */
  clear(slot: number): void;
  /** Adds rows of the function's input. */
  update(input: GroupedRows): void;
  /** Adds partial results: the columns are the buffers, one after the other. */
  merge(input: GroupedRows): void;
  /** Takes partial results back that were added before; aggregates of rows that may be withdrawn have it. */
  retract?(input: GroupedRows): void;
  /** Adds what slot `from` holds to `to`, behind it; `from` must be cleared then. */
  absorb(to: number, from: number): void;
  /** The partial results of the slots `slots[0 … count)`. */
  buffers(slots: Int32Array, count: number): Column[];
  /** The results of the slots `slots[0 … count)`. */
  result(slots: Int32Array, count: number): Column;
  /** Memory held. */
  readonly bytes: number;
}

/** The numbers from 0 up to `count`, at least. */
export function identity(count: number): Int32Array {
  if (count > rowNumbers.length) rowNumbers = Int32Array.from({ length: Math.max(count, 4096) }, (_, row) => row);
  return rowNumbers;
}

let rowNumbers = new Int32Array(0);
