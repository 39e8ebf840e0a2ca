/**
 * Brings key groups to an epoch: takes their state from the newest whole snapshot, and folds the logged plans after it
 * again from the source. What a group holds after an epoch is a function of the plans up to it, so this gives what the
 * former owner had.
 */
import { isDeepStrictEqual } from 'node:util';
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import { decodeManifest, parsePlace } from '../../core/epoch/manifest.ts';
import type { EpochHead, EpochPlan, OffsetRange, SnapshotRef } from '../../core/epoch/types.ts';
import { must } from '../../core/assert.ts';
import { epoch as epochOf, offset, parseLaneId } from '../../core/ids.ts';
import type { JobName, LaneId, Run } from '../../core/ids.ts';
import type { BlobStore, Failpoints, Log } from '../../core/ports.ts';
import type { MetaStore } from '../../core/meta.ts';
import type { EpochExecutor, Frame, GroupState, MapTask } from '../../engine/epoch/contract.ts';
import { KEY_GROUPS } from '../../engine/plan/epoch-plan.ts';
import { localRouting, threadOf } from './assignment-view.ts';
import type { Cohort } from './cohort.ts';
import { dropGroups } from './cohort.ts';
import { envOf } from './epoch-env.ts';
import type { InputFrame } from './epoch-inbox.ts';
import type { OpenJob } from './open-job.ts';
import type { RangeData } from './read-range.ts';
import { copied, cutIntoTasks, readRange } from './read-range.ts';
import { inSteps } from './replay-steps.ts';
import type { StaticTables } from './static-tables.ts';

const BLOBS_AT_ONCE = 8;
/** Plans asked of the store in one go. */
const PLANS_AT_ONCE = 256;
/** Records of the plans that are read in one go: bounds what a restore holds in memory, twice. */
const RECORDS_AT_ONCE = 50_000;

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
  const { store, job, run, open, statics } = parts;
  if (open.graph.stateStages.length === 0) return;
  while (cohort.standsAt < to) {
    const from = cohort.standsAt + 1;
    const plans = await insist(() =>
      store.readPlans(job, run, epochOf(from), epochOf(Math.min(to, from + PLANS_AT_ONCE - 1))),
    );
    const spans = spansOf(plans);
    // Mapping keeps no state: it goes ahead of folding, unless both see tables that change from epoch to epoch.
    const map = async (span: readonly EpochPlan[] | undefined): Promise<readonly Mapped[]> => {
      if (span === undefined) return [];
      const [first] = span;
      if (first !== undefined) await insist(() => statics.use(first.statics, [cohort.key], () => Promise.resolve()));
      return await mapAgain(parts, cohort, span, await insist(() => readAll(parts, span)), insist);
    };
    let next = map(spans[0]);
    for (const [index, span] of spans.entries()) {
      const mapped = await next;
      const ahead = (): Promise<readonly Mapped[]> => map(spans[index + 1]);
      if (statics.none) {
        next = ahead();
        next.catch(() => undefined);
      }
      await foldAgain(parts, cohort, span, mapped);
      if (!statics.none) next = ahead();
    }
  }
}

