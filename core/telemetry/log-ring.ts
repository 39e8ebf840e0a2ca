/** The last lines of a process's log, for people who look at it from elsewhere. */
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../ports.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevelName = (typeof logLevels)[number];

export interface LogLine {
  /** ms since 1970, by the clock of the process that wrote it. */
  readonly at: number;
  readonly level: LogLevelName;
  /** `master`, or the id of a worker. */
  readonly process: string;
  readonly job: string | null;
  readonly message: string;
  /** Printable values alone. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Lines kept of one process. */
export const LINES_KEPT = 1000;
const MESSAGE_LENGTH_MAX = 4000;
const FIELD_LENGTH_MAX = 2000;

/** Lines as they come, with numbers from 1 on. */
export interface NumberedLines {
  /** Of the first one. */
  readonly first: number;
  readonly lines: readonly LogLine[];
}

export class LogRing {
  readonly #clock: Clock;
  readonly #process: string;
  readonly #redact: (text: string) => string;
  readonly #lines: LogLine[] = [];
  readonly #listeners = new Set<(line: LogLine) => void>();
  /** How many there ever were. */
  #count = 0;

  /** `redact` takes secrets out, before texts are cut: of half a secret nobody can tell that it is one. */
  constructor(clock: Clock, process: string, redact: (text: string) => string = (text) => text) {
    this.#clock = clock;
    this.#process = process;
    this.#redact = redact;
  }

  /** A log that writes to `log` and is kept here too. Debug lines are not kept. */
  tee(log: Log, bound: Readonly<Record<string, unknown>> = {}): Log {
    return {
      debug: (fields, message) => log.debug(fields, message),
      info: (fields, message) => {
        log.info(fields, message);
        this.#keep('info', { ...bound, ...fields }, message);
      },
      warn: (fields, message) => {
        log.warn(fields, message);
        this.#keep('warn', { ...bound, ...fields }, message);
      },
      error: (fields, message) => {
        log.error(fields, message);
        this.#keep('error', { ...bound, ...fields }, message);
      },
      child: (fields) => this.tee(log.child(fields), { ...bound, ...fields }),
    };
  }

  subscribe(listener: (line: LogLine) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All that are kept, oldest first. */
  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** At most `max` of those behind number `after`, oldest first; those that are not kept any more are left out. */
  since(after: number, max: number): NumberedLines {
    const oldest = this.#count - this.#lines.length + 1;
    const first = Math.max(after + 1, oldest);
    return { first, lines: this.#lines.slice(first - oldest, first - oldest + max) };
  }

  #keep(level: LogLevelName, all: Readonly<Record<string, unknown>>, message: string): void {
    const { job, ...rest } = all;
    const fields = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, this.#printable(value)]));
    const line: LogLine = {
      at: this.#clock.now(),
      level,
      process: this.#process,
      job: typeof job === 'string' ? job : null,
      message: this.#redact(message).slice(0, MESSAGE_LENGTH_MAX),
      fields,
    };
    this.#count += 1;
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.splice(0, this.#lines.length - LINES_KEPT);
    for (const listener of this.#listeners) listener(line);
  }

  #printable(value: unknown): unknown {
    if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
    if (value instanceof Error) return this.#redact(messageOf(value));
    return this.#redact(textOf(value)).slice(0, FIELD_LENGTH_MAX);
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return '';
  }
}
