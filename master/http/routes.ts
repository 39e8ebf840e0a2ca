/**
 * Every route of REST in one table: method, path, who may use it, what goes in and comes out. The server, the OpenAPI
 * document and the tests of roles are made from it.
 */
import { z } from 'zod';
import type { Access } from '../../core/security/roles.ts';
import * as shapes from './schemas.ts';
import { flag, limitParam, numberParam, resetParam, selectorParam, startParam, topicsParam } from './schemas.ts';

export interface RouteSpec {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** Parameters in braces: `/v1/jobs/{name}`. */
  readonly path: string;
  /** Who may: see core/security/roles.ts. */
  readonly role: Access;
  readonly tag: 'jobs' | 'actions' | 'state' | 'data' | 'cluster' | 'access' | 'operations' | 'spark';
  readonly summary: string;
  readonly query?: z.ZodObject;
  /** `jobFile`: text, YAML or JSON. */
  readonly body?: z.ZodType | 'jobFile';
  /** By status; text = another content type than JSON; null = no body. */
  readonly answers: Readonly<Record<number, z.ZodType | string | null>>;
  /** Statuses of problem documents beside 400, 401, 403 and 503, which every route may give. */
  readonly problems?: readonly number[];
}

const jobQuery = z.object({
  dryRun: flag.optional().describe('Check only, change nothing'),
  start: startParam.optional(),
  paused: flag.optional().describe('What is new or at rest stays at rest; 409 for a change of a job that runs'),
});
const action = (path: string, summary: string) =>
  ({
    method: 'POST',
    path: `/v1/jobs/{name}/${path}`,
    role: 'operator',
    tag: 'actions',
    summary,
    answers: { 202: shapes.jobStatusSchema },
    problems: [404, 409],
  }) as const;
const look = <A extends z.ZodType>(path: string, summary: string, answer: A) =>
  ({
    method: 'GET',
    path: `/v1/jobs/{name}${path}`,
    role: 'viewer',
    tag: 'jobs',
    summary,
    answers: { 200: answer },
    problems: [404],
  }) as const;

