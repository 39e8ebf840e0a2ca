/** Holds the master's clock against the store's now and then: what would be planned by a clock that is wrong is not. */
import type { Clock } from '../core/clock.ts';
import { WeirError } from '../core/errors.ts';
import type { JobName } from '../core/ids.ts';
import type { MetaStore } from '../core/meta.ts';

const INTERVAL_MS = 60_000;
const SKEW_MS_MAX = 3_600_000;

export interface ClockCheckParts {
  readonly job: JobName;
  readonly store: MetaStore;
  readonly clock: Clock;
  readonly onChecked: () => void;
}

export class ClockCheck {
  readonly #parts: ClockCheckParts;
  /** Monotonic ms. */
  #checkedAt = Number.NEGATIVE_INFINITY;
  #checking = false;
  #skew: WeirError | null = null;

  constructor(parts: ClockCheckParts) {
    this.#parts = parts;
  }

  /** CLOCK_SKEW while the clocks are too far apart; null = they are not, as far as is known. */
  get skew(): WeirError | null {
    return this.#skew;
  }

  /** Asks the store when it is time, beside the loop. */
  look(): void {
    const { store, clock, onChecked } = this.#parts;
    if (this.#checking || clock.mono() - this.#checkedAt < INTERVAL_MS) return;
    this.#checking = true;
    void store
      .now()
      .then((theirs) => {
        const aheadMs = clock.now() - theirs;
        this.#checkedAt = clock.mono();
        this.#skew = Math.abs(aheadMs) <= SKEW_MS_MAX ? null : this.#tooFar(aheadMs);
      })
      .catch(() => undefined)
      .finally(() => {
        this.#checking = false;
        onChecked();
      });
  }

  #tooFar(aheadMs: number): WeirError {
    return new WeirError(
      'CLOCK_SKEW',
      `job ${this.#parts.job} plans nothing: the master's clock is ${Math.round(Math.abs(aheadMs) / 60_000)} minutes ` +
        `${aheadMs > 0 ? 'ahead of' : 'behind'} the metadata store's; set it right`,
    );
  }
}
