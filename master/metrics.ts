/** The master's metrics; names and labels are listed in docs/metrics.md. */
import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { JobState } from '../core/states.ts';
import { jobTransitions } from '../core/states.ts';
import type { EpochsView } from './epochs-progress.ts';
import type { JobView, WorkerView } from './views.ts';

export interface ClusterFigures {
  jobs(): readonly JobView[];
  workers(): readonly WorkerView[];
}

export function masterRegistry(cluster: ClusterFigures, version: string): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'weir_build_info',
    help: 'Version of Weir and Node',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.version }, 1);
  gauge(registry, 'weir_workers', 'Workers by state', ['state'], (set) => {
    for (const state of ['alive', 'draining', 'silent'] as const)
      set({ state }, cluster.workers().filter((worker) => worker.state === state).length);
  });
  gauge(registry, 'weir_jobs', 'Jobs by state', ['state'], (set) => {
    for (const state of Object.keys(jobTransitions) as JobState[])
      set({ state }, cluster.jobs().filter((job) => job.row.state === state).length);
  });
  gauge(registry, 'weir_job_lanes', 'Lanes of a job with and without an owner', ['job_name', 'owned'], (set) => {
    for (const job of cluster.jobs()) {
      const owned = job.lanes.filter((lane) => lane.owner !== null).length;
      set({ job_name: job.row.name, owned: 'true' }, owned);
      set({ job_name: job.row.name, owned: 'false' }, job.lanes.length - owned);
    }
  });
  epochMetrics(registry, cluster);
  return registry;
}

/** Of stateful jobs. What the workers count (state, late rows) is theirs to show. */
function epochMetrics(registry: Registry, cluster: ClusterFigures): void {
  const perJob = (name: string, help: string, value: (view: EpochsView) => number | null): void =>
    gauge(registry, name, help, ['job_name'], (set) => {
      for (const { row, epochs } of cluster.jobs()) {
        const figure = epochs === null ? null : value(epochs);
        if (figure !== null) set({ job_name: row.name }, figure);
      }
    });
  const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);
  perJob('weir_epoch_planned', 'Last epoch planned; -1 = none', ({ planned }) => planned);
  perJob('weir_epoch_committed', 'Last epoch committed; -1 = none', ({ committed }) => committed);
  perJob('weir_epoch_watermark_seconds', 'Watermark in force in the next epoch, since 1970', ({ watermarkMs }) =>
    seconds(watermarkMs),
  );
  perJob('weir_epoch_lag_records', 'Records known to wait above the planned positions', ({ lag }) => lag);
  perJob('weir_epoch_commit_gap_p99_seconds', 'Gap between commits over the last epochs', ({ commitGapMsP99 }) =>
    seconds(commitGapMsP99),
  );
  perJob('weir_snapshot_age_seconds', 'Time since the last snapshot was named', ({ snapshotAgeMs }) =>
    seconds(snapshotAgeMs),
  );
  perJob('weir_snapshot_bytes', 'Bytes of state in the last snapshot', ({ snapshotBytes }) => snapshotBytes);
  gauge(
    registry,
    'weir_epoch_seconds',
    'From plan to commit, over the last epochs',
    ['job_name', 'quantile'],
    (set) => {
      for (const { row, epochs } of cluster.jobs()) {
        if (epochs === null || epochs.epochMsP50 === null || epochs.epochMsP99 === null) continue;
        set({ job_name: row.name, quantile: '0.5' }, epochs.epochMsP50 / 1000);
        set({ job_name: row.name, quantile: '0.99' }, epochs.epochMsP99 / 1000);
      }
    },
  );
  gauge(registry, 'weir_epoch_phase_seconds', 'Phases of the last epoch', ['job_name', 'phase'], (set) => {
    for (const { row, epochs } of cluster.jobs())
      for (const [phase, ms] of Object.entries(epochs?.lastProgress?.durationMs ?? {}))
        set({ job_name: row.name, phase }, ms / 1000);
  });
}

/** 1 while this master leads: summed over all masters it should be 1. */
export function watchLeading(registry: Registry, leads: () => boolean): void {
  gauge(registry, 'weir_master_leads', 'Whether this master leads', [], (set) => set({}, leads() ? 1 : 0));
}

type SetGauge<L extends string> = (labels: Record<L, string>, value: number) => void;

function gauge<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[],
  collect: (set: SetGauge<L>) => void,
): void {
  const metric: Gauge<L> = new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect: () => {
      metric.reset();
      collect((labels, value) => metric.set(labels, value));
    },
  });
}
