/** The master's HTTP door: REST for jobs, the status page, health, metrics and Prometheus service discovery. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Fastify from 'fastify';
import type { Registry } from 'prom-client';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { jobJsonSchema } from '../../core/job/json-schema.ts';
import type { Log } from '../../core/ports.ts';
import type { Caller } from '../../core/security/roles.ts';
import type { ClusterLogs } from '../cluster-logs.ts';
import { DataDesk } from '../data-desk.ts';
import { DeadLetterDesk } from '../dead-letter-desk.ts';
import type { Lab } from '../lab.ts';
import type { Standing } from '../leadership.ts';
import { OffsetDesk } from '../offset-desk.ts';
import { Operations } from '../operations.ts';
import type { JobService } from '../service.ts';
import { ClusterWatch } from '../watch.ts';
import type { Answer, Handler, Handlers } from './call.ts';
import { checkCall, ok } from './call.ts';
import { dataHandlers } from './data-handlers.ts';
import { addAdmission, leads, notReady, send } from './admission.ts';
import { isLoopback } from '../../core/security/loopback.ts';
import { formatAddress, listenError, requireTokenOffLoopback } from './listen.ts';
import { jobHandlers } from './job-handlers.ts';
import { accessHandlers } from './access-handlers.ts';
import { methodsAt } from './methods.ts';
import { PROBLEM_TYPE, problem, problemOf } from './problems.ts';
import type { RouteId, RouteSpec } from './routes.ts';
import { PARAMETER_LENGTH_MAX, routes } from './routes.ts';
import { sparkHandlers } from './spark-handlers.ts';
import { addUi } from './ui.ts';
import { Gate } from '../security/gate.ts';
import type { TokenStore } from '../security/token-store.ts';

export interface HttpOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** The cluster's own, which may everything; null = there is none, and on loopback nobody is asked. */
  readonly token: string | null;
  /** Lets see figures and nothing else, for Prometheus. */
  readonly metricsToken?: string | null;
  /** Tokens by name; absent = there are none. */
  readonly tokens?: TokenStore;
  /** Certificate and key as PEM; absent = plain HTTP. */
  readonly tls?: HttpTls;
  readonly registry: Registry;
  readonly log: Log;
  /** Whether this master leads; absent = it does. A standby hands requests on to the leader. */
  readonly standing?: () => Standing;
  readonly version?: string;
  /** What events and progress come from; absent = one that looks by itself is made. */
  readonly watch?: ClusterWatch;
  /** Absent = records cannot be looked into. */
  readonly lab?: Lab;
  /** Takes secrets out of what is sent. */
  readonly redact?: (text: string) => string;
  /** The last lines of this process's log and of those of workers. */
  readonly logs?: ClusterLogs;
}

/** What HTTPS is spoken with. */
export interface HttpTls {
  readonly cert: string;
  readonly key: string;
  /** Whose certificates other masters show; PEM. */
  readonly ca: string;
  /** Names the authority in tokens for workers; SHA-256 of its certificate, hex. */
  readonly fingerprint: string;
  /** Calls `listener` with each newer certificate; the result ends that. */
  onRenewal(listener: (cert: string, key: string) => void): () => void;
}

export interface HttpServer {
  /** `http://host:port`, or https. */
  readonly address: string;
  close(): Promise<void>;
}

/** Bytes of a request body. */
const BODY_BYTES_MAX = 1024 * 1024;

/** Starts to listen. Throws: CONFIG_INVALID off loopback without a token, PORT_IN_USE. */
export async function startHttp(service: JobService, options: HttpOptions): Promise<HttpServer> {
  if (options.tokens === undefined) requireTokenOffLoopback(options.host, options.token);
  const app = buildHttp(service, options);
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (error) {
    await app.close();
    throw listenError(error, options.host, options.port);
  }
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : options.port;
  const scheme = options.tls === undefined ? 'http' : 'https';
  return { address: formatAddress(options.host, port, scheme), close: async () => await app.close() };
}

/** No route has a schema that fastify would look at. */
function noSchemas(): never {
  throw new Error('a route has a schema for fastify; give it one of zod instead');
}

function makeApp(tls: HttpTls | undefined): FastifyInstance {
  const options = {
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    // Calls are checked by their zod schemas; fastify's own checkers need a hundred modules to be made.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // Before there is a route: a path that cannot be decoded, or a name that is longer than any.
    frameworkErrors: (error: unknown, _request: unknown, reply: unknown): void => {
      void send(reply as FastifyReply, 400, problem('USAGE', `${messageOf(error)}.`, 400), PROBLEM_TYPE);
    },
  };
  if (tls === undefined) return Fastify(options);
  const https = { cert: tls.cert, key: tls.key, minVersion: 'TLSv1.3' } as const;
  const app = Fastify({ ...options, https });
  const end = tls.onRenewal((cert, key) => app.server.setSecureContext({ cert, key, minVersion: 'TLSv1.3' }));
  app.addHook('onClose', end);
  // Its requests and answers are those of plain HTTP to all that handles them.
  return app;
}

