/**
 * What people may ask of a cluster, whichever door they come through: checks and plans a job, makes its tables, and
 * hands the accepted definition to the coordinator.
 */
import { createHash } from 'node:crypto';
import { WeirError, isWeirError } from '../core/errors.ts';
import type { SavepointRow } from '../core/epoch/types.ts';
import { jobName, revision, workerId } from '../core/ids.ts';
import type { JobName, Revision, WorkerId } from '../core/ids.ts';
import type { ConnectorManifest } from '../core/job/connector-manifest.ts';
import { loadJobFile, locateProblems } from '../core/job/file.ts';
import type { JobProblem } from '../core/job/problem.ts';
import { similarWord } from '../core/job/similar.ts';
import type { JobSpec } from '../core/job/spec.ts';
import type { JobRow } from '../core/meta.ts';
import type { Connections, Log, QueryResult, TableStore } from '../core/ports.ts';
import { columnsLacking } from '../core/table/fit.ts';
import type { SinkTable } from '../core/row-sink.ts';
import type { TableSchema } from '../core/table/schema.ts';
import { formatCqlType } from '../core/table/schema.ts';
import { deadLetterTable } from '../engine/dead-letters.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import { schemaChanges } from '../engine/plan/schema-changes.ts';
import { sinkPlansOf } from '../engine/plan/job-plan.ts';
import { qualifiedTable } from '../engine/plan/plan-row-sinks.ts';
import { planJob } from '../engine/plan/plan-job.ts';
import { recordSchemasOf } from './record-schemas.ts';
import type { LatestSchemas } from './record-schemas.ts';
import { knownSinkSchemas, registeredSinkSchemas } from './sink-schemas.ts';
import type { SchemaSubjects } from './sink-schemas.ts';
import type { ImportedStart, RestartPoint } from './job-definition.ts';
import type { RunsDocument } from './schedules.ts';
import { runsOf } from './schedules.ts';
import type { ImportedPartition, ImportRequest } from './import-start.ts';
import type { JobView, WorkerView } from './views.ts';

/** Format of {@link JobDefinition.text}. */
const DEFINITION_FORMAT_VERSION = 1;

/** Names of savepoints: they stand in URLs and in names of blobs. */
const savepointPattern = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** An accepted job as it is stored: `text` is JSON {formatVersion, source, plan}, `hash` its SHA-256 in hex. */
export interface JobDefinition {
  readonly name: JobName;
  readonly hash: string;
  readonly text: string;
  readonly plan: JobPlan;
}

/**
 * Where the new run starts: as the job file says (absent), at one end of the logs, where the last run stood, or with the
 * state and the positions of a savepoint of the job.
 */
export interface StartOptions {
  readonly start?: 'earliest' | 'latest' | 'continue' | { readonly savepoint: string } | ImportedStart;
  /** Refused with CONFLICT when the job is at another revision; 0 = there must be none. */
  readonly expectedRevision?: number;
  /**
   * A job that this makes, changes or finds at rest is at rest afterwards; `start` begins it. One that runs is not changed
   * so: CONFLICT.
   */
  readonly paused?: boolean;
}

