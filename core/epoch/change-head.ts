/** Carries a change of a job's head through to a known outcome. */
import type { Clock, Rng } from '../clock.ts';
import { backoffMs } from '../clock.ts';
import type { MetaStore } from '../meta.ts';
import type { EpochHead, EpochPlan } from './types.ts';

export type HeadOutcome =
  | { readonly kind: 'applied' }
  /** Somebody else changed the head; after fencing it can only be a later leader. */
  | { readonly kind: 'rejected'; readonly current: EpochHead | undefined };

/**
 * One compare-and-set of the head and the plans beside it. An unknown outcome is settled by a linearizable read (which
 * also completes what was in flight) and, while the old version still stands, by sending the same change again; `ver`
 * and `nonce` make that safe. While this call is open, no new attempt of an epoch that it commits may begin.
 *
 * Throws: STORE_UNAVAILABLE when the store gives no answer until the signal aborts.
 */
export async function changeHead(
  parts: { readonly store: MetaStore; readonly clock: Clock; readonly rng: Rng },
  expectedVer: number,
  next: EpochHead,
  plans: readonly EpochPlan[],
  signal?: AbortSignal,
): Promise<HeadOutcome> {
  for (let attempt = 0; ; attempt++) {
    const outcome = await parts.store.casEpochs(expectedVer, next, plans);
    if (outcome.kind === 'applied') return outcome;
    const current = await settle(parts, next, signal);
    if (current !== undefined && current.nonce === next.nonce) return { kind: 'applied' };
    if ((current?.ver ?? 0) !== expectedVer || outcome.kind === 'rejected') return { kind: 'rejected', current };
    await parts.clock.sleep(backoffMs(parts.rng, attempt), signal);
  }
}

async function settle(
  { store, clock, rng }: { readonly store: MetaStore; readonly clock: Clock; readonly rng: Rng },
  { job, run }: EpochHead,
  signal?: AbortSignal,
): Promise<EpochHead | undefined> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await store.readEpochs(job, run);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      await clock.sleep(backoffMs(rng, attempt), signal);
    }
  }
}
