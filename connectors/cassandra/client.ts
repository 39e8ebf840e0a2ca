/** The one Cassandra driver of a process, connected at first use, shared by metadata, tables and queries. */
import { readFileSync } from 'node:fs';
import cassandra from 'cassandra-driver';
import type {
  Client,
  ExecutionOptions,
  Host,
  HostMap,
  policies as policyTypes,
  QueryOptions,
  types as driverTypes,
} from 'cassandra-driver';
import { must } from '../../core/assert.ts';
import { WeirError, messageOf, type ErrorCode } from '../../core/errors.ts';
import { repairControlConnection } from './control-connection.ts';
import { connectFailure } from './failures.ts';
import { COALESCED_BYTES } from './frame-ring.ts';
import { checkGuarded, guardStreams } from './stream-ids.ts';

const { policies, types } = cassandra;

export interface CassandraOptions {
  /** `host` or `host:port`; at least one. */
  readonly contactPoints: readonly string[];
  /** Default: the one of the first node that answers. */
  readonly localDataCenter?: string;
  readonly username?: string;
  readonly password?: string;
  /** PEM text of the certificate authority; TLS is used exactly when it is given, and always verified. */
  readonly tlsCa?: string;
  /** PEM texts of the client's certificate and key, where the nodes ask for one; with `tlsCa` only. */
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  /** Of keyspaces that Weir creates. */
  readonly replicationFactor: number;
  readonly applicationName?: string;
}

/** One request without an answer after so long is tried again. ms */
export const REQUEST_TIMEOUT_MS = 5000;
const CONNECT_TIMEOUT_MS = 3000;
/** An idle connection is probed so often: a node that froze is noticed. ms */
const HEARTBEAT_INTERVAL_MS = 5000;
const DEFAULT_PORT = 9042;

/** Execution profile of conditional writes and serial reads. */
export const CONTROL_PROFILE = 'control';

/**
 * Options from CASSANDRA_CONTACT_POINTS, CASSANDRA_LOCAL_DC, CASSANDRA_USERNAME, CASSANDRA_PASSWORD, CASSANDRA_TLS_CA,
 * CASSANDRA_TLS_CERT and CASSANDRA_TLS_KEY (files) and WEIR_REPLICATION_FACTOR; undefined when no contact points are set.
 *
 * Throws: CONFIG_INVALID.
 */
export function cassandraOptionsFromEnv(
  env: Readonly<Record<string, string | undefined>>,
): CassandraOptions | undefined {
  const contactPoints = (env['CASSANDRA_CONTACT_POINTS'] ?? '')
    .split(',')
    .flatMap((point) => (point.trim() === '' ? [] : [point.trim()]));
  if (contactPoints.length === 0) return undefined;
  const replicationFactor = Number(nonEmpty(env['WEIR_REPLICATION_FACTOR']) ?? '1');
  if (!Number.isInteger(replicationFactor) || replicationFactor < 1) {
    throw new WeirError(
      'CONFIG_INVALID',
      `WEIR_REPLICATION_FACTOR is "${env['WEIR_REPLICATION_FACTOR']}"; it must be a whole number from 1.`,
    );
  }
  const username = nonEmpty(env['CASSANDRA_USERNAME']);
  const password = nonEmpty(env['CASSANDRA_PASSWORD']);
  if ((username === undefined) !== (password === undefined)) {
    throw new WeirError(
      'CONFIG_INVALID',
      'CASSANDRA_USERNAME and CASSANDRA_PASSWORD must be set together; only one is.',
    );
  }
  const localDataCenter = nonEmpty(env['CASSANDRA_LOCAL_DC']);
  const tlsCa = pemFile(env, 'CASSANDRA_TLS_CA');
  const tlsCert = pemFile(env, 'CASSANDRA_TLS_CERT');
  const tlsKey = pemFile(env, 'CASSANDRA_TLS_KEY');
  if ((tlsCert === undefined) !== (tlsKey === undefined) || (tlsCert !== undefined && tlsCa === undefined)) {
    throw new WeirError(
      'CONFIG_INVALID',
      'CASSANDRA_TLS_CERT and CASSANDRA_TLS_KEY must be set together, and with CASSANDRA_TLS_CA.',
    );
  }
  return {
    contactPoints,
    replicationFactor,
    ...(localDataCenter === undefined ? {} : { localDataCenter }),
    ...(username === undefined || password === undefined ? {} : { username, password }),
    ...(tlsCa === undefined ? {} : { tlsCa }),
    ...(tlsCert === undefined || tlsKey === undefined ? {} : { tlsCert, tlsKey }),
  };
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value;
}

