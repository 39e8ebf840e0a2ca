/** Workers: how busy they are, what they have, how late their event loops run. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { ask } from '../api.ts';
import { bytes, count, duration, plural } from '../format.ts';
import { jobs, workers } from '../live.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Empty, Loading, State, attempt, useAsk } from '../parts/basics.tsx';
import type { Column } from '../parts/data-table.tsx';
import { DataTable } from '../parts/data-table.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { jobHref, place, setQuery } from '../router.ts';
import { useStore } from '../store.ts';
import type { JobView, WorkerView } from '../wire.ts';

interface Share {
  readonly job: string;
  readonly partitions: number;
  readonly groups: number;
}

/** What the views of jobs tell. */
interface Extras {
  readonly jobs?: readonly Share[];
}

type Worker = WorkerView & Extras;

function load(worker: Worker): JSX.Element {
  const late = worker.eventLoopDelayMs > 100;
  return (
    <span class="bar-cell">
      <span class="meter" aria-hidden="true">
        <i class={late ? 'hot' : ''} style={{ width: `${Math.min(100, (worker.eventLoopDelayMs / 200) * 100)}%` }} />
      </span>
      <span class={late ? 'bad' : ''}>{duration(worker.eventLoopDelayMs)}</span>
    </span>
  );
}

const columns: readonly Column<Worker>[] = [
  {
    key: 'id',
    title: 'Worker',
    sort: ({ id }) => id,
    cell: ({ id }) => <a href={`/workers?at=${encodeURIComponent(id)}`}>{id}</a>,
  },
  { key: 'state', title: 'State', sort: ({ state }) => state, cell: ({ state }) => <State state={state} /> },
  { key: 'lanes', title: 'Partitions', numeric: true, sort: ({ lanes }) => lanes, cell: ({ lanes }) => lanes },
  {
    key: 'groups',
    title: 'Key groups',
    numeric: true,
    drop: 2,
    sort: groupsOf,
    cell: (worker) => (worker.jobs === undefined ? '–' : groupsOf(worker)),
  },
  {
    key: 'threads',
    title: 'Threads',
    numeric: true,
    drop: 2,
    sort: ({ threads }) => threads,
    cell: ({ threads }) => threads,
  },
  { key: 'loop', title: 'Event-loop delay p99', numeric: true, sort: (worker) => worker.eventLoopDelayMs, cell: load },
  {
    key: 'memory',
    title: 'Memory',
    numeric: true,
    drop: 2,
    sort: ({ rssBytes }) => rssBytes,
    cell: ({ rssBytes }) => bytes(rssBytes),
  },
  {
    key: 'heard',
    title: 'Heard',
    numeric: true,
    drop: 1,
    sort: (worker) => worker.heartbeatAgeMs,
    cell: (worker) => `${duration(worker.heartbeatAgeMs)} ago`,
  },
  {
    key: 'version',
    title: 'Version',
    drop: 1,
    sort: ({ version }) => version,
    cell: ({ version }) => <span class="soft">{version}</span>,
  },
];

/** Jobs whose views are asked for their workers; more would be a large answer. */
const JOBS_MAX = 200;
const JOBS_EVERY_MS = 4000;

/** Who has what, by worker. */
function sharesOf(views: readonly JobView[]): ReadonlyMap<string, readonly Share[]> {
  const found = new Map<string, Share[]>();
  for (const { row, lanes, epochs } of views) {
    const mine = new Map<string, Share>();
    for (const { owner } of lanes) {
      if (owner === null) continue;
      const before = mine.get(owner)?.partitions ?? 0;
      mine.set(owner, { job: row.name, partitions: before + 1, groups: 0 });
    }
    for (const { id, partitions, groups } of epochs?.workers ?? []) mine.set(id, { job: row.name, partitions, groups });
    for (const [worker, share] of mine) found.set(worker, [...(found.get(worker) ?? []), share]);
  }
  return found;
}

function groupsOf(worker: Worker): number {
  return (worker.jobs ?? []).reduce((sum, { groups }) => sum + groups, 0);
}

