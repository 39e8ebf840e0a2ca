/**
 * `npm start`: a whole cluster on this machine, each part in its own process as in production: the embedded process
 * (unless Kafka and Cassandra are connected), a master, workers, and producers for the example jobs.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '../../core/errors.ts';
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import type { JobView } from '../../master/views.ts';
import { MasterClient } from '../client.ts';
import { exitCodes } from '../exit.ts';
import type { JobFileText } from '../job-files.ts';
import { readJobFiles } from '../job-files.ts';
import { formatCount, formatMs, formatTable, formatValue } from '../output.ts';
import { removeDevRun, writeDevRun } from '../settings.ts';
import { WEIR_VERSION, packageRoot } from '../version.ts';
import type { ChildDeath } from './child.ts';
import { Child } from './child.ts';
import type { DevOptions } from './options.ts';
import { Screen } from './screen.ts';

/** ms that a drain may take before the process is killed. */
/** The jobs of `jobs/` that the producers have records for; others there need systems that may not be there. */
const exampleJobs = ['created-users.yaml', 'properties.yaml'];
const STOP_PATIENCE_MS = 10_000;
const START_PATIENCE_MS = 30_000;
const POLL_MS = 40;
/** The workers after the first wait so long for the first rows to be shown. */
const FIRST_ROWS_PATIENCE_MS = 5000;
/** A process that dies so soon again and again will not get better by starting it once more. */
const EARLY_DEATH_MS = 2000;
const EARLY_DEATHS_MAX = 3;
const HOST = '127.0.0.1';
/** Exit codes of processes that another start would not help, and what this command then fails with. */
const hopelessCodes = new Map<number | null, ErrorCode>([
  [exitCodes.usage, 'CONFIG_INVALID'],
  [exitCodes.invalid, 'SINK_SCHEMA'],
  [exitCodes.conflict, 'CONFLICT'],
  [exitCodes.notAllowed, 'UNAUTHORIZED'],
]);

interface Ports {
  readonly http: number;
  readonly grpc: number;
  readonly embedded: number;
}

/** Runs until Ctrl-C. Returns the exit code. Throws: PORT_IN_USE, USAGE, CONFIG_INVALID. */
export async function dev(options: DevOptions): Promise<number> {
  return await new DevCluster(options).run();
}

class DevCluster {
  readonly #options: DevOptions;
  readonly #ports: Ports;
  readonly #token: string;
  readonly #screen = new Screen();
  readonly #stop = new AbortController();
  readonly #embedded: boolean;
  readonly #earlyDeaths = new Map<string, number>();
  readonly #firstRows = Promise.withResolvers<void>();
  #logDirectory = '';
  #temporary: string | undefined;
  /** In the order in which they are stopped, together within one step. */
  #steps: readonly (readonly Child[])[] = [];
  #failure: Error | undefined;

