/** What lanes tell about themselves, once per batch: feeds metrics and heartbeats. */
import type { StageResult } from '../engine/stage.ts';

export type Phase = 'process' | 'write' | 'commit';

export interface LaneObserver {
  /** Bytes fetched. */
  read(bytes: number): void;
  /** A chunk was acknowledged by every sink; ms from its fetch. */
  batch(result: StageResult, durationMs: number): void;
  phase(phase: Phase, ms: number): void;
  /** So many records were acknowledged `ms` after they were appended. */
  latency(ms: number, records: number): void;
  /** What was read before was not processed or written yet: the lane could not read on for so long. */
  blocked(ms: number): void;
  /** A write was refused because the lane lost its ownership. */
  fenced(): void;
  /** Offsets were gone before they were read. */
  lost(offsets: number): void;
}
