/** `weir master|worker|embedded|produce`: options and environment to what the processes take. */
import { WeirError } from '../../core/errors.ts';
import { exitCodes } from '../exit.ts';
import { tell } from '../output.ts';
import { WEIR_VERSION } from '../version.ts';

/** As commander gives them. */
type Options = Readonly<Record<string, string | undefined>>;

const HOST_DEFAULT = '127.0.0.1';
/** How long an orphan may take to end by itself. */
const ORPHAN_PATIENCE_MS = 5000;

/** Runs until it is told to stop. */
export async function runMasterProcess(options: Options): Promise<void> {
  endWithParent();
  const settings = {
    host: setting(options, 'host', 'WEIR_HOST', HOST_DEFAULT),
    grpcPort: portSetting(options, 'port', 'WEIR_GRPC_PORT', 7077),
    httpPort: portSetting(options, 'httpPort', 'WEIR_HTTP_PORT', 7080),
    token: token(options),
    insecure: flag(options, 'insecure', 'WEIR_INSECURE'),
    tls: flag(options, 'tls', 'WEIR_TLS'),
    version: WEIR_VERSION,
    ...advertisedHost(),
  };
  const [{ runMaster }, { ThreadLab }] = await Promise.all([
    import('../../master/main.ts'),
    import('../lab/thread-lab.ts'),
  ]);
  await runMaster({ ...settings, lab: new ThreadLab() });
}

/** Runs until it is told to stop. */
export async function runWorkerProcess(options: Options): Promise<void> {
  endWithParent();
  const threads = setting(options, 'threads', 'WEIR_THREADS', 'auto');
  const name = setting(options, 'name', 'WEIR_WORKER_NAME', '');
  const settings = {
    master: setting(options, 'master', 'WEIR_MASTER', '127.0.0.1:7077'),
    host: setting(options, 'host', 'WEIR_HOST', HOST_DEFAULT),
    httpPort: portSetting(options, 'httpPort', 'WEIR_HTTP_PORT', 7081),
    exchangePort: portSetting(options, 'exchangePort', 'WEIR_EXCHANGE_PORT', 0),
    token: token(options),
    joinToken: setting(options, 'join', 'WEIR_JOIN_TOKEN', ''),
    insecure: flag(options, 'insecure', 'WEIR_INSECURE'),
    version: WEIR_VERSION,
    ...(threads === 'auto' ? {} : { threads: wholeNumber(threads, '--threads', 1, 256) }),
    ...(name === '' ? {} : { name }),
    ...advertisedHost(),
  };
  const { runWorker } = await import('../../worker/main.ts');
  await runWorker(settings);
}

/** Runs until it is told to stop. */
export async function runEmbeddedProcess(options: Options): Promise<void> {
  endWithParent();
  const host = setting(options, 'host', 'WEIR_HOST', HOST_DEFAULT);
  const port = portSetting(options, 'port', 'WEIR_EMBEDDED_PORT', 7079);
  const [{ startEmbedded }, { systemClock }, { makeLog }, { isLoopback }] = await Promise.all([
    import('../../connectors/embedded/main.ts'),
    import('../../connectors/system/clock.ts'),
    import('../../connectors/system/log.ts'),
    import('../../core/security/loopback.ts'),
  ]);
  if (!isLoopback(host)) {
    throw new WeirError(
      'CONFIG_INVALID',
      `The embedded process will not listen on ${host}: it asks nobody for a token. Use 127.0.0.1, or Kafka and Cassandra.`,
    );
  }
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  const log = makeLog('embedded');
  const embedded = await startEmbedded({ host, port, dataDir: options['data'] ?? null, log, clock: systemClock });
  log.info({ address: embedded.address, dataDir: options['data'] ?? null }, 'embedded started');
  log.info({ signal: await stopped }, 'stopping');
  await embedded.close();
}

/** Files that are programs; any other name is a topic's. */
const producerFile = /\.[cm]?[jt]s$/;

/**
 * Runs the producers of these files side by side, or writes lines to a topic, until they are done or told to stop. Throws:
 * USAGE, and what {@link produceLines} does.
 */
