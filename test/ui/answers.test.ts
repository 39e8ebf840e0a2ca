/**
 * Five questions somebody comes with, each answered within three clicks from the first page of a real cluster: why a
 * job is slow, the last bad record and its reason, the lag per partition, replay from a time, rollback.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { until } from '../support/cluster.ts';
import type { Process } from '../support/cluster.ts';
import { Visitor, launch } from './browser.ts';
import { Shop, TOKEN, order, ordersJob } from './cluster.ts';

const CLICKS_MAX = 3;
const HOUR_MS = 3_600_000;
/** Records in the partition of `sales` that does not go on. */
const HELD_UP = 60_000;

suite('five questions, three clicks', { timeout: 240_000 }, () => {
  let browser: Browser;
  let shop: Shop;
  let visitor: Visitor;
  let worker: Process;

  before(async () => {
    browser = await launch();
    shop = await Shop.open();
    worker = await shop.cluster.startWorker();
  });
  after(async () => {
    await browser?.close();
    await shop?.close();
  });
  beforeEach(async () => {
    visitor = await Visitor.open(browser, shop.address, TOKEN);
  });
  afterEach(async () => {
    const { clicks, complaints } = visitor;
    await visitor.close();
    assert.deepEqual(complaints, []);
    assert.ok(clicks >= 1 && clicks <= CLICKS_MAX, `${clicks} clicks`);
  });

  const named = (name: string) => visitor.page.getByRole('link', { name, exact: true });

  test('the last bad record and its reason', async () => {
    await shop.produce('orders', 0, [order('a'), order('b')], Date.now() - HOUR_MS);
    await shop.produce('orders', 1, [order('c', 'many', 'bob')]);
    await shop.cluster.apply('orders', ordersJob());
    await until(
      'the bad record is set aside',
      30_000,
      async () => (await shop.cluster.job('orders')).counters.dead === 1,
    );
    const { page } = visitor;
    await visitor.click(page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: /^Dead letters/ }));
    const newest = page.getByRole('region', { name: 'The last bad record' });
    await newest.waitFor();
    const text = (await newest.textContent()) ?? '';
    assert.match(text, /orders 1 @ 0/, 'which record');
    assert.match(text, /FIELD_WRONG_TYPE/);
    assert.match(text, /a field does not have the type of the schema at amount/, 'why, and where');
    assert.match(text, /"amount": "many"/, 'what it was');
  });

  test('replay from a time', async () => {
    await shop.produce('orders', 2, [order('d'), order('e'), order('f')]);
    await until('all is read', 30_000, async () => (await shop.cluster.job('orders')).counters.read === 6);
    const { page } = visitor;
    await visitor.click(named('orders'));
    await visitor.click(page.getByRole('button', { name: 'Replay' }));
    const from = new Date(Date.now() - HOUR_MS / 2);
    const local = new Date(from.getTime() - from.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
    await page.getByLabel('Time to replay from').fill(local);
    await visitor.click(page.getByRole('button', { name: 'Replay from there' }));
    await visitor.sees(/orders reads again from \d{4}-\d\d-\d\d/);
    await visitor.sees(/run 2,/);
    // The two records of an hour ago stay out; the bad one is bad again.
    await visitor.sees(/^4 read in all$/);
    const { counters } = await shop.cluster.job('orders');
    assert.deepEqual([counters.read, counters.dead], [4, 1]);
  });

  test('rollback', async () => {
    await shop.cluster.apply('orders', ordersJob('amount > 1000'));
    const { page } = visitor;
    await visitor.click(named('orders'));
    await visitor.click(page.getByRole('button', { name: 'Roll back' }));
    const dialog = page.getByRole('dialog');
    await visitor.sees(/WHERE amount > 1000/, dialog);
    const differences = (await dialog.getByRole('region', { name: 'Differences' }).textContent()) ?? '';
    assert.match(differences, /WHERE amount > 1000.*WHERE amount > 0/s, 'what would change');
    await visitor.click(dialog.getByRole('button', { name: 'Roll back to revision 1' }));
    await visitor.sees('orders is at the definition of revision 1 again.');
    await visitor.sees(/revision 3,/);
    const { source } = (await shop.cluster.request('GET', '/v1/jobs/orders/plan')) as { source: string };
    assert.match(source, /amount > 0/);
  });

  test('the lag per partition', async () => {
    await standStill();
    const { page } = visitor;
    await visitor.click(named('sales'));
    await visitor.click(
      page.getByRole('navigation', { name: 'Parts of sales' }).getByRole('link', { name: /^Partitions/ }),
    );
    await visitor.sees('60,000 records behind in all; most of it, 60,000 (100 %), in partition 2 of sales');
    const rows = page.getByRole('group', { name: 'Partitions' }).locator('tbody tr');
    const shown = await rows.evaluateAll((list) =>
      list
        .map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent ?? ''))
        .map((cells) => [cells[0], cells[3]]),
    );
    assert.deepEqual(shown.sort(), [
      ['sales 0', '0'],
      ['sales 1', '0'],
      ['sales 2', '60,000'],
      ['sales 3', '0'],
    ]);
  });

  test('why a job is slow', async () => {
    await standStill();
    const { page } = visitor;
    await visitor.sees('sales stands still.');
    await visitor.click(page.getByRole('link', { name: /^Open: sales stands still/ }));
    const limits = page.getByRole('region', { name: 'What limits this job' });
    await visitor.sees('Partition 2 of sales holds 100 % of the lag.', limits);
    await visitor.sees(
      /60,000 of 60,000 records wait there\. One partition is read by one worker .* more workers do not help/,
      limits,
    );
  });

  /** A job whose worker never gets past its first commit: that of the partition with nearly all records. */
  async function standStill(): Promise<void> {
    const { jobs } = (await shop.cluster.request('GET', '/v1/jobs?fields=summary')) as {
      jobs: readonly { name: string }[];
    };
    if (jobs.some(({ name }) => name === 'sales')) return;
    const fill = async (number: number, records: number): Promise<void> =>
      await shop.produce(
        'sales',
        number,
        Array.from({ length: records }, (_, index) => order(`${number}-${index}`)),
      );
    await shop.createTopic('sales', 4);
    await fill(2, HELD_UP);
    // The one commit that is held up must be this job's.
    await shop.cluster.request('POST', '/v1/jobs/orders/stop');
    await until('orders rests', 30_000, async () => (await shop.cluster.job('orders')).row.state === 'stopped');
    await worker.stop();
    await shop.cluster.startWorker('lane.beforeCommit=delay:600000');
    await shop.cluster.apply('sales', ordersJob('amount > 0', 'sales', 'sales'));
    await until('the first commit is held up', 30_000, async () => (await shop.cluster.job('sales')).lag === HELD_UP);
  }
});
