/** Tables that jobs write, and a box to ask them. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { ask } from '../api.ts';
import { duration, plural } from '../format.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Empty, Failure, Loading, useAsk } from '../parts/basics.tsx';
import { Icon } from '../parts/icon.tsx';
import { Rows } from '../parts/rows.tsx';
import { jobHref, place, setQuery } from '../router.ts';
import { useStore } from '../store.ts';
import type { QueryAnswer, TableSummary } from '../wire.ts';

interface Outcome {
  readonly answer: QueryAnswer | null;
  readonly error: unknown;
  readonly ms: number;
}

export function TablesPage(): JSX.Element {
  const { query } = useStore(place);
  const tables = useAsk(
    async (signal) => (await ask<{ tables: readonly TableSummary[] }>('/v1/tables', { signal })).tables,
    [],
    10_000,
  );
  const [text, setText] = useState(query.get('cql') ?? '');
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [busy, setBusy] = useState(false);
  const run = async (cql: string): Promise<void> => {
    if (cql.trim() === '') return;
    setText(cql);
    setQuery({ cql });
    setBusy(true);
    const startedAt = performance.now();
    try {
      const answer = await ask<QueryAnswer>('/v1/query', { method: 'POST', body: { cql } });
      setOutcome({ answer, error: null, ms: performance.now() - startedAt });
    } catch (error) {
      setOutcome({ answer: null, error, ms: performance.now() - startedAt });
    }
    setBusy(false);
  };
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
              <p class="panel-head soft" role="status">
                {plural(outcome.answer.rows.length, 'row')} in {duration(outcome.ms)}
              </p>
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
