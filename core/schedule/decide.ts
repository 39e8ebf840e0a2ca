/**
 * When a scheduled job runs: decisions only. What has been decided stands in the job's row, so that a new leader goes on
 * with it, and a run is started by the same compare-and-set that records it.
 *
 *   waiting → running → succeeded | failed | timedOut | cancelled
 *                ↑ retryAt ↓
 *              retrying            skipped: the one before was still running
 */
import type { ErrorCode } from '../errors.ts';
import type { JobState } from '../states.ts';
import { nextTime } from './cron.ts';

/** A checked `schedule` of a job file. */
export interface Schedule {
  readonly cron: string;
  readonly timeZone: string;
  readonly catchUp: boolean;
  readonly maxActiveRuns: number;
  readonly retries: number;
  readonly retryDelayMs: number;
  /** null = none. */
  readonly timeoutMs: number | null;
}

export type ScheduledState =
  | 'waiting'
  | 'running'
  | 'retrying'
  | 'succeeded'
  | 'failed'
  | 'timedOut'
  | 'cancelled'
  | 'skipped';

/** One run of a scheduled job. Times are ms since 1970. */
export interface ScheduledRun {
  /** Counts up from 1 over the job's life. */
  readonly number: number;
  /** The time it was scheduled for; null = somebody started it. */
  readonly scheduledFor: number | null;
  readonly state: ScheduledState;
  /** Of its latest attempt. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** Attempts begun so far. */
  readonly attempts: number;
  /** When the next attempt begins, while it is retrying. */
  readonly retryAt: number | null;
  /** Why it did not succeed, or not yet. */
  readonly reason: { readonly code: string; readonly message: string } | null;
}

/** What a job's row says of its schedule. */
export interface ScheduleState {
  /** Cron and time zone that `next` is of. */
  readonly of: string;
  /** The next time; null = never. */
  readonly next: number | null;
  /** How many runs there were. */
  readonly count: number;
  /** Newest first: those that are not over, and the latest that are. */
  readonly runs: readonly ScheduledRun[];
}

/** Runs that are kept. */
export const RUNS_KEPT = 50;
/** Runs that wait at most: catching up has an end. */
const WAITING_MAX = 100;
/** Times looked at in one step. */
const TIMES_MAX = 1000;

export interface ScheduleFacts {
  /** ms since 1970. */
  readonly now: number;
  readonly job: JobState;
  /** Why the job failed, if it did. */
  readonly reason: ScheduledRun['reason'];
}

export interface ScheduleDecision {
  /** The very same object when nothing changes. */
  readonly state: ScheduleState;
  /** start: begin an execution; fail: end the one under way, for it took too long. */
  readonly action: 'none' | 'start' | 'fail';
}

const over: ReadonlySet<ScheduledState> = new Set(['succeeded', 'failed', 'timedOut', 'cancelled', 'skipped']);

/** A job that was just given its schedule: its first run is at the first time after now. */
export function beginSchedule(schedule: Schedule, now: number): ScheduleState {
  return { of: keyOf(schedule), next: nextTime(schedule.cron, schedule.timeZone, now), count: 0, runs: [] };
}

/** What has to happen now. A job that was stopped by hand rests: times that pass meanwhile do not count. */
export function decideSchedule(schedule: Schedule, known: ScheduleState, facts: ScheduleFacts): ScheduleDecision {
  let state =
    known.of === keyOf(schedule)
      ? known
      : { ...beginSchedule(schedule, facts.now), count: known.count, runs: known.runs };
  const tooLong = state.runs.find((run) => run.state === 'running' && isTooLong(schedule, run, facts));
  if (tooLong !== undefined) {
    const reason = {
      code: 'TIMED_OUT' satisfies ErrorCode,
      message: `it took longer than ${String(schedule.timeoutMs)} ms`,
    };
    return { state: changed(state, ended(schedule, tooLong, 'timedOut', reason, facts.now)), action: 'fail' };
  }
  state = seeJob(schedule, state, facts);
  state = takeTimes(schedule, state, facts);
  const resting = facts.job === 'finished' || facts.job === 'failed';
  const next = resting ? nextToStart(state, facts.now) : undefined;
  if (next === undefined) return { state, action: 'none' };
  const started: ScheduledRun = {
    ...next,
    state: 'running',
    startedAt: facts.now,
    endedAt: null,
    attempts: next.attempts + 1,
    retryAt: null,
  };
  return { state: changed(state, started), action: 'start' };
}

