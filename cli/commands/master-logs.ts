/** `weir logs` of a cluster that was not started here: the last lines of its master's log, by REST. */
import { WeirError } from '../../core/errors.ts';
import { MasterClient } from '../client.ts';
import type { LogLine } from '../log-lines.ts';
import { filterOf, formatLine } from '../log-lines.ts';
import { wholeNumber } from '../names.ts';
import { print, printLine, tell } from '../output.ts';
import { outputFormat, target } from '../settings.ts';
import { stopSignal } from '../stop-signal.ts';
import type { LogsOptions } from './logs.ts';

/** A line as the master gives it. */
interface MasterLine {
  readonly at: number;
  readonly level: string;
  readonly process: string;
  readonly job: string | null;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** All that a master keeps. */
const LINES_MAX = 1000;

/**
 * `what`: master or nothing for all of them, else lines about a job. Throws: USAGE for another process, NOT_FOUND for a
 * job that is not there.
 */
export async function masterLogs(what: string | undefined, options: LogsOptions): Promise<void> {
  const json = outputFormat(options, ['table', 'json']) === 'json';
  const at = target(options);
  const client = new MasterClient(at);
  const job = what === undefined || what === 'master' ? undefined : what;
  if (job !== undefined && /^(worker|embedded)(-\d+)?$/.test(job))
    throw new WeirError(
      'USAGE',
      `The cluster at ${at.address} was not started here by "npm start": its master has its own log only, and ${job} ` +
        `writes to its stdout. "weir logs --worker NAME" shows what the master says of a worker.`,
    );
  const { level, worker } = options;
  const { worker: _, ...choice } = options;
  const keep = filterOf(choice);
  const isWanted = (line: MasterLine): boolean =>
    (job === undefined || line.job === job) &&
    (worker === undefined || String(line.fields['worker'] ?? '').startsWith(worker)) &&
    keep(asLine(line));
  const show = (line: MasterLine): void => (json ? printLine(line) : print(formatLine(asLine(line))));
  const query = new URLSearchParams({ last: String(LINES_MAX) });
  if (job !== undefined) query.set('job', job);
  if (level !== undefined) query.set('level', level);
  const { lines } = await client.request<{ lines: readonly MasterLine[] }>('GET', `/v1/logs?${query.toString()}`);
  // Of a job that nothing was said of: is there one?
  if (job !== undefined && lines.length === 0) await client.job(job);
  const tail = wholeNumber(options.tail, '--tail');
  const found = lines.filter(isWanted);
  for (const line of found.slice(found.length - Math.min(tail, found.length))) show(line);
  if (options.follow === true)
    await client.follow(
      '/v1/events?topics=logs',
      (_event, line) => {
        if (isWanted(line as MasterLine)) show(line as MasterLine);
      },
      stopSignal(),
    );
  else tell(`the last lines of the master at ${at.address}; workers write their logs to stdout`);
}

function asLine({ at, level, process, job, message, fields }: MasterLine): LogLine {
  return {
    process,
    time: at,
    fields: { level, msg: message, ...(job === null ? {} : { job }), ...fields },
    raw: '',
  };
}
