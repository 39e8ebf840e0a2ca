/** Tries again what may succeed later. */
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';

/**
 * Repeats `attempt` with backoff until it succeeds or fails for good; `onRetry` hears why it goes on. The attempt itself
 * checks whether it still may, so this ends when its right to write does.
 *
 * TOPIC_NOT_FOUND counts as final: a writer's topic is not going to appear by itself.
 */
export async function untilDone<T>(
  clock: Clock,
  rng: Rng,
  attempt: () => Promise<T>,
  onRetry?: (error: WeirError) => void,
): Promise<T> {
  for (let count = 0; ; count++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof WeirError) || !error.retryable || error.code === 'TOPIC_NOT_FOUND') throw error;
      onRetry?.(error);
      await clock.sleep(backoffMs(rng, count));
    }
  }
}
