/**
 * The durable facts of a stateful job: its head (one row per run, changed by compare-and-set alone), the plans of its
 * epochs (a ring of slots beside the head, written with it), snapshots and savepoints.
 */
import type { Epoch, Fence, JobName, LaneId, Offset, Run, WorkerId } from '../ids.ts';
import type { LaneCounters } from '../lane/position.ts';

export const EPOCH_FORMAT_VERSION = 1;
/** Plans kept; a plan is refused when its slot still holds an epoch above the last committed snapshot. */
export const PLAN_SLOTS = 4096;

/** [from, to) of one partition of a source. */
export interface OffsetRange {
  readonly from: Offset;
  readonly to: Offset;
}

/** What one epoch is, for ever: written before any effect of it. */
export interface EpochPlan {
  readonly formatVersion: number;
  readonly epoch: Epoch;
  /** µs; at least 1024 and the plan's room above that of the epoch before. */
  readonly epochTsUs: number;
  /**
   * `epochTsUs` of the epoch of a former run that had the same ranges and watermarks and may have been written then:
   * sinks that keep a position know it by this time. Absent = it is new.
   */
  readonly repeats?: number;
  /** µs below `epochTsUs` that are this epoch's alone, for the order of its rows (row-times.ts); absent = none. */
  readonly room?: number;
  /** The leader that planned it: attempts of later leaders write above its attempts. */
  readonly token: Fence;
  /** Partitions that contribute records; none = a no-data epoch. */
  readonly ranges: Readonly<Record<LaneId, OffsetRange>>;
  /** Watermarks in force, µs; null = none yet (minus infinity). */
  readonly lateUs: number | null;
  readonly evictUs: number | null;
  /** Sources that did not hold the watermark back. */
  readonly idle: readonly string[];
  /** Versions of the static tables that are read anew. */
  readonly statics: Readonly<Record<string, number>>;
}

/**
 * Names one committed set of state blobs. `manifest` is a blob: JSON {epoch, groups: {"stage/group": blob id}}, with
 * more for the master (core/epoch/manifest.ts).
 */
export interface SnapshotRef {
  readonly epoch: Epoch;
  readonly manifest: string;
}

export interface EpochHead {
  readonly formatVersion: number;
  readonly job: JobName;
  readonly run: Run;
  /** Grows by one with every change. */
  readonly ver: number;
  readonly nonce: string;
  /** The leader that may change this row. */
  readonly fence: Fence;
  /** Last epoch planned and last epoch committed; -1 = none. */
  readonly planned: Epoch;
  readonly committed: Epoch;
  /** Of the last planned epoch. */
  readonly epochTsUs: number;
  /** Where the next epoch's ranges start. */
  readonly positions: Readonly<Record<LaneId, Offset>>;
  /** Where the run began: positions before epoch 0, for partitions known then. */
  readonly starts: Readonly<Record<LaneId, Offset>>;
  /** Greatest event time per watermark and source seen up to the last mapped and planned epoch, µs; null = none. */
  readonly eventTimes: readonly (number | null)[];
  /** Watermark computed after the last mapped epoch: in force for the next one; null = none yet. */
  readonly watermarkUs: number | null;
  /** Watermark in force in the last planned epoch: the next one judges lateness by it. */
  readonly evictUs: number | null;
  /** Where the present availableNow execution ends; null = no such execution. */
  readonly ends: Readonly<Record<LaneId, Offset>> | null;
  /** Blob with the newest assignment (JSON): a hint that lets a new leader leave state where it is. null = none. */
  readonly placement: string | null;
  readonly snapshot: SnapshotRef | null;
  /** The one before: used when a blob of the newest is damaged. */
  readonly formerSnapshot: SnapshotRef | null;
  /** The savepoint (or other run's state) that this run started from. */
  readonly base: SnapshotRef | null;
  /** Blob with the plans of former runs that are repeated first (master/epochs-repeats.ts); absent or null = none. */
  readonly repeats?: string | null;
  /** Sums over committed epochs. */
  readonly counters: LaneCounters;
  readonly late: Readonly<Record<string, number>>;
}

/** Who leads. Changed by compare-and-set on `ver`; `beat` grows while the holder lives. */
export interface LeaseRow {
  readonly ver: number;
  readonly nonce: string;
  /** Grows with every holder: the fence of everything it writes. */
  readonly token: Fence;
  readonly holder: string;
  /** host:port of the holder's gRPC service, for workers and the CLI. */
  readonly address: string;
  /** Base URL of the holder's REST interface, for the masters that hand requests on to it. */
  readonly httpAddress: string;
  readonly beat: number;
  /** Id of the holder's security folder, which all masters have to share; absent = there is none to share. */
  readonly security?: string;
}

/** A named, kept checkpoint. */
export interface SavepointRow {
  readonly formatVersion: number;
  readonly job: JobName;
  readonly name: string;
  readonly run: Run;
  readonly revision: number;
  /** Content hash of the definition that made the state. */
  readonly definition: string;
  /** The head as of the savepoint's epoch. */
  readonly head: EpochHead;
  /** ms since 1970, for display. */
  readonly createdAt: number;
  readonly bytes: number;
}

/** Who does what from an epoch on: key groups and partitions to workers. Held in memory; state proves itself by its epoch. */
export interface EpochAssignment {
  /** Grows with every change under one leader. */
  readonly version: number;
  readonly workers: readonly { readonly id: WorkerId; readonly address: string; readonly threads: number }[];
  /** For each key group the index of its worker. */
  readonly groups: readonly number[];
  /** For each partition the index of its worker. */
  readonly partitions: Readonly<Record<LaneId, number>>;
}
