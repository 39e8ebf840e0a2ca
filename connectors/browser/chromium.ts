/**
 * The system's Chromium, driven over its DevTools protocol by playwright-core. One page at a time, in one tab: a tab of its
 * own for every page would be a process of its own, which costs more than most pages.
 */
import { existsSync } from 'node:fs';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { WeirError, messageOf } from '../../core/errors.ts';

/** What is read off a page. */
export interface Extract {
  readonly selector: string;
  /** null = the text. */
  readonly attribute: string | null;
  /** All that match, as a list; else the first. */
  readonly all: boolean;
}

/** What is asked of a page. */
export interface PageQuery {
  readonly extracts: readonly Extract[];
  /** JavaScript of a function of the document; null = none. */
  readonly extractor: string | null;
}

export interface PageContent {
  readonly status: number;
  /** After redirects. */
  readonly url: string;
  readonly retryAfter: string | null;
  /** In the order of the extracts; null where nothing matches. */
  readonly values: readonly (string | null | readonly string[])[];
  /** JSON of what the extractor gave; null = nothing was asked of one, or it failed. */
  readonly extracted: string | null;
  /** Why the extractor failed; null = it did not. */
  readonly problem: string | null;
}

export interface PageReader {
  /** Throws: SOURCE_UNAVAILABLE, CONFIG_INVALID when there is no browser; the signal's reason. */
  read(
    url: string,
    ready: string | undefined,
    query: PageQuery,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<PageContent>;
  close(): Promise<void>;
}

/** Where distributions put it. */
const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** Path of the browser: the one given, else where systems have it. Throws: CONFIG_INVALID where there is none. */
export function chromiumPath(given?: string): string {
  const path = given ?? places.find((place) => existsSync(place));
  if (path !== undefined && existsSync(path)) return path;
  throw new WeirError(
    'CONFIG_INVALID',
    `There is no Chromium at ${given ?? places.join(', ')}; install it (apt-get install chromium), or set WEIR_CHROMIUM to where it is.`,
  );
}

/** A tab is left for another one after so many pages, and takes with it what they kept in memory. */
const TAB_PAGES_MAX = 200;

/** Not needed for what stands on a page. */
const unwanted = new Set(['image', 'media', 'font']);

export class Chromium implements PageReader {
  readonly #path: string | undefined;
  readonly #userAgent: string;
  #context: Promise<{ readonly browser: Browser; readonly context: BrowserContext }> | null = null;

  readonly #requireHost: (host: string) => Promise<void>;
  #tab: Page | null = null;
  #tabPages = 0;

  /**
   * Starts with the first page. `path`: default = the first of the usual places. What a page asks of hosts that
   * `requireHost` throws for is not sent.
   */
  constructor(path: string | undefined, userAgent: string, requireHost: (host: string) => Promise<void>) {
    this.#path = path;
    this.#userAgent = userAgent;
    this.#requireHost = requireHost;
  }

  async read(
    url: string,
    ready: string | undefined,
    query: PageQuery,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<PageContent> {
    signal.throwIfAborted();
    const { context } = await this.#open();
    const page = await this.#tabOf(context);
    const stop = (): void => void page.close().catch(() => undefined);
    signal.addEventListener('abort', stop, { once: true });
    try {
      const response = await page.goto(url, { waitUntil: 'domcontentloaded', timeout: timeoutMs });
      const status = response?.status() ?? 0;
      const retryAfter = (await response?.headerValue('retry-after')) ?? null;
      if (status >= 400) return { status, url: page.url(), retryAfter, values: [], extracted: null, problem: null };
      if (ready !== undefined) await page.waitForSelector(ready, { state: 'attached', timeout: timeoutMs });
      // Scripts of the page may have made what is asked for never end; evaluate() would wait for them without an end.
      const found = await page.waitForFunction(scriptOf(query), undefined, { timeout: timeoutMs, polling: 100 });
      return { status, url: page.url(), retryAfter, ...((await found.jsonValue()) as PageRead) };
    } catch (error) {
      await this.#leaveTab();
      if (signal.aborted) throw signal.reason;
      const first = messageOf(error).split('\n')[0] ?? '';
      throw new WeirError('SOURCE_UNAVAILABLE', `${withoutParameters(url)} cannot be read: ${first}.`, {
        cause: error,
      });
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async #tabOf(context: BrowserContext): Promise<Page> {
    if (this.#tabPages++ >= TAB_PAGES_MAX || this.#tab?.isClosed() === true) await this.#leaveTab();
    try {
      return (this.#tab ??= await context.newPage());
    } catch (error) {
      // It crashed, or was killed: the next page starts another one.
      await this.close();
      throw new WeirError('SOURCE_UNAVAILABLE', `the browser ended: ${messageOf(error)}.`, { cause: error });
    }
  }

  async #leaveTab(): Promise<void> {
    const tab = this.#tab;
    this.#tab = null;
    this.#tabPages = 0;
    await tab?.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    const opened = this.#context;
    this.#context = null;
    this.#tab = null;
    this.#tabPages = 0;
    const { browser } = (await opened?.catch(() => null)) ?? {};
    await browser?.close().catch(() => undefined);
  }

  #open(): Promise<{ readonly browser: Browser; readonly context: BrowserContext }> {
    this.#context ??= this.#launch().catch((error: unknown) => {
      this.#context = null;
      throw error;
    });
    return this.#context;
  }

