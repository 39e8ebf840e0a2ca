/** Topics that jobs read and write: partitions, lag, and the records themselves. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { ask } from '../api.ts';
import { count, dateTime, lag, plural } from '../format.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Empty, Failure, Loading, useAsk } from '../parts/basics.tsx';
import type { Column } from '../parts/data-table.tsx';
import { DataTable } from '../parts/data-table.tsx';
import { Records } from '../parts/records.tsx';
import { go, jobHref, place, setQuery } from '../router.ts';
import { useStore } from '../store.ts';
import type { TopicPartition, TopicSummary } from '../wire.ts';

function topicHref(name: string): string {
  return `/topics/${encodeURIComponent(name)}`;
}

const columns: readonly Column<TopicSummary>[] = [
  { key: 'name', title: 'Topic', sort: ({ name }) => name, cell: ({ name }) => <a href={topicHref(name)}>{name}</a> },
  {
    key: 'records',
    title: 'Records',
    numeric: true,
    sort: ({ records }) => records,
    cell: ({ records }) => count(records),
  },
  {
    key: 'partitions',
    title: 'Partitions',
    numeric: true,
    sort: ({ partitions }) => partitions,
    cell: ({ partitions }) => partitions,
  },
  { key: 'jobs', title: 'Read by', cell: ({ jobs }) => <Links jobs={jobs} /> },
  { key: 'sinks', title: 'Written by', drop: 2, cell: ({ sinks }) => <Links jobs={sinks} /> },
];

function Links({ jobs }: { readonly jobs: readonly string[] }): JSX.Element {
  if (jobs.length === 0) return <span class="soft">–</span>;
  return (
    <>
      {jobs.map((job, at) => (
        <span key={job}>
          {at === 0 ? '' : ', '}
          <a href={jobHref(job)}>{job}</a>
        </span>
      ))}
    </>
  );
}

export function TopicsPage(): JSX.Element {
  const asked = useAsk(
    async (signal) => (await ask<{ topics: readonly TopicSummary[] }>('/v1/topics', { signal })).topics,
    [],
    4000,
  );
  return (
    <>
      <div class="page-head">
        <h1>Topics</h1>
        <span class="soft">that jobs read or write</span>
      </div>
      {asked.loading ? (
        <Loading what="topics" />
      ) : asked.value === null ? (
        <Failure error={asked.error} retry={asked.again} />
      ) : (
        <section class="panel">
          {asked.value.length === 0 ? (
            <Empty icon="topics" title="No job names a topic yet" command="./weir apply jobs/created-users.yaml">
              The topics of a job’s sources and sinks stand here as soon as there is one:
            </Empty>
          ) : (
            <DataTable
              label="Topics"
              columns={columns}
              rows={asked.value}
              keyOf={({ name }) => name}
              sortBy="name"
              onOpen={({ name }) => go(topicHref(name))}
            />
          )}
        </section>
      )}
    </>
  );
}

interface TopicDocument {
  readonly name: string;
  readonly partitions: readonly TopicPartition[];
}

export function TopicPage({ name }: { readonly name: string }): JSX.Element {
  const asked = useAsk(async (signal) => await ask<TopicDocument>(topicPath(name), { signal }), [name], 3000);
  const { query } = useStore(place);
  const partitions = asked.value?.partitions ?? [];
  const readers = [...new Set(partitions.flatMap(({ lags }) => lags.map(({ job }) => job)))].sort();
  const lagOf = (entry: TopicPartition, job: string): number =>
    entry.lags.find((reader) => reader.job === job)?.lag ?? -1;
  const partitionColumns: readonly Column<TopicPartition>[] = [
    { key: 'partition', title: 'Partition', sort: ({ partition }) => partition, cell: ({ partition }) => partition },
    {
      key: 'records',
      title: 'Records',
      numeric: true,
      sort: (entry) => entry.endOffset - entry.startOffset,
      cell: (entry) => count(entry.endOffset - entry.startOffset),
    },
    {
      key: 'start',
      title: 'Start',
      numeric: true,
      drop: 2,
      sort: (entry) => entry.startOffset,
      cell: (entry) => entry.startOffset.toLocaleString('en-US'),
    },
    {
      key: 'end',
      title: 'End',
      numeric: true,
      drop: 2,
      sort: (entry) => entry.endOffset,
      cell: (entry) => entry.endOffset.toLocaleString('en-US'),
    },
    ...readers.map((job): Column<TopicPartition> => ({
      key: `lag ${job}`,
      title: `Lag of ${job}`,
      numeric: true,
      sort: (entry) => lagOf(entry, job),
      cell: (entry) => lag(lagOf(entry, job)),
    })),
  ];
  return (
    <>
      <div class="page-head">
        <p class="crumb">
          <a href="/topics">Topics</a> /
        </p>
        <h1>{name}</h1>
        <span class="soft">
          {plural(partitions.length, 'partition')},{' '}
          {count(partitions.reduce((sum, entry) => sum + entry.endOffset - entry.startOffset, 0))} records
        </span>
      </div>
      <Browser
        name={name}
        partitions={partitions}
        at={{ partition: query.get('partition') ?? 'all', from: query.get('from') ?? 'latest' }}
      />
      {asked.value === null && asked.error !== null ? <Failure error={asked.error} retry={asked.again} /> : null}
      {partitions.length === 0 ? null : (
        <section class="panel" aria-labelledby="partitions">
          <header class="panel-head">
            <h2 id="partitions">Partitions</h2>
          </header>
          <DataTable
            label="Partitions"
            columns={partitionColumns}
            rows={partitions}
            keyOf={({ partition }) => String(partition)}
            sortBy="partition"
            maxHeight={420}
          />
        </section>
      )}
    </>
  );
}

function topicPath(name: string): string {
  return `/v1/topics/${encodeURIComponent(name)}`;
}

function Browser({
  name,
  partitions,
  at,
}: {
  readonly name: string;
  readonly partitions: readonly TopicPartition[];
  readonly at: { readonly partition: string; readonly from: string };
}): JSX.Element {
  const [filter, setFilter] = useState('');
  const [limit, setLimit] = useState(50);
  const [live, setLive] = useState(true);
  const kind = at.from === 'latest' || at.from === 'earliest' ? at.from : at.from.startsWith('ts:') ? 'time' : 'offset';
  const setKind = (value: string): void => {
    const from = value === 'time' ? `ts:${Date.now() - 3_600_000}` : value === 'offset' ? '0' : value;
    setQuery({
      from: from === 'latest' ? '' : from,
      ...(value === 'offset' && at.partition === 'all' ? { partition: '0' } : {}),
    });
  };
  return (
    <section class="panel" aria-labelledby="records">
      <header class="panel-head">
        <h2 id="records">Records</h2>
        <label>
          <span class="soft">from</span>
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
            <option value="latest">the newest</option>
            <option value="earliest">the beginning</option>
            <option value="offset">an offset</option>
            <option value="time">a time</option>
          </select>
        </label>
        {kind === 'offset' ? (
          <input
            type="number"
            min={0}
            aria-label="Offset"
            value={at.from}
            onChange={(event) => setQuery({ from: event.currentTarget.value || '0' })}
          />
        ) : null}
        {kind === 'time' ? (
          <input
            type="datetime-local"
            step="1"
            aria-label="Time"
            value={dateTime(Number(at.from.slice(3))).replace(' ', 'T')}
            onChange={(event) => {
              const ms = new Date(event.currentTarget.value).getTime();
              if (Number.isFinite(ms)) setQuery({ from: `ts:${ms}` });
            }}
          />
        ) : null}
        <label>
          <span class="soft">partition</span>
          <select
            value={at.partition}
            onChange={(event) =>
              setQuery({ partition: event.currentTarget.value === 'all' ? '' : event.currentTarget.value })
            }
          >
            <option value="all">all</option>
            {partitions.map(({ partition }) => (
              <option key={partition} value={String(partition)}>
                {partition}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span class="soft">show</span>
          <select value={limit} onChange={(event) => setLimit(Number(event.currentTarget.value))}>
            {[50, 200, 500].map((amount) => (
              <option key={amount} value={amount}>
                {amount}
              </option>
            ))}
          </select>
        </label>
        <div class="right">
          <label>
            <span class="hidden">Only records that contain</span>
            <input
              type="search"
              placeholder="Contains"
              value={filter}
              onInput={(event) => setFilter(event.currentTarget.value)}
            />
          </label>
          {kind === 'latest' ? (
            <button type="button" class="chip" aria-pressed={live} onClick={() => setLive(!live)}>
              {live ? 'live' : 'held'}
            </button>
          ) : null}
        </div>
      </header>
      <Allowed role="operator" what="Records of topics">
        <Records
          topic={name}
          from={at.from}
          partition={at.partition}
          limit={limit}
          everyMs={kind === 'latest' && live ? 2000 : 0}
          filter={filter}
        />
      </Allowed>
    </section>
  );
}
