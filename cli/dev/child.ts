/** One process of the cluster that `npm start` runs: started, watched, started again, stopped. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileCacheFolder } from '../compile-cache.ts';

export interface ChildOptions {
  /** For people and for the name of its log file. */
  readonly name: string;
  /** Arguments of the weir command. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly logDirectory: string;
  /** Told when it died though nobody stopped it; true = start it again. */
  readonly onDeath: (death: ChildDeath) => boolean;
}

export interface ChildDeath {
  readonly name: string;
  /** `exit code 3` or `signal SIGKILL`. */
  readonly how: string;
  /** null after a signal. */
  readonly exitCode: number | null;
  readonly uptimeMs: number;
  /** Its own last words, if it left any. */
  readonly lastWords: string;
}

const RESTART_MS_MIN = 200;
const RESTART_MS_MAX = 5000;
/** What the launcher (`weir`) gives these processes, for the same reasons. */
const memoryOf = new Map<string, { readonly flags: readonly string[]; readonly malloc: NodeJS.ProcessEnv }>([
  ['master', { flags: ['--max-semi-space-size=1'], malloc: { MALLOC_ARENA_MAX: '1' } }],
  [
    'worker',
    { flags: ['--max-semi-space-size=2'], malloc: { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576' } },
  ],
]);

/** Up for so long, a process is taken to be well: its next restart is quick again. */
const WELL_AFTER_MS = 10_000;

export class Child {
  readonly #options: ChildOptions;
  #process: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #restartMs = RESTART_MS_MIN;
  #stopping = false;

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Also after {@link stop} or {@link kill}, once it has ended. */
  start(): void {
    this.#stopping = false;
    const { args, env } = this.#options;
    const log = openSync(this.#logFile(), 'a', 0o600);
    const startedAt = performance.now();
    const main = join(import.meta.dirname, '..', import.meta.filename.endsWith('.ts') ? 'main.ts' : 'main.js');
    // Its own session: a Ctrl-C in the terminal reaches this process alone, which then stops the others in order.
    const { flags, malloc } = memoryOf.get(args[0] ?? '') ?? { flags: [], malloc: {} };
    const child = spawn(process.execPath, [...process.execArgv, ...flags, main, ...args], {
      detached: true,
      env: { ...malloc, ...env, WEIR_END_WITH_PARENT: '1', NODE_COMPILE_CACHE: compileCacheFolder() },
      stdio: ['pipe', log, log],
    });
    closeSync(log);
    this.#process = child;
    this.#exited = new Promise((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', (code, signal) => {
        resolve();
        this.#died(code, signal, performance.now() - startedAt);
      });
    });
  }

  /** Asks it to end; resolves when it has, killing it after `patienceMs`. */
  async stop(patienceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    this.#process?.kill('SIGTERM');
    const kill = setTimeout(() => this.kill(), patienceMs);
    await this.#exited;
    clearTimeout(kill);
  }

  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#restart);
    this.#process?.kill('SIGKILL');
  }

  #died(exitCode: number | null, signal: NodeJS.Signals | null, uptimeMs: number): void {
    this.#process = undefined;
    if (this.#stopping) return;
    const how = signal === null ? `exit code ${exitCode}` : `signal ${signal}`;
    const again = this.#options.onDeath({ name: this.name, how, exitCode, uptimeMs, lastWords: this.#lastWords() });
    if (!again) return;
    if (uptimeMs > WELL_AFTER_MS) this.#restartMs = RESTART_MS_MIN;
    this.#restart = setTimeout(() => this.start(), this.#restartMs);
    this.#restartMs = Math.min(RESTART_MS_MAX, this.#restartMs * 2);
  }

  #logFile(): string {
    return join(this.#options.logDirectory, `${this.name}.log`);
  }

  #lastWords(): string {
    const lines = readFileSync(this.#logFile(), 'utf8').trimEnd().split('\n');
    const last = lines.findLast((line) => line.startsWith('weir: ')) ?? lines.at(-1) ?? '';
    try {
      return String((JSON.parse(last) as { msg?: unknown }).msg ?? last);
    } catch {
      return last.replace(/^weir: /, '');
    }
  }
}
