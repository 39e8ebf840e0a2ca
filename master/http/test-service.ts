/** A master's REST for tests, on a cluster that keeps jobs in memory and runs nothing. */
import { after } from 'node:test';
import { Registry } from 'prom-client';
import { WeirError } from '../../core/errors.ts';
import type { SavepointRow } from '../../core/epoch/types.ts';
import type { JobName, Revision } from '../../core/ids.ts';
import type { Labels } from '../../core/job/labels.ts';
import { epoch, fence, jobName, revision, run, timestampUs } from '../../core/ids.ts';
import { zeroCounters } from '../../core/lane/position.ts';
import type { JobRow } from '../../core/meta.ts';
import type { Connections, Log, QueryResult, TableStore } from '../../core/ports.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import type { ClusterControl, JobDefinition } from '../service.ts';
import { JobService } from '../service.ts';
import type { JobView } from '../views.ts';
import type { HttpOptions } from './server.ts';
import { buildHttp } from './server.ts';

export const noLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => noLog,
};

const sampleSavepoint: SavepointRow = {
  formatVersion: 1,
  job: jobName('job'),
  name: 'before',
  run: run(1),
  revision: 1,
  definition: '',
  head: {
    formatVersion: 1,
    job: jobName('job'),
    run: run(1),
    ver: 1,
    nonce: '',
    fence: fence(1),
    planned: epoch(12),
    committed: epoch(11),
    epochTsUs: 0,
    positions: {},
    starts: {},
    eventTimes: [],
    watermarkUs: null,
    evictUs: null,
    placement: null,
    ends: null,
    snapshot: null,
    formerSnapshot: null,
    base: null,
    counters: zeroCounters,
    late: {},
  },
  createdAt: 5,
  bytes: 99,
};

export class MemoryControl implements ClusterControl {
  readonly rows = new Map<JobName, JobRow>();
  readonly labels = new Map<JobName, Labels>();

  changes(definition: JobDefinition): Promise<readonly string[]> {
    return Promise.resolve(this.rows.has(definition.name) ? ['what it keeps changes'] : []);
  }

  apply(definition: JobDefinition): Promise<JobRow> {
    const before = this.rows.get(definition.name);
    this.definitions.set(definition.hash, definition.text);
    this.labels.set(definition.name, definition.plan.labels ?? {});
    const row: JobRow = {
      formatVersion: 1,
      name: definition.name,
      ver: 1,
      nonce: '',
      revision: revision((before?.revision ?? 0) + 1),
      definition: definition.hash,
      ...(before === undefined
        ? {}
        : { former: [{ revision: before.revision, definition: before.definition }, ...(before.former ?? [])] }),
      run: run((before?.run ?? 0) + 1),
      runStart: timestampUs(0),
      stride: 32,
      start: { kind: 'initial' },
      state: 'running',
      reason: null,
      lanes: {},
      submittedAt: 0,
      changedAt: 0,
    };
    this.rows.set(definition.name, row);
    return Promise.resolve(row);
  }

