/** What the master shows of jobs and workers: to REST, the CLI, the status page and metrics. */
import type { JobRow } from '../core/meta.ts';
import type { LaneCounters } from '../core/lane/position.ts';
import type { EpochsView } from './epochs-progress.ts';

export interface LaneView {
  readonly lane: string;
  readonly source: string;
  readonly topic: string;
  readonly partition: number;
  readonly owner: string | null;
  readonly generation: number;
  readonly state: string;
  readonly code: string | null;
  readonly message: string | null;
  readonly committedOffset: number;
  readonly readOffset: number;
  readonly endOffset: number;
  /** Records behind the end of the log; -1 = not known yet. */
  readonly lag: number;
  readonly counters: LaneCounters;
}

export interface JobView {
  readonly row: JobRow;
  readonly lanes: readonly LaneView[];
  readonly counters: LaneCounters;
  readonly lag: number;
  /** A stateful job's epochs and state; null for others. */
  readonly epochs: EpochsView | null;
  /** Over the last seconds. */
  readonly recordsPerSecond: number;
  readonly rowsPerSecond: number;
  /** End-to-end latency (record appended → sink acknowledged) over the last seconds, ms; null when nothing ran. */
  readonly latencyMsP50: number | null;
  readonly latencyMsP99: number | null;
}

export interface WorkerView {
  readonly id: string;
  readonly state: 'alive' | 'draining' | 'silent';
  readonly httpAddress: string;
  readonly threads: number;
  readonly version: string;
  readonly lanes: number;
  readonly rssBytes: number;
  readonly eventLoopDelayMs: number;
  /** ms since the last heartbeat. */
  readonly heartbeatAgeMs: number;
}
