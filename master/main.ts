/** The master process: reads the configuration, builds the parts, connects them, starts them. */
import { hostname } from 'node:os';
import { makeConnections } from '../connectors/connections.ts';
import { SchemaRegistries } from '../connectors/schema-registry/registries.ts';
import { systemClock, systemRng } from '../connectors/system/clock.ts';
import { failpointsFrom } from '../connectors/system/failpoints.ts';
import { makeLog } from '../connectors/system/log.ts';
import type { Log } from '../core/ports.ts';
import { Coordinator } from './coordinator.ts';
import { listenControl } from './grpc-server.ts';
import { tokenMatches } from './http/listen.ts';
import { startHttp } from './http/server.ts';
import type { Lab } from './lab.ts';
import type { Standing } from './leadership.ts';
import { Leadership, whileLeading } from './leadership.ts';
import { LeaderLease } from './lease.ts';
import { LogRing } from './log-ring.ts';
import { masterRegistry, watchLeading } from './metrics.ts';
import { JobService } from './service.ts';
import { ClusterWatch } from './watch.ts';

export interface MasterOptions {
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Asked of people and workers alike; empty = none, allowed on loopback only. */
  readonly token: string;
  /** Under which workers and other masters reach this one; default `host`, or the machine's name for a wildcard. */
  readonly advertisedHost?: string;
  readonly version: string;
  /** For looks into records; closed at the end. Absent = there are none. */
  readonly lab?: Lab;
}

/** Runs until SIGTERM or SIGINT. Throws: PORT_IN_USE, CONFIG_INVALID, STORE_UNAVAILABLE, UNAUTHORIZED. */
export async function runMaster(options: MasterOptions, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const logs = new LogRing(systemClock, 'master');
  const log = logs.tee(makeLog('master'));
  const id = `${hostname()}-${systemRng.uuid().slice(0, 8)}`;
  const connections = makeConnections(env, { clock: systemClock, rng: systemRng, log });
  await connections.ready();
  const store = connections.metaStore();
  const leadership: Leadership = new Leadership(
    (fence) =>
      new Coordinator({
        id,
        fence,
        store: whileLeading(store, () => leadership.mayAct),
        connections,
        clock: systemClock,
        rng: systemRng,
        log,
        token: options.token,
        failpoints: failpointsFrom(env['WEIR_FAILPOINTS']),
        sameToken: (expected, given) => tokenMatches(`Bearer ${given}`, expected),
        onJobChange: (name) => watch.lookAtJob(() => leadership.job(name)),
      }),
  );
  const watch = new ClusterWatch(leadership, systemClock, () => leadership.standing.role === 'leader');
  const registry = masterRegistry(leadership, options.version);
  watchLeading(registry, () => leadership.standing.role === 'leader');
  const registries = new SchemaRegistries(env, { clock: systemClock, rng: systemRng });
  const http = await startHttp(new JobService(leadership, connections, log, registries), {
    host: options.host,
    port: options.httpPort,
    token: options.token === '' ? null : options.token,
    registry,
    log,
    standing: () => leadership.standing,
    version: options.version,
    watch,
    logs,
    ...(options.lab === undefined ? {} : { lab: options.lab }),
  });
  try {
    await store.prepare();
    const control = await listenControl(
      options.host,
      options.grpcPort,
      (stream) => leadership.attach(stream),
      () => isReady(leadership.standing),
    );
    const host = options.advertisedHost ?? advertised(options.host);
    const lease = new LeaderLease({
      store,
      clock: systemClock,
      rng: systemRng,
      log,
      holder: id,
      address: withHost(control.address, host),
      httpAddress: `http://${withHost(new URL(http.address).host, host)}`,
      lead: (token, signal) => leadership.lead(token, signal),
    });
    leadership.follow(lease);
    lease.open();
    watch.open();
    log.info({ id, http: http.address, grpc: control.address, ...connections.describe() }, 'master started');
    await stopSignal(log);
    await lease.close();
    await http.close();
    await control.close();
    log.info({}, 'master stopped');
  } finally {
    watch.close();
    await http.close();
    await options.lab?.close();
    await connections.close();
  }
}

/** Workers are served, here or by the leader that this master names to them. */
function isReady(standing: Standing): boolean {
  return standing.role === 'leader' || (standing.role === 'standby' && standing.leader !== null);
}

/** An address others can use: a wildcard is no address, the host's name is. */
function advertised(host: string): string {
  return host === '0.0.0.0' || host === '::' ? hostname() : host;
}

/** `address` with another host and the same port. */
function withHost(address: string, host: string): string {
  const port = address.slice(address.lastIndexOf(':') + 1);
  return `${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
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
