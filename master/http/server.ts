/** The master's HTTP door: REST for jobs, the status page, health, metrics and Prometheus service discovery. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Fastify from 'fastify';
import type { Registry } from 'prom-client';
import type { SavepointRow } from '../../core/epoch/types.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import { jobJsonSchema } from '../../core/job/json-schema.ts';
import type { Log } from '../../core/ports.ts';
import type { ApplyOutcome, JobService, StartOptions } from '../service.ts';
import type { JobView } from '../views.ts';
import type { Standing } from '../leadership.ts';
import { FORWARDED_HEADER, forward } from './forward.ts';
import { foreignRequest, formatAddress, listenError, requireTokenOffLoopback, tokenMatches } from './listen.ts';
import { PROBLEM_TYPE, problem, problemOf, refusedJob } from './problems.ts';
import { pageScript, pageStyle, renderPage } from './status-page.ts';

export interface HttpOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** Asked of every /v1 request as `Authorization: Bearer …`; null = nobody is asked, on loopback only. */
  readonly token: string | null;
  readonly registry: Registry;
  readonly log: Log;
  /** Whether this master leads; absent = it does. A standby hands requests on to the leader. */
  readonly standing?: () => Standing;
}

export interface HttpServer {
  /** `http://host:port`. */
  readonly address: string;
  close(): Promise<void>;
}

const SAVEPOINT_PREFIX = 'savepoint:';
/** Bytes of a request body. */
const BODY_BYTES_MAX = 1024 * 1024;

/** Starts to listen. Throws: CONFIG_INVALID off loopback without a token, PORT_IN_USE. */
export async function startHttp(service: JobService, options: HttpOptions): Promise<HttpServer> {
  requireTokenOffLoopback(options.host, options.token);
  const app = buildHttp(service, options);
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (error) {
    await app.close();
    throw listenError(error, options.host, options.port);
  }
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : options.port;
  return { address: formatAddress(options.host, port), close: async () => await app.close() };
}

/** The routes without a socket; {@link startHttp} listens. */
export function buildHttp(service: JobService, options: HttpOptions): FastifyInstance {
  const app = Fastify({ bodyLimit: BODY_BYTES_MAX, forceCloseConnections: true, exposeHeadRoutes: false });
  // Bodies stay text: a job file keeps its lines and columns, and JSON is read where it is expected.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', async (request, reply) => await admit(request, reply, options));
  app.setErrorHandler(async (error, request, reply) => {
    const document = problemOf(error);
    if (document.status >= 500)
      options.log.error({ route: request.routeOptions.url, error: messageOf(error) }, 'request failed');
    await send(reply, document.status, document, PROBLEM_TYPE);
  });
  app.setNotFoundHandler(async (request, reply) => {
    await send(
      reply,
      404,
      problem('NOT_FOUND', `There is no ${request.method} ${request.url.split('?')[0]}.`),
      PROBLEM_TYPE,
    );
  });
  addOperations(app, service, options);
  addJobs(app, service);
  addCluster(app, service);
  return app;
}