function pemFile(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  const file = nonEmpty(env[name]);
  if (file === undefined) return undefined;
  try {
    const text = readFileSync(file, 'utf8');
    if (text.includes(name.endsWith('_KEY') ? 'PRIVATE KEY-----' : '-----BEGIN CERTIFICATE-----')) return text;
  } catch (error) {
    throw new WeirError('CONFIG_INVALID', `The file of ${name} cannot be read: ${messageOf(error)}.`, { cause: error });
  }
  throw new WeirError(
    'CONFIG_INVALID',
    `The file ${file} of ${name} holds no PEM ${name.endsWith('_KEY') ? 'key ("-----BEGIN PRIVATE KEY-----")' : 'certificate ("-----BEGIN CERTIFICATE-----")'}.`,
  );
}

/**
 * Connects at first use and again after a failed attempt; once connected, the driver finds lost nodes by itself. All
 * users of one instance share its connections, so it is closed by whoever made it.
 */
export class CassandraClient {
  readonly options: CassandraOptions;
  #connection: Promise<Connected> | undefined;
  #closed = false;

  constructor(options: CassandraOptions) {
    this.options = options;
  }

  /** For people: the contact points with their ports. */
  get addresses(): string {
    return this.options.contactPoints
      .map((point) => (/:\d+$/.test(point) ? point : `${point}:${DEFAULT_PORT}`))
      .join(', ');
  }

