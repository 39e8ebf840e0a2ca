/**
 * What to ask an HTTP API next, and what its answer means: decisions only. A poll is a round over the pages; its first
 * request carries what is known of the last round (ETag, the newest record), the others follow the paging.
 */
import { WeirError } from '../errors.ts';
import type { HttpSpec } from '../job/feed-spec.ts';
import { retryAfterMs } from './backoff.ts';
import type { Json } from './feed.ts';
import { textOf, valueAt } from './json-path.ts';

/** Where a feed stands between two requests. */
export interface HttpCursor {
  /** The page to ask for; null = the first of a round. */
  readonly page: string | number | null;
  /** Pages of this round so far. */
  readonly pages: number;
  /** What the round began after, and the greatest seen since. */
  readonly since: string | number | null;
  readonly newest: string | number | null;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

const beginning: HttpCursor = { page: null, pages: 0, since: null, newest: null, etag: null, lastModified: null };

/** The cursor as it was kept; what is not one of this feed begins anew. */
export function httpCursor(kept: Json, { since }: HttpSpec): HttpCursor {
  const initial = since?.initial === undefined ? null : orderedOf(since.initial);
  if (typeof kept !== 'object' || kept === null || Array.isArray(kept) || !('pages' in kept))
    return { ...beginning, since: initial, newest: initial };
  return { ...beginning, ...(kept as Partial<HttpCursor>) };
}

export interface HttpRequest {
  readonly url: string;
  readonly method: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string | null;
}

/** The next request. `secret` fills in what `${env:…}` stands for. */
export function requestOf(spec: HttpSpec, cursor: HttpCursor, secret: (text: string) => string): HttpRequest {
  const { paging } = spec;
  const follows = typeof cursor.page === 'string' && paging !== undefined && ('link' in paging || 'next' in paging);
  const url = new URL(follows ? String(cursor.page) : secret(spec.url));
  if (!follows) {
    for (const [name, value] of Object.entries(spec.query)) url.searchParams.set(name, secret(String(value)));
    if (spec.since !== undefined && cursor.since !== null)
      url.searchParams.set(spec.since.parameter, String(cursor.since));
    addPage(url, spec, cursor.page);
  }
  const headers = new Map([['accept', acceptOf(spec.response)]]);
  for (const [name, value] of Object.entries(spec.headers)) headers.set(name.toLowerCase(), secret(value));
  const { auth } = spec;
  if (auth !== undefined && 'bearer' in auth) headers.set('authorization', `Bearer ${secret(auth.bearer)}`);
  else if (auth !== undefined) {
    const pair = `${secret(auth.basic.username)}:${secret(auth.basic.password)}`;
    headers.set('authorization', `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`);
  }
  // Of several pages the first one says nothing about the others.
  if (paging === undefined) {
    if (cursor.etag !== null) headers.set('if-none-match', cursor.etag);
    else if (cursor.lastModified !== null) headers.set('if-modified-since', cursor.lastModified);
  }
  return { url: url.href, method: spec.method, headers, body: spec.method === 'POST' ? (spec.body ?? '') : null };
}

function addPage(url: URL, { paging }: HttpSpec, page: string | number | null): void {
  if (paging === undefined) return;
  if ('page' in paging) url.searchParams.set(paging.page.parameter, String(page ?? paging.page.start));
  else if ('offset' in paging) {
    url.searchParams.set(paging.offset.parameter, String(page ?? 0));
    url.searchParams.set(paging.offset.limitParameter, String(paging.offset.limit));
  } else if ('cursor' in paging && page !== null) url.searchParams.set(paging.cursor.parameter, String(page));
}

function acceptOf(response: HttpSpec['response']): string {
  switch (response) {
    case 'json':
      return 'application/json, */*;q=0.5';
    case 'ndjson':
      return 'application/x-ndjson, application/json;q=0.8, */*;q=0.5';
    case 'csv':
      return 'text/csv, */*;q=0.5';
    case 'xml':
      return 'application/xml, text/xml, application/rss+xml, */*;q=0.5';
    case 'text':
      return 'text/plain, */*;q=0.5';
  }
}

/** What of an answer decides how to go on. */
export interface HttpAnswer {
  readonly status: number;
  header(name: string): string | null;
}

/** Throws for an answer that brings no records: SOURCE_UNAVAILABLE, UNAUTHORIZED, FEED_REFUSED. */
export function requireAnswer(place: string, answer: HttpAnswer, nowMs: number): void {
  const { status } = answer;
  if ((status >= 200 && status < 300) || status === 304) return;
  if (status === 401 || status === 403) {
    const text = `${place} answered ${status}: the credentials were refused; correct auth or headers of the source.`;
    throw new WeirError('UNAUTHORIZED', text, { facts: { status } });
  }
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const retry = retryAfterMs(answer.header('retry-after'), nowMs);
    const facts = { status, ...(retry === undefined ? {} : { retryAfterMs: retry }) };
    const text = status === 429 ? 'it is asked too often' : 'it is asked again';
    throw new WeirError('SOURCE_UNAVAILABLE', `${place} answered ${status}; ${text}.`, { facts });
  }
  throw new WeirError('FEED_REFUSED', `${place} answered ${status}; correct the url or the parameters of the source.`, {
    facts: { status },
  });
}

