/** The partitions that a stateful job reads, as they come: looked for beside the loop. */
import type { Clock } from '../core/clock.ts';
import type { ErrorCode, WeirError } from '../core/errors.ts';
import { isWeirError } from '../core/errors.ts';
import type { EpochHead } from '../core/epoch/types.ts';
import type { LaneId } from '../core/ids.ts';
import { asWeirError } from './epochs-errors.ts';
import type { Waiting } from './epochs-feeds.ts';
import type { EpochLogs, Offsets } from './epochs-logs.ts';
import type { Wake } from './wake.ts';

const LOOK_INTERVAL_MS = 5000;
const RETRY_MS = 1000;

export interface PartitionsParts {
  readonly clock: Clock;
  readonly logs: EpochLogs;
  readonly wake: Wake;
  /** What the job waits for, as it is shown. */
  readonly waiting: { current: Waiting | null };
}

export class EpochPartitions {
  readonly #parts: PartitionsParts;
  /** Found, with their start; the head may not know them yet. */
  #found: Offsets = {};
  #looking = false;
  /** Monotonic ms of the next look. */
  #lookAt = 0;
  #failure: WeirError | null = null;
  /** Why the sources were not seen the last time. */
  #code: ErrorCode | null = null;

  constructor(parts: PartitionsParts) {
    this.#parts = parts;
  }

  /** Those of the head and those that were found since, with where they stand. */
  known(head: EpochHead): Offsets {
    return { ...this.#found, ...head.positions };
  }

  /** Some were found that the head does not know yet. */
  isNewTo(head: EpochHead): boolean {
    return Object.keys(this.#found).some((lane) => head.positions[lane as LaneId] === undefined);
  }

  /**
   * Looks for new partitions now and then: a broker that does not answer holds up nobody. Throws what a former look ran
   * into for good: TOPIC_RECREATED, TOPIC_NOT_FOUND, UNAUTHORIZED.
   */
  look(head: EpochHead): void {
    const { clock, wake } = this.#parts;
    if (this.#failure !== null) throw this.#failure;
    if (this.#looking) return;
    if (clock.mono() < this.#lookAt) {
      wake.at(this.#lookAt);
      return;
    }
    this.#looking = true;
    void this.lookOnce(Object.keys(head.positions) as LaneId[])
      .then(
        () => this.#seen(),
        (error: unknown) => this.#notSeen(error),
      )
      .finally(() => {
        this.#looking = false;
        wake.call();
      });
  }

  /** Looks now. Throws: what the sources throw. */
  async lookOnce(known: readonly LaneId[]): Promise<void> {
    const { logs } = this.#parts;
    const seen = await logs.describe(known);
    const before = new Set(known);
    const added = seen.filter((lane) => !before.has(lane));
    if (added.length > 0) this.#found = { ...this.#found, ...(await logs.starts(added, 'earliest')) };
  }

  #seen(): void {
    const { clock, waiting } = this.#parts;
    this.#lookAt = clock.mono() + LOOK_INTERVAL_MS;
    if (waiting.current?.code === this.#code) waiting.current = null;
    this.#code = null;
  }

  #notSeen(error: unknown): void {
    const { clock, waiting } = this.#parts;
    this.#lookAt = clock.mono() + RETRY_MS;
    if (isWeirError(error) && error.retryable) {
      waiting.current = { code: error.code, message: error.message };
      this.#code = error.code;
    } else this.#failure = asWeirError(error);
  }
}
