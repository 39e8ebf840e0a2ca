/** Waiting for "something changed": every waiter wakes with the next change, or when its signal aborts. */
export class Gate {
  readonly #waiters = new Set<() => void>();

  /** Wakes everybody who waits. */
  open(): void {
    // Whoever waits again does so in a later turn.
    for (const wake of this.#waiters) wake();
  }

  /** Resolves with the next {@link open} or when a signal aborts: look again at what you wait for. */
  wait(...signals: readonly AbortSignal[]): Promise<void> {
    if (signals.some(({ aborted }) => aborted)) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake);
        for (const signal of signals) signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiters.add(wake);
      for (const signal of signals) signal.addEventListener('abort', wake, { once: true });
    });
  }
}
