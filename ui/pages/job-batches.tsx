/** The last batches of a job: phases, and which partition they waited for. */
import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { ask, jobPath } from '../api.ts';
import { count, duration, plural, time } from '../format.ts';
import { Empty, Loading, Tile, useAsk } from '../parts/basics.tsx';
import type { GridCell, GridColumn } from '../parts/batches.tsx';
import { BatchGrid, PhaseChart } from '../parts/batches.tsx';
import type { Column } from '../parts/data-table.tsx';
import { DataTable } from '../parts/data-table.tsx';
import type { BatchProgress, JobView } from '../wire.ts';

const TICKS_KEPT = 90;

export function BatchesTab({ view }: { readonly view: JobView }): JSX.Element {
  const { name } = view.row;
  const asked = useAsk(
    async (signal) =>
      (await ask<{ progress: readonly BatchProgress[] }>(jobPath(name, '/progress?last=90'), { signal })).progress,
    [name],
    1500,
  );
  const [selected, setSelected] = useState<number | null>(null);
  const ticks = useTicks(view);
  const batches = asked.value ?? [];
  const detailed = batches.some(({ partitions }) => (partitions ?? []).length > 0);
  const rows = useMemo(() => partitionNames(batches, view), [batches, view]);
  const columns = detailed ? batches.map(columnOf) : ticks;
  if (asked.loading) return <Loading what="batches" />;
  const chosen = batches.find(({ batchId }) => batchId === selected);
  const durations = batches.map(({ batchDuration }) => batchDuration).sort((one, other) => one - other);
  const at = (share: number): number | null =>
    durations[Math.min(durations.length - 1, Math.floor(share * durations.length))] ?? null;
  // Partitions of a job without state go on by themselves: its batches are moments, and have no duration of their own.
  const phased = batches.some(({ durationMs }) =>
    Object.keys(durationMs).some((phase) => phase !== 'triggerExecution'),
  );
  const records = batches.reduce((sum, { numInputRows }) => sum + numInputRows, 0);
  return (
    <>
      {batches.length === 0 ? null : (
        <dl class="tiles">
          <Tile
            label="Batches shown"
            value={String(batches.length)}
            note={phased ? `up to batch ${batches.at(-1)?.batchId ?? ''}` : 'what all partitions did in half a second'}
          />
          {phased ? <Tile label="Duration p50" value={duration(at(0.5))} /> : null}
          {phased ? <Tile label="Duration p99" value={duration(at(0.99))} /> : null}
          <Tile label="Records a batch" value={count(records / batches.length)} />
        </dl>
      )}
      {batches.length > 0 ? (
        <section class="panel">
          <PhaseChart batches={batches} selected={selected} onSelect={setSelected} />
        </section>
      ) : null}
      <section class="panel">
        {columns.length === 0 ? (
          <Empty title="No batch yet">
            {view.row.state === 'running'
              ? 'The first one appears as soon as records come.'
              : `The job is ${view.row.state}.`}
          </Empty>
        ) : (
          <BatchGrid
            columns={columns}
            rows={rows}
            by={detailed && batches.some(({ partitions }) => partitions?.some(({ ms }) => ms !== null)) ? 'ms' : 'rows'}
          />
        )}
      </section>
      {chosen === undefined ? null : <BatchSheet batch={chosen} />}
    </>
  );
}

function BatchSheet({ batch }: { readonly batch: BatchProgress }): JSX.Element {
  type Part = NonNullable<BatchProgress['partitions']>[number];
  const columns: readonly Column<Part>[] = [
    {
      key: 'partition',
      title: 'Partition',
      sort: (part) => part.partition,
      cell: (part) => `${part.topic} ${part.partition}`,
    },
    { key: 'rows', title: 'Records', numeric: true, sort: (part) => part.rows, cell: (part) => count(part.rows) },
    { key: 'ms', title: 'Time', numeric: true, sort: (part) => part.ms ?? -1, cell: (part) => duration(part.ms) },
    {
      key: 'attempts',
      title: 'Attempts',
      numeric: true,
      sort: (part) => part.attempts ?? 1,
      cell: (part) => part.attempts ?? 1,
    },
  ];
  const phases = Object.entries(batch.durationMs).map(([phase, ms]) => `${phase} ${duration(ms)}`);
  return (
    <section class="panel" aria-labelledby="batch">
      <header class="panel-head">
        <h2 id="batch">Batch {batch.batchId}</h2>
        <span class="soft">
          {plural(batch.numInputRows, 'record')}, {duration(batch.batchDuration)}: {phases.join(', ')}
        </span>
      </header>
      {(batch.partitions ?? []).length === 0 ? null : (
        <DataTable
          label="Partitions of the batch"
          columns={columns}
          rows={batch.partitions ?? []}
          keyOf={(part) => `${part.source}/${part.partition}`}
          sortBy="-rows"
          maxHeight={320}
        />
      )}
    </section>
  );
}

function partitionNames(batches: readonly BatchProgress[], view: JobView): string[] {
  const names = new Set<string>();
  for (const { partitions } of batches)
    for (const { topic, partition } of partitions ?? []) names.add(`${topic} ${partition}`);
  for (const { topic, partition } of view.lanes) names.add(`${topic} ${partition}`);
  return [...names].sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
}

function columnOf(batch: BatchProgress): GridColumn {
  const cells = new Map<string, GridCell>();
  for (const { topic, partition, rows, ms, attempts } of batch.partitions ?? [])
    cells.set(`${topic} ${partition}`, { rows, ms, attempts: attempts ?? 1, trouble: false });
  return { label: `batch ${batch.batchId}`, cells };
}

/** What lanes committed from one look to the next, for a master that keeps no batches. */
function useTicks(view: JobView): readonly GridColumn[] {
  const [ticks, setTicks] = useState<readonly GridColumn[]>([]);
  const [before, setBefore] = useState<JobView | null>(null);
  useEffect(() => {
    setBefore(view);
    if (before === null || before === view || before.row.name !== view.row.name) return;
    const last = new Map(before.lanes.map((lane) => [lane.lane, lane.committedOffset]));
    const cells = new Map<string, GridCell>();
    for (const lane of view.lanes) {
      const from = last.get(lane.lane);
      const trouble = lane.state === 'blocked' || lane.state === 'failed';
      const rows = from === undefined || from < 0 ? 0 : Math.max(0, lane.committedOffset - from);
      cells.set(`${lane.topic} ${lane.partition}`, { rows, ms: null, attempts: 1, trouble });
    }
    setTicks((list) => [...list.slice(1 - TICKS_KEPT), { label: time(Date.now()), cells }]);
  }, [view]);
  return ticks;
}
