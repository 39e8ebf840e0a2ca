/** Time and chance come in through these two ports, so that a whole cluster repeats exactly in the simulator. */
export interface Clock {
  /** Wall clock, ms since 1970-01-01 UTC. May jump. */
  now(): number;
  /** Monotonic clock in ms from an arbitrary start; leases and time-outs are measured on it. */
  mono(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted before. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /**
   * Calls `fn` once after `ms`; the returned function cancels it. With 0 once what has come by now is handled: in the
   * same turn of the event loop.
   */
  timer(ms: number, fn: () => void): () => void;
}

export interface Rng {
  /** Uniform 32-bit unsigned integer. */
  u32(): number;
  /** A version 4 UUID. */
  uuid(): string;
  /** An independent stream; the same label on the same parent gives the same stream. */
  fork(label: string): Rng;
}

/** Exponential backoff with full jitter (Brooker): uniform in [0, min(cap, base × 2^attempt)). */
export function backoffMs(rng: Rng, attempt: number, baseMs = 50, capMs = 2000): number {
  const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(attempt, 20));
  return (rng.u32() / 2 ** 32) * ceiling;
}

/** Work that others wait for: tells them from time to time that it is still under way. */
export async function stillAtIt<T>(clock: Clock, everyMs: number, tell: () => void, work: Promise<T>): Promise<T> {
  let cancel: () => void = () => undefined;
  const again = (): void => {
    cancel = clock.timer(everyMs, () => {
      tell();
      again();
    });
  };
  again();
  try {
    return await work;
  } finally {
    cancel();
  }
}
