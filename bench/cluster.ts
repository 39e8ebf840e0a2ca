/** Servers and Weir processes of a benchmark. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MasterClient } from '../cli/client.ts';
import { makeConnections } from '../connectors/connections.ts';
import { systemClock, systemRng } from '../connectors/system/clock.ts';
import { makeLog } from '../connectors/system/log.ts';
import { isWeirError } from '../core/errors.ts';
import type { MetaStore } from '../core/meta.ts';
import type { Connections, LogWriter } from '../core/ports.ts';
import type { JobView } from '../master/views.ts';
import { freePorts } from '../test/services/java-server.ts';
import type { JvmUse } from '../test/services/jvm.ts';
import type { Service } from '../test/services/services.ts';
import { startCassandra, startKafka } from '../test/services/services.ts';

/** As users start it: built code when it is up to date, else the sources. */
const launcher = fileURLToPath(new URL('../weir', import.meta.url));
const TOKEN = 'bench';
const READY_LIMIT_MS = 240_000;
const START_ATTEMPTS = 3;
/** Measured data is neither thrown away nor indexed more than needed. */
const topicLimits = { 'log.retention.ms': '-1', 'log.segment.bytes': String(1 << 30) } as const;

export interface StartedWeir {
  readonly masterPid: number;
  readonly workerPid: number;
  readonly workerPids: readonly number[];
  /** From the start of both processes until the master lists the worker. */
  readonly readySeconds: number;
}

export class BenchCluster implements AsyncDisposable {
  readonly connections: Connections;
  readonly store: MetaStore;
  readonly writer: LogWriter;
  readonly clock = systemClock;
  /** Kafka, Cassandra, embedded: whatever is there. */
  readonly serverPids: readonly number[];
  readonly described: string;
  readonly #directory: string;
  readonly #env: NodeJS.ProcessEnv;
  #ports: { readonly http: number; readonly grpc: number } = { http: 0, grpc: 0 };
  /** Of the master that was started last. */
  #client: MasterClient;
  readonly #services: readonly Service[];
  readonly #children: ChildProcess[];
  /** Master and workers. */
  readonly #weir: ChildProcess[] = [];
  #worker: ChildProcess | undefined;

  private constructor(parts: {
    readonly directory: string;
    readonly env: NodeJS.ProcessEnv;
    readonly services: readonly Service[];
    readonly children: ChildProcess[];
    readonly connections: ReturnType<typeof makeConnections>;
  }) {
    this.#directory = parts.directory;
    this.#env = parts.env;
    this.#services = parts.services;
    this.#children = parts.children;
    this.connections = parts.connections;
    this.store = parts.connections.metaStore();
    this.writer = parts.connections.logWriter('kafka', {});
    this.serverPids = [
      ...parts.services.map((service) => service.pid),
      ...parts.children.flatMap((child) => child.pid ?? []),
    ];
    const { log, tables } = parts.connections.describe();
    this.described = log === tables ? log : `${log}, ${tables}`;
    this.#client = clientAt(0);
  }

