/** The address is the state: every screen, tab and filter has one. */
import { Store } from './store.ts';

export interface Place {
  /** Without empty parts, decoded: `/jobs/users` → ['jobs', 'users']. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

function here(): Place {
  const path = location.pathname
    .split('/')
    .filter((part) => part !== '')
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
  return { path, query: new URLSearchParams(location.search) };
}

export const place = new Store<Place>(here());

addEventListener('popstate', () => place.set(here()));

export function go(href: string, replace = false): void {
  if (href === location.pathname + location.search) return;
  const before = location.pathname;
  if (replace) history.replaceState(null, '', href);
  else history.pushState(null, '', href);
  place.set(here());
  if (replace || before === location.pathname) return;
  scrollTo(0, 0);
  // The next Tab goes on in the new screen.
  document.getElementById('main')?.focus({ preventScroll: true });
}

/** Changes part of the query and keeps the rest; an empty value takes it away. */
export function setQuery(changes: Readonly<Record<string, string>>, replace = true): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === '') query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(location.pathname + (text === '' ? '' : `?${text}`), replace);
}

/** Links of this page change the address without a reload; everything else stays the browser's. */
addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const anchor = event.target instanceof Element ? event.target.closest('a') : null;
  if (anchor === null || anchor.target !== '' || anchor.origin !== location.origin || anchor.hasAttribute('download'))
    return;
  if (anchor.dataset['plain'] !== undefined) return;
  event.preventDefault();
  go(anchor.pathname + anchor.search);
});

export function jobHref(name: string, tab = ''): string {
  return `/jobs/${encodeURIComponent(name)}${tab === '' ? '' : `/${tab}`}`;
}
