/** Life of a job and of a lane as tables: which state may follow which. The diagrams in docs/ are drawn from these. */
export type JobState = 'starting' | 'running' | 'stopping' | 'stopped' | 'finished' | 'failed' | 'deleted';

/** A deleted job's row stays: a job of that name begins a new run above everything the old one wrote. */
export const jobTransitions = {
  starting: ['running', 'stopping', 'stopped', 'finished', 'failed'],
  running: ['starting', 'stopping', 'stopped', 'finished', 'failed'],
  stopping: ['stopped', 'failed', 'starting'],
  stopped: ['starting', 'deleted'],
  // A job with a schedule that rests between two runs is stopped so.
  finished: ['starting', 'stopped', 'deleted'],
  failed: ['starting', 'stopped', 'deleted'],
  deleted: ['starting'],
} as const satisfies Record<JobState, readonly JobState[]>;

export type LaneState = 'waiting' | 'running' | 'blocked' | 'draining' | 'released' | 'finished' | 'failed';

/**
 * waiting: named owner, the former owner may still write; running; blocked: a dependency does not answer, tried again;
 * draining: finishes and commits; released: another may start; finished: reached the end of an availableNow execution.
 */
export const laneTransitions = {
  waiting: ['running', 'blocked', 'draining', 'released', 'failed'],
  running: ['blocked', 'draining', 'finished', 'released', 'failed'],
  blocked: ['running', 'draining', 'released', 'failed'],
  draining: ['released', 'failed'],
  released: [],
  finished: ['released'],
  failed: ['released'],
} as const satisfies Record<LaneState, readonly LaneState[]>;

/** Whether the table allows the step; staying in a state is always allowed. */
export function mayFollow<S extends string>(table: Readonly<Record<S, readonly S[]>>, from: S, to: S): boolean {
  return from === to || table[from].includes(to);
}
