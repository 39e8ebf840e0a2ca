/**
 * The last lines of this master's log and of those of the workers, which send theirs with their heartbeats. What a worker
 * wrote stays for a while after it is gone: that is when people ask.
 */
import type { WorkerId } from '../core/ids.ts';
import type { LogLevelName, LogLine, LogRing } from '../core/telemetry/log-ring.ts';
import { LINES_KEPT, logLevels } from '../core/telemetry/log-ring.ts';
import type { WorkerLogs } from '../proto/gen/control.ts';

/** Lines of workers, over all of them. */
const WORKER_LINES_MAX = 5000;
/** Of one: a bit more than it can send at once, so that what was before stays in sight. */
const LINES_OF_ONE_MAX = LINES_KEPT + 100;
/** Workers whose lines are kept; the one that has been quiet for longest goes first. */
const WORKERS_MAX = 50;

/** Which lines somebody wants. */
export interface WantedLines {
  readonly job?: string;
  /** What this worker wrote, and what the master says of it: its id, or its name (`w1` of `w1-3f2a9c01`). */
  readonly worker?: string;
  /** What this process wrote: `master`, or a worker. */
  readonly process?: string;
  /** This level and graver ones. */
  readonly level?: LogLevelName;
  /** ms since 1970: not older. */
  readonly since?: number;
  /** Only what masters say: lines of workers may quote errors of user code and of databases, and those may quote records. */
  readonly masterOnly?: boolean;
}

interface WorkerLines {
  /** Number of the last line that came. */
  seen: number;
  readonly lines: LogLine[];
}

export class ClusterLogs {
  readonly #own: LogRing;
  /** The one that wrote last stands last. */
  readonly #workers = new Map<WorkerId, WorkerLines>();
  readonly #listeners = new Set<(line: LogLine) => void>();

  constructor(own: LogRing) {
    this.#own = own;
    own.subscribe((line) => this.#tell(line));
  }

  /** What a worker sent. It sends all it has again when it finds a new master, or the same one anew. */
  take(worker: WorkerId, { first, lines }: WorkerLogs): void {
    const known = this.#workers.get(worker) ?? { seen: 0, lines: [] };
    this.#workers.delete(worker);
    this.#workers.set(worker, known);
    const missed = known.seen === 0 ? 0 : first - known.seen - 1;
    for (const [index, { at, level, job, message, fields }] of lines.entries()) {
      const number = first + index;
      if (number <= known.seen) continue;
      if (missed > 0 && index === 0) this.#add(known, missedLine(worker, at, missed));
      known.seen = number;
      this.#add(known, {
        at,
        level: levelOf(level),
        process: worker,
        job: job === '' ? null : job,
        message,
        fields: fieldsOf(fields),
      });
    }
    this.#trim();
  }

  /** The last `count` of those wanted, oldest first. */
  last(count: number, wanted: WantedLines): LogLine[] {
    if (count === 0) return [];
    const least = logLevels.indexOf(wanted.level ?? 'debug');
    const { job, worker, process, since = 0, masterOnly = false } = wanted;
    const ofWorkers = masterOnly ? [] : [...this.#workers.values()].map(({ lines }) => lines);
    const found = [this.#own.lines, ...ofWorkers].flatMap((lines) =>
      lines.filter(
        (line) =>
          line.at >= since &&
          logLevels.indexOf(line.level) >= least &&
          (job === undefined || line.job === job) &&
          (process === undefined || isCalled(line.process, process)) &&
          (worker === undefined || isCalled(line.process, worker) || isCalled(line.fields['worker'], worker)),
      ),
    );
    return found.toSorted((a, b) => a.at - b.at).slice(-count);
  }

  /** Calls `listener` with each line that comes; the result ends that. */
  subscribe(listener: (line: LogLine) => void, masterOnly = false): () => void {
    if (masterOnly) return this.#own.subscribe(listener);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #add(to: WorkerLines, line: LogLine): void {
    to.lines.push(line);
    this.#tell(line);
  }

  #tell(line: LogLine): void {
    for (const listener of this.#listeners) listener(line);
  }

  /** Each worker may have as many as the others. */
  #trim(): void {
    for (const worker of this.#workers.keys()) {
      if (this.#workers.size <= WORKERS_MAX) break;
      this.#workers.delete(worker);
    }
    const max = Math.min(LINES_OF_ONE_MAX, Math.floor(WORKER_LINES_MAX / this.#workers.size));
    for (const { lines } of this.#workers.values()) if (lines.length > max) lines.splice(0, lines.length - max);
  }
}

/** Whether a process goes by this name: its id, or what stands before its random end. */
function isCalled(process: unknown, name: string): boolean {
  return typeof process === 'string' && (process === name || process.startsWith(`${name}-`));
}

function levelOf(text: string): LogLevelName {
  return logLevels.find((level) => level === text) ?? 'info';
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return { ...(JSON.parse(text) as object) };
  } catch {
    return {};
  }
}

function missedLine(worker: WorkerId, at: number, count: number): LogLine {
  const message = `${count} lines are missing here: the worker wrote faster than it sends; what it wrote to stderr has them`;
  return { at, level: 'warn', process: worker, job: null, message, fields: {} };
}
