/**
 * The real servers that tests run against: Apache Kafka (KRaft, one node) and Apache Cassandra, each in a JVM of its
 * own on loopback, on free ports, with its data in a fresh folder that goes when the test process goes.
 *
 * With KAFKA_BROKERS or CASSANDRA_CONTACT_POINTS set, those are used instead; they cannot be stopped from here.
 */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import { promisify } from 'node:util';
import { cassandraConfig, cassandraJvmArgs, groupCommit, logbackConfig } from './cassandra-config.ts';
import { JavaServer, LOOPBACK, freePorts, freshDirectory } from './java-server.ts';
import { javaCommand, jars } from './jars.ts';
import type { JvmUse } from './jvm.ts';
import { jvmFlags } from './jvm.ts';

const run = promisify(execFile);

const KAFKA_VERSION = '4.1.1';
const CASSANDRA_VERSION = '5.0.6';
const KAFKA_PAUSE_MS = 20;

/** Name and contents of Kafka's folder of jars, for tests that run one of its tools. */
export const kafkaJars = [
  `kafka-${KAFKA_VERSION}`,
  [
    `org.apache.kafka:kafka_2.13:${KAFKA_VERSION}`,
    `org.apache.kafka:kafka-tools:${KAFKA_VERSION}`,
    // The broker logs through slf4j 1.7; without a binding of that version it dies in silence.
    'org.slf4j:slf4j-simple:1.7.36',
  ],
] as const satisfies Parameters<typeof jars>;

/**
 * A running server. Its data survives stop and restart, and goes with this process; for kill9 of Cassandra see
 * {@link CassandraOptions.survivesKill}.
 */
export interface Service {
  /** `host:port` for clients; with several contact points, all of them, separated by commas. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** Process of the server now. Throws while it is not running and for servers that are not ours. */
  readonly pid: number;
  /** What the server wrote to its output; empty for servers that are not ours. */
  readonly logPath: string;
  /** Shuts down in good order; `restart` brings it back. */
  stop(): Promise<void>;
  /** Ends the process at once; `restart` brings it back. */
  kill9(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Stops if needed and starts again on the same ports and data; resolves when it answers. */
  restart(): Promise<void>;
  /** Ends the process and removes its data. Does nothing to servers that are not ours. */
  dispose(): Promise<void>;
}

export interface KafkaOptions {
  /** Settings of server.properties, over those of {@link startKafka}. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Protocol of the clients' listener; settings it needs come in `properties`. Default PLAINTEXT. */
  readonly protocol?: 'PLAINTEXT' | 'SASL_PLAINTEXT' | 'SSL' | 'SASL_SSL';
  /** A second broker, in the cluster of this one, which is also its controller. */
  readonly joins?: Service;
  /** More arguments for the formatting of the log folder, such as `--add-scram`. */
  readonly formatArgs?: readonly string[];
  readonly heapMb?: number;
  /** Default `test`. */
  readonly jvm?: JvmUse;
}

/** One Kafka node without topics. Topics are not created by themselves. Up in about 4 s. */
export async function startKafka(options: KafkaOptions = {}): Promise<Service> {
  const given = process.env['KAFKA_BROKERS'];
  if (given !== undefined && given !== '') return foreignService('Kafka', given, 'KAFKA_BROKERS');
  const java = javaCommand('a test against Kafka');
  const lib = await jars(...kafkaJars);
  const directory = await freshDirectory('kafka');
  const [port = 0, ownControllerPort = 0] = await freePorts(2);
  const settings = join(directory, 'server.properties');
  const controllerPort = options.joins === undefined ? ownControllerPort : controllerPortOf(options.joins);
  const base = kafkaProperties(directory, port, controllerPort, options.protocol ?? 'PLAINTEXT');
  const role = options.joins === undefined ? {} : brokerOnly(port);
  const properties = { ...base, ...role, ...options.properties };
  await writeFile(settings, propertiesText(properties));
  const jvm = [
    `-Xmx${options.heapMb ?? 400}m`,
    ...jvmFlags(options.jvm ?? 'test', KAFKA_PAUSE_MS),
    '-XX:+ExitOnOutOfMemoryError',
  ];
  const classPath = ['-cp', join(lib, '*')];
  const clusterId = 'V2VpclRlc3RDbHVzdGVyMQ';
  const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', settings, ...(options.formatArgs ?? [])];
  await run(java, [...jvm, ...classPath, ...format]);
  const args = [...jvm, '-Dorg.slf4j.simpleLogger.showDateTime=true', ...classPath, 'kafka.Kafka', settings];
  const service = await ownService(
    new JavaServer({ name: 'Kafka', java, args, directory, port, probe: apiVersionsRequest }),
    port,
  );
  controllerPorts.set(service, controllerPort);
  return service;
}

const controllerPorts = new WeakMap<Service, number>();

function controllerPortOf(service: Service): number {
  const port = controllerPorts.get(service);
  if (port === undefined)
    throw new Error('a broker can only join one that this process started: unset KAFKA_BROKERS to run this test');
  return port;
}

function brokerOnly(port: number): Record<string, string> {
  return { 'process.roles': 'broker', 'node.id': '2', listeners: `CLIENTS://${LOOPBACK}:${port}` };
}

function kafkaProperties(
  directory: string,
  port: number,
  controllerPort: number,
  protocol: string,
): Record<string, string> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@${LOOPBACK}:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `CLIENTS://${LOOPBACK}:${port},CONTROLLER://${LOOPBACK}:${controllerPort}`,
    'advertised.listeners': `CLIENTS://${LOOPBACK}:${port}`,
    'inter.broker.listener.name': 'CLIENTS',
    'listener.security.protocol.map': `CLIENTS:${protocol},CONTROLLER:PLAINTEXT`,
    'log.dirs': join(directory, 'data'),
    'auto.create.topics.enable': 'false',
    // Records of tests are dated years ago.
    'log.retention.ms': '-1',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'num.network.threads': '2',
    'num.io.threads': '4',
  };
}

