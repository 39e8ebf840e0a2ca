/** How long a feed waits after a failure. */
import type { Rng } from '../clock.ts';
import { backoffMs } from '../clock.ts';
import { isWeirError } from '../errors.ts';

const BASE_MS = 250;
/** Of what may come right by itself. */
const PASSING_MAX_MS = 60_000;
/** Of what somebody has to put right: asked again now and then, for when it was. */
const LASTING_BASE_MS = 5000;
const LASTING_MAX_MS = 300_000;
/** Nobody is believed who asks for more. */
const RETRY_AFTER_MAX_MS = 3_600_000;

/**
 * Exponential with full jitter; never before the place said to come back, and then spread a little, so that not all who
 * were told the same come at once. `attempt` counts failures in a row from 0.
 */
export function pauseAfterFailure(error: unknown, attempt: number, rng: Rng): number {
  const told = isWeirError(error) ? error.facts['retryAfterMs'] : undefined;
  const passing = isWeirError(error) && error.retryable;
  if (typeof told === 'number') return Math.min(RETRY_AFTER_MAX_MS, told) + backoffMs(rng, 0, BASE_MS, BASE_MS);
  if (passing) return BASE_MS / 2 + backoffMs(rng, attempt, BASE_MS, PASSING_MAX_MS);
  return LASTING_BASE_MS / 2 + backoffMs(rng, attempt, LASTING_BASE_MS, LASTING_MAX_MS);
}

/** ms to wait by a Retry-After header (seconds, or an HTTP date); undefined where it says nothing. */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
