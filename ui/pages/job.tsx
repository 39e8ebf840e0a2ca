/** One job: its head with what can be done, and its tabs. */
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { ask, jobPath } from '../api.ts';
import { age, bytes, count, dateTime, duration, lag, ratio } from '../format.ts';
import { jobs, loadHistory, seriesOf, watched, workers } from '../live.ts';
import { limitsOf } from '../model/limits.ts';
import { lagTrend } from '../model/series.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Empty, Failure, LimitList, Loading, State, Tile, useAsk } from '../parts/basics.tsx';
import { Chart } from '../parts/chart.tsx';
import { Graph } from '../parts/graph.tsx';
import { LettersPanel } from '../parts/letters.tsx';
import { LogPanel } from '../parts/log-panel.tsx';
import { jobHref } from '../router.ts';
import { useStore } from '../store.ts';
import type { BatchProgress, JobView, PlanDocument } from '../wire.ts';
import { partitionsOf } from '../wire.ts';
import { JobActions } from './job-actions.tsx';
import { BatchesTab } from './job-batches.tsx';
import { DataTab } from './job-data.tsx';
import { DefinitionTab } from './job-definition.tsx';
import { PartitionsTab } from './job-partitions.tsx';
import { RunsTab } from './job-runs.tsx';
import { RevisionsTab } from './job-revisions.tsx';
import { StateTab } from './job-state.tsx';

const tabs = [
  ['', 'Overview'],
  ['partitions', 'Partitions'],
  ['batches', 'Batches'],
  ['runs', 'Runs'],
  ['state', 'State'],
  ['data', 'Data'],
  ['dead-letters', 'Dead letters'],
  ['revisions', 'Revisions'],
  ['definition', 'Definition'],
  ['logs', 'Logs and events'],
] as const;

export function JobPage({ name, tab }: { readonly name: string; readonly tab: string }): JSX.Element {
  const view = useStore(watched);
  const list = useStore(jobs);
  const known = list?.some((job) => job.name === name);
  useEffect(() => void loadHistory(name), [name]);
  const plan = useAsk(
    async (signal) => await ask<PlanDocument>(jobPath(name, '/plan'), { signal }),
    [name, view?.row.definition],
  );
  if (view === null || view.row.name !== name) {
    return known === false ? (
      <Empty icon="error" title={`There is no job ${name}`}>
        It may have been deleted. <a href="/">All jobs</a>
      </Empty>
    ) : (
      <Loading what={`job ${name}`} />
    );
  }
  const { row, counters } = view;
  const hasSchedule = plan.value?.plan.schedule !== undefined;
  return (
    <>
      <div class="page-head">
        <p class="crumb">
          <a href="/">Jobs</a> /
        </p>
        <h1>{name}</h1>
        <State state={row.state} />
        <span class="soft">
          revision {row.revision}, run {row.run}, changed {age(Date.now() - row.changedAt)} ago
        </span>
        <JobActions view={view} source={plan.value?.source ?? null} />
      </div>
      {row.reason === null ? null : (
        <p class="banner" role="alert">
          <span>
            {row.reason.message} <code>{row.reason.code}</code>
          </span>
        </p>
      )}
      <nav class="tabs" aria-label={`Parts of ${name}`}>
        {tabs
          .filter(([key]) => key !== 'runs' || hasSchedule || tab === 'runs')
          .map(([key, title]) => (
            <a key={key} href={jobHref(name, key)} {...(key === tab ? { 'aria-current': 'page' as const } : {})}>
              {title}
              {key === 'dead-letters' && counters.dead > 0 ? <span class="n">{count(counters.dead)}</span> : null}
              {key === 'partitions' && partitionsOf(view) > 0 ? <span class="n">{partitionsOf(view)}</span> : null}
            </a>
          ))}
      </nav>
      <Tab view={view} tab={tab} plan={plan.value} planError={plan.error} />
    </>
  );
}

interface TabProps {
  readonly view: JobView;
  readonly tab: string;
  readonly plan: PlanDocument | null;
  readonly planError: unknown;
}

function Tab({ view, tab, plan, planError }: TabProps): JSX.Element {
  const { name } = view.row;
  switch (tab) {
    case 'partitions':
      return <PartitionsTab view={view} />;
    case 'batches':
      return <BatchesTab view={view} />;
    case 'runs':
      return <RunsTab name={name} />;
    case 'state':
      return <StateTab view={view} />;
    case 'data':
      return plan === null ? (
        <PlanMissing error={planError} />
      ) : (
        <Allowed role="operator" what="Rows at an operator">
          <DataTab view={view} plan={plan.plan} />
        </Allowed>
      );
    case 'dead-letters':
      return (
        <Allowed role="operator" what="Dead letters">
          <LettersPanel jobs={[name]} />
        </Allowed>
      );
    case 'revisions':
      return <RevisionsTab view={view} />;
    case 'definition':
      return plan === null ? <PlanMissing error={planError} /> : <DefinitionTab plan={plan} name={name} />;
    case 'logs':
      return <LogPanel job={name} />;
    default:
      return <OverviewTab view={view} plan={plan} />;
  }
}

