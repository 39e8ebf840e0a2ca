/** A master's REST interface over a cluster that keeps jobs in memory and runs nothing: for tests of who may ask what. */
import { Registry } from 'prom-client';
import { WeirError } from '../../core/errors.ts';
import type { JobName } from '../../core/ids.ts';
import { revision, run, timestampUs } from '../../core/ids.ts';
import { zeroCounters } from '../../core/lane/position.ts';
import type { JobRow } from '../../core/meta.ts';
import type { Connections } from '../../core/ports.ts';
import type { HttpOptions } from '../../master/http/server.ts';
import { buildHttp } from '../../master/http/server.ts';
import type { ClusterControl, JobDefinition } from '../../master/service.ts';
import { JobService } from '../../master/service.ts';
import type { JobView } from '../../master/views.ts';
import { noLog } from '../conformance/no-log.ts';

const nothing = (): never => {
  throw new WeirError('NOT_FOUND', 'There is nothing in this cluster.');
};

export class QuietControl implements ClusterControl {
  readonly rows = new Map<JobName, JobRow>();
  readonly #definitions = new Map<string, string>();

  changes(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  apply({ name, hash, text }: JobDefinition): Promise<JobRow> {
    const before = this.rows.get(name);
    this.#definitions.set(hash, text);
    const former = before === undefined ? [] : [{ revision: before.revision, definition: before.definition }];
    const row: JobRow = {
      formatVersion: 1,
      name,
      ver: 1,
      nonce: '',
      revision: revision((before?.revision ?? 0) + 1),
      definition: hash,
      former: [...former, ...(before?.former ?? [])],
      run: run(1),
      runStart: timestampUs(0),
      stride: 32,
      start: { kind: 'initial' },
      state: 'running',
      reason: null,
      lanes: {},
      submittedAt: 0,
      changedAt: 0,
    };
    this.rows.set(name, row);
    return Promise.resolve(row);
  }

  rollback(name: JobName): ReturnType<ClusterControl['rollback']> {
    const row = this.rows.get(name) ?? nothing();
    return Promise.resolve({ row, notes: [] });
  }

  definition(_: JobName, hash: string): Promise<string> {
    return Promise.resolve(this.#definitions.get(hash) ?? nothing());
  }

  job(name: JobName): JobView | undefined {
    return this.jobs().find((view) => view.row.name === name);
  }

  jobs(): JobView[] {
    return [...this.rows.values()].map((row) => ({
      row,
      labels: {},
      protocol: 'lanes',
      sources: [],
      sinks: [],
      topics: [],
      operators: [],
      lanes: [],
      counters: zeroCounters,
      lag: 0,
      recordsPerSecond: 0,
      rowsPerSecond: 0,
      latencyMsP50: null,
      latencyMsP99: null,
      epochs: null,
      schemaChanges: [],
    }));
  }

  workers(): ReturnType<ClusterControl['workers']> {
    return [];
  }

  start(): Promise<unknown> {
    return Promise.resolve(undefined);
  }

  stop = nothing;
  cancel = nothing;
  remove = nothing;
  step = nothing;
  createSavepoint = nothing;
  savepoints = nothing;
  deleteSavepoint = nothing;
  restartFrom = nothing;
  scale = nothing;
  drain = nothing;
}

export interface QuietCluster {
  readonly app: ReturnType<typeof buildHttp>;
  readonly control: QuietControl;
  readonly service: JobService;
  /** CQL that reached the tables. */
  readonly asked: string[];
}

/** Close `app` when done. */
export function quietCluster(options: Partial<HttpOptions> = {}): QuietCluster {
  const control = new QuietControl();
  const asked: string[] = [];
  const tables = {
    describe: () => Promise.resolve(undefined),
    create: () => Promise.resolve(),
    query: (cql: string) => {
      asked.push(cql);
      return Promise.resolve({ columns: [], rows: [] });
    },
  };
  const connections = {
    tables: () => tables,
    describe: () => ({ log: '', tables: '' }),
    source: nothing,
    logWriter: nothing,
  } as unknown as Connections;
  const service = new JobService(control, connections, noLog);
  const app = buildHttp(service, {
    host: '127.0.0.1',
    port: 0,
    token: null,
    registry: new Registry(),
    log: noLog,
    ...options,
  });
  return { app, control, service, asked };
}
