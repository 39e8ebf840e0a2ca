/** A job with a schedule: when it runs next, and how its runs went. */
import type { JSX } from 'preact';
import { ask, jobPath } from '../api.ts';
import { age, dateTime, duration, plural } from '../format.ts';
import { Empty, Failure, Loading, State, Tile, useAsk } from '../parts/basics.tsx';
import type { Column } from '../parts/data-table.tsx';
import { DataTable } from '../parts/data-table.tsx';
import type { RunDocument, RunsDocument } from '../wire.ts';

const columns: readonly Column<RunDocument>[] = [
  { key: 'number', title: 'Run', numeric: true, sort: ({ number }) => number, cell: ({ number }) => number },
  { key: 'state', title: 'State', sort: ({ state }) => state, cell: ({ state }) => <State state={state} /> },
  {
    key: 'for',
    title: 'Scheduled for',
    drop: 2,
    sort: ({ scheduledFor }) => scheduledFor ?? 0,
    cell: ({ scheduledFor }) => (scheduledFor === null ? 'by hand' : dateTime(scheduledFor)),
  },
  {
    key: 'started',
    title: 'Started',
    sort: ({ startedAt }) => startedAt ?? 0,
    cell: ({ startedAt }) => (startedAt === null ? '–' : dateTime(startedAt)),
  },
  { key: 'took', title: 'Took', numeric: true, sort: tookMs, cell: (run) => took(run) },
  {
    key: 'attempts',
    title: 'Attempts',
    numeric: true,
    drop: 2,
    sort: ({ attempts }) => attempts,
    cell: ({ attempts, retryAt }) =>
      retryAt === null ? attempts : `${attempts}, again in ${age(Math.max(0, retryAt - Date.now()))}`,
  },
  { key: 'reason', title: 'Reason', drop: 1, cell: (run) => whyNot(run) },
];

function tookMs({ startedAt, endedAt }: RunDocument): number {
  return startedAt === null ? -1 : (endedAt ?? Date.now()) - startedAt;
}

function took(run: RunDocument): string {
  return run.startedAt === null ? '–' : duration(tookMs(run));
}

/** Why it did not go as it should; empty = it did. */
function whyNot({ state, reason }: RunDocument): string {
  return reason?.message ?? (state === 'skipped' ? 'The run before was still going.' : '');
}

export function RunsTab({ name }: { readonly name: string }): JSX.Element {
  const asked = useAsk(async (signal) => await ask<RunsDocument>(jobPath(name, '/runs'), { signal }), [name], 3000);
  if (asked.loading) return <Loading what="runs" />;
  if (asked.value === null) return <Failure error={asked.error} retry={asked.again} />;
  const { schedule, next, runs } = asked.value;
  if (schedule === null)
    return (
      <section class="panel">
        <Empty icon="play" title="This job has no schedule">
          With trigger: availableNow and a schedule it runs again and again by itself.
        </Empty>
      </section>
    );
  const ended = runs.filter(({ endedAt }) => endedAt !== null);
  const lastDone = ended.find(({ startedAt }) => startedAt !== null);
  const bad = ended.filter(({ state }) => state === 'failed' || state === 'timedOut').length;
  return (
    <>
      <dl class="tiles">
        <Tile label="Schedule" value={schedule.cron} note={`in ${schedule.timeZone}`} />
        <Tile
          label="Next run"
          value={next === null ? 'none' : `in ${age(Math.max(0, next - Date.now()))}`}
          note={next === null ? 'the job is stopped, or its times are over' : dateTime(next)}
        />
        <Tile
          label="Failed"
          value={String(bad)}
          unit={`of ${ended.length}`}
          note="of the runs that are kept"
          {...(bad > 0 ? { tone: 'warn' as const } : {})}
        />
        <Tile label="Last one took" value={lastDone === undefined ? '–' : took(lastDone)} />
      </dl>
      <section class="panel" aria-labelledby="runs">
        <header class="panel-head">
          <h2 id="runs">Runs</h2>
          <span class="soft">{plural(runs.length, 'run')}, newest first</span>
        </header>
        <DataTable
          label="Runs"
          columns={columns}
          rows={runs}
          keyOf={({ number }) => String(number)}
          maxHeight={480}
          empty={<Empty title="No run yet" command={`weir start ${name}`} />}
        />
      </section>
    </>
  );
}
