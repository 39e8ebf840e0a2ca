/** The master's metrics; names and labels are listed in docs/metrics.md. */
import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { JobState } from '../core/states.ts';
import { jobTransitions } from '../core/states.ts';
import type { EpochsView, StateOperatorView } from './epochs-progress.ts';
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
  return registry;
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
