/**
 * Answers of lookups, kept with the epoch that asked. What a table outside says may change from one moment to the next,
 * and what an epoch gives may not: so whoever maps a task first claims what it was told, and every other attempt and
 * every replay of the task uses that, until a snapshot covers the epoch.
 */
import type { JobName, LaneId } from '../ids.ts';
import type { EpochPlan } from './types.ts';

/**
 * Id of the blob whose parts are the answers for one partition's records of one epoch. By the epoch's time, which is
 * unlike that of any epoch of the job in any run; an epoch that repeats another one takes its answers over, unless
 * something else is asked now (`definition`).
 */
export function answersId(job: JobName, definition: string, plan: EpochPlan, lane: LaneId): string {
  return `${job}/lookup/${definition}/${plan.repeats ?? plan.epochTsUs}/${lane}`;
}
