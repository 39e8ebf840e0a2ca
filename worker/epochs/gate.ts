/** Waiting for "something changed": every waiter wakes with the next change, or when its signal aborts. */
export class Gate {
  readonly #waiters = new Set<() => void>();

  /** Wakes everybody who waits. */
  open(): void {
    // Whoever waits again does so in a later turn.
    for (const wake of this.#waiters) wake();
  }

  /** Resolves with the next {@link open} or when the signal aborts: look again at what you wait for. */
  wait(signal: AbortSignal): Promise<void> {
    return waitForAny([this], signal);
  }

  /** Calls `wake` with every {@link open} until the returned function is called. */
  listen(wake: () => void): () => void {
    this.#waiters.add(wake);
    return () => this.#waiters.delete(wake);
  }
}

/** Resolves when one of the gates opens next or the signal aborts. */
export function waitForAny(gates: readonly Gate[], signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = (): void => {
      for (const leave of leaves) leave();
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const leaves = gates.map((gate) => gate.listen(wake));
    signal.addEventListener('abort', wake, { once: true });
  });
}
