/** Lines of logs as `weir logs` reads, chooses and shows them. */
import { WeirError } from '../core/errors.ts';
import { paintWord } from './colour.ts';
import { timeoutMs } from './names.ts';
import { oneLine } from './output.ts';

export interface LogLine {
  readonly process: string;
  /** ms since 1970; 0 = the line says none. */
  readonly time: number;
  readonly fields: Readonly<Record<string, unknown>>;
  /** As it was written. */
  readonly raw: string;
}

const levels = ['debug', 'info', 'warn', 'error'];

/** What is asked for. */
export interface LogChoice {
  /** A duration. */
  readonly since?: string;
  readonly level?: string;
  /** Only lines of this worker. */
  readonly worker?: string;
}

/** Lines without a time or level, as of a crash, are always shown. Throws: USAGE. */
export function filterOf({ since, level, worker }: LogChoice): (line: LogLine) => boolean {
  const from = since === undefined ? 0 : Date.now() - timeoutMs(since);
  const least = level === undefined ? 0 : levels.indexOf(level);
  if (least < 0) throw new WeirError('USAGE', `There is no level ${level}; there are ${levels.join(', ')}.`);
  return ({ process, time, fields }) => {
    if (worker !== undefined && !isOf(process, worker)) return false;
    const rank = levels.indexOf(String(fields['level']));
    return (time === 0 || time >= from) && (rank < 0 || rank >= least);
  };
}

/** A worker is known by the name of its process, `worker-1`, and by the id in lists, `worker-1-3f2a9c01`. */
function isOf(process: string, worker: string): boolean {
  return process === worker || (process.startsWith('worker') && worker.startsWith(`${process}-`));
}

/** A line of pino, or anything else a process says. */
export function parseLine(process: string, raw: string): LogLine {
  try {
    const fields = JSON.parse(raw) as Record<string, unknown>;
    if (typeof fields === 'object' && fields !== null)
      return { process, time: Date.parse(String(fields['time'])) || 0, fields, raw };
  } catch {
    // Not JSON: a crash of the runtime itself, shown as it is.
  }
  return { process, time: 0, fields: { msg: raw }, raw };
}

/** Columns of the longest process so far: those that come stand below each other. */
let widest = 10;

/** For people. */
export function formatLine({ process, time, fields }: LogLine): string {
  const { level, time: _time, msg, pid: _pid, role: _role, ...rest } = fields;
  const clock = time === 0 ? '' : `${new Date(time).toISOString().slice(11, 23)} `;
  const details = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const message = [typeof msg === 'string' ? msg : '', ...details].join(' ');
  const grade = (typeof level === 'string' ? level : '').padEnd(5);
  widest = Math.max(widest, process.length);
  return `${clock}${process.padEnd(widest)} ${paintWord(oneLine(grade))} ${oneLine(message)}`.trimEnd();
}