function PlanMissing({ error }: { readonly error: unknown }): JSX.Element {
  return error === null ? <Loading what="the plan" /> : <Failure error={error} />;
}

function OverviewTab({ view, plan }: { readonly view: JobView; readonly plan: PlanDocument | null }): JSX.Element {
  const crew = useStore(workers);
  const { name } = view.row;
  const progress = useAsk(
    async (signal) =>
      (await ask<{ progress: readonly BatchProgress[] }>(jobPath(name, '/progress?last=40'), { signal })).progress,
    [name],
    3000,
  );
  const series = seriesOf(name);
  const limits = limitsOf({
    view,
    workers: crew,
    lagTrend: lagTrend(series),
    plan: plan?.plan ?? null,
    progress: progress.value ?? [],
  });
  return (
    <>
      <Tiles view={view} />
      <section class="panel" aria-labelledby="limits">
        <header class="panel-head">
          <h2 id="limits">What limits this job</h2>
        </header>
        <LimitList
          limits={limits}
          hrefOf={({ look }) =>
            look === undefined ? null : look.href.startsWith('/') ? look.href : jobHref(name, look.href)
          }
        />
      </section>
      {plan === null ? null : <Graph plan={plan.plan} view={view} progress={progress.value ?? []} />}
      <Charts name={name} />
    </>
  );
}

function Tiles({ view }: { readonly view: JobView }): JSX.Element {
  const { counters, epochs } = view;
  const state = (epochs?.stateOperators ?? []).reduce((sum, { memoryUsedBytes }) => sum + memoryUsedBytes, 0);
  const stateRows = (epochs?.stateOperators ?? []).reduce((sum, { numRowsTotal }) => sum + numRowsTotal, 0);
  const share = (value: number): string => (counters.read === 0 ? '' : ` (${ratio(value / counters.read)})`);
  return (
    <dl class="tiles">
      <Tile
        label="Records in"
        value={count(view.recordsPerSecond)}
        unit="/s"
        note={`${count(counters.read)} read in all`}
      />
      <Tile
        label="Rows out"
        value={count(view.rowsPerSecond)}
        unit="/s"
        note={`${count(counters.rowsOut)} written in all`}
      />
      <Tile
        label="Lag"
        value={lag(view.lag)}
        unit="records"
        note={view.lag === 0 ? 'keeps up' : 'between committed and end'}
      />
      <Tile label="Latency p99" value={duration(view.latencyMsP99)} note={`p50 ${duration(view.latencyMsP50)}`} />
      {epochs === null ? (
        <Tile
          label="Filtered"
          value={count(counters.filtered)}
          note={`of ${count(counters.read)} records${share(counters.filtered)}${counters.skipped === 0 ? '' : `, ${count(counters.skipped)} skipped`}`}
        />
      ) : (
        <Tile
          label="State"
          value={bytes(state)}
          note={`${count(stateRows)} rows${epochs.watermarkMs === null ? '' : `, watermark ${dateTime(epochs.watermarkMs)}`}`}
        />
      )}
      <Tile
        label="Dead letters"
        value={count(counters.dead)}
        note={
          counters.dead === 0 ? 'every record was usable' : `of ${count(counters.read)} records${share(counters.dead)}`
        }
        {...(counters.dead > counters.read * 0.01 && counters.dead > 10 ? { tone: 'warn' as const } : {})}
      />
    </dl>
  );
}

function Charts({ name }: { readonly name: string }): JSX.Element {
  const series = seriesOf(name);
  return (
    <div class="columns">
      <section class="panel">
        <Chart
          title="Throughput"
          at={series.at}
          format={(value) => `${count(value)}/s`}
          lines={[
            { label: 'records in', colour: 'c1', values: series.records, filled: true },
            { label: 'rows out', colour: 'c3', values: series.rows },
          ]}
        />
      </section>
      <section class="panel">
        <Chart
          title="Lag"
          at={series.at}
          format={count}
          lines={[{ label: 'records behind', colour: 'c2', values: series.lag, filled: true }]}
        />
      </section>
      <section class="panel">
        <Chart
          title="Latency"
          at={series.at}
          format={duration}
          lines={[
            { label: 'p99', colour: 'c4', values: series.p99 },
            { label: 'p50', colour: 'c1', values: series.p50 },
          ]}
        />
      </section>
    </div>
  );
}
