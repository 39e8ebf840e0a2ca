/**
 * Write times of epochs. An epoch's rows are written at its time plus the attempt's number, so that a later attempt and
 * a later epoch win whatever order the writes arrive in. Rows of tables are set apart below that (row-times.ts).
 */
import { assert } from '../assert.ts';
import type { Fence } from '../ids.ts';

/** Room for the attempts of an epoch, µs. */
export const EPOCH_SPAN_US = 1024;
/** Attempts of one leader; the next leader's begin above them. */
export const ATTEMPTS_PER_LEADER = 16;

/** Time of the next epoch, µs: the wall clock, and with its room above the one before whatever the clock says. */
export function nextEpochTsUs(previousUs: number, nowMs: number, roomUs = 0): number {
  return Math.max(previousUs + EPOCH_SPAN_US + roomUs, Math.floor(nowMs) * 1000);
}

/** Whether a leader may make this attempt of an epoch that `planToken` planned. */
export function attemptFits(planToken: Fence, token: Fence, attempt: number): boolean {
  return attempt < ATTEMPTS_PER_LEADER && (token - planToken) * ATTEMPTS_PER_LEADER + attempt < EPOCH_SPAN_US;
}

/** Attempts are few: peers that come and go every moment must not use them up. */
const QUICK_ATTEMPTS = 6;
const ATTEMPT_DELAY_MS = 250;
const ATTEMPT_DELAY_MS_MAX = 8000;

/** How long after the attempt before this one may begin, ms. */
export function attemptDelayMs(attempt: number): number {
  if (attempt < QUICK_ATTEMPTS) return 0;
  return Math.min(ATTEMPT_DELAY_MS_MAX, ATTEMPT_DELAY_MS * 2 ** (attempt - QUICK_ATTEMPTS));
}

/** Write time of an attempt, µs. */
export function writeTimeUs(
  plan: { readonly epochTsUs: number; readonly token: Fence },
  token: Fence,
  attempt: number,
): number {
  assert(token >= plan.token, () => `an epoch planned under token ${plan.token} is run under the older ${token}`);
  assert(attemptFits(plan.token, token, attempt), () => `attempt ${attempt} under token ${token} has no write time`);
  return plan.epochTsUs + (token - plan.token) * ATTEMPTS_PER_LEADER + attempt;
}
