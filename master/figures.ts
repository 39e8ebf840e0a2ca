/** What workers did for a job over the last seconds: rates and latency for people. */
import { LATENCY_BUCKETS, quantileMs } from '../core/histogram.ts';
import type { JobFigures } from '../proto/gen/control.ts';

const WINDOW_MS = 5000;

interface Entry {
  readonly at: number;
  readonly records: number;
  readonly rows: number;
  readonly latency: readonly number[];
}

export interface FiguresSummary {
  readonly recordsPerSecond: number;
  readonly rowsPerSecond: number;
  readonly latencyMsP50: number | null;
  readonly latencyMsP99: number | null;
}

export class JobFiguresWindow {
  #entries: Entry[] = [];
  #firstAt: number | null = null;

  /** `at`: monotonic ms of arrival. */
  add(at: number, figures: JobFigures): void {
    this.#firstAt ??= at - 500;
    this.#entries.push({
      at,
      records: figures.records ?? 0,
      rows: figures.rows ?? 0,
      latency: figures.latencyBuckets ?? [],
    });
    this.#expire(at);
  }

  summary(now: number): FiguresSummary {
    this.#expire(now);
    const counts = new Float64Array(LATENCY_BUCKETS);
    let records = 0;
    let rows = 0;
    for (const entry of this.#entries) {
      records += entry.records;
      rows += entry.rows;
      for (let bucket = 0; bucket < entry.latency.length; bucket++)
        counts[bucket] = (counts[bucket] ?? 0) + (entry.latency[bucket] ?? 0);
    }
    const seconds = Math.max(0.5, Math.min(WINDOW_MS, this.#firstAt === null ? WINDOW_MS : now - this.#firstAt) / 1000);
    return {
      recordsPerSecond: records / seconds,
      rowsPerSecond: rows / seconds,
      latencyMsP50: quantileMs(counts, 0.5),
      latencyMsP99: quantileMs(counts, 0.99),
    };
  }

  #expire(now: number): void {
    while (this.#entries.length > 0 && now - (this.#entries[0]?.at ?? now) > WINDOW_MS) this.#entries.shift();
  }
}
