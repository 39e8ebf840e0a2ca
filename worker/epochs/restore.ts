/**
 * Brings key groups to an epoch: takes their state from the newest whole snapshot, and folds the logged plans after it
 * again from the source. What a group holds after an epoch is a function of the plans up to it, so this gives what the
 * former owner had.
 */
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import { decodeManifest, parsePlace } from '../../core/epoch/manifest.ts';
import type { EpochHead, EpochPlan, OffsetRange, SnapshotRef } from '../../core/epoch/types.ts';
import { must } from '../../core/assert.ts';
import { epoch as epochOf, offset, parseLaneId } from '../../core/ids.ts';
import type { JobName, LaneId, Run } from '../../core/ids.ts';
import type { BlobStore, Failpoints, Log } from '../../core/ports.ts';
import type { MetaStore } from '../../core/meta.ts';
import type { EpochExecutor, Frame, GroupState } from '../../engine/epoch/contract.ts';
import { KEY_GROUPS } from '../../engine/plan/epoch-plan.ts';
import { localRouting, threadOf } from './assignment-view.ts';
import type { Cohort } from './cohort.ts';
import { dropGroups } from './cohort.ts';
import { envOf } from './epoch-env.ts';
import type { InputFrame } from './epoch-inbox.ts';
import type { OpenJob } from './open-job.ts';
import type { RangeData } from './read-range.ts';
import { cutIntoTasks, readRange } from './read-range.ts';
import type { StaticTables } from './static-tables.ts';

const BLOBS_AT_ONCE = 8;
/** Plans whose ranges are read in one go. */
const PLANS_AT_ONCE = 64;
/** Epochs mapped while one is folded. */
const EPOCHS_AHEAD = 4;

