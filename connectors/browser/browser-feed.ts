/**
 * Reads a site as a person with a browser would: list pages, and the pages they link to. One page per step, so that the
 * cursor in the log says exactly which pages are left; robots.txt and a pause between pages are kept.
 */
import type { Clock } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import { durationMs } from '../../core/duration.ts';
import { retryAfterMs } from '../../core/feed/backoff.ts';
import { afterDetail, afterList, afterPass, crawlCursor, nextCrawl, pageAddress } from '../../core/feed/crawl.ts';
import type { CrawlCursor } from '../../core/feed/crawl.ts';
import type { Feed, FeedRow, FeedStep, Json } from '../../core/feed/feed.ts';
import type { RobotRules } from '../../core/feed/robots.ts';
import { robotRules } from '../../core/feed/robots.ts';
import type { BrowserSpec } from '../../core/job/feed-spec.ts';
import { extractorScript } from '../../core/job/page-extractor.ts';
import type { Extract, PageContent, PageQuery, PageReader } from './chromium.ts';

/** How long a robots.txt is believed, ms. */
const ROBOTS_AGE_MS = 3_600_000;
const ROBOTS_BYTES_MAX = 512 * 1024;

export interface BrowserParts {
  readonly clock: Clock;
  readonly browser: PageReader;
  /** Throws: FORBIDDEN for a host that jobs may not reach. */
  readonly requireHost: (host: string) => Promise<void>;
}

interface HostState {
  readonly rules: RobotRules;
  /** Monotonic ms. */
  readonly readAt: number;
  mayReadAt: number;
}

export class BrowserFeed implements Feed {
  readonly #spec: BrowserSpec;
  readonly #parts: BrowserParts;
  readonly #hosts = new Map<string, HostState>();
  readonly #encoder = new TextEncoder();
  readonly #extractor: string | null;

  /** Throws: CONFIG_INVALID for an extractor that is none. */
  constructor(spec: BrowserSpec, parts: BrowserParts) {
    this.#spec = spec;
    this.#parts = parts;
    this.#extractor = spec.extract === undefined ? null : extractorScript(spec.extract);
  }

