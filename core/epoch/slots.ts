/** The ring of plans: a slot may be written anew only when no recovery can ask for what it holds. */
import type { Epoch } from '../ids.ts';
import type { EpochHead } from './types.ts';
import { PLAN_SLOTS } from './types.ts';

/**
 * True when the plan that `next` would replace lies at or below the snapshot that recovery falls back to: the former
 * one, or where the run began while there is none.
 */
export function planSlotFree(next: Epoch, head: Pick<EpochHead, 'snapshot' | 'formerSnapshot' | 'base'>): boolean {
  return next - PLAN_SLOTS <= (head.formerSnapshot?.epoch ?? head.base?.epoch ?? -1);
}