export async function runProducerProcess(names: readonly string[], options: Options): Promise<void> {
  const [topic = ''] = names;
  const isTopic = !producerFile.test(topic);
  if (isTopic && names.length > 1)
    throw new WeirError('USAGE', 'weir produce takes one topic, or files of producers (*.ts, *.js).');
  if (!isTopic && (options['input'] !== undefined || options['key'] !== undefined))
    throw new WeirError(
      'USAGE',
      '--input and --key go with a topic: weir produce TOPIC -i FILE. Producers make their own records.',
    );
  endWithParent();
  const { rate, seed = '1', count } = options;
  const args = {
    seed: wholeNumber(seed, '--seed', 0, 2 ** 31),
    ...(rate === undefined ? {} : { rate: wholeNumber(rate, '--rate', 0, 1e9) }),
    ...(count === undefined ? {} : { count: wholeNumber(count, '--count', 0, Number.MAX_SAFE_INTEGER) }),
  };
  const [{ makeConnections }, { systemClock, systemRng }, { makeLog }] = await Promise.all([
    import('../../connectors/connections.ts'),
    import('../../connectors/system/clock.ts'),
    import('../../connectors/system/log.ts'),
  ]);
  const log = makeLog('producer');
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const connections = makeConnections(process.env, { clock: systemClock, rng: systemRng, log });
  const common = { writer: connections.logWriter('kafka', {}), clock: systemClock, signal: stop.signal };
  try {
    if (isTopic) {
      const { produceLines } = await import('./produce-lines.ts');
      const partitions = wholeNumber(options['partitions'] ?? '4', '--partitions', 1, 1000);
      const lines = { topic, partitions, file: options['input'] ?? null, key: options['key'] ?? null };
      const records = await produceLines({ ...common, ...lines, rate: 0, count: Number.POSITIVE_INFINITY, ...args });
      tell(`${records} ${records === 1 ? 'record' : 'records'} written to ${topic}`);
      return;
    }
    const { loadProducer, produce } = await import('../produce.ts');
    const producers = await Promise.all(names.map(loadProducer));
    await Promise.all(producers.map(async (producer) => await produce({ ...common, producer, args, log })));
  } finally {
    await connections.close();
  }
}

/**
 * Under `npm start` stdin is a pipe that nobody writes to: it ends when the parent is gone, however it went, and then
 * nobody is left to stop this process.
 */
function endWithParent(): void {
  if (process.env['WEIR_END_WITH_PARENT'] === undefined) return;
  process.stdin.on('end', () => {
    process.kill(process.pid, 'SIGTERM');
    // What it waits for (a log to flush to, a master to say goodbye to) may have gone with the parent.
    setTimeout(() => process.exit(exitCodes.failed), ORPHAN_PATIENCE_MS).unref();
  });
  process.stdin.resume();
  process.stdin.unref();
}

function setting(options: Options, flag: string, variable: string, fallback: string): string {
  const fromEnvironment = process.env[variable];
  return options[flag] ?? (fromEnvironment === undefined || fromEnvironment === '' ? fallback : fromEnvironment);
}

/** Throws: USAGE. */
function flag(options: Options, name: string, variable: string): boolean {
  const value = process.env[variable] ?? '';
  // Without a value commander gives true.
  if (options[name] !== undefined || value === '1' || value === 'true') return true;
  if (value === '' || value === '0' || value === 'false') return false;
  throw new WeirError('USAGE', `${variable} is "${value}"; it takes 1 or 0.`);
}

/** Under which other processes reach this one, where the address it listens on does not say it. */
function advertisedHost(): { readonly advertisedHost?: string } {
  const host = process.env['WEIR_ADVERTISED_HOST'];
  return host === undefined || host === '' ? {} : { advertisedHost: host };
}

function portSetting(options: Options, flag: string, variable: string, fallback: number): number {
  return wholeNumber(
    setting(options, flag, variable, String(fallback)),
    options[flag] === undefined ? variable : 'the port',
    0,
    65_535,
  );
}

/** Throws: USAGE. */
function wholeNumber(text: string, what: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new WeirError('USAGE', `${what} is ${text}; it takes a whole number from ${min} to ${max}.`);
}

function token(options: Options): string {
  return options['token'] ?? process.env['WEIR_TOKEN'] ?? '';
}
