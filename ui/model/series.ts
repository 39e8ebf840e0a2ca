/** The last minutes of a job's figures, as charts want them: one array per figure, in step with the times. */
import type { HistoryDocument, JobSummary } from '../wire.ts';

/** Points kept: ten minutes at one a second. */
export const POINTS_MAX = 600;

export interface Series {
  /** Seconds since 1970. */
  readonly at: number[];
  readonly records: number[];
  readonly rows: number[];
  readonly lag: number[];
  readonly p50: (number | null)[];
  readonly p99: (number | null)[];
}

export function emptySeries(): Series {
  return { at: [], records: [], rows: [], lag: [], p50: [], p99: [] };
}

/** Appends one moment, at most two a second; the oldest goes. */
export function addPoint(series: Series, atSeconds: number, job: JobSummary): void {
  const last = series.at.at(-1);
  if (last !== undefined && atSeconds - last < 0.5) return;
  series.at.push(atSeconds);
  series.records.push(job.recordsPerSecond);
  series.rows.push(job.rowsPerSecond);
  series.lag.push(Math.max(0, job.lag));
  series.p50.push(job.latencyMsP50);
  series.p99.push(job.latencyMsP99);
  if (series.at.length <= POINTS_MAX) return;
  for (const figures of Object.values(series) as unknown[][]) figures.splice(0, figures.length - POINTS_MAX);
}

/** What the master remembers, followed by what this page saw itself. */
export function seed(series: Series, { at, records, rows, lag, p50, p99 }: HistoryDocument): void {
  const firstOwn = series.at[0] ?? Infinity;
  let end = 0;
  while (end < at.length && (at[end] ?? 0) / 1000 < firstOwn) end++;
  series.at.unshift(...at.slice(0, end).map((ms) => ms / 1000));
  series.records.unshift(...records.slice(0, end));
  series.rows.unshift(...rows.slice(0, end));
  series.lag.unshift(...lag.slice(0, end));
  series.p50.unshift(...p50.slice(0, end));
  series.p99.unshift(...p99.slice(0, end));
}

/** Change of the lag in records a second over the last `seconds`; null while too little is known. */
export function lagTrend(series: Series, seconds = 30): number | null {
  const end = series.at.length - 1;
  const last = series.at[end];
  if (last === undefined) return null;
  let start = end;
  while (start > 0 && last - (series.at[start - 1] ?? 0) <= seconds) start--;
  const span = last - (series.at[start] ?? last);
  if (span < 5) return null;
  return ((series.lag[end] ?? 0) - (series.lag[start] ?? 0)) / span;
}
