/** A cluster of real processes for tests: a master and workers as the CLI starts them, on given or embedded services. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '../../core/assert.ts';
import type { JobView, WorkerView } from '../../master/views.ts';
import { freePorts } from '../services/java-server.ts';
import { Patience } from './patience.ts';

const root = new URL('../../', import.meta.url);
/** The command as the sources have it, on the Node of the tests. */
export const fromSources: readonly string[] = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  fileURLToPath(new URL('cli/main.ts', root)),
];
/** As people start it: the launcher, which takes what was built where nothing is newer. */
export const fromLauncher: readonly string[] = [fileURLToPath(new URL('weir', root))];
/** Of every cluster of tests. */
export const TOKEN = 'test-token';

/**
 * Waits until `check` gives something other than undefined or false. Rejects with `what` after `limitMs` of
 * {@link Patience}.
 */
export async function until<T>(what: string, limitMs: number, check: () => Promise<T | undefined | false>): Promise<T> {
  let last: unknown = 'nothing';
  for (const patience = new Patience(limitMs); !patience.isOver();) {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await sleep(50);
  }
  throw new Error(`${what}: not so after ${limitMs} ms (last: ${String(last)})`);
}

/** One child process with its output in a file. */
export class Process {
  readonly name: string;
  readonly logPath: string;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;

  /** `command`: the program and what comes before `args`. */
  constructor(
    name: string,
    command: readonly string[],
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    logPath: string,
  ) {
    this.name = name;
    this.logPath = logPath;
    const [program = '', ...before] = command;
    this.#child = spawn(program, [...before, ...args], {
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const output = createWriteStream(logPath, { flags: 'a' });
    this.#child.stdout?.pipe(output, { end: false });
    this.#child.stderr?.pipe(output, { end: false });
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        output.end();
        resolve({ code, signal });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.alive) this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), 15_000);
    await this.exited;
    clearTimeout(timer);
  }

  async kill9(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** What it wrote so far. */
  log(): Promise<string> {
    return readFile(this.logPath, 'utf8');
  }
}

export interface ClusterServices {
  readonly KAFKA_BROKERS?: string;
  readonly CASSANDRA_CONTACT_POINTS?: string;
  readonly WEIR_EMBEDDED?: string;
}

export class Cluster {
  readonly directory: string;
  /** Of the first master. */
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Of every master that may run. */
  readonly #ports: readonly { readonly http: number; readonly grpc: number }[];
  readonly #services: ClusterServices;
  readonly #command: readonly string[];
  readonly #processes: Process[] = [];
  #count = 0;

  private constructor(
    directory: string,
    ports: readonly { readonly http: number; readonly grpc: number }[],
    services: ClusterServices,
    command: readonly string[],
  ) {
    this.#command = command;
    this.directory = directory;
    this.httpPort = ports[0]?.http ?? 0;
    this.grpcPort = ports[0]?.grpc ?? 0;
    this.#ports = ports;
    this.#services = services;
  }

  /** `masters`: how many may run; none is started. `command`: {@link fromSources} or {@link fromLauncher}. */
  static async create(services: ClusterServices, masters = 1, command = fromSources): Promise<Cluster> {
    const numbers = await freePorts(2 * masters);
    const ports = Array.from({ length: masters }, (_, index) => ({
      http: numbers[2 * index] ?? 0,
      grpc: numbers[2 * index + 1] ?? 0,
    }));
    return new Cluster(await mkdtemp(join(tmpdir(), 'weir-cluster-')), ports, services, command);
  }

  /** What its processes were given. */
  get services(): ClusterServices {
    return this.#services;
  }

  /** The latest one by that name. Throws when there is none. */
  process(name: string): Process {
    return must(
      this.#processes.findLast((child) => child.name === name),
      () => `no process ${name} was started`,
    );
  }

