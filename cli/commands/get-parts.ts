/** `weir get partitions|checkpoints|savepoints|batches|revisions|runs|errors|sources|topics|tables`: lists beside jobs and workers. */
import { WeirError } from '../../core/errors.ts';
import type { TableView, TopicSummary } from '../../master/data-desk.ts';
import type { SavepointView } from '../../master/http/documents.ts';
import type { JobError } from '../../master/job-errors.ts';
import type { StreamingQueryProgress } from '../../master/progress.ts';
import type { RunsDocument } from '../../master/schedules.ts';
import type { JobView } from '../../master/views.ts';
import type { CheckpointSeen } from '../../master/watch.ts';
import type { MasterClient } from '../client.ts';
import { jobPath } from '../names.ts';
import { formatAge, formatCount, formatMs, tell } from '../output.ts';

/** What a list is printed from. */
export interface Listing {
  /** The whole answer, for -o json and yaml. */
  readonly document: unknown;
  readonly names: readonly string[];
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

type Lister = (client: MasterClient, name: string | undefined) => Promise<Listing>;

/** Lists by the word after `get`. */
export const listings = new Map<string, Lister>([
  ['partitions', listPartitions],
  ['tasks', listPartitions],
  ['sources', listSources],
  ['topics', listTopics],
  ['tables', listTables],
  ['checkpoints', listCheckpoints],
  ['savepoints', listSavepoints],
  ['batches', listBatches],
  ['revisions', listRevisions],
  ['runs', listRuns],
  ['errors', listErrors],
]);

async function jobsOf(client: MasterClient, name: string | undefined): Promise<readonly JobView[]> {
  return name === undefined ? await client.jobs() : [await client.job(name)];
}

/** Throws: USAGE. */
function need(name: string | undefined, what: string): string {
  if (name !== undefined) return name;
  throw new WeirError('USAGE', `Name the job: weir get ${what} JOB.`);
}

async function listPartitions(client: MasterClient, name: string | undefined): Promise<Listing> {
  const lanes = (await jobsOf(client, name)).flatMap(({ row, lanes: all }) =>
    all.map((lane) => ({ job: row.name, ...lane })),
  );
  return {
    document: { partitions: lanes },
    names: lanes.map(({ job, topic, partition }) => `${job}/${topic}/${partition}`),
    heads: ['JOB', 'TOPIC', 'PARTITION', 'STATE', 'WORKER', 'COMMITTED', 'END', 'LAG', 'PROBLEM'],
    rows: lanes.map((lane) => [
      lane.job,
      lane.topic,
      String(lane.partition),
      lane.state,
      lane.owner ?? '-',
      String(lane.committedOffset),
      String(lane.endOffset),
      lane.lag < 0 ? '?' : formatCount(lane.lag),
      lane.message ?? '',
    ]),
  };
}

async function listSources(client: MasterClient, name: string | undefined): Promise<Listing> {
  const sources = (await jobsOf(client, name)).flatMap(({ row, sources: all }) =>
    all.map((source) => ({ job: row.name, ...source })),
  );
  return {
    document: { sources },
    names: sources.map((source) => source.name),
    heads: ['JOB', 'NAME', 'CONNECTOR', 'TOPIC'],
    rows: sources.map((source) => [source.job, source.name, source.connector, source.topic]),
  };
}

async function listTopics(client: MasterClient, name: string | undefined): Promise<Listing> {
  const { topics } = await client.request<{ topics: readonly TopicSummary[] }>('GET', '/v1/topics');
  const shown = topics.filter((topic) => name === undefined || topic.name === name);
  return {
    document: { topics: shown },
    names: shown.map((topic) => topic.name),
    heads: ['NAME', 'PARTITIONS', 'RECORDS', 'READ BY', 'WRITTEN BY', 'PROBLEM'],
    rows: shown.map((topic) => [
      topic.name,
      String(topic.partitions),
      formatCount(topic.records),
      topic.jobs.join(','),
      topic.sinks.join(','),
      topic.problem ?? '',
    ]),
  };
}

async function listTables(client: MasterClient, name: string | undefined): Promise<Listing> {
  const { tables } = await client.request<{ tables: readonly TableView[] }>('GET', '/v1/tables');
  const named = tables.map((table) => ({ ...table, name: `${table.keyspace}.${table.table}` }));
  const shown = named.filter((table) => name === undefined || table.name === name);
  return {
    document: { tables: shown },
    names: shown.map((table) => table.name),
    heads: ['NAME', 'PRIMARY KEY', 'COLUMNS', 'WRITTEN BY'],
    rows: shown.map((table) => [
      table.name,
      `(${[`(${table.partitionKey.join(', ')})`, ...table.clusteringKey].join(', ')})`,
      String(table.columns.length),
      table.jobs.join(','),
    ]),
  };
}

async function listCheckpoints(client: MasterClient, name: string | undefined): Promise<Listing> {
  const job = need(name, 'checkpoints');
  const { checkpoints } = await client.request<{ checkpoints: readonly CheckpointSeen[] }>(
    'GET',
    `${jobPath(job)}/checkpoints`,
  );
  return {
    document: { checkpoints },
    names: checkpoints.map(({ epoch }) => String(epoch)),
    heads: ['EPOCH', 'BYTES', 'AGE'],
    rows: checkpoints.map(({ epoch, bytes, at }) => [String(epoch), formatCount(bytes), formatAge(Date.now() - at)]),
  };
}

async function listSavepoints(client: MasterClient, name: string | undefined): Promise<Listing> {
  const savepoints: readonly SavepointView[] = await client.savepoints(need(name, 'savepoints'));
  return {
    document: { savepoints },
    names: savepoints.map((savepoint) => savepoint.name),
    heads: ['NAME', 'REVISION', 'RUN', 'EPOCH', 'BYTES', 'AGE'],
    rows: savepoints.map((savepoint) => [
      savepoint.name,
      String(savepoint.revision),
      String(savepoint.run),
      String(savepoint.epoch),
      formatCount(savepoint.bytes),
      formatAge(Date.now() - savepoint.createdAt),
    ]),
  };
}

/** The last ones, oldest first, as Spark’s `recentProgress`. */
async function listBatches(client: MasterClient, name: string | undefined): Promise<Listing> {
  const job = need(name, 'batches');
  const { progress } = await client.request<{ progress: readonly StreamingQueryProgress[] }>(
    'GET',
    `${jobPath(job)}/progress?last=20`,
  );
  return {
    document: { batches: progress },
    names: progress.map(({ batchId }) => String(batchId)),
    heads: ['BATCH', 'TIME', 'RECORDS', 'RECORDS/S', 'ROWS OUT', 'TOOK MS', 'WATERMARK'],
    rows: progress.map((batch) => [
      String(batch.batchId),
      batch.timestamp,
      formatCount(batch.numInputRows),
      formatCount(batch.processedRowsPerSecond),
      batch.sink.numOutputRows < 0 ? '-' : formatCount(batch.sink.numOutputRows),
      formatMs(batch.batchDuration),
      batch.eventTime['watermark'] ?? '-',
    ]),
  };
}

async function listRevisions(client: MasterClient, name: string | undefined): Promise<Listing> {
  const job = need(name, 'revisions');
  const { revisions } = await client.request<{
    revisions: readonly { readonly revision: number; readonly definition: string; readonly current: boolean }[];
  }>('GET', `${jobPath(job)}/revisions`);
  return {
    document: { revisions },
    names: revisions.map(({ revision }) => String(revision)),
    heads: ['', 'REVISION', 'DEFINITION'],
    rows: revisions.map(({ revision, definition, current }) => [
      current ? '*' : '',
      String(revision),
      definition.slice(0, 12),
    ]),
  };
}

async function listRuns(client: MasterClient, name: string | undefined): Promise<Listing> {
  const job = need(name, 'runs');
  const document = await client.request<RunsDocument>('GET', `${jobPath(job)}/runs`);
  const { schedule, next, runs } = document;
  if (schedule !== null && next !== null)
    tell(`${schedule.cron} (${schedule.timeZone}), next at ${new Date(next).toISOString()}`);
  return {
    document,
    names: runs.map(({ number }) => String(number)),
    heads: ['RUN', 'SCHEDULED FOR', 'STATE', 'ATTEMPTS', 'STARTED', 'TOOK', 'PROBLEM'],
    rows: runs.map((run) => [
      String(run.number),
      run.scheduledFor === null ? 'by hand' : new Date(run.scheduledFor).toISOString(),
      run.state,
      String(run.attempts),
      run.startedAt === null ? '-' : formatAge(Date.now() - run.startedAt),
      run.startedAt === null || run.endedAt === null ? '-' : formatAge(run.endedAt - run.startedAt),
      run.reason === null ? '' : run.reason.code,
    ]),
  };
}

/** Of one job, or of all: what went wrong since this master leads. */
async function listErrors(client: MasterClient, name: string | undefined): Promise<Listing> {
  const names = (await jobsOf(client, name)).map(({ row }) => row.name);
  const found = await Promise.all(
    names.map(async (job) => {
      const { errors } = await client.request<{ errors: readonly JobError[] }>('GET', `${jobPath(job)}/errors`);
      return errors.map((error) => ({ job, ...error }));
    }),
  );
  const errors = found.flat().toSorted((a, b) => b.lastAt - a.lastAt);
  return {
    document: { errors },
    names: errors.map(({ job, code }) => `${job}/${code ?? '-'}`),
    heads: ['JOB', 'LEVEL', 'COUNT', 'FIRST', 'LAST', 'NOW', 'CODE', 'MESSAGE'],
    rows: errors.map((error) => [
      error.job,
      error.level,
      formatCount(error.count),
      `${formatAge(Date.now() - error.firstAt)} ago`,
      `${formatAge(Date.now() - error.lastAt)} ago`,
      error.current ? 'yes' : 'no',
      error.code ?? '-',
      error.message,
    ]),
  };
}
