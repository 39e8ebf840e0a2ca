/** The master process: reads the configuration, builds the parts, connects them, starts them. */
import { hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { makeConnections } from '../connectors/connections.ts';
import { readManifests } from '../connectors/packages/packages.ts';
import { SchemaRegistries } from '../connectors/schema-registry/registries.ts';
import { systemClock, systemRng } from '../connectors/system/clock.ts';
import { failpointsFrom } from '../connectors/system/failpoints.ts';
import { makeLog } from '../connectors/system/log.ts';
import type { Log } from '../core/ports.ts';
import { isLoopback } from '../core/security/loopback.ts';
import { isLong, makeRedactor, secretsIn } from '../core/security/redact.ts';
import { LogRing } from '../core/telemetry/log-ring.ts';
import { ClusterLogs } from './cluster-logs.ts';
import { Coordinator } from './coordinator.ts';
import { listenControl } from './grpc-server.ts';
import { startHttp } from './http/server.ts';
import type { Lab } from './lab.ts';
import { Leadership, servesWorkers, whileLeading } from './leadership.ts';
import { LeaderLease } from './lease.ts';
import { MasterMetrics } from './metrics.ts';
import { sameText } from './security/gate.ts';
import { openSecurity } from './security/open-security.ts';
import { requireSharedFolder } from './security/shared-folder.ts';
import { SchemaEvolver } from './schema-evolver.ts';
import { JobService } from './service.ts';
import { ClusterWatch } from './watch.ts';

export interface MasterOptions {
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Of the cluster: may everything, people and workers alike; empty = none, or off loopback one that is made. */
  readonly token: string;
  /** Off loopback without TLS. */
  readonly insecure?: boolean;
  /** TLS on loopback too. */
  readonly tls?: boolean;
  /** Under which workers and other masters reach this one; default `host`, or the machine's name for a wildcard. */
  readonly advertisedHost?: string;
  readonly version: string;
  /** For looks into records; closed at the end. Absent = there are none. */
  readonly lab?: Lab;
}

/** Runs until SIGTERM or SIGINT. Throws: PORT_IN_USE, CONFIG_INVALID, STORE_UNAVAILABLE, UNAUTHORIZED. */
export async function runMaster(options: MasterOptions, given: NodeJS.ProcessEnv = process.env): Promise<void> {
  // It is small and stays so: V8 would rather let the heap grow several times over than look for what is not needed.
  setFlagsFromString('--optimize-for-size');
  // Where others can reach it, jobs reach public hosts only, unless somebody says otherwise.
  const env: NodeJS.ProcessEnv = { WEIR_ALLOWED_HOSTS: isLoopback(options.host) ? 'any' : 'public', ...given };
  let redact = makeRedactor(secretsIn(env));
  const lines = new LogRing(systemClock, 'master', (text) => redact(text));
  const logs = new ClusterLogs(lines);
  const log = lines.tee(makeLog('master'));
  const id = `${hostname()}-${systemRng.uuid().slice(0, 8)}`;
  const host = options.advertisedHost ?? advertised(options.host);
  const security = openSecurity({
    host: options.host,
    advertisedHost: host,
    masterId: id,
    token: options.token,
    insecure: options.insecure ?? false,
    tls: options.tls ?? false,
    env,
    clock: systemClock,
    log,
  });
  redact = makeRedactor([...secretsIn(env), security.clusterToken ?? '', security.metricsToken ?? ''].filter(isLong));
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
        // With TLS a worker is known by its certificate: see listenControl.
        token: security.identity === null ? (security.clusterToken ?? '') : '',
        failpoints: failpointsFrom(env['WEIR_FAILPOINTS']),
        sameToken: (expected, given) => sameText(given, expected),
        onLogs: (worker, sent) => logs.take(worker, sent),
        onJobChange: (name) => watch.lookAtJob(() => leadership.job(name)),
      }),
  );
  const watch = new ClusterWatch(leadership, systemClock, () => leadership.standing.role === 'leader');
  const metrics = new MasterMetrics(
    leadership,
    { leads: () => leadership.standing.role === 'leader', leaseMs: () => leadership.leaseMs },
    options.version,
  );
  watch.subscribe((look) => metrics.look(look));
  const registries = new SchemaRegistries(env, {
    clock: systemClock,
    rng: systemRng,
    onRequest: (outcome) => metrics.asked(outcome),
  });
  const service = new JobService(leadership, connections, log, registries, readManifests(env));
  const evolver = new SchemaEvolver(service, systemClock, (facts) => watch.note(facts));
  watch.subscribe(({ jobs }) => evolver.look(jobs));
  const http = await startHttp(service, {
    host: options.host,
    port: options.httpPort,
    token: security.clusterToken,
    metricsToken: security.metricsToken,
    tokens: security.tokens,
    ...(security.http === null ? {} : { tls: security.http }),
    registry: metrics.registry,
    log,
    redact,
    standing: () => leadership.standing,
    version: options.version,
    watch,
    logs,
    ...(options.lab === undefined ? {} : { lab: options.lab }),
  });
  try {
    await store.prepare();
    const { folder } = security;
    if (folder !== null) await requireSharedFolder({ store, clock: systemClock, log, ...folder });
    const control = await listenControl(
      options.host,
      options.grpcPort,
      (stream) => leadership.attach(stream),
      () => servesWorkers(leadership.standing),
      {
        identity: security.identity,
        gate: security.gate,
        issue: security.issue,
        note: (level, message) => {
          log[level]({ audit: true }, message);
          watch.note({ level, kind: 'audit', message });
        },
      },
    );
    const lease = new LeaderLease({
      store,
      clock: systemClock,
      rng: systemRng,
      log,
      holder: id,
      address: withHost(control.address, host),
      ...(folder === null ? {} : { security: folder.id }),
      httpAddress: `${security.http === null ? 'http' : 'https'}://${withHost(new URL(http.address).host, host)}`,
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
    security.close();
    await http.close();
    await options.lab?.close();
    await connections.close();
  }
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
