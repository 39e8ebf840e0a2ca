/** Every screen on a real cluster: accessible, without complaints of the browser, within 375 px, live, by keyboard. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser, Locator } from 'playwright-core';
import { until } from '../support/cluster.ts';
import { UI_BYTES_MAX } from '../../scripts/build-ui.ts';
import { Visitor, launch } from './browser.ts';
import { Shop, TOKEN, nightlyJob, order, ordersJob, totalsJob } from './cluster.ts';

/** The query part of an address with a chart over the totals. */
function chartOf(chart: string): string {
  const cql = 'SELECT customer, orders, amount FROM shop.totals';
  return new URLSearchParams({ cql, chart, values: 'orders,amount' }).toString();
}

const screens = [
  '/',
  '/workers',
  '/topics',
  '/topics/orders',
  '/tables',
  `/tables?${chartOf('bars')}`,
  `/tables?${chartOf('line')}`,
  '/dead-letters',
  '/events',
  '/editor',
  '/editor/orders',
  '/jobs/orders',
  '/jobs/orders/partitions',
  '/jobs/orders/batches',
  '/jobs/orders/data',
  '/jobs/orders/dead-letters',
  '/jobs/orders/revisions',
  '/jobs/orders/definition',
  '/jobs/orders/logs',
  '/jobs/nightly/runs',
  '/jobs/totals',
  '/jobs/totals/state',
  '/jobs/totals/partitions',
];