/** What the job's state says about the run under way. */
function seeJob(schedule: Schedule, state: ScheduleState, { now, job, reason }: ScheduleFacts): ScheduleState {
  const active = state.runs.find((run) => run.state === 'running');
  if (job === 'starting' || job === 'running') {
    if (active !== undefined) return state;
    // Somebody started it: a run as well, so that none begins beside it.
    return added(state, { scheduledFor: null, state: 'running', startedAt: now, attempts: 1 });
  }
  if (active !== undefined && job === 'finished')
    return changed(state, { ...active, state: 'succeeded', endedAt: now, reason: null });
  if (active !== undefined && job === 'failed') return changed(state, ended(schedule, active, 'failed', reason, now));
  if (job !== 'stopped' && job !== 'stopping' && job !== 'deleted') return state;
  const open = state.runs.filter((run) => !over.has(run.state));
  return open.reduce((next, run) => changed(next, { ...run, state: 'cancelled', endedAt: now, retryAt: null }), state);
}

/** Times that have come become runs. */
function takeTimes(schedule: Schedule, state: ScheduleState, { now, job }: ScheduleFacts): ScheduleState {
  if (state.next === null || now < state.next) return state;
  const times: number[] = [];
  let next: number | null = state.next;
  while (next !== null && next <= now && times.length < TIMES_MAX) {
    times.push(next);
    next = nextTime(schedule.cron, schedule.timeZone, next);
  }
  // Of so many missed ones nobody wants each.
  if (next !== null && next <= now) next = nextTime(schedule.cron, schedule.timeZone, now);
  const paused = job === 'stopped' || job === 'stopping' || job === 'deleted';
  const due = paused ? [] : schedule.catchUp ? times : times.slice(-1);
  let after: ScheduleState = { ...state, next };
  for (const scheduledFor of due) {
    const open = after.runs.filter((run) => !over.has(run.state)).length;
    const isFull = schedule.catchUp ? open >= WAITING_MAX : open >= schedule.maxActiveRuns;
    after = added(
      after,
      isFull ? { scheduledFor, state: 'skipped', endedAt: now } : { scheduledFor, state: 'waiting' },
    );
  }
  return after;
}

/** The oldest that may begin; none while one is running. */
function nextToStart({ runs }: ScheduleState, now: number): ScheduledRun | undefined {
  if (runs.some((run) => run.state === 'running')) return undefined;
  // A failed one is tried again before the next one begins: it may be what the next one builds on.
  const retrying = runs.findLast((run) => run.state === 'retrying');
  if (retrying !== undefined) return (retrying.retryAt ?? 0) <= now ? retrying : undefined;
  return runs.findLast((run) => run.state === 'waiting');
}

function isTooLong({ timeoutMs }: Schedule, { startedAt }: ScheduledRun, { now, job }: ScheduleFacts): boolean {
  return (
    timeoutMs !== null && startedAt !== null && now - startedAt > timeoutMs && (job === 'starting' || job === 'running')
  );
}

function ended(
  { retries, retryDelayMs }: Schedule,
  run: ScheduledRun,
  state: 'failed' | 'timedOut',
  reason: ScheduledRun['reason'],
  now: number,
): ScheduledRun {
  if (run.attempts > retries) return { ...run, state, endedAt: now, reason };
  return { ...run, state: 'retrying', endedAt: now, retryAt: now + retryDelayMs, reason };
}

function changed(state: ScheduleState, run: ScheduledRun): ScheduleState {
  return { ...state, runs: state.runs.map((other) => (other.number === run.number ? run : other)) };
}

function added(
  state: ScheduleState,
  run: Pick<ScheduledRun, 'scheduledFor' | 'state'> & Partial<ScheduledRun>,
): ScheduleState {
  const count = state.count + 1;
  const fresh: ScheduledRun = {
    startedAt: null,
    endedAt: null,
    attempts: 0,
    retryAt: null,
    reason: null,
    ...run,
    number: count,
  };
  const runs = [fresh, ...state.runs];
  // The oldest that are over go; what is still to come stays.
  const kept = runs.filter((one, index) => index < RUNS_KEPT || !over.has(one.state));
  return { ...state, count, runs: kept };
}

function keyOf({ cron, timeZone }: Schedule): string {
  return `${cron} ${timeZone}`;
}
