/** The worker process: reads the configuration, builds the parts, connects them, starts them. */
import { readFileSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import https from 'node:https';
import { hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { WeirError, messageOf } from '../core/errors.ts';
import { workerId } from '../core/ids.ts';
import { hostOf, isLoopback } from '../core/security/loopback.ts';
import { makeRedactor, secretsIn } from '../core/security/redact.ts';
import { parseToken } from '../core/security/tokens.ts';
import type { CurrentIdentity } from '../proto/tls.ts';
import { MemoryPool } from '../core/memory-pool.ts';
import type { Log } from '../core/ports.ts';
import { LogRing } from '../core/telemetry/log-ring.ts';
import { traceSettings } from '../core/telemetry/settings.ts';
import { makeConnections } from '../connectors/connections.ts';
import { SchemaRegistries } from '../connectors/schema-registry/registries.ts';
import { systemClock, systemRng } from '../connectors/system/clock.ts';
import { failpointsFrom } from '../connectors/system/failpoints.ts';
import type { OtlpProcess } from '../connectors/system/otlp.ts';
import { makeLog } from '../connectors/system/log.ts';
import { http } from '../connectors/system/node-http.ts';
import { ByteBudget } from './byte-budget.ts';
import { makeExchange } from './epochs/exchange-grpc.ts';
import { openFeed } from './feeds/open-feed.ts';
import { GrpcControlClient } from './grpc-client.ts';
import { mayReadMetrics } from './metrics-access.ts';
import { defaultLaneLimits } from './lane.ts';
import { LogOutbox } from './log-outbox.ts';
import { WorkerMetrics } from './metrics.ts';
import { SchemaExecutor } from './schema-executor.ts';
import { SchemaWatch } from './schema-watch.ts';
import { ThreadExecutor, defaultThreadCount } from './threads.ts';
import type { WorkerTracing } from './tracing/worker-tracing.ts';
import { Worker } from './worker.ts';

/** Fetched bytes of all lanes that wait for acknowledgement. */
const IN_FLIGHT_BYTES_MAX = 16 << 20;

export interface WorkerOptions {
  /** Masters, `host:port`, separated by commas. */
  readonly master: string;
  readonly host: string;
  /** 0 = any free port. */
  readonly httpPort: number;
  /** Where other workers send rows of stateful jobs; default 0 = any free port. */
  readonly exchangePort?: number;
  /** Under which Prometheus and other workers reach this one; default `host`, or the machine's name for a wildcard. */
  readonly advertisedHost?: string;
  /** Compute threads; default one per core but one. */
  readonly threads?: number;
  readonly name?: string;
  /** The cluster's. */
  readonly token: string;
  /** By which this worker gets a certificate; empty = there is none. */
  readonly joinToken?: string;
  /** Off loopback without TLS. */
  readonly insecure?: boolean;
  readonly version: string;
}

/** Runs until SIGTERM or SIGINT, then hands over and leaves. Throws: UNAUTHORIZED, VERSION_MISMATCH, PORT_IN_USE, CONFIG_INVALID. */
export async function runWorker(options: WorkerOptions, given: NodeJS.ProcessEnv = process.env): Promise<void> {
  // Fetched bytes go round between threads (core/memory-pool.ts). V8 takes each arrival for growth, and by default starts
  // a full collection for every 64 MB of it, several a second, that find nothing.
  setFlagsFromString('--external-memory-accounted-in-global-limit');
  // What goes round rises and falls by tens of megabytes; beside a heap of twenty that would still be two collections a
  // second.
  setFlagsFromString('--heap-growing-percent=60');
  // Where others can reach it, jobs reach public hosts only, unless somebody says otherwise.
  const env: NodeJS.ProcessEnv = { WEIR_ALLOWED_HOSTS: isLoopback(options.host) ? 'any' : 'public', ...given };
  const rng = systemRng;
  const id = workerId(`${options.name ?? hostname()}-${rng.uuid().slice(0, 8)}`);
  const lines = new LogRing(systemClock, id, makeRedactor(secretsIn(env)));
  const log = lines.tee(makeLog('worker'));
  const metrics = new WorkerMetrics(options.version, partitionSeriesOf(env));
  const masters = options.master.split(',').map((address) => address.trim());
  const stopping = new AbortController();
  const identity = await secure(options, masters, id, env, log, stopping.signal);
  const mayRead = mayReadMetrics(options.host, [options.token, env['WEIR_METRICS_TOKEN']]);
  const door = await listenHttp(options.host, options.httpPort, metrics, { mayRead, identity });
  const memory = new MemoryPool();
  const connections = makeConnections(env, { clock: systemClock, rng, log, memory });
  await connections.ready();
  const threads = options.threads ?? defaultThreadCount();
  const advertisedHost = options.advertisedHost ?? advertised(options.host);
  const exchange = await makeExchange({
    host: options.host,
    port: options.exchangePort ?? 0,
    advertisedHost,
    // With TLS a worker is known by its certificate.
    token: identity === null ? options.token : '',
    identity,
    log,
  }).catch((error: unknown) => {
    door.server.close();
    throw error;
  });
  const registries = new SchemaRegistries(env, {
    clock: systemClock,
    rng,
    onRequest: (outcome) => metrics.asked(outcome),
  });
  metrics.hasThreads(threads);
  const computing = new ThreadExecutor({ threadCount: threads, memory, onWork: (work) => metrics.worked(work) });
  const shapes = new SchemaWatch((job, source, kind) => metrics.metChange(job, source, kind));
  const executor = new SchemaExecutor(computing, registries, shapes.note);
  const tracing = await openTracing(env, { version: options.version, instance: id }, log);
  const worker = new Worker({
    id,
    control: new GrpcControlClient(masters, identity),
    store: connections.metaStore(),
    connections: tracing?.watch(connections) ?? connections,
    executor,
    clock: systemClock,
    rng,
    log,
    failpoints: failpointsFrom(env['WEIR_FAILPOINTS']),
    limits: defaultLaneLimits,
    budget: new ByteBudget(IN_FLIGHT_BYTES_MAX),
    memory,
    observe: (job, source, plan) => {
      const observer = metrics.observer(job, source, plan);
      const topic = plan.sources.find(({ name }) => name === source)?.topic ?? '';
      return tracing?.lanes(job, topic, observer) ?? observer;
    },
    observeEpochs: (job) => {
      const observer = metrics.epochObserver(job);
      return tracing?.epochs(job, observer) ?? observer;
    },
    openFeed: (feed) => openFeed(feed, { clock: systemClock, rng, log, env }),
    observeFeed: (job, source) => metrics.feedObserver(job, source),
    observeLookup: (job, table) => metrics.lookupObserver(job, table),
    takeFigures: () => metrics.takeFigures(),
    schemaChanges: () => shapes.changes(),
    vitals: () => metrics.vitals(),
    logs: new LogOutbox(lines),
    httpAddress: `${identity === null ? '' : 'https://'}${advertisedHost}:${door.port}`,
    exchange,
    threads,
    token: identity === null ? options.token : '',
    version: options.version,
  });
  metrics.watch(worker);
  const running = worker.run();
  // Not before: until then they would only take processor time from what makes this worker ready.
  void worker.ready.then(() => computing.start());
  log.info({ id, http: door.port, exchange: exchange.address, ...connections.describe() }, 'worker started');
  await Promise.race([stopSignal(log), running]);
  stopping.abort();
  await worker.close();
  await running;
  await exchange.transport.close();
  await executor.close();
  await connections.close();
  await tracing?.close();
  door.server.close();
  log.info({ id }, 'worker stopped');
}

/** undefined where nothing is traced: then nothing of it is loaded. Throws: CONFIG_INVALID. */
async function openTracing(env: NodeJS.ProcessEnv, about: OtlpProcess, log: Log): Promise<WorkerTracing | undefined> {
  const settings = traceSettings(env, 'weir-worker');
  if (settings === null) return undefined;
  const [{ OtlpExporter }, { WorkerTracing: Tracing }] = await Promise.all([
    import('../connectors/system/otlp.ts'),
    import('./tracing/worker-tracing.ts'),
  ]);
  const sink = new OtlpExporter(settings, about, systemClock, log);
  log.info({ endpoint: new URL(settings.endpoint).origin, ratio: settings.ratio }, 'spans are sent');
  return new Tracing({ sink, clock: systemClock, rng: systemRng, ratio: settings.ratio });
}

/** Throws: CONFIG_INVALID. */
function partitionSeriesOf(env: NodeJS.ProcessEnv): { readonly partitionSeriesMax?: number } {
  const text = env['WEIR_METRICS_PARTITIONS'];
  if (text === undefined || text === '') return {};
  const partitionSeriesMax = Number(text);
  if (Number.isSafeInteger(partitionSeriesMax) && partitionSeriesMax >= 0) return { partitionSeriesMax };
  throw new WeirError(
    'CONFIG_INVALID',
    `WEIR_METRICS_PARTITIONS is "${text}"; it is the number of series by partition that a worker shows: 0 or more.`,
  );
}

/**
 * The certificate of this worker; null = plain text, which off loopback has to be asked for. Throws: CONFIG_INVALID,
 * UNAUTHORIZED.
 */
async function secure(
  { host, token, joinToken = '', insecure = false }: WorkerOptions,
  masters: readonly string[],
  worker: string,
  env: NodeJS.ProcessEnv,
  log: Log,
  signal: AbortSignal,
): Promise<CurrentIdentity | null> {
  const caFile = env['WEIR_TLS_CA'] ?? '';
  const join = joinToken === '' ? token : joinToken;
  if (caFile !== '' || parseToken(join)?.fingerprint != null) {
    if (insecure)
      throw new WeirError('CONFIG_INVALID', 'TLS is asked for, and --insecure to do without it; choose one.');
    const ca = caFile === '' ? null : readCa(caFile);
    const { joinCluster } = await import('./join.ts');
    return await joinCluster({ masters, worker, token: join, ca, clock: systemClock, log, signal });
  }
  if (joinToken !== '')
    throw new WeirError(
      'USAGE',
      'What --join gives is no join token; "weir token create NAME --role worker" makes one.',
    );
  const outside = [host, ...masters.map(hostOf)].find((one) => !isLoopback(one));
  if (outside === undefined) return null;
  if (token === '') {
    throw new WeirError(
      'CONFIG_INVALID',
      `A worker that listens on ${host} and joins ${masters.join(', ')} needs a token: --join TOKEN, or WEIR_TOKEN.`,
    );
  }
  if (insecure) return null;
  throw new WeirError(
    'CONFIG_INVALID',
    `A worker will not send its token and records to ${outside} in plain text. Give it --join TOKEN of "weir token create NAME --role worker", ` +
      'or WEIR_TOKEN with WEIR_TLS_CA, or say --insecure (WEIR_INSECURE=1) where the network is trusted.',
  );
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WeirError('CONFIG_INVALID', `The file of WEIR_TLS_CA cannot be read: ${messageOf(cause)}.`, { cause });
  }
}

/** An address others can use: a wildcard is no address, the host's name is. */
function advertised(host: string): string {
  return host === '0.0.0.0' || host === '::' ? hostname() : host;
}

function stopSignal(log: Log): Promise<void> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      log.info({ signal }, 'handing over');
      resolve();
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
}

