/** A peer's process that talks in JSON lines: see peers/spark/job.py for what is said. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { treeOf } from '../measure/process-usage.ts';

export type PeerEvent = Readonly<Record<string, unknown>> & { readonly event: string };

const SILENCE_MS = 600_000;
const TAIL_LINES = 25;

export class PeerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #events: PeerEvent[] = [];
  #wake = Promise.withResolvers<void>();
  readonly #tail: string[] = [];
  #ended = false;

  constructor(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string) {
    this.#name = name;
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    const { stdout, stderr } = this.#child;
    if (stdout !== null)
      createInterface({ input: stdout }).on('line', (line) => {
        if (!line.startsWith('{')) return this.#remember(line);
        try {
          this.#events.push(JSON.parse(line) as PeerEvent);
        } catch {
          this.#remember(line);
        }
        this.#announce();
      });
    if (stderr !== null) createInterface({ input: stderr }).on('line', (line) => this.#remember(line));
    this.#child.once('error', (error) => {
      this.#remember(error.message);
      this.#ended = true;
      this.#announce();
    });
    this.#child.once('exit', () => {
      this.#ended = true;
      this.#announce();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get tail(): string {
    return this.#tail.join('\n');
  }

  #remember(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
  }

  #announce(): void {
    const wake = this.#wake;
    this.#wake = Promise.withResolvers<void>();
    wake.resolve();
  }

  say(word: string): void {
    this.#child.stdin?.write(`${word}\n`);
  }

  /** The next event. Throws when the process ends, says that it failed, or is silent for minutes. */
  async next(): Promise<PeerEvent> {
    const deadline = performance.now() + SILENCE_MS;
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) {
        if (event.event === 'failed')
          throw new Error(`${this.#name} failed: ${String(event['message'])}\n${this.tail}`);
        return event;
      }
      if (this.#ended) throw new Error(`${this.#name} ended:\n${this.tail}`);
      const rest = deadline - performance.now();
      if (rest <= 0) throw new Error(`${this.#name} was silent for ${SILENCE_MS / 1000} s:\n${this.tail}`);
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        this.#wake.promise,
        new Promise((resolve) => {
          timer = setTimeout(resolve, rest);
        }),
      ]);
      clearTimeout(timer);
    }
  }

  /** Events up to one of that name, which is returned. */
  async until(name: string, onEvent: (event: PeerEvent) => void = () => undefined): Promise<PeerEvent> {
    for (;;) {
      const event = await this.next();
      if (event.event === name) return event;
      onEvent(event);
    }
  }

  /** Ends the process and what descends from it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    const tree = treeOf([this.pid]);
    const exited = once(this.#child, 'exit');
    for (const pid of tree.toReversed()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // ended by itself
      }
    }
    await exited;
  }
}
