/** Where in the job's module something was thrown. */

/** What the URLs of a job's files begin with: `weir-job:///HASH/login-alerts.ts`. */
export const JOB_SCHEME = 'weir-job:///';

/** `onRow at login-alerts.ts:23`: static text of the job, never data. */
export function placeOf(name: string, thrown: unknown): string {
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  const place = /weir-job:\/\/\/[0-9a-f]+\/([^\s():]+):(\d+)/.exec(typeof stack === 'string' ? stack : '');
  return place === null ? name : `${name} at ${decodeURIComponent(place[1] ?? '')}:${place[2]}`;
}
