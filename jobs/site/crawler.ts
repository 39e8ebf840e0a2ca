/** Reads a listing site: list pages one after the other, then the details they link to. One request at a time. */
import type { Clock, Log } from '../../sdk/producer.ts';
import { pause } from '../../sdk/producer.ts';

/** What one list page says. */
export interface ListPage {
  /** In the order of the page; without repetitions. */
  readonly links: readonly { readonly id: string; readonly href: string }[];
  readonly nextHref: string | null;
}

/** Finds listings and the link to the next page in a list page's HTML. Adverts and broken entries are left out. */
export function parseListPage(html: string): ListPage {
  const links = new Map<string, string>();
  for (const [article] of html.matchAll(/<article class="listing"[^>]*>.*?<\/article>/gs)) {
    const id = /data-listing-id="(\d+)"/.exec(article)?.[1];
    const href = /<a href="([^"]+)"/.exec(article)?.[1];
    if (id !== undefined && href !== undefined && !links.has(id)) links.set(id, unescapeHtml(href));
  }
  const next = /<a rel="next" href="([^"]+)"/.exec(html)?.[1];
  return {
    links: [...links].map(([id, href]) => ({ id, href })),
    nextHref: next === undefined ? null : unescapeHtml(next),
  };
}

function unescapeHtml(text: string): string {
  return text.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

/** What robots.txt asks of everybody. */
export interface CrawlRules {
  readonly delayMs: number;
  readonly disallowed: readonly string[];
}

export function parseRobots(text: string): CrawlRules {
  const disallowed: string[] = [];
  let delayMs = 0;
  let forEverybody = false;
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Za-z-]+)\s*:\s*(.*?)\s*(#.*)?$/.exec(line);
    const name = match?.[1]?.toLowerCase();
    const value = match?.[2] ?? '';
    if (name === 'user-agent') forEverybody = value === '*';
    else if (forEverybody && name === 'disallow' && value !== '') disallowed.push(value);
    else if (forEverybody && name === 'crawl-delay' && Number(value) > 0) delayMs = Number(value) * 1000;
  }
  return { delayMs, disallowed };
}

/** A detail page as it came, whatever it holds. */
export interface CrawledListing {
  readonly id: string;
  readonly body: Uint8Array;
}

export interface CrawlerOptions {
  /** Of the site, without a slash at the end. */
  readonly url: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: Log;
}

const USER_AGENT = 'weir-example-crawler/1 (bundled example; reads its own local site)';
const REQUEST_TRIES = 5;
const RETRY_AFTER_MS_DEFAULT = 1000;
const RETRY_AFTER_MS_MAX = 30_000;
const REQUEST_TIMEOUT_MS = 10_000;

/** Remembers what it saw, so that a repeated crawl gives only what changed. */
export class Crawler {
  readonly #options: CrawlerOptions;
  readonly #etags = new Map<string, string>();
  #rules: CrawlRules | undefined;

  constructor(options: CrawlerOptions) {
    this.#options = options;
  }

  /**
   * One pass over all pages; gives the new and changed listings page by page. Ends early when the signal is aborted.
   * A page that cannot be read after some tries is left for the next pass.
   */
  async *crawl(): AsyncGenerator<readonly CrawledListing[]> {
    if (this.#rules === undefined) {
      const robots = await this.#get('/robots.txt');
      if (robots === undefined) return;
      this.#rules = parseRobots(robots.body);
    }
    for (let href: string | null = '/for-sale?page=1'; href !== null;) {
      const answer: Answer | undefined = await this.#get(href);
      if (answer === undefined) return;
      const page: ListPage = parseListPage(answer.body);
      const changed: CrawledListing[] = [];
      for (const link of page.links) {
        const detail = await this.#get(link.href, this.#etags.get(link.id));
        if (this.#options.signal.aborted) return;
        if (detail === undefined || detail.bytes === null) continue;
        if (detail.etag !== null) this.#etags.set(link.id, detail.etag);
        changed.push({ id: link.id, body: detail.bytes });
      }
      yield changed;
      href = page.nextHref;
    }
  }

  /** undefined when the address gives nothing to use. `bytes` is null when nothing changed. */
  async #get(href: string, etag?: string): Promise<Answer | undefined> {
    const { url, clock, signal, log } = this.#options;
    const target = new URL(href, url);
    if (this.#rules?.disallowed.some((path) => target.pathname.startsWith(path)) === true) return undefined;
    for (let attempt = 0; attempt < REQUEST_TRIES && !signal.aborted; attempt++) {
      if (this.#rules !== undefined) await pause(clock, this.#rules.delayMs, signal);
      let waitMs = RETRY_AFTER_MS_DEFAULT * 2 ** attempt;
      try {
        const headers = { 'user-agent': USER_AGENT, ...(etag === undefined ? {} : { 'if-none-match': etag }) };
        const response = await fetch(target, {
          headers,
          signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
        });
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (response.status === 304) return { bytes: null, body: '', etag: etag ?? null };
        if (response.ok) return { bytes, body: new TextDecoder().decode(bytes), etag: response.headers.get('etag') };
        if (response.status !== 429 && response.status < 500) {
          log.warn({ url: target.href, status: response.status }, 'the site has no such page');
          return undefined;
        }
        const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
        if (Number.isFinite(retryAfter)) waitMs = retryAfter * 1000;
      } catch (error) {
        if (signal.aborted) return undefined;
        log.debug({ url: target.href, error: String(error) }, 'the site does not answer');
      }
      await pause(clock, Math.min(waitMs, RETRY_AFTER_MS_MAX), signal);
    }
    if (!signal.aborted) log.warn({ url: target.href }, 'gave up on a page until the next pass');
    return undefined;
  }
}

interface Answer {
  readonly bytes: Uint8Array | null;
  readonly body: string;
  readonly etag: string | null;
}