  async #launch(): Promise<{ readonly browser: Browser; readonly context: BrowserContext }> {
    const executablePath = chromiumPath(this.#path);
    const { chromium } = await import('playwright-core').catch((error: unknown) => {
      throw new WeirError(
        'CONFIG_INVALID',
        'The package playwright-core is not installed; npm install playwright-core.',
        {
          cause: error,
        },
      );
    });
    try {
      // Shared memory is small in containers.
      const browser = await chromium.launch({ executablePath, args: ['--disable-dev-shm-usage', '--disable-gpu'] });
      // A page's policy about scripts is for its own: it must not forbid that the page is read.
      const context = await browser.newContext({ userAgent: this.#userAgent, bypassCSP: true });
      await context.route('**/*', async (route) => {
        const request = route.request();
        const isWanted =
          !unwanted.has(request.resourceType()) &&
          (await this.#requireHost(new URL(request.url()).hostname).then(
            () => true,
            () => false,
          ));
        await (isWanted ? route.continue() : route.abort()).catch(() => undefined);
      });
      return { browser, context };
    } catch (error) {
      throw new WeirError('SOURCE_UNAVAILABLE', `Chromium does not start: ${messageOf(error).split('\n')[0] ?? ''}.`, {
        cause: error,
      });
    }
  }
}

type PageRead = Pick<PageContent, 'values' | 'extracted' | 'problem'>;

/** What runs in the page. The extractor is part of it, so that nothing has to be evaluated there. */
function scriptOf({ extracts, extractor }: PageQuery): string {
  return `(${readPage.toString()})(${JSON.stringify(extracts)}, ${extractor ?? 'null'})`;
}

/** Runs in the page, by its text: it may use nothing from around it. */
async function readPage(
  extracts: readonly Extract[],
  extractor: ((page: unknown) => unknown) | null,
): Promise<PageRead> {
  const { document } = globalThis as unknown as { readonly document: PageDocument };
  const values = extracts.map(({ selector, attribute, all }) => {
    const valueOf = (element: PageElement): string | null =>
      attribute === null ? (element.textContent ?? '').replaceAll(/\s+/g, ' ').trim() : element.getAttribute(attribute);
    if (all) return [...document.querySelectorAll(selector)].map(valueOf).filter((value) => value !== null);
    const first = document.querySelector(selector);
    return first === null ? null : valueOf(first);
  });
  if (extractor === null) return { values, extracted: null, problem: null };
  try {
    const given: unknown = await extractor(document);
    const isObject = typeof given === 'object' && given !== null && !Array.isArray(given);
    return isObject
      ? { values, extracted: JSON.stringify(given), problem: null }
      : { values, extracted: null, problem: 'extract gave no object' };
  } catch (error) {
    return { values, extracted: null, problem: String(error).slice(0, 500) };
  }
}

interface PageElement {
  readonly textContent: string | null;
  getAttribute(name: string): string | null;
}

interface PageDocument {
  querySelector(selector: string): PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement>;
}

function withoutParameters(url: string): string {
  return url.replace(/[?#].*$/, '');
}
