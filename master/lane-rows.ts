/** What the lanes in a job's row come to: decisions of the coordinator, as functions of the row and of what was seen. */
import type { PartitionFacts } from '../core/assign/decide.ts';
import type { Generation, JobName, LaneId, Run, WorkerId } from '../core/ids.ts';
import { laneId } from '../core/ids.ts';
import { ATTEMPT_SLOTS } from '../core/lane/timestamps.ts';
import type { JobRow, LaneAssignment } from '../core/meta.ts';
import type { JobState } from '../core/states.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import type { LaneStatus } from '../proto/gen/control.ts';

/** What workers have said of the lanes of a job; keys as of {@link acknowledged}. */
export interface LaneReports {
  /** Handed over. */
  readonly released: ReadonlySet<string>;
  /** Read to the end of their execution. */
  readonly finished: ReadonlySet<string>;
  readonly statuses: ReadonlyMap<LaneId, LaneStatus>;
}

/** Names one ownership of a lane. */
export function acknowledged(lane: LaneId, inRun: Run, generation: Generation): string {
  return `${lane}@${inRun}@${generation}`;
}

export function entriesOf(lanes: JobRow['lanes']): [LaneId, LaneAssignment][] {
  return Object.entries(lanes) as [LaneId, LaneAssignment][];
}

export function lanesOf(row: JobRow, worker: WorkerId): LaneAssignment[] {
  return Object.values(row.lanes).filter((lane) => lane.owner === worker);
}

/** Whether the row is of interest to a worker: it has a lane, or had it before. */
export function names(row: JobRow, worker: WorkerId): boolean {
  return Object.values(row.lanes).some((lane) => lane.owner === worker || lane.previousOwner === worker);
}

export function holdersOf(row: JobRow): ReadonlySet<string> {
  return new Set(Object.values(row.lanes).flatMap(({ owner }) => (owner === null ? [] : [owner])));
}

/** Rows of jobs with lookups are no functions of records alone: owners in turn write them at times of their own. */
export function slotsOf(plan: JobPlan): number {
  return plan.protocol === 'lanes' && plan.sources.some(({ lookups }) => lookups !== undefined) ? ATTEMPT_SLOTS : 1;
}

/** A lane of the same source and partition under another topic id: the topic is not the one that was read. */
export function laneOfFormerTopic(row: JobRow, seen: PartitionFacts): LaneId | undefined {
  const current = laneId(seen);
  return (Object.keys(row.lanes) as LaneId[]).find(
    (id) => id !== current && id.startsWith(`${seen.source}/`) && id.endsWith(`/${seen.partition}`),
  );
}

/** Why a job fails whose topic is another one under the same name. */
export function topicRecreated(name: JobName, topic: string): { readonly code: string; readonly message: string } {
  const message =
    `job ${name}: topic ${topic} was deleted and created again, so the committed offsets mean nothing in it; ` +
    `submit the job with --from earliest or --from latest to begin a new run on the new topic`;
  return { code: 'TOPIC_RECREATED', message };
}

/** The state of a job that starts or runs, by what its lanes were last seen doing. */
export function stateOfLanes(row: JobRow, lanes: JobRow['lanes'], reports: LaneReports): JobState {
  const entries = entriesOf(lanes);
  if (entries.length === 0) return row.state;
  if (entries.every(([id, { generation }]) => reports.finished.has(acknowledged(id, row.run, generation))))
    return 'finished';
  const settled = entries.every(([id, { generation }]) => {
    const status = reports.statuses.get(id);
    return (
      status?.generation === generation &&
      (status.state === 'running' || status.state === 'finished' || status.state === 'draining')
    );
  });
  return settled ? 'running' : row.state;
}

/** Nobody holds a lane any more who has not said that he let go. */
export function allReleased(row: JobRow, { released, finished }: LaneReports): boolean {
  return entriesOf(row.lanes).every(([id, lane]) => {
    const key = acknowledged(id, row.run, lane.generation);
    return lane.owner === null || released.has(key) || finished.has(key);
  });
}

/**
 * Every lane under a new generation; owners that have not acknowledged are waited for. `reset` begins anew: lanes of
 * partitions that are no more (a recreated topic) are left out, the rest start as the run says.
 */
export function nextGeneration(
  row: JobRow,
  partitions: readonly PartitionFacts[],
  { released, finished }: LaneReports,
  reset: boolean,
): JobRow['lanes'] {
  const ends = new Map(partitions.map((seen) => [laneId(seen), seen.end]));
  const next = entriesOf(row.lanes)
    .filter(([id]) => !reset || ends.has(id))
    .map(([id, lane]): [LaneId, LaneAssignment] => {
      const key = acknowledged(id, row.run, lane.generation);
      const quiet = lane.owner === null || released.has(key) || finished.has(key);
      return [
        id,
        {
          ...lane,
          generation: (lane.generation + 1) as Generation,
          previousOwner: quiet ? null : lane.owner,
          end: ends.get(id) ?? null,
          initial: lane.initial || reset,
        },
      ];
    });
  return Object.fromEntries(next) as JobRow['lanes'];
}