suite('screens', { timeout: 420_000 }, () => {
  let browser: Browser;
  let shop: Shop;

  before(async () => {
    browser = await launch();
    shop = await Shop.open();
    await shop.cluster.startWorker();
    const customers = ['ann', 'bob', 'cleo'];
    for (let number = 0; number < 4; number++) {
      const ids = Array.from({ length: 50 }, (_, index) => index);
      await shop.produce(
        'orders',
        number,
        ids.map((id) => order(`${number}-${id}`, id, customers[id % 3])),
      );
    }
    await shop.produce('orders', 3, ['<img src=x onerror=alert(1)>', order('bad', 'x'), '{"id": null}']);
    await shop.cluster.apply('orders', ordersJob('amount > 3'));
    await shop.cluster.apply('orders', ordersJob());
    await shop.cluster.apply('totals', totalsJob);
    await shop.cluster.apply('nightly', nightlyJob);
    await until('both jobs have read everything', 60_000, async () => {
      const [one, other] = await Promise.all([shop.cluster.job('orders'), shop.cluster.job('totals')]);
      return one.counters.dead === 3 && one.lag === 0 && other.counters.read === 203;
    });
  });
  after(async () => {
    await browser?.close();
    await shop?.close();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`are accessible in ${colorScheme} colours`, async () => {
      const visitor = await Visitor.open(browser, shop.address, TOKEN, { colorScheme, reducedMotion: 'reduce' });
      const found: string[] = [];
      for (const path of screens) {
        await visitor.visit(path);
        for (const violation of await visitor.axe()) found.push(`${path} ${violation}`);
      }
      assert.deepEqual([...found, ...visitor.complaints], []);
      await visitor.close();
    });
  }

  test('fit into 375 px', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN, { viewport: { width: 375, height: 812 } });
    const wide: string[] = [];
    for (const path of screens) {
      await visitor.visit(path);
      const width = await visitor.page.evaluate(() => document.documentElement.scrollWidth);
      if (width > 375) wide.push(`${path}: ${width} px`);
    }
    assert.deepEqual(wide, []);
    await visitor.page.getByRole('button', { name: 'Menu' }).click();
    await visitor.page.getByRole('link', { name: 'Workers' }).first().click();
    await visitor.page.getByRole('heading', { name: 'Workers', level: 1 }).waitFor();
    await visitor.close();
  });

  test('runs of a job with a schedule: the next one, and how the last ones went', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    const { page } = visitor;
    await visitor.visit('/jobs/nightly');
    await page.getByRole('link', { name: 'Runs', exact: true }).click();
    await visitor.sees('* * * * * *');
    await visitor.sees('succeeded', page.getByRole('group', { name: 'Runs' }));
    await visitor.visit('/jobs/orders');
    await visitor.sees('What limits this job');
    assert.equal(await page.getByRole('link', { name: 'Runs', exact: true }).count(), 0, 'a job without a schedule');
    await visitor.close();
  });

  test('the plan in words and as a chart for Graphviz', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    const { page } = visitor;
    await visitor.visit('/jobs/totals/definition');
    await page.getByRole('button', { name: 'Explained' }).click();
    await visitor.sees(/protocol: epochs/, page.locator('pre'));
    await page.getByRole('button', { name: 'DOT' }).click();
    await visitor.sees(/^digraph "totals"/, page.locator('pre'));
    await visitor.close();
  });

  test('who may only look is offered nothing else', async () => {
    const made = (await shop.cluster.request('POST', '/v1/tokens', '{"name":"looker","role":"viewer"}')) as {
      readonly token: string;
    };
    const visitor = await Visitor.open(browser, shop.address, made.token);
    const { page } = visitor;
    const links = async (name: string): Promise<number> => await page.getByRole('link', { name, exact: true }).count();
    await visitor.sees('orders');
    await page.getByRole('link', { name: 'New job' }).first().waitFor({ state: 'detached' });
    await visitor.visit('/jobs/orders');
    await visitor.sees('What limits this job');
    for (const name of ['Stop', 'Replay', 'Roll back', 'Cancel'])
      await page.getByRole('button', { name, exact: true }).waitFor({ state: 'detached' });
    assert.equal(await links('Edit'), 0);
    for (const [path, what] of [
      ['/jobs/orders/data', 'Rows at an operator'],
      ['/jobs/orders/dead-letters', 'Dead letters'],
      ['/topics/orders', 'Records of topics'],
      ['/tables', 'Rows of tables'],
      ['/editor', 'The job editor'],
    ] as const) {
      await visitor.visit(path);
      await visitor.sees(`${what}: not with the role viewer`);
      assert.deepEqual(await visitor.axe(), [], path);
    }
    await visitor.visit('/workers');
    assert.equal(await page.getByRole('button', { name: 'Drain' }).count(), 0);
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
  });

  test('dialogs are accessible and Escape closes them', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    await visitor.visit('/jobs/orders');
    const { page } = visitor;
    for (const name of ['Stop', 'Replay', 'Roll back', 'Cancel']) {
      await page.getByRole('button', { name, exact: true }).click();
      await page.getByRole('dialog').waitFor();
      assert.deepEqual(await visitor.axe(), [], name);
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }
    await visitor.close();
  });

  test('everything is reached by keyboard', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    const { page } = visitor;
    await visitor.sees('orders');
    await page.keyboard.press('/');
    await page.getByRole('combobox').waitFor();
    await page.keyboard.type('tot');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'totals', level: 1 }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('w');
    await page.getByRole('heading', { name: 'Workers', level: 1 }).waitFor();
    await page.keyboard.press('Tab');
    assert.notEqual(await page.evaluate(() => document.activeElement?.tagName), 'BODY');
    await visitor.close();
  });

  test('figures come by themselves, over one stream', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    const asked: string[] = [];
    visitor.page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await visitor.visit('/jobs/orders');
    await visitor.sees(/^203 read in all$/);
    await shop.produce('orders', 0, [order('late one'), order('another')]);
    await visitor.sees(/^205 read in all$/);
    assert.equal(asked.filter((path) => path === '/v1/jobs').length, 0, 'nothing is polled');
    assert.ok(asked.filter((path) => path === '/v1/events').length <= 2);
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
  });

  test('a master that goes away and comes back is noticed', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    await visitor.sees('Live');
    await visitor.page.context().setOffline(true);
    await visitor.page.evaluate(() => dispatchEvent(new Event('offline')));
    await visitor.page.getByRole('button', { name: 'Pause live figures' }).click();
    await visitor.page.getByRole('button', { name: 'Go on' }).click();
    await visitor.sees('No answer');
    await visitor.page.context().setOffline(false);
    await visitor.sees('Live');
    await visitor.close();
  });

  test('what a record holds is shown as text, never as markup', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    for (const path of ['/dead-letters', '/topics/orders?partition=3&from=50']) {
      await visitor.visit(path);
      await visitor.sees(/<img src=x onerror=alert\(1\)>/);
      assert.equal(await visitor.page.locator('img[src="x"]').count(), 0);
    }
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
  });

  test('a dead letter is edited and sent again', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    const { page } = visitor;
    const before = await shop.cluster.job('orders');
    await visitor.visit('/jobs/orders/dead-letters');
    await page.getByRole('button', { name: /^Open offset 51 / }).click();
    await page.getByLabel('Value to send').fill(order('mended', 77));
    await page.getByRole('button', { name: 'Replay edited' }).click();
    await visitor.sees('1 record sent again.');
    await until(
      'the row is there',
      20_000,
      async () => (await shop.cluster.job('orders')).counters.rowsOut > before.counters.rowsOut,
    );
    await visitor.visit('/tables');
    await page.getByRole('textbox', { name: 'Query' }).fill("SELECT id, amount FROM shop.orders WHERE id = 'mended'");
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('cell', { name: '77' }).waitFor();
    await visitor.close();
  });

  test('the editor completes, names mistakes with their line, runs samples and submits', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    const { page } = visitor;
    await visitor.visit('/editor');
    const file = page.getByLabel('Job file');
    await file.fill(ordersJob('amont > 0', 'orders', 'from-page'));
    await visitor.sees(/^Line 13, column \d+: .*amont/);
    await file.fill(ordersJob('amount > 40', 'orders', 'from-page'));
    await visitor.sees('The job would be accepted.');
    await file.press('Control+End');
    await file.pressSequentially('onBad');
    await page.getByRole('option', { name: /onBadRecord/ }).waitFor();
    await file.press('Enter');
    await file.pressSequentially('skip');
    assert.match(await file.inputValue(), /\nonBadRecord: skip$/);
    await page.getByRole('button', { name: /take five of orders/ }).click();
    const samples = page.getByLabel('Sample records of orders');
    await page.waitForFunction(() =>
      [...document.querySelectorAll('textarea')].some(({ value }) => value.startsWith('{')),
    );
    await samples.fill(`${order('x', 41)}\n${order('y', 2)}`);
    await page.getByRole('button', { name: 'Run on samples' }).click();
    await visitor.sees(/^1 row, 1 filtered$/);
    await page.getByRole('button', { name: 'Submit' }).click();
    await page.getByRole('button', { name: 'Submit the job' }).click();
    await page.getByRole('heading', { name: 'from-page', level: 1 }).waitFor();
    await visitor.sees('from-page is accepted.');
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
  });

  test('a chart over a query: columns, keyboard, refreshed by itself, kept in the address', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    const { page } = visitor;
    await visitor.visit('/tables');
    await page
      .getByRole('textbox', { name: 'Query' })
      .fill("SELECT customer, orders, amount FROM shop.totals WHERE customer IN ('ann', 'bob')");
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('combobox', { name: 'chart' }).selectOption('bars');
    const chart = page.getByRole('slider', { name: 'orders by customer' });
    await chart.waitFor();
    const said = async (): Promise<string> => (await chart.getAttribute('aria-valuetext')) ?? '';
    const places = [await said()];
    await chart.press('Home');
    await page.waitForFunction((before) => {
      const text = document.querySelector('[role=slider]')?.getAttribute('aria-valuetext');
      return text !== before;
    }, places[0]);
    places.push(await said());
    assert.deepEqual(places.map((text) => text.split(':')[0]).toSorted(), ['ann', 'bob']);
    await page.getByRole('checkbox', { name: 'amount' }).check();
    const both = page.getByRole('slider', { name: 'orders, amount by customer' });
    await both.waitFor();
    assert.ok((await drawn(both, '--c1')) > 100, 'bars of the first column');
    assert.ok((await drawn(both, '--c2')) > 100, 'bars of the second column');

    await page.getByRole('combobox', { name: 'ask again' }).selectOption('1');
    const before = await page.getByRole('row', { name: /^ann / }).innerText();
    await shop.produce('orders', 2, [order('for-the-chart', 1000, 'ann')]);
    await page.waitForFunction(
      (old) =>
        [...document.querySelectorAll('tr')].some(({ innerText }) => innerText.startsWith('ann') && innerText !== old),
      before,
    );
    await page.context().setOffline(true);
    await page.locator('.panel-head .bad').waitFor();
    assert.equal(await page.getByRole('row', { name: /^ann / }).count(), 1, 'what was answered last stays');
    await page.context().setOffline(false);
    await page.locator('.panel-head .bad').waitFor({ state: 'detached' });

    await page.getByRole('combobox', { name: 'chart' }).selectOption('line');
    await page.getByRole('combobox', { name: 'across' }).selectOption('time of asking');
    const times = page.getByRole('slider', { name: 'orders, amount by time' });
    await times.waitFor();
    const points = async (): Promise<number> => Number(await times.getAttribute('aria-valuemax'));
    const first = await points();
    await until('a point more', 10_000, async () => (await points()) > first);
    await page.reload();
    await times.waitFor();
    assert.equal(await page.getByRole('checkbox', { name: 'amount' }).isChecked(), true);
    assert.equal(await page.getByRole('combobox', { name: 'ask again' }).inputValue(), '1');
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
  });

  test('topics are browsed by offset and by text', async () => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    const { page } = visitor;
    await visitor.visit('/topics/orders?partition=1&from=48');
    await visitor.sees('1 @ 48');
    await visitor.sees('1 @ 49');
    assert.equal(await page.getByText('1 @ 47').count(), 0);
    await page.getByPlaceholder('Contains').fill('1-49');
    await visitor.sees('1 @ 49');
    assert.equal(await page.getByText('1 @ 48').count(), 0);
    await visitor.close();
  });

  test('without the token nothing is shown, and with it everything', async () => {
    const visitor = await Visitor.open(browser, shop.address, null);
    const { page } = visitor;
    await visitor.sees('This master asks for a token');
    assert.equal(await page.getByText('orders').count(), 0);
    assert.deepEqual(await visitor.axe(), []);
    await page.getByPlaceholder('Token').fill(TOKEN);
    await page.getByRole('button', { name: 'Open' }).click();
    await visitor.sees('orders');
    await visitor.close();
  });

  test('the first page is small', async (t) => {
    const visitor = await Visitor.open(browser, shop.address, TOKEN);
    await visitor.page.reload();
    await visitor.page.locator('main h1').waitFor();
    const { bytes, paint } = await visitor.page.evaluate(() => {
      interface Loaded {
        readonly name: string;
        readonly encodedBodySize: number;
      }
      const entries = (type: string): readonly Loaded[] =>
        performance.getEntriesByType(type) as unknown as readonly Loaded[];
      const files = entries('resource');
      const [page] = entries('navigation');
      const own = files.filter(({ name }) => new URL(name).pathname.startsWith('/ui/'));
      return {
        bytes: own.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, page?.encodedBodySize ?? 0),
        paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
      };
    });
    assert.ok(bytes > 10_000 && bytes <= UI_BYTES_MAX, `${bytes} bytes`);
    t.diagnostic(`${(bytes / 1024).toFixed(1)} KB, first paint after ${Math.round(paint)} ms`);
    await visitor.close();
  });
});

/** Pixels of a chart that have a colour of the style sheet. */
async function drawn(chart: Locator, name: string): Promise<number> {
  return await chart.evaluate((box, property) => {
    const probe = document.createElement('canvas').getContext('2d');
    const canvas = box.querySelector('canvas');
    const data = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data;
    if (probe === null || data === undefined) return 0;
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(property);
    probe.fillRect(0, 0, 1, 1);
    const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
    let found = 0;
    for (let at = 0; at < data.length; at += 4)
      if (data[at] === red && data[at + 1] === green && data[at + 2] === blue) found++;
    return found;
  }, name);
}