/** The coordinator as the outside uses it. All throw CONFLICT in a wrong state and STORE_UNAVAILABLE. */
export interface ClusterControl {
  /** What the definition would change of what the job keeps, for people. Throws what apply refuses it with. */
  changes(definition: JobDefinition, options?: StartOptions): Promise<readonly string[]>;
  apply(definition: JobDefinition, options?: StartOptions): Promise<JobRow>;
  /** Graceful: lanes finish what they read, commit, and end. */
  stop(name: JobName): Promise<unknown>;
  /** Ends the job now; what was written but not committed is written again by the next start. */
  cancel(name: JobName): Promise<unknown>;
  /** Goes on where the job stood. */
  start(name: JobName): Promise<unknown>;
  /** Forgets the job; its tables and topics stay. */
  remove(name: JobName): Promise<unknown>;
  /**
   * Runs epochs of a stateful job with `trigger: manual` until everything appended before the call is committed, the
   * no-data epochs that follow from it included; how many there were. Throws: CONFLICT when the job does not run
   * or is not triggered by hand.
   */
  step(name: JobName): Promise<{ readonly epochs: number }>;
  /** Keeps the state and positions of a running or stopped stateful job under a name. Throws: CONFLICT when it is taken. */
  createSavepoint(name: JobName, savepoint: string): Promise<SavepointRow>;
  /** Newest first; also of jobs that were deleted. */
  savepoints(name: JobName): Promise<readonly SavepointRow[]>;
  /** Throws: NOT_FOUND. */
  deleteSavepoint(name: JobName, savepoint: string): Promise<void>;
  /**
   * Makes the definition of an earlier revision (default: the one before) the job's next revision; `notes` as of
   * {@link changes}. Throws: NOT_FOUND, STATE_INCOMPATIBLE.
   */
  rollback(name: JobName, to?: Revision): Promise<{ readonly row: JobRow; readonly notes: readonly string[] }>;
  /** Begins a new run of the same definition, without state. `start`: at once; otherwise the job is at rest and stays so. */
  restartFrom(name: JobName, point: RestartPoint, options: { readonly start: boolean }): Promise<JobRow>;
  /** The stored text of a definition that the job has or had. */
  definition(name: JobName, hash: string): Promise<string>;
  /** How many workers the job may use at most; null = all. */
  scale(name: JobName, workers: number | null): Promise<JobRow>;
  /** Moves everything away from a worker. Throws: NOT_FOUND. */
  drain(worker: WorkerId): void;
  jobs(): readonly JobView[];
  job(name: JobName): JobView | undefined;
  workers(): readonly WorkerView[];
}

export type CheckOutcome =
  | { readonly kind: 'refused'; readonly problems: readonly JobProblem[] }
  | { readonly kind: 'valid'; readonly spec: JobSpec; readonly plan: JobPlan };

export type ApplyOutcome =
  | { readonly kind: 'refused'; readonly problems: readonly JobProblem[] }
  /** A dry run: it would be accepted. */
  | { readonly kind: 'valid'; readonly name: string; readonly changed: boolean; readonly warnings: readonly string[] }
  | {
      readonly kind: 'applied';
      readonly name: string;
      /** created and updated begin a new run; started: the same definition was at rest; unchanged: nothing to do. */
      readonly change: 'created' | 'updated' | 'started' | 'unchanged';
      readonly revision: number;
      readonly run: number;
      readonly warnings: readonly string[];
    };

/** What became of a job that goes on where another system stood, and where its partitions begin. */
export interface Imported {
  readonly outcome: ApplyOutcome;
  readonly partitions: readonly ImportedPartition[];
}

/** What becomes of a job that brings code: it is accepted only from people who may run code. */
export type CodePolicy = 'allowed' | 'refused';

export interface ApplyOptions extends StartOptions {
  /** Default: allowed. */
  readonly code?: CodePolicy;
  readonly dryRun?: boolean;
  /** The name the caller expects the file to carry. */
  readonly name?: string;
}

/** A revision of a job with the file it was made of. */
export interface StoredDefinition {
  readonly revision: number;
  readonly definition: string;
  readonly source: string;
  readonly plan: JobPlan;
}

const noRegistries: LatestSchemas & SchemaSubjects = {
  latest: () => Promise.resolve(undefined),
  find: () => Promise.resolve(undefined),
  accepts: () => Promise.resolve(true),
  register: () =>
    Promise.reject(new WeirError('CONFIG_INVALID', 'No schema registry is known here that schemas could go to.')),
};

/** Everything a door (REST, the status page) may call. Owns nothing: parts are closed by who made them. */
export class JobService {
  readonly #control: ClusterControl;
  readonly #tables: TableStore;
  /** For those who look into logs and tables beside jobs. */
  readonly connections: Connections;
  readonly #log: Log;
  readonly #registries: LatestSchemas & SchemaSubjects;
  readonly #packages: ReadonlyMap<string, ConnectorManifest>;

