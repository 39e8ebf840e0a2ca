/** Puts a job's row, the last reports on its lanes and its figures together for people. */
import type { LaneId } from '../core/ids.ts';
import { parseLaneId } from '../core/ids.ts';
import type { LanePosition } from '../core/lane/position.ts';
import { addCounters, zeroCounters } from '../core/lane/position.ts';
import type { LaneAssignment, JobRow } from '../core/meta.ts';
import type { Counters, LaneStatus } from '../proto/gen/control.ts';
import type { EpochsView } from './epochs-progress.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import type { FiguresSummary, JobFiguresWindow } from './figures.ts';
import type { JobShapes } from './job-shapes.ts';
import type { JobPlaces, JobView, LaneView, OperatorView } from './views.ts';

export interface JobKnowledge {
  readonly row: JobRow;
  readonly plan: JobPlan;
  readonly statuses: ReadonlyMap<LaneId, LaneStatus>;
  readonly committed: ReadonlyMap<LaneId, LanePosition>;
  readonly figures: JobFiguresWindow;
  readonly shapes: JobShapes;
  readonly waiting: { readonly code: string; readonly message: string } | null;
  /** Of a stateful job; null while nothing is known of it, and for others. */
  readonly epochs: EpochsView | null;
}

export function viewJob(job: JobKnowledge, now: number): JobView {
  const entries = Object.entries(job.row.lanes) as [LaneId, LaneAssignment][];
  const lanes = entries.map(([id, assignment]) =>
    viewLane(id, assignment, job.statuses.get(id), job.committed.get(id)),
  );
  const { busy, blocked, sinks, ...rates } = job.figures.summary(now);
  const active = job.row.state === 'starting' || job.row.state === 'running';
  return {
    row: active && job.row.reason === null && job.waiting !== null ? { ...job.row, reason: job.waiting } : job.row,
    lanes,
    counters: job.epochs?.counters ?? lanes.reduce((sum, lane) => addCounters(sum, lane.counters), zeroCounters),
    lag: job.epochs?.lag ?? lanes.reduce((sum, lane) => sum + Math.max(0, lane.lag), 0),
    epochs: job.epochs,
    schemaChanges: job.shapes.of(job.row.run),
    operators: operatorsOf(job, { ...rates, busy, blocked, sinks }),
    ...placesOf(job.plan),
    ...rates,
  };
}

const places = new WeakMap<JobPlan, JobPlaces>();

/** The same object for the same plan. */
function placesOf(plan: JobPlan): JobPlaces {
  const known = places.get(plan);
  if (known !== undefined) return known;
  const sources = plan.sources.map(({ name, connector, options, topic }) => ({ name, connector, options, topic }));
  const made: JobPlaces = {
    labels: plan.labels ?? {},
    protocol: plan.protocol,
    sources,
    sinks: plan.sinks.map(({ connector, options, description }) => ({ connector, options, description })),
    topics: [...new Set(sources.map(({ topic }) => topic))],
  };
  places.set(plan, made);
  return made;
}

const unknownOperator = { rowsPerSecond: null, busyRatio: null, blockedRatio: null, stateRows: null, stateBytes: null };

/** In the order of the plan: sources, stages, sinks. */
function operatorsOf({ plan, epochs }: JobKnowledge, summary: FiguresSummary): OperatorView[] {
  const one = plan.sources.length === 1;
  const sources = plan.sources.map((_, index) => ({
    ...unknownOperator,
    id: `source${index}`,
    rowsPerSecond: one ? summary.recordsPerSecond : null,
    blockedRatio: summary.blocked,
  }));
  const sinks = plan.sinks.map((_, index) => ({
    ...unknownOperator,
    id: `sink${index}`,
    rowsPerSecond: summary.rowsPerSecond,
    busyRatio: summary.sinks.get(index) ?? null,
  }));
  const stages =
    plan.protocol === 'lanes'
      ? plan.sources.map((_, index) => ({
          ...unknownOperator,
          id: `stage${index}`,
          busyRatio: summary.busy.get(index) ?? null,
        }))
      : plan.stages.map((stage, index) => {
          const state =
            stage.kind === 'state'
              ? epochs?.stateOperators.find(({ operatorName }) => operatorName === stage.operatorId)
              : undefined;
          return {
            ...unknownOperator,
            id: `stage${index}`,
            busyRatio: summary.busy.get(index) ?? null,
            stateRows: state?.numRowsTotal ?? null,
            stateBytes: state?.memoryUsedBytes ?? null,
          };
        });
  return [...sources, ...stages, ...sinks];
}

function viewLane(
  id: LaneId,
  assignment: LaneAssignment,
  status: LaneStatus | undefined,
  stored: LanePosition | undefined,
): LaneView {
  const { source, partition } = parseLaneId(id);
  const reported = status?.committedOffset ?? -1;
  const useStored = stored !== undefined && stored.nextOffset > reported;
  const committedOffset = useStored ? stored.nextOffset : reported;
  const endOffset = status?.endOffset ?? -1;
  return {
    lane: id,
    source,
    topic: assignment.topic,
    partition,
    owner: assignment.owner,
    generation: assignment.generation,
    state: status?.state ?? 'unknown',
    code: emptyToNull(status?.code),
    message: emptyToNull(status?.message),
    committedOffset,
    readOffset: status?.readOffset ?? -1,
    endOffset,
    lag: endOffset < 0 || committedOffset < 0 ? -1 : Math.max(0, endOffset - committedOffset),
    counters: useStored ? stored.counters : countersOf(status?.counters),
  };
}

function emptyToNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}

function countersOf(counters: Counters | null | undefined): LaneView['counters'] {
  if (counters === undefined || counters === null) return zeroCounters;
  return {
    read: counters.read ?? 0,
    passed: counters.passed ?? 0,
    filtered: counters.filtered ?? 0,
    skipped: counters.skipped ?? 0,
    dead: counters.dead ?? 0,
    rowsOut: counters.rowsOut ?? 0,
  };
}