export function WorkersPage(): JSX.Element {
  const reported: readonly Worker[] | null = useStore(workers);
  const asked = useAsk(
    async (signal) => {
      const path = `/v1/jobs?fields=full&limit=${JOBS_MAX}`;
      return sharesOf((await ask<{ jobs: readonly JobView[] }>(path, { signal })).jobs);
    },
    [],
    JOBS_EVERY_MS,
  );
  const { query } = useStore(place);
  const [draining, setDraining] = useState<Worker | null>(null);
  if (reported === null) return <Loading what="workers" />;
  const shares = asked.value;
  const crew =
    shares === null ? reported : reported.map((worker) => ({ jobs: shares.get(worker.id) ?? [], ...worker }));
  const chosen = crew.find(({ id }) => id === query.get('at')) ?? crew[0];
  return (
    <>
      <div class="page-head">
        <h1>Workers</h1>
        <span class="soft">
          {plural(crew.length, 'worker')},{' '}
          {plural(
            crew.reduce((sum, { threads }) => sum + threads, 0),
            'thread',
          )}
        </span>
      </div>
      <section class="panel">
        {crew.length === 0 ? (
          <Empty icon="workers" title="No worker is connected" command="weir worker --master 127.0.0.1:7077">
            Jobs wait until one is. On the machine that should do the work, with KAFKA_BROKERS and
            CASSANDRA_CONTACT_POINTS set as for the master:
          </Empty>
        ) : (
          <DataTable
            label="Workers"
            columns={columns}
            rows={crew}
            keyOf={({ id }) => id}
            sortBy="id"
            selected={chosen?.id ?? null}
            onOpen={({ id }) => setQuery({ at: id })}
          />
        )}
      </section>
      {chosen === undefined ? null : <WorkerSheet worker={chosen} onDrain={() => setDraining(chosen)} />}
      {draining === null ? null : (
        <Confirm
          title={`Drain ${draining.id}?`}
          action="Drain the worker"
          command={`weir drain worker ${draining.id}`}
          onClose={() => setDraining(null)}
          onConfirm={() =>
            attempt(async () => {
              await ask(`/v1/workers/${encodeURIComponent(draining.id)}/drain`, { method: 'POST' });
              return `${draining.id} hands over what it has.`;
            })
          }
        >
          <p>
            {plural(draining.lanes, 'partition')} move to other workers, one after the other, without a gap in what is
            written. The process can be stopped afterwards.
          </p>
        </Confirm>
      )}
    </>
  );
}

function WorkerSheet({ worker, onDrain }: { readonly worker: Worker; readonly onDrain: () => void }): JSX.Element {
  const list = useStore(jobs) ?? [];
  const mine = worker.jobs ?? [];
  return (
    <section class="panel" aria-labelledby="worker">
      <header class="panel-head">
        <h2 id="worker">{worker.id}</h2>
        <State state={worker.state} />
        <div class="right">
          {worker.httpAddress === '' ? null : (
            <a
              class="button"
              href={`${/^https?:/.test(worker.httpAddress) ? '' : 'http://'}${worker.httpAddress}/metrics`}
              target="_blank"
              rel="noreferrer"
            >
              Its metrics
            </a>
          )}
          <Allowed role="operator">
            <button type="button" onClick={onDrain} disabled={worker.state !== 'alive'}>
              Drain
            </button>
          </Allowed>
        </div>
      </header>
      <div class="panel-body">
        <dl class="facts">
          <div>
            <dt>address</dt>
            <dd class="mono">{worker.httpAddress || '–'}</dd>
          </div>
          <div>
            <dt>threads</dt>
            <dd>{worker.threads}</dd>
          </div>
          <div>
            <dt>partitions of lanes</dt>
            <dd>{worker.lanes}</dd>
          </div>
          <div>
            <dt>event-loop delay, p99 of the last second</dt>
            <dd>{duration(worker.eventLoopDelayMs)}</dd>
          </div>
          <div>
            <dt>memory</dt>
            <dd>{bytes(worker.rssBytes)}</dd>
          </div>
          <div>
            <dt>last heard</dt>
            <dd>{duration(worker.heartbeatAgeMs)} ago</dd>
          </div>
        </dl>
        {mine.length === 0 ? null : (
          <ul class="chips">
            {mine.map(({ job, partitions, groups }) => (
              <li key={job} class="tag">
                <a href={jobHref(job, 'partitions')}>{job}</a> {partitions === 0 ? '' : plural(partitions, 'partition')}
                {groups === 0 ? '' : ` ${count(groups)} key groups`}
              </li>
            ))}
          </ul>
        )}
        {mine.length === 0 && list.length > 0 && worker.jobs !== undefined ? (
          <p class="soft">No job has anything here.</p>
        ) : null}
      </div>
    </section>
  );
}
