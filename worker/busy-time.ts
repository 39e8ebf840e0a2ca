/** How long something went on; what goes on several times at once counts once. */
export class BusyTime {
  #open = 0;
  #since = 0;
  #ms = 0;

  /** `now`: ms of a monotonic clock, here and below. */
  begin(now: number): void {
    if (this.#open++ === 0) this.#since = now;
  }

  /** Once for each {@link begin}. */
  end(now: number): void {
    if (--this.#open === 0) this.#ms += now - this.#since;
  }

  /** ms in all, what goes on included. */
  total(now: number): number {
    return this.#ms + (this.#open > 0 ? now - this.#since : 0);
  }
}
