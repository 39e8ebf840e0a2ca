/**
 * Records and queries outside the cluster's own data path: decoding messages for people, running a plan on a few
 * records. The master calls it through this port only, so that no engine, no record and no user's query runs on the
 * master's event loop; what implements it bounds time and memory.
 */
import type { JobPlan } from '../engine/plan/job-plan.ts';

/** Some record batches of one partition, as fetched. */
export interface LogPiece {
  /** A source of the plan, where there is one. */
  readonly source: string;
  readonly partition: number;
  readonly bytes: Uint8Array;
  /** Data batches that a read_committed reader sees. */
  readonly batches: readonly {
    readonly start: number;
    readonly end: number;
    readonly baseOffset: number;
    readonly maxTimestampMs: number;
  }[];
  /** Records outside are not looked at. */
  readonly from: number;
  readonly to: number;
}

export interface DecodedRecord {
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  /** base64, cut at the bound asked for. */
  readonly key: string | null;
  readonly value: string | null;
  readonly valueBytes: number | null;
  readonly headers: readonly (readonly [string, string])[];
}

export interface SampleRows {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Values as JSON carries them. */
  readonly rows: readonly (readonly unknown[])[];
  readonly deadLetters: readonly { readonly code: string; readonly count: number }[];
  readonly filtered: number;
}

/** Which rows of a run are wanted. */
export interface TapPlace {
  /** Index of the stage. */
  readonly stage: number;
  /** Rows as they leave this operator of it; null = the last. */
  readonly operator: number | null;
}

/** Records to make log pieces of. */
export type SampleRecord = Readonly<Record<string, unknown>> | string | null;

/** All throw TIMED_OUT when it takes too long, and UNSUPPORTED for what cannot be done on samples. */
export interface Lab {
  decode(
    pieces: readonly LogPiece[],
    options: { readonly bytesMax: number; readonly limit: number },
  ): Promise<DecodedRecord[]>;
  /** Runs pieces of the log through a plan up to a place; null = to the sinks. */
  run(plan: JobPlan, pieces: readonly LogPiece[], at: TapPlace | null, limit: number): Promise<SampleRows>;
  /** As {@link run}, on records given by source. */
  runRecords(
    plan: JobPlan,
    records: Readonly<Record<string, readonly SampleRecord[]>>,
    at: TapPlace | null,
    limit: number,
  ): Promise<SampleRows>;
  close(): Promise<void>;
}
