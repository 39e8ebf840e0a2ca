/** The durable facts of a cluster: one row per job, changed by compare-and-set alone, and one row per lane. */
import type { Clock, Rng } from './clock.ts';
import { backoffMs } from './clock.ts';
import type {
  Epoch,
  Generation,
  JobName,
  LaneId,
  Offset,
  Partition,
  Revision,
  Run,
  TimestampUs,
  TopicId,
  WorkerId,
} from './ids.ts';
import type { EpochHead, EpochPlan, LeaseRow, SavepointRow } from './epoch/types.ts';
import type { LanePosition } from './lane/position.ts';
import type { ScheduleState } from './schedule/decide.ts';
import type { JobState } from './states.ts';

export const META_FORMAT_VERSION = 1;

/** Who has a lane. `owner` may start when `previousOwner` has acknowledged or 3 s after the change became durable. */
export interface LaneAssignment {
  readonly topic: string;
  /** Distinct within the run, never reused; separates the timestamps of partitions. */
  readonly ordinal: number;
  readonly generation: Generation;
  readonly owner: WorkerId | null;
  readonly previousOwner: WorkerId | null;
  /** Where an availableNow execution ends; null = never. */
  readonly end: Offset | null;
  /** Was there when the run began: starts as the run says. Partitions added later start at their beginning. */
  readonly initial: boolean;
}

/** Where the lanes of a run start that have no row of their own yet. */
export type StartPoint =
  /** As the job's startingOffsets say; later partitions from their beginning. */
  | { readonly kind: 'initial' }
  /**
   * Where the same partition stood in `run` or, when its lane never began in that one, in the latest run before it back
   * to `since`, which began as `otherwise` says and so does a lane that none of them knows.
   */
  | {
      readonly kind: 'continue';
      readonly run: Run;
      readonly since: Run;
      readonly otherwise: 'initial' | 'earliest' | 'latest';
      /** Comes before `otherwise`: where `since` was told to begin. */
      readonly offsets?: Readonly<Record<LaneId, Offset>>;
      readonly watermark?: StartWatermark;
    }
  /** At these offsets; lanes that are not named as the job's startingOffsets say. */
  | {
      readonly kind: 'offsets';
      readonly offsets: Readonly<Record<LaneId, Offset>>;
      /** Stateful jobs; absent = none yet. */
      readonly watermark?: StartWatermark;
    }
  | { readonly kind: 'earliest' | 'latest' }
  /** Stateful jobs: with the state and the positions of a savepoint. */
  | { readonly kind: 'savepoint'; readonly name: string };

/** A watermark that was reached before the run began, elsewhere: what is behind it is late from the first epoch on. µs. */
export interface StartWatermark {
  /** In force in the first epoch. */
  readonly currentUs: number;
  /** In force before it: the first epoch judges lateness by it; null = none yet. */
  readonly formerUs: number | null;
}

/** A definition that a job once had. */
export interface FormerRevision {
  readonly revision: Revision;
  readonly definition: string;
}

export interface JobRow {
  readonly formatVersion: number;
  readonly name: JobName;
  /** Grows by one with every change; what compare-and-set compares. */
  readonly ver: number;
  /** Fresh for every change; tells whose change it was when the outcome was not known. */
  readonly nonce: string;
  readonly revision: Revision;
  /** Content hash of the job's definition, see {@link MetaStore.getDefinition}. */
  readonly definition: string;
  /** Revisions before this one that can be gone back to, newest first. */
  readonly former?: readonly FormerRevision[];
  readonly run: Run;
  readonly runStart: TimestampUs;
  readonly stride: number;
  readonly start: StartPoint;
  /** How many workers the job uses at most; absent and null = all. */
  readonly workersMax?: number | null;
  /** Runs of a job with a schedule; absent = it has none. */
  readonly schedule?: ScheduleState;
  readonly state: JobState;
  /** Why the state is what it is, where that needs saying. */
  readonly reason: { readonly code: string; readonly message: string } | null;
  readonly lanes: Readonly<Record<LaneId, LaneAssignment>>;
  /** ms since 1970, for display. */
  readonly submittedAt: number;
  readonly changedAt: number;
}

export interface LaneKey {
  readonly job: JobName;
  readonly run: Run;
  readonly source: string;
  readonly topicId: TopicId;
  readonly partition: Partition;
}

export interface LaneRow extends LaneKey {
  readonly position: LanePosition;
}

