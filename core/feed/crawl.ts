/** In which order a site is read: a list page, the pages it links to, the next list page. Decisions only. */
import type { Json } from './feed.ts';

/** Where a crawl stands. */
export interface CrawlCursor {
  /** The list page to read when nothing is pending; null = the first one. */
  readonly list: string | null;
  /** List pages of this pass that were read. */
  readonly pages: number;
  /** Detail pages that the last list page linked to and that are not read yet. */
  readonly pending: readonly string[];
  /** True when the pass ends with what is pending. */
  readonly last: boolean;
}

const beginning: CrawlCursor = { list: null, pages: 0, pending: [], last: false };

/** The cursor as it was kept; what is none begins a pass. */
export function crawlCursor(kept: Json): CrawlCursor {
  if (typeof kept !== 'object' || kept === null || Array.isArray(kept) || !('pending' in kept)) return beginning;
  return { ...beginning, ...(kept as Partial<CrawlCursor>) };
}

export type CrawlStep =
  | { readonly kind: 'detail'; readonly url: string }
  | { readonly kind: 'list'; readonly url: string }
  | { readonly kind: 'over' };

/** What to read next. */
export function nextCrawl(cursor: CrawlCursor, firstUrl: string): CrawlStep {
  const [url] = cursor.pending;
  if (url !== undefined) return { kind: 'detail', url };
  return cursor.last ? { kind: 'over' } : { kind: 'list', url: cursor.list ?? firstUrl };
}

/** After the first pending page was read, or left out. */
export function afterDetail(cursor: CrawlCursor): CrawlCursor {
  return { ...cursor, pending: cursor.pending.slice(1) };
}

/** After a list page. `links` are those worth reading; a page that leads back to itself is the last one. */
export function afterList(
  cursor: CrawlCursor,
  url: string,
  links: readonly string[],
  next: string | null,
  pagesMax: number,
): CrawlCursor {
  const pages = cursor.pages + 1;
  const last = next === null || next === url || pages >= pagesMax;
  return { list: last ? null : next, pages, pending: [...new Set(links)], last };
}

/** After the last page of a pass. */
export function afterPass(): CrawlCursor {
  return beginning;
}

/** An address as it tells pages apart: without fragment and without what does not count. */
export function pageAddress(href: string, base: string, ignore: readonly string[]): string | null {
  if (!URL.canParse(href, base)) return null;
  const url = new URL(href, base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
  url.hash = '';
  for (const name of ignore) url.searchParams.delete(name);
  return url.href;
}
