import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Clock, Log } from '../../sdk/producer.ts';
import type { CrawledListing } from './crawler.ts';
import { Crawler, parseListPage, parseRobots } from './crawler.ts';
import { LISTING_COUNT, deadlyFaults, makeListings } from './listings.ts';
import type { ListingSite } from './server.ts';
import { startListingSite } from './server.ts';

const clock: Clock = {
  now: () => 0,
  mono: () => 0,
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
  timer: () => () => undefined,
};
const log: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => log,
};

let site: ListingSite;
before(async () => {
  site = await startListingSite({ seed: 1 });
});
after(() => site.close());

async function crawlAll(crawler: Crawler): Promise<CrawledListing[]> {
  const all: CrawledListing[] = [];
  for await (const page of crawler.crawl()) all.push(...page);
  return all;
}

test('listings are a function of the seed', () => {
  const texts = (seed: number): string[] =>
    makeListings(seed).map((listing) => Buffer.from(listing.detail(3)).toString('latin1'));
  assert.deepEqual(texts(1), texts(1));
  assert.notDeepEqual(texts(1), texts(2));
  assert.equal(new Set(makeListings(1).map((listing) => listing.id)).size, LISTING_COUNT);
});

test('one pass finds every listing, the next one only what changed', async () => {
  const crawler = new Crawler({ url: site.url, clock, signal: new AbortController().signal, log });
  const first = await crawlAll(crawler);
  const ids = new Set(site.listings.map((listing) => listing.id));
  assert.deepEqual(new Set(first.map((listing) => listing.id)), ids);
  assert.equal(first.length, LISTING_COUNT, 'a listing shown on two pages did not change in between');
  for (const { id, body } of first) {
    const expected = site.listings.find((listing) => listing.id === id)?.detail(0);
    assert.deepEqual(Buffer.from(body), Buffer.from(expected ?? []));
  }
  const second = await crawlAll(crawler);
  assert.ok(second.length > 0 && second.length < LISTING_COUNT / 3, `${second.length} changed`);
});

test('list pages show some listings twice and stop at the last page', async () => {
  const seen: string[] = [];
  let pages = 0;
  for (let href: string | null = '/for-sale?page=1'; href !== null; pages++) {
    const page: ReturnType<typeof parseListPage> = parseListPage(await (await fetch(`${site.url}${href}`)).text());
    seen.push(...page.links.map((link) => link.id));
    href = page.nextHref;
  }
  assert.ok(pages >= 10);
  assert.ok(seen.length > LISTING_COUNT);
  assert.equal(new Set(seen).size, LISTING_COUNT);
  assert.equal((await fetch(`${site.url}/for-sale?page=${pages + 1}`)).status, 404);
});

test('the faults are what they say', () => {
  const problemOf = (body: Uint8Array): string | null => {
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    } catch {
      return 'latin-1 bytes';
    }
    let value: Record<string, unknown>;
    try {
      value = JSON.parse(text) as Record<string, unknown>;
    } catch {
      return text.startsWith('<') ? 'error page' : 'cut short';
    }
    if (value['id'] === undefined) return 'no id';
    if (!/^\d+$/.test(String(value['bedrooms']))) return 'bedrooms in words';
    if (!Array.isArray(value['pictures'])) return 'pictures not a list';
    const price = value['price'];
    if (price === undefined || price === '' || price === 'POA') return 'price missing';
    return /^(|Offers over |Guide price |From )£[\d,]+$/.test(String(price)) ? null : 'price not a number';
  };
  const faults = new Map<string, number>();
  for (const listing of makeListings(1)) {
    assert.equal(problemOf(listing.detail(0)), listing.fault, listing.id);
    if (listing.fault !== null) faults.set(listing.fault, (faults.get(listing.fault) ?? 0) + 1);
  }
  for (const fault of [...deadlyFaults, 'price missing']) assert.ok((faults.get(fault) ?? 0) > 0, fault);
});

test('robots.txt: the delay for everybody and what not to read', () => {
  const rules = parseRobots(
    'User-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /admin/ # no\nCrawl-delay: 2\n',
  );
  assert.deepEqual(rules, { delayMs: 2000, disallowed: ['/admin/'] });
});

test('a list page without listings, with odd markup, gives nothing', () => {
  assert.deepEqual(parseListPage('<h1>503</h1>'), { links: [], nextHref: null });
  assert.deepEqual(parseListPage('<article class="listing" data-listing-id=""><a href="/x">x</a></article>').links, []);
});

test('a site that is down ends the pass and the next one works', async () => {
  const gone = await startListingSite({ seed: 2 });
  const crawler = new Crawler({ url: gone.url, clock, signal: new AbortController().signal, log });
  await gone.close();
  assert.deepEqual(await crawlAll(crawler), []);
  const back = await startListingSite({ seed: 2, port: Number(new URL(gone.url).port) });
  try {
    assert.equal((await crawlAll(crawler)).length, LISTING_COUNT);
  } finally {
    await back.close();
  }
});
