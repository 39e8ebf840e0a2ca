/** What a plan fixes for the tasks of its epoch. */
import type { EpochPlan } from '../../core/epoch/types.ts';
import type { EpochEnv } from '../../engine/epoch/contract.ts';

/** `writeTimeUs` is the attempt's; a replay writes nothing and may give any. */
export function envOf(plan: EpochPlan, run: number, writeTimeUs: number): EpochEnv {
  return {
    run,
    epoch: plan.epoch,
    epochTsUs: plan.epochTsUs,
    lateUs: plan.lateUs ?? Number.NEGATIVE_INFINITY,
    evictUs: plan.evictUs ?? Number.NEGATIVE_INFINITY,
    writeTimeUs,
    ...(plan.room === undefined ? {} : { room: plan.room }),
  };
}