/** A compare-and-set has three outcomes. `unknown` may still be applied, now or later: never take it for "no". */
export type CasOutcome<T> =
  | { readonly kind: 'applied' }
  | { readonly kind: 'rejected'; readonly current: T | undefined }
  | { readonly kind: 'unknown'; readonly cause: unknown };

/**
 * Where durable facts live: Cassandra (lightweight transactions) or the embedded process. All methods throw
 * STORE_UNAVAILABLE when the store does not answer.
 */
export interface MetaStore {
  /** Creates what is missing (keyspace, tables). */
  prepare(): Promise<void>;
  listJobs(): Promise<JobName[]>;
  /** Linearizable: sees every change that was ever reported as applied, and completes what was in flight. */
  readJob(name: JobName): Promise<JobRow | undefined>;
  /** Sees every change reported as applied before the call; cheaper than {@link readJob}. */
  readOwnership(name: JobName): Promise<JobRow | undefined>;
  /** Replaces the row if its `ver` is `expectedVer` (0 = there is no row). `next.ver` must be `expectedVer + 1`. Rows are never removed. */
  casJob(expectedVer: number, next: JobRow): Promise<CasOutcome<JobRow>>;
  /** Definitions are immutable and named by the hash of their text. */
  putDefinition(hash: string, text: string): Promise<void>;
  getDefinition(hash: string): Promise<string | undefined>;
  readLane(key: LaneKey): Promise<LaneRow | undefined>;
  readLanes(job: JobName, run: Run): Promise<LaneRow[]>;
  /** A max-register by `position.nextOffset`: late, repeated and reordered calls do no harm. */
  writeLane(row: LaneRow): Promise<void>;
  /** Linearizable. */
  readEpochs(job: JobName, run: Run): Promise<EpochHead | undefined>;
  /**
   * Replaces the head if its `ver` is `expectedVer` (0 = there is none) and writes `plans` into their slots (epoch mod
   * PLAN_SLOTS), all or nothing.
   */
  casEpochs(expectedVer: number, next: EpochHead, plans: readonly EpochPlan[]): Promise<CasOutcome<EpochHead>>;
  /** Plans of the epochs `[from, to]` in their order. Throws: NOT_FOUND when a slot holds another epoch. */
  readPlans(job: JobName, run: Run, from: Epoch, to: Epoch): Promise<EpochPlan[]>;
  /** Linearizable. The cluster has one lease. */
  readLease(): Promise<LeaseRow | undefined>;
  casLease(expectedVer: number, next: LeaseRow): Promise<CasOutcome<LeaseRow>>;
  putSavepoint(row: SavepointRow): Promise<void>;
  getSavepoint(job: JobName, name: string): Promise<SavepointRow | undefined>;
  listSavepoints(job: JobName): Promise<SavepointRow[]>;
  deleteSavepoint(job: JobName, name: string): Promise<void>;
  /** The store's own wall clock, ms since 1970: a leader whose clock is far from it plans nothing. */
  now(): Promise<number>;
  close(): Promise<void>;
}

/** Result of {@link changeJob}. */
export type ChangeOutcome =
  | { readonly kind: 'applied'; readonly row: JobRow }
  | { readonly kind: 'rejected'; readonly current: JobRow | undefined };

/**
 * Carries one compare-and-set through to a known outcome: an unknown one is settled by a linearizable read (which also
 * completes what was in flight) and, while the old version still stands, by sending the same change again; `ver` and
 * `nonce` make that safe.
 *
 * Throws: STORE_UNAVAILABLE when the store gives no answer until the signal aborts.
 */
export async function changeJob(
  store: MetaStore,
  clock: Clock,
  rng: Rng,
  expectedVer: number,
  next: JobRow,
  signal?: AbortSignal,
): Promise<ChangeOutcome> {
  for (let attempt = 0; ; attempt++) {
    const outcome = await store.casJob(expectedVer, next);
    if (outcome.kind === 'applied') return { kind: 'applied', row: next };
    const current = await settle(store, clock, rng, next.name, signal);
    if (current !== undefined && current.nonce === next.nonce) return { kind: 'applied', row: next };
    if ((current?.ver ?? 0) !== expectedVer) return { kind: 'rejected', current };
    if (outcome.kind === 'rejected') return { kind: 'rejected', current };
    await clock.sleep(backoffMs(rng, attempt), signal);
  }
}

async function settle(
  store: MetaStore,
  clock: Clock,
  rng: Rng,
  name: JobName,
  signal?: AbortSignal,
): Promise<JobRow | undefined> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await store.readJob(name);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      await clock.sleep(backoffMs(rng, attempt), signal);
    }
  }
}
