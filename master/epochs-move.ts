/** The planned move of a stateful job's key groups to other workers that is under way, until its first commit there. */
import type { Clock } from '../core/clock.ts';
import type { JobName } from '../core/ids.ts';
import type { Log } from '../core/ports.ts';
import type { MoveTurns } from './move-turns.ts';
import type { Wake } from './wake.ts';

/** After a switch, the turn to move is kept for the first commit, or so long, ms. */
const SWITCH_SETTLED_MS = 1000;

export interface MoveParts {
  readonly job: JobName;
  readonly clock: Clock;
  readonly log: Log;
  /** Shared by the jobs of this master. */
  readonly turns: MoveTurns;
  readonly wake: Wake;
}

/** Monotonic ms; infinite = not so far. */
interface Times {
  readonly preparedAt: number;
  readyAt: number;
  switchedAt: number;
}

export class EpochMove {
  readonly #parts: MoveParts;
  #times: Times | null = null;

  constructor(parts: MoveParts) {
    this.#parts = parts;
  }

  /** Whether this job may move now; if not, it is called when it is worth asking again. */
  mayBegin(): boolean {
    const { turns, wake } = this.#parts;
    if (turns.take(this, () => wake.call())) return true;
    wake.at(turns.endsAt);
    return false;
  }

  /** Others have been prepared, without a failure that made it necessary. */
  prepared(): void {
    this.#times = {
      preparedAt: this.#parts.clock.mono(),
      readyAt: Number.POSITIVE_INFINITY,
      switchedAt: Number.NEGATIVE_INFINITY,
    };
  }

  /** What moves is taken over after a failure, and not moved as planned. */
  drop(): void {
    this.#times = null;
  }

  /** They are warm. */
  ready(): void {
    if (this.#times !== null) this.#times.readyAt = Math.min(this.#times.readyAt, this.#parts.clock.mono());
  }

  /** Their places are in force. */
  switched(): void {
    if (this.#times === null) return;
    const { clock, wake } = this.#parts;
    this.#times.switchedAt = clock.mono();
    wake.after(SWITCH_SETTLED_MS);
  }

  /** Gives the turn to the next job, but not at once: it is not to take the processors away from the first epoch here. */
  giveTurn(): void {
    const { clock, turns, wake } = this.#parts;
    const until = (this.#times?.switchedAt ?? Number.NEGATIVE_INFINITY) + SWITCH_SETTLED_MS;
    if (until > clock.mono()) wake.at(until);
    else turns.give(this);
  }

  /** Something was committed: the move is over if that was in the new places. */
  committed(workers: number): void {
    const times = this.#times;
    if (times === null || !Number.isFinite(times.switchedAt)) return;
    this.#times = null;
    const { clock, job, log } = this.#parts;
    const ms = (from: number, to: number): number => Math.round(to - from);
    const took = {
      warmMs: ms(times.preparedAt, times.readyAt),
      waitedMs: ms(times.readyAt, times.switchedAt),
      firstCommitMs: ms(times.switchedAt, clock.mono()),
    };
    log.info({ job, workers, ...took }, 'key groups have moved');
  }

  /** The job is no more. */
  leave(): void {
    this.#parts.turns.leave(this);
  }
}
