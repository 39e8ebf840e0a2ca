/** The last minutes of every job's figures, so that charts are full when a page opens. Lost with the process. */
import type { JobView } from '../views.ts';

const POINTS_MAX = 300;
const INTERVAL_MS = 2000;
/** A job that was not seen for so many samples is forgotten. */
const ABSENT_MAX = 30;

/** One array per figure, oldest first, in step with `at` (ms since 1970). Latencies in ms, lag in records. */
export interface HistoryView {
  readonly at: readonly number[];
  readonly records: readonly number[];
  readonly rows: readonly number[];
  readonly lag: readonly number[];
  readonly p50: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
}

const FIELDS = 6;

/** A ring of samples of one job; NaN stands for null. */
interface Ring {
  readonly values: Float64Array;
  next: number;
  count: number;
  seen: number;
}

/** Takes what a watcher of the cluster shows, every two seconds at most: about 15 KB a job. */
export class FiguresHistory {
  readonly #rings = new Map<string, Ring>();
  #samples = 0;
  #takenAt = -INTERVAL_MS;

  /** Empty for a job that was never sampled; '' = all jobs together, with the worst latencies. */
  of(job: string): HistoryView {
    const ring = this.#rings.get(job);
    const field = (index: number): number[] =>
      ring === undefined
        ? []
        : Array.from({ length: ring.count }, (_, at) => {
            const row = (ring.next - ring.count + at + POINTS_MAX) % POINTS_MAX;
            return ring.values[row * FIELDS + index] ?? 0;
          });
    const orNull = (values: number[]): (number | null)[] => values.map((value) => (Number.isNaN(value) ? null : value));
    return {
      at: field(0),
      records: field(1),
      rows: field(2),
      lag: field(3),
      p50: orNull(field(4)),
      p99: orNull(field(5)),
    };
  }

  /** `now`: ms since 1970. */
  take(jobs: readonly JobView[], now: number): void {
    // Looks come on the half second, give or take.
    if (Math.abs(now - this.#takenAt) < INTERVAL_MS - 100) return;
    this.#takenAt = now;
    this.#samples++;
    const all = [now, 0, 0, 0, NaN, NaN];
    for (const { row, recordsPerSecond, rowsPerSecond, lag, latencyMsP50, latencyMsP99 } of jobs) {
      const sample = [now, recordsPerSecond, rowsPerSecond, Math.max(0, lag), latencyMsP50 ?? NaN, latencyMsP99 ?? NaN];
      this.#put(row.name, sample);
      for (let at = 1; at < 4; at++) all[at] = (all[at] ?? 0) + (sample[at] ?? 0);
      for (let at = 4; at < FIELDS; at++) all[at] = worst(all[at] ?? NaN, sample[at] ?? NaN);
    }
    this.#put('', all);
    for (const [name, ring] of this.#rings) if (this.#samples - ring.seen > ABSENT_MAX) this.#rings.delete(name);
  }

  #put(name: string, sample: readonly number[]): void {
    const ring = this.#ringOf(name);
    ring.values.set(sample, ring.next * FIELDS);
    ring.next = (ring.next + 1) % POINTS_MAX;
    ring.count = Math.min(POINTS_MAX, ring.count + 1);
    ring.seen = this.#samples;
  }

  #ringOf(name: string): Ring {
    let ring = this.#rings.get(name);
    if (ring === undefined) {
      ring = { values: new Float64Array(POINTS_MAX * FIELDS), next: 0, count: 0, seen: 0 };
      this.#rings.set(name, ring);
    }
    return ring;
  }
}

/** The greater one; NaN = none. */
function worst(one: number, other: number): number {
  return Number.isNaN(one) || other > one ? other : one;
}
