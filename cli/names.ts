/** Small things that many commands read from a command line. */
import { durationMs } from '../core/duration.ts';
import { WeirError } from '../core/errors.ts';

export function jobPath(name: string): string {
  return `/v1/jobs/${encodeURIComponent(name)}`;
}

/** Throws: USAGE. */
export function timeoutMs(text: string): number {
  if (!/^\d+(ms|s|m|h)$/.test(text)) throw new WeirError('USAGE', `${text} is no duration; write 500ms, 30s or 5m.`);
  return durationMs(text);
}

/** Throws: USAGE. */
export function wholeNumber(text: string, what: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new WeirError('USAGE', `${what} is ${text}; it takes a whole number from ${min}.`);
}
