/**
 * The right of a lane to send writes: it lasts 3 s from the *send* time of the last read of the job's row that named
 * this worker owner. Judged by the worker's own monotonic clock, so no clocks are compared.
 */
import { WeirError } from '../errors.ts';

export const OWNERSHIP_TERM_MS = 3000;
export const OWNERSHIP_READ_INTERVAL_MS = 1000;

export interface WritePermit {
  /** True while writes may be sent. */
  valid(): boolean;
  /** Throws: FENCED when writes may not be sent. Call right before each send, also of a retry. */
  check(): void;
}

export class LanePermit implements WritePermit {
  readonly #mono: () => number;
  readonly #describe: string;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  #revoked = false;

  constructor(mono: () => number, describe: string) {
    this.#mono = mono;
    this.#describe = describe;
  }

  /** A read sent at `sentAt` (monotonic ms) named this worker owner. */
  confirm(sentAt: number): void {
    if (sentAt > this.#confirmedAt) this.#confirmedAt = sentAt;
  }

  /** Gives the right up for good: the lane was handed over. */
  revoke(): void {
    this.#revoked = true;
  }

  valid(): boolean {
    return !this.#revoked && this.#mono() < this.#confirmedAt + OWNERSHIP_TERM_MS;
  }

  check(): void {
    if (this.valid()) return;
    throw new WeirError(
      'FENCED',
      `${this.#describe} may not write: ${this.#revoked ? 'it was handed over' : 'its ownership was not confirmed for 3 s'}`,
    );
  }
}
