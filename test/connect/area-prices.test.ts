/**
 * jobs/area-prices.yaml from end to end: pages of the listing site in a real Chromium, a topic of real Kafka, medians by
 * window, a table of real Cassandra and Parquet files that DuckDB reads; over a worker that is killed in the middle. What
 * must come out is computed from the site's own data.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromiumPath } from '../../connectors/browser/chromium.ts';
import { readLog } from '../../cli/testing/read-log.ts';
import type { LaneCounters } from '../../core/lane/position.ts';
import type { Listing } from '../../jobs/site/listings.ts';
import type { ListingSite } from '../../jobs/site/server.ts';
import { startListingSite } from '../../jobs/site/server.ts';
import { until } from '../support/cluster.ts';
import { askDuckdb, testPython } from './python.ts';
import { RealCluster } from './real-cluster.ts';

const DAY_MS = 86_400_000;
const WINDOW_MS = 28 * DAY_MS;
/** As the job file has it. */
const DELAY_MS = 14 * DAY_MS;
const root = mkdtempSync(join(tmpdir(), 'weir-area-prices-'));

/** since, area, homes, median, lowest, highest */
type Row = readonly [string, string, number, number, number, number];

describe('browser-scraped listings to medians per area', { timeout: 1_800_000 }, () => {
  let site: ListingSite;
  let real: RealCluster;
  before(async () => {
    // What is missing is said before anything waits for it.
    chromiumPath(process.env['WEIR_CHROMIUM']);
    await testPython();
    site = await startListingSite({ seed: 11 });
    real = await RealCluster.open({ WEIR_FILES_DIR: root });
  });
  after(async () => {
    await real?.close();
    await site?.close();
    rmSync(root, { recursive: true, force: true });
  });

  test('table and files hold the medians of the site', async () => {
    const expected = finalRows(site.listings);
    assert.ok(expected.length >= 60, `${expected.length} windows`);
    assert.ok(
      expected.some(([, , homes]) => homes > 2),
      'a median of more than two',
    );

    const file = readFileSync(new URL('../../jobs/area-prices.yaml', import.meta.url), 'utf8');
    // The second half of the pages takes 15 s at least.
    const job = file.replace('http://127.0.0.1:8099', site.url).replace('delay: 2s', 'delay: 250ms');
    assert.notEqual(job, file);
    const worker = await real.cluster.startWorker();
    await real.cluster.apply('area-prices', job);
    const pages = async (): Promise<(string | null)[]> =>
      (await readLog(real.logs, 'scraped_homes', 0)).map(({ key }) => key);
    await until('half of the pages were read', 240_000, async () => (await pages()).length >= 60);
    await worker.kill9();
    assert.ok((await pages()).length < site.listings.length, 'it was killed in the middle');
    await real.cluster.startWorker();
    await until('all pages were read', 400_000, async () => (await pages()).length >= site.listings.length);
    await until('all windows are in the table', 60_000, async () => (await tableRows(real)).length >= expected.length);
    const read = await pages();
    assert.equal(new Set(read).size, read.length, 'no page twice');
    assert.deepEqual(await tableRows(real), expected);
    await until('all windows are in files', 60_000, async () => (await fileRows()).length >= expected.length);
    assert.deepEqual(await fileRows(), expected);
    // The last page may wait for the next trigger: no window that is final needs it.
    const counters = async (): Promise<LaneCounters> => (await real.cluster.job('area-prices')).counters;
    await until('all pages are counted', 60_000, async () => (await counters()).read >= site.listings.length);
    const { read: pagesRead, dead } = await counters();
    assert.deepEqual({ pagesRead, dead }, { pagesRead: site.listings.length, dead: 0 });
  });
});

/** What is final once every page was read: windows whose end is behind the latest listing by the delay. */
function finalRows(listings: readonly Listing[]): Row[] {
  const prices = new Map<string, number[]>();
  let latest = 0;
  for (const home of listings.flatMap(shownBy)) {
    latest = Math.max(latest, home.listed);
    if (home.price === null) continue;
    const since = new Date(Math.floor(home.listed / WINDOW_MS) * WINDOW_MS).toISOString();
    const key = `${since} ${home.area}`;
    prices.set(key, [...(prices.get(key) ?? []), home.price]);
  }
  return [...prices]
    .flatMap(([key, values]): Row[] => {
      const [since = '', area = ''] = key.split(' ');
      if (Date.parse(since) + WINDOW_MS > latest - DELAY_MS) return [];
      const sorted = values.toSorted((a, b) => a - b);
      const middle = (sorted.length - 1) / 2;
      const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
      return [[since, area, sorted.length, median, sorted[0] ?? 0, sorted.at(-1) ?? 0]];
    })
    .toSorted(bySinceAndArea);
}

interface Home {
  readonly listed: number;
  readonly area: string;
  /** null where the page has none that can be read. */
  readonly price: number | null;
}

/** What the page of a listing shows; nothing for those that are broken at their source. */
function shownBy(listing: Listing): Home[] {
  let home: Readonly<Record<string, unknown>>;
  try {
    home = JSON.parse(new TextDecoder().decode(listing.detail(0))) as Readonly<Record<string, unknown>>;
  } catch {
    return [];
  }
  const digits = /£([0-9][0-9,]*)$/.exec(String(home['price'] ?? ''))?.[1];
  const price = digits === undefined ? null : Number(digits.replaceAll(',', ''));
  const area = String(home['address']).split(', ')[1] ?? '';
  return [{ listed: Date.parse(String(home['listed'])), area, price }];
}

async function tableRows({ tables }: RealCluster): Promise<Row[]> {
  const cql = 'SELECT since, area, homes, median_price, lowest, highest FROM properties.area_prices';
  const { rows } = await tables.query(cql);
  return rows.map(rowOf).toSorted(bySinceAndArea);
}

async function fileRows(): Promise<Row[]> {
  const files = join(root, 'area-prices');
  if (!existsSync(files)) return [];
  const rows = await askDuckdb(
    `SELECT CAST(epoch_ms(since) AS BIGINT), area, homes, median_price, lowest, highest FROM read_parquet('${files}/*.parquet')`,
  );
  return rows.map(rowOf).toSorted(bySinceAndArea);
}

function rowOf([since, area, ...numbers]: readonly unknown[]): Row {
  const at = new Date(typeof since === 'number' ? since : String(since)).toISOString();
  const [homes = 0, median = 0, lowest = 0, highest = 0] = numbers.map(Number);
  return [at, String(area), homes, median, lowest, highest];
}

function bySinceAndArea(a: Row, b: Row): number {
  return a[0] === b[0] ? (a[1] < b[1] ? -1 : 1) : a[0] < b[0] ? -1 : 1;
}
