/** A PostgreSQL of the system's, started for a test: a fresh cluster in a folder of its own, on loopback. */
import type { ChildProcess } from 'node:child_process';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { until } from '../support/cluster.ts';
import { freePorts } from '../services/java-server.ts';

const run = promisify(execFile);
/** Debian keeps the servers of all versions here, away from PATH. */
const DEBIAN = '/usr/lib/postgresql';
export const PASSWORD = 'weir-test';

/** Folder of the server's programs. Throws: what is missing and how to get it. */
export function postgresPrograms(): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  for (const version of versions)
    if (existsSync(join(DEBIAN, version, 'bin/initdb'))) return join(DEBIAN, version, 'bin');
  try {
    return execFileSync('pg_config', ['--bindir'], { encoding: 'utf8' }).trim();
  } catch {
    throw new Error(
      'PostgreSQL is missing: install it with "apt-get install postgresql" (pg_config was not found either)',
    );
  }
}

/** Servers refuse to run as root. */
function account(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

export class PostgresServer {
  readonly port: number;
  readonly #programs: string;
  readonly #folder: string;
  readonly #account: ReturnType<typeof account>;
  #child: ChildProcess | null = null;
  #log = '';

  private constructor(port: number, programs: string, folder: string, user: ReturnType<typeof account>) {
    this.port = port;
    this.#programs = programs;
    this.#folder = folder;
    this.#account = user;
  }

  static async start(): Promise<PostgresServer> {
    const programs = postgresPrograms();
    const folder = mkdtempSync(join(tmpdir(), 'weir-postgres-'));
    const user = account();
    if (user !== undefined) chownSync(folder, user.uid, user.gid);
    const [port = 0] = await freePorts(1);
    const server = new PostgresServer(port, programs, folder, user);
    const options = { ...user, env: { ...process.env, LC_ALL: 'C.UTF-8' } };
    await run(join(programs, 'initdb'), ['-D', server.#data, '-U', 'weir', '--auth=trust', '-E', 'UTF8'], options);
    await server.restart();
    await server.query(`ALTER USER weir PASSWORD '${PASSWORD}'`);
    await run('sed', ['-i', 's/trust$/scram-sha-256/', join(server.#data, 'pg_hba.conf')], options);
    await server.#reload();
    return server;
  }

  get url(): string {
    return `postgres://weir:${PASSWORD}@127.0.0.1:${this.port}/postgres`;
  }

  /** Process of the server. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async query(text: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      return (await client.query(text)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  }

  async restart(): Promise<void> {
    const settings = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'shared_buffers=64MB'];
    const network = ['listen_addresses=127.0.0.1', 'unix_socket_directories='];
    const flags = [...settings, ...network].flatMap((setting) => ['-c', setting]);
    const child = spawn(join(this.#programs, 'postgres'), ['-D', this.#data, '-p', String(this.port), ...flags], {
      ...this.#account,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
    this.#child = child;
    await until('PostgreSQL answers', 30_000, async () => {
      if (child.exitCode !== null) throw new Error(this.#log);
      return (await this.query('SELECT 1')).length === 1;
    });
  }

  /** SIGQUIT: ends at once, without a checkpoint, as a crash does. */
  async crash(): Promise<void> {
    await this.#end('SIGQUIT');
  }

  /** Nothing answers: neither who listens nor the processes that have the connections. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  async dispose(): Promise<void> {
    await this.#end('SIGQUIT');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #data(): string {
    return join(this.#folder, 'data');
  }

  async #reload(): Promise<void> {
    await this.query('SELECT pg_reload_conf()');
  }

  /** To who listens first: nobody comes to life meanwhile. */
  #signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').trim().split(' ');
    for (const child of children) {
      try {
        process.kill(Number(child), signal);
      } catch (error) {
        // Ended meanwhile.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }
}
