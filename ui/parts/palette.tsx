/** Search over jobs and screens. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { jobs } from '../live.ts';
import { go, jobHref } from '../router.ts';
import { useStore } from '../store.ts';

interface Hit {
  readonly href: string;
  readonly title: string;
  readonly note: string;
}

const HITS_MAX = 12;

export function Palette({
  screens,
  onClose,
}: {
  readonly screens: readonly { readonly href: string; readonly title: string; readonly key: string }[];
  readonly onClose: () => void;
}): JSX.Element {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const list = useStore(jobs) ?? [];
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    input.current?.focus();
    return () => (before instanceof HTMLElement ? before.focus() : undefined);
  }, []);
  const wanted = text.trim().toLowerCase();
  const all: Hit[] = [
    ...list.map(({ name, state }) => ({ href: jobHref(name), title: name, note: `job, ${state}` })),
    ...screens.map(({ href, title, key }) => ({ href, title, note: `g ${key}` })),
  ];
  const hits = all
    .filter(({ title }) => title.toLowerCase().includes(wanted))
    .sort(
      (one, other) =>
        Number(other.title.toLowerCase().startsWith(wanted)) - Number(one.title.toLowerCase().startsWith(wanted)),
    )
    .slice(0, HITS_MAX);
  const choose = (hit: Hit | undefined): void => {
    if (hit === undefined) return;
    onClose();
    go(hit.href);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') onClose();
    else if (event.key === 'ArrowDown') setAt(Math.min(hits.length - 1, at + 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(0, at - 1));
    else if (event.key === 'Enter') choose(hits[at]);
    else return;
    event.preventDefault();
  };
  return (
    <div
      class="palette"
      onMouseDown={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div role="dialog" aria-modal="true" aria-label="Search">
        <input
          ref={input}
          role="combobox"
          aria-expanded="true"
          aria-controls="hits"
          aria-activedescendant={hits.length === 0 ? '' : `hit-${at}`}
          aria-label="Search jobs and screens"
          placeholder="Job or screen …"
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={press}
        />
        <ul id="hits" role="listbox" aria-label="Found">
          {hits.map((hit, index) => (
            <li
              key={hit.href}
              id={`hit-${index}`}
              role="option"
              aria-selected={index === at}
              onMouseEnter={() => setAt(index)}
              onClick={() => choose(hit)}
            >
              <span>{hit.title}</span>
              <span class="soft">{hit.note}</span>
            </li>
          ))}
        </ul>
        {hits.length === 0 ? <p class="loading">Nothing is called so.</p> : null}
      </div>
    </div>
  );
}
