/** A text area with line numbers, marks at wrong lines and completion. */
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Schema, Suggestion } from '../model/complete.ts';
import { suggest } from '../model/complete.ts';
import type { JobProblem } from '../wire.ts';

const LINE = 20;
const CHAR = 7.83;
const SHOWN = 8;

export function Editor({
  text,
  problems,
  schema,
  onInput,
  onSubmit,
}: {
  readonly text: string;
  readonly problems: readonly JobProblem[];
  readonly schema: Schema | null;
  readonly onInput: (text: string) => void;
  /** Ctrl-Enter. */
  readonly onSubmit: () => void;
}): JSX.Element {
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const [list, setList] = useState<readonly Suggestion[]>([]);
  const [at, setAt] = useState(0);
  const [spot, setSpot] = useState({ left: 0, top: 0 });
  const lines = text.split('\n').length;
  const wrong = new Map(problems.map(({ line, message }) => [line ?? 1, message]));

  const complete = (forced: boolean): void => {
    const element = area.current;
    if (element === null || schema === null || element.selectionStart !== element.selectionEnd) return setList([]);
    const offset = element.selectionStart;
    const found = suggest(schema, element.value, offset);
    const before = element.value.slice(0, offset).split('\n');
    const typed = (before.at(-1) ?? '').trim();
    setList(forced || typed !== '' ? found : []);
    setAt(0);
    const column = before.at(-1)?.length ?? 0;
    const left = 46 + 12 + column * CHAR - element.scrollLeft;
    setSpot({ left: Math.min(left, element.clientWidth - 240), top: 10 + before.length * LINE - element.scrollTop });
  };
  const put = (suggestion: Suggestion): void => {
    const element = area.current;
    if (element === null) return;
    element.setRangeText(suggestion.text, element.selectionStart - suggestion.replaces, element.selectionStart, 'end');
    onInput(element.value);
    setList([]);
    element.focus();
  };
  const insert = (what: string): void => {
    const element = area.current;
    if (element === null) return;
    element.setRangeText(what, element.selectionStart, element.selectionEnd, 'end');
    onInput(element.value);
  };
  const press = (event: KeyboardEvent): void => {
    const element = area.current;
    if (element === null) return;
    const chosen = list[at];
    if ((event.ctrlKey || event.metaKey) && event.key === 'Enter') onSubmit();
    else if ((event.ctrlKey || event.metaKey) && event.key === ' ') complete(true);
    else if (list.length > 0 && event.key === 'ArrowDown') setAt((at + 1) % list.length);
    else if (list.length > 0 && event.key === 'ArrowUp') setAt((at + list.length - 1) % list.length);
    else if (chosen !== undefined && (event.key === 'Enter' || event.key === 'Tab')) put(chosen);
    else if (list.length > 0 && event.key === 'Escape') setList([]);
    else if (event.key === 'Enter') {
      const line = element.value.slice(0, element.selectionStart).split('\n').at(-1) ?? '';
      const indent = /^\s*(- )?/.exec(line)?.[0].length ?? 0;
      insert(`\n${' '.repeat(indent + (/:\s*$/.test(line) ? 2 : 0))}`);
    } else return;
    event.preventDefault();
  };
  const first = Math.max(0, Math.min(at - SHOWN + 1, list.length - SHOWN));
  return (
    <div class="editor">
      <div class="gutter" aria-hidden="true">
        <div class="gutter-inner" ref={gutter}>
          {Array.from({ length: lines }, (_, index) => (
            <span key={index} class={wrong.has(index + 1) ? 'wrong' : ''} title={wrong.get(index + 1) ?? ''}>
              {index + 1}
            </span>
          ))}
        </div>
      </div>
      <textarea
        ref={area}
        aria-label="Job file"
        aria-invalid={problems.length > 0}
        aria-describedby="problems"
        aria-autocomplete="list"
        spellcheck={false}
        autocapitalize="off"
        wrap="off"
        value={text}
        onInput={(event) => {
          onInput(event.currentTarget.value);
          complete(false);
        }}
        onKeyDown={press}
        onBlur={() => setTimeout(() => setList([]), 150)}
        onScroll={(event) => {
          if (gutter.current !== null)
            gutter.current.style.transform = `translateY(${-event.currentTarget.scrollTop}px)`;
          setList([]);
        }}
      />
      {list.length === 0 ? null : (
        <ul
          class="complete"
          role="listbox"
          aria-label="Suggestions"
          style={{ left: `${spot.left}px`, top: `${spot.top}px` }}
        >
          {list.slice(first, first + SHOWN).map((entry, index) => (
            <li key={entry.text} role="option" aria-selected={first + index === at} onMouseDown={() => put(entry)}>
              <code>{entry.text}</code>
              {entry.note === '' ? null : <small>{entry.note.slice(0, 110)}</small>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
