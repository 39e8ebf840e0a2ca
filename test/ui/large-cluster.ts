/** A thousand jobs and two hundred partitions: the master's own doors over a cluster that only says so. */
import { Registry } from 'prom-client';
import { zeroCounters } from '../../core/lane/position.ts';
import type { Connections } from '../../core/ports.ts';
import type { HttpServer } from '../../master/http/server.ts';
import { startHttp } from '../../master/http/server.ts';
import type { ClusterControl } from '../../master/service.ts';
import { JobService } from '../../master/service.ts';
import type { JobView, LaneView } from '../../master/views.ts';
import { noLog } from '../conformance/no-log.ts';

export const JOBS = 1000;
/** Of the first job. */
export const PARTITIONS = 200;
let tick = 0;

/** Every figure of every job changes. */
export function move(): void {
  tick++;
}

function laneOf(partition: number): LaneView {
  const lag = (partition * 37 + tick * 13) % 500;
  return {
    lane: `source/${partition}`,
    source: 'source',
    topic: 'wide',
    partition,
    owner: `worker-${partition % 8}`,
    generation: 1,
    state: 'running',
    code: null,
    message: null,
    committedOffset: tick * 100,
    readOffset: tick * 100,
    endOffset: tick * 100 + lag,
    lag,
    counters: zeroCounters,
  };
}

function jobOf(index: number): JobView {
  const name = `job-${String(index).padStart(4, '0')}`;
  const lanes = index === 0 ? Array.from({ length: PARTITIONS }, (_, partition) => laneOf(partition)) : [];
  const row = {
    name,
    state: index % 97 === 5 ? 'failed' : 'running',
    reason: index % 97 === 5 ? { code: 'SINK_SCHEMA', message: 'The table has no such column.' } : null,
    revision: 1,
    run: 1,
    definition: 'x',
    lanes: {},
    submittedAt: 0,
    changedAt: 0,
  };
  const rows = 100 + ((index * 7 + tick * 3) % 50);
  const figures = { lag: index % 20, recordsPerSecond: rows, rowsPerSecond: rows, latencyMsP50: 4, latencyMsP99: 9 };
  const places = {
    schemaChanges: [],
    labels: {},
    operators: [],
    protocol: 'lanes',
    sources: [],
    sinks: [],
    topics: ['wide'],
  };
  return { row, lanes, counters: zeroCounters, epochs: null, ...figures, ...places } as unknown as JobView;
}

/** Listens on loopback; no token is asked for. */
export async function startLargeCluster(): Promise<HttpServer> {
  const jobs = (): JobView[] => Array.from({ length: JOBS }, (_, index) => jobOf(index));
  const control = { jobs, job: (name: string) => jobOf(Number(name.slice(4))), workers: () => [] };
  const tables = { query: () => Promise.resolve({ columns: [], rows: [] }) };
  const connections = { tables: () => tables } as unknown as Connections;
  const service = new JobService(control as unknown as ClusterControl, connections, noLog);
  return await startHttp(service, {
    host: '127.0.0.1',
    port: 0,
    token: null,
    registry: new Registry(),
    log: noLog,
  });
}
