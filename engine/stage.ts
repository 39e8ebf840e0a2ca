/**
 * The contract between a lane (event loop) and the stage code that runs in a thread or inline: bytes of record batches
 * in, encoded sink bytes out. The implementation is `engine/run-stage.ts`.
 */

import type { LaneCounters } from '../core/lane/position.ts';
import type { RowsPart } from '../core/row-sink.ts';
import type { FieldDrift } from './formats/field-drift.ts';
import type { LookedUp } from './lookups/lookup-rows.ts';
import type { WriterSchema } from './formats/value-format.ts';

/** Numbers per entry of {@link StageTask.batches}. */
export const BATCH_STRIDE = 5;

/** One piece of work: some record batches of one partition. Everything in it is plain data. */
export interface StageTask {
  /** Fetched bytes. The executor owns the memory they lie in, and may transfer it or use it for something else. */
  readonly bytes: Uint8Array;
  /**
   * The data batches to decode, {@link BATCH_STRIDE} numbers each: byte start, byte end, base offset, base write time µs
   * (`t` of the record at the base offset), max timestamp ms. Control and aborted batches are left out.
   */
  readonly batches: Float64Array;
  /** Records below this offset were processed before. */
  readonly fromOffset: number;
  /** Records at or above this offset are not for this execution; Infinity = no end. */
  readonly toOffset: number;
  readonly partition: number;
  /** µs between the write times of neighbouring offsets. */
  readonly stride: number;
  readonly run: number;
  /** Partition counts of the sinks that write logs, in the order of the plan's log sinks. */
  readonly logPartitions: readonly number[];
  /** Schemas that the stage asked for when it ran the task before (SCHEMA_UNKNOWN). */
  readonly schemas?: readonly WriterSchema[];
  /** Rows of the plan's tables, one entry per table, for the keys that the task's records have. */
  readonly tables?: readonly LookedUp[];
  /** Memory that the rows of the first log sink may be written to; it comes back as that output's `memory`. */
  readonly spare?: ArrayBuffer;
}

/** What a record policy `fail` stops the lane with. */
export interface StageFailure {
  readonly offset: number;
  readonly code: string;
  readonly place: string;
}

/** Encoded output for one sink of the plan. */
export type SinkOutput =
  | { readonly kind: 'table'; readonly rowCount: number; readonly bytes: Uint8Array }
  /** Encoded record batches, one or more per target partition. */
  | {
      readonly kind: 'log';
      readonly rowCount: number;
      readonly appends: readonly { readonly partition: number; readonly batch: Uint8Array }[];
      /** The task's spare memory, to be used again once nobody needs the batches any more: some of them lie in it. */
      readonly memory?: ArrayBuffer;
    }
  | { readonly kind: 'rows'; readonly rowCount: number; readonly parts: readonly RowsPart[] }
  /** A JSON array of rows, each a list of texts. */
  | { readonly kind: 'keys'; readonly rowCount: number; readonly text: string }
  /** `hash`: xor over rows of a 32-bit hash of all projected values. */
  | { readonly kind: 'blackhole'; readonly rowCount: number; readonly hash: number }
  | { readonly kind: 'console'; readonly rowCount: number; readonly text: string };

export interface StageResult {
  readonly sinks: readonly SinkOutput[];
  /** RowBlock of `weir.dead_letters` (see engine/dead-letters.ts for its shape). */
  readonly deadLetters: { readonly rowCount: number; readonly bytes: Uint8Array };
  readonly counters: LaneCounters;
  /** Dead letters by index of `deadLetterReasons`. */
  readonly deadByReason: readonly number[];
  /** Set under onBadRecord: fail. Nothing of the task may be written then. */
  readonly failure: StageFailure | null;
  /** Uncompressed bytes of keys and values read. */
  readonly inputBytes: number;
  /** Kafka timestamps of the records, ms: for latency (append time → sink ack). 0 when there were none. */
  readonly timestampMsMin: number;
  readonly timestampMsMax: number;
  /** Differences of records from the schema that this thread met for the first time; absent = none. */
  readonly drift?: readonly FieldDrift[];
}

/** Runs tasks of compiled stages: in Piscina threads, or inline (small batches, simulator). */
export interface Executor {
  /** Makes a stage known under an id; `plan` is a StagePlan. */
  addStage(stageId: string, plan: unknown): Promise<void>;
  removeStage(stageId: string): Promise<void>;
  run(stageId: string, task: StageTask): Promise<StageResult>;
  close(): Promise<void>;
}