/** What a page said. */
export interface HttpPage {
  readonly answer: HttpAnswer;
  /** The address that gave it. */
  readonly url: string;
  /** The whole of a JSON answer, for paths; undefined for other kinds. */
  readonly whole: unknown;
  readonly records: readonly unknown[];
}

/** The cursor after a page, and whether the round is over. Throws: FEED_REFUSED for a next page of another host. */
export function afterPage(
  spec: HttpSpec,
  cursor: HttpCursor,
  page: HttpPage,
): { readonly cursor: HttpCursor; readonly over: boolean } {
  const newest = newestOf(spec, cursor, page.records);
  const pages = cursor.pages + 1;
  const next = pages >= spec.pagesMax ? null : nextPage(spec, cursor, page);
  if (next !== null) return { cursor: { ...cursor, page: next, pages, newest }, over: false };
  const etag = page.answer.header('etag');
  const lastModified = page.answer.header('last-modified');
  return { cursor: { page: null, pages: 0, since: newest, newest, etag, lastModified }, over: true };
}

/** The cursor after an answer 304: nothing is new. */
export function afterNothing(cursor: HttpCursor): HttpCursor {
  return { ...cursor, page: null, pages: 0, since: cursor.newest };
}

function nextPage(
  spec: HttpSpec,
  cursor: HttpCursor,
  { answer, url, whole, records }: HttpPage,
): string | number | null {
  const { paging } = spec;
  if (paging === undefined) return null;
  if ('page' in paging) return records.length === 0 ? null : Number(cursor.page ?? paging.page.start) + 1;
  if ('offset' in paging) {
    const { limit } = paging.offset;
    return records.length < limit ? null : Number(cursor.page ?? 0) + records.length;
  }
  if ('cursor' in paging) {
    const value = textOf(valueAt(whole, paging.cursor.path));
    return value === undefined || value === '' || value === 'false' || value === String(cursor.page) ? null : value;
  }
  const link = 'link' in paging ? nextLink(answer.header('link')) : textOf(valueAt(whole, paging.next));
  if (link === undefined || link === '' || link === 'false') return null;
  const next = new URL(link, url);
  if (next.origin !== new URL(url).origin) {
    const text = `${spec.url} names ${next.origin} for its next page; pages of another host are not followed.`;
    throw new WeirError('FEED_REFUSED', text, { facts: { next: next.origin } });
  }
  return next.href === url ? null : next.href;
}

/** The address with rel="next" of a Link header (RFC 8288). */
function nextLink(header: string | null): string | undefined {
  for (const [, target, parameters = ''] of (header ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[^,;]+(?:"[^"]*")?)*)/g))
    if (/;\s*rel\s*=\s*("([^"]*\s)?next(\s[^"]*)?"|next\b)/i.test(parameters)) return target;
  return undefined;
}

function newestOf(spec: HttpSpec, cursor: HttpCursor, records: readonly unknown[]): string | number | null {
  if (spec.since === undefined) return null;
  let { newest } = cursor;
  for (const record of records) {
    const value = orderedOf(valueAt(record, spec.since.field));
    if (value !== null && (newest === null || isGreater(value, newest))) newest = value;
  }
  return newest;
}

function orderedOf(value: unknown): string | number | null {
  if (typeof value === 'number' || typeof value === 'string') return value;
  return textOf(value) ?? null;
}

/** Numbers by size, also when one of them is text of digits; other text by its characters, as times in ISO are ordered. */
function isGreater(a: string | number, b: string | number): boolean {
  const digits = /^-?\d+$/;
  if (digits.test(String(a)) && digits.test(String(b))) return BigInt(a) > BigInt(b);
  if (typeof a === 'number' && typeof b === 'number') return a > b;
  return String(a) > String(b);
}
