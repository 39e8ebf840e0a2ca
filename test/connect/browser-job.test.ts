/** The example of docs/connectors/browser.md on the listing site, over a worker that is killed in the middle. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { chromiumPath } from '../../connectors/browser/chromium.ts';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { TableStore } from '../../core/ports.ts';
import { readLog } from '../../cli/testing/read-log.ts';
import type { ListingSite } from '../../jobs/site/server.ts';
import { startListingSite } from '../../jobs/site/server.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import { Cluster, until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';

suite('browser-scraped listings', () => {
  let cluster: Cluster;
  let site: ListingSite;
  let tables: TableStore;
  let connections: ReturnType<typeof makeConnections>;

  before(async () => {
    chromiumPath(process.env['WEIR_CHROMIUM']);
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    cluster = await Cluster.create(services);
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    tables = connections.tables('cassandra', {});
    await until('the embedded process answers', 60_000, async () => await tables.describe('a', 'b').then(() => true));
    await cluster.startMaster();
    site = await startListingSite({ seed: 3 });
  });
  after(async () => {
    await connections?.close();
    await cluster?.close();
    await site?.close();
  });

  test('all homes, each page once', async () => {
    const file = docJob('listings').replace('https://homes.example.com', site.url).replace('delay: 2s', 'delay: 0ms');
    const worker = await cluster.startWorker();
    await cluster.apply('listings', file);
    const logs = connections.source('kafka', {});
    const urls = async (): Promise<(string | null)[]> =>
      (await readLog(logs, 'weir.listings.homes', 0)).map(({ key }) => key);
    await until('some pages were read', 120_000, async () => (await urls()).length >= 15);
    await worker.kill9();
    await cluster.startWorker();
    await until('all pages were read', 600_000, async () => (await urls()).length >= site.listings.length);
    const read = await urls();
    assert.equal(new Set(read).size, read.length, 'no page twice');
    assert.deepEqual(
      read.map((url) => url?.slice(url.lastIndexOf('/') + 1)).toSorted(),
      site.listings.map(({ id }) => id).toSorted(),
    );
    // Pages of listings that are broken at their source have no id, and are no homes.
    const broken = site.listings.filter(
      ({ fault }) => fault === 'cut short' || fault === 'error page' || fault === 'no id',
    );
    await until('the homes are in the table', 60_000, async () => {
      const { rows } = await tables.query('SELECT count(*) FROM homes.listings');
      return Number(rows[0]?.[0]) === site.listings.length - broken.length;
    });
    const { rows } = await tables.query('SELECT price, picture_count FROM homes.listings');
    assert.ok(rows.some(([price]) => Number(price) > 100_000));
    assert.ok(rows.some(([, pictures]) => Number(pictures) > 0));
  });
});
