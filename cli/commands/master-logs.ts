/** `weir logs` of a cluster that was not started here: what its master has of all their logs, by REST. */
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { LogLine as ClusterLine } from '../../core/telemetry/log-ring.ts';
import { MasterClient } from '../client.ts';
import { keepFollowing } from '../keep-following.ts';
import type { LogLine } from '../log-lines.ts';
import { filterOf, formatLine } from '../log-lines.ts';
import { wholeNumber } from '../names.ts';
import { print, printLine, tell } from '../output.ts';
import { outputFormat, target } from '../settings.ts';
import { Shown } from '../shown.ts';
import { stopSignal } from '../stop-signal.ts';
import type { LogsOptions } from './logs.ts';

/** More than a master keeps. */
const LINES_MAX = 100_000;

/**
 * `what`: nothing for all processes, master, a worker by its id or name, or a job. Throws: NOT_FOUND when there is
 * nothing by that name.
 */
export async function masterLogs(what: string | undefined, options: LogsOptions): Promise<void> {
  const json = outputFormat(options, ['table', 'json']) === 'json';
  const at = target(options);
  const client = new MasterClient(at);
  const tail = wholeNumber(options.tail, '--tail');
  const { worker: _, ...choice } = options;
  const keep = filterOf(choice);
  const place = what === undefined ? {} : await placeOf(client, what);
  const isWanted = (line: ClusterLine): boolean =>
    (place.job === undefined || line.job === place.job) &&
    (place.process === undefined || isCalled(line.process, place.process)) &&
    (options.worker === undefined ||
      isCalled(line.process, options.worker) ||
      isCalled(line.fields['worker'], options.worker)) &&
    keep(asLine(line));
  const show = (line: ClusterLine): void => {
    if (json) printLine(line);
    else print(formatLine(asLine(line)));
  };
  const query = new URLSearchParams({ last: String(LINES_MAX) });
  for (const [name, value] of Object.entries({ ...place, worker: options.worker, level: options.level }))
    if (value !== undefined) query.set(name, value);
  const look = async (): Promise<readonly ClusterLine[]> => {
    const { lines } = await client.request<{ lines: readonly ClusterLine[] }>('GET', `/v1/logs?${query.toString()}`);
    return lines.filter(isWanted);
  };
  if (options.follow !== true) {
    const found = await look();
    found.slice(found.length - Math.min(tail, found.length)).forEach(show);
    return tell(`the last lines of master and workers at ${at.address}; what they wrote to stderr is whole`);
  }
  const shown = new Shown<ClusterLine>({
    tail,
    show,
    keyOf: (line) => JSON.stringify(line),
    clockOf: ({ process }) => process,
  });
  await keepFollowing(
    client,
    '/v1/events?topics=logs',
    {
      onOpen: async () => await shown.open(look),
      onEvent: (data) => {
        const line = data as ClusterLine;
        if (isWanted(line)) shown.take(line);
      },
    },
    stopSignal(),
  );
}

interface Place {
  readonly job?: string;
  readonly process?: string;
}

/** Throws: NOT_FOUND. */
async function placeOf(client: MasterClient, what: string): Promise<Place> {
  if (what === 'master') return { process: what };
  try {
    await client.job(what);
    return { job: what };
  } catch (error) {
    if (!isWeirError(error, 'NOT_FOUND')) throw error;
  }
  const workers = (await client.workers()).map(({ id }) => id);
  if (workers.some((id) => isCalled(id, what))) return { process: what };
  // One that is gone, or a job that was deleted.
  for (const place of [{ process: what }, { job: what }] satisfies Place[]) {
    const query = new URLSearchParams({ ...place, last: '1' });
    const { lines } = await client.request<{ lines: readonly unknown[] }>('GET', `/v1/logs?${query.toString()}`);
    if (lines.length > 0) return place;
  }
  throw new WeirError(
    'NOT_FOUND',
    `Neither a job nor a process at ${client.address} is called ${what}; the processes are ${['master', ...workers].join(', ')}.`,
  );
}

/** Whether a process goes by this name: its id, or what stands before its random end. */
function isCalled(process: unknown, name: string): boolean {
  return typeof process === 'string' && (process === name || process.startsWith(`${name}-`));
}

function asLine({ at, level, process, job, message, fields }: ClusterLine): LogLine {
  return {
    process,
    time: at,
    fields: { level, msg: message, ...(job === null ? {} : { job }), ...fields },
    raw: '',
  };
}
