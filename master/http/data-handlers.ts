/** Routes about data and the cluster: dead letters, topics, tables, rows, workers, events, logs. */
import type { FastifyRequest } from 'fastify';
import { durationMs } from '../../core/duration.ts';
import { requireRead } from '../../core/security/cql-read.ts';
import { includesRole } from '../../core/security/roles.ts';
import type { ClusterLogs } from '../cluster-logs.ts';
import type { DataDesk, TapPosition } from '../data-desk.ts';
import type { DeadLetterDesk } from '../dead-letter-desk.ts';
import type { ReadFrom } from '../read-records.ts';
import type { JobService } from '../service.ts';
import type { ClusterWatch } from '../watch.ts';
import type { Handlers } from './call.ts';
import { codeOf, ok } from './call.ts';
import { workerCalled, workerDocument } from './documents.ts';
import { streamEvents } from './event-stream.ts';

export interface DataHandlerParts {
  readonly service: JobService;
  readonly watch: ClusterWatch;
  readonly letters: DeadLetterDesk;
  readonly data: DataDesk;
  readonly logs: ClusterLogs | null;
  readonly version: string;
  /** ms since 1970. */
  readonly now: () => number;
  /** What this master is at the moment. */
  readonly role: () => string;
  readonly redact: (text: string) => string;
  /** Whether whoever sent this request may still see figures. */
  readonly mayLook: (request: FastifyRequest) => boolean;
}

type DataRoutes =
  | 'tryJob'
  | 'listDeadLetters'
  | 'replayDeadLetters'
  | 'purgeDeadLetters'
  | 'tapRows'
  | 'listTopics'
  | 'getTopic'
  | 'readTopic'
  | 'listTables'
  | 'queryTables'
  | 'listFunctions'
  | 'getCluster'
  | 'listWorkers'
  | 'getWorker'
  | 'drainWorker'
  | 'listTargets'
  | 'streamEvents'
  | 'listEvents'
  | 'listLogs';

const LIMIT_MAX = 1000;
const LETTERS_DEFAULT = 100;
const RECORDS_DEFAULT = 50;
const ROWS_DEFAULT = 20;
const EVENTS_DEFAULT = 200;
const LINES_DEFAULT = 500;
/** All that a master keeps. */
const LINES_MAX = 6000;