  constructor(options: DevOptions) {
    this.#options = options;
    this.#ports = {
      http: port(options.port, '--port'),
      grpc: port(options.grpcPort, '--grpc-port'),
      embedded: port(options.embeddedPort, '--embedded-port'),
    };
    this.#token = options.token ?? process.env['WEIR_TOKEN'] ?? randomBytes(16).toString('hex');
    this.#embedded = !isSet('KAFKA_BROKERS') || !isSet('CASSANDRA_CONTACT_POINTS');
  }

  get #address(): string {
    return `http://${HOST}:${this.#ports.http}`;
  }

  async run(): Promise<number> {
    await this.#requirePorts();
    this.#openLogDirectory();
    this.#watchSignals();
    try {
      const client = new MasterClient({ address: this.#address, token: this.#token === '' ? null : this.#token });
      const started = this.#startProcesses();
      writeDevRun(this.#address, { pid: process.pid, token: this.#token, logDirectory: this.#logDirectory });
      await Promise.all([started, this.#show(client)]);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure ??= error as Error;
    }
    await this.#shutDown();
    if (this.#failure === undefined) return exitCodes.ok;
    throw this.#failure;
  }

  // --------------------------------------------------------------------------------------------------------- processes

  async #requirePorts(): Promise<void> {
    const { http, grpc, embedded } = this.#ports;
    const wanted: [number, string][] = [
      [http, '--port'],
      [grpc, '--grpc-port'],
      ...(this.#embedded ? [[embedded, '--embedded-port'] as [number, string]] : []),
    ];
    await Promise.all(wanted.map(async ([number, flag]) => await requireFreePort(number, flag)));
  }

  #openLogDirectory(): void {
    const { data } = this.#options;
    if (data === undefined) this.#temporary = mkdtempSync(join(tmpdir(), 'weir-'));
    this.#logDirectory = resolve(data ?? this.#temporary ?? '', 'logs');
    mkdirSync(this.#logDirectory, { recursive: true, mode: 0o700 });
  }

  async #startProcesses(): Promise<void> {
    const { http, grpc, embedded } = this.#ports;
    const { data, rate, workers } = this.#options;
    const master = this.#child('master', [
      'master',
      '--host',
      HOST,
      '--port',
      String(grpc),
      '--http-port',
      String(http),
    ]);
    const workerCount = wholeNumber(workers, '--workers', 0, 64);
    const workerChildren = Array.from({ length: workerCount }, (_, index) => {
      const name = `worker-${index + 1}`;
      return this.#child(name, [
        'worker',
        '--master',
        `${HOST}:${grpc}`,
        '--host',
        HOST,
        '--http-port',
        '0',
        '--name',
        name,
      ]);
    });
    const dataArgs = data === undefined ? [] : ['--data', resolve(data)];
    const embeddedChild = this.#embedded
      ? [this.#child('embedded', ['embedded', '--host', HOST, '--port', String(embedded), ...dataArgs])]
      : [];
    // New data on every start that keeps the old, the same data on every start that does not.
    const seed = this.#options.seed ?? (data === undefined ? '1' : String(randomBytes(4).readUInt32LE() >>> 1));
    const files = this.#options.producers ? producerFiles() : [];
    const producers =
      files.length === 0 ? [] : [this.#child('producers', ['produce', ...files, '--rate', rate, '--seed', seed])];
    this.#steps = [producers, workerChildren, [master], embeddedChild];
    const [firstWorker, ...otherWorkers] = workerChildren;
    for (const child of [...embeddedChild, master, ...(firstWorker === undefined ? [] : [firstWorker])]) child.start();
    // What is not needed for the first rows yet would only take processor time from what is.
    if (this.#embedded) await this.#whenUp(async () => await connectTo(embedded));
    this.#startUnlessStopped(producers);
    await Promise.race([this.#firstRows.promise, this.#pause(FIRST_ROWS_PATIENCE_MS)]);
    this.#startUnlessStopped(otherWorkers);
  }

  #startUnlessStopped(children: readonly Child[]): void {
    if (!this.#stop.signal.aborted) for (const child of children) child.start();
  }

  #child(name: string, args: readonly string[]): Child {
    const env = {
      ...process.env,
      WEIR_TOKEN: this.#token,
      ...(this.#embedded ? { WEIR_EMBEDDED: `${HOST}:${this.#ports.embedded}` } : {}),
    };
    return new Child({ name, args, env, logDirectory: this.#logDirectory, onDeath: (death) => this.#onDeath(death) });
  }

  #onDeath(death: ChildDeath): boolean {
    if (this.#stop.signal.aborted) return false;
    const { name, how, lastWords } = death;
    const early = death.uptimeMs < EARLY_DEATH_MS ? (this.#earlyDeaths.get(name) ?? 0) + 1 : 0;
    this.#earlyDeaths.set(name, early);
    // Wrong settings, a busy port and refused credentials stay so.
    const hopeless = hopelessCodes.has(death.exitCode);
    const inMemory = name === 'embedded' && this.#options.data === undefined;
    if (!inMemory && !hopeless && early < EARLY_DEATHS_MAX) {
      this.#screen.say(`${name} died (${how}) and is started again`);
      return true;
    }
    const code = hopeless ? hopelessCodes.get(death.exitCode) : undefined;
    if (code !== undefined) this.#fail(new WeirError(code, lastWords));
    else if (inMemory && early === 0)
      this.#fail(new Error(`The ${name} process died (${how}); its data were in memory and are gone.`));
    else this.#fail(new Error(`The ${name} process died (${how}): ${lastWords}`));
    return false;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#stop.abort();
  }

  #watchSignals(): void {
    const stop = (): void => {
      if (!this.#stop.signal.aborted) return this.#stop.abort();
      for (const child of this.#steps.flat()) child.kill();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  }

  /** Workers hand over and leave first, then the master, last what keeps the data. */
  async #shutDown(): Promise<void> {
    this.#stop.abort();
    this.#screen.end();
    if (this.#failure === undefined) this.#screen.say('Stopping. Ctrl-C again kills.');
    for (const step of this.#steps) await Promise.all(step.map(async (child) => await child.stop(STOP_PATIENCE_MS)));
    removeDevRun(this.#address);
    if (this.#failure !== undefined) this.#screen.say(`Logs: ${this.#logDirectory}`);
    else if (this.#temporary !== undefined) rmSync(this.#temporary, { recursive: true, force: true });
  }

  // ------------------------------------------------------------------------------------------------------------ screen

  async #show(client: MasterClient): Promise<void> {
    const { signal } = this.#stop;
    await this.#whenUp(async () => await client.workers());
    if (this.#options.jobs) await this.#submit(client);
    if (signal.aborted) return;
    this.#screen.say(this.#greeting());
    await this.#showFirstRows(client);
    this.#firstRows.resolve();
    while (!signal.aborted) {
      try {
        const views = await client.jobs();
        if (!signal.aborted) this.#screen.live(liveLine(views));
      } catch (error) {
        if (!signal.aborted) this.#screen.live(messageOf(error));
      }
      await this.#pause(this.#screen.inPlace ? 1000 : 5000);
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  /** A job that is refused is shown; the others run. Throws: JOB_INVALID when none is left. */
  async #submit(client: MasterClient): Promise<void> {
    const files = readJobFiles(exampleJobs.map((name) => join(packageRoot(), 'jobs', name)));
    const accepted = await Promise.all(files.map(async (file) => await this.#submitFile(client, file)));
    if (!accepted.includes(true)) throw new WeirError('JOB_INVALID', 'None of the example jobs was accepted.');
  }

  async #submitFile(client: MasterClient, { path, text }: JobFileText): Promise<boolean> {
    const outcome = await this.#whenUp(async () => await client.apply(jobNameIn(text), text, { dryRun: false }));
    if (outcome?.kind !== 'refused') return true;
    const { renderProblems } = await import('../../core/job/render.ts');
    this.#screen.say(`${path} was refused:\n${renderProblems(path, text, outcome.problems)}\n`);
    return false;
  }

  async #whenUp<T>(ask: () => Promise<T>): Promise<T | undefined> {
    const deadline = performance.now() + START_PATIENCE_MS;
    while (!this.#stop.signal.aborted) {
      try {
        return await ask();
      } catch (error) {
        const notYet = isWeirError(error) && error.retryable;
        if (!notYet || performance.now() > deadline) throw error;
        await this.#pause(POLL_MS);
      }
    }
    return undefined;
  }

  #greeting(): string {
    const { data } = this.#options;
    const hash = this.#token === '' ? '' : `/#token=${this.#token}`;
    const tokenHint = this.#token === '' ? '' : `  (-H "Authorization: Bearer ${this.#token}")`;
    const where = [
      isSet('KAFKA_BROKERS') ? `Kafka ${process.env['KAFKA_BROKERS']}` : 'embedded topics',
      isSet('CASSANDRA_CONTACT_POINTS') ? `Cassandra ${process.env['CASSANDRA_CONTACT_POINTS']}` : 'embedded tables',
    ].join(', ');
    const kept = !this.#embedded
      ? ''
      : data === undefined
        ? ', in memory (keep with: npm start -- --data DIR)'
        : `, in ${resolve(data)}`;
    return [
      `Weir ${WEIR_VERSION}: a master, ${this.#options.workers} workers, ${where}${kept}`,
      `  web page     ${this.#address}${hash}`,
      `  REST API     ${this.#address}/v1/jobs${tokenHint}`,
      `  metrics      ${this.#address}/metrics`,
      `  try          ./weir get jobs`,
      `               ./weir query "SELECT count(*) FROM spark_streams.created_users"`,
      `  logs         ./weir logs   (${this.#logDirectory})`,
    ].join('\n');
  }

  /** The first rows of the first job's table, once they are there. */
  async #showFirstRows(client: MasterClient): Promise<void> {
    if (!this.#options.jobs || !this.#options.producers || Number(this.#options.workers) === 0) return;
    const cql = 'SELECT id, first_name, last_name, email, post_code FROM spark_streams.created_users LIMIT 5';
    const deadline = performance.now() + START_PATIENCE_MS;
    while (!this.#stop.signal.aborted && performance.now() < deadline) {
      const result = await client.query(cql).catch(() => undefined);
      if (result !== undefined && result.rows.length > 0) {
        const table = formatTable(
          result.columns.map((column) => column.name),
          result.rows.map((row) => row.map(formatValue)),
        );
        const seconds = process.uptime().toFixed(1);
        this.#screen.say(
          `\nFirst rows of spark_streams.created_users, ${seconds} s after the start:\n${table.replaceAll(/^/gm, '  ')}\n`,
        );
        return;
      }
      await this.#pause(POLL_MS);
    }
  }
}

function liveLine(views: readonly JobView[]): string {
  const parts = views.map((view) => {
    const state =
      view.row.state === 'running'
        ? ''
        : ` ${view.row.state}${view.row.reason === null ? '' : ` (${view.row.reason.message})`}`;
    const latency = `p50 ${formatMs(view.latencyMsP50)} p99 ${formatMs(view.latencyMsP99)} ms`;
    return `${view.row.name}${state}: ${formatCount(view.rowsPerSecond)} rows/s, ${latency}, lag ${view.lag < 0 ? '?' : formatCount(view.lag)}`;
  });
  return parts.join(' | ');
}

/** Without loading the schema: the master checks the file. */
function jobNameIn(text: string): string {
  return /^name: *([a-z][a-z0-9-]*)/m.exec(text)?.[1] ?? 'unnamed';
}

/** As TypeScript in a checkout, built in an installed package: Node runs no TypeScript under node_modules. */
function producerFiles(): string[] {
  const built = import.meta.filename.endsWith('.js');
  const folder = join(packageRoot(), ...(built ? ['dist'] : []), 'jobs', 'producers');
  return ['users', 'properties'].map((name) => join(folder, `${name}.${built ? 'js' : 'ts'}`));
}

function isSet(variable: string): boolean {
  const value = process.env[variable];
  return value !== undefined && value !== '';
}

function port(text: string, flag: string): number {
  return wholeNumber(text, flag, 1, 65_535);
}

function wholeNumber(text: string, flag: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new WeirError('USAGE', `${flag} is ${text}; it takes a whole number from ${min} to ${max}.`);
}

async function requireFreePort(number: number, flag: string): Promise<void> {
  const server = createServer();
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(number, HOST, listening.resolve);
  try {
    await listening.promise;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    throw new WeirError(
      'PORT_IN_USE',
      `Port ${number} is in use by another process (another npm start?); stop it, or choose another port: npm start -- ${flag} ${number + 1000}`,
      { cause },
    );
  }
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
}

/** Throws: SOURCE_UNAVAILABLE while nothing listens there. */
async function connectTo(number: number): Promise<void> {
  const connected = Promise.withResolvers<void>();
  const socket = connect(number, HOST, connected.resolve);
  socket.once('error', (cause) =>
    connected.reject(new WeirError('SOURCE_UNAVAILABLE', `Nothing listens on port ${number} yet.`, { cause })),
  );
  try {
    await connected.promise;
  } finally {
    socket.destroy();
  }
}
