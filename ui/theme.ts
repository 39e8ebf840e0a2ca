/** Light, dark, or as the system says. */
import { Store } from './store.ts';

export type Theme = 'auto' | 'light' | 'dark';

const KEY = 'weir-theme';

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return value === 'light' || value === 'dark' ? value : 'auto';
}

export const theme = new Store<Theme>(stored());
/** Grows when colours change: what is drawn on a canvas is drawn again. */
export const paint = new Store(0);

function apply(): void {
  if (theme.value === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme.value;
  paint.update((value) => value + 1);
}

theme.subscribe(() => {
  localStorage.setItem(KEY, theme.value);
  apply();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
apply();

/** A colour of the style sheet. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
