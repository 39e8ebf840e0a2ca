/** What the master shows of jobs and workers: to REST, the CLI, the status page and metrics. */
import type { Labels } from '../core/job/labels.ts';
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

/** Figures of one operator; null = not known. */
export interface OperatorView {
  /** `source0`, `stage0`, `sink0` …: places in the plan. */
  readonly id: string;
  readonly rowsPerSecond: number | null;
  /**
   * Part of the time, 0 to 1, on the worker where it is highest: of stages, in which threads worked for it; of sinks, in
   * which rows waited for its acknowledgement.
   */
  readonly busyRatio: number | null;
  /** Of sources: part of the time in which partitions could not be read on, because what was read before is not done with. */
  readonly blockedRatio: number | null;
  readonly stateRows: number | null;
  readonly stateBytes: number | null;
}

/** A topic that is read; `options` name the connection, empty = the default one. */
export interface SourcePlace {
  readonly name: string;
  readonly connector: string;
  readonly options: Readonly<Record<string, string>>;
  readonly topic: string;
}

export interface SinkPlace {
  readonly connector: string;
  readonly options: Readonly<Record<string, string>>;
  /** `keyspace.table`, `topic name`, or the connector. */
  readonly description: string;
}

/** What a job reads and writes. */
export interface JobPlaces {
  /** Of the job file. */
  readonly labels: Labels;
  readonly protocol: 'lanes' | 'epochs';
  readonly sources: readonly SourcePlace[];
  readonly sinks: readonly SinkPlace[];
  /** Topics that the job reads. */
  readonly topics: readonly string[];
}

/** A field of records that is not what the job was planned with. */
export interface SchemaChangeView {
  readonly source: string;
  readonly kind: 'new' | 'missing' | 'retyped';
  readonly column: string;
  /** Types as SQL writes them; null = there is no such field, or it cannot be told. */
  readonly before: string | null;
  readonly after: string | null;
  /** Of a record that has it. */
  readonly partition: number;
  readonly offset: number;
  /** All of it in words: `town STRING is new (partition 0, offset 17)`. */
  readonly message: string;
}

export interface JobView extends JobPlaces {
  readonly row: JobRow;
  readonly operators: readonly OperatorView[];
  readonly lanes: readonly LaneView[];
  readonly counters: LaneCounters;
  readonly lag: number;
  /** A stateful job's epochs and state; null for others. */
  readonly epochs: EpochsView | null;
  /** How records differ from the schemas of their sources, where those ask for it: since the run began. */
  readonly schemaChanges: readonly SchemaChangeView[];
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
