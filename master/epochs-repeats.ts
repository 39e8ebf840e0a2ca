/**
 * Epochs that a new run repeats. A run that goes on from a snapshot which does not cover all that the run before had
 * planned reads those records again. Sinks that tell by an epoch's time what they hold (topics that are written exactly
 * once) know them only if they are divided in the same way, and what was looked up for an epoch is kept under its time:
 * so the first epochs of the new run take ranges and watermarks over from the plans of the former ones, and name the time
 * that they had then.
 *
 * The plans are one blob, named by the head until all of them are planned again.
 */
import { must } from '../core/assert.ts';
import { WeirError } from '../core/errors.ts';
import type { EpochHead, EpochPlan, OffsetRange } from '../core/epoch/types.ts';
import type { Epoch, LaneId, Offset } from '../core/ids.ts';
import { epoch as epochOf } from '../core/ids.ts';
import type { MetaStore } from '../core/meta.ts';
import type { BlobStore } from '../core/ports.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import { keepsAnswers } from './epochs-answers.ts';

/** What a repeated epoch takes over. */
export interface RepeatedEpoch {
  readonly ranges: ReadonlyMap<LaneId, OffsetRange>;
  readonly idle: readonly string[];
  readonly evictUs: number | null;
  /** Time of the epoch that it repeats, µs. */
  readonly timeUs: number;
}

/** Whether the rows of a repeated epoch must not be written once more, or are made of what was looked up then. */
export function repeatsEpochs(plan: EpochsPlan): boolean {
  if (keepsAnswers(plan)) return true;
  return plan.sinkPlans.some((sink) => sink.kind === 'log' && sink.transactions !== undefined);
}

/**
 * Stores what a run that goes on after `last` with the state of `former` has to repeat; undefined = nothing. What the
 * former run had to repeat itself and did not come to is part of it.
 *
 * Throws: STATE_DAMAGED, STORE_UNAVAILABLE; NOT_FOUND when a plan is gone.
 */
export async function storeRepeats(
  { store, blobs }: { readonly store: Pick<MetaStore, 'readPlans'>; readonly blobs: Pick<BlobStore, 'get' | 'put'> },
  former: EpochHead,
  last: Epoch,
  id: string,
): Promise<string | undefined> {
  const planned = await store.readPlans(former.job, former.run, epochOf(last + 1), former.planned);
  const before = await readRepeats(blobs, former);
  const plans = [...planned, ...before.filter(({ epoch }) => epoch > former.planned)];
  if (plans.length === 0) return undefined;
  await blobs.put(id, new TextEncoder().encode(JSON.stringify(plans)));
  return id;
}

async function readRepeats(blobs: Pick<BlobStore, 'get'>, { job, repeats }: EpochHead): Promise<readonly EpochPlan[]> {
  if (repeats === undefined || repeats === null) return [];
  const bytes = await blobs.get(repeats);
  if (bytes === undefined)
    throw new WeirError(
      'STATE_DAMAGED',
      `job ${job}: the plans that it has to repeat (${repeats}) are gone; start it from a savepoint, or submit it with ` +
        '--from earliest or --from latest',
    );
  return JSON.parse(new TextDecoder().decode(bytes)) as EpochPlan[];
}

export class EpochRepeats {
  #plans: ReadonlyMap<number, EpochPlan> = new Map();
  #last = -1;

  /** Throws: STATE_DAMAGED, STORE_UNAVAILABLE. */
  async open(blobs: Pick<BlobStore, 'get'>, head: EpochHead): Promise<void> {
    const plans = await readRepeats(blobs, head);
    this.#plans = new Map(plans.map((plan) => [plan.epoch, plan]));
    this.#last = plans.at(-1)?.epoch ?? -1;
  }

  /** The epoch after `planned` is one that is repeated. */
  pending(planned: Epoch): boolean {
    return planned < this.#last;
  }

  /** What the epoch after `planned` takes over; null while a partition of it has no owner. Only when one is pending. */
  after(planned: Epoch, positions: Readonly<Record<LaneId, Offset>>): RepeatedEpoch | null {
    const plan = must(this.#plans.get(planned + 1), () => `epoch ${planned + 1} is not one that is repeated`);
    const ranges = new Map<LaneId, OffsetRange>();
    for (const [lane, { to }] of Object.entries(plan.ranges) as [LaneId, OffsetRange][]) {
      const from = positions[lane];
      if (from === undefined) return null;
      // Of a partition that was found late, the log may have dropped the beginning since.
      if (from < to) ranges.set(lane, { from, to });
    }
    const { idle, evictUs, epochTsUs, repeats } = plan;
    return { ranges, idle, evictUs, timeUs: repeats ?? epochTsUs };
  }

  /** The head's name of the plans once `planned` is planned. */
  nameAt(head: EpochHead, planned: Epoch): Pick<EpochHead, 'repeats'> {
    if (head.repeats === undefined || head.repeats === null) return {};
    return { repeats: this.pending(planned) ? head.repeats : null };
  }
}