function propertiesText(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('');
}

/** ApiVersions v0 with correlation id 1 and no client id. */
const apiVersionsRequest = Uint8Array.of(0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff);

export interface CassandraOptions {
  /** More lines for cassandra.yaml; a key given here replaces the one of {@link startCassandra}. */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * Every write is on disk before it is acknowledged, at some 10 ms a write. Without it kill9 loses the last 100 ms of
   * acknowledged writes, as the commit log's end is marked no more often.
   */
  readonly survivesKill?: boolean;
  readonly heapMb?: number;
  /** Default `test`. */
  readonly jvm?: JvmUse;
}

/** One Cassandra node without keyspaces of users, no authentication, Paxos v2. Up in about 8 s. */
export async function startCassandra(options: CassandraOptions = {}): Promise<Service> {
  const given = process.env['CASSANDRA_CONTACT_POINTS'];
  if (given !== undefined && given !== '') return foreignService('Cassandra', given, 'CASSANDRA_CONTACT_POINTS');
  const java = javaCommand('a test against Cassandra');
  const lib = await jars(`cassandra-${CASSANDRA_VERSION}`, [`org.apache.cassandra:cassandra-all:${CASSANDRA_VERSION}`]);
  const jamm = readdirSync(lib).find((file) => /^jamm-.*\.jar$/.test(file));
  if (jamm === undefined)
    throw new Error(`there is no jamm jar in ${lib}: remove the folder, so that it is fetched again`);
  const directory = await freshDirectory('cassandra');
  const [port = 0, storagePort = 0] = await freePorts(2);
  const yaml = join(directory, 'cassandra.yaml');
  const logback = join(directory, 'logback.xml');
  await mkdir(join(directory, 'data'), { recursive: true });
  const settings = { ...(options.survivesKill === true ? groupCommit : {}), ...options.settings };
  await writeFile(yaml, cassandraConfig({ directory, port, storagePort, settings }));
  await writeFile(logback, logbackConfig);
  const args = [
    ...cassandraJvmArgs({
      heapMb: options.heapMb ?? 512,
      jvm: options.jvm ?? 'test',
      agent: join(lib, jamm),
      yaml,
      logback,
      directory,
    }),
    '-cp',
    join(lib, '*'),
    'org.apache.cassandra.service.CassandraDaemon',
  ];
  return ownService(new JavaServer({ name: 'Cassandra', java, args, directory, port, probe: optionsFrame }), port);
}

/** The OPTIONS frame of CQL's native protocol v4. */
const optionsFrame = Uint8Array.of(4, 0, 0, 0, 5, 0, 0, 0, 0);

async function ownService(server: JavaServer, port: number): Promise<Service> {
  try {
    await server.start();
  } catch (error) {
    await server.dispose();
    throw error;
  }
  return {
    address: `${LOOPBACK}:${port}`,
    host: LOOPBACK,
    port,
    get pid() {
      return server.pid;
    },
    logPath: server.logPath,
    stop: () => server.stop(),
    kill9: () => server.kill9(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    restart: async () => {
      await server.stop();
      await server.start();
    },
    dispose: () => server.dispose(),
  };
}

/** A server that somebody else runs. */
function foreignService(name: string, address: string, variable: string): Service {
  const first = address.split(',')[0] ?? '';
  const colon = first.lastIndexOf(':');
  const host = colon < 0 ? first : first.slice(0, colon);
  const port = colon < 0 ? (name === 'Kafka' ? 9092 : 9042) : Number(first.slice(colon + 1));
  const refuse = (): never => {
    throw new Error(
      `this test stops and starts ${name}, which it may not do with the one named by ${variable}: unset ${variable} to run it`,
    );
  };
  return {
    address,
    host,
    port,
    get pid() {
      return refuse();
    },
    logPath: '',
    stop: async () => refuse(),
    kill9: async () => refuse(),
    pause: refuse,
    resume: refuse,
    restart: async () => refuse(),
    dispose: async () => undefined,
  };
}

export interface GlobalServices {
  kafka(): Promise<Service>;
  cassandra(): Promise<Service>;
}

/** Names of the variables through which a test runner hands its servers to the files it runs: `host:port`. */
const sharedServiceVariables = { kafka: 'WEIR_TEST_KAFKA', cassandra: 'WEIR_TEST_CASSANDRA' } as const;

/**
 * Servers that many test files share: those of the runner, or, for a file that is run alone, its own, started when first
 * asked for and gone after the last test. Call it at the top of the file, outside of tests. What a test creates in them
 * needs a name of its own ({@link uniqueName}); a test that stops servers starts its own with {@link startKafka}.
 */
export function globalServices(): GlobalServices {
  let kafka: Promise<Service> | undefined;
  let cassandra: Promise<Service> | undefined;
  after(async () => {
    const started = await Promise.allSettled([kafka, cassandra]);
    for (const service of started) if (service.status === 'fulfilled') await service.value?.dispose();
  });
  return {
    kafka: () => (kafka ??= shared('Kafka', sharedServiceVariables.kafka, startKafka)),
    cassandra: () => (cassandra ??= shared('Cassandra', sharedServiceVariables.cassandra, startCassandra)),
  };
}

async function shared(name: string, variable: string, start: () => Promise<Service>): Promise<Service> {
  const address = process.env[variable];
  return address === undefined || address === '' ? start() : foreignService(name, address, variable);
}

let names = 0;

/** A name for a topic, keyspace or group that no other test has: letters, digits and underscores. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${process.pid.toString(36)}_${Date.now().toString(36)}_${names++}`;
}
