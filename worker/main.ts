/** The worker process: reads the configuration, builds the parts, connects them, starts them. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { availableParallelism, hostname } from 'node:os';
import { WeirError, messageOf } from '../core/errors.ts';
import { workerId } from '../core/ids.ts';
import { MemoryPool } from '../core/memory-pool.ts';
import type { Log } from '../core/ports.ts';
import { makeConnections } from '../connectors/connections.ts';
import { SchemaRegistries } from '../connectors/schema-registry/registries.ts';
import { systemClock, systemRng } from '../connectors/system/clock.ts';
import { failpointsFrom } from '../connectors/system/failpoints.ts';
import { makeLog } from '../connectors/system/log.ts';
import { ByteBudget } from './byte-budget.ts';
import { makeExchange } from './epochs/exchange-grpc.ts';
import { GrpcControlClient } from './grpc-client.ts';
import { defaultLaneLimits } from './lane.ts';
import { WorkerMetrics } from './metrics.ts';
import { SchemaExecutor } from './schema-executor.ts';
import { ThreadExecutor } from './threads.ts';
import { Worker } from './worker.ts';

/** Fetched bytes of all lanes that wait for acknowledgement. */
const IN_FLIGHT_BYTES_MAX = 48 << 20;

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
  /** Threads; default one per core. */
  readonly threads?: number;
  readonly name?: string;
  readonly token: string;
  readonly version: string;
}

/** Runs until SIGTERM or SIGINT, then hands over and leaves. Throws: UNAUTHORIZED, VERSION_MISMATCH, PORT_IN_USE, CONFIG_INVALID. */
export async function runWorker(options: WorkerOptions, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const log = makeLog('worker');
  const rng = systemRng;
  const id = workerId(`${options.name ?? hostname()}-${rng.uuid().slice(0, 8)}`);
  const metrics = new WorkerMetrics(options.version);
  const http = await listenHttp(options.host, options.httpPort, metrics);
  const memory = new MemoryPool();
  const connections = makeConnections(env, { clock: systemClock, rng, log, memory });
  await connections.ready();
  const threads = options.threads ?? availableParallelism();
  const advertisedHost = options.advertisedHost ?? advertised(options.host);
  const exchange = await makeExchange({
    host: options.host,
    port: options.exchangePort ?? 0,
    advertisedHost,
    token: options.token,
    log,
  }).catch((error: unknown) => {
    http.server.close();
    throw error;
  });
  const registries = new SchemaRegistries(env, { clock: systemClock, rng });
  const executor = new SchemaExecutor(new ThreadExecutor({ threadCount: threads, memory }), registries);
  const worker = new Worker({
    id,
    control: new GrpcControlClient(options.master.split(',').map((address) => address.trim())),
    store: connections.metaStore(),
    connections,
    executor,
    clock: systemClock,
    rng,
    log,
    failpoints: failpointsFrom(env['WEIR_FAILPOINTS']),
    limits: defaultLaneLimits,
    budget: new ByteBudget(IN_FLIGHT_BYTES_MAX),
    memory,
    observe: (job, source, plan) => metrics.observer(job, source, plan),
    observeEpochs: (job) => metrics.epochObserver(job),
    takeFigures: () => metrics.takeFigures(),
    vitals: () => metrics.vitals(),
    httpAddress: `${advertisedHost}:${http.port}`,
    exchange,
    threads,
    token: options.token,
    version: options.version,
  });
  metrics.watch(worker);
  const running = worker.run();
  log.info({ id, http: http.port, exchange: exchange.address, ...connections.describe() }, 'worker started');
  await Promise.race([stopSignal(log), running]);
  await worker.close();
  await running;
  await exchange.transport.close();
  await executor.close();
  await connections.close();
  http.server.close();
  log.info({ id }, 'worker stopped');
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

async function listenHttp(
  host: string,
  port: number,
  metrics: WorkerMetrics,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/metrics') {
      metrics.registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(messageOf(error)),
      );
    } else if (path === '/healthz' || path === '/readyz')
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
    else response.writeHead(404).end();
  });
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
