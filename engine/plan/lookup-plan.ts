/** Tables that are looked up by key, as a plan has them. Plain data, except for the parts before planning. */
import type { LookupSpec } from '../../core/job/lookup-spec.ts';
import type { LookupTable } from '../../core/lookup.ts';
import type { Schema } from '../../core/types.ts';
import type { StagePlan } from './stage-plan.ts';

/** What bounds the lookups of one table on one worker. */
export interface LookupLimits {
  readonly ttlMs: number;
  readonly missTtlMs: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly batchKeys: number;
  readonly inFlight: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly onError: LookupSpec['onError'];
}

/** One join of a stage with a table that is looked up. */
export interface LookupPlan {
  readonly table: LookupTable;
  /** For people: `postgres table public.users`. */
  readonly place: string;
  readonly schema: Schema;
  /** Gives the keys that the records of a task have: the operators in front of the join, and a sink of kind `keys`. */
  readonly keys: StagePlan;
  readonly limits: LookupLimits;
}

/** A lookup table of the job file whose definition has no mistakes; a query may join it. */
export interface PlannedLookup {
  readonly table: LookupTable;
  readonly place: string;
  readonly schema: Schema;
  /** Places of the key's columns in the schema. */
  readonly key: readonly number[];
  readonly limits: LookupLimits;
}
