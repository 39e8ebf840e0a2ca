/**
 * The one file that touches what is private in kafkajs 2.2.4: its sockets with TLS, SASL and request matching, without
 * its consumer, its cluster and its decoders. Everything used is checked when it is made, so another version fails with
 * its number at the start and not with an odd error later.
 *
 * A link is used once: kafkajs keeps half an answer of a lost connection and would put it before the first answer of
 * the next one, so a lost link is replaced by a new one.
 */
import { isIP } from 'node:net';
import { createRequire } from 'node:module';
import { Kafka, logLevel } from 'kafkajs';
import type { Admin, KafkaConfig } from 'kafkajs';
import { assert } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { brokerFailure } from './failures.ts';
import type { KafkaOptions } from './options.ts';
import type { Api, Request } from './requests.ts';
import { throttleTimeMs } from './requests.ts';

const CONNECT_TIMEOUT_MS = 3000;
/** Of requests that the broker should answer at once. ms */
export const REQUEST_TIMEOUT_MS = 5000;

// ------------------------------------------------------------------------------------------- what kafkajs looks like

interface PrivateConnection {
  readonly requestQueue: PrivateRequestQueue;
  readonly socket?: { destroy(): void };
  isConnected(): boolean;
  send(protocol: {
    readonly request: {
      readonly apiKey: number;
      readonly apiVersion: number;
      readonly apiName: string;
      readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
    };
    readonly response: {
      readonly decode: (
        answer: Buffer,
      ) => Promise<{ readonly answer: Buffer; readonly clientSideThrottleTime: number }>;
      readonly parse: (decoded: { readonly answer: Buffer }) => Promise<Buffer>;
    };
    readonly requestTimeout: number;
    readonly logResponseError: boolean;
  }): Promise<Buffer>;
  rejectRequests(error: Error): void;
  disconnect(): Promise<unknown>;
}

interface PrivateRequestQueue {
  readonly pending: readonly unknown[];
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

interface PrivateConnectionPool {
  readonly pool: readonly PrivateConnection[];
}

interface PrivateBroker {
  readonly versions: Readonly<Record<string, { readonly minVersion: number; readonly maxVersion: number }>> | null;
  connect(): Promise<void>;
}

interface PrivateCluster {
  readonly connectionPoolBuilder: {
    build(destination: { readonly host: string; readonly port: number }): Promise<PrivateConnectionPool>;
  };
  readonly brokerPool: {
    createBroker(parts: { readonly connectionPool: PrivateConnectionPool; readonly logger: unknown }): PrivateBroker;
  };
  readonly rootLogger: unknown;
}

type CreateCluster = (options: {
  readonly metadataMaxAge: number;
  readonly maxInFlightRequests: number | null;
}) => PrivateCluster;

const { version } = createRequire(import.meta.url)('kafkajs/package.json') as { readonly version: string };

function expected(condition: unknown, part: string): asserts condition {
  assert(condition, () => `kafkajs ${version} has no ${part} as version 2.2.4 has: install kafkajs 2.2.4`);
}

function createCluster(kafka: Kafka): PrivateCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    (candidate) => candidate.description === 'private:Kafka:createCluster',
  );
  expected(symbol !== undefined, 'createCluster');
  const create = (kafka as unknown as Record<symbol, unknown>)[symbol];
  expected(typeof create === 'function', 'createCluster');
  const cluster = (create as CreateCluster)({ metadataMaxAge: 300_000, maxInFlightRequests: null });
  expected(typeof cluster?.connectionPoolBuilder?.build === 'function', 'connectionPoolBuilder');
  expected(typeof cluster.brokerPool?.createBroker === 'function', 'createBroker');
  return cluster;
}

function checkConnection(pool: PrivateConnectionPool): PrivateConnection {
  const connection = pool.pool?.[0];
  expected(connection !== undefined, 'connection in a pool');
  for (const method of ['isConnected', 'send', 'rejectRequests', 'disconnect'] as const) {
    expected(typeof connection[method] === 'function', `${method} of a connection`);
  }
  const queue = connection.requestQueue;
  expected(
    typeof queue?.scheduleCheckPendingRequests === 'function',
    'scheduleCheckPendingRequests of a request queue',
  );
  expected(
    typeof queue.checkPendingRequests === 'function' && Array.isArray(queue.pending),
    'pending requests of a request queue',
  );
  repairTimer(queue);
  return connection;
}

const repaired = new WeakSet<object>();

/**
 * kafkajs asks for a timer of a negative time whenever nothing is pending; Node takes that for 1 ms, so every idle
 * connection wakes a thousand times a second. Nothing needs a timer while nothing is pending.
 */
function repairTimer(queue: PrivateRequestQueue): void {
  const prototype = Object.getPrototypeOf(queue) as PrivateRequestQueue;
  if (repaired.has(prototype)) return;
  repaired.add(prototype);
  prototype.scheduleCheckPendingRequests = function (this: PrivateRequestQueue): void {
    if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return;
    const throttledMs = this.throttledUntil - Date.now();
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      throttledMs > 0 ? throttledMs : 10,
    );
  };
}

// ------------------------------------------------------------------------------------------------------ what we use

