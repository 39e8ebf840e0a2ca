/**
 * A server in a JVM of its own: starts it, knows when it answers, and makes sure that it never outlives this process.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Patience } from '../support/patience.ts';

export const LOOPBACK = '127.0.0.1';

const READY_TIMEOUT_MS = 240_000;
const STOP_TIMEOUT_MS = 20_000;
const PROBE_TIMEOUT_MS = 1000;

export interface JavaServerParts {
  readonly name: string;
  readonly java: string;
  /** Arguments of the JVM, class path and main class included. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly port: number;
  /** A request that the server answers as soon as it serves. */
  readonly probe: Uint8Array;
}

/** A fresh folder for the data, settings and log of one {@link JavaServer}, which removes it in the end. */
export function freshDirectory(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `weir-${name}-`));
}

/** Ports that were free just now, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, LOOPBACK));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/** One server over restarts: same folder, same ports. */
export class JavaServer {
  readonly #parts: JavaServerParts;
  #child: ChildProcess | null = null;
  #guard: ChildProcess | null = null;
  readonly #removeFolder = (): void => rmSync(this.#parts.directory, { recursive: true, force: true });

  constructor(parts: JavaServerParts) {
    this.#parts = parts;
    process.once('exit', this.#removeFolder);
  }

  get logPath(): string {
    return join(this.#parts.directory, 'server.log');
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.#parts.name} is not running`);
    return pid;
  }

  /** Resolves when the server answers. The log is appended to. */
  async start(): Promise<void> {
    if (this.#child !== null) throw new Error(`${this.#parts.name} is running already`);
    const { java, args, env, directory } = this.#parts;
    const log = openSync(this.logPath, 'a');
    // A process group of its own: Ctrl-C in a terminal is for this process, which decides what becomes of the server.
    const child = spawn(java, args, {
      cwd: directory,
      env: { ...process.env, ...env },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    child.unref();
    child.once('exit', () => {
      if (this.#child === child) this.#child = null;
    });
    await once(child, 'spawn');
    this.#child = child;
    this.#standGuard(child, directory);
    await this.#ready(child);
  }

  /** Asks the server to shut down and waits until it has. Does nothing when it is not running. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const ended = ending(child);
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
    if (this.#child === child) child.kill('SIGKILL');
    await ended;
    this.#dismissGuard();
  }

  async kill9(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const ended = ending(child);
    child.kill('SIGKILL');
    await ended;
    this.#dismissGuard();
  }

  /** Returns when every thread stands still. */
  pause(): void {
    const { pid } = this;
    process.kill(pid, 'SIGSTOP');
    while (!allThreadsStopped(pid)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  /** Ends the server at once and removes its data. */
  async dispose(): Promise<void> {
    await this.kill9();
    process.off('exit', this.#removeFolder);
    this.#removeFolder();
  }

  /**
   * A shell that waits for the end of its input, which comes when this process ends, for whatever reason, SIGKILL
   * included; then it ends the server and removes its folder.
   */
  #standGuard(child: ChildProcess, directory: string): void {
    this.#dismissGuard();
    const script = 'read -r _; kill -9 "$1" 2>/dev/null; sleep 0.2; rm -rf "$2"';
    const guard = spawn('/bin/sh', ['-c', script, 'guard', String(child.pid), directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    guard.unref();
    (guard.stdin as unknown as { unref(): void }).unref();
    guard.stdin?.on('error', () => undefined);
    this.#guard = guard;
  }

  /** The guard must go before the pid may belong to somebody else. */
  #dismissGuard(): void {
    this.#guard?.kill('SIGKILL');
    this.#guard = null;
  }

  async #ready(child: ChildProcess): Promise<void> {
    const { name, port, probe } = this.#parts;
    const patience = new Patience(READY_TIMEOUT_MS);
    while (!(await answers(port, probe))) {
      if (this.#child !== child)
        throw new Error(`${name} ended while it started; the end of ${this.logPath}:\n${this.#logTail()}`);
      if (patience.isOver())
        throw new Error(
          `${name} did not answer within ${READY_TIMEOUT_MS} ms; the end of its log:\n${this.#logTail()}`,
        );
      await sleep(50);
    }
  }

  #logTail(): string {
    return readFileSync(this.logPath, 'utf8').split('\n').slice(-25).join('\n');
  }
}

/** The end of a child that otherwise does not keep this process alive. */
function ending(child: ChildProcess): Promise<unknown> {
  child.ref();
  return once(child, 'exit');
}

/** A stop signal reaches threads one by one. Where there is no /proc, it is taken to be done. */
function allThreadsStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return true;
  return readdirSync(tasks).every((task) => {
    try {
      // `pid (name) state …`; the name may hold anything.
      const stat = readFileSync(join(tasks, task, 'stat'), 'utf8');
      return /^[TtZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
    } catch {
      return true; // ended meanwhile
    }
  });
}

/** Whether something on the port answers the request with at least one byte. */
function answers(port: number, request: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, LOOPBACK, () => socket.write(request));
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => end(false));
    socket.once('data', () => end(true));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}
