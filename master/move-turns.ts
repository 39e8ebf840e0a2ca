/**
 * Planned moves of stateful jobs take turns: restoring the key groups of many jobs in a worker that has just come takes
 * the processors away from those who still run the jobs. Nobody waits for such a move, so one job moves at a time. What
 * a failure left behind is taken over at once, without a turn.
 */
import type { Clock } from '../core/clock.ts';

/** A move that takes longer holds up nobody else. */
const TURN_MS_MAX = 20_000;

export class MoveTurns {
  readonly #clock: Clock;
  #holder: object | null = null;
  #until = Number.NEGATIVE_INFINITY;
  readonly #waiting = new Map<object, () => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when `mover` has the turn now; if not, `wake` is called once when it is worth asking again. */
  take(mover: object, wake: () => void): boolean {
    if (this.#holder !== null && this.#holder !== mover && this.#clock.mono() < this.#until) {
      this.#waiting.set(mover, wake);
      return false;
    }
    if (this.#holder !== mover) {
      this.#holder = mover;
      this.#until = this.#clock.mono() + TURN_MS_MAX;
    }
    this.#waiting.delete(mover);
    return true;
  }

  /** The mover has moved, or does not want to any more. Does nothing for those who have no turn. */
  give(mover: object): void {
    if (this.#holder !== mover) return;
    this.#holder = null;
    const wakes = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const wake of wakes) wake();
  }

  /** The mover is no more. */
  leave(mover: object): void {
    this.#waiting.delete(mover);
    this.give(mover);
  }

  /** Monotonic ms when the present turn ends at the latest; infinite when nobody moves. */
  get endsAt(): number {
    return this.#holder === null ? Number.POSITIVE_INFINITY : this.#until;
  }
}