/** Opens connections to brokers of one cluster. */
export class KafkaTransport {
  readonly options: KafkaOptions;
  readonly #kafka: Kafka;
  readonly #cluster: PrivateCluster;

  constructor(options: KafkaOptions, log: Log) {
    this.options = options;
    this.#kafka = new Kafka(kafkajsConfig(options, log));
    this.#cluster = createCluster(this.#kafka);
    // Connections that are never opened: the admin client profits from what opening one repairs.
    void this.#cluster.connectionPoolBuilder.build({ host: 'localhost', port: 0 }).then(checkConnection);
  }

  /**
   * A connection of its own to one broker: connected, signed in, versions checked.
   *
   * Throws: SOURCE_UNAVAILABLE, UNAUTHORIZED, UNSUPPORTED.
   */
  async open(host: string, port: number, needed: readonly Api[]): Promise<BrokerLink> {
    const pool = await this.#cluster.connectionPoolBuilder.build({ host, port });
    const connection = checkConnection(pool);
    const address = `${host}:${port}`;
    const broker = this.#cluster.brokerPool.createBroker({ connectionPool: pool, logger: this.#cluster.rootLogger });
    try {
      await broker.connect();
      checkVersions(address, broker, needed);
    } catch (error) {
      drop(connection, error as Error);
      throw brokerFailure(address, error);
    }
    return new BrokerLink(address, connection);
  }

  /** Runs `use` with kafkajs' admin client: for what people do seldom. Throws what kafkajs throws. */
  async withAdmin<T>(use: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#kafka.admin();
    await admin.connect();
    try {
      return await use(admin);
    } finally {
      await admin.disconnect();
    }
  }
}

function kafkajsConfig(options: KafkaOptions, log: Log): KafkaConfig {
  const { brokers, clientId, tls, sasl } = options;
  return {
    brokers: [...brokers],
    clientId,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Of the admin client alone: for links our own code decides what is tried again, and when.
    retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 1000 },
    ...(tls === undefined ? {} : { ssl: { ...tls, rejectUnauthorized: true } }),
    ...(sasl === undefined ? {} : { sasl: sasl as NonNullable<KafkaConfig['sasl']> }),
    logLevel: logLevel.WARN,
    // What goes wrong is reported once, by whoever asked; kafkajs says it in its own words at every level.
    logCreator: () => (entry) => log.debug({ kafkajs: entry.namespace }, entry.log.message),
  };
}

function checkVersions(address: string, broker: PrivateBroker, needed: readonly Api[]): void {
  expected(broker.versions !== null && typeof broker.versions === 'object', 'versions of a broker');
  for (const api of needed) {
    const range = broker.versions[api.key];
    if (range !== undefined && range.minVersion <= api.version && api.version <= range.maxVersion) continue;
    const offered = range === undefined ? 'none' : `${range.minVersion} to ${range.maxVersion}`;
    throw new WeirError(
      'UNSUPPORTED',
      `Kafka at ${address} offers versions ${offered} of ${api.name}, and Weir needs ${api.version}: use Kafka 3.1 or newer.`,
    );
  }
}

/** One connection to one broker. Answers come in the order of requests. */
export class BrokerLink {
  readonly address: string;
  readonly #connection: PrivateConnection;
  #broken = false;

  constructor(address: string, connection: PrivateConnection) {
    this.address = address;
    this.#connection = connection;
  }

  get usable(): boolean {
    return !this.#broken && this.#connection.isConnected();
  }

  /**
   * Sends a request and reads its answer; waits first for as long as the broker asked for silence. A request without an
   * answer breaks the link, since a later answer could not be told from silence.
   *
   * Throws: SOURCE_UNAVAILABLE, UNAUTHORIZED.
   */
  async send<Answer>(request: Request<Answer>, timeoutMs = REQUEST_TIMEOUT_MS): Promise<Answer> {
    const { api, body } = request;
    let answer: Buffer;
    try {
      answer = await this.#connection.send({
        request: {
          apiKey: api.key,
          apiVersion: api.version,
          apiName: api.name,
          encode: async () => ({ buf: body, buffer: body }),
        },
        response: {
          decode: async (bytes) => ({ answer: bytes, clientSideThrottleTime: throttleTimeMs(api, bytes) }),
          parse: async (decoded) => decoded.answer,
        },
        requestTimeout: timeoutMs,
        logResponseError: false,
      });
    } catch (error) {
      this.close();
      throw brokerFailure(this.address, error);
    }
    return request.decode(answer);
  }

  /** Requests without an answer fail. */
  close(): void {
    if (this.#broken) return;
    this.#broken = true;
    drop(this.#connection, new Error('the connection was closed'));
  }
}

/** kafkajs' own disconnect waits for answers that may never come. */
function drop(connection: PrivateConnection, reason: Error): void {
  connection.rejectRequests(reason);
  connection.disconnect().catch(() => undefined);
  connection.socket?.destroy();
}

/** Host and port of `host:port`; an IPv6 address stands in brackets. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  assert(host !== '' && (isIP(host) !== 0 || !host.includes(':')), () => `not an address: ${address}`);
  return { host, port: Number(address.slice(colon + 1)) };
}
