/** `weir events`, `weir top`, `weir tail`: what goes on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../../core/errors.ts';
import type { ClusterEvent } from '../../master/events.ts';
import type { JobView, WorkerView } from '../../master/views.ts';
import { MasterClient } from '../client.ts';
import { paintWord } from '../colour.ts';
import { jobPath, wholeNumber } from '../names.ts';
import {
  formatCount,
  formatMs,
  formatTable,
  formatValue,
  oneLine,
  print,
  printJson,
  printLine,
  tell,
} from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import { stopSignal } from '../stop-signal.ts';

const TOP_INTERVAL_MS = 1000;

export interface EventsOptions extends GlobalOptions {
  readonly watch?: boolean;
  readonly job?: string;
  readonly last: string;
}

/** `weir events [-w] [--job NAME]`. With -w and -o json: one document a line. */
export async function events(options: EventsOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  const client = new MasterClient(target(options));
  const query = new URLSearchParams({ last: String(wholeNumber(options.last, '--last')) });
  if (options.job !== undefined) query.set('job', options.job);
  const { events: recent } = await client.request<{ events: readonly ClusterEvent[] }>(
    'GET',
    `/v1/events/recent?${query.toString()}`,
  );
  if (options.watch !== true && format === 'json') return printJson({ events: recent });
  const show = (event: ClusterEvent): void => {
    if (options.job !== undefined && event.job !== options.job) return;
    if (format === 'json') printLine(event);
    else print(lineOf(event));
  };
  recent.forEach(show);
  if (options.watch !== true) return;
  const stop = stopSignal();
  await client.follow('/v1/events?topics=events', (_, data) => show(data as ClusterEvent), stop);
}

function lineOf({ at, level, message }: ClusterEvent): string {
  return `${new Date(at).toISOString()} ${paintWord(level.padEnd(5))} ${oneLine(message)}`;
}

/** `weir top [--once]`: jobs and workers, again and again on a terminal, once otherwise. */
export async function top(options: GlobalOptions & { readonly once?: boolean }): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  const client = new MasterClient(target(options));
  const stop = stopSignal();
  const once = options.once === true || !process.stdout.isTTY || format === 'json';
  while (!stop.aborted) {
    const [jobs, workers] = await Promise.all([client.jobs(), client.workers()]);
    if (format === 'json') return printJson({ jobs, workers });
    const text = topText(jobs, workers);
    if (once) return print(text);
    // Home, then each line cleared to its end, then all below: no flicker.
    const lines = text.split('\n').slice(0, Math.max(1, process.stdout.rows - 1));
    process.stdout.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\n')}\u001b[J`);
    await sleep(TOP_INTERVAL_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}

function topText(jobs: readonly JobView[], workers: readonly WorkerView[]): string {
  const sum = (of: (view: JobView) => number): string => formatCount(jobs.reduce((total, view) => total + of(view), 0));
  const alive = workers.filter(({ state }) => state === 'alive').length;
  const head = `jobs ${jobs.length}   workers ${alive}/${workers.length}   in ${sum((view) => view.recordsPerSecond)}/s   out ${sum((view) => view.rowsPerSecond)}/s   lag ${sum((view) => view.lag)}`;
  const rows = jobs
    .toSorted((a, b) => b.recordsPerSecond - a.recordsPerSecond || b.lag - a.lag)
    .map((view) => [
      view.row.name,
      view.row.state,
      formatCount(view.recordsPerSecond),
      formatCount(view.rowsPerSecond),
      formatCount(view.lag),
      formatMs(view.latencyMsP50),
      formatMs(view.latencyMsP99),
      formatCount(view.counters.dead),
      view.row.reason?.message ?? '',
    ]);
  const workerRows = workers.map((worker) => [
    worker.id,
    worker.state,
    String(worker.lanes),
    String(worker.threads),
    `${Math.round(worker.rssBytes / 1024 / 1024)} MB`,
    formatMs(worker.eventLoopDelayMs),
  ]);
  return [
    head,
    '',
    formatTable(['JOB', 'STATE', 'RECORDS/S', 'ROWS/S', 'LAG', 'P50 MS', 'P99 MS', 'DEAD', 'REASON'], rows),
    '',
    formatTable(['WORKER', 'STATE', 'LANES', 'THREADS', 'MEMORY', 'LOOP MS'], workerRows),
  ].join('\n');
}

export interface TailOptions extends GlobalOptions {
  readonly stage?: string;
  readonly operator?: string;
  readonly sink?: string;
  /** A condition of SQL on the rows. */
  readonly where?: string;
  readonly limit: string;
}

/** Rows that are looked at for those that a condition is true for: what a master gives at most. */
const LOOKED_AT = 1000;

/** `weir tail JOB [--stage N] [--operator N] [--sink N] [--where SQL]`: the newest rows at a place of a job. Throws: USAGE. */
export async function tail(job: string, options: TailOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  if (options.stage !== undefined && options.sink !== undefined)
    throw new WeirError('USAGE', 'Rows come from a stage or from a sink; give one of --stage and --sink.');
  const limit = wholeNumber(options.limit, '--limit', 1);
  const { where } = options;
  const query = new URLSearchParams({ limit: String(where === undefined ? limit : LOOKED_AT) });
  for (const name of ['stage', 'operator', 'sink'] as const)
    if (options[name] !== undefined) query.set(name, String(wholeNumber(options[name], `--${name}`)));
  const { columns, rows: newest } = await new MasterClient(target(options)).request<{
    readonly columns: readonly { readonly name: string; readonly type: string }[];
    readonly rows: readonly (readonly unknown[])[];
  }>('GET', `${jobPath(job)}/rows?${query.toString()}`);
  const names = columns.map(({ name }) => name);
  const found = where === undefined ? newest : (await import('../lab/rows-where.ts')).rowsWhere(columns, newest, where);
  const rows = found.slice(-limit);
  if (where !== undefined) tell(`${found.length} of the newest ${newest.length} rows`);
  if (format === 'json') {
    // One row a line: what tail gives is a stream.
    for (const row of rows) printLine(Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])));
    return;
  }
  print(
    formatTable(
      names,
      rows.map((row) => row.map(formatValue)),
    ),
  );
}
