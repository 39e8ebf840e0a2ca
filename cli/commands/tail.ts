/** `weir tail`: rows at a place of a job, the newest ones or as they come. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../../core/errors.ts';
import type { TappedRows } from '../../master/data-desk.ts';
import { MasterClient } from '../client.ts';
import { jobPath, wholeNumber } from '../names.ts';
import { formatValue, printLine, tell } from '../output.ts';
import { RowTable } from '../row-table.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import { stopSignal } from '../stop-signal.ts';

export interface TailOptions extends GlobalOptions {
  readonly stage?: string;
  readonly operator?: string;
  readonly sink?: string;
  /** A condition of SQL on the rows. */
  readonly where?: string;
  readonly limit: string;
  readonly follow?: boolean;
  /** End after so many rows. */
  readonly rows?: string;
}

/** Records that are looked at for rows: what a master gives at most. */
const LOOKED_AT = 1000;
const FOLLOW_INTERVAL_MS = 500;

/**
 * `weir tail JOB [--stage N] [--operator N] [--sink N] [--where SQL] [-f] [--rows N]`. With -f rows of records that come
 * are shown until Ctrl-C, or until there were --rows of them. Throws: USAGE, NOT_FOUND, UNSUPPORTED.
 */
export async function tail(job: string, options: TailOptions): Promise<void> {
  const json = outputFormat(options, ['table', 'json']) === 'json';
  const { where, sink } = options;
  const follows = options.follow === true || options.rows !== undefined;
  if (options.stage !== undefined && sink !== undefined)
    throw new WeirError('USAGE', 'Rows come from a stage or from a sink; give one of --stage and --sink.');
  if (follows && sink !== undefined)
    throw new WeirError(
      'USAGE',
      'The rows of a table have no order in which they came: -f follows a stage. What a job writes to a topic is followed ' +
        'by "weir consume TOPIC -f".',
    );
  const limit = wholeNumber(options.limit, '--limit', follows ? 0 : 1);
  let left = options.rows === undefined ? Number.POSITIVE_INFINITY : wholeNumber(options.rows, '--rows', 1);
  const client = new MasterClient(target(options));
  const ask = async (more: Readonly<Record<string, string>>): Promise<Partial<TappedRows> & TailRows> => {
    const query = new URLSearchParams(more);
    for (const name of ['stage', 'operator', 'sink'] as const)
      if (options[name] !== undefined) query.set(name, String(wholeNumber(options[name], `--${name}`)));
    return await client.request('GET', `${jobPath(job)}/rows?${query.toString()}`);
  };
  const wanted = async ({ columns, rows }: TailRows): Promise<TailRows['rows']> =>
    where === undefined ? rows : (await import('../lab/rows-where.ts')).rowsWhere(columns, rows, where);
  const table = new RowTable();
  const show = ({ columns }: TailRows, rows: TailRows['rows']): void => {
    const names = columns.map(({ name }) => name);
    for (const row of json ? rows : []) printLine(Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])));
    if (!json && (rows.length > 0 || !follows))
      table.print(
        names,
        rows.map((row) => row.map(formatValue)),
      );
    left -= rows.length;
  };

  const first = await ask({ limit: String(where === undefined ? Math.max(1, limit) : LOOKED_AT) });
  const found = await wanted(first);
  if (where !== undefined && !follows) tell(`${found.length} of the newest ${first.rows.length} rows`);
  show(first, limit === 0 ? [] : found.slice(-Math.min(limit, left)));
  if (!follows || first.next === undefined) return;
  const stop = stopSignal();
  for (let { next } = first; left > 0 && !stop.aborted;) {
    await sleep(FOLLOW_INTERVAL_MS, undefined, { signal: stop }).catch(() => undefined);
    if (stop.aborted) return;
    const news = await ask({ limit: String(LOOKED_AT), after: next });
    next = news.next ?? next;
    const { skipped = 0 } = news;
    if (skipped > 0) tell(`${skipped} records were skipped: more come than are looked at`);
    const rows = news.rows.length === 0 ? [] : await wanted(news);
    show(news, rows.slice(0, Math.min(rows.length, left)));
  }
}

type TailRows = Pick<TappedRows, 'columns' | 'rows'>;
