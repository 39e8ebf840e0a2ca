/** A job as it is submitted, and how a change of one begins. */
import type { JobName } from '../core/ids.ts';
import { WeirError } from '../core/errors.ts';
import type { JobRow, StartPoint } from '../core/meta.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';

export interface JobDefinition {
  readonly name: JobName;
  /** Content hash of `text`. */
  readonly hash: string;
  readonly text: string;
  readonly plan: JobPlan;
}

export interface ApplyOptions {
  /** Where the new run starts; default: a new job as its startingOffsets say, a changed one where it stood. */
  readonly start?: 'earliest' | 'latest' | 'continue' | { readonly savepoint: string } | ImportedStart;
  /** Refused with CONFLICT when the job is at another revision; 0 = there must be none. */
  readonly expectedRevision?: number;
  /**
   * A job that this makes, changes or finds at rest is at rest afterwards; `start` begins it. One that runs is not changed
   * so: CONFLICT.
   */
  readonly paused?: boolean;
}

/** Where another system stood. */
export type ImportedStart = Omit<Extract<StartPoint, { readonly kind: 'offsets' }>, 'kind'>;

/** Where a run of the same definition begins anew. */
export type RestartPoint = Extract<StartPoint, { readonly kind: 'earliest' | 'latest' | 'offsets' | 'initial' }>;

export type Begin = NonNullable<ApplyOptions['start']> | 'initial';

export function isSavepoint(start: Begin | undefined): start is { readonly savepoint: string } {
  return typeof start === 'object' && 'savepoint' in start;
}

/** Where the next run of a changed job begins. */
export function beginOf(row: JobRow, { start }: ApplyOptions): Begin {
  return start ?? (row.state === 'deleted' ? 'initial' : 'continue');
}

export function startPoint(start: Exclude<Begin, 'continue'>): StartPoint {
  if (typeof start !== 'object') return { kind: start };
  if (isSavepoint(start)) return { kind: 'savepoint', name: start.savepoint };
  return { kind: 'offsets', ...start };
}

/** Where the row's run stands; for lanes that never began in it, where the run before it stands, and so on. */
export function continued(row: JobRow): StartPoint {
  const { start } = row;
  if (start.kind === 'continue') return { ...start, run: row.run };
  if (start.kind === 'offsets')
    return { ...start, kind: 'continue', run: row.run, since: row.run, otherwise: 'initial' };
  const otherwise = start.kind === 'savepoint' ? 'initial' : start.kind;
  return { kind: 'continue', run: row.run, since: row.run, otherwise };
}

/** The row as it is stored: with `paused` it waits for somebody who starts it. */
export function restingIf(paused: boolean | undefined, row: JobRow): JobRow {
  return paused === true ? { ...row, state: 'stopped' } : row;
}

/** Throws: CONFLICT when the job is not at the revision that the caller has seen. */
export function requireRevision(name: JobName, row: JobRow | undefined, { expectedRevision }: ApplyOptions): void {
  const current = row === undefined || row.state === 'deleted' ? 0 : row.revision;
  if (expectedRevision === undefined || expectedRevision === current) return;
  throw new WeirError(
    'CONFLICT',
    `job ${name} is at revision ${current}, not ${expectedRevision}: somebody changed it meanwhile; look at it and try again`,
    { facts: { revision: current, expectedRevision } },
  );
}

/** A sink that comes holds nothing of what went to the others before. In complete mode every epoch gives the whole result. */
export function notesOfSinks(before: JobPlan, after: JobPlan): string[] {
  if (after.protocol === 'epochs' && after.outputMode === 'complete') return [];
  const had = new Set(before.sinks.map(({ description }) => description));
  return after.sinks
    .filter(({ description, connector }) => !had.has(description) && connector !== 'blackhole')
    .map(({ description }) => `${description} gets what comes out from now on, nothing of what came out before`);
}
