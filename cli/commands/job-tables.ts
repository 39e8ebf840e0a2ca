/** Jobs and workers as tables. */
import type { JobView, WorkerView } from '../../master/views.ts';
import { formatAge, formatCount, formatMs } from '../output.ts';

export interface Table {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function jobTable(views: readonly JobView[], wide: boolean): Table {
  const heads = ['NAME', 'STATE', 'REVISION', 'RUN', 'LANES', 'RECORDS/S', 'ROWS/S', 'P50 MS', 'P99 MS', 'LAG', 'AGE'];
  const rows = views.map((view) => {
    const { row } = view;
    const figures = [
      formatCount(view.recordsPerSecond),
      formatCount(view.rowsPerSecond),
      formatMs(view.latencyMsP50),
      formatMs(view.latencyMsP99),
    ];
    const cells = [
      row.name,
      row.state,
      String(row.revision),
      String(row.run),
      String(view.lanes.length),
      ...figures,
      formatLag(view.lag),
      formatAge(Date.now() - row.submittedAt),
    ];
    const { read, passed, filtered, skipped, dead } = view.counters;
    const labels = Object.entries(view.labels ?? {}).map(([key, value]) => `${key}=${value}`);
    return wide
      ? [
          ...cells,
          ...[read, passed, filtered, skipped, dead].map(formatCount),
          labels.join(',') || '-',
          row.reason?.message ?? '',
        ]
      : cells;
  });
  return {
    heads: wide ? [...heads, 'READ', 'PASSED', 'FILTERED', 'SKIPPED', 'DEAD', 'LABELS', 'REASON'] : heads,
    rows,
  };
}

/** -1 = not known yet. */
export function formatLag(lag: number): string {
  return lag < 0 ? '?' : formatCount(lag);
}

export function workerTable(views: readonly WorkerView[], wide: boolean): Table {
  const heads = ['NAME', 'STATE', 'LANES', 'THREADS', 'MEMORY', 'ADDRESS'];
  const rows = views.map((view) => {
    const cells = [
      view.id,
      view.state,
      String(view.lanes),
      String(view.threads),
      `${Math.round(view.rssBytes / 1024 / 1024)} MB`,
      view.httpAddress,
    ];
    return wide ? [...cells, formatMs(view.eventLoopDelayMs), formatMs(view.heartbeatAgeMs), view.version] : cells;
  });
  return { heads: wide ? [...heads, 'LOOP DELAY MS', 'HEARD MS AGO', 'VERSION'] : heads, rows };
}
