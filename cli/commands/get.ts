/** `weir get`: lists, once or again as they change. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../../core/errors.ts';
import { MasterClient } from '../client.ts';
import { formatTable, print, printJson, printLine, tell } from '../output.ts';
import type { GlobalOptions, OutputFormat } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import { stopSignal } from '../stop-signal.ts';
import type { Listing } from './get-parts.ts';
import { listings } from './get-parts.ts';
import { jobTable, workerTable } from './job-tables.ts';

export interface GetOptions extends GlobalOptions {
  /** Of labels; only with jobs. */
  readonly selector?: string;
  readonly watch?: boolean;
}

const WATCH_INTERVAL_MS = 1000;
/** What only says that time goes on. */
const ever = new Set(['AGE', 'FIRST', 'LAST', 'STARTED', 'TOOK', 'LOOP DELAY MS', 'HEARD MS AGO']);

/**
 * `weir get jobs|workers|… [NAME] [-w]`. Watching goes on until it is told to stop: on a terminal the list is drawn
 * again, otherwise what is new or has changed is printed. Throws: USAGE, NOT_FOUND and what the client throws.
 */
export async function get(what: string, name: string | undefined, options: GetOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'wide', 'json', 'name']);
  const list = listOf(what, name, options, format === 'wide');
  if (options.watch !== true) return show(what, await list(), format);
  const stop = stopSignal();
  const seen = new Set<string>();
  while (!stop.aborted) {
    const listing = await list();
    if (process.stdout.isTTY && format !== 'json' && format !== 'name') redraw(listing);
    else showNew(listing, format, seen);
    await sleep(WATCH_INTERVAL_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}

/** Throws: USAGE. */
function listOf(
  what: string,
  name: string | undefined,
  { selector, ...options }: GetOptions,
  wide: boolean,
): () => Promise<Listing> {
  const client = new MasterClient(target(options));
  if (what === 'jobs' || what === 'job') {
    return async () => {
      const views = name === undefined ? await client.jobs(selector) : [await client.job(name)];
      const document = name === undefined ? { jobs: views } : views[0];
      return { document, names: views.map(({ row }) => row.name), ...jobTable(views, wide) };
    };
  }
  if (selector !== undefined) throw new WeirError('USAGE', `-l selects jobs by their labels, not ${what}.`);
  if (what === 'workers' || what === 'worker') {
    return async () => {
      const views = (await client.workers()).filter((view) => name === undefined || view.id === name);
      if (name !== undefined && views.length === 0) throw new WeirError('NOT_FOUND', `There is no worker ${name}.`);
      const document = name === undefined ? { workers: views } : views[0];
      return { document, names: views.map(({ id }) => id), ...workerTable(views, wide) };
    };
  }
  const list = listings.get(what) ?? listings.get(`${what}s`);
  if (list === undefined)
    throw new WeirError(
      'USAGE',
      `There is nothing called ${what} to get; there are jobs, workers, ${[...listings.keys()].join(', ')}.`,
    );
  return async () => await list(client, name);
}

function show(what: string, { document, names, heads, rows }: Listing, format: OutputFormat): void {
  if (format === 'json') printJson(document);
  else if (format === 'name') for (const name of names) print(name);
  else if (rows.length === 0) tell(`no ${what}`);
  else print(formatTable(heads, rows));
}

/** Home, then each line cleared to its end, then all below: no flicker. */
function redraw({ heads, rows }: Listing): void {
  const lines = formatTable(heads, rows)
    .split('\n')
    .slice(0, Math.max(1, process.stdout.rows - 1));
  process.stdout.write(`\u001b[H${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`);
}

/** What was not printed just so before; the heads once. */
function showNew({ document, names, heads, rows }: Listing, format: OutputFormat, seen: Set<string>): void {
  const before = new Set(seen);
  seen.clear();
  const isNew = (text: string): boolean => {
    seen.add(text);
    return !before.has(text);
  };
  if (format === 'json') {
    if (isNew(JSON.stringify(document))) printLine(document);
    return;
  }
  if (format === 'name') return names.filter(isNew).forEach(print);
  const fresh = rows.filter((row) => isNew(JSON.stringify(row.filter((_, at) => !ever.has(heads[at] ?? '')))));
  if (fresh.length === 0) return;
  const [head = '', ...lines] = formatTable(heads, fresh).split('\n');
  if (before.size === 0) print(head);
  lines.forEach(print);
}
