/** What lanes tell about themselves, once per batch: feeds metrics and heartbeats. */
import type { Offset, Partition } from '../core/ids.ts';
import type { StageResult } from '../engine/stage.ts';

export type Phase = 'process' | 'write' | 'commit';

/** Whose records a chunk holds: some of those in [from, to). */
export interface BatchPlace {
  readonly partition: Partition;
  readonly from: Offset;
  readonly to: Offset;
}

export interface LaneObserver {
  /** Bytes fetched. */
  read(bytes: number): void;
  /** A chunk was acknowledged by every sink; ms from its fetch. */
  batch(result: StageResult, durationMs: number, place: BatchPlace): void;
  /** Of the chunk with this result; without one: of the lane. */
  phase(phase: Phase, ms: number, result?: StageResult): void;
  /** So many records were acknowledged `ms` after they were appended. */
  latency(ms: number, records: number): void;
  /** What was read before was not processed or written yet: the lane could not read on for so long. */
  blocked(ms: number): void;
  /** A write was refused because the lane lost its ownership. */
  fenced(): void;
  /** Offsets were gone before they were read. */
  lost(offsets: number): void;
}
