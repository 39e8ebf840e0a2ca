/** What happened and what was logged, newest first, with a filter. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { ask } from '../api.ts';
import { dateTime } from '../format.ts';
import { events, logs } from '../live.ts';
import { jobHref } from '../router.ts';
import { useStore } from '../store.ts';
import type { ClusterEvent, LogLine } from '../wire.ts';
import { Empty, Failure, Loading, useAsk } from './basics.tsx';

interface Entry {
  readonly key: string;
  readonly at: number;
  readonly level: string;
  readonly who: string;
  readonly job: string | null;
  readonly code: string | null;
  readonly message: string;
}

const SHOWN_MAX = 400;
const levels = ['error', 'warn', 'info'] as const;

export function LogPanel({ job }: { readonly job: string | null }): JSX.Element {
  const [what, setWhat] = useState<'events' | 'log'>('events');
  const [level, setLevel] = useState<string | null>(null);
  const [text, setText] = useState('');
  const news = useStore(events);
  const lines = useStore(logs);
  const query = job === null ? '' : `&job=${encodeURIComponent(job)}`;
  const asked = useAsk(
    async (signal) => ({
      events: (await ask<{ events: readonly ClusterEvent[] }>(`/v1/events/recent?last=300${query}`, { signal })).events,
      lines: (await ask<{ lines: readonly LogLine[] }>(`/v1/logs?last=400${query}`, { signal })).lines,
    }),
    [query],
    10_000,
  );
  if (asked.loading) return <Loading what="events" />;
  if (asked.value === null) return <Failure error={asked.error} retry={asked.again} />;
  const entries =
    what === 'events'
      ? eventEntries([...asked.value.events, ...news], job)
      : logEntries([...asked.value.lines, ...lines], job);
  const wanted = text.toLowerCase();
  const shown = entries
    .filter(
      (entry) =>
        (level === null || entry.level === level) &&
        (wanted === '' || `${entry.message} ${entry.who} ${entry.code ?? ''}`.toLowerCase().includes(wanted)),
    )
    .slice(0, SHOWN_MAX);
  return (
    <section class="panel" aria-label="Events and logs">
      <header class="panel-head">
        <div class="chips">
          <button type="button" class="chip" aria-pressed={what === 'events'} onClick={() => setWhat('events')}>
            Events
          </button>
          <button type="button" class="chip" aria-pressed={what === 'log'} onClick={() => setWhat('log')}>
            Logs of all processes
          </button>
        </div>
        <div class="right">
          <div class="chips">
            {levels.map((name) => (
              <button
                type="button"
                key={name}
                class="chip"
                aria-pressed={level === name}
                onClick={() => setLevel(level === name ? null : name)}
              >
                {name}
              </button>
            ))}
          </div>
          <label>
            <span class="hidden">Search in the text</span>
            <input
              type="search"
              placeholder="Search"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
        </div>
      </header>
      {shown.length === 0 ? (
        <Empty
          icon="events"
          title={entries.length === 0 ? 'Nothing has happened since this master leads' : 'Nothing matches'}
          command={job === null ? 'weir logs' : `weir logs ${job}`}
        >
          Every process writes a log of its own too:
        </Empty>
      ) : (
        <div>
          {shown.map((entry) => (
            <div class="line" key={entry.key}>
              <span class="soft">{dateTime(entry.at)}</span>
              <span>
                <span class={`tag tag-${entry.level}`}>{entry.level}</span>
              </span>
              <span class="soft">
                {entry.job !== null && job === null ? <a href={jobHref(entry.job)}>{entry.job}</a> : entry.who}
              </span>
              <span>
                {entry.message} {entry.code === null ? null : <code class="soft">{entry.code}</code>}
              </span>
            </div>
          ))}
        </div>
      )}
    </section>
  );
}

function eventEntries(list: readonly ClusterEvent[], job: string | null): Entry[] {
  const bySeq = new Map<number, Entry>();
  for (const event of list) {
    if (job !== null && event.job !== job) continue;
    const { seq, at, level, message, code } = event;
    bySeq.set(seq, {
      key: String(seq),
      at,
      level,
      who: event.worker ?? event.job ?? event.kind,
      job: event.job,
      code,
      message,
    });
  }
  return [...bySeq.values()].sort((one, other) => Number(other.key) - Number(one.key));
}

function logEntries(list: readonly LogLine[], job: string | null): Entry[] {
  const byText = new Map<string, Entry>();
  for (const line of list) {
    if (job !== null && line.job !== job) continue;
    const key = `${line.at} ${line.process} ${line.message}`;
    byText.set(key, {
      key,
      at: line.at,
      level: line.level,
      who: line.process,
      job: line.job,
      code: null,
      message: line.message,
    });
  }
  return [...byText.values()].sort((one, other) => other.at - one.at);
}
