/** The last lines of this process's log, for people who look at it through REST. */
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevelName = (typeof logLevels)[number];

export interface LogLine {
  /** ms since 1970. */
  readonly at: number;
  readonly level: LogLevelName;
  readonly process: string;
  readonly job: string | null;
  readonly message: string;
  /** Printable values alone. */
  readonly fields: Readonly<Record<string, unknown>>;
}

const LINES_KEPT = 1000;
const FIELD_LENGTH_MAX = 2000;

export class LogRing {
  readonly #clock: Clock;
  readonly #process: string;
  readonly #lines: LogLine[] = [];
  readonly #listeners = new Set<(line: LogLine) => void>();

  constructor(clock: Clock, process: string) {
    this.#clock = clock;
    this.#process = process;
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

  /** The last ones at this level or above, oldest first. */
  last(
    count: number,
    wanted: { readonly job?: string; readonly worker?: string; readonly level?: LogLevelName },
  ): LogLine[] {
    const least = logLevels.indexOf(wanted.level ?? 'debug');
    const found = this.#lines.filter(
      (line) =>
        logLevels.indexOf(line.level) >= least &&
        (wanted.job === undefined || line.job === wanted.job) &&
        (wanted.worker === undefined || line.fields['worker'] === wanted.worker),
    );
    return count === 0 ? [] : found.slice(-count);
  }

  #keep(level: LogLevelName, all: Readonly<Record<string, unknown>>, message: string): void {
    const { job, ...rest } = all;
    const fields = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, printable(value)]));
    const line: LogLine = {
      at: this.#clock.now(),
      level,
      process: this.#process,
      job: typeof job === 'string' ? job : null,
      message,
      fields,
    };
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.splice(0, this.#lines.length - LINES_KEPT);
    for (const listener of this.#listeners) listener(line);
  }
}

function printable(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (value instanceof Error) return messageOf(value);
  if (typeof value === 'string') return value.slice(0, FIELD_LENGTH_MAX);
  try {
    return (JSON.stringify(value) ?? '').slice(0, FIELD_LENGTH_MAX);
  } catch {
    return '';
  }
}
