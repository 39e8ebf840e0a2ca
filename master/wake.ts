/** When a loop looks again: at the earliest of the times that its last turn asked for, or as soon as somebody calls. */
import type { Clock } from '../core/clock.ts';

export class Wake {
  readonly #clock: Clock;
  /** Monotonic ms. */
  #at = Number.POSITIVE_INFINITY;
  #called = Promise.withResolvers<void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A turn begins: it asks for times anew. */
  begin(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** Look again at this time, or before; monotonic ms. */
  at(time: number): void {
    this.#at = Math.min(this.#at, time);
  }

  /** Look again in so long, or before; ms. */
  after(ms: number): void {
    this.at(this.#clock.mono() + ms);
  }

  /** Look again at once. */
  call(): void {
    this.#called.resolve();
  }

  /** Resolves when it is time for the next turn. */
  async wait(): Promise<void> {
    const ms = this.#at - this.#clock.mono();
    const cancel = Number.isFinite(ms) ? this.#clock.timer(Math.max(0, ms), () => this.call()) : null;
    await this.#called.promise;
    cancel?.();
    this.#called = Promise.withResolvers<void>();
  }
}
