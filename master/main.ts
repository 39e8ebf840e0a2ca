/** The master process: reads the configuration, builds the parts, connects them, starts them. */
import { hostname } from 'node:os';
import { makeConnections } from '../connectors/connections.ts';
import { systemClock, systemRng } from '../connectors/system/clock.ts';
import { makeLog } from '../connectors/system/log.ts';
import type { Log } from '../core/ports.ts';
import { Coordinator } from './coordinator.ts';
import { listenControl } from './grpc-server.ts';
import { tokenMatches } from './http/listen.ts';
import { startHttp } from './http/server.ts';
import { masterRegistry } from './metrics.ts';
import { JobService } from './service.ts';

export interface MasterOptions {
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Asked of people and workers alike; empty = none, allowed on loopback only. */
  readonly token: string;
  readonly version: string;
}

/** Runs until SIGTERM or SIGINT. Throws: PORT_IN_USE, CONFIG_INVALID, STORE_UNAVAILABLE, UNAUTHORIZED. */
export async function runMaster(options: MasterOptions, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const log = makeLog('master');
  const connections = makeConnections(env, { clock: systemClock, rng: systemRng, log });
  await connections.ready();
  const coordinator = new Coordinator({
    id: `${hostname()}-${systemRng.uuid().slice(0, 8)}`,
    store: connections.metaStore(),
    connections,
    clock: systemClock,
    rng: systemRng,
    log,
    token: options.token,
    sameToken: (expected, given) => tokenMatches(`Bearer ${given}`, expected),
  });
  const service = new JobService(coordinator, connections, log);
  const token = options.token === '' ? null : options.token;
  let opened = false;
  const http = await startHttp(service, {
    host: options.host,
    port: options.httpPort,
    token,
    registry: masterRegistry(coordinator, options.version),
    log,
    notReady: () => (opened ? null : 'the jobs are being read from the metadata store'),
  });
  try {
    await coordinator.open();
    const control = await listenControl(options.host, options.grpcPort, (stream) => coordinator.attach(stream));
    opened = true;
    log.info({ http: http.address, grpc: control.address, ...connections.describe() }, 'master started');
    await stopSignal(log);
    await http.close();
    await control.close();
    await coordinator.close();
    log.info({}, 'master stopped');
  } finally {
    await http.close();
    await connections.close();
  }
}

function stopSignal(log: Log): Promise<void> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      log.info({ signal }, 'stopping');
      resolve();
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
}
