/** How long tests wait. A machine that sleeps, or stops all its processes for a while, uses none of it up. */

/** Between two questions, ms; what is beyond was no waiting. */
const TURN_MS_MAX = 5000;

export class Patience {
  #leftMs: number;
  #askedAt = performance.now();

  constructor(limitMs: number) {
    this.#leftMs = limitMs;
  }

  /** To be asked again and again while something is waited for. */
  isOver(): boolean {
    const now = performance.now();
    this.#leftMs -= Math.min(now - this.#askedAt, TURN_MS_MAX);
    this.#askedAt = now;
    return this.#leftMs <= 0;
  }
}
