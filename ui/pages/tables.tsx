/** Tables that jobs write, and a box to ask them. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ask } from '../api.ts';
import { age, duration, plural, time } from '../format.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Empty, Failure, Loading, useAsk } from '../parts/basics.tsx';
import { Icon } from '../parts/icon.tsx';
import type { Sample } from '../model/query-chart.ts';
import { QueryChart } from '../parts/query-chart.tsx';
import { Rows } from '../parts/rows.tsx';
import { jobHref, place, setQuery } from '../router.ts';
import { useStore } from '../store.ts';
import type { QueryAnswer, TableSummary } from '../wire.ts';

interface Outcome {
  readonly answer: QueryAnswer | null;
  /** Of the last time it was asked; an answer of before stays in sight. */
  readonly error: unknown;
  readonly ms: number;
  readonly at: number;
  /** Its first rows so far. */
  readonly samples: readonly Sample[];
}

/** Points of a chart over the time of asking. */
const SAMPLES_MAX = 600;
/** Seconds; 0 = when somebody wants it. */
const intervals = [0, 1, 5, 15, 60] as const;

export function TablesPage(): JSX.Element {
  const { query } = useStore(place);
  const tables = useAsk(
    async (signal) => (await ask<{ tables: readonly TableSummary[] }>('/v1/tables', { signal })).tables,
    [],
    10_000,
  );
  const asked = query.get('cql') ?? '';
  const chart = query.get('chart') ?? '';
  const every = intervals.find((seconds) => String(seconds) === query.get('every')) ?? 0;
  const [text, setText] = useState(asked);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [busy, setBusy] = useState(false);
  // Answers of a query that is not the last one any more are dropped.
  const turn = useRef(0);
  const run = async (cql: string, again = false): Promise<void> => {
    if (cql.trim() === '') return;
    const mine = ++turn.current;
    if (!again) {
      setText(cql);
      setQuery({ cql, ...(cql === asked ? {} : { across: '', values: '' }) });
      setBusy(true);
    }
    const startedAt = performance.now();
    const done = (answer: QueryAnswer | null, error: unknown): void => {
      if (mine !== turn.current) return;
      setBusy(false);
      setOutcome((before) => outcomeOf(again ? before : null, answer, error, performance.now() - startedAt));
    };
    await ask<QueryAnswer>('/v1/query', { method: 'POST', body: { cql } }).then(
      (answer) => done(answer, null),
      (error: unknown) => done(null, error),
    );
  };
  // An address with a chart or a refresh in it is a view that somebody kept: it opens with its rows.
  useEffect(() => {
    if (chart !== '' || every > 0) void run(asked);
  }, []);
  useEffect(() => {
    if (every === 0 || outcome === null || busy) return undefined;
    const timer = setTimeout(() => void run(asked, true), document.hidden ? every * 5000 : every * 1000);
    return () => clearTimeout(timer);
  }, [outcome, every, busy]);
  return (
    <>
      <div class="page-head">
        <h1>Tables</h1>
        <span class="soft">that jobs write</span>
      </div>
      <section class="panel" aria-label="Tables">
        {tables.loading ? (
          <Loading what="tables" />
        ) : tables.value === null ? (
          <Failure error={tables.error} retry={tables.again} />
        ) : (
          <ul class="limits">
            {tables.value.map((table) => (
              <TableLine key={`${table.keyspace}.${table.table}`} table={table} onAsk={(cql) => void run(cql)} />
            ))}
          </ul>
        )}
      </section>
      <Allowed role="operator" what="Rows of tables">
        <section class="panel" aria-labelledby="query">
          <header class="panel-head">
            <h2 id="query">Query</h2>
            <span class="soft">CQL, reading only; Ctrl-Enter runs it</span>
            <div class="right">
              <button
                type="button"
                class="primary"
                disabled={busy || text.trim() === ''}
                onClick={() => void run(text)}
              >
                <Icon name="play" /> {busy ? 'Asking …' : 'Run'}
              </button>
            </div>
          </header>
          <div class="panel-body">
            <textarea
              aria-labelledby="query"
              rows={4}
              spellcheck={false}
              placeholder="SELECT * FROM keyspace.table LIMIT 50"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
              onKeyDown={(event) => {
                if ((event.ctrlKey || event.metaKey) && event.key === 'Enter') void run(text);
              }}
            />
          </div>
          {outcome === null ? null : outcome.answer === null ? (
            <Failure error={outcome.error} />
          ) : (
            <>
              <div class="panel-head">
                <span class="soft" role={every === 0 ? 'status' : undefined}>
                  {plural(outcome.answer.rows.length, 'row')} in {duration(outcome.ms)}
                  {every === 0 ? '' : `, ${time(outcome.at)}`}
                </span>
                {outcome.error === null ? null : <span class="bad">{messageOf(outcome.error)}</span>}
                <div class="right">
                  <label>
                    <span class="soft">chart</span>
                    <select value={chart} onChange={(event) => setQuery({ chart: event.currentTarget.value })}>
                      <option value="">none</option>
                      <option value="line">lines</option>
                      <option value="bars">bars</option>
                    </select>
                  </label>
                  <label>
                    <span class="soft">ask again</span>
                    <select
                      value={String(every)}
                      onChange={(event) =>
                        setQuery({ every: event.currentTarget.value === '0' ? '' : event.currentTarget.value })
                      }
                    >
                      {intervals.map((seconds) => (
                        <option key={seconds} value={String(seconds)}>
                          {seconds === 0 ? 'when I say' : `every ${age(seconds * 1000)}`}
                        </option>
                      ))}
                    </select>
                  </label>
                </div>
              </div>
              {chart === '' || outcome.answer.rows.length === 0 ? null : (
                <QueryChart answer={outcome.answer} samples={outcome.samples} />
              )}
              {outcome.answer.rows.length === 0 ? (
                <Empty title="No row fits" />
              ) : (
                <Rows answer={outcome.answer} label="Rows of the query" />
              )}
            </>
          )}
        </section>
      </Allowed>
    </>
  );
}