export function dataHandlers(parts: DataHandlerParts): Handlers<DataRoutes> {
  const { service, watch, letters, data, logs } = parts;
  /** Throws: NOT_FOUND. */
  const jobOf = (params: Readonly<Record<string, string>>) => service.job(params['name'] ?? '');
  return {
    tryJob: async ({ body }) => {
      const checked = await service.check(body.job);
      const empty = { columns: [], rows: [], deadLetters: [], filtered: 0 };
      if (checked.kind === 'refused') return ok({ problems: checked.problems, warnings: [], ...empty });
      const result = await data.tryPlan(checked.plan, body.rows, LIMIT_MAX);
      return ok({ problems: [], warnings: checked.plan.warnings, ...result });
    },
    listDeadLetters: async ({ params, query }) => {
      const { row } = jobOf(params);
      const filter = {
        limit: limitOf(query.limit, LETTERS_DEFAULT),
        ...(query.topic === undefined ? {} : { topic: query.topic }),
        ...(query.partition === undefined ? {} : { partition: Number(query.partition) }),
        ...(query.run === undefined ? {} : { run: Number(query.run) }),
        ...(query.before === undefined ? {} : { before: Number(query.before) }),
      };
      return ok(await letters.list(row.name, filter));
    },
    replayDeadLetters: async ({ params, body, caller }) => {
      const view = jobOf(params);
      // The records go to the code of the job, whose author alone may choose what it gets.
      if (codeOf(caller) === 'refused') await service.requireNoCode(view.row.name, 'Replaying its dead letters');
      return ok(await letters.replay(view, body.letters));
    },
    purgeDeadLetters: async ({ params, body }) =>
      ok({ purged: await letters.purge(jobOf(params).row.name, body.letters) }),
    tapRows: async ({ params, query }) => {
      const view = jobOf(params);
      const limit = limitOf(query.limit, ROWS_DEFAULT);
      if (query.sink !== undefined) return ok(await data.sinkRows(view, Number(query.sink), limit));
      const operator = query.operator === undefined ? null : Number(query.operator);
      const at = { stage: Number(query.stage ?? 0), operator };
      return ok(await data.tap(view.row.name, at, limit, query.after === undefined ? null : tapPosition(query.after)));
    },
    listTopics: async () => ok({ topics: await data.topics() }),
    getTopic: async ({ params }) => ok(await data.topic(params['topic'] ?? '')),
    readTopic: async ({ params, query }) => {
      const partition = query.partition === undefined || query.partition === 'all' ? null : Number(query.partition);
      const from = query.after === undefined ? readFrom(query.from ?? 'latest') : readAfter(query.after);
      const limit = limitOf(query.limit, RECORDS_DEFAULT);
      return ok(await data.records(params['topic'] ?? '', { partition, from, limit }));
    },
    listTables: async () => ok({ tables: await data.tables() }),
    queryTables: async ({ body }) => {
      requireRead(body.cql);
      return ok(await service.query(body.cql));
    },
    listFunctions: async () => {
      const { knownFunctions } = await import('../../engine/plan/known-functions.ts');
      return ok({ functions: knownFunctions() });
    },
    getCluster: () => {
      const jobs = countBy(service.jobs().map(({ row }) => row.state));
      const workers = countBy(service.workers().map(({ state }) => state));
      const connections = service.connections.describe();
      return ok({ version: parts.version, role: parts.role(), connections, jobs, workers });
    },
    listWorkers: () => ok({ workers: service.workers() }),
    getWorker: ({ params }) => {
      const worker = workerCalled(service.workers(), params['id'] ?? '');
      return ok(workerDocument(worker, service.jobs()));
    },
    drainWorker: ({ params }) => {
      service.drain(workerCalled(service.workers(), params['id'] ?? '').id);
      return ok({ workers: service.workers() }, 202);
    },
    listTargets: ({ request }) => ok(scrapeTargets(service, request.headers.host)),
    streamEvents: ({ request, reply, query, caller }) => {
      const masterLogOnly = !includesRole(caller.role, 'operator');
      streamEvents(
        request,
        reply,
        { watch, logs, masterLogOnly, redact: parts.redact, mayGoOn: () => parts.mayLook(request) },
        query.topics,
      );
      return null;
    },
    listEvents: ({ query }) => ok({ events: watch.lastEvents(limitOf(query.last, EVENTS_DEFAULT, 2000), query.job) }),
    listLogs: ({ query, caller }) => {
      const wanted = {
        masterOnly: !includesRole(caller.role, 'operator'),
        ...(query.job === undefined ? {} : { job: query.job }),
        ...(query.worker === undefined ? {} : { worker: query.worker }),
        ...(query.process === undefined ? {} : { process: query.process }),
        ...(query.level === undefined ? {} : { level: query.level }),
        ...(query.since === undefined ? {} : { since: sinceOf(query.since, parts.now()) }),
      };
      return ok({ lines: logs?.last(limitOf(query.last, LINES_DEFAULT, LINES_MAX), wanted) ?? [] });
    },
  };
}

function limitOf(text: string | undefined, otherwise: number, max = LIMIT_MAX): number {
  return text === undefined ? otherwise : Math.min(max, Math.max(1, Number(text)));
}

/** `0:15,1:20`: offsets by partition. */
function readAfter(text: string): ReadFrom {
  const pairs = text.split(',').map((pair) => pair.split(':').map(Number));
  return { next: new Map(pairs.map(([partition = 0, offset = 0]) => [partition, offset])), newest: false };
}

/** `users/0:15,users/1:20`: offsets by source and partition. */
function tapPosition(text: string): TapPosition {
  const found = new Map<string, Map<number, number>>();
  for (const part of text.split(',')) {
    const [, source = '', partition, offset] = /^(.*)\/(\d+):(\d+)$/.exec(part) ?? [];
    found.set(source, (found.get(source) ?? new Map<number, number>()).set(Number(partition), Number(offset)));
  }
  return found;
}

/** ms since 1970, of a time given so or as how long ago. */
function sinceOf(text: string, now: number): number {
  return /^\d+$/.test(text) ? Number(text) : now - durationMs(text);
}

/** `earliest`, `latest`, an offset or `ts:MS`. */
function readFrom(text: string): ReadFrom {
  if (text === 'earliest' || text === 'latest') return text;
  return text.startsWith('ts:') ? { timestampMs: Number(text.slice(3)) } : { offset: Number(text) };
}

function countBy(values: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return Object.fromEntries(counts);
}

/** What Prometheus' http_sd_configs reads. The master is reachable the way the asker came. */
function scrapeTargets(service: JobService, host: string | undefined): unknown[] {
  const master = host === undefined ? [] : [{ targets: [host], labels: { component: 'master' } }];
  const workers = service.workers().filter((worker) => worker.httpAddress !== '');
  return [
    ...master,
    ...workers.map((worker) => ({
      targets: [worker.httpAddress.replace(/^https?:\/\//, '')],
      labels: { component: 'worker', worker: worker.id },
    })),
  ];
}
