/** Small pieces that every screen uses. */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Gravity, Limit } from '../model/limits.ts';
import { ApiError } from '../api.ts';
import { Store, useStore } from '../store.ts';
import type { IconName } from './icon.tsx';
import { Icon } from './icon.tsx';

/** A state as a word with a dot: the colour repeats what the word says. */
export function State({ state }: { readonly state: string }): JSX.Element {
  return <span class={`state state-${state}`}>{state}</span>;
}

export function Tile({
  label,
  value,
  unit,
  note,
  tone,
  children,
}: {
  readonly label: string;
  readonly value: string;
  readonly unit?: string;
  readonly note?: string;
  readonly tone?: Gravity;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class={`tile${tone === undefined ? '' : ` tone-${tone}`}`}>
      <dt>{label}</dt>
      <dd>
        <span class="figure">{value}</span>
        {unit === undefined ? null : <span class="unit">{unit}</span>}
        {note === undefined ? null : <small>{note}</small>}
        {children}
      </dd>
    </div>
  );
}

/** What a screen shows when there is nothing: why, and what to do next. */
export function Empty({
  icon = 'info',
  title,
  children,
  command,
}: {
  readonly icon?: IconName;
  readonly title: string;
  readonly children?: ComponentChildren;
  /** To copy into a terminal. */
  readonly command?: string;
}): JSX.Element {
  return (
    <div class="empty">
      <Icon name={icon} size={22} />
      <strong>{title}</strong>
      {children === undefined ? null : <p>{children}</p>}
      {command === undefined ? null : <Command text={command} />}
    </div>
  );
}

export function Command({ text }: { readonly text: string }): JSX.Element {
  return (
    <div class="command">
      <code>{text}</code>
      <Copy text={text} />
    </div>
  );
}

export function Copy({ text, label = 'Copy' }: { readonly text: string; readonly label?: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 1200);
    } catch {
      say('error', 'The browser does not let this page use the clipboard.');
    }
  };
  return (
    <button type="button" class="quiet" onClick={() => void copy()} aria-label={label} title={label}>
      <Icon name={copied ? 'good' : 'copy'} />
    </button>
  );
}

/** A failed request: what the master said, and what else can be done. */
export function Failure({ error, retry }: { readonly error: unknown; readonly retry?: () => void }): JSX.Element {
  const unserved = error instanceof ApiError && error.unserved;
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div class="empty" role="alert">
      <Icon name={unserved ? 'info' : 'error'} size={22} />
      <strong>{unserved ? 'This master does not serve this yet' : message}</strong>
      <p>{unserved ? message : error instanceof ApiError ? error.code : ''}</p>
      {retry === undefined ? null : (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Loading({ what }: { readonly what: string }): JSX.Element {
  return (
    <p class="loading" role="status">
      Reading {what} …
    </p>
  );
}

/** Something asked for once and again when a key changes. */
export interface Asked<T> {
  readonly value: T | null;
  readonly error: unknown;
  readonly loading: boolean;
  again(): void;
}

export function useAsk<T>(ask: (signal: AbortSignal) => Promise<T>, keys: readonly unknown[], everyMs = 0): Asked<T> {
  const [state, setState] = useState<{ value: T | null; error: unknown; loading: boolean }>({
    value: null,
    error: null,
    loading: true,
  });
  const [round, setRound] = useState(0);
  const lastKeys = useRef<readonly unknown[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    const changed = keys.some((key, index) => !Object.is(key, lastKeys.current[index]));
    lastKeys.current = keys;
    if (changed) setState({ value: null, error: null, loading: true });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      try {
        const value = await ask(abort.signal);
        if (!abort.signal.aborted) setState({ value, error: null, loading: false });
      } catch (error) {
        if (!abort.signal.aborted) setState((state) => ({ value: state.value, error, loading: false }));
        if (error instanceof ApiError && error.unserved) return;
      }
      if (everyMs > 0 && !abort.signal.aborted)
        timer = setTimeout(() => void run(), document.hidden ? everyMs * 5 : everyMs);
    };
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [...keys, round]);
  return { ...state, again: () => setRound((value) => value + 1) };
}

export function LimitList({
  limits,
  hrefOf,
}: {
  readonly limits: readonly Limit[];
  readonly hrefOf: (limit: Limit) => string | null;
}): JSX.Element {
  return (
    <ul class="limits">
      {limits.map((limit) => {
        const href = hrefOf(limit);
        return (
          <li key={limit.id} class={`limit limit-${limit.gravity}`}>
            <Icon name={limit.gravity} />
            <div>
              <strong>{limit.title}</strong>
              <p>{limit.text}</p>
            </div>
            {href === null ? null : (
              <a class="go" href={href} aria-label={`${limit.look?.label ?? 'Open'}: ${limit.title}`}>
                {limit.look?.label ?? 'Open'} →
              </a>
            )}
          </li>
        );
      })}
    </ul>
  );
}

// ---- messages ---------------------------------------------------------------------------------------------------

interface Message {
  readonly id: number;
  readonly kind: 'good' | 'error';
  readonly text: string;
}

const messages = new Store<readonly Message[]>([]);
let messageId = 0;

/** Shows a sentence at the edge of the screen for a while. */
export function say(kind: Message['kind'], text: string): void {
  const id = ++messageId;
  messages.update((list) => [...list.slice(-3), { id, kind, text }]);
  setTimeout(
    () => messages.update((list) => list.filter((message) => message.id !== id)),
    kind === 'error' ? 9000 : 5000,
  );
}

export function Messages(): JSX.Element {
  const list = useStore(messages);
  return (
    <div class="messages" role="status" aria-live="polite">
      {list.map(({ id, kind, text }) => (
        <p key={id} class={`message message-${kind}`}>
          <Icon name={kind} /> {text}
        </p>
      ))}
    </div>
  );
}

/** Does something that may fail and says how it went. True = it worked. */
export async function attempt(action: () => Promise<string>): Promise<boolean> {
  try {
    say('good', await action());
    return true;
  } catch (error) {
    say('error', error instanceof Error ? error.message : String(error));
    return false;
  }
}
