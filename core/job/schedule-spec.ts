/** The schedule of a job with `trigger: availableNow`. */
import { z } from 'zod';
import { durationMs } from '../duration.ts';
import { cronProblem } from '../schedule/cron.ts';
import type { Schedule } from '../schedule/decide.ts';
import { duration } from './options.ts';
import type { JobProblem } from './problem.ts';

/** `schedule` as a user writes it. */
export const scheduleSchema = z
  .strictObject({
    cron: z.string().min(1).max(200).describe("When to run: '*/5 * * * *' (minute, hour, day, month, weekday)"),
    timeZone: z.string().min(1).default('UTC').describe('Whose clock that is: Europe/Oslo'),
    catchUp: z
      .boolean()
      .default(false)
      .describe('Times that passed while nothing could run: each is made up for, or only the latest'),
    maxActiveRuns: z
      .number()
      .int()
      .min(1)
      .max(100)
      .default(1)
      .describe('Runs at a time: one runs, the others wait for it; beyond, a time is skipped'),
    retries: z.number().int().min(0).max(100).default(0).describe('How often a failed run is tried again'),
    retryDelay: duration.default('1m'),
    timeout: duration.optional().describe('A run that takes longer has failed'),
  })
  .describe('Starts the job again and again; with trigger: availableNow');

export type ScheduleSpec = z.output<typeof scheduleSchema>;

/** The schedule as the plan has it. What is wrong is added to `problems`. */
export function plannedSchedule(spec: ScheduleSpec, endsByItself: boolean, problems: JobProblem[]): Schedule {
  const { cron, timeZone, catchUp, maxActiveRuns, retries } = spec;
  const wrong = cronProblem(cron, timeZone);
  if (wrong !== undefined)
    problems.push({
      path: 'schedule.cron',
      message: `${cron} in ${timeZone} is no schedule: ${wrong}`,
      hint: "write '*/5 * * * *' for every five minutes, and a time zone as Europe/Oslo",
    });
  if (!endsByItself)
    problems.push({
      path: 'schedule',
      message: 'a schedule starts a job that ends by itself, and this one does not',
      hint: 'write trigger: availableNow',
    });
  return {
    cron,
    timeZone,
    catchUp,
    maxActiveRuns,
    retries,
    retryDelayMs: durationMs(spec.retryDelay),
    timeoutMs: spec.timeout === undefined ? null : durationMs(spec.timeout),
  };
}
