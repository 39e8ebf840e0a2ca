/** How stores of durable facts read back what they keep as JSON. */
import { WeirError } from './errors.ts';
import type { EpochPlan } from './epoch/types.ts';
import type { Epoch, JobName, Run } from './ids.ts';

/**
 * The row of `text`; undefined when it is empty. `known` is the newest format this version reads; rows without a format
 * of their own pass.
 *
 * Throws: VERSION_MISMATCH for a newer one.
 */
export function parseRow<T extends object>(text: string, what: string, known: number): T | undefined {
  if (text === '') return undefined;
  const row = JSON.parse(text) as T & { readonly formatVersion?: number };
  if (row.formatVersion === undefined || row.formatVersion <= known) return row;
  throw new WeirError(
    'VERSION_MISMATCH',
    `The ${what} was written by a newer Weir (format ${row.formatVersion}; this one reads up to ${known}). Upgrade this process.`,
  );
}

/**
 * The plans of `[from, to]` in their order, out of what stands in the slots. Throws: NOT_FOUND when one is missing, as
 * its slot holds another epoch by now or none yet.
 */
export function plansInOrder(
  found: Iterable<EpochPlan>,
  { job, run, from, to }: { readonly job: JobName; readonly run: Run; readonly from: Epoch; readonly to: Epoch },
): EpochPlan[] {
  const byEpoch = new Map<number, EpochPlan>();
  for (const plan of found) byEpoch.set(plan.epoch, plan);
  const plans: EpochPlan[] = [];
  for (let epoch: number = from; epoch <= to; epoch++) {
    const plan = byEpoch.get(epoch);
    if (plan === undefined) {
      throw new WeirError(
        'NOT_FOUND',
        `The plan of epoch ${epoch} of job ${job} (run ${run}) is not kept: it was overwritten, or never made.`,
        { facts: { job, run, epoch } },
      );
    }
    plans.push(plan);
  }
  return plans;
}
