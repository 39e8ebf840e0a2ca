/** The master's metrics (core/metrics/table.ts): read off the cluster when somebody scrapes. */
import { Registry } from 'prom-client';
import type { RegistryOutcome } from '../connectors/schema-registry/registry-client.ts';
import { Instruments } from '../connectors/system/instruments.ts';
import type { MetricOf } from '../core/metrics/table.ts';
import type { JobState } from '../core/states.ts';
import { jobTransitions } from '../core/states.ts';
import type { EpochsView } from './epochs-progress.ts';
import type { JobView, WorkerView } from './views.ts';
import type { Look } from './watch.ts';

export interface ClusterFigures {
  jobs(): readonly JobView[];
  workers(): readonly WorkerView[];
}

/** How this master stands; `leaseMs`: for how long it may lead without a renewal, 0 = it does not. */
export interface StandingFigures {
  leads(): boolean;
  leaseMs(): number;
}

export class MasterMetrics {
  readonly registry = new Registry();
  readonly #asked;
  readonly #lost;

  constructor(cluster: ClusterFigures, standing: StandingFigures, version: string) {
    const make = new Instruments(this.registry, version);
    make.eventLoop();
    this.#asked = make.counter('weir_registry_requests_total');
    this.#lost = make.counter('weir_workers_lost_total');
    for (const outcome of ['ok', 'unknown', 'failed'] as const) this.#asked.inc({ outcome }, 0);
    // One look at all jobs serves all metrics of a scrape.
    let jobs: readonly JobView[] = [];
    make.read('weir_jobs', (set) => {
      jobs = cluster.jobs();
      for (const state of Object.keys(jobTransitions) as JobState[])
        set({ state }, jobs.filter((job) => job.row.state === state).length);
    });
    make.read('weir_workers', (set) => {
      for (const state of ['alive', 'draining', 'silent'] as const)
        set({ state }, cluster.workers().filter((worker) => worker.state === state).length);
    });
    make.read('weir_master_leads', (set) => set({}, standing.leads() ? 1 : 0));
    make.read('weir_master_lease_remaining_seconds', (set) => set({}, standing.leaseMs() / 1000));
    jobMetrics(make, () => jobs);
    epochMetrics(make, () => jobs);
  }

  /** Counts workers that are gone. */
  look({ events, workers }: Pick<Look, 'events' | 'workers'>): void {
    const here = new Set(workers.map(({ id }) => id));
    for (const { kind, level, worker } of events)
      if (kind === 'worker' && level === 'warn' && worker !== null && !here.has(worker)) this.#lost.inc();
  }

  /** A schema registry was asked. */
  asked(outcome: RegistryOutcome): void {
    this.#asked.inc({ outcome });
  }
}

function jobMetrics(make: Instruments, jobs: () => readonly JobView[]): void {
  make.read('weir_job_state', (set) => {
    for (const { row } of jobs()) set({ job_name: row.name, state: row.state }, 1);
  });
  make.read('weir_job_run', (set) => {
    for (const { row } of jobs()) set({ job_name: row.name }, row.run);
  });
  make.read('weir_job_lanes', (set) => {
    for (const { row, lanes, protocol } of jobs()) {
      if (protocol !== 'lanes') continue;
      const owned = lanes.filter((lane) => lane.owner !== null).length;
      set({ job_name: row.name, owned: 'true' }, owned);
      set({ job_name: row.name, owned: 'false' }, lanes.length - owned);
    }
  });
  const ratio = (name: MetricOf<'gauge'> & `weir_job_${string}_ratio`, of: 'busyRatio' | 'blockedRatio'): void =>
    make.read(name, (set) => {
      for (const { row, operators } of jobs()) {
        // Threads do not work while a sink is waited for.
        const own = operators.filter(({ id }) => !id.startsWith('sink'));
        const known = own.flatMap((operator) => operator[of] ?? []);
        if (known.length === 0) continue;
        const value = of === 'busyRatio' ? known.reduce((sum, part) => sum + part, 0) : Math.max(...known);
        set({ job_name: row.name }, value);
      }
    });
  ratio('weir_job_busy_ratio', 'busyRatio');
  ratio('weir_job_blocked_ratio', 'blockedRatio');
}

/** Of stateful jobs. What the workers count (state, late rows) is theirs to show. */
function epochMetrics(make: Instruments, jobs: () => readonly JobView[]): void {
  const perJob = (name: MetricOf<'gauge'> & PerJob, value: (view: EpochsView) => number | null): void =>
    make.read(name, (set) => {
      for (const { row, epochs } of jobs()) {
        const figure = epochs === null ? null : value(epochs);
        if (figure !== null) set({ job_name: row.name }, figure);
      }
    });
  const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);
  perJob('weir_epoch_planned', ({ planned }) => planned);
  perJob('weir_epoch_committed', ({ committed }) => committed);
  perJob('weir_epoch_watermark_seconds', ({ watermarkMs }) => seconds(watermarkMs));
  perJob('weir_epoch_lag_records', ({ lag }) => lag);
  perJob('weir_epoch_commit_gap_p99_seconds', ({ commitGapMsP99 }) => seconds(commitGapMsP99));
  perJob('weir_snapshot_age_seconds', ({ snapshotAgeMs }) => seconds(snapshotAgeMs));
  perJob('weir_snapshot_bytes', ({ snapshotBytes }) => snapshotBytes);
  make.read('weir_epoch_seconds', (set) => {
    for (const { row, epochs } of jobs()) {
      if (epochs === null || epochs.epochMsP50 === null || epochs.epochMsP99 === null) continue;
      set({ job_name: row.name, quantile: '0.5' }, epochs.epochMsP50 / 1000);
      set({ job_name: row.name, quantile: '0.99' }, epochs.epochMsP99 / 1000);
    }
  });
  make.read('weir_epoch_phase_seconds', (set) => {
    for (const { row, epochs } of jobs())
      for (const [phase, ms] of Object.entries(epochs?.lastProgress?.durationMs ?? {}))
        set({ job_name: row.name, phase }, ms / 1000);
  });
  make.read('weir_key_groups', (set) => {
    for (const { row, epochs } of jobs())
      for (const { id, groups } of epochs?.workers ?? []) set({ job_name: row.name, worker: id }, groups);
  });
}

/** Gauges with no label but the job's name. */
type PerJob =
  | 'weir_epoch_planned'
  | 'weir_epoch_committed'
  | 'weir_epoch_watermark_seconds'
  | 'weir_epoch_lag_records'
  | 'weir_epoch_commit_gap_p99_seconds'
  | 'weir_snapshot_age_seconds'
  | 'weir_snapshot_bytes';