/** There is no such path, or not for this method. */
async function sendNotFound(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const path = request.url.split('?')[0] ?? '';
  const methods = methodsAt(path);
  const status = methods.length === 0 ? 404 : 405;
  if (status === 405) reply.header('allow', methods.join(', '));
  const instead = methods.length === 0 ? '' : `; there is ${methods.join(', ')}`;
  await send(
    reply,
    status,
    problem('NOT_FOUND', `There is no ${request.method} ${path}${instead}.`, status),
    PROBLEM_TYPE,
  );
}

/** The routes without a socket; {@link startHttp} listens. */
export function buildHttp(service: JobService, options: HttpOptions): FastifyInstance {
  const app = makeApp(options.tls);
  // Bodies stay text: a job file keeps its lines and columns, and JSON is read where it is expected.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  const gate = new Gate({
    loopback: isLoopback(options.host),
    clusterToken: options.token,
    metricsToken: options.metricsToken ?? null,
    store: options.tokens ?? null,
  });
  const { redact } = options;
  if (redact !== undefined)
    app.addHook(
      'onSend',
      async (_request, _reply, payload) =>
        await Promise.resolve(typeof payload === 'string' ? redact(payload) : payload),
    );
  app.setErrorHandler(async (error, request, reply) => {
    if (request.is404) return await sendNotFound(request, reply);
    const document = problemOf(error);
    if (document.status >= 500)
      options.log.error({ route: request.routeOptions.url, error: messageOf(error) }, 'request failed');
    await send(reply, document.status, document, PROBLEM_TYPE);
  });
  app.setNotFoundHandler(sendNotFound);
  const clock = systemClock;
  const watch =
    options.watch ?? new ClusterWatch(service, clock, () => (options.standing?.() ?? leads).role === 'leader');
  if (options.watch === undefined) {
    app.addHook('onListen', () => watch.open());
    app.addHook('onClose', () => watch.close());
  }
  const callerOf = addAdmission(app, {
    gate,
    host: options.host,
    log: options.log,
    clock,
    standing: options.standing ?? (() => leads),
    note: (facts) => watch.note(facts),
    ...(options.tls === undefined ? {} : { ca: options.tls.ca }),
  });
  const handlers = makeHandlers(service, watch, gate, options);
  for (const id of Object.keys(routes) as RouteId[]) addRoute(app, routes[id], handlers[id], callerOf);
  addUi(app, { watch, clock });
  return app;
}

/** Of every master itself, leading or not. */
const answeredHere = new Set<string>([routes.whoAmI.path, routes.openapi.path, routes.docs.path]);

/** One route of the table: checks what comes in, sends what the handler gives. */
function addRoute(
  app: FastifyInstance,
  spec: RouteSpec,
  handler: Handler<RouteSpec>,
  callerOf: (request: FastifyRequest) => Caller,
): void {
  app.route({
    method: spec.method,
    url: spec.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    config: { access: spec.role, here: answeredHere.has(spec.path) },
    handler: async (request, reply) => {
      const answer = await handler(checkCall(spec, callerOf(request), request, reply));
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

function makeHandlers(service: JobService, watch: ClusterWatch, gate: Gate, options: HttpOptions): Handlers {
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
      redact: options.redact ?? ((text) => text),
      version,
      now: () => clock.now(),
      role: () => standing().role,
      mayLook: ({ headers }) => gate.judge(headers.authorization, 'viewer')?.kind !== 'unknown',
    }),
    ...sparkHandlers(service),
    ...accessHandlers({
      store: options.tokens ?? null,
      fingerprint: options.tls?.fingerprint ?? null,
    }),
    ...operationHandlers(options, version),
  };
}

function operationHandlers(
  options: HttpOptions,
  version: string,
): Handlers<'openapi' | 'health' | 'ready' | 'jobSchema' | 'docs' | 'metrics'> {
  let document: unknown;
  return {
    openapi: async () => ok((document ??= (await import('./openapi.ts')).openApiDocument(version))),
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
    docs: async () => {
      const { docsPage } = await import('./docs-page.ts');
      return { status: 200, body: docsPage(version), type: 'text/html; charset=utf-8' };
    },
    metrics: async () => ({
      status: 200,
      body: await options.registry.metrics(),
      type: options.registry.contentType,
    }),
  };
}
