/** What workers did for a job over the last seconds: rates and latency for people. */
import { LATENCY_BUCKETS, quantileMs } from '../core/histogram.ts';
import type { JobFigures, SinkTime, StageTime } from '../proto/gen/control.ts';

const WINDOW_MS = 5000;

interface Entry {
  readonly at: number;
  readonly records: number;
  readonly rows: number;
  readonly latency: readonly number[];
  readonly worker: string;
  readonly busy: readonly StageTime[];
  readonly blockedMs: number;
  readonly sinks: readonly SinkTime[];
}

export interface FiguresSummary {
  readonly recordsPerSecond: number;
  readonly rowsPerSecond: number;
  readonly latencyMsP50: number | null;
  readonly latencyMsP99: number | null;
  /** Part of the time (0 to 1) that threads worked for each stage, on the worker where it is highest; none before a task. */
  readonly busy: ReadonlyMap<number, number>;
  /** Part of the time (0 to 1) that lanes could not read on, on the worker where it is highest; null when nothing ran. */
  readonly blocked: number | null;
  /** Part of the time (0 to 1) that rows waited for each sink to acknowledge them, on the worker where it is highest. */
  readonly sinks: ReadonlyMap<number, number>;
}

export class JobFiguresWindow {
  #entries: Entry[] = [];
  #firstAt: number | null = null;

  /** `at`: monotonic ms of arrival. */
  add(at: number, figures: JobFigures, worker: string): void {
    this.#firstAt ??= at - 500;
    this.#entries.push({
      at,
      records: figures.records ?? 0,
      rows: figures.rows ?? 0,
      latency: figures.latencyBuckets ?? [],
      worker,
      busy: figures.busy ?? [],
      blockedMs: figures.blockedMs ?? 0,
      sinks: figures.sinks ?? [],
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
      ...this.#parts(seconds * 1000),
    };
  }

  /** Parts of `ms`; a worker that does everything is not averaged away by those that have nothing to do. */
  #parts(ms: number): Pick<FiguresSummary, 'busy' | 'blocked' | 'sinks'> {
    const byWorker = Map.groupBy(this.#entries, ({ worker }) => worker);
    const busy = new Map<number, number>();
    const sinks = new Map<number, number>();
    let blocked: number | null = null;
    for (const entries of byWorker.values()) {
      const stageMs = new Map<number, number>();
      const sinkMs = new Map<number, number>();
      let blockedMs = 0;
      for (const entry of entries) {
        blockedMs += entry.blockedMs;
        for (const { stage, ms: time } of entry.busy) stageMs.set(stage, (stageMs.get(stage) ?? 0) + time);
        for (const { sink, ms: time } of entry.sinks) sinkMs.set(sink, (sinkMs.get(sink) ?? 0) + time);
      }
      raise(busy, stageMs, ms);
      raise(sinks, sinkMs, ms);
      blocked = Math.max(blocked ?? 0, Math.min(1, blockedMs / ms));
    }
    return { busy, blocked, sinks };
  }

  #expire(now: number): void {
    while (this.#entries.length > 0 && now - (this.#entries[0]?.at ?? now) > WINDOW_MS) this.#entries.shift();
  }
}

/** Parts to at least what one worker's times say. */
function raise(parts: Map<number, number>, times: ReadonlyMap<number, number>, ms: number): void {
  for (const [place, time] of times) parts.set(place, Math.max(parts.get(place) ?? 0, Math.min(1, time / ms)));
}
