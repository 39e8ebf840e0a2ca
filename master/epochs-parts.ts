/** What the coordinator of a stateful job is given, and what it tells. */
import type { Clock, Rng } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { HeadFacts, Manifest } from '../core/epoch/manifest.ts';
import type { EpochHead, SnapshotRef } from '../core/epoch/types.ts';
import type { Epoch, Fence, JobName, Run, WorkerId } from '../core/ids.ts';
import type { MetaStore, StartWatermark } from '../core/meta.ts';
import type { BlobStore, Failpoints, Log, Source, TableStore } from '../core/ports.ts';
import type { EpochSource, EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { EpochOrder } from '../proto/gen/control.ts';
import type { MoveTurns } from './move-turns.ts';

/** Where a run without a head begins. */
export type RunBegin = {
  /** Write times begin above this, µs: former runs wrote up to it. */
  readonly aboveUs: number;
} & (
  | { readonly kind: 'offsets'; readonly at: 'initial' | 'earliest' | 'latest' }
  /** Without state. */
  | {
      readonly kind: 'positions';
      readonly positions: EpochHead['positions'];
      readonly watermark?: StartWatermark | undefined;
    }
  /** With the state of a snapshot: of a savepoint or of the run before. Epoch numbers go on from it. */
  | { readonly kind: 'state'; readonly epoch: Epoch; readonly at: HeadFacts; readonly snapshot: SnapshotRef }
) & {
    /** Blob with the plans that come first (epochs-repeats.ts); absent = none. */
    readonly repeats?: string | undefined;
    /** Manifests of snapshots that nobody needs once the run has begun. */
    readonly garbage?: readonly string[];
  };

export interface EpochParts {
  readonly store: MetaStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly failpoints: Failpoints;
  readonly job: JobName;
  readonly run: Run;
  /** Hash of the definition that workers are to read. */
  readonly definition: string;
  readonly plan: EpochsPlan;
  /** The leader's: greater than that of every leader before. */
  readonly token: Fence;
  /** Asked when the run has no head yet. */
  readonly begin: () => Promise<RunBegin>;
  readonly source: (source: EpochSource) => Source;
  readonly tables: (connector: string) => TableStore;
  readonly send: (worker: WorkerId, order: EpochOrder) => void;
  /** Shared by the jobs of this master. */
  readonly turns: MoveTurns;
  /** Last attempt made of each epoch under this token; outlives this coordinator, so that no attempt is made twice. */
  readonly attempts: Map<Epoch, number>;
  /** Epochs run; all of an availableNow execution is done; it cannot go on. */
  readonly onChange: (change: EpochChange) => void;
}

export type EpochChange =
  | { readonly kind: 'running' }
  | { readonly kind: 'finished' }
  | { readonly kind: 'fenced'; readonly message: string }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

/** A snapshot that the head names. */
export interface Checkpoint {
  readonly ref: SnapshotRef;
  readonly manifest: Manifest;
}
