/**
 * Where a process's sources, sinks and metadata are, from its environment: Kafka when KAFKA_BROKERS is set and Cassandra
 * when CASSANDRA_CONTACT_POINTS is set, else the embedded process at WEIR_EMBEDDED (default 127.0.0.1:7079). Snapshots of
 * state go to the directory WEIR_STATE_DIR, which all processes must share, else to where the metadata are. A job names
 * connectors, never places, so the same job file runs on both.
 *
 * Connectors are loaded when first used: a process on the embedded one loads neither driver. Each place has one client
 * per process.
 */
import { must } from '../core/assert.ts';
import type { Clock, Rng } from '../core/clock.ts';
import { WeirError } from '../core/errors.ts';
import { PACKAGE_PREFIX } from '../core/job/connector-names.ts';
import type { LookupConnector } from '../core/lookup.ts';
import type { MemoryPool } from '../core/memory-pool.ts';
import type { MetaStore } from '../core/meta.ts';
import { hostOf } from '../core/security/loopback.ts';
import { judgeHost, parseOutbound } from '../core/security/outbound.ts';
import type { RowSinkConnector } from '../core/row-sink.ts';
import type {
  BlobStore,
  Connections,
  Fetched,
  FetchRequest,
  Log,
  LogWriter,
  Source,
  SourceReader,
  TableStore,
} from '../core/ports.ts';

export interface ConnectionParts {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** What fetched records are received into; default: each reader has a pool of its own. */
  readonly memory?: MemoryPool;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** One place that logs are read from and written to. */
interface LogConnection {
  readonly source: Source;
  readonly writer: LogWriter;
  close(): Promise<void>;
}

/** One place of tables and metadata. */
interface TablesConnection {
  readonly tables: TableStore;
  readonly meta: MetaStore;
  readonly blobs: BlobStore;
  readonly lookups: () => Promise<LookupConnector>;
  close(): Promise<void>;
}

const EMBEDDED_DEFAULT = '127.0.0.1:7079';

/** Nothing is connected yet. Throws: CONFIG_INVALID for settings that cannot be. */
export function makeConnections(env: Environment, parts: ConnectionParts): ConnectionRegistry {
  return new ConnectionRegistry(env, parts);
}

class ConnectionRegistry implements Connections {
  readonly #env: Environment;
  readonly #parts: ConnectionParts;
  readonly #embeddedAddress: string;
  /** By brokers; '' = the embedded process. */
  readonly #logs = new Map<string, Promise<LogConnection>>();
  readonly #rowSinks = new Map<string, Promise<RowSinkConnector>>();
  readonly #lookups = new Map<string, Promise<LookupConnector>>();
  #tables: Promise<TablesConnection> | undefined;
  #embedded: Promise<EmbeddedPlace> | undefined;
  #directoryBlobs: BlobStore | undefined;