  #move(name: JobName, state: JobRow['state']): Promise<void> {
    const row = this.rows.get(name);
    if (row !== undefined) this.rows.set(name, { ...row, state });
    return Promise.resolve();
  }

  stop(name: JobName): Promise<void> {
    return this.#move(name, 'stopped');
  }

  cancel(name: JobName): Promise<void> {
    return this.#move(name, 'stopped');
  }

  start(name: JobName): Promise<void> {
    return this.#move(name, 'running');
  }

  remove(name: JobName): Promise<void> {
    if (this.rows.get(name)?.state === 'running')
      throw new WeirError('CONFLICT', `Job ${name} is running; stop it first.`);
    this.rows.delete(name);
    return Promise.resolve();
  }

  readonly kept: SavepointRow[] = [];

  step(name: JobName): Promise<{ readonly epochs: number }> {
    if (name.startsWith('lanes')) throw new WeirError('CONFLICT', `Job ${name} is not triggered by hand.`);
    return Promise.resolve({ epochs: 2 });
  }

  createSavepoint(name: JobName, savepoint: string): Promise<SavepointRow> {
    const row = { ...sampleSavepoint, job: name, name: savepoint };
    this.kept.push(row);
    return Promise.resolve(row);
  }

  savepoints(name: JobName): Promise<readonly SavepointRow[]> {
    return Promise.resolve(this.kept.filter((row) => row.job === name));
  }

  deleteSavepoint(name: JobName, savepoint: string): Promise<void> {
    const at = this.kept.findIndex((row) => row.job === name && row.name === savepoint);
    if (at < 0) throw new WeirError('NOT_FOUND', `Job ${name} has no savepoint ${savepoint}.`);
    this.kept.splice(at, 1);
    return Promise.resolve();
  }

  rollback(name: JobName, to?: Revision): ReturnType<ClusterControl['rollback']> {
    const row = this.rows.get(name);
    if (row === undefined || (to ?? 1) >= row.revision)
      throw new WeirError('NOT_FOUND', `Job ${name} has no revision ${to} before this one.`);
    const next = { ...row, revision: revision(row.revision + 1) };
    this.rows.set(name, next);
    return Promise.resolve({ row: next, notes: ['aggregate-1 drops n'] });
  }

  readonly definitions = new Map<string, string>();
  readonly restarts: unknown[] = [];
  readonly drained: string[] = [];

  restartFrom(name: JobName, point: unknown, options: { readonly start: boolean }): Promise<JobRow> {
    const row = this.rows.get(name);
    if (row === undefined || (!options.start && row.state === 'running'))
      throw new WeirError('CONFLICT', `Job ${name} is running; stop it first.`);
    this.restarts.push({ point, ...options });
    const next = { ...row, run: run(row.run + 1), state: options.start ? 'running' : row.state } as const;
    this.rows.set(name, next);
    return Promise.resolve(next);
  }

  definition(_: JobName, hash: string): Promise<string> {
    return Promise.resolve(this.definitions.get(hash) ?? '');
  }

  scale(name: JobName, workers: number | null): Promise<JobRow> {
    const next = { ...(this.rows.get(name) as JobRow), workersMax: workers };
    this.rows.set(name, next);
    return Promise.resolve(next);
  }

  drain(worker: string): void {
    if (!worker.startsWith('w1')) throw new WeirError('NOT_FOUND', `There is no worker ${worker}.`);
    this.drained.push(worker);
  }

  jobs(): JobView[] {
    return [...this.rows.values()].map((row) => ({
      row,
      labels: this.labels.get(row.name) ?? {},
      protocol: 'lanes',
      sources: [{ name: 'users', connector: 'kafka', options: {}, topic: 'users' }],
      sinks: [{ connector: 'cassandra', options: {}, description: 'ks.users' }],
      topics: ['users'],
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

  job(name: JobName): JobView | undefined {
    return this.jobs().find((view) => view.row.name === name);
  }

  workers(): ReturnType<ClusterControl['workers']> {
    return [
      {
        id: 'w1-<b>',
        state: 'alive',
        httpAddress: '127.0.0.1:7081',
        threads: 2,
        version: '1',
        lanes: 0,
        rssBytes: 0,
        eventLoopDelayMs: 0,
        heartbeatAgeMs: 1,
      },
    ];
  }
}

export class MemoryTables implements TableStore {
  readonly tables = new Map<string, TableSchema>();

  describe(keyspace: string, table: string): Promise<TableSchema | undefined> {
    return Promise.resolve(this.tables.get(`${keyspace}.${table}`));
  }

  create(schema: TableSchema): Promise<void> {
    this.tables.set(`${schema.keyspace}.${schema.table}`, schema);
    return Promise.resolve();
  }

  open(): never {
    throw new Error('nothing is written here');
  }

  query(cql: string): Promise<QueryResult> {
    if (!cql.startsWith('SELECT'))
      return Promise.reject(new WeirError('UNSUPPORTED', 'Embedded tables do not do this.'));
    return Promise.resolve({ columns: [{ name: 'count', type: 'bigint' }], rows: [[3]] });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Closed after the tests of the file. */
export function setUp(options: Partial<HttpOptions> = {}): {
  service: JobService;
  control: MemoryControl;
  tables: MemoryTables;
  app: ReturnType<typeof buildHttp>;
} {
  const control = new MemoryControl();
  const tables = new MemoryTables();
  const connections = { tables: () => tables } as unknown as Connections;
  const service = new JobService(control, connections, noLog);
  const app = buildHttp(service, {
    host: '127.0.0.1',
    port: 0,
    token: null,
    registry: new Registry(),
    log: noLog,
    ...options,
  });
  after(async () => await app.close());
  return { service, control, tables, app };
}

/** A job file. */
export const job = (name: string, query = 'SELECT id, age FROM users'): string => `apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  users:
    connector: kafka
    topic: users
    schema: id STRING NOT NULL, age INT
query: ${query}
sinks:
  - { connector: cassandra, keyspace: ks, table: users, primaryKey: [id], create: true }
`;

/** Headers of a job file as YAML. */
export const yaml = { 'content-type': 'application/yaml', host: '127.0.0.1:7080' };
/** Headers of what has no body. */
export const host = { host: 'localhost:7080' };