  async next(kept: Json, signal: AbortSignal, known: (id: string) => boolean): Promise<FeedStep> {
    const cursor = crawlCursor(kept);
    const step = nextCrawl(cursor, this.#spec.url);
    switch (step.kind) {
      case 'over':
        return { rows: [], cursor: plain(afterPass()), waitMs: durationMs(this.#spec.every), caughtUp: true };
      case 'list':
        return {
          rows: [],
          cursor: plain(await this.#list(cursor, step.url, signal, known)),
          waitMs: 0,
          caughtUp: false,
        };
      case 'detail': {
        const row = await this.#detail(step.url, signal);
        return { rows: row === null ? [] : [row], cursor: plain(afterDetail(cursor)), waitMs: 0, caughtUp: false };
      }
    }
  }

  async close(): Promise<void> {
    await this.#parts.browser.close();
  }

  async #list(
    cursor: CrawlCursor,
    url: string,
    signal: AbortSignal,
    known: (id: string) => boolean,
  ): Promise<CrawlCursor> {
    const { items, next, listReady, ignoreParameters, pagesMax, revisit } = this.#spec;
    const extracts: Extract[] = [
      { selector: items, attribute: 'href', all: true },
      ...(next === undefined ? [] : [{ selector: next, attribute: 'href', all: false }]),
    ];
    const page = await this.#read(url, listReady, { extracts, extractor: null }, signal);
    if (page === null || page.status >= 400) {
      const why = page === null ? 'robots.txt forbids it' : `it answered ${page.status}`;
      throw new WeirError('FEED_REFUSED', `${url} cannot be read: ${why}.`);
    }
    const [hrefs, nextHref] = page.values;
    const links = (Array.isArray(hrefs) ? (hrefs as readonly string[]) : []).flatMap((href) => {
      const address = pageAddress(href, page.url, ignoreParameters);
      return address === null || (!revisit && known(address)) ? [] : [address];
    });
    const follow = typeof nextHref === 'string' ? pageAddress(nextHref, page.url, []) : null;
    return afterList(cursor, url, links, follow, pagesMax);
  }

  /** null for a page that is gone, or that robots.txt forbids. */
  async #detail(url: string, signal: AbortSignal): Promise<FeedRow | null> {
    const names = Object.keys(this.#spec.fields);
    const extracts = Object.values(this.#spec.fields).map((field): Extract =>
      typeof field === 'string'
        ? { selector: field, attribute: null, all: false }
        : { selector: field.selector, attribute: field.attribute ?? null, all: field.all },
    );
    const page = await this.#read(url, this.#spec.detailReady, { extracts, extractor: this.#extractor }, signal);
    if (page === null || page.status >= 400) return null;
    const fields = new Map<string, unknown>([
      ['url', url],
      ...names.map((name, index) => [name, page.values[index] ?? null] as const),
      ...Object.entries(page.extracted === null ? {} : (JSON.parse(page.extracted) as object)),
    ]);
    fields.set('url', url);
    // A page that its extractor was not written for holds up no others: the row says so.
    if (page.problem !== null) fields.set('extractError', page.problem);
    return { id: url, value: this.#encoder.encode(JSON.stringify(Object.fromEntries(fields))) };
  }

  /** null where robots.txt forbids. Throws for answers that may be another one later. */
  async #read(
    url: string,
    ready: string | undefined,
    query: PageQuery,
    signal: AbortSignal,
  ): Promise<PageContent | null> {
    const { clock, browser } = this.#parts;
    const { origin, pathname, search } = new URL(url);
    const host = await this.#host(origin, signal);
    if (!host.rules.allows(pathname + search)) return null;
    const wait = host.mayReadAt - clock.mono();
    if (wait > 0) await clock.sleep(wait, signal);
    try {
      const page = await browser.read(url, ready, query, durationMs(this.#spec.timeout), signal);
      requirePage(origin + pathname, page, clock.now());
      return page;
    } finally {
      host.mayReadAt = clock.mono() + Math.max(durationMs(this.#spec.delay), host.rules.delayMs);
    }
  }

  async #host(origin: string, signal: AbortSignal): Promise<HostState> {
    const { clock } = this.#parts;
    const known = this.#hosts.get(origin);
    if (known !== undefined && clock.mono() - known.readAt < ROBOTS_AGE_MS) return known;
    const rules = robotRules(await this.#robots(origin, signal), this.#spec.userAgent);
    const state = { rules, readAt: clock.mono(), mayReadAt: known?.mayReadAt ?? Number.NEGATIVE_INFINITY };
    this.#hosts.set(origin, state);
    return state;
  }

  /** The text of robots.txt; '' where there is none. A host that cannot say forbids for the moment (RFC 9309, 2.3.1). */
  async #robots(origin: string, signal: AbortSignal): Promise<string> {
    const { clock } = this.#parts;
    const tooLong = new AbortController();
    const cancel = clock.timer(durationMs(this.#spec.timeout), () => tooLong.abort(new Error('no answer')));
    try {
      await this.#parts.requireHost(new URL(origin).hostname);
      const response = await fetch(`${origin}/robots.txt`, {
        redirect: 'manual',
        headers: { 'user-agent': this.#spec.userAgent },
        signal: AbortSignal.any([signal, tooLong.signal]),
      });
      if (response.status >= 500 || response.status === 429) throw new Error(`it answered ${response.status}`);
      const text = await response.text();
      return response.ok ? text.slice(0, ROBOTS_BYTES_MAX) : '';
    } catch (error) {
      if (signal.aborted || error instanceof WeirError) throw error;
      const text = `${origin}/robots.txt cannot be read, so nothing of the host is: ${String(error)}.`;
      throw new WeirError('SOURCE_UNAVAILABLE', text, { cause: error });
    } finally {
      cancel();
    }
  }
}

function requirePage(place: string, { status, retryAfter }: PageContent, nowMs: number): void {
  if (status === 401 || status === 403)
    throw new WeirError('UNAUTHORIZED', `${place} answered ${status}: the site does not let this reader in.`);
  if (status === 408 || status === 429 || status >= 500) {
    const after = retryAfterMs(retryAfter, nowMs);
    const facts = { status, ...(after === undefined ? {} : { retryAfterMs: after }) };
    throw new WeirError('SOURCE_UNAVAILABLE', `${place} answered ${status}; it is asked again.`, { facts });
  }
}

function plain(cursor: CrawlCursor): Json {
  return cursor as unknown as Json;
}