/** `before` is what is shown of the same query. */
function outcomeOf(before: Outcome | null, answer: QueryAnswer | null, error: unknown, ms: number): Outcome {
  const at = Date.now();
  if (answer === null) return { answer: null, samples: [], ...before, error, ms, at };
  const [row] = answer.rows;
  const fresh = row === undefined ? [] : [{ at, row }];
  return { answer, error, ms, at, samples: [...(before?.samples ?? []), ...fresh].slice(-SAMPLES_MAX) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function TableLine({
  table,
  onAsk,
}: {
  readonly table: TableSummary;
  readonly onAsk: (cql: string) => void;
}): JSX.Element {
  const name = `${table.keyspace}.${table.table}`;
  const key = `(${table.partitionKey.join(', ')})${table.clusteringKey.map((column) => `, ${column}`).join('')}`;
  return (
    <li class="limit">
      <Icon name="table" />
      <div>
        <strong>{name}</strong>
        <p>
          {plural(table.columns.length, 'column')}, key {key}
          {table.jobs.length === 0 ? null : (
            <>
              , written by{' '}
              {table.jobs.map((job, at) => (
                <span key={job}>
                  {at === 0 ? '' : ', '}
                  <a href={jobHref(job)}>{job}</a>
                </span>
              ))}
            </>
          )}
        </p>
      </div>
      <Allowed role="operator">
        <button
          type="button"
          onClick={() => onAsk(`SELECT * FROM ${name} LIMIT 50`)}
          aria-label={`Show rows of ${name}`}
        >
          Show rows
        </button>
        <button
          type="button"
          class="quiet"
          onClick={() => onAsk(`SELECT count(*) FROM ${name}`)}
          aria-label={`Count rows of ${name}`}
        >
          Count
        </button>
      </Allowed>
    </li>
  );
}
