/** `weir events`, `weir top`: what goes on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterEvent } from '../../master/events.ts';
import type { JobView, WorkerView } from '../../master/views.ts';
import { MasterClient } from '../client.ts';
import { paintWord } from '../colour.ts';
import { keepFollowing } from '../keep-following.ts';
import { wholeNumber } from '../names.ts';
import { formatCount, formatMs, formatTable, oneLine, print, printJson, printLine } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import { Shown } from '../shown.ts';
import { stopSignal } from '../stop-signal.ts';

const TOP_INTERVAL_MS = 1000;
/** As many as a master gives at most, and keeps. */
const EVENTS_KEPT = 2000;

export interface EventsOptions extends GlobalOptions {
  readonly watch?: boolean;
  readonly job?: string;
  readonly last: string;
}

/** `weir events [-w] [--job NAME]`. With -w and -o json: one document a line. */
export async function events(options: EventsOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  const client = new MasterClient(target(options));
  const last = wholeNumber(options.last, '--last');
  const recent = async (count: number): Promise<readonly ClusterEvent[]> => {
    const query = new URLSearchParams({
      last: String(count),
      ...(options.job === undefined ? {} : { job: options.job }),
    });
    const answer = await client.request<{ events: readonly ClusterEvent[] }>(
      'GET',
      `/v1/events/recent?${query.toString()}`,
    );
    return answer.events;
  };
  const show = (event: ClusterEvent): void => {
    if (format === 'json') printLine(event);
    else print(lineOf(event));
  };
  if (options.watch !== true) {
    const found = await recent(last);
    return format === 'json' ? printJson({ events: found }) : found.forEach(show);
  }
  const shown = new Shown<ClusterEvent>({
    tail: last,
    show,
    // Each master numbers its own.
    keyOf: ({ seq, at }) => `${seq} ${at}`,
    clockOf: () => null,
  });
  await keepFollowing(
    client,
    '/v1/events?topics=events',
    {
      onOpen: async () => await shown.open(async () => await recent(EVENTS_KEPT)),
      onEvent: (data) => {
        const event = data as ClusterEvent;
        if (options.job === undefined || event.job === options.job) shown.take(event);
      },
    },
    stopSignal(),
  );
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
