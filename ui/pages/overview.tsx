/** The cluster at a glance: what runs, how fast, and what somebody should look at. */
import type { JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { age, bytes, count, duration, lag, plural } from '../format.ts';
import { jobs, loadHistory, seriesOf, together, totalSeries, workers } from '../live.ts';
import type { Limit } from '../model/limits.ts';
import { attentionOf } from '../model/limits.ts';
import { lagTrend } from '../model/series.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Empty, LimitList, Loading, State, Tile } from '../parts/basics.tsx';
import { Spark } from '../parts/chart.tsx';
import type { Column } from '../parts/data-table.tsx';
import { DataTable } from '../parts/data-table.tsx';
import { go, jobHref, place, setQuery } from '../router.ts';
import { useStore } from '../store.ts';
import type { JobSummary, WorkerView } from '../wire.ts';

const HISTORY_JOBS_MAX = 30;
const ATTENTION_MAX = 6;

export function OverviewPage(): JSX.Element {
  const list = useStore(jobs);
  const crew = useStore(workers);
  const loaded = list !== null;
  useEffect(() => {
    void loadHistory('');
    for (const { name } of (jobs.value ?? []).slice(0, HISTORY_JOBS_MAX)) void loadHistory(name);
  }, [loaded]);
  if (list === null) return <Loading what="the cluster" />;
  return (
    <>
      <div class="page-head">
        <h1>Overview</h1>
        <div class="actions">
          <Allowed role="submitter-declarative">
            <a class="button primary" href="/editor">
              New job
            </a>
          </Allowed>
        </div>
      </div>
      <Figures list={list} crew={crew} />
      <Attention list={list} crew={crew} />
      <JobsPanel list={list} />
      <CrewPanel crew={crew} />
    </>
  );
}

function Figures({
  list,
  crew,
}: {
  readonly list: readonly JobSummary[];
  readonly crew: readonly WorkerView[] | null;
}): JSX.Element {
  const sum = together(list);
  const total = totalSeries();
  const running = list.filter(({ state }) => state === 'running').length;
  const failed = list.filter(({ state }) => state === 'failed').length;
  const alive = (crew ?? []).filter(({ state }) => state === 'alive').length;
  const rest = list.length - running - failed;
  const notes = [failed === 0 ? '' : `${failed} failed`, rest === 0 ? '' : `${rest} at rest`].filter(
    (text) => text !== '',
  );
  return (
    <dl class="tiles">
      <Tile
        label="Jobs running"
        value={String(running)}
        unit={`of ${list.length}`}
        note={notes.join(', ') || 'all of them'}
        {...(failed > 0 ? { tone: 'error' as const } : {})}
      />
      <Tile label="Records in" value={count(sum.recordsPerSecond)} unit="/s">
        <Spark values={total.records} label="Records a second over the last minutes" />
      </Tile>
      <Tile label="Rows out" value={count(sum.rowsPerSecond)} unit="/s">
        <Spark values={total.rows} label="Rows a second over the last minutes" tone="c3" />
      </Tile>
      <Tile label="Lag" value={count(sum.lag)} unit="records">
        <Spark values={total.lag} label="Lag over the last minutes" tone="c2" />
      </Tile>
      <Tile
        label="Latency p99, worst job"
        value={duration(sum.latencyMsP99)}
        note="record appended → sink acknowledged"
      />
      <Tile
        label="Workers alive"
        value={String(alive)}
        unit={`of ${crew?.length ?? 0}`}
        note={`${plural(
          (crew ?? []).reduce((so, { threads }) => so + threads, 0),
          'thread',
        )}`}
        {...(alive === 0 ? { tone: 'error' as const } : {})}
      />
    </dl>
  );
}

function Attention({
  list,
  crew,
}: {
  readonly list: readonly JobSummary[];
  readonly crew: readonly WorkerView[] | null;
}): JSX.Element | null {
  const found: Limit[] = list.flatMap((job) => attentionOf(job, lagTrend(seriesOf(job.name)), Date.now()) ?? []);
  const silent = (crew ?? []).filter(({ state }) => state === 'silent');
  for (const worker of silent) {
    found.push({
      id: `worker ${worker.id}`,
      gravity: 'error',
      title: `Worker ${worker.id} is silent.`,
      text: `Last heard ${age(worker.heartbeatAgeMs)} ago; its partitions go to other workers.`,
      look: { href: '/workers', label: 'Workers' },
    });
  }
  if (crew !== null && crew.length === 0 && list.length > 0) {
    found.push({
      id: 'no workers',
      gravity: 'error',
      title: 'No worker is connected, so no job moves.',
      text: 'Start one: weir worker --master HOST:7077',
      look: { href: '/workers', label: 'Workers' },
    });
  }
  if (found.length === 0) return null;
  found.sort((one, other) => Number(other.gravity === 'error') - Number(one.gravity === 'error'));
  return (
    <section class="panel" aria-labelledby="attention">
      <header class="panel-head">
        <h2 id="attention">What needs attention</h2>
        <span class="right soft">{found.length > ATTENTION_MAX ? `${ATTENTION_MAX} of ${found.length}` : null}</span>
      </header>
      <LimitList limits={found.slice(0, ATTENTION_MAX)} hrefOf={(limit) => limit.look?.href ?? jobHref(limit.id)} />
    </section>
  );
}

const states = ['running', 'starting', 'failed', 'stopped', 'finished'] as const;

const columns: readonly Column<JobSummary>[] = [
  { key: 'name', title: 'Job', sort: ({ name }) => name, cell: ({ name }) => <a href={jobHref(name)}>{name}</a> },
  {
    key: 'state',
    title: 'State',
    sort: ({ state }) => state,
    cell: ({ state, reason }) => (
      <span title={reason?.message ?? ''}>
        <State state={state} />
      </span>
    ),
  },
  {
    key: 'records',
    title: 'Records/s',
    numeric: true,
    drop: 2,
    sort: (job) => job.recordsPerSecond,
    cell: (job) => <Figure value={job.recordsPerSecond} />,
  },
  {
    key: 'rows',
    title: 'Rows/s',
    numeric: true,
    sort: (job) => job.rowsPerSecond,
    cell: (job) => <Figure value={job.rowsPerSecond} />,
  },
  {
    key: 'spark',
    title: 'Rows/s lately',
    drop: 1,
    width: '112px',
    cell: ({ name }) => <Spark values={seriesOf(name).rows} label={`Rows a second of ${name}`} tone="c3" />,
  },
  {
    key: 'lag',
    title: 'Lag',
    numeric: true,
    sort: (job) => job.lag,
    cell: (job) => (job.lag > 0 ? lag(job.lag) : <span class="zero">{lag(job.lag)}</span>),
  },
  {
    key: 'p50',
    title: 'p50',
    numeric: true,
    drop: 1,
    sort: (job) => job.latencyMsP50 ?? -1,
    cell: (job) => duration(job.latencyMsP50),
  },
  {
    key: 'p99',
    title: 'p99',
    numeric: true,
    drop: 2,
    sort: (job) => job.latencyMsP99 ?? -1,
    cell: (job) => duration(job.latencyMsP99),
  },
  {
    key: 'dead',
    title: 'Dead letters',
    numeric: true,
    drop: 2,
    sort: ({ counters }) => counters.dead,
    cell: ({ name, counters }) =>
      counters.dead === 0 ? (
        <span class="zero">0</span>
      ) : (
        <a href={jobHref(name, 'dead-letters')}>{count(counters.dead)}</a>
      ),
  },
  {
    key: 'lanes',
    title: 'Partitions',
    numeric: true,
    drop: 1,
    sort: (job) => job.partitionCount,
    cell: (job) => (job.partitionCount === 0 ? '–' : job.partitionCount),
  },
  {
    key: 'revision',
    title: 'Revision',
    numeric: true,
    drop: 1,
    sort: (job) => job.revision,
    cell: (job) => job.revision,
  },
  {
    key: 'changed',
    title: 'Changed',
    numeric: true,
    drop: 1,
    sort: (job) => job.changedAt,
    cell: (job) => <span class="soft">{age(Date.now() - job.changedAt)} ago</span>,
  },
];

function Figure({ value }: { readonly value: number }): JSX.Element {
  return value < 0.05 ? <span class="zero">0</span> : <>{count(value)}</>;
}

function JobsPanel({ list }: { readonly list: readonly JobSummary[] }): JSX.Element {
  const { query } = useStore(place);
  const text = query.get('q') ?? '';
  const state = query.get('state') ?? '';
  const shown = useMemo(
    () =>
      list.filter(
        (job) => (text === '' || job.name.includes(text.toLowerCase())) && (state === '' || job.state === state),
      ),
    [list, text, state],
  );
  if (list.length === 0) {
    return (
      <section class="panel">
        <Empty icon="stage" title="There is no job yet" command="./weir apply jobs/created-users.yaml">
          A job is a YAML file: sources, a query, sinks. Write one in <a href="/editor">the editor</a>, which checks it
          as you type, or submit a file:
        </Empty>
      </section>
    );
  }
  return (
    <section class="panel" aria-labelledby="jobs">
      <header class="panel-head">
        <h2 id="jobs">Jobs</h2>
        <span class="soft">
          {shown.length === list.length ? count(list.length) : `${count(shown.length)} of ${count(list.length)}`}
        </span>
        <div class="right">
          <div class="chips">
            {states.map((name) => {
              const amount = list.filter((job) => job.state === name).length;
              return amount === 0 ? null : (
                <button
                  type="button"
                  key={name}
                  class="chip"
                  aria-pressed={state === name}
                  onClick={() => setQuery({ state: state === name ? '' : name })}
                >
                  {name} {amount}
                </button>
              );
            })}
          </div>
          <label>
            <span class="hidden">Filter jobs by name</span>
            <input
              type="search"
              placeholder="Filter by name"
              value={text}
              onInput={(event) => setQuery({ q: event.currentTarget.value })}
            />
          </label>
        </div>
      </header>
      <DataTable
        label="Jobs"
        columns={columns}
        rows={shown}
        keyOf={({ name }) => name}
        sortBy="name"
        onOpen={({ name }) => go(jobHref(name))}
        empty={<Empty title="No job is called so">Take the filter away to see all {list.length}.</Empty>}
      />
    </section>
  );
}

function CrewPanel({ crew }: { readonly crew: readonly WorkerView[] | null }): JSX.Element | null {
  if (crew === null || crew.length === 0) return null;
  const crewColumns: readonly Column<WorkerView>[] = [
    {
      key: 'id',
      title: 'Worker',
      sort: ({ id }) => id,
      cell: ({ id }) => <a href={`/workers?at=${encodeURIComponent(id)}`}>{id}</a>,
    },
    { key: 'state', title: 'State', sort: ({ state }) => state, cell: ({ state }) => <State state={state} /> },
    { key: 'lanes', title: 'Partitions', numeric: true, sort: ({ lanes }) => lanes, cell: ({ lanes }) => lanes },
    {
      key: 'loop',
      title: 'Event loop delay',
      numeric: true,
      sort: (worker) => worker.eventLoopDelayMs,
      cell: (worker) => duration(worker.eventLoopDelayMs),
    },
    {
      key: 'memory',
      title: 'Memory',
      numeric: true,
      drop: 2,
      sort: ({ rssBytes }) => rssBytes,
      cell: ({ rssBytes }) => bytes(rssBytes),
    },
  ];
  return (
    <section class="panel" aria-labelledby="crew">
      <header class="panel-head">
        <h2 id="crew">Workers</h2>
        <a class="right" href="/workers">
          All about workers →
        </a>
      </header>
      <DataTable
        label="Workers"
        columns={crewColumns}
        rows={crew}
        keyOf={({ id }) => id}
        sortBy="id"
        maxHeight={240}
        onOpen={({ id }) => go(`/workers?at=${encodeURIComponent(id)}`)}
      />
    </section>
  );
}
