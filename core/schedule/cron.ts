/** Times of a cron expression. The library computes them; the clock comes from outside. */
import { Cron } from 'croner';

/** Why an expression or a time zone cannot be used; undefined when it can. */
export function cronProblem(cron: string, timeZone: string): string | undefined {
  try {
    new Cron(cron, { timezone: timeZone, paused: true }).nextRun(new Date(0));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * The first time after `afterMs` (ms since 1970, exclusive); null when there is none any more. Where clocks go forward a
 * time that does not exist is the one after the gap; where they go back a time comes once.
 */
export function nextTime(cron: string, timeZone: string, afterMs: number): number | null {
  return new Cron(cron, { timezone: timeZone, paused: true }).nextRun(new Date(afterMs))?.getTime() ?? null;
}