  /** With the store `real`, Cassandra runs only where rows go there; else the embedded process keeps the metadata. */
  static async start(options: {
    readonly cassandra: boolean;
    readonly store: 'embedded' | 'real';
    /** Default: `test`. */
    readonly jvm?: JvmUse;
  }): Promise<BenchCluster> {
    const jvm = options.jvm ?? 'test';
    const directory = await mkdtemp(join(tmpdir(), 'weir-bench-'));
    const services: Service[] = [];
    const children: ChildProcess[] = [];
    const env: NodeJS.ProcessEnv = { ...process.env, WEIR_TOKEN: TOKEN };
    if (options.store === 'real') {
      const kafka = await startKafka({ heapMb: 1024, jvm, properties: topicLimits });
      services.push(kafka);
      env['KAFKA_BROKERS'] = kafka.address;
    }
    if (options.store === 'real' && options.cassandra) {
      const cassandra = await startCassandra({ heapMb: 1024, jvm });
      services.push(cassandra);
      env['CASSANDRA_CONTACT_POINTS'] = cassandra.address;
    } else {
      const [embedded = 0] = await freePorts(1);
      children.push(spawnWeir('embedded', ['embedded', '--port', String(embedded)], env, directory));
      env['WEIR_EMBEDDED'] = `127.0.0.1:${embedded}`;
    }
    const connections = makeConnections(env, { clock: systemClock, rng: systemRng, log: makeLog('bench', 'warn') });
    const cluster = new BenchCluster({ directory, env, services, children, connections });
    try {
      await cluster.#untilServersAnswer();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  async #untilServersAnswer(): Promise<void> {
    const deadline = performance.now() + READY_LIMIT_MS;
    for (;;) {
      try {
        await this.store.prepare();
        return;
      } catch (error) {
        if (!(isWeirError(error) && error.retryable) || performance.now() > deadline) throw error;
        await sleep(20);
      }
    }
  }

  /** `host:port` of the real broker; undefined with the embedded log. */
  get brokers(): string | undefined {
    return this.#env['KAFKA_BROKERS'];
  }

  /** `host:port` of the real tables; undefined with embedded ones. */
  get contactPoint(): string | undefined {
    return this.#env['CASSANDRA_CONTACT_POINTS'];
  }

  /** A master and its workers, one if nothing else is said. */
  async startWeir(threads: number | null, workers = 1): Promise<StartedWeir> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#startWeirOnce(threads, workers);
      } catch (error) {
        // On a busy machine another process may have taken a port that was free a moment ago.
        if (attempt === START_ATTEMPTS) throw error;
        await this.stopWeir();
      }
    }
  }

  async #startWeirOnce(threads: number | null, workers: number): Promise<StartedWeir> {
    const [http = 0, grpc = 0] = await freePorts(2);
    this.#ports = { http, grpc };
    this.#client = clientAt(http);
    const startedAt = performance.now();
    const args = ['master', '--port', String(grpc), '--http-port', String(http)];
    const master = spawnWeir('master', args, this.#env, this.#directory);
    this.#children.push(master);
    this.#weir.push(master);
    const started = Array.from({ length: workers }, () => this.#spawnWorker(threads));
    const deadline = performance.now() + READY_LIMIT_MS;
    const alive = async (): Promise<number> =>
      (await this.#client.workers().catch(() => [])).filter(({ state }) => state === 'alive').length;
    while ((await alive()) < workers) {
      if (master.exitCode !== null || started.some(({ exitCode }) => exitCode !== null))
        throw new Error(`a process ended:\n${this.#logs()}`);
      if (performance.now() > deadline) throw new Error(`not ready after ${READY_LIMIT_MS} ms:\n${this.#logs()}`);
      await sleep(5);
    }
    return {
      masterPid: master.pid ?? 0,
      workerPid: started[0]?.pid ?? 0,
      workerPids: started.map(({ pid }) => pid ?? 0),
      readySeconds: (performance.now() - startedAt) / 1000,
    };
  }

  /** Ends master and workers; the servers stay. */
  async stopWeir(): Promise<void> {
    for (const child of this.#weir.splice(0).toReversed()) {
      await stopChild(child);
      this.#children.splice(this.#children.indexOf(child), 1);
    }
  }

  /** Kills the worker and starts another one; its process id. Does not wait for it. */
  async replaceWorker(threads: number | null): Promise<number> {
    const worker = this.#worker;
    if (worker === undefined) throw new Error('no worker was started');
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    worker.kill('SIGKILL');
    await exited;
    return this.#spawnWorker(threads).pid ?? 0;
  }

  #spawnWorker(threads: number | null): ChildProcess {
    const to = ['--master', `127.0.0.1:${this.#ports.grpc}`];
    const threadArgs = threads === null ? [] : ['--threads', String(threads)];
    const worker = spawnWeir(
      'worker',
      ['worker', ...to, '--http-port', '0', ...threadArgs],
      this.#env,
      this.#directory,
    );
    this.#children.push(worker);
    this.#weir.push(worker);
    this.#worker = worker;
    return worker;
  }

  /** The last lines of both processes. */
  #logs(): string {
    const tail = (name: string): string =>
      readFileSync(join(this.#directory, `${name}.log`), 'utf8')
        .trimEnd()
        .split('\n')
        .slice(-8)
        .join('\n');
    return `master: ${tail('master')}\nworker: ${tail('worker')}`;
  }

  async apply(name: string, text: string): Promise<void> {
    const outcome = await persistently(async () => await this.#client.apply(name, text, { dryRun: false }));
    if (outcome.kind === 'refused') throw new Error(`${name} was refused: ${JSON.stringify(outcome.problems)}`);
  }

  async act(name: string, action: 'stop' | 'cancel'): Promise<void> {
    await persistently(async () => await this.#client.act(name, action));
    await this.waitFor(name, (view) => view.row.state === 'stopped');
  }

  /** A named checkpoint of a stateful job. */
  async savepoint(job: string, name: string): Promise<{ readonly bytes: number }> {
    return await this.#client.createSavepoint(job, name);
  }

  async job(name: string): Promise<JobView> {
    return await persistently(async () => await this.#client.job(name));
  }

  /** Xor over the workers of a gauge of one job; undefined when none has it. */
  async workerMetric(metric: string, job: string): Promise<number | undefined> {
    const values = await this.workerMetrics(metric, job);
    return values.length === 0 ? undefined : values.reduce((xor, value) => (xor ^ value) >>> 0, 0);
  }

  /** Values of a metric of one job on the workers that are alive. */
  async workerMetrics(metric: string, job: string): Promise<number[]> {
    const values: number[] = [];
    for (const worker of await this.#client.workers()) {
      if (worker.state !== 'alive') continue;
      const text = await (await fetch(`http://${worker.httpAddress}/metrics`)).text();
      for (const [, labels = '', number] of text.matchAll(new RegExp(`^${metric}\\{(.*)\\} ([0-9.e+-]+)$`, 'gm')))
        if (labels.includes(`job_name="${job}"`)) values.push(Number(number));
    }
    return values;
  }

  async waitFor(name: string, isSo: (view: JobView) => boolean): Promise<void> {
    const deadline = performance.now() + READY_LIMIT_MS;
    for (let view = await this.job(name); !isSo(view); view = await this.job(name)) {
      if (performance.now() > deadline) throw new Error(`job ${name} does not get there: ${JSON.stringify(view)}`);
      await sleep(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.toReversed()) await stopChild(child);
    await this.connections.close();
    await Promise.all(this.#services.map((service) => service.dispose()));
    await rm(this.#directory, { recursive: true, force: true });
  }
}

function clientAt(httpPort: number): MasterClient {
  return new MasterClient({ address: `http://127.0.0.1:${httpPort}`, token: TOKEN });
}

/** Asks again while the master says that it may answer later: on a busy machine another one may have to lead first. */
async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + READY_LIMIT_MS; ;) {
    try {
      return await ask();
    } catch (error) {
      if (!(isWeirError(error) && error.retryable) || performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

function spawnWeir(name: string, args: readonly string[], env: NodeJS.ProcessEnv, directory: string): ChildProcess {
  // It becomes the process itself: one id for both.
  const child = spawn(launcher, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const log = createWriteStream(join(directory, `${name}.log`));
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  child.stderr.on('data', (chunk: Buffer) => {
    if (/"level":"error"/.test(chunk.toString())) process.stderr.write(`${name}: ${chunk.toString()}`);
  });
  return child;
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exited;
  clearTimeout(timer);
}