async function admit(request: FastifyRequest, reply: FastifyReply, options: HttpOptions): Promise<void> {
  void reply.headers({
    'content-security-policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  });
  const { host, origin, 'sec-fetch-site': fetchSite } = request.headers;
  const foreign = foreignRequest(
    { host, origin, fetchSite: typeof fetchSite === 'string' ? fetchSite : undefined },
    options.host,
  );
  if (foreign !== null)
    return await send(reply, 403, problem('UNAUTHORIZED', `Refused: ${foreign}.`, 403), PROBLEM_TYPE);
  const open = request.method === 'GET' && !request.url.startsWith('/v1');
  if (open) return;
  if (options.token === null || tokenMatches(request.headers.authorization, options.token)) {
    const standing = options.standing?.() ?? leads;
    const forwarded = request.headers[FORWARDED_HEADER] !== undefined;
    if (standing.role === 'standby' && standing.leader !== null && !forwarded) {
      const { leader } = standing;
      return await forward(request, reply, leader, () => {
        const now = options.standing?.();
        return now?.role === 'standby' && now.leader === leader;
      });
    }
    const reason = notReady(standing);
    if (reason === null) return;
    void reply.header('retry-after', '1');
    return await send(
      reply,
      503,
      problem('MASTER_UNREACHABLE', `The master is not ready yet: ${reason}.`),
      PROBLEM_TYPE,
    );
  }
  void reply.header('www-authenticate', 'Bearer');
  const detail =
    'This master asks for a token: send it as "Authorization: Bearer …", or give the weir command --token or WEIR_TOKEN.';
  await send(reply, 401, problem('UNAUTHORIZED', detail), PROBLEM_TYPE);
}

const leads: Standing = { role: 'leader' };

/** Why this master cannot answer for the cluster at the moment, or null. */
function notReady(standing: Standing): string | null {
  switch (standing.role) {
    case 'leader':
      return null;
    case 'opening':
      // Before it has read its jobs it would take every job for a new one.
      return 'the jobs are being read from the metadata store';
    case 'standby':
      return standing.leader === null ? 'no master leads yet' : 'this master does not lead';
  }
}

async function send(reply: FastifyReply, status: number, body: unknown, type = 'application/json'): Promise<void> {
  await reply
    .code(status)
    .type(type)
    .send(`${JSON.stringify(body)}\n`);
}

function addOperations(app: FastifyInstance, service: JobService, options: HttpOptions): void {
  app.get('/healthz', async (_, reply) => await send(reply, 200, { status: 'ok' }));
  app.get('/readyz', async (_, reply) => {
    const standing = options.standing?.() ?? leads;
    const { role } = standing;
    // A standby that knows the leader serves everybody who asks.
    if (role === 'standby' && standing.leader !== null)
      return await send(reply, 200, { status: 'ready', role, leader: standing.leader });
    const reason = notReady(standing);
    await send(
      reply,
      reason === null ? 200 : 503,
      reason === null ? { status: 'ready', role } : { status: 'not ready', role, reason },
    );
  });
  app.get(
    '/schemas/job.v1.json',
    async (_, reply) => await send(reply, 200, jobJsonSchema(), 'application/schema+json'),
  );
  app.get('/metrics', async (_, reply) => {
    await reply.type(options.registry.contentType).send(await options.registry.metrics());
  });
  app.get('/', async (_, reply) => {
    // With a token the page comes empty: its script asks for the figures, with the token.
    const open = options.token === null;
    const shown = open ? { jobs: service.jobs(), workers: service.workers() } : { jobs: [], workers: [] };
    await reply.type('text/html; charset=utf-8').send(renderPage({ open, ...shown }));
  });
  app.get('/page.js', async (_, reply) => await reply.type('text/javascript; charset=utf-8').send(pageScript));
  app.get('/page.css', async (_, reply) => await reply.type('text/css; charset=utf-8').send(pageStyle));
}

interface NameRoute {
  Params: { name: string };
}

function addJobs(app: FastifyInstance, service: JobService): void {
  app.get('/v1/jobs', async (_, reply) => await send(reply, 200, { jobs: service.jobs() }));
  app.get<NameRoute>(
    '/v1/jobs/:name',
    async (request, reply) => await send(reply, 200, service.job(request.params.name)),
  );
  app.get<NameRoute>('/v1/jobs/:name/status', async (request, reply) => {
    await send(reply, 200, statusDocument(service.job(request.params.name)));
  });
  app.get<NameRoute & { Querystring: { state?: string } }>('/v1/jobs/:name/wait', async (request, reply) => {
    const view = service.job(request.params.name);
    const wanted = request.query.state ?? 'running';
    if (view.row.state === wanted) return await send(reply, 200, statusDocument(view));
    await send(
      reply,
      404,
      problem('NOT_FOUND', `Job ${view.row.name} is ${view.row.state}, not ${wanted}.`),
      PROBLEM_TYPE,
    );
  });
  app.put<NameRoute & { Querystring: { dryRun?: string; start?: string } }>(
    '/v1/jobs/:name',
    async (request, reply) => {
      const { dryRun, start } = request.query;
      const outcome = await service.apply(bodyText(request), {
        ...startOption(start),
        dryRun: dryRun === 'true' || dryRun === '1' || dryRun === '',
        name: request.params.name,
      });
      await sendOutcome(reply, outcome);
    },
  );
  app.post('/v1/validate', async (request, reply) => {
    const checked = await service.check(bodyText(request));
    const body =
      checked.kind === 'refused'
        ? { valid: false, problems: checked.problems }
        : { valid: true, problems: [], warnings: checked.plan.warnings };
    await send(reply, 200, body);
  });
  app.post<NameRoute>(
    '/v1/jobs/:name/stop',
    async (request, reply) => await act(reply, service, request.params.name, async (name) => await service.stop(name)),
  );
  app.post<NameRoute>(
    '/v1/jobs/:name/cancel',
    async (request, reply) =>
      await act(reply, service, request.params.name, async (name) => await service.cancel(name)),
  );
  app.post<NameRoute>(
    '/v1/jobs/:name/start',
    async (request, reply) => await act(reply, service, request.params.name, async (name) => await service.start(name)),
  );
  app.post<NameRoute>('/v1/jobs/:name/step', async (request, reply) => {
    await send(reply, 200, await service.step(request.params.name));
  });
  app.post<NameRoute & { Querystring: { to?: string } }>('/v1/jobs/:name/rollback', async (request, reply) => {
    const { notes } = await service.rollback(request.params.name, revisionOption(request.query.to));
    await send(reply, 202, { ...statusDocument(service.job(request.params.name)), warnings: notes });
  });
  addSavepoints(app, service);
  app.delete<NameRoute>('/v1/jobs/:name', async (request, reply) => {
    await service.remove(request.params.name);
    await reply.code(204).send();
  });
}

interface SavepointRoute {
  Params: { name: string; savepoint: string };
}

function addSavepoints(app: FastifyInstance, service: JobService): void {
  app.get<NameRoute>('/v1/jobs/:name/savepoints', async (request, reply) => {
    const rows = await service.savepoints(request.params.name);
    await send(reply, 200, { savepoints: rows.map(savepointDocument) });
  });
  app.put<SavepointRoute>('/v1/jobs/:name/savepoints/:savepoint', async (request, reply) => {
    const { name, savepoint } = request.params;
    await send(reply, 201, savepointDocument(await service.createSavepoint(name, savepoint)));
  });
  app.delete<SavepointRoute>('/v1/jobs/:name/savepoints/:savepoint', async (request, reply) => {
    await service.deleteSavepoint(request.params.name, request.params.savepoint);
    await reply.code(204).send();
  });
}

/** A savepoint without what only recovery needs. */
export interface SavepointView {
  readonly name: string;
  readonly job: string;
  readonly run: number;
  readonly revision: number;
  /** The last epoch whose effects it holds. */
  readonly epoch: number;
  readonly bytes: number;
  /** ms since 1970. */
  readonly createdAt: number;
}

function savepointDocument({ name, job, run, revision, head, bytes, createdAt }: SavepointRow): SavepointView {
  return { name, job, run, revision, epoch: head.committed, bytes, createdAt };
}

async function act(
  reply: FastifyReply,
  service: JobService,
  name: string,
  action: (name: string) => Promise<void>,
): Promise<void> {
  await action(name);
  await send(reply, 202, statusDocument(service.job(name)));
}

async function sendOutcome(reply: FastifyReply, outcome: ApplyOutcome): Promise<void> {
  if (outcome.kind === 'refused') return await send(reply, 422, refusedJob(outcome.problems), PROBLEM_TYPE);
  await send(reply, outcome.kind === 'applied' && outcome.change === 'created' ? 201 : 200, outcome);
}

function startOption(start: string | undefined): StartOptions {
  if (start === undefined) return {};
  if (start === 'earliest' || start === 'latest' || start === 'continue') return { start };
  if (start.startsWith(SAVEPOINT_PREFIX) && start.length > SAVEPOINT_PREFIX.length)
    return { start: { savepoint: start.slice(SAVEPOINT_PREFIX.length) } };
  throw new WeirError('USAGE', `A job starts at earliest, latest, continue or savepoint:NAME, not at ${start}.`);
}

function revisionOption(to: string | undefined): number | undefined {
  if (to === undefined) return undefined;
  const number = Number(to);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new WeirError('USAGE', `A revision is a whole number from 1, not ${to}.`);
}

function addCluster(app: FastifyInstance, service: JobService): void {
  app.get('/v1/workers', async (_, reply) => await send(reply, 200, { workers: service.workers() }));
  app.get(
    '/v1/targets',
    async (request, reply) => await send(reply, 200, scrapeTargets(service, request.headers.host)),
  );
  app.post('/v1/query', async (request, reply) => await send(reply, 200, await service.query(queryText(request))));
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

/** The short form of a job, for sensors and scripts. */
function statusDocument(view: JobView): Record<string, unknown> {
  const { row, lanes, ...figures } = view;
  const { name, state, reason, revision, run, submittedAt, changedAt } = row;
  return { name, state, reason, revision, run, submittedAt, changedAt, laneCount: lanes.length, ...figures };
}

function bodyText(request: FastifyRequest): string {
  if (typeof request.body === 'string' && request.body !== '') return request.body;
  throw new WeirError('USAGE', 'The request has no body; send the job file, YAML or JSON.');
}

function queryText(request: FastifyRequest): string {
  const text = typeof request.body === 'string' ? request.body : '';
  try {
    const { cql } = JSON.parse(text) as { cql?: unknown };
    if (typeof cql === 'string') return cql;
  } catch {
    // The answer below says what is wanted.
  }
  throw new WeirError('USAGE', 'A query is sent as JSON: {"cql": "SELECT …"}.');
}
