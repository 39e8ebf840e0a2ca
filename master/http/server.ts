/** The master's HTTP door: REST for jobs, the status page, health, metrics and Prometheus service discovery. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Fastify from 'fastify';
import type { Registry } from 'prom-client';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { jobJsonSchema } from '../../core/job/json-schema.ts';
import type { Log } from '../../core/ports.ts';
import { DataDesk } from '../data-desk.ts';
import { DeadLetterDesk } from '../dead-letter-desk.ts';
import type { Lab } from '../lab.ts';
import type { Standing } from '../leadership.ts';
import type { LogRing } from '../log-ring.ts';
import { OffsetDesk } from '../offset-desk.ts';
import { Operations } from '../operations.ts';
import type { JobService } from '../service.ts';
import { ClusterWatch } from '../watch.ts';
import type { Answer, Handler, Handlers } from './call.ts';
import { checkCall, ok } from './call.ts';
import { dataHandlers } from './data-handlers.ts';
import { FORWARDED_HEADER, forward } from './forward.ts';
import { foreignRequest, formatAddress, listenError, requireTokenOffLoopback, tokenMatches } from './listen.ts';
import { jobHandlers } from './job-handlers.ts';
import { openApiDocument } from './openapi.ts';
import { PROBLEM_TYPE, problem, problemOf } from './problems.ts';
import type { RouteId, RouteSpec } from './routes.ts';
import { routes } from './routes.ts';
import { sparkHandlers } from './spark-handlers.ts';
import { addUi } from './ui.ts';

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
  readonly version?: string;
  /** What events and progress come from; absent = one that looks by itself is made. */
  readonly watch?: ClusterWatch;
  /** Absent = records cannot be looked into. */
  readonly lab?: Lab;
  /** The last lines of this process's log. */
  readonly logs?: LogRing;
}

export interface HttpServer {
  /** `http://host:port`. */
  readonly address: string;
  close(): Promise<void>;
}

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
  const clock = systemClock;
  const watch =
    options.watch ?? new ClusterWatch(service, clock, () => (options.standing?.() ?? leads).role === 'leader');
  if (options.watch === undefined) {
    app.addHook('onListen', () => watch.open());
    app.addHook('onClose', () => watch.close());
  }
  const handlers = makeHandlers(service, watch, options);
  for (const id of Object.keys(routes) as RouteId[]) addRoute(app, routes[id], handlers[id]);
  addUi(app, { watch, clock });
  return app;
}

/** One route of the table: checks what comes in, sends what the handler gives. */
function addRoute(app: FastifyInstance, spec: RouteSpec, handler: Handler<RouteSpec>): void {
  app.route({
    method: spec.method,
    url: spec.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    handler: async (request, reply) => {
      const answer = await handler(checkCall(spec, request, reply));
      if (answer !== null) await sendAnswer(reply, answer);
    },
  });
}

async function sendAnswer(reply: FastifyReply, { status, body, type, headers }: Answer): Promise<void> {
  if (headers !== undefined) void reply.headers(headers);
  if (body === undefined) await reply.code(status).send();
  else if (typeof body === 'string' && type !== undefined) await reply.code(status).type(type).send(body);
  else await send(reply, status, body, type);
}

function makeHandlers(service: JobService, watch: ClusterWatch, options: HttpOptions): Handlers {
  const clock = systemClock;
  const standing = options.standing ?? (() => leads);
  const version = options.version ?? 'unknown';
  return {
    ...jobHandlers({
      service,
      watch,
      clock,
      operations: new Operations(clock, systemRng),
      offsets: new OffsetDesk(service),
    }),
    ...dataHandlers({
      service,
      watch,
      letters: new DeadLetterDesk(service.connections, clock),
      data: new DataDesk(service, options.lab ?? null),
      logs: options.logs ?? null,
      version,
      role: () => standing().role,
    }),
    ...sparkHandlers(service),
    ...operationHandlers(options, version),
  };
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

function operationHandlers(
  options: HttpOptions,
  version: string,
): Handlers<'openapi' | 'health' | 'ready' | 'jobSchema' | 'metrics'> {
  let document: unknown;
  return {
    openapi: () => ok((document ??= openApiDocument(version))),
    health: () => ok({ status: 'ok' }),
    ready: () => {
      const standing = options.standing?.() ?? leads;
      const { role } = standing;
      // A standby that knows the leader serves everybody who asks.
      if (role === 'standby' && standing.leader !== null) return ok({ status: 'ready', role, leader: standing.leader });
      const reason = notReady(standing);
      return reason === null ? ok({ status: 'ready', role }) : ok({ status: 'not ready', role, reason }, 503);
    },
    jobSchema: () => ({ status: 200, body: jobJsonSchema(), type: 'application/schema+json' }),
    metrics: async () => ({
      status: 200,
      body: await options.registry.metrics(),
      type: options.registry.contentType,
    }),
  };
}