  /** The connected driver. Throws: `unavailable`, UNAUTHORIZED, CONFIG_INVALID. */
  async driver(unavailable: ErrorCode): Promise<Client> {
    return (await this.#connected(unavailable)).driver;
  }

  /** The data center whose nodes are talked to. */
  async localDataCenter(unavailable: ErrorCode): Promise<string> {
    return (await this.#connected(unavailable)).dataCenter;
  }

  /** Rejects with the driver's own errors once connected. */
  async execute(
    cql: string,
    params: readonly unknown[],
    options: QueryOptions,
    unavailable: ErrorCode,
  ): Promise<driverTypes.ResultSet> {
    const driver = await this.driver(unavailable);
    return driver.execute(cql, [...params], { prepare: true, ...options });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.then(disconnect, () => undefined);
  }

  async #connected(unavailable: ErrorCode): Promise<Connected> {
    if (this.#closed) throw new WeirError(unavailable, `The connection to Cassandra at ${this.addresses} was closed.`);
    this.#connection ??= connect(this.options);
    const mine = this.#connection;
    try {
      return await mine;
    } catch (error) {
      if (this.#connection === mine) this.#connection = undefined;
      const facts = {
        addresses: this.addresses,
        username: this.options.username ?? null,
        tls: this.options.tlsCa !== undefined,
      };
      throw connectFailure(error, facts, unavailable);
    }
  }
}

interface Connected {
  readonly driver: Client;
  readonly dataCenter: string;
  /** Every host the driver ever knew. */
  readonly hosts: Set<Host>;
}

/**
 * After nodes were lost, attempts to reconnect can outlive the driver's own shutdown and keep the process alive; shutting
 * down every host it ever knew ends them.
 */
async function disconnect({ driver, hosts }: Connected): Promise<void> {
  for (const host of driver.hosts.values()) hosts.add(host);
  await driver.shutdown();
  // Not part of the driver's types.
  const known = [...hosts] as unknown as readonly (Host & { shutdown(waitForPending: boolean): Promise<void> })[];
  await Promise.all(known.map((host) => host.shutdown(false)));
}

function sslOptions({ tlsCert, tlsKey }: CassandraOptions, ca: string): Record<string, unknown> {
  const own = tlsCert === undefined || tlsKey === undefined ? {} : { cert: tlsCert, key: tlsKey };
  return { rejectUnauthorized: true, ca: [ca], ...own };
}

async function connect(options: CassandraOptions): Promise<Connected> {
  guardStreams();
  repairControlConnection();
  const loadBalancing = new LocalDataCenterPolicy(options.localDataCenter);
  // The driver's default policy would send a request to another node by itself; here whoever sends decides, since each
  // send needs a valid permit and a conditional write must not be repeated blindly.
  const retry = new policies.retry.FallthroughRetryPolicy();
  const { username, password } = options;
  const driver = new cassandra.Client({
    contactPoints: [...options.contactPoints],
    applicationName: options.applicationName ?? 'weir',
    ...(username === undefined || password === undefined ? {} : { credentials: { username, password } }),
    // The driver's own default accepts any certificate.
    ...(options.tlsCa === undefined ? {} : { sslOptions: sslOptions(options, options.tlsCa) }),
    pooling: {
      coreConnectionsPerHost: { [types.distance.local]: options.tlsCa === undefined ? 1 : 2 },
      maxRequestsPerConnection: 2048,
      heartBeatInterval: HEARTBEAT_INTERVAL_MS,
    },
    socketOptions: {
      connectTimeout: CONNECT_TIMEOUT_MS,
      readTimeout: REQUEST_TIMEOUT_MS,
      tcpNoDelay: true,
      keepAlive: true,
      coalescingThreshold: COALESCED_BYTES,
    },
    policies: {
      loadBalancing,
      retry,
      reconnection: new policies.reconnection.ExponentialReconnectionPolicy(100, 2000),
      // Every write brings its own timestamp; the driver's type leaves out that null switches its generator off.
      timestampGeneration: null as unknown as policyTypes.timestampGeneration.TimestampGenerator,
    },
    queryOptions: { consistency: types.consistencies.localQuorum, prepare: false, isIdempotent: false },
    encoding: { copyBuffer: true, map: Map, set: Set },
    monitorReporting: { enabled: false },
    profiles: [
      new cassandra.ExecutionProfile(CONTROL_PROFILE, {
        consistency: types.consistencies.localQuorum,
        serialConsistency: types.consistencies.localSerial,
        retry,
        loadBalancing,
      }),
    ],
  });
  try {
    await driver.connect();
    checkGuarded(driver);
    const hosts = new Set(driver.hosts.values());
    for (const event of ['hostAdd', 'hostUp', 'hostDown', 'hostRemove'])
      driver.on(event, (host: Host) => hosts.add(host));
    return { driver, dataCenter: loadBalancing.dataCenter, hosts };
  } catch (error) {
    await driver.shutdown().catch(() => undefined);
    throw error;
  }
}

/** The driver's default policy for the data center of the first node it found, unless one is named. */
class LocalDataCenterPolicy extends policies.loadBalancing.LoadBalancingPolicy {
  readonly #wanted: string | undefined;
  #inner: policyTypes.loadBalancing.DefaultLoadBalancingPolicy | undefined;
  #dataCenter: string | undefined;

  constructor(wanted: string | undefined) {
    super();
    this.#wanted = wanted;
  }

  get dataCenter(): string {
    return must(this.#dataCenter, () => 'the driver is connected');
  }

  override init(client: Client, hosts: HostMap, callback: (error: Error) => void): void {
    // The policy is part of two execution profiles and so is initialised twice.
    if (this.#inner !== undefined) return (callback as () => void)();
    this.#dataCenter = this.#wanted ?? hosts.values()[0]?.datacenter;
    this.#inner = new policies.loadBalancing.DefaultLoadBalancingPolicy({ localDc: this.dataCenter });
    this.#inner.init(client, hosts, callback);
  }

  override getDistance(host: Host): driverTypes.distance {
    return this.#ready().getDistance(host);
  }

  override newQueryPlan(
    keyspace: string,
    options: ExecutionOptions,
    callback: (error: Error, iterator: Iterator<Host>) => void,
  ): void {
    this.#ready().newQueryPlan(keyspace, options, callback);
  }

  override getOptions(): Map<string, object> {
    return new Map();
  }

  #ready(): policyTypes.loadBalancing.DefaultLoadBalancingPolicy {
    return must(this.#inner, () => 'the policy is initialised before it is asked');
  }
}
