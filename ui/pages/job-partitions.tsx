/** Every partition of a job: who reads it, how far it is, what is in its way. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { ask, jobPath } from '../api.ts';
import { count, lag, ratio } from '../format.ts';
import { Empty, State, useAsk } from '../parts/basics.tsx';
import type { Column } from '../parts/data-table.tsx';
import { DataTable } from '../parts/data-table.tsx';
import type { JobView, LaneView } from '../wire.ts';

interface OffsetsDocument {
  readonly offsets: readonly {
    readonly source: string;
    readonly topic: string;
    readonly partition: number;
    readonly committed: number;
    readonly end: number;
  }[];
}

export function PartitionsTab({ view }: { readonly view: JobView }): JSX.Element {
  const stateful = view.epochs !== null;
  // A stateful job has no lanes: its positions are those of its last committed epoch.
  const offsets = useAsk(
    async (signal) =>
      stateful || view.lanes.length === 0
        ? (await ask<OffsetsDocument>(jobPath(view.row.name, '/offsets'), { signal })).offsets
        : [],
    [view.row.name, stateful],
    2000,
  );
  const rows: readonly LaneView[] = useMemo(
    () =>
      view.lanes.length > 0
        ? view.lanes
        : (offsets.value ?? []).map((entry) => ({
            lane: `${entry.source}/${entry.partition}`,
            source: entry.source,
            topic: entry.topic,
            partition: entry.partition,
            owner: null,
            generation: 0,
            state: view.row.state,
            code: null,
            message: null,
            committedOffset: entry.committed,
            readOffset: -1,
            endOffset: entry.end,
            lag: entry.committed < 0 ? -1 : Math.max(0, entry.end - entry.committed),
            counters: { read: 0, passed: 0, filtered: 0, skipped: 0, dead: 0, rowsOut: 0 },
          })),
    [view, offsets.value],
  );
  if (rows.length === 0) {
    return (
      <section class="panel">
        <Empty title="No partition is known yet">
          The master asks the source for the partitions of its topics; a job that has just been submitted takes a
          moment.
        </Empty>
      </section>
    );
  }
  const total = rows.reduce((sum, row) => sum + Math.max(0, row.lag), 0);
  const most = Math.max(1, ...rows.map((row) => row.lag));
  const worst = rows.reduce((so, row) => (row.lag > so.lag ? row : so));
  const columns: readonly Column<LaneView>[] = [
    {
      key: 'partition',
      title: 'Partition',
      sort: (row) => `${row.topic} ${String(row.partition).padStart(6, '0')}`,
      cell: (row) => (
        <>
          <span class="soft">{row.topic}</span> {row.partition}
        </>
      ),
    },
    ...(stateful
      ? []
      : [
          {
            key: 'state',
            title: 'State',
            sort: (row: LaneView) => row.state,
            cell: (row: LaneView) => <State state={row.state} />,
          },
        ]),
    ...(stateful
      ? []
      : [
          {
            key: 'owner',
            title: 'Worker',
            drop: 2 as const,
            sort: (row: LaneView) => row.owner ?? '',
            cell: (row: LaneView) =>
              row.owner === null ? (
                <span class="soft">none</span>
              ) : (
                <a href={`/workers?at=${encodeURIComponent(row.owner)}`}>{row.owner}</a>
              ),
          },
        ]),
    {
      key: 'lag',
      title: 'Lag',
      numeric: true,
      sort: (row) => row.lag,
      cell: (row) => (
        <span class="bar-cell">
          <span class="meter" aria-hidden="true">
            <i
              class={row.lag / Math.max(1, total) > 0.5 && total > 1000 ? 'hot' : ''}
              style={{ width: `${(Math.max(0, row.lag) / most) * 100}%` }}
            />
          </span>
          <span>{lag(row.lag)}</span>
        </span>
      ),
    },
    {
      key: 'committed',
      title: 'Committed',
      numeric: true,
      drop: 2,
      sort: (row) => row.committedOffset,
      cell: (row) => (row.committedOffset < 0 ? '–' : row.committedOffset.toLocaleString('en-US')),
    },
    {
      key: 'end',
      title: 'End of log',
      numeric: true,
      drop: 2,
      sort: (row) => row.endOffset,
      cell: (row) => (row.endOffset < 0 ? '–' : row.endOffset.toLocaleString('en-US')),
    },
    ...(stateful
      ? []
      : [
          {
            key: 'rows',
            title: 'Rows written',
            numeric: true,
            drop: 1 as const,
            sort: (row: LaneView) => row.counters.rowsOut,
            cell: (row: LaneView) => count(row.counters.rowsOut),
          },
          {
            key: 'dead',
            title: 'Dead letters',
            numeric: true,
            drop: 1 as const,
            sort: (row: LaneView) => row.counters.dead,
            cell: (row: LaneView) => count(row.counters.dead),
          },
        ]),
    {
      key: 'message',
      title: 'In its way',
      cell: (row) =>
        row.message === null ? (
          <span class="soft">nothing</span>
        ) : (
          <span class="bad" title={row.message}>
            {row.message}
          </span>
        ),
    },
  ];
  return (
    <section class="panel" aria-labelledby="partitions">
      <header class="panel-head">
        <h2 id="partitions">Lag per partition</h2>
        <span class="soft" data-testid="lag-summary">
          {total === 0
            ? `all ${rows.length} partitions are at the end of their logs`
            : `${count(total)} records behind in all; most of it, ${count(worst.lag)} (${ratio(worst.lag / total)}), in partition ${worst.partition} of ${worst.topic}`}
        </span>
      </header>
      <DataTable
        label="Partitions"
        columns={columns}
        rows={rows}
        keyOf={(row) => row.lane}
        sortBy="-lag"
        maxHeight={640}
      />
    </section>
  );
}