  get address(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  addressOf(master: number): string {
    return `http://127.0.0.1:${this.#ports[master]?.http ?? 0}`;
  }

  /** Resolves when it answers, leading or not. `failpoints` as in connectors/system/failpoints.ts. */
  async startMaster(index = 0, failpoints = ''): Promise<Process> {
    const { http = 0, grpc = 0 } = this.#ports[index] ?? {};
    const name = index === 0 ? 'master' : `master-${index + 1}`;
    const args = ['master', '--port', String(grpc), '--http-port', String(http)];
    const master = this.spawn(name, args, failpoints === '' ? {} : { WEIR_FAILPOINTS: failpoints });
    await until(`${name} answers`, 30_000, async () => {
      if (!master.alive) throw new Error(await master.log());
      return (await fetch(`${this.addressOf(index)}/readyz`)).ok;
    });
    return master;
  }

  /** Resolves when the master lists it. `failpoints` as in connectors/system/failpoints.ts. */
  async startWorker(failpoints = '', wait = true): Promise<Process> {
    const name = `w${++this.#count}`;
    const args = [
      'worker',
      '--master',
      this.#ports.map(({ grpc }) => `127.0.0.1:${grpc}`).join(','),
      '--http-port',
      '0',
      '--name',
      name,
      '--threads',
      '1',
    ];
    const worker = this.spawn(name, args, failpoints === '' ? {} : { WEIR_FAILPOINTS: failpoints });
    if (wait) {
      await until(`worker ${name} joins`, 30_000, async () => {
        if (!worker.alive) throw new Error(await worker.log());
        return (await this.workers()).some((known) => known.id.startsWith(`${name}-`));
      });
    }
    return worker;
  }

  spawn(name: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): Process {
    const env = {
      ...process.env,
      ...this.#services,
      WEIR_TOKEN: TOKEN,
      WEIR_END_WITH_PARENT: '1',
      WEIR_SECURITY_DIR: join(this.directory, 'security'),
      WEIR_ADDRESS: this.#ports.map((_, index) => this.addressOf(index)).join(','),
      ...more,
    };
    const child = new Process(name, this.#command, args, env, join(this.directory, `${name}.log`));
    this.#processes.push(child);
    return child;
  }

  /** Runs one CLI command to its end. */
  async weir(args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
    const command = this.spawn(`weir-${++this.#count}`, args);
    const { code } = await command.exited;
    return { code, output: await command.log() };
  }

  /** Of the first master that listens, or of the one at `address`. */
  async request(method: string, path: string, body?: string, address?: string): Promise<unknown> {
    if (address === undefined) {
      for (const index of this.#ports.keys()) {
        try {
          return await this.request(method, path, body, this.addressOf(index));
        } catch (error) {
          // fetch throws a TypeError when there is no connection.
          if (!(error instanceof TypeError) || index === this.#ports.length - 1) throw error;
        }
      }
    }
    const response = await fetch(`${address}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${TOKEN}`,
        'content-type': body?.startsWith('{') === true ? 'application/json' : 'application/yaml',
      },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** On a machine that has too much to do, a master may lose its lease for a moment: then again. */
  async apply(name: string, yaml: string): Promise<void> {
    for (const patience = new Patience(60_000); ;) {
      try {
        await this.request('PUT', `/v1/jobs/${name}`, yaml);
        return;
      } catch (error) {
        if (patience.isOver() || !String(error).includes(': 503 ')) throw error;
        await sleep(200);
      }
    }
  }

  async workers(): Promise<WorkerView[]> {
    return ((await this.request('GET', '/v1/workers')) as { readonly workers: WorkerView[] }).workers;
  }

  async job(name: string): Promise<JobView> {
    return (await this.request('GET', `/v1/jobs/${name}`)) as JobView;
  }

  /** Ends every process of the cluster and removes its folder. */
  async close(keep = false): Promise<void> {
    await Promise.all(this.#processes.map((child) => child.kill9()));
    if (!keep) await rm(this.directory, { recursive: true, force: true });
  }
}
