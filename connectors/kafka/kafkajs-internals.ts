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
import type { Admin, KafkaConfig, Producer } from 'kafkajs';
import { assert } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { MemoryPool } from '../../core/memory-pool.ts';
import type { Log } from '../../core/ports.ts';
import { brokerFailure } from './failures.ts';
import type { FetchAnswer } from './fetch-answers.ts';
import { FetchAnswers } from './fetch-answers.ts';
import type { KafkaOptions } from './options.ts';
import { ReadingSockets } from './reading-sockets.ts';
import { RequestFragments } from './request-fragments.ts';
import type { WritableSocket } from './request-fragments.ts';
import type { Api, FetchRequest, Request } from './requests.ts';
import { apis, throttleTimeMs } from './requests.ts';

const CONNECT_TIMEOUT_MS = 3000;
/** Of requests that the broker should answer at once. ms */
export const REQUEST_TIMEOUT_MS = 5000;

// ------------------------------------------------------------------------------------------- what kafkajs looks like

interface PrivateConnection {
  readonly requestQueue: PrivateRequestQueue;
  readonly socket?: WritableSocket & { destroy(): void };
  isConnected(): boolean;
  processData(bytes: Buffer): void;
  /** `Payload` is what the request queue was given for the answer: bytes, if by kafkajs itself. */
  send<Payload>(protocol: {
    readonly request: {
      readonly apiKey: number;
      readonly apiVersion: number;
      readonly apiName: string;
      readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
    };
    readonly response: {
      readonly decode: (
        answer: Payload,
      ) => Promise<{ readonly answer: Payload; readonly clientSideThrottleTime: number }>;
      readonly parse: (decoded: { readonly answer: Payload }) => Promise<Payload>;
    };
    readonly requestTimeout: number;
    readonly logResponseError: boolean;
  }): Promise<Payload>;
  rejectRequests(error: Error): void;
  disconnect(): Promise<unknown>;
}

interface PrivateRequestQueue {
  readonly pending: readonly unknown[];
  /** Requests without an answer, by correlation id. */
  readonly inflight: ReadonlyMap<number, { readonly entry: { readonly apiKey: number } }>;
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
  fulfillRequest(answer: { readonly size: number; readonly correlationId: number; readonly payload: unknown }): void;
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
  for (const method of ['isConnected', 'send', 'processData', 'rejectRequests', 'disconnect'] as const) {
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
  expected(typeof queue.fulfillRequest === 'function', 'fulfillRequest of a request queue');
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
  readonly #sockets = new ReadingSockets();

  constructor(options: KafkaOptions, log: Log) {
    this.options = options;
    this.#kafka = new Kafka({ ...kafkajsConfig(options, log), socketFactory: this.#sockets.connect });
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
    const { address, connection } = await this.#connect(host, port, needed);
    const { socket } = connection;
    expected(socket !== undefined, 'socket of a connection');
    return new BrokerLink(address, connection, new RequestFragments(socket, apis.produce.key));
  }

  /** As {@link open}, for nothing but Fetch; records are received into memory of the pool. */
  async openForFetch(host: string, port: number, memory: MemoryPool): Promise<FetchLink> {
    const { address, connection } = await this.#connect(host, port, [apis.fetch]);
    const { socket } = connection;
    expected(socket !== undefined && connection.requestQueue.inflight instanceof Map, 'socket and requests in flight');
    const link = new FetchLink(address, connection);
    const answers = new FetchAnswers(memory, ({ size, correlationId, answer }) =>
      connection.requestQueue.fulfillRequest({ size, correlationId, payload: answer }),
    );
    const guarded = (read: () => void): void => {
      try {
        read();
      } catch (error) {
        link.close(error as Error);
      }
    };
    this.#sockets.take(socket, {
      get room() {
        return answers.room;
      },
      filled: (length) => guarded(() => answers.put(length)),
      push: (bytes) => {
        // Between two fetches a session that runs out is renewed, by kafkajs, which keeps what it is given.
        if (isSigningIn(connection)) connection.processData(Buffer.from(bytes));
        else guarded(() => answers.push(bytes));
      },
    });
    return link;
  }

  async #connect(
    host: string,
    port: number,
    needed: readonly Api[],
  ): Promise<{ readonly address: string; readonly connection: PrivateConnection }> {
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
    return { address, connection };
  }

  /** kafkajs' own producer for transactions, not connected: for what is appended seldom. */
  transactionalProducer(transactionalId: string): Producer {
    return this.#kafka.producer({
      transactionalId,
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 1000 },
    });
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
class Link {
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

  /** Requests without an answer fail. */
  close(reason = new Error('the connection was closed')): void {
    if (this.#broken) return;
    this.#broken = true;
    drop(this.#connection, reason);
  }

  /**
   * Waits first for as long as the broker asked for silence. A request without an answer breaks the link, since a later
   * answer could not be told from silence.
   */
  protected async ask<Payload>(
    { api, body }: Omit<Request<never>, 'decode'>,
    timeoutMs: number,
    throttleTimeOf: (answer: Payload) => number,
  ): Promise<Payload> {
    try {
      return await this.#connection.send<Payload>({
        request: {
          apiKey: api.key,
          apiVersion: api.version,
          apiName: api.name,
          encode: async () => ({ buf: body, buffer: body }),
        },
        response: {
          decode: async (answer) => ({ answer, clientSideThrottleTime: throttleTimeOf(answer) }),
          parse: async (decoded) => decoded.answer,
        },
        requestTimeout: timeoutMs,
        logResponseError: false,
      });
    } catch (error) {
      this.close();
      throw brokerFailure(this.address, error);
    }
  }
}

/** For every request but Fetch. */
export class BrokerLink extends Link {
  readonly #fragments: RequestFragments;

  constructor(address: string, connection: PrivateConnection, fragments: RequestFragments) {
    super(address, connection);
    this.#fragments = fragments;
  }

  /** Sends a request and reads its answer. Throws: SOURCE_UNAVAILABLE, UNAUTHORIZED. */
  async send<Answer>(request: Request<Answer>, timeoutMs = REQUEST_TIMEOUT_MS): Promise<Answer> {
    const { api, fragments } = request;
    const body = fragments === undefined ? request.body : this.#fragments.ticketFor(request.body, fragments);
    return request.decode(await this.ask<Buffer>({ api, body }, timeoutMs, (answer) => throttleTimeMs(api, answer)));
  }
}

/** Of a connection for Fetch: kafkajs asks something else only to sign in, and sends nothing beside that. */
function isSigningIn({ requestQueue }: PrivateConnection): boolean {
  for (const { entry } of requestQueue.inflight.values()) if (entry.apiKey !== apis.fetch.key) return true;
  return false;
}

/** For Fetch alone: {@link FetchAnswers} reads what comes back. */
export class FetchLink extends Link {
  /** The records of the answer are the caller's. Throws: SOURCE_UNAVAILABLE, UNAUTHORIZED. */
  fetch(request: FetchRequest, timeoutMs: number): Promise<FetchAnswer> {
    return this.ask<FetchAnswer>(request, timeoutMs, (answer) => answer.throttleTimeMs);
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