  /**
   * `registries`: default = none is asked, and every subject is unknown. `packages`: connectors that jobs may use beside
   * the built-in ones.
   */
  constructor(
    control: ClusterControl,
    connections: Connections,
    log: Log,
    registries: LatestSchemas & SchemaSubjects = noRegistries,
    packages: ReadonlyMap<string, ConnectorManifest> = new Map(),
  ) {
    this.#packages = packages;
    this.#registries = registries;
    this.#control = control;
    this.#tables = connections.tables('cassandra', {});
    this.connections = connections;
    this.#log = log;
  }

  /** Checks a job file against its schema, its SQL and the tables as they are. Throws: STORE_UNAVAILABLE. */
  async check(text: string): Promise<CheckOutcome> {
    const file = loadJobFile(text);
    if (file.spec === null) return { kind: 'refused', problems: file.problems };
    const { schemas, problems: unknown } = await recordSchemasOf(file.spec, this.#registries);
    if (unknown.length > 0) return { kind: 'refused', problems: locateProblems(file.positions, unknown) };
    const sinks = await this.#describeSinks(file.spec);
    if (sinks.problems.length > 0) return { kind: 'refused', problems: locateProblems(file.positions, sinks.problems) };
    const facts = {
      tables: await this.#describeTables(file.spec),
      sinkTables: sinks.tables,
      recordSchemas: schemas,
      connectors: this.#packages,
    };
    const { plan, problems } = planJob(file.spec, facts);
    if (plan === null || problems.length > 0)
      return { kind: 'refused', problems: locateProblems(file.positions, problems) };
    const known = await knownSinkSchemas(plan, this.#registries);
    if (known.problems.length > 0) return { kind: 'refused', problems: locateProblems(file.positions, known.problems) };
    return { kind: 'valid', spec: file.spec, plan: known.plan };
  }

  /**
   * Makes the job as written run: idempotent, the same definition twice changes nothing. Throws: SINK_SCHEMA,
   * STORE_UNAVAILABLE, SINK_UNAVAILABLE, SCHEMA_REGISTRY_UNAVAILABLE, SCHEMA_REFUSED, CONFLICT.
   */
  async apply(text: string, options: ApplyOptions = {}): Promise<ApplyOutcome> {
    const checked = await this.check(text);
    if (checked.kind === 'refused') return checked;
    const { spec, plan } = checked;
    if (options.code === 'refused' && (spec.module !== undefined || runsCode(plan)))
      throw codeForbidden(spec.name, 'Submitting it');
    if (options.name !== undefined && options.name !== spec.name) {
      const message = `the file names the job ${spec.name}, the request ${options.name}`;
      return { kind: 'refused', problems: locateProblems(loadJobFile(text).positions, [{ path: 'name', message }]) };
    }
    const definition = defineJob(jobName(spec.name), text, plan);
    const current = this.#control.job(definition.name);
    const same = current?.row.definition === definition.hash && options.start === undefined;
    const start = {
      ...(options.start === undefined ? {} : { start: options.start }),
      ...(options.expectedRevision === undefined ? {} : { expectedRevision: options.expectedRevision }),
      ...(options.paused === undefined ? {} : { paused: options.paused }),
    };
    requireRevision(definition.name, current?.row.revision ?? 0, options.expectedRevision);
    // Before tables are touched: what is refused leaves nothing behind.
    const notes = same ? [] : await this.#control.changes(definition, start);
    const drift = same || current === undefined ? [] : await this.#schemaNotes(spec.name, plan);
    const warnings = [...plan.warnings, ...notes, ...drift, ...(await this.#columnsToAdd(plan))];
    if (options.dryRun === true) return { kind: 'valid', name: spec.name, changed: !same, warnings };
    if (current !== undefined && same) return await this.#keep(current.row, warnings, plan, options.paused === true);
    for (const table of [...plan.tables, deadLetterTable]) await this.#tables.create(table, { addColumns: true });
    await this.#createTopics(plan);
    for (const sink of sinkPlansOf(plan))
      if (sink.kind === 'rows' && sink.creates !== null)
        await this.connections.rowSinks(sink.connector).create(sink.settings, sink.creates);
    // Its schemas have ids from here on, which are a part of the definition.
    const complete = await registeredSinkSchemas(plan, this.#registries);
    const row = await this.#control.apply(defineJob(definition.name, text, complete), start);
    const change = current === undefined ? 'created' : 'updated';
    this.#log.info({ job: row.name, revision: row.revision, run: row.run }, `job ${change}`);
    return { kind: 'applied', name: row.name, change, revision: row.revision, run: row.run, warnings };
  }

  /**
   * As {@link apply}, and the job begins where another system stood. Throws beside it: as `planImport`.
   */
  async importJob(text: string, request: ImportRequest, options: Omit<ApplyOptions, 'start'> = {}): Promise<Imported> {
    const checked = await this.check(text);
    if (checked.kind === 'refused') return { outcome: checked, partitions: [] };
    const { planImport } = await import('./import-start.ts');
    const { start, partitions, warnings } = await planImport(checked.plan, this.connections, request);
    const outcome = await this.apply(text, { ...options, start });
    if (outcome.kind === 'refused') return { outcome, partitions: [] };
    return { outcome: { ...outcome, warnings: [...outcome.warnings, ...warnings] }, partitions };
  }

  /** Facts of the moment: no part of the plan, whose text says whether a definition is the same. */
  async #columnsToAdd({ tables }: JobPlan): Promise<string[]> {
    const notes: string[] = [];
    for (const table of tables) {
      const there = await this.#tables.describe(table.keyspace, table.table);
      const lacking = there === undefined ? [] : columnsLacking(table, there);
      for (const { name, type } of lacking)
        notes.push(`${table.keyspace}.${table.table} is given the column ${name} ${formatCqlType(type)}`);
    }
    return notes;
  }

  /** What has become of the schemas of the sources since the revision that there is. */
  async #schemaNotes(name: string, plan: JobPlan): Promise<string[]> {
    const { revision: former, plan: known } = await this.definition(name);
    if (known.formatVersion !== plan.formatVersion) return [];
    return [...schemaChanges(known, plan)].map(
      ([source, changes]) =>
        `the schema of ${source} has changed at the registry since revision ${former}: ${changes.join(', ')}`,
    );
  }

  /** Topics of feeds, and those that a sink asks to be created; one that exists stays as it is. */
  async #createTopics(plan: JobPlan): Promise<void> {
    for (const { feed, connector, options, topic } of plan.sources)
      if (feed !== undefined) await this.connections.logWriter(connector, options).createTopic(topic, 1);
    for (const [index, sink] of sinkPlansOf(plan).entries()) {
      const target = plan.sinks[index];
      if (sink.kind !== 'log' || target?.createPartitions === undefined) continue;
      await this.connections
        .logWriter(target.connector, target.options)
        .createTopic(sink.topic, target.createPartitions);
    }
  }

  async #keep(row: JobRow, warnings: readonly string[], plan: JobPlan, paused: boolean): Promise<ApplyOutcome> {
    const waits = plan.schedule !== undefined && row.state !== 'stopped';
    const starts = !waits && !paused && (row.state === 'stopped' || row.state === 'finished' || row.state === 'failed');
    if (starts) await this.#control.start(row.name);
    const change = starts ? 'started' : 'unchanged';
    return { kind: 'applied', name: row.name, change, revision: row.revision, run: row.run, warnings };
  }

  async #describeTables(spec: JobSpec): Promise<Map<string, TableSchema>> {
    const tables = new Map<string, TableSchema>();
    const named = [
      ...spec.sinks.filter((sink) => sink.connector === 'cassandra'),
      ...Object.values(spec.tables ?? {}).filter((table) => 'connector' in table && table.connector === 'cassandra'),
    ];
    for (const { keyspace, table } of named) {
      const schema = await this.#tables.describe(keyspace, table);
      if (schema !== undefined) tables.set(`${keyspace}.${table}`, schema);
    }
    return tables;
  }

