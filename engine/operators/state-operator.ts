import type { Schema } from '../../core/types.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { FailureLog } from './operator.ts';

/**
 * Rows that arrived at one port of a state operator, with the key group of each. `batch.origins.record` numbers the rows
 * of all inputs of an epoch: failures name rows by it.
 */
export interface StateInput {
  readonly port: number;
  readonly batch: ColumnBatch;
  /** One entry per row. */
  readonly groups: Uint8Array;
}

/** What an epoch brings out of a state operator. Valid until the next fold. */
export interface StateOutput {
  /** Its origins do not count: the host gives the rows new ones. */
  readonly batch: ColumnBatch;
  /**
   * Key group of each row. The rows of one group stand in an order that does not depend on what other groups the
   * operator holds: their place in it is their identity in sinks and their order in the next stage.
   */
  readonly groups: Uint8Array;
  /** A code of changes.ts per row; null = all rows are given. Values of a row that is withdrawn are those last given. */
  readonly changes: Uint8Array | null;
  /** What failed outside of any row. */
  readonly failures?: readonly GroupFailure[];
}

/** Something of a key group that failed as EXPRESSION_FAILED. */
export interface GroupFailure {
  readonly group: number;
  /** Static text of the job, as in `RowFailure`. */
  readonly place: string;
}

/**
 * State by key, kept per key group, folded epoch by epoch: one call with all rows of the epoch. The outcome is a
 * function of the state and the inputs in their order alone. A group's state is encoded so that restoring it gives a
 * group that behaves, and encodes, the same.
 */
export interface StateOperator {
  readonly output: Schema;
  /** Throws: STATE_LIMIT. */
  fold(inputs: readonly StateInput[], env: EpochEnv, failures: FailureLog): StateOutput;
  /** Groups changed (evictions included) since {@link clearChanged}. */
  changedGroups(): readonly number[];
  clearChanged(): void;
  /** Groups that hold something. */
  groups(): readonly number[];
  /** null = the group holds nothing. */
  encodeGroup(group: number): Uint8Array | null;
  /**
   * `places`, of a changed job: for each aggregate its place in what is stored, -1 = it begins empty; null = as stored.
   * Throws: STATE_DAMAGED, STATE_INCOMPATIBLE.
   */
  restoreGroup(group: number, bytes: Uint8Array | null, places?: readonly number[] | null): void;
  dropGroup(group: number): void;
  /** `evicted` counts since the last fold began. */
  figures(): StateFigures;
}