/** Plans that are read, mapped and folded in one go: of few records, and of the same versions of static tables. */
function spansOf(plans: readonly EpochPlan[]): readonly (readonly EpochPlan[])[] {
  const spans: EpochPlan[][] = [];
  let records = 0;
  for (const plan of plans) {
    const last = spans.at(-1)?.at(-1);
    const own = rangesOf(plan).reduce((sum, [, { from, to }]) => sum + to - from, 0);
    if (last === undefined || records + own > RECORDS_AT_ONCE || !isDeepStrictEqual(last.statics, plan.statics)) {
      spans.push([]);
      records = 0;
    }
    spans.at(-1)?.push(plan);
    records += own;
  }
  return spans;
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

/** One task of an epoch that is mapped again. */
interface MapPiece {
  /** Which of the plans. */
  readonly at: number;
  readonly plan: EpochPlan;
  readonly task: Omit<MapTask, 'stage'>;
}

/** What the map stages gave in one epoch, by stage. */
type Mapped = readonly { readonly stage: number; readonly frames: readonly Frame[] }[];

/** Runs the map tasks of the plans: those of one partition and stage together, since each of them is small. */
async function mapAgain(
  parts: RestoreParts,
  cohort: Cohort,
  plans: readonly EpochPlan[],
  data: ReadonlyMap<LaneId, RangeData>,
  insist: Insist,
): Promise<readonly Mapped[]> {
  const { open, executor, run } = parts;
  const routing = localRouting(groupsHeld(parts, cohort), executor.threadCount);
  // Rows that map stages have for the sinks are made again with the rest, and thrown away.
  const { logPartitions } = open.sinks;
  const lanes = [...new Set(plans.flatMap((plan) => rangesOf(plan).map(([lane]) => lane)))].sort();
  const mapped = plans.map((): { stage: number; frames: readonly Frame[] }[] => []);
  const runs: Promise<void>[] = [];
  for (const lane of lanes) {
    const { batches } = must(data.get(lane), () => `nothing was read of ${lane}`);
    const { partition } = parseLaneId(lane);
    // The executor takes the bytes: another stage that reads the same partition needs its own.
    const piecesOf = (inParts: boolean): MapPiece[] =>
      plans.flatMap((plan, at) => {
        const range = plan.ranges[lane];
        if (range === undefined) return [];
        const { from, to } = range;
        const own = batches.filter((batch) => batch.nextOffset > from && batch.baseOffset < to);
        const task = { env: envOf(plan, run, plan.epochTsUs), routing, partition, fromOffset: from, toOffset: to };
        const isWhole = inParts && own.length > 0;
        const tasks = isWhole ? [copied(own)] : [...cutIntoTasks(own, open.placesOf(plan, from))];
        return tasks.map((bytes) => ({ at, plan, task: { ...task, ...bytes, logPartitions } }));
      });
    for (const stage of open.mapStagesOf(lane)) {
      const pieces = piecesOf(open.graph.partedStages.has(stage));
      const whole = open.lookups?.has(stage) === true ? await answered(parts, stage, lane, pieces, insist) : pieces;
      for (const some of inSteps(whole, ({ task }) => task.bytes.byteLength)) {
        const tasks = some.map(({ task }) => ({ ...task, stage }));
        const step = executor.mapAgain(cohort.key, tasks).then((results) => {
          for (const [index, frames] of results.entries())
            mapped[must(some[index], () => 'a result without a task').at]?.push({ stage, frames });
        });
        step.catch(() => undefined);
        runs.push(step);
      }
    }
  }
  await Promise.all(runs);
  return mapped;
}

/**
 * The tasks with the rows that were looked up for them when they were mapped first. Throws: STATE_DAMAGED when those of a
 * committed epoch are gone: newer snapshots cover it.
 */
async function answered(
  { open, run, store, job, signal }: RestoreParts,
  stage: number,
  lane: LaneId,
  pieces: readonly MapPiece[],
  insist: Insist,
): Promise<readonly MapPiece[]> {
  const lookups = must(open.lookups, () => 'the job looks nothing up');
  const given: MapPiece[] = [];
  for (const piece of pieces) {
    const { plan, task } = piece;
    const tables = await insist(async () => {
      const head = await store.readEpochs(job, run);
      const known = head !== undefined && head.committed >= plan.epoch ? 'everything' : 'perhaps';
      const asking = { stage, lane, plan, run, bytes: task.bytes, batches: task.batches };
      return await lookups.tablesOf(asking, known, signal, () => undefined);
    });
    given.push({ ...piece, task: { ...task, tables } });
  }
  return given;
}

async function foldAgain(
  parts: RestoreParts,
  cohort: Cohort,
  plans: readonly EpochPlan[],
  mapped: readonly Mapped[],
): Promise<void> {
  const { open, executor, run } = parts;
  parts.signal.throwIfAborted();
  const routing = localRouting(groupsHeld(parts, cohort), executor.threadCount);
  const inputs = new Map<number, InputFrame[][]>(open.graph.stateStages.map((stage) => [stage, plans.map(() => [])]));
  const route = (index: number, from: number, frames: readonly Frame[]): void => {
    for (const { stage, port, destination, rowCount, bytes } of frames)
      inputs
        .get(stage)
        ?.[index]?.push({ fromStage: from, from: 0, part: 0, port, thread: destination, rowCount, bytes });
  };
  for (const [index, given] of mapped.entries()) for (const { stage, frames } of given) route(index, stage, frames);
  for (const stage of open.graph.stateStages) {
    const epochs = plans.map((plan, index) => ({
      env: envOf(plan, run, plan.epochTsUs),
      inputs: inputs.get(stage)?.[index] ?? [],
    }));
    const frames = await cohort.replay(stage, epochs, routing);
    for (const [index, given] of frames.entries()) route(index, stage, given);
  }
}

/** In an order that does not depend on how the plan was stored. */
function rangesOf(plan: EpochPlan): [LaneId, OffsetRange][] {
  return (Object.entries(plan.ranges) as [LaneId, OffsetRange][]).sort(([a], [b]) => (a < b ? -1 : 1));
}