  /** Tables of sinks that have a catalog to ask, by the sink's index; sinks that nobody has told where theirs is. */
  async #describeSinks(
    spec: JobSpec,
  ): Promise<{ readonly tables: ReadonlyMap<number, SinkTable>; readonly problems: readonly JobProblem[] }> {
    const tables = new Map<number, SinkTable>();
    const problems: JobProblem[] = [];
    for (const [index, sink] of spec.sinks.entries()) {
      if (sink.connector !== 'postgres') continue;
      const settings = { url: sink.url ?? null, table: qualifiedTable(sink.table) };
      try {
        const table = await this.connections.rowSinks(sink.connector).describe(settings);
        if (table !== undefined) tables.set(index, table);
      } catch (error) {
        if (!isWeirError(error, 'CONFIG_INVALID')) throw error;
        problems.push({ path: `sinks.${index}`, message: error.message });
      }
    }
    return { tables, problems };
  }

  /** Throws: NOT_FOUND. */
  async stop(name: string): Promise<void> {
    await this.#control.stop(this.job(name).row.name);
  }

  /** Throws: NOT_FOUND. */
  async cancel(name: string): Promise<void> {
    await this.#control.cancel(this.job(name).row.name);
  }

  /** Throws: NOT_FOUND, CONFLICT. */
  async start(name: string): Promise<void> {
    await this.#control.start(this.job(name).row.name);
  }

  /** Throws: NOT_FOUND, CONFLICT. */
  async remove(name: string): Promise<void> {
    await this.#control.remove(this.job(name).row.name);
  }

  /** How many epochs ran. Throws: NOT_FOUND, CONFLICT. */
  async step(name: string): Promise<{ readonly epochs: number }> {
    return await this.#control.step(this.job(name).row.name);
  }

  /** Throws: NOT_FOUND, CONFLICT, USAGE for a name that cannot be. */
  async createSavepoint(name: string, savepoint: string): Promise<SavepointRow> {
    if (!savepointPattern.test(savepoint)) {
      const rule = 'it takes small letters, digits, ".", "_" and "-", at most 63, and begins with a letter or digit';
      throw new WeirError('USAGE', `A savepoint cannot be called "${savepoint}": ${rule}.`);
    }
    return await this.#control.createSavepoint(this.job(name).row.name, savepoint);
  }

  async savepoints(name: string): Promise<readonly SavepointRow[]> {
    return await this.#control.savepoints(jobName(name));
  }

  /** Throws: NOT_FOUND. */
  async deleteSavepoint(name: string, savepoint: string): Promise<void> {
    await this.#control.deleteSavepoint(jobName(name), savepoint);
  }

  /** Throws: NOT_FOUND, CONFLICT, STATE_INCOMPATIBLE; FORBIDDEN where `code` is refused and the revision brings some. */
  async rollback(name: string, to?: number, code: CodePolicy = 'allowed'): ReturnType<ClusterControl['rollback']> {
    const { name: job, former } = this.job(name).row;
    const target = to ?? former?.[0]?.revision;
    if (code === 'refused' && target !== undefined && runsCode((await this.definition(name, target)).plan))
      throw codeForbidden(name, `Going back to revision ${target}`);
    return await (to === undefined ? this.#control.rollback(job) : this.#control.rollback(job, revision(to)));
  }

  /** Throws: NOT_FOUND; FORBIDDEN when the job as it is runs code: `doing` it then needs the right to. */
  async requireNoCode(name: string, doing: string): Promise<void> {
    if (runsCode((await this.definition(name)).plan)) throw codeForbidden(name, doing);
  }

  /** Runs of a job with a schedule. Throws: NOT_FOUND, STORE_UNAVAILABLE. */
  async runs(name: string): Promise<RunsDocument> {
    const { plan } = await this.definition(name);
    return runsOf(this.job(name).row, plan.schedule);
  }

  /** The stored definition of a revision (default: the current one). Throws: NOT_FOUND. */
  async definition(name: string, revisionNumber?: number): Promise<StoredDefinition> {
    const { row } = this.job(name);
    const revisions = [{ revision: row.revision, definition: row.definition }, ...(row.former ?? [])];
    const found = revisions.find((one) => revisionNumber === undefined || one.revision === revisionNumber);
    if (found === undefined)
      throw new WeirError(
        'NOT_FOUND',
        `Job ${name} has no revision ${revisionNumber}; there are ${revisions.map((one) => one.revision).join(', ')}.`,
      );
    const { source, plan } = JSON.parse(await this.#control.definition(row.name, found.definition)) as {
      readonly source: string;
      readonly plan: JobPlan;
    };
    return { ...found, source, plan };
  }

  /** Throws: NOT_FOUND, CONFLICT while the job runs and is not to be started. */
  async restartFrom(name: string, point: RestartPoint, options: { readonly start: boolean }): Promise<JobRow> {
    return await this.#control.restartFrom(this.job(name).row.name, point, options);
  }

  /** How many workers the job may use at most; null = all. Throws: NOT_FOUND, CONFLICT. */
  async scale(name: string, workers: number | null): Promise<JobRow> {
    return await this.#control.scale(this.job(name).row.name, workers);
  }

  /** Moves everything away from a worker. Throws: NOT_FOUND. */
  drain(worker: string): void {
    this.#control.drain(workerId(worker));
  }

  jobs(): readonly JobView[] {
    return this.#control.jobs();
  }

  /** Throws: NOT_FOUND. */
  job(name: string): JobView {
    const view = this.#control.job(jobName(name));
    if (view !== undefined) return view;
    const known = this.jobs().map(({ row }) => row.name);
    const near = similarWord(name, known);
    const remedy = near === undefined ? '"weir get jobs" lists those there are.' : `did you mean ${near}?`;
    throw new WeirError('NOT_FOUND', `There is no job ${name}; ${remedy}`);
  }

  workers(): readonly WorkerView[] {
    return this.#control.workers();
  }

  /** CQL over the default tables connection. Throws: SQL_SYNTAX, NOT_FOUND, UNSUPPORTED, STORE_UNAVAILABLE. */
  async query(cql: string): Promise<QueryResult> {
    return await this.#tables.query(cql);
  }
}

