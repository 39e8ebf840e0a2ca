/** What goes wrong with a job, by kind: warnings and errors among its events, grouped, newest first. */
import type { ClusterEvent } from './events.ts';
import type { JobView } from './views.ts';

export interface JobError {
  /** Of core/errors.ts; null where an event has none. */
  readonly code: string | null;
  readonly level: 'warn' | 'error';
  /** The newest one of the group, whole. */
  readonly message: string;
  readonly count: number;
  /** ms since 1970. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** Whether the job, or a partition of it, is in this trouble now. */
  readonly current: boolean;
}

/**
 * Events that differ in numbers alone (partitions, offsets, milliseconds) are of one group. `events`: of this job, oldest
 * first. What was asked for by people (audit) is nobody's error.
 */
export function errorsOf(view: JobView, events: readonly ClusterEvent[]): readonly JobError[] {
  const current = new Set(
    [view.row.reason?.code ?? null, ...view.lanes.map(({ code }) => code)].filter((code) => code !== null),
  );
  const groups = new Map<string, JobError>();
  for (const { level, kind, code, message, at } of events) {
    if (level === 'info' || kind === 'audit') continue;
    const key = `${code} ${message.replaceAll(/\d+/g, '#')}`;
    const before = groups.get(key);
    // Set anew, so that the group moves to the end.
    groups.delete(key);
    groups.set(key, {
      code,
      level,
      message,
      count: (before?.count ?? 0) + 1,
      firstAt: before?.firstAt ?? at,
      lastAt: at,
      current: code !== null && current.has(code),
    });
  }
  return [...groups.values()].toReversed();
}
