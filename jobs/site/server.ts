/**
 * A property-listing site on loopback, to have something real to crawl without troubling anybody's servers:
 *
 *   GET /robots.txt              crawl delay and what not to read
 *   GET /for-sale?page=N         HTML, twelve listings a page, some of them on two pages, with a link to the next page
 *   GET /api/listings/ID         JSON of one listing (or what is left of it), with an ETag
 *
 * Every twentieth answer to a detail is 503 the first time, as sites do under load. Prices move once a week; a week
 * passes whenever somebody reads the first page again.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Listing } from './listings.ts';
import { drawnPage } from './drawn-pages.ts';
import { makeListings } from './listings.ts';

export interface ListingSiteOptions {
  readonly seed: number;
  /** Default: loopback. */
  readonly host?: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
}

export interface ListingSite {
  /** Without a slash at the end. */
  readonly url: string;
  readonly listings: readonly Listing[];
  close(): Promise<void>;
}

const PAGE_SIZE = 12;
/** Every so many-th listing shows up on the following page again. */
const REPEATED_EVERY = 15;

export async function startListingSite(options: ListingSiteOptions): Promise<ListingSite> {
  const listings = makeListings(options.seed);
  const site = new Site(listings);
  const server = createServer((request, response) => site.answer(request, response));
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  return { url: `http://${address}:${port}`, listings, close: () => closeServer(server) };
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

class Site {
  readonly #byId: ReadonlyMap<string, Listing>;
  readonly #pages: readonly (readonly Listing[])[];
  /** Ids that were refused once; the second try is answered. */
  readonly #refused = new Set<string>();
  #week = 0;
  #firstPageReads = 0;

  constructor(listings: readonly Listing[]) {
    this.#byId = new Map(listings.map((listing) => [listing.id, listing]));
    const shown = listings.flatMap((listing, index) => (index % REPEATED_EVERY === 3 ? [listing, listing] : [listing]));
    // The repeated ones move away from each other, over a page's edge.
    const order = shown.map((listing, index) => ({
      listing,
      at: shown[index - 1] === listing ? index + PAGE_SIZE : index,
    }));
    order.sort((a, b) => a.at - b.at);
    this.#pages = Array.from({ length: Math.ceil(order.length / PAGE_SIZE) }, (_, page) =>
      order.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).map((entry) => entry.listing),
    );
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://site');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      this.#end(response, 405, 'text/plain', 'only GET');
    } else if (url.pathname === '/robots.txt') {
      this.#end(response, 200, 'text/plain', 'User-agent: *\nDisallow: /admin/\nCrawl-delay: 0.002\n');
    } else if (url.pathname === '/for-sale') {
      this.#page(response, Number(url.searchParams.get('page') ?? '1'));
    } else if (url.pathname === '/browse' || url.pathname.startsWith('/browse/')) {
      this.#end(response, 200, 'text/html; charset=utf-8', drawnPage(url.pathname));
    } else if (url.pathname === '/api/pages') {
      this.#pageData(response, Number(url.searchParams.get('page') ?? '1'));
    } else if (url.pathname.startsWith('/api/listings/')) {
      this.#detail(request, response, url.pathname.slice('/api/listings/'.length));
    } else {
      this.#end(response, 404, 'text/plain', 'not here');
    }
  }

  #page(response: ServerResponse, number: number): void {
    const page = this.#pages[number - 1];
    if (page === undefined) return this.#end(response, 404, 'text/html; charset=utf-8', '<h1>No such page</h1>');
    if (number === 1 && this.#firstPageReads++ > 0) this.#week++;
    const items = page.map(
      ({ id, title }) =>
        `<article class="listing" data-listing-id="${id}"><h2><a href="/api/listings/${id}?utm_source=list&amp;page=${number}">${escapeHtml(title)}</a></h2></article>`,
    );
    // Advertisements look like listings and are not.
    items.splice(5, 0, '<article class="advert" data-listing-id="">Mortgages from 4.1 %&nbsp;&hellip;</article>');
    const next =
      number < this.#pages.length ? `<a rel="next" href="/for-sale?page=${number + 1}">Next &rsaquo;</a>` : '';
    const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Homes for sale, page ${number}</title>\n${items.join('\n')}\n${next}</html>`;
    this.#end(response, 200, 'text/html; charset=utf-8', html);
  }

  /** What the script of a drawn list page asks for. */
  #pageData(response: ServerResponse, number: number): void {
    const page = this.#pages[number - 1];
    if (page === undefined) return this.#end(response, 404, 'application/json', '{"error":"no such page"}');
    const next = number < this.#pages.length ? number + 1 : null;
    const body = JSON.stringify({ listings: page.map(({ id, title }) => ({ id, title })), next });
    this.#end(response, 200, 'application/json', body);
  }

  #detail(request: IncomingMessage, response: ServerResponse, id: string): void {
    const listing = this.#byId.get(id);
    if (listing === undefined) return this.#end(response, 404, 'application/json', '{"error":"no such listing"}');
    if (Number(id) % 20 === 0 && !this.#refused.has(id)) {
      this.#refused.add(id);
      response.setHeader('retry-after', '0');
      return this.#end(response, 503, 'text/plain', 'busy');
    }
    const body = listing.detail(this.#week);
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 16)}"`;
    response.setHeader('etag', etag);
    if (request.headers['if-none-match'] === etag) return this.#end(response, 304, 'application/json', '');
    this.#end(response, 200, 'application/json', body);
  }

  #end(response: ServerResponse, status: number, contentType: string, body: string | Uint8Array): void {
    response.writeHead(status, { 'content-type': contentType });
    response.end(body);
  }
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