export interface RestoreParts {
  readonly job: JobName;
  readonly run: Run;
  readonly open: OpenJob;
  readonly statics: StaticTables;
  readonly executor: EpochExecutor;
  readonly store: MetaStore;
  readonly blobs: () => BlobStore;
  readonly failpoints: Failpoints;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Puts the newest snapshot that is whole into the cohort's host, which holds nothing of its groups. The cohort then
 * stands at the snapshot's epoch; at -1 when there is none, or one since the run began and that one is damaged.
 *
 * Throws: STATE_DAMAGED when neither of the snapshots is whole, STORE_UNAVAILABLE.
 */
export async function restoreSnapshot(parts: RestoreParts, cohort: Cohort, head: EpochHead): Promise<void> {
  const { log, executor, failpoints } = parts;
  cohort.holdsAll = parts.open.graph.deep;
  // Before the second snapshot of the run, the one before is what the run began with.
  const former = head.formerSnapshot ?? head.base;
  const candidates = [head.snapshot, former].filter((ref) => ref !== null);
  let damage: unknown = null;
  for (const ref of candidates) {
    try {
      const states = await readStates(parts, cohort, ref);
      await failpoints.hit('epoch.midRestore');
      const byThread = Map.groupBy(states, ({ group }) => threadOf(group, executor.threadCount));
      await Promise.all([...byThread].map(([thread, own]) => executor.restore(cohort.key, thread, own)));
      return cohort.setEpoch(ref.epoch);
    } catch (error) {
      if (!isWeirError(error, 'STATE_DAMAGED')) throw error;
      damage = error;
      log.warn(
        { epoch: ref.epoch, code: error.code },
        `a snapshot is damaged, what was before is used: ${error.message}`,
      );
      await dropGroups(executor, cohort.key, [...groupsHeld(parts, cohort)]);
    }
  }
  // All plans since the run began are there as long as no snapshot has replaced its beginning.
  if (former === null) return cohort.setEpoch(-1);
  throw new WeirError(
    'STATE_DAMAGED',
    `job ${parts.job}: no whole snapshot of its state is left (${messageOf(damage)}); start it from a savepoint, or submit it ` +
      `with --from earliest`,
    { cause: damage },
  );
}

/** To replay stages that read other stages, all groups have to be there for a while. */
function groupsHeld(parts: RestoreParts, cohort: Cohort): Iterable<number> {
  return parts.open.graph.deep ? Array.from({ length: KEY_GROUPS }, (_, group) => group) : cohort.groups;
}

async function readStates(parts: RestoreParts, cohort: Cohort, ref: SnapshotRef): Promise<GroupState[]> {
  const blobs = parts.blobs();
  const bytes = await blobs.get(ref.manifest);
  if (bytes === undefined) throw missing(parts.job, ref.manifest);
  const held = new Set(groupsHeld(parts, cohort));
  const manifest = decodeManifest(bytes);
  const wanted = Object.entries(manifest.groups)
    .map(([key, place]) => ({ key, of: key.split('/').map(Number), ...parsePlace(place) }))
    .filter(({ of }) => held.has(of[1] ?? -1));
  const states: GroupState[] = [];
  const queue = Map.groupBy(wanted, ({ blob }) => blob).entries();
  const load = async (): Promise<void> => {
    for (const [blob, groups] of queue) {
      const whole = await blobs.get(blob);
      if (whole === undefined) throw missing(parts.job, blob);
      for (const { key, of, part } of groups) {
        const [stage = -1, group = -1] = of;
        // A copy: each goes to a thread of its own, with its memory.
        const state = part === null ? whole : whole.slice(part.offset, part.offset + part.length);
        if (part !== null && state.byteLength !== part.length)
          throw missing(parts.job, `${blob} from ${part.offset} on`);
        const sections = manifest.sections?.[key];
        states.push({ stage, group, bytes: state, ...(sections === undefined ? {} : { sections }) });
      }
    }
  };
  await Promise.all(Array.from({ length: BLOBS_AT_ONCE }, load));
  return states;
}

function missing(job: string, id: string): WeirError {
  return new WeirError('STATE_DAMAGED', `job ${job}: the blob ${id} of a snapshot is gone`, { facts: { blob: id } });
}

/** Tries work again that may come right by itself. */
export type Insist = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Folds the plans up to epoch `to` into the cohort again. Nothing is written. A plan with stages behind stages is
 * replayed for all key groups; those of others are dropped by {@link finishReplay}. What is read is insisted on; what
 * is folded is folded once.
 *
 * Throws: what reading throws, NOT_FOUND when a plan is gone, STATE_LIMIT.
 */
export async function replay(parts: RestoreParts, cohort: Cohort, to: number, insist: Insist): Promise<void> {
  const { store, job, run, open } = parts;
  if (open.graph.stateStages.length === 0) return;
  while (cohort.standsAt < to) {
    const from = cohort.standsAt + 1;
    const last = Math.min(to, from + PLANS_AT_ONCE - 1);
    const plans = await insist(() => store.readPlans(job, run, epochOf(from), epochOf(last)));
    const data = await insist(() => readAll(parts, plans));
    // Mapping keeps no state: it goes ahead of folding, unless both see tables that change from epoch to epoch.
    const epochsAhead = parts.statics.none ? EPOCHS_AHEAD : 1;
    const mapped: Promise<readonly Mapped[]>[] = [];
    for (const [index, plan] of plans.entries()) {
      while (mapped.length < Math.min(plans.length, index + epochsAhead)) {
        const ahead = must(plans[mapped.length], () => 'no such plan');
        await insist(() => parts.statics.use(ahead.statics, [cohort.key], () => Promise.resolve()));
        const mapping = mapAll(parts, cohort, ahead, data);
        mapping.catch(() => undefined);
        mapped.push(mapping);
      }
      await foldAgain(parts, cohort, plan, await must(mapped[index], () => 'not mapped'));
    }
  }
}

/** Drops what a replay needed besides the cohort's own groups. */
export async function finishReplay(parts: RestoreParts, cohort: Cohort): Promise<void> {
  if (!cohort.holdsAll) return;
  const others = Array.from({ length: KEY_GROUPS }, (_, group) => group).filter((group) => !cohort.groups.has(group));
  await dropGroups(parts.executor, cohort.key, others);
  cohort.holdsAll = false;
}

/** All ranges of the plans, each partition read once. */
async function readAll(parts: RestoreParts, plans: readonly EpochPlan[]): Promise<Map<LaneId, RangeData>> {
  const spans = new Map<LaneId, { from: number; to: number }>();
  for (const plan of plans) {
    for (const [lane, { from, to }] of rangesOf(plan)) {
      const span = spans.get(lane);
      spans.set(lane, { from: Math.min(span?.from ?? from, from), to: Math.max(span?.to ?? to, to) });
    }
  }
  const entries = [...spans].map(async ([lane, { from, to }]) => {
    const reading = parts.open.reading(lane, 'known', parts.signal);
    return [lane, await readRange(reading, offset(from), offset(to))] as const;
  });
  return new Map(await Promise.all(entries));
}

interface Mapped {
  readonly stage: number;
  readonly frames: readonly Frame[];
}

async function mapAll(
  parts: RestoreParts,
  cohort: Cohort,
  plan: EpochPlan,
  data: ReadonlyMap<LaneId, RangeData>,
): Promise<readonly Mapped[]> {
  const { open, executor, run } = parts;
  const env = envOf(plan, run, plan.epochTsUs);
  const routing = localRouting(groupsHeld(parts, cohort), executor.threadCount);
  const { logPartitions } = open.sinks;
  const results: Promise<Mapped>[] = [];
  for (const [lane, { from, to }] of rangesOf(plan)) {
    const batches = (data.get(lane)?.batches ?? []).filter((batch) => batch.nextOffset > from && batch.baseOffset < to);
    const { partition } = parseLaneId(lane);
    for (const stage of open.mapStagesOf(lane)) {
      for (const bytes of cutIntoTasks(batches)) {
        const task = { ...bytes, stage, env, routing, partition, fromOffset: from, toOffset: to, logPartitions };
        results.push(executor.map(cohort.key, task).then(({ frames }) => ({ stage, frames })));
      }
    }
  }
  return Promise.all(results);
}

async function foldAgain(
  parts: RestoreParts,
  cohort: Cohort,
  plan: EpochPlan,
  mapped: readonly Mapped[],
): Promise<void> {
  const { open, executor, run } = parts;
  parts.signal.throwIfAborted();
  const env = envOf(plan, run, plan.epochTsUs);
  const routing = localRouting(groupsHeld(parts, cohort), executor.threadCount);
  const inputs = new Map<number, InputFrame[]>(open.graph.stateStages.map((stage) => [stage, []]));
  const route = (from: number, frames: readonly Frame[]): void => {
    for (const { stage, port, destination, rowCount, bytes } of frames)
      inputs.get(stage)?.push({ fromStage: from, from: 0, part: 0, port, thread: destination, rowCount, bytes });
  };
  for (const { stage, frames } of mapped) route(stage, frames);
  for (const stage of open.graph.stateStages) {
    // A stage that stands further already folded this epoch before it was interrupted.
    if (cohort.epochOf(stage) >= plan.epoch) continue;
    route(stage, await cohort.replay(stage, env, routing, inputs.get(stage) ?? [], open.sinks.logPartitions));
  }
}

/** In an order that does not depend on how the plan was stored. */
function rangesOf(plan: EpochPlan): [LaneId, OffsetRange][] {
  return (Object.entries(plan.ranges) as [LaneId, OffsetRange][]).sort(([a], [b]) => (a < b ? -1 : 1));
}
