/** How a leader takes over a run of a stateful job: it fences the head, or makes the first one. */
import { changeHead } from '../core/epoch/change-head.ts';
import type { HeadFacts } from '../core/epoch/manifest.ts';
import type { EpochAssignment, EpochHead, EpochPlan } from '../core/epoch/types.ts';
import { EPOCH_FORMAT_VERSION } from '../core/epoch/types.ts';
import { epoch as epochOf } from '../core/ids.ts';
import { zeroCounters } from '../core/lane/position.ts';
import type { MetaStore } from '../core/meta.ts';
import type { BlobStore } from '../core/ports.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import { fencedBy } from './epochs-errors.ts';
import type { EpochLogs } from './epochs-logs.ts';
import type { EpochParts, RunBegin } from './epochs-parts.ts';

export interface OpeningParts extends Pick<
  EpochParts,
  'store' | 'clock' | 'rng' | 'job' | 'run' | 'token' | 'plan' | 'begin'
> {
  readonly logs: EpochLogs;
  /** Told of snapshots that nobody needs once the run begins. */
  readonly drop: (manifests: readonly string[]) => void;
  readonly signal: AbortSignal;
}

/**
 * First the fence goes into the head, then that row is used: nobody older can change it from then on. The head as it is
 * from then on.
 *
 * Throws: FENCED when a later leader has it; STORE_UNAVAILABLE; what the run's beginning cannot be read of.
 */
export async function fenceHead(parts: OpeningParts): Promise<EpochHead> {
  const { store, rng, job, run, token, signal } = parts;
  for (;;) {
    const found = await store.readEpochs(job, run);
    if (found !== undefined && found.fence > token) throw fencedBy(job, found);
    const next: EpochHead =
      found === undefined ? await firstHead(parts) : { ...found, ver: found.ver + 1, nonce: rng.uuid(), fence: token };
    const outcome = await changeHead(parts, next.ver - 1, next, [], signal);
    if (outcome.kind === 'applied') return next;
  }
}

async function firstHead(parts: OpeningParts): Promise<EpochHead> {
  const { job, run, rng, token } = parts;
  const begin = await parts.begin();
  parts.drop(begin.garbage ?? []);
  const facts = await firstFacts(parts, begin);
  const snapshot = begin.kind === 'state' ? begin.snapshot : null;
  const last = begin.kind === 'state' ? begin.epoch : epochOf(-1);
  return {
    formatVersion: EPOCH_FORMAT_VERSION,
    job,
    run,
    ver: 1,
    nonce: rng.uuid(),
    fence: token,
    planned: last,
    committed: last,
    ...facts,
    epochTsUs: Math.max(facts.epochTsUs, begin.aboveUs),
    ends: null,
    placement: null,
    snapshot,
    formerSnapshot: null,
    base: snapshot,
    ...(begin.repeats === undefined ? {} : { repeats: begin.repeats }),
  };
}

async function firstFacts({ logs, plan }: OpeningParts, begin: RunBegin): Promise<HeadFacts> {
  if (begin.kind === 'state') return { ...begin.at, starts: begin.at.positions };
  const positions = begin.kind === 'positions' ? begin.positions : await logs.starts(await logs.describe([]), begin.at);
  const watermark = begin.kind === 'positions' ? begin.watermark : undefined;
  const reached = watermark === undefined ? {} : { watermarkUs: watermark.currentUs, evictUs: watermark.formerUs };
  return { ...emptyFacts(plan), ...reached, starts: positions, positions };
}

function emptyFacts(plan: EpochsPlan): HeadFacts {
  return {
    epochTsUs: 0,
    positions: {},
    starts: {},
    eventTimes: plan.watermarks.map(() => null),
    watermarkUs: null,
    evictUs: null,
    counters: zeroCounters,
    late: {},
  };
}

/** Epochs that a former leader planned and nobody committed. */
export async function plansInFlight(store: MetaStore, head: EpochHead): Promise<readonly EpochPlan[]> {
  const { job, run, planned, committed } = head;
  return planned > committed ? await store.readPlans(job, run, epochOf(committed + 1), planned) : [];
}

/** The last plan of this run; undefined before its first epoch. */
export async function lastPlan(store: MetaStore, head: EpochHead): Promise<EpochPlan | undefined> {
  const { job, run, planned, base } = head;
  if (planned <= (base?.epoch ?? -1)) return undefined;
  const [plan] = await store.readPlans(job, run, planned, planned);
  return plan;
}

/** The newest assignment that a former leader noted; null when it cannot be had: then more state moves. */
export async function notedAssignment(blobs: BlobStore, head: EpochHead): Promise<EpochAssignment | null> {
  if (head.placement === null) return null;
  const bytes = await blobs.get(head.placement).catch(() => undefined);
  return bytes === undefined ? null : (JSON.parse(new TextDecoder().decode(bytes)) as EpochAssignment);
}