  constructor(env: Environment, parts: ConnectionParts) {
    this.#env = env;
    this.#parts = parts;
    this.#embeddedAddress = settingOf(env, 'WEIR_EMBEDDED') ?? EMBEDDED_DEFAULT;
    if (!/^.+:\d{1,5}$/.test(this.#embeddedAddress)) {
      throw new WeirError('CONFIG_INVALID', `WEIR_EMBEDDED is "${this.#embeddedAddress}"; write host:port.`);
    }
  }

  /** Loads the default connectors ahead of their first use. Throws: CONFIG_INVALID. */
  async ready(): Promise<void> {
    await Promise.all([this.#log({}), this.#tablesConnection()]);
  }

  source(connector: string, options: Readonly<Record<string, unknown>>): Source {
    expectConnector(connector, 'kafka', 'read from');
    return laterSource(async () => (await this.#log(options)).source);
  }

  logWriter(connector: string, options: Readonly<Record<string, unknown>>): LogWriter {
    expectConnector(connector, 'kafka', 'append to');
    return later(async () => (await this.#log(options)).writer);
  }

  tables(connector: string, _options: Readonly<Record<string, unknown>>): TableStore {
    expectConnector(connector, 'cassandra', 'write tables with');
    return later(async () => (await this.#tablesConnection()).tables);
  }

  rowSinks(connector: string): RowSinkConnector {
    const load = connector.startsWith(PACKAGE_PREFIX) ? packageSinks(connector) : rowSinkLoaders.get(connector);
    if (load === undefined) {
      const known = [...rowSinkLoaders.keys()].join(', ');
      throw new WeirError(
        'UNSUPPORTED',
        `There is no connector "${connector}" to write rows with; there are ${known}.`,
      );
    }
    return later(() => {
      let opened = this.#rowSinks.get(connector);
      if (opened === undefined) {
        opened = load(this.#env, this.#parts);
        this.#rowSinks.set(connector, opened);
      }
      return opened;
    });
  }

  lookups(connector: string): LookupConnector {
    if (connector === 'cassandra') return later(async () => (await this.#tablesConnection()).lookups());
    const load = lookupLoaders.get(connector);
    if (load === undefined) {
      const known = ['cassandra', ...lookupLoaders.keys()].join(', ');
      throw new WeirError('UNSUPPORTED', `There is no connector "${connector}" to look rows up; there are ${known}.`);
    }
    return later(() => {
      let opened = this.#lookups.get(connector);
      if (opened === undefined) {
        opened = load(this.#env);
        this.#lookups.set(connector, opened);
      }
      return opened;
    });
  }

  metaStore(): MetaStore {
    return later(async () => (await this.#tablesConnection()).meta);
  }

  blobs(): BlobStore {
    const directory = settingOf(this.#env, 'WEIR_STATE_DIR');
    if (directory === undefined) return later(async () => (await this.#tablesConnection()).blobs);
    return later(async () => {
      const { DirectoryBlobStore } = await import('./blobs/directory.ts');
      return (this.#directoryBlobs ??= new DirectoryBlobStore(directory, this.#parts));
    });
  }

  describe(): { readonly log: string; readonly tables: string } {
    const embedded = `embedded ${this.#embeddedAddress}`;
    const brokers = settingOf(this.#env, 'KAFKA_BROKERS');
    const contactPoints = settingOf(this.#env, 'CASSANDRA_CONTACT_POINTS');
    return {
      log: brokers === undefined ? embedded : `kafka ${brokers}`,
      tables: contactPoints === undefined ? embedded : `cassandra ${contactPoints}`,
    };
  }

  async close(): Promise<void> {
    const opened: readonly Promise<{ close(): Promise<void> }>[] = [
      ...this.#logs.values(),
      ...this.#rowSinks.values(),
      ...this.#lookups.values(),
      ...(this.#tables === undefined ? [] : [this.#tables]),
    ];
    // One that failed to open has nothing to close.
    for (const result of await Promise.allSettled(opened))
      if (result.status === 'fulfilled') await result.value.close();
    if (this.#embedded !== undefined) (await this.#embedded).close();
  }

  #log(options: Readonly<Record<string, unknown>>): Promise<LogConnection> {
    const own = typeof options['brokers'] === 'string' ? options['brokers'] : undefined;
    const brokers = own ?? settingOf(this.#env, 'KAFKA_BROKERS') ?? '';
    let opened = this.#logs.get(brokers);
    if (opened === undefined) {
      opened = brokers === '' ? this.#embeddedLog() : this.#kafkaLog(brokers);
      this.#logs.set(brokers, opened);
      // What a job may not reach, or cannot now, is asked again by the next one.
      opened.catch(() => this.#logs.delete(brokers));
    }
    return opened;
  }

  #tablesConnection(): Promise<TablesConnection> {
    this.#tables ??=
      settingOf(this.#env, 'CASSANDRA_CONTACT_POINTS') === undefined ? this.#embeddedTables() : this.#cassandraTables();
    return this.#tables;
  }

  #embeddedPlace(): Promise<EmbeddedPlace> {
    this.#embedded ??= import('./embedded/place.ts').then(
      ({ EmbeddedPlace }) => new EmbeddedPlace(this.#embeddedAddress, this.#parts),
    );
    return this.#embedded;
  }

  async #embeddedLog(): Promise<LogConnection> {
    const { source, logWriter } = await this.#embeddedPlace();
    return { source, writer: logWriter, close: () => source.close() };
  }

  async #embeddedTables(): Promise<TablesConnection> {
    const { tables, meta, blobs } = await this.#embeddedPlace();
    const lookups = async (): Promise<LookupConnector> =>
      new (await import('./embedded/embedded-lookup.ts')).EmbeddedLookups(tables);
    return { tables, meta, blobs, lookups, close: () => Promise.resolve() };
  }

  async #kafkaLog(brokers: string): Promise<LogConnection> {
    const [{ kafkaOptionsFromEnv }, { KafkaSource }, { KafkaLogWriter }] = await Promise.all([
      import('./kafka/options.ts'),
      import('./kafka/kafka-source.ts'),
      import('./kafka/kafka-log-writer.ts'),
    ]);
    const given = must(kafkaOptionsFromEnv(this.#env, brokers), () => 'brokers are given');
    const options = brokers === settingOf(this.#env, 'KAFKA_BROKERS') ? given : await this.#foreignKafka(given);
    const source = new KafkaSource(options, this.#parts);
    const writer = new KafkaLogWriter(options, this.#parts);
    return { source, writer, close: async () => void (await Promise.all([source.close(), writer.close()])) };
  }

  /**
   * Brokers that a job names: only where jobs may go, and with the credentials of this cluster only where whoever runs
   * it has named those hosts; else a job could have them sent to itself. Throws: FORBIDDEN.
   */
  async #foreignKafka(options: KafkaOptions): Promise<KafkaOptions> {
    const policy = parseOutbound(this.#env['WEIR_ALLOWED_HOSTS']);
    const { requireResolvable } = await import('./system/outbound.ts');
    const hosts = options.brokers.map(hostOf);
    await Promise.all(hosts.map((host) => requireResolvable(policy, host)));
    if (policy.kind === 'named' && hosts.every((host) => judgeHost(policy, host) === null)) return options;
    const { sasl: _sasl, tls, ...plain } = options;
    return tls === undefined ? plain : { ...plain, tls: tls.ca === undefined ? {} : { ca: tls.ca } };
  }

  async #cassandraTables(): Promise<TablesConnection> {
    const [
      { CassandraClient, cassandraOptionsFromEnv },
      { CassandraTableStore },
      { CassandraMetaStore },
      { CassandraChunkTable },
      { ChunkedBlobStore },
    ] = await Promise.all([
      import('./cassandra/client.ts'),
      import('./cassandra/table-store.ts'),
      import('./cassandra/meta-store.ts'),
      import('./cassandra/chunk-table.ts'),
      import('../core/blobs/chunked-store.ts'),
    ]);
    const options = must(cassandraOptionsFromEnv(this.#env), () => 'contact points are set');
    const client = new CassandraClient(options);
    const tables = new CassandraTableStore(client);
    return {
      tables,
      lookups: async () => new (await import('./cassandra/cassandra-lookup.ts')).CassandraLookups(client, tables),
      meta: new CassandraMetaStore(client),
      blobs: new ChunkedBlobStore(new CassandraChunkTable(client), this.#parts),
      close: () => client.close(),
    };
  }
}

/** Refuses hosts that jobs may not have processes connect to. */
function hostGuard(env: Environment): (host: string) => Promise<void> {
  const policy = parseOutbound(env['WEIR_ALLOWED_HOSTS']);
  return async (host) => {
    const { requireResolvable } = await import('./system/outbound.ts');
    await requireResolvable(policy, host);
  };
}

/** Sinks of the interface RowSink, by connector. */
const rowSinkLoaders: ReadonlyMap<string, (env: Environment, parts: ConnectionParts) => Promise<RowSinkConnector>> =
  new Map([
    [
      'postgres',
      async (env: Environment, { clock, rng }: ConnectionParts): Promise<RowSinkConnector> => {
        const [{ PostgresSinks }, { secretsOf }] = await Promise.all([
          import('./postgres/postgres-sinks.ts'),
          import('./http/secrets.ts'),
        ]);
        const defaultUrl = settingOf(env, 'POSTGRES_URL');
        return new PostgresSinks({ clock, rng, defaultUrl, secret: secretsOf(env), requireHost: hostGuard(env) });
      },
    ],
    [
      'files',
      async (env: Environment, { clock, rng, log }: ConnectionParts): Promise<RowSinkConnector> => {
        const { FilesSinks } = await import('./files/files-sinks.ts');
        const anywhere = parseOutbound(env['WEIR_ALLOWED_HOSTS']).kind === 'any';
        return new FilesSinks({ clock, rng, env, requireHost: hostGuard(env), anywhere, log });
      },
    ],
    [
      'webhook',
      async (env: Environment, { clock, rng }: ConnectionParts): Promise<RowSinkConnector> => {
        const [{ WebhookSinks }, { secretsOf }] = await Promise.all([
          import('./webhook/webhook-sinks.ts'),
          import('./http/secrets.ts'),
        ]);
        return new WebhookSinks({ clock, rng, secret: secretsOf(env), requireHost: hostGuard(env) });
      },
    ],
  ]);

/** Places that tables are looked up in, by connector. */
const lookupLoaders: ReadonlyMap<string, (env: Environment) => Promise<LookupConnector>> = new Map([
  [
    'postgres',
    async (env: Environment): Promise<LookupConnector> => {
      const [{ PostgresLookups }, { secretsOf }] = await Promise.all([
        import('./postgres/postgres-lookup.ts'),
        import('./http/secrets.ts'),
      ]);
      const defaultUrl = settingOf(env, 'POSTGRES_URL');
      return new PostgresLookups({ defaultUrl, secret: secretsOf(env), requireHost: hostGuard(env) });
    },
  ],
  [
    'http',
    async (env: Environment): Promise<LookupConnector> => {
      const [{ HttpLookups }, { secretsOf }] = await Promise.all([
        import('./http/http-lookup.ts'),
        import('./http/secrets.ts'),
      ]);
      return new HttpLookups({ policy: parseOutbound(env['WEIR_ALLOWED_HOSTS']), secret: secretsOf(env) });
    },
  ],
]);

/** Of a package, whose code is loaded when rows are first written. */
function packageSinks(connector: string) {
  return async (env: Environment, { clock, rng }: ConnectionParts): Promise<RowSinkConnector> => {
    const { PackageSinks } = await import('./packages/open.ts');
    const parts = { env, clock, rng, requireHost: hostGuard(env) };
    return await PackageSinks.load(connector.slice(PACKAGE_PREFIX.length), parts);
  };
}

type KafkaOptions = import('./kafka/options.ts').KafkaOptions;
type EmbeddedPlace = import('./embedded/place.ts').EmbeddedPlace;

function settingOf(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

function expectConnector(given: string, known: string, verb: string): void {
  if (given === known) return;
  throw new WeirError('UNSUPPORTED', `There is no connector "${given}" to ${verb}; "${known}" is the one there is.`);
}

// ------------------------------------------------------------------- stand-ins until the connector's module is loaded

/**
 * An object whose methods load the real one first. For interfaces of asynchronous methods only. The place behind it is
 * shared: `close` leaves it open, the registry closes it.
 */
function later<T extends object>(load: () => Promise<T>): T {
  const close = (): Promise<void> => Promise.resolve();
  return new Proxy({} as T, {
    get(_, name) {
      if (name === 'close') return close;
      // Not to be taken for a promise when it is awaited.
      if (name === 'then') return undefined;
      return async (...args: unknown[]) => {
        const target = await load();
        const method = target[name as keyof T] as (...args: unknown[]) => unknown;
        return method.apply(target, args);
      };
    },
  });
}

/** As {@link later}, for a Source, whose `open` answers at once. */
function laterSource(load: () => Promise<Source>): Source {
  return {
    describe: async (topic) => (await load()).describe(topic),
    offsets: async (topic, partitions, query) => (await load()).offsets(topic, partitions, query),
    open: (topic) => new LaterReader(load().then((source) => source.open(topic))),
    showOffsets: async (group, topic, offsets) => (await load()).showOffsets(group, topic, offsets),
    close: () => Promise.resolve(),
  };
}

class LaterReader implements SourceReader {
  readonly #inner: Promise<SourceReader>;

  constructor(inner: Promise<SourceReader>) {
    this.#inner = inner;
    // Whoever fetches hears why it cannot be opened.
    inner.catch(() => undefined);
  }

  async fetch(request: FetchRequest): Promise<Fetched> {
    return (await this.#inner).fetch(request);
  }

  async close(): Promise<void> {
    await this.#inner.then(
      (reader) => reader.close(),
      () => undefined,
    );
  }
}
