/** The browser feed against the listing site with a real Chromium. Fails, and names what is missing, without one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { BrowserFeed } from '../../connectors/browser/browser-feed.ts';
import type { PageReader } from '../../connectors/browser/chromium.ts';
import { Chromium } from '../../connectors/browser/chromium.ts';
import { systemClock } from '../../connectors/system/clock.ts';
import type { FeedRow, Json } from '../../core/feed/feed.ts';
import type { BrowserSpec } from '../../core/job/feed-spec.ts';
import { feedSpecSchema } from '../../core/job/feed-spec.ts';
import { isWeirError } from '../../core/errors.ts';
import type { ListingSite } from '../../jobs/site/server.ts';
import { startListingSite } from '../../jobs/site/server.ts';

const everyHost = (): Promise<void> => Promise.resolve();
const forever = new AbortController().signal;

suite('a site whose pages are drawn by a script', () => {
  let site: ListingSite;
  let browser: Chromium;
  before(async () => {
    site = await startListingSite({ seed: 7 });
    browser = new Chromium(process.env['WEIR_CHROMIUM'], 'weir-test', everyHost);
  });
  after(async () => {
    await browser?.close();
    await site?.close();
  });

  const feedOf = (options: object = {}, reader: PageReader = browser): BrowserFeed => {
    const spec = feedSpecSchema.parse({
      connector: 'browser',
      url: `${site.url}/browse`,
      items: 'a.card',
      next: 'a.next',
      listReady: 'main.drawn',
      detailReady: 'main.drawn',
      delay: '0ms',
      ignoreParameters: ['utm_source', 'page'],
      fields: {
        id: { selector: 'article', attribute: 'data-id' },
        title: 'h1',
        price: '.price',
        pictures: { selector: 'img', attribute: 'src', all: true },
      },
      ...options,
    }) as BrowserSpec;
    return new BrowserFeed(spec, { clock: systemClock, browser: reader, requireHost: everyHost });
  };

  /** A pass, by a feed of its own per step as if each had crashed: only the cursor and the rows are carried on. */
  const crawl = async (
    options: object,
    from: Json = null,
    rows = new Map<string, FeedRow>(),
  ): Promise<Map<string, FeedRow>> => {
    for (let cursor = from; ;) {
      const step = await feedOf(options).next(cursor, forever, (id) => rows.has(id));
      for (const row of step.rows) {
        assert.ok(!rows.has(row.id ?? ''), `${row.id} was read twice`);
        rows.set(row.id ?? '', row);
      }
      cursor = JSON.parse(JSON.stringify(step.cursor)) as Json;
      if (step.caughtUp) return rows;
    }
  };

  test('list pages, their detail pages once each, then the next list page', async () => {
    const rows = await crawl({ pagesMax: 2 });
    const ids = [...rows.keys()].map((url) => url.slice(url.lastIndexOf('/') + 1));
    assert.deepEqual(ids, [...new Set(ids)]);
    assert.ok(ids.length > 20 && ids.every((id) => site.listings.some((listing) => listing.id === id)));
    const first = site.listings[0];
    const row = JSON.parse(new TextDecoder().decode([...rows.values()][0]?.value)) as Record<string, unknown>;
    assert.deepEqual([row['id'], row['title']], [first?.id, first?.title]);
    assert.match(String(row['price']), /£[\d,]+/);
    assert.ok(Array.isArray(row['pictures']));
    const before = rows.size;
    await crawl({ pagesMax: 2 }, null, rows);
    assert.equal(rows.size, before, 'a second pass reads only what is new');
  });

  test('a page that is slow, and a browser that is not there', async () => {
    const slow = feedOf({ listReady: '.never', timeout: '200ms' });
    await assert.rejects(
      slow.next(null, forever, () => false),
      (error: unknown) => isWeirError(error, 'SOURCE_UNAVAILABLE'),
    );
    const none = feedOf({}, new Chromium('/nowhere/chromium', 'weir-test', everyHost));
    await assert.rejects(
      none.next(null, forever, () => false),
      /There is no Chromium at \/nowhere\/chromium; install it/,
    );
  });

  test('a page whose script never ends is given up, and the next one is read', async (context) => {
    let script = 'document.querySelectorAll = () => { for (;;); }';
    const server = createServer((request, response) => {
      if (request.url === '/robots.txt') response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': 'text/html' }).end(`<a href=/1>1</a><script>${script}</script>`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list`;
    const feed = feedOf({ url, items: 'a', next: undefined, listReady: undefined, timeout: '2s' });
    await assert.rejects(
      feed.next(null, forever, () => false),
      (error: unknown) => isWeirError(error, 'SOURCE_UNAVAILABLE'),
    );
    script = '';
    const { cursor } = await feed.next(null, forever, () => false);
    assert.match(JSON.stringify(cursor), /\/1"/);
  });

  test('a field that a page does not have is null, and the others are there', async () => {
    const fields = { id: { selector: 'article', attribute: 'data-id' }, owner: '.never', title: 'h1' };
    const feed = feedOf({ fields, pagesMax: 1 });
    let step = await feed.next(null, forever, () => false);
    while (step.rows.length === 0) step = await feed.next(step.cursor, forever, () => false);
    const row = JSON.parse(new TextDecoder().decode(step.rows[0]?.value)) as Record<string, unknown>;
    assert.deepEqual([row['owner'], typeof row['id'], typeof row['title']], [null, 'string', 'string']);
  });

  const firstRow = async (options: object): Promise<Record<string, unknown>> => {
    const feed = feedOf(options);
    let step = await feed.next(null, forever, () => false);
    while (step.rows.length === 0) step = await feed.next(step.cursor, forever, () => false);
    return JSON.parse(new TextDecoder().decode(step.rows[0]?.value)) as Record<string, unknown>;
  };

  test('the extractor of the page of docs: a function of TypeScript that runs in the page', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/connectors/browser.md'), 'utf8');
    const [, extract = ''] = /```yaml\n {4}extract: \|\n([^]*?)```/.exec(page) ?? [];
    const row = await firstRow({ fields: { heading: 'h1' }, extract });
    const listing = site.listings.find(({ id }) => String(row['url']).endsWith(id));
    assert.ok(listing !== undefined);
    assert.deepEqual(Object.keys(row), ['url', 'heading', 'title', 'price', 'rooms']);
    assert.equal(row['heading'], listing.title);
    assert.ok(Number(row['price']) > 1000, JSON.stringify(row));
    assert.ok(Array.isArray(row['rooms']));
  });

  test('an extractor that fails, gives no object or never ends', async () => {
    const thrown = await firstRow({ fields: { title: 'h1' }, extract: '(page) => ({ a: page.nobody.knows })' });
    assert.equal(typeof thrown['title'], 'string', 'the other fields are there');
    assert.match(String(thrown['extractError']), /TypeError.*knows/);
    const nothing = await firstRow({ extract: 'async (page: Document) => page.title', fields: {} });
    assert.deepEqual(
      [Object.keys(nothing), nothing['extractError']],
      [['url', 'extractError'], 'extract gave no object'],
    );
    const later = await firstRow({
      extract: 'async (page) => ({ url: "other", n: await Promise.resolve(7) })',
      fields: {},
    });
    assert.deepEqual(
      [later['n'], String(later['url']).startsWith(site.url)],
      [7, true],
      'the address stays the page’s',
    );
    await assert.rejects(firstRow({ extract: '() => { for (;;); }', timeout: '2s' }), (error: unknown) =>
      isWeirError(error, 'SOURCE_UNAVAILABLE'),
    );
    assert.throws(() => feedOf({ extract: '(page: Document) => ({' }), /extract is no TypeScript function/);
  });

  test('a page that allows no scripts but its own is read all the same', async (context) => {
    const server = createServer((request, response) => {
      if (request.url === '/robots.txt') response.writeHead(404).end();
      else
        response
          .writeHead(200, { 'content-type': 'text/html', 'content-security-policy': "default-src 'self'" })
          .end('<title>strict</title><a href=/1>1</a>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list`;
    const row = await firstRow({
      url,
      items: 'a',
      next: undefined,
      listReady: undefined,
      detailReady: undefined,
      timeout: '5s',
      fields: { link: 'a' },
      extract: '(page) => ({ title: page.title })',
    });
    assert.deepEqual([row['link'], row['title']], ['1', 'strict']);
  });

  test('a site that lets nobody in, and one that is in trouble', async (context) => {
    let status = 401;
    const server = createServer((request, response) =>
      response
        .writeHead(request.url === '/robots.txt' ? 404 : status, { 'content-type': 'text/html' })
        .end('<p>no</p>'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list`;
    for (const [answer, code] of [
      [401, 'UNAUTHORIZED'],
      [403, 'UNAUTHORIZED'],
      [503, 'SOURCE_UNAVAILABLE'],
    ] as const) {
      status = answer;
      const refused = feedOf({ url, timeout: '5s' }).next(null, forever, () => false);
      await assert.rejects(refused, (error: unknown) => isWeirError(error, code), `answered ${answer}`);
    }
  });

  test('what robots.txt forbids is not read', async () => {
    const forbidden = feedOf({ url: `${site.url}/admin/list` });
    await assert.rejects(
      forbidden.next(null, forever, () => false),
      (error: unknown) => {
        assert.ok(isWeirError(error, 'FEED_REFUSED'));
        assert.match(error.message, /robots\.txt forbids it/);
        return true;
      },
    );
  });
});
