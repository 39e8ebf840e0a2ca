/**
 * Looks at the cluster again and again, for everybody who watches: keeps events and progress and tells subscribers what
 * changed. One look serves all of them; when looking is costly (many jobs) it is done less often.
 */
import type { Clock } from '../core/clock.ts';
import type { ClusterEvent } from './events.ts';
import { EventLog } from './events.ts';
import type { StreamingQueryProgress } from './progress.ts';
import { ProgressLog } from './progress.ts';
import type { JobView, WorkerView } from './views.ts';

export interface WatchedCluster {
  jobs(): readonly JobView[];
  workers(): readonly WorkerView[];
}

/** What one look saw. */
export interface Look {
  readonly jobs: readonly JobView[];
  readonly workers: readonly WorkerView[];
  readonly events: readonly ClusterEvent[];
  readonly progress: readonly StreamingQueryProgress[];
}

/** A snapshot of a stateful job that a look saw named. */
export interface CheckpointSeen {
  readonly epoch: number;
  /** ms since 1970. */
  readonly at: number;
  readonly bytes: number;
  readonly durationMs: number | null;
}

const INTERVAL_MS = 500;
/** Looking may take this part of the time. */
const SHARE = 0.04;
const CHECKPOINTS_KEPT = 50;

export class ClusterWatch {
  readonly #cluster: WatchedCluster;
  readonly #clock: Clock;
  readonly #leads: () => boolean;
  readonly #listeners = new Set<(look: Look) => void>();
  readonly #checkpoints = new Map<string, CheckpointSeen[]>();
  #events = new EventLog();
  #progress = new ProgressLog();
  #cancel: () => void = () => undefined;
  #closed = false;

  constructor(cluster: WatchedCluster, clock: Clock, leads: () => boolean = () => true) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#leads = leads;
  }

  /** Begins to look. */
  open(): void {
    const startedAt = this.#clock.mono();
    this.look();
    const took = this.#clock.mono() - startedAt;
    if (this.#closed) return;
    this.#cancel = this.#clock.timer(Math.max(INTERVAL_MS, took / SHARE), () => this.open());
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  /** One look, now. While another master leads there is nothing to see, and what was known is forgotten. */
  look(): void {
    if (!this.#leads()) {
      this.#events = new EventLog();
      this.#progress = new ProgressLog();
      this.#checkpoints.clear();
      return;
    }
    const jobs = this.#cluster.jobs();
    const workers = this.#cluster.workers();
    const now = this.#clock.now();
    const events = this.#events.look(jobs, workers, now);
    const progress = this.#progress.look(jobs, this.#clock.mono(), now);
    this.#keepCheckpoints(jobs, now);
    for (const listener of this.#listeners) listener({ jobs, workers, events, progress });
  }

  #keepCheckpoints(jobs: readonly JobView[], now: number): void {
    const names = new Set(jobs.map(({ row }) => row.name as string));
    for (const name of this.#checkpoints.keys()) if (!names.has(name)) this.#checkpoints.delete(name);
    for (const { row, epochs } of jobs) {
      if (epochs === null || epochs.snapshotEpoch === null) continue;
      const seen = this.#checkpoints.get(row.name) ?? [];
      this.#checkpoints.set(row.name, seen);
      if (seen[0]?.epoch === epochs.snapshotEpoch) continue;
      const at = Math.round(now - (epochs.snapshotAgeMs ?? 0));
      seen.unshift({ epoch: epochs.snapshotEpoch, at, bytes: epochs.snapshotBytes, durationMs: null });
      if (seen.length > CHECKPOINTS_KEPT) seen.pop();
    }
  }

  /** A job has changed just now: what it is may not last until the next look. */
  lookAtJob(viewOf: () => JobView | undefined): void {
    const view = this.#leads() ? viewOf() : undefined;
    if (view !== undefined) this.#events.lookAtJob(view, this.#clock.now());
  }

  /** Calls `listener` with every look; the result ends that. */
  subscribe(listener: (look: Look) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The last events, oldest first. */
  lastEvents(count: number, job?: string): readonly ClusterEvent[] {
    return this.#events.last(count, job);
  }

  eventsSince(seq: number): readonly ClusterEvent[] {
    return this.#events.since(seq);
  }

  /** Something that a look does not show, for the log of events. */
  note(facts: Parameters<EventLog['note']>[1]): void {
    this.#events.note(this.#clock.now(), facts);
  }

  /** The last batches of a job, oldest first. */
  progressOf(job: string, count: number): readonly StreamingQueryProgress[] {
    return this.#progress.last(job, count);
  }

  /** Newest first. */
  checkpointsOf(job: string, count: number): readonly CheckpointSeen[] {
    return (this.#checkpoints.get(job) ?? []).slice(0, count);
  }
}
