/** What a master does for jobs with a schedule: rows of the coordinator change as core/schedule decides. */
import type { JobRow } from '../core/meta.ts';
import type { Schedule, ScheduleState, ScheduledRun } from '../core/schedule/decide.ts';
import { beginSchedule, decideSchedule } from '../core/schedule/decide.ts';

/** What the schedule wants of a job's row; null = nothing now. */
export type ScheduleChange =
  /** Only what is recorded. */
  | { readonly kind: 'record'; readonly schedule: ScheduleState }
  | { readonly kind: 'start'; readonly schedule: ScheduleState }
  | {
      readonly kind: 'fail';
      readonly schedule: ScheduleState;
      readonly reason: { readonly code: string; readonly message: string };
    };

/** One look at a job with a schedule. */
export function scheduleChange(schedule: Schedule, row: JobRow, now: number): ScheduleChange | null {
  const known = row.schedule ?? beginSchedule(schedule, now);
  const { state, action } = decideSchedule(schedule, known, { now, job: row.state, reason: row.reason });
  switch (action) {
    case 'start':
      return { kind: 'start', schedule: state };
    case 'fail': {
      const reason = {
        code: 'TIMED_OUT',
        message: `job ${row.name}: the run took longer than schedule.timeout (${String(schedule.timeoutMs)} ms) and was ended`,
      };
      return { kind: 'fail', schedule: state, reason };
    }
    case 'none':
      return state === row.schedule ? null : { kind: 'record', schedule: state };
  }
}

/** The row of a job that was just given a definition: one with a schedule waits for its first time. */
export function scheduledRow(row: JobRow, schedule: Schedule | undefined, now: number): JobRow {
  if (schedule === undefined) {
    const { schedule: _, ...rest } = row;
    return rest;
  }
  return { ...row, state: 'finished', schedule: row.schedule ?? beginSchedule(schedule, now) };
}

/** For people. */
export interface RunsDocument {
  readonly schedule: Schedule | null;
  /** ms since 1970; null = no more. */
  readonly next: number | null;
  /** Newest first. */
  readonly runs: readonly ScheduledRun[];
}

/** What is known of a job's runs. */
export function runsOf(row: JobRow, schedule: Schedule | undefined): RunsDocument {
  return { schedule: schedule ?? null, next: row.schedule?.next ?? null, runs: row.schedule?.runs ?? [] };
}