/** A plan with a module; one without it is made of nothing but the operators of this installation. */
function runsCode(plan: JobPlan): boolean {
  return plan.protocol === 'epochs' && (plan.module !== undefined || plan.sinkModule !== undefined);
}

function codeForbidden(name: string, doing: string): WeirError {
  return new WeirError(
    'FORBIDDEN',
    `Job ${name} brings code that runs on the workers. ${doing} needs the role submitter-code.`,
    { facts: { job: name } },
  );
}

function requireRevision(name: string, current: number, expected: number | undefined): void {
  if (expected === undefined || expected === current) return;
  throw new WeirError(
    'CONFLICT',
    `Job ${name} is at revision ${current}, not ${expected}: somebody changed it meanwhile; look at it and try again.`,
    { facts: { revision: current, expectedRevision: expected } },
  );
}

/**
 * The stored form. Which tables had to be made is a fact of the moment, not of the job: it is left out of the text, so
 * that the definition of a job whose table exists by now is still the same.
 */
function defineJob(name: JobName, source: string, plan: JobPlan): JobDefinition {
  const text = JSON.stringify({
    formatVersion: DEFINITION_FORMAT_VERSION,
    source,
    plan: { ...plan, tables: [], createsTables: false },
  });
  return { name, hash: createHash('sha256').update(text).digest('hex'), text, plan };
}
