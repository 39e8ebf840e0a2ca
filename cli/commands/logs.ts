/** `weir logs [worker|master|embedded|JOB]`: what the processes of a running `npm start` wrote. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError, isWeirError } from '../../core/errors.ts';
import { MasterClient } from '../client.ts';
import { paintWord } from '../colour.ts';
import { timeoutMs } from '../names.ts';
import { oneLine, print } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, readDevRun, target } from '../settings.ts';

export interface LogsOptions extends GlobalOptions {
  readonly follow?: boolean;
  readonly tail: string;
  readonly since?: string;
  readonly level?: string;
  /** Only lines of this worker. */
  readonly worker?: string;
}

interface LogLine {
  readonly process: string;
  readonly time: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly raw: string;
}

/** Throws: NOT_FOUND when no cluster of this machine wrote logs, or neither a process nor a job is called `what`. */
export async function logs(what: string | undefined, options: LogsOptions): Promise<void> {
  const json = outputFormat(options, ['table', 'json']) === 'json';
  const { address } = target(options);
  const run = readDevRun(address);
  if (run === undefined) {
    throw new WeirError(
      'NOT_FOUND',
      `No "npm start" runs at ${address} on this machine; processes started otherwise log to their stdout.`,
    );
  }
  const keep = filterOf(options);
  const sizes = new Map<string, number>();
  const tail = Number(options.tail);
  const first = readNew(run.logDirectory, sizes, what);
  if (first.length === 0 && what !== undefined) await requireKnown(what, run.logDirectory, options);
  let lines = first.filter(keep);
  if (Number.isInteger(tail) && tail >= 0) lines = lines.slice(lines.length - Math.min(tail, lines.length));
  for (;;) {
    for (const line of lines) print(json ? line.raw : format(line));
    if (options.follow !== true) return;
    await sleep(300);
    lines = readNew(run.logDirectory, sizes, what).filter(keep);
  }
}

/** Nothing was ever logged about it: it may be a job all the same. Throws: NOT_FOUND. */
async function requireKnown(what: string, directory: string, options: LogsOptions): Promise<void> {
  if (processesOf(directory).some((name) => name.startsWith(what))) return;
  try {
    await new MasterClient(target(options)).job(what);
  } catch (error) {
    if (!isWeirError(error, 'NOT_FOUND')) return;
    throw new WeirError(
      'NOT_FOUND',
      `Neither a process nor a job is called ${what}; the processes are ${processesOf(directory).join(', ')}.`,
    );
  }
}

function processesOf(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.log'))
    .map((name) => name.slice(0, -4))
    .toSorted();
}

const levels = ['debug', 'info', 'warn', 'error'];

/** Lines without a time or level, as of a crash, are always shown. Throws: USAGE. */
function filterOf({ since, level, worker }: LogsOptions): (line: LogLine) => boolean {
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

/** Whole lines written since the last call, in order of time. */
function readNew(directory: string, sizes: Map<string, number>, what: string | undefined): LogLine[] {
  const all = processesOf(directory);
  const named = all.filter((name) => what !== undefined && name.startsWith(what));
  const lines = (named.length > 0 ? named : all).flatMap((name) => {
    const bytes = readFileSync(join(directory, `${name}.log`));
    const from = sizes.get(name) ?? 0;
    const end = bytes.lastIndexOf(10) + 1;
    sizes.set(name, Math.max(from, end));
    return bytes
      .toString('utf8', from, Math.max(from, end))
      .split('\n')
      .filter((text) => text !== '')
      .map((raw) => parse(name, raw));
  });
  const wanted = named.length > 0 || what === undefined ? lines : lines.filter((line) => line.fields['job'] === what);
  return wanted.toSorted((a, b) => a.time - b.time);
}

function parse(process: string, raw: string): LogLine {
  try {
    const fields = JSON.parse(raw) as Record<string, unknown>;
    if (typeof fields === 'object' && fields !== null)
      return { process, time: Date.parse(String(fields['time'])) || 0, fields, raw };
  } catch {
    // Not JSON: a crash of the runtime itself, shown as it is.
  }
  return { process, time: 0, fields: { msg: raw }, raw };
}

function format({ process, time, fields }: LogLine): string {
  const { level, time: _time, msg, pid: _pid, role: _role, ...rest } = fields;
  const clock = time === 0 ? '' : `${new Date(time).toISOString().slice(11, 23)} `;
  const details = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const message = [typeof msg === 'string' ? msg : '', ...details].join(' ');
  const grade = (typeof level === 'string' ? level : '').padEnd(5);
  return `${clock}${process.padEnd(10)} ${paintWord(oneLine(grade))} ${oneLine(message)}`.trimEnd();
}
