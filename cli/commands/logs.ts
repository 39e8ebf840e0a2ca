/**
 * `weir logs [worker|master|embedded|JOB]`: what the processes of a running `npm start` wrote; of another cluster what its
 * master has of its own log.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError, isWeirError } from '../../core/errors.ts';
import { MasterClient } from '../client.ts';
import type { LogChoice, LogLine } from '../log-lines.ts';
import { filterOf, formatLine, parseLine } from '../log-lines.ts';
import { wholeNumber } from '../names.ts';
import { print } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, readDevRun, target } from '../settings.ts';

export interface LogsOptions extends GlobalOptions, LogChoice {
  readonly follow?: boolean;
  readonly tail: string;
}

/** Throws: NOT_FOUND when neither a process nor a job is called `what`; of another cluster, what its master answers. */
export async function logs(what: string | undefined, options: LogsOptions): Promise<void> {
  const json = outputFormat(options, ['table', 'json']) === 'json';
  const { address } = target(options);
  const run = readDevRun(address);
  if (run === undefined) return await (await import('./master-logs.ts')).masterLogs(what, options);
  const keep = filterOf(options);
  const sizes = new Map<string, number>();
  const tail = wholeNumber(options.tail, '--tail');
  const first = readNew(run.logDirectory, sizes, what);
  if (first.length === 0 && what !== undefined) await requireKnown(what, run.logDirectory, options);
  let lines = first.filter(keep);
  lines = lines.slice(lines.length - Math.min(tail, lines.length));
  for (;;) {
    for (const line of lines) print(json ? line.raw : formatLine(line));
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
      .map((raw) => parseLine(name, raw));
  });
  const wanted = named.length > 0 || what === undefined ? lines : lines.filter((line) => line.fields['job'] === what);
  return wanted.toSorted((a, b) => a.time - b.time);
}