interface HttpGuard {
  /** By the Authorization header. */
  readonly mayRead: (authorization: string | undefined) => boolean;
  /** null = plain HTTP. */
  readonly identity: CurrentIdentity | null;
}

async function listenHttp(
  host: string,
  port: number,
  metrics: WorkerMetrics,
  { mayRead, identity }: HttpGuard,
): Promise<{ readonly server: Server; readonly port: number }> {
  const listener: RequestListener = (request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/healthz' || path === '/readyz')
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
    else if (!mayRead(request.headers.authorization))
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="weir"' }).end();
    else if (path === '/metrics') {
      metrics.registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(messageOf(error)),
      );
    } else response.writeHead(404).end();
  };
  const server = identity === null ? http.createServer(listener) : httpsServer(identity, listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      reject(
        new WeirError(
          'PORT_IN_USE',
          `port ${port} on ${host} is in use; stop the process that listens there, or choose another with --http-port`,
          { cause: error },
        ),
      );
    });
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return { server, port: address !== null && typeof address === 'object' ? address.port : port };
}

function httpsServer(identity: CurrentIdentity, listener: RequestListener): Server {
  const minVersion = 'TLSv1.3';
  const server = https.createServer({ ...identity.current, minVersion }, listener);
  identity.onRenewal((next) => server.setSecureContext({ ...next, minVersion }));
  return server;
}