export const routes = {
  // ---- jobs
  listJobs: {
    method: 'GET',
    path: '/v1/jobs',
    role: 'viewer',
    tag: 'jobs',
    summary: 'List jobs',
    query: z.object({
      state: z.string().max(100).optional().describe('Only jobs in this state, or in one of several with commas'),
      label: selectorParam.optional(),
      fields: z.enum(['summary', 'full']).optional().describe('summary: without partitions'),
      limit: limitParam.optional(),
      cursor: z.string().max(100).optional(),
    }),
    answers: { 200: shapes.jobsSchema },
  },
  submitJob: {
    method: 'POST',
    path: '/v1/jobs',
    role: 'submitter-declarative',
    tag: 'jobs',
    summary: 'Submit a job by the name in its file; refused when there is another one of that name',
    query: jobQuery,
    body: 'jobFile',
    answers: { 200: shapes.applyOutcomeSchema, 201: shapes.applyOutcomeSchema },
    problems: [409, 422],
  },
  applyJob: {
    method: 'PUT',
    path: '/v1/jobs/{name}',
    role: 'submitter-declarative',
    tag: 'jobs',
    summary: 'Create a job or change it; the same file twice changes nothing. If-Match: the revision it must be at',
    query: jobQuery,
    body: 'jobFile',
    answers: { 200: shapes.applyOutcomeSchema, 201: shapes.applyOutcomeSchema },
    problems: [404, 409, 412, 422],
  },
  importJob: {
    method: 'POST',
    path: '/v1/jobs/{name}/import',
    role: 'submitter-declarative',
    tag: 'jobs',
    summary: 'Create a job or change it; it begins where another system stood, as a Spark checkpoint tells',
    query: jobQuery.pick({ dryRun: true }),
    body: shapes.importSchema,
    answers: { 200: shapes.importedSchema, 201: shapes.importedSchema },
    problems: [404, 409, 422],
  },
  patchJob: {
    method: 'PATCH',
    path: '/v1/jobs/{name}',
    role: 'submitter-declarative',
    tag: 'jobs',
    summary:
      'Change some keys of the job file by a merge patch (RFC 7396); what is not named stays as written. If-Match as with PUT',
    query: jobQuery,
    body: shapes.jobPatchSchema,
    answers: { 200: shapes.applyOutcomeSchema },
    problems: [404, 409, 412, 422],
  },
  validateJob: {
    method: 'POST',
    path: '/v1/validate',
    role: 'submitter-declarative',
    tag: 'jobs',
    summary: 'Check a job file: every mistake with its place',
    body: 'jobFile',
    answers: { 200: shapes.validationSchema },
  },
  tryJob: {
    method: 'POST',
    path: '/v1/try',
    role: 'submitter-declarative',
    tag: 'jobs',
    summary: 'Run a job file on sample rows, beside the cluster; nothing is read or written',
    body: shapes.trySchema,
    answers: { 200: shapes.tryResultSchema },
    problems: [504],
  },
  getJob: look('', 'A job in full', shapes.jobViewSchema),
  getStatus: look('/status', 'The state and figures of a job', shapes.jobStatusSchema),
  waitForJob: {
    ...look('/wait', 'Answers 404 until the job is as asked: for sensors', shapes.jobStatusSchema),
    query: z.object({
      state: z.string().max(100).optional().describe('One state or several with commas; default running'),
      lag: numberParam.optional().describe('Also: no more than so many records behind'),
      timeout: z
        .string()
        .regex(/^\d{1,5}(ms|s|m)$/, 'a duration: 500ms, 30s, 1m')
        .optional()
        .describe('Wait so long for it, at most 60s'),
    }),
  },
  getPlan: {
    ...look('/plan', 'How a job runs, and the file it was made of', shapes.planSchema),
    query: z.object({ revision: numberParam.optional() }),
  },
  explainJob: {
    ...look('/explain', 'How a job runs, as weir explain shows it: text, or a chart of its stages', shapes.planSchema),
    query: z.object({ format: z.enum(['text', 'mermaid', 'dot']).optional(), revision: numberParam.optional() }),
    answers: { 200: 'text/plain' },
  },
  getRuns: look('/runs', 'Runs of a job with a schedule, and when the next one is', shapes.runsSchema),
  getRevisions: look('/revisions', 'Revisions that the job has and can be taken back to', shapes.revisionsSchema),
  diffRevisions: {
    ...look('/diff', 'What differs between the files of two revisions', shapes.diffSchema),
    query: z.object({
      from: numberParam.optional().describe('Default: the one before'),
      to: numberParam.optional().describe('Default: the current one'),
    }),
  },
  diffJob: {
    method: 'POST',
    path: '/v1/jobs/{name}/diff',
    role: 'viewer',
    tag: 'jobs',
    summary: 'What differs between the job as it is and a job file',
    body: 'jobFile',
    answers: { 200: shapes.diffSchema },
    problems: [404],
  },
  getErrors: look(
    '/errors',
    'What went wrong with a job, by kind, newest first: how often, when, and whether it is so now',
    shapes.jobErrorsSchema,
  ),
  getProgress: {
    ...look('/progress', 'The last batches, with the names of Spark’s StreamingQueryProgress', shapes.progressSchema),
    query: z.object({ last: limitParam.optional() }),
  },
  removeJob: {
    method: 'DELETE',
    path: '/v1/jobs/{name}',
    role: 'operator',
    tag: 'jobs',
    summary: 'Forget a job at rest; its tables, topics and savepoints stay',
    answers: { 204: null },
    problems: [404, 409],
  },
  // ---- actions
  stopJob: action('stop', 'Finish, commit, end'),
  pauseJob: action('pause', 'The same as stop: what is stopped goes on where it stood'),
  cancelJob: action('cancel', 'End now; the next start repeats what was not committed'),
  startJob: action('start', 'Go on where the job stood'),
  resumeJob: action('resume', 'The same as start'),
  restartJob: {
    ...action('restart', 'Stop and start again; with failedOnly a job that runs is left alone'),
    query: z.object({ failedOnly: flag.optional() }),
    answers: { 202: shapes.operationSchema },
  },
  scaleJob: {
    ...action('scale', 'How many workers a job may use'),
    body: shapes.scaleSchema,
  },
  stepJob: {
    ...action('step', 'Run the epochs that are due, in a job with trigger: manual'),
    answers: { 200: z.object({ epochs: z.number().int() }) },
  },
  rollbackJob: {
    ...action('rollback', 'Make an earlier revision the next one'),
    query: z.object({
      to: z
        .string()
        .regex(/^[1-9]\d{0,14}$/, 'a revision is a whole number from 1')
        .optional()
        .describe('Default: the revision before'),
    }),
  },
  replayJob: {
    ...action('replay', 'Begin a new run of the same definition from there, without the state of the run before'),
    body: shapes.replaySchema,
    problems: [404, 409, 422],
  },
  getOperation: {
    method: 'GET',
    path: '/v1/operations/{id}',
    role: 'viewer',
    tag: 'actions',
    summary: 'How far an operation is',
    query: z.object({
      wait: z
        .string()
        .regex(/^\d{1,5}(ms|s|m)$/, 'a duration: 500ms, 30s, 1m')
        .optional(),
    }),
    answers: { 200: shapes.operationSchema },
    problems: [404],
  },
  // ---- state
  getOffsets: { ...look('/offsets', 'Where a job stands in its topics', shapes.offsetsSchema), tag: 'state' },
  setOffsets: {
    method: 'PATCH',
    path: '/v1/jobs/{name}/offsets',
    role: 'operator',
    tag: 'state',
    summary: 'Set offsets of a job at rest: a new run begins there, without state',
    body: shapes.setOffsetsSchema,
    answers: { 200: shapes.offsetsSchema },
    problems: [404, 409, 422],
  },
  resetOffsets: {
    method: 'DELETE',
    path: '/v1/jobs/{name}/offsets',
    role: 'operator',
    tag: 'state',
    summary: 'Reset a job at rest: it begins anew, without state',
    query: z.object({
      to: resetParam.optional(),
    }),
    answers: { 200: shapes.offsetsSchema },
    problems: [404, 409],
  },
  listSavepoints: {
    method: 'GET',
    path: '/v1/jobs/{name}/savepoints',
    role: 'viewer',
    tag: 'state',
    summary: 'Savepoints of a job, newest first; also of one that was deleted',
    answers: { 200: z.object({ savepoints: z.array(shapes.savepointSchema) }) },
  },
  createSavepoint: {
    method: 'PUT',
    path: '/v1/jobs/{name}/savepoints/{savepoint}',
    role: 'operator',
    tag: 'state',
    summary: 'Keep the state and positions of a stateful job under a name',
    answers: { 201: shapes.savepointSchema },
    problems: [404, 409],
  },
  deleteSavepoint: {
    method: 'DELETE',
    path: '/v1/jobs/{name}/savepoints/{savepoint}',
    role: 'operator',
    tag: 'state',
    summary: 'Delete a savepoint and its state',
    answers: { 204: null },
    problems: [404],
  },
  getCheckpoints: {
    ...look('/checkpoints', 'Snapshots that this master saw of a stateful job, newest first', shapes.checkpointsSchema),
    tag: 'state',
    query: z.object({ last: limitParam.optional() }),
  },
  // ---- data
  listDeadLetters: {
    ...look('/dead-letters', 'Records that the job could not process, newest first', shapes.deadLettersSchema),
    role: 'operator',
    tag: 'data',
    query: z.object({
      limit: limitParam.optional(),
      topic: z.string().max(249).optional(),
      partition: numberParam.optional(),
      run: numberParam.optional(),
      before: numberParam.optional().describe('Only offsets below; with topic and partition'),
    }),
  },
  replayDeadLetters: {
    method: 'POST',
    path: '/v1/jobs/{name}/dead-letters/replay',
    role: 'operator',
    tag: 'data',
    summary: 'Produce records again to the topic they came from, as they were or with another value',
    body: shapes.replayLettersSchema,
    answers: { 200: z.object({ replayed: z.number().int(), to: z.array(z.string()) }) },
    problems: [404, 409],
  },
  purgeDeadLetters: {
    method: 'DELETE',
    path: '/v1/jobs/{name}/dead-letters',
    role: 'operator',
    tag: 'data',
    summary: 'Delete dead letters',
    body: shapes.purgeLettersSchema,
    answers: { 200: z.object({ purged: z.number().int() }) },
    problems: [404],
  },
  tapRows: {
    ...look('/rows', 'The last rows as they leave an operator or stand in a sink’s table', shapes.tappedRowsSchema),
    role: 'operator',
    tag: 'data',
    query: z.object({
      stage: numberParam.optional().describe('Index of a stage: the last records, run through the plan up to there'),
      operator: numberParam.optional().describe('Within the stage: up to this operator, from 0; default: all of them'),
      sink: numberParam.optional().describe('Index of a table sink: rows of its table'),
      after: z
        .string()
        .max(12_000)
        .regex(/^[\w.-]{1,249}\/\d{1,6}:\d{1,15}(,[\w.-]{1,249}\/\d{1,6}:\d{1,15})*$/, 'next of an answer before')
        .optional()
        .describe('next of an answer before: only rows of records that came since; of a stage without state'),
      limit: limitParam.optional(),
    }),
    problems: [404, 409, 504],
  },
  listTopics: {
    method: 'GET',
    path: '/v1/topics',
    role: 'viewer',
    tag: 'data',
    summary: 'Topics that jobs read and write',
    answers: { 200: shapes.topicsSchema },
  },
  getTopic: {
    method: 'GET',
    path: '/v1/topics/{topic}',
    role: 'viewer',
    tag: 'data',
    summary: 'Partitions of a topic, and how far jobs are behind in them',
    answers: { 200: shapes.topicSchema },
    problems: [404],
  },
  readTopic: {
    method: 'GET',
    path: '/v1/topics/{topic}/records',
    role: 'operator',
    tag: 'data',
    summary: 'Records of a topic, decompressed',
    query: z.object({
      partition: z
        .string()
        .regex(/^(all|\d{1,9})$/, 'a number or all')
        .optional(),
      from: z
        .string()
        .regex(/^(earliest|latest|\d{1,15}|ts:\d{1,15})$/, 'earliest, latest, an offset or ts:MS')
        .optional()
        .describe('latest: the last ones; ts:MS: the first at or after that time'),
      after: z
        .string()
        .max(12_000)
        .regex(/^\d{1,6}:\d{1,15}(,\d{1,6}:\d{1,15})*$/, 'offsets by partition: 0:15,1:20')
        .optional()
        .describe('Instead of from: offsets by partition, as next of an answer before has them: 0:15,1:20'),
      limit: limitParam.optional(),
    }),
    answers: { 200: shapes.recordsSchema },
    problems: [404, 504],
  },
  listTables: {
    method: 'GET',
    path: '/v1/tables',
    role: 'viewer',
    tag: 'data',
    summary: 'Tables that jobs write, and that of dead letters',
    answers: { 200: shapes.tablesSchema },
  },
  queryTables: {
    method: 'POST',
    path: '/v1/query',
    role: 'operator',
    tag: 'data',
    summary: 'Ask the tables: SELECT and DESCRIBE',
    body: shapes.querySchema,
    answers: { 200: shapes.rowsSchema },
    problems: [404],
  },
  listFunctions: {
    method: 'GET',
    path: '/v1/functions',
    role: 'viewer',
    tag: 'data',
    summary: 'Functions that queries may call, with examples',
    answers: { 200: shapes.functionsSchema },
  },
  // ---- cluster
  getCluster: {
    method: 'GET',
    path: '/v1/cluster',
    role: 'viewer',
    tag: 'cluster',
    summary: 'What this cluster is',
    answers: { 200: shapes.clusterSchema },
  },
  listWorkers: {
    method: 'GET',
    path: '/v1/workers',
    role: 'viewer',
    tag: 'cluster',
    summary: 'List workers',
    answers: { 200: shapes.workersSchema },
  },
  getWorker: {
    method: 'GET',
    path: '/v1/workers/{id}',
    role: 'viewer',
    tag: 'cluster',
    summary: 'A worker in full, by id or name, with the partitions that it reads',
    answers: { 200: shapes.workerSchema },
    problems: [404, 409],
  },
  drainWorker: {
    method: 'POST',
    path: '/v1/workers/{id}/drain',
    role: 'operator',
    tag: 'cluster',
    summary: 'Move everything away from a worker, by id or name',
    answers: { 202: shapes.workersSchema },
    problems: [404, 409],
  },
  listTargets: {
    method: 'GET',
    path: '/v1/targets',
    role: 'viewer',
    tag: 'cluster',
    summary: 'Scrape targets, for http_sd_configs of Prometheus',
    answers: {
      200: z.array(z.object({ targets: z.array(z.string()), labels: z.record(z.string(), z.string()) })),
    },
  },
  streamEvents: {
    method: 'GET',
    path: '/v1/events',
    role: 'viewer',
    tag: 'cluster',
    summary: 'What changes, as server-sent events; Last-Event-ID goes on after a break',
    query: z.object({
      topics: topicsParam.optional(),
    }),
    answers: { 200: 'text/event-stream' },
  },
  listEvents: {
    method: 'GET',
    path: '/v1/events/recent',
    role: 'viewer',
    tag: 'cluster',
    summary: 'What happened since this master leads, oldest first',
    query: z.object({ last: limitParam.optional(), job: z.string().max(63).optional() }),
    answers: { 200: shapes.eventsSchema },
  },
  listLogs: {
    method: 'GET',
    path: '/v1/logs',
    role: 'viewer',
    tag: 'cluster',
    summary:
      'Last lines of the logs of master and workers, by time; of workers that are gone too. Those of workers from operator on',
    query: z.object({
      job: z.string().max(63).optional(),
      worker: z.string().max(100).optional().describe('What this worker wrote, and what the master says of it'),
      process: z.string().max(100).optional().describe('What this process wrote: master, or a worker by id or name'),
      level: z.enum(['debug', 'info', 'warn', 'error']).optional().describe('This level and graver ones'),
      since: z
        .string()
        .regex(/^(\d{1,15}|\d{1,5}(ms|s|m|h))$/, 'a time in ms since 1970, or how long ago: 5m')
        .optional()
        .describe('Not older: ms since 1970, or how long ago, as 5m'),
      last: limitParam.optional(),
    }),
    answers: { 200: shapes.logsSchema },
  },
  openapi: {
    method: 'GET',
    path: '/v1/openapi.json',
    role: 'viewer',
    tag: 'operations',
    summary: 'This interface as an OpenAPI 3.1 document',
    answers: { 200: z.looseObject({ openapi: z.string() }) },
  },
  // ---- access
  whoAmI: {
    method: 'GET',
    path: '/v1/whoami',
    role: 'viewer',
    tag: 'access',
    summary: 'The name and role of the token',
    answers: { 200: shapes.callerSchema },
  },
  listTokens: {
    method: 'GET',
    path: '/v1/tokens',
    role: 'admin',
    tag: 'access',
    summary: 'Tokens by name, without what opens anything',
    answers: { 200: shapes.tokensSchema },
  },
  createToken: {
    method: 'POST',
    path: '/v1/tokens',
    role: 'admin',
    tag: 'access',
    summary: 'Make a token; its text is in this answer and nowhere else',
    body: shapes.newTokenSchema,
    answers: { 201: shapes.createdTokenSchema },
    problems: [409],
  },
  revokeToken: {
    method: 'DELETE',
    path: '/v1/tokens/{id}',
    role: 'admin',
    tag: 'access',
    summary: 'Take a token back, by id or name; from then on it opens nothing',
    answers: { 200: shapes.tokenSchema },
    problems: [404],
  },
  // ---- for programs that watch
  health: {
    method: 'GET',
    path: '/healthz',
    role: 'open',
    tag: 'operations',
    summary: 'The process answers',
    answers: { 200: z.object({ status: z.literal('ok') }) },
  },
  ready: {
    method: 'GET',
    path: '/readyz',
    role: 'open',
    tag: 'operations',
    summary: 'Requests are served: this master leads, or knows who does',
    answers: { 200: shapes.readySchema, 503: shapes.readySchema },
  },
  jobSchema: {
    method: 'GET',
    path: '/schemas/job.v1.json',
    role: 'local',
    tag: 'operations',
    summary: 'JSON Schema of job files, for editors',
    answers: { 200: 'application/schema+json' },
  },
  docs: {
    method: 'GET',
    path: '/docs',
    role: 'local',
    tag: 'operations',
    summary: 'This list of routes as a page to read',
    answers: { 200: 'text/html' },
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    role: 'local',
    tag: 'operations',
    summary: 'Metrics for Prometheus',
    answers: { 200: 'text/plain' },
  },
  // ---- as Spark's standalone master
  sparkCreate: {
    method: 'POST',
    path: '/v1/submissions/create',
    role: 'submitter-declarative',
    tag: 'spark',
    summary: 'Submit as to Spark’s standalone master',
    body: shapes.submissionRequestSchema,
    answers: { 200: shapes.submissionSchema },
    problems: [422],
  },
  sparkStatus: {
    method: 'GET',
    path: '/v1/submissions/status/{id}',
    role: 'viewer',
    tag: 'spark',
    summary: 'Driver state by submission id, or by the name of a job',
    answers: { 200: shapes.submissionSchema },
  },
  sparkKill: {
    method: 'POST',
    path: '/v1/submissions/kill/{id}',
    role: 'operator',
    tag: 'spark',
    summary: 'Stop gracefully by submission id',
    answers: { 200: shapes.submissionSchema },
  },
  sparkReady: {
    method: 'GET',
    path: '/v1/submissions/readyz',
    role: 'viewer',
    tag: 'spark',
    summary: 'As Spark 4 answers',
    answers: { 200: shapes.submissionSchema },
  },
} as const satisfies Readonly<Record<string, RouteSpec>>;

export type RouteId = keyof typeof routes;
export type Routes = typeof routes;

/** Characters of a path's parameter: the longest is a topic's name. */
export const PARAMETER_LENGTH_MAX = 249;

/** Names of the path's parameters. */
export function pathParameters(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
}
