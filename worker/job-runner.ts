/**
 * One job on one worker: keeps the lanes that the job's row gives this worker running, and nothing else. The row is
 * the truth; it is read once a second and on a nudge from the master, and `reconcile` makes the worker follow it.
 */
import type { Clock, Rng } from '../core/clock.ts';
import { backoffMs } from '../core/clock.ts';
import { WeirError, codeOf, isWeirError, messageOf } from '../core/errors.ts';
import type { Feed } from '../core/feed/feed.ts';
import type { PlannedFeed } from '../core/job/feed-topics.ts';
import type { Generation, JobName, LaneId, Offset, Run, WorkerId } from '../core/ids.ts';
import { parseLaneId } from '../core/ids.ts';
import { LanePermit, OWNERSHIP_TERM_MS } from '../core/lane/permit.ts';
import type { LanePosition } from '../core/lane/position.ts';
import type { LaneLimits } from '../core/lane/room.ts';
import { zeroCounters } from '../core/lane/position.ts';
import type { RunTiming } from '../core/lane/timestamps.ts';
import type { MemoryPool } from '../core/memory-pool.ts';
import type { JobRow, LaneAssignment, MetaStore } from '../core/meta.ts';
import type { Connections, Failpoints, Log, Source, SourceReader } from '../core/ports.ts';
import type { LaneState } from '../core/states.ts';
import { assert, must } from '../core/assert.ts';
import type { JobPlan, LaneSource, LanesPlan, PlannedSource } from '../engine/plan/job-plan.ts';
import type { EpochExecutor } from '../engine/epoch/contract.ts';
import type { Executor } from '../engine/stage.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { FeedObserver } from './feeds/feed-observer.ts';
import { silentFeedObserver } from './feeds/feed-observer.ts';
import type { FeederParts } from './feeds/feeder.ts';
import { Feeder } from './feeds/feeder.ts';
import type { LaneOutcome } from './lane.ts';
import { Lane } from './lane.ts';
import { startPosition } from './lane-start.ts';
import type { LookupExecutor, LookupPorts } from './lookups/lookup-executor.ts';
import type { LookupObserver } from './lookups/lookup-observer.ts';
import type { LaneObserver } from './observer.ts';
import { openSinks } from './open-sinks.ts';
import type { SinkSet } from './sink-set.ts';

export interface LaneReport {
  readonly job: JobName;
  readonly run: Run;
  readonly lane: LaneId;
  readonly generation: Generation;
  readonly event: 'released' | 'finished' | 'failed';
  readonly code: string;
  readonly message: string;
}

/** What a worker lends to everything that runs in it. */
export interface WorkerPorts {
  readonly store: MetaStore;
  readonly connections: Connections;
  readonly executor: Executor & EpochExecutor;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly failpoints: Failpoints;
  readonly limits: LaneLimits;
  readonly budget: ByteBudget;
  /** Where the memory of fetches and tasks goes that nobody needs any more; default: to the garbage collector. */
  readonly memory?: MemoryPool;
  readonly observe: (job: JobName, source: string, plan: LanesPlan) => LaneObserver;
  /** Opens the place behind a feed; absent where there are none, as in the simulator. */
  readonly openFeed?: (feed: PlannedFeed) => Promise<Feed>;
  readonly observeFeed?: (job: JobName, source: string) => FeedObserver;
  readonly observeLookup?: (job: string, table: string) => LookupObserver;
}

/** The feeder of a source, not running; null where the source is no feed. */
export function feederOf(
  ports: WorkerPorts,
  job: JobName,
  source: PlannedSource,
  limits: Pick<FeederParts, 'permit' | 'behind' | 'onBlocked'>,
): Feeder | null {
  const { connections, clock, rng, log, openFeed, observeFeed } = ports;
  const { feed } = source;
  if (feed === undefined || openFeed === undefined) return null;
  const observer = observeFeed?.(job, source.name) ?? silentFeedObserver;
  return new Feeder({ job, source, feed, connections, open: openFeed, clock, rng, log, observer, ...limits });
}

export interface JobRunnerParts extends WorkerPorts {
  readonly worker: WorkerId;
  readonly report: (report: LaneReport) => void;
  /** Asks for a fresh read of the job's row: a lane ended, another may have been waiting for it. */
  readonly wake: (job: JobName) => void;
}

/** What a lane looks like from outside, for heartbeats and metrics. */
export interface LaneSnapshot {
  readonly lane: LaneId;
  readonly topic: string;
  readonly run: Run;
  readonly generation: Generation;
  readonly state: LaneState;
  readonly reason: { readonly code: string; readonly message: string } | null;
  readonly position: LanePosition | null;
  readonly readOffset: number;
  readonly endOffset: number;
  readonly aheadMs: number;
}

interface HeldLane {
  readonly id: LaneId;
  readonly topic: string;
  readonly run: Run;
  readonly generation: Generation;
  readonly permit: LanePermit;
  /** Monotonic ms from which the former owner can no longer write. */
  readonly freeFrom: number;
  readonly leave: AbortController;
  /** Resolves when the former owner acknowledged. */
  readonly formerGone: PromiseWithResolvers<void>;
  lane: Lane | null;
  /** Fills the topic, where this is the first partition of a feed. */
  feeder: Feeder | null;
  state: LaneState;
  reason: { readonly code: string; readonly message: string } | null;
  done: Promise<void>;
}

/** What is open for one run of the job. */
interface OpenRun {
  readonly run: Run;
  readonly definition: string;
  readonly plan: LanesPlan;
  readonly sinks: ReadonlyMap<string, SinkSet>;
  /** By source, where its rows are joined with tables that are looked up. */
  readonly lookups: ReadonlyMap<string, LookupExecutor>;
  readonly readers: ReadonlyMap<string, { readonly source: Source; readonly reader: SourceReader }>;
}

/** Chunks that may wait for a transaction to end; their bytes are bounded as those of other chunks are. */
const TRANSACTION_CHUNKS_MAX = 256;

const running: ReadonlySet<JobRow['state']> = new Set(['starting', 'running']);

export class JobRunner {
  readonly job: JobName;
  readonly #parts: JobRunnerParts;
  readonly #lanes = new Map<LaneId, HeldLane>();
  /** Lanes that reached their end, by lane and generation: not started again, still shown to the master. */
  readonly #finished = new Map<string, LaneSnapshot>();
  /** Lanes of jobs with lookups, by lane, run and generation: how often each was started here. */
  readonly #starts = new Map<string, number>();
  #open: OpenRun | null = null;
  #opening: Promise<OpenRun> | null = null;
  #row: JobRow | null = null;
  #draining = false;

  constructor(job: JobName, parts: JobRunnerParts) {
    this.job = job;
    this.#parts = parts;
  }

  /** The row last seen. */
  get row(): JobRow | null {
    return this.#row;
  }

  get plan(): LanesPlan | null {
    return this.#open?.plan ?? null;
  }

  /** True when nothing of the job is here any more. */
  get idle(): boolean {
    return this.#lanes.size === 0;
  }

  sinkSets(): SinkSet[] {
    return [...(this.#open?.sinks.values() ?? [])];
  }

  snapshots(): LaneSnapshot[] {
    return [...[...this.#lanes.values()].map(snapshotOf), ...this.#finished.values()];
  }

  /**
   * Follows a row that was read by a request sent at `sentAt` (monotonic ms). Starts nothing twice, takes no row older
   * than one already seen.
   */
  reconcile(row: JobRow, sentAt: number): void {
    if (this.#row !== null && row.ver < this.#row.ver) return;
    this.#row = row;
    for (const [key, { lane, generation, run }] of this.#finished) {
      if (run !== row.run || row.lanes[lane]?.generation !== generation) this.#finished.delete(key);
    }
    const mine =
      running.has(row.state) && !this.#draining ? this.#assignedLanes(row) : new Map<LaneId, LaneAssignment>();
    for (const held of this.#lanes.values()) {
      const assignment = mine.get(held.id);
      if (assignment !== undefined && assignment.generation === held.generation && row.run === held.run)
        held.permit.confirm(sentAt);
      else this.#letGo(held, row.state === 'stopped');
    }
    for (const [id, assignment] of mine) {
      const held = this.#lanes.get(id);
      if (held === undefined) {
        if (!this.#finished.has(finishedKey(row.run, id, assignment.generation)))
          this.#hold(id, assignment, row, sentAt);
      } else if (
        held.state === 'waiting' &&
        held.lane === null &&
        assignment.previousOwner === null &&
        held.generation === assignment.generation
      ) {
        held.formerGone.resolve();
      }
    }
  }

  /** Gives every lane up in good order. */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const held of this.#lanes.values()) this.#letGo(held, false);
    await Promise.all([...this.#lanes.values()].map((held) => held.done));
  }

  async close(): Promise<void> {
    await this.drain();
    await this.#closeRun();
  }

  #assignedLanes(row: JobRow): Map<LaneId, LaneAssignment> {
    const entries = Object.entries(row.lanes) as [LaneId, LaneAssignment][];
    return new Map(entries.filter(([, assignment]) => assignment.owner === this.#parts.worker));
  }

  #letGo(held: HeldLane, atOnce: boolean): void {
    held.leave.abort();
    if (atOnce) held.lane?.cancel();
    else held.lane?.drain();
  }

  #hold(id: LaneId, assignment: LaneAssignment, row: JobRow, sentAt: number): void {
    const { clock } = this.#parts;
    const permit = new LanePermit(() => clock.mono(), `job ${this.job}, topic ${assignment.topic}, lane ${id}`);
    permit.confirm(sentAt);
    const held: HeldLane = {
      id,
      topic: assignment.topic,
      run: row.run,
      generation: assignment.generation,
      permit,
      // The change was durable before it was read: from the answer on, the former owner has 3 s at most.
      freeFrom: assignment.previousOwner === null ? Number.NEGATIVE_INFINITY : clock.mono() + OWNERSHIP_TERM_MS,
      leave: new AbortController(),
      formerGone: Promise.withResolvers<void>(),
      lane: null,
      feeder: null,
      state: 'waiting',
      reason: null,
      done: Promise.resolve(),
    };
    this.#lanes.set(id, held);
    held.done = this.#runLane(held, assignment, row).then((outcome) => this.#ended(held, outcome));
  }

  /** Never rejects. */
  async #runLane(held: HeldLane, assignment: LaneAssignment, row: JobRow): Promise<LaneOutcome> {
    const { clock, rng, log } = this.#parts;
    try {
      await this.#formerOwnerGone(held);
      for (let attempt = 0; !held.leave.signal.aborted; attempt++) {
        try {
          held.lane = await this.#startLane(held, assignment, row);
          break;
        } catch (error) {
          if (!isWeirError(error) || !error.retryable) throw error;
          if (held.reason === null) log.warn({ lane: held.id, code: error.code }, error.message);
          held.reason = { code: error.code, message: error.message };
          held.state = 'blocked';
          await clock.sleep(backoffMs(rng, attempt), held.leave.signal).catch(() => undefined);
        }
      }
      if (held.lane === null) return { kind: 'drained' };
      held.reason = null;
      if (held.leave.signal.aborted) held.lane.drain();
      return await this.#runFed(held, held.lane);
    } catch (error) {
      // The permit may run out while a sink takes the lane over.
      return isWeirError(error, 'FENCED') ? { kind: 'fenced' } : { kind: 'failed', error };
    }
  }

  /** Runs a lane, and beside it the feeder of its topic. The lane sees the topic grow like any other. */
  async #runFed(held: HeldLane, lane: Lane): Promise<LaneOutcome> {
    const ended = new AbortController();
    const feeding = held.feeder?.run(AbortSignal.any([held.leave.signal, ended.signal]));
    try {
      return await lane.run();
    } finally {
      ended.abort();
      await feeding;
    }
  }

  /** Waits until the former owner acknowledged or cannot write any more, also when the lane is taken away meanwhile. */
  async #formerOwnerGone(held: HeldLane): Promise<void> {
    const { clock } = this.#parts;
    const wait = held.freeFrom - clock.mono();
    if (wait <= 0) return;
    const cancel = clock.timer(wait, () => held.formerGone.resolve());
    await held.formerGone.promise;
    cancel();
  }

  async #startLane(held: HeldLane, assignment: LaneAssignment, row: JobRow): Promise<Lane> {
    const { clock, rng, log, failpoints, limits, budget, store, observe } = this.#parts;
    const open = await this.#openRun(row);
    const { source: sourceName, topicId, partition } = parseLaneId(held.id);
    const source = must(
      open.plan.sources.find((candidate) => candidate.name === sourceName),
      () => `job ${this.job} has no source ${sourceName}`,
    );
    const io = must(open.readers.get(sourceName), () => `source ${sourceName} is not open`);
    const key = { job: this.job, run: row.run, source: sourceName, topicId, partition };
    // What was looked up may be another row the next time; where a lane starts anew under its generation, that counts too.
    const attempt = source.lookups === undefined ? {} : { attempt: held.generation + this.#startsOf(held) };
    const timing: RunTiming = {
      ...attempt,
      run: row.run,
      stride: row.stride,
      runStart: row.runStart,
      ordinal: assignment.ordinal,
      ignoreRecordTimes: source.onFutureTimestamp === 'ignoreTimes',
    };
    const facts = {
      key,
      topic: assignment.topic,
      timing,
      start: row.start,
      startingOffsets: source.startingOffsets,
      initialPartition: assignment.initial,
    };
    const start = await startPosition(facts, store, io.source);
    const sinks = must(open.sinks.get(sourceName), () => `sinks of source ${sourceName} are not open`);
    const cuts = await sinks.openLane({
      key,
      topic: assignment.topic,
      since: row.start.kind === 'continue' ? row.start.since : row.run,
      submittedAt: row.submittedAt,
      start: start.nextOffset,
      permit: held.permit,
      failpoints,
    });
    if (partition === 0)
      held.feeder = feederOf(this.#parts, this.job, source, { permit: held.permit, behind: () => behindOf(held) });
    const end = assignment.end ?? (await this.#endOfFeed(held, open.plan, source));
    log.info({ lane: held.id, run: row.run, generation: held.generation, offset: start.nextOffset }, 'lane starts');
    return new Lane({
      key,
      topic: assignment.topic,
      timing,
      end,
      onDataLoss: source.onDataLoss,
      start,
      continues: row.start.kind === 'continue',
      reader: io.reader,
      executor: open.lookups.get(sourceName) ?? this.#parts.executor,
      stageId: stageIdOf(open, source),
      sinks,
      cuts,
      store,
      permit: held.permit,
      observer: observe(this.job, sourceName, open.plan),
      clock,
      rng,
      log,
      failpoints,
      limits: limitsFor(limits, sinks),
      budget,
      triggerMs: open.plan.trigger.kind === 'interval' ? open.plan.trigger.everyMs : 0,
    });
  }

  /** How often the lane was started before under its generation. */
  #startsOf({ id, run, generation }: HeldLane): number {
    const key = finishedKey(run, id, generation);
    const starts = this.#starts.get(key) ?? 0;
    this.#starts.set(key, starts + 1);
    return starts;
  }

  /**
   * An execution of what is there now begins, for a feed, with fetching that; what the topic holds then is its end. Whoever
   * takes over meanwhile fetches again what is left.
   */
  async #endOfFeed(held: HeldLane, plan: LanesPlan, source: LaneSource): Promise<Offset | null> {
    if (plan.trigger.kind !== 'availableNow' || source.feed === undefined) return null;
    held.state = 'running';
    const end = await held.feeder?.fetchAll(held.leave.signal);
    held.feeder = null;
    if (end !== undefined && end !== null) return end;
    const { partition } = parseLaneId(held.id);
    const place = this.#parts.connections.source(source.connector, source.options);
    return (await place.offsets(source.topic, [partition], 'latest')).get(partition) ?? null;
  }

  #ended(held: HeldLane, outcome: LaneOutcome): void {
    this.#lanes.delete(held.id);
    const { report, log, wake } = this.#parts;
    if (outcome.kind !== 'failed') wake(this.job);
    if (outcome.kind !== 'fenced') this.#starts.delete(finishedKey(held.run, held.id, held.generation));
    const base = { job: this.job, run: held.run, lane: held.id, generation: held.generation, code: '', message: '' };
    switch (outcome.kind) {
      case 'drained':
        return report({ ...base, event: 'released' });
      case 'finished':
        this.#finished.set(finishedKey(held.run, held.id, held.generation), snapshotOf(held));
        return report({ ...base, event: 'finished' });
      case 'fenced':
        // Cut off from the store for too long, or cancelled. If the row still names this worker, the next read starts it anew.
        log.warn({ lane: held.id, generation: held.generation }, 'lane stopped: its ownership is not confirmed');
        // What may start again under the same generation has not released it.
        if (!held.leave.signal.aborted) return undefined;
        return report({ ...base, event: 'released' });
      case 'failed': {
        const error = outcome.error;
        log.error({ lane: held.id, code: codeOf(error), err: error }, messageOf(error));
        return report({ ...base, event: 'failed', code: codeOf(error), message: messageOf(error) });
      }
    }
  }

  // ------------------------------------------------------------------------------------------------ what a run needs

  /** Never another run than the row's: what opens at the moment is waited for, and then looked at again. */
  async #openRun(row: JobRow): Promise<OpenRun> {
    for (;;) {
      if (this.#open !== null && this.#open.run === row.run && this.#open.definition === row.definition)
        return this.#open;
      if (this.#opening !== null) {
        await this.#opening.catch(() => undefined);
        continue;
      }
      this.#opening = this.#reopen(row).finally(() => {
        this.#opening = null;
      });
      await this.#opening;
    }
  }

  async #reopen(row: JobRow): Promise<OpenRun> {
    await this.#closeRun();
    const text = await this.#parts.store.getDefinition(row.definition);
    if (text === undefined)
      throw new WeirError('STORE_UNAVAILABLE', `job ${this.job}: its definition ${row.definition} is not readable yet`);
    const plan = (JSON.parse(text) as { readonly plan: JobPlan }).plan;
    assert(plan.protocol === 'lanes', () => `job ${this.job} runs in epochs and has no lanes`);
    const lookups = await this.#openLookups(plan);
    try {
      return await this.#openWith(plan, lookups, row);
    } catch (error) {
      await Promise.all([...lookups.values()].map((opened) => opened.close()));
      throw error;
    }
  }

  async #openWith(plan: LanesPlan, lookups: OpenRun['lookups'], row: JobRow): Promise<OpenRun> {
    const { connections, executor, clock } = this.#parts;
    const sinks = new Map<string, SinkSet>();
    const readers = new Map<string, { source: Source; reader: SourceReader }>();
    for (const laneSource of plan.sources) {
      const source = connections.source(laneSource.connector, laneSource.options);
      const topic = await source.describe(laneSource.topic);
      sinks.set(
        laneSource.name,
        await openSinks(
          plan,
          laneSource,
          connections,
          clock,
          (line) => this.#parts.log.info({ job: this.job }, line),
          this.#parts.memory ?? null,
        ),
      );
      readers.set(laneSource.name, { source, reader: source.open(topic) });
    }
    const open: OpenRun = { run: row.run, definition: row.definition, plan, sinks, lookups, readers };
    for (const laneSource of plan.sources)
      await (lookups.get(laneSource.name) ?? executor).addStage(stageIdOf(open, laneSource), laneSource.stage);
    this.#open = open;
    return open;
  }

  async #closeRun(): Promise<void> {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    // Lanes of the former run finish first: they still use what is closed here.
    await Promise.all([...this.#lanes.values()].filter((held) => held.run === open.run).map((held) => held.done));
    await Promise.all([...open.readers.values()].map(({ reader }) => reader.close()));
    await Promise.all([...open.sinks.values()].map((set) => set.close()));
    for (const source of open.plan.sources)
      await (open.lookups.get(source.name) ?? this.#parts.executor).removeStage(stageIdOf(open, source));
    await Promise.all([...open.lookups.values()].map((executor) => executor.close()));
  }

  /** First of all: what cannot be looked up now is tried again, and nothing else is open then. */
  async #openLookups(plan: LanesPlan): Promise<Map<string, LookupExecutor>> {
    const { connections, clock, rng, executor, observeLookup } = this.#parts;
    const ports: LookupPorts = {
      connections,
      clock,
      rng,
      ...(observeLookup === undefined ? {} : { observe: observeLookup }),
    };
    const opened = new Map<string, LookupExecutor>();
    for (const { name, lookups } of plan.sources) {
      if (lookups === undefined) continue;
      const { openLookups } = await import('./lookups/lookup-executor.ts');
      opened.set(name, await openLookups(executor, lookups, ports));
    }
    return opened;
  }
}

function stageIdOf(
  open: { readonly plan: LanesPlan; readonly run: Run; readonly definition: string },
  source: LaneSource,
): string {
  return `${open.plan.job}/${open.run}/${open.definition}/${source.name}`;
}

function snapshotOf(held: HeldLane): LaneSnapshot {
  const { lane } = held;
  return {
    lane: held.id,
    topic: held.topic,
    run: held.run,
    generation: held.generation,
    state: lane?.state ?? held.state,
    reason: reasonOf(held),
    position: lane?.committed ?? null,
    readOffset: lane?.readOffset ?? -1,
    endOffset: lane?.endOffset ?? -1,
    aheadMs: lane?.aheadMs ?? 0,
  };
}

function behindOf({ lane }: HeldLane): number {
  return lane === null ? 0 : Math.max(0, lane.endOffset - lane.committed.nextOffset);
}

function reasonOf({ lane, feeder, reason }: HeldLane): LaneSnapshot['reason'] {
  const blocked = lane?.blockedBy ?? feeder?.blockedBy;
  return blocked ? { code: blocked.code, message: blocked.message } : reason;
}

function limitsFor(limits: LaneLimits, sinks: SinkSet): LaneLimits {
  const smallChunks = sinks.gathers ? Number.POSITIVE_INFINITY : limits.smallChunks;
  const inFlightChunks = sinks.usesTransactions ? TRANSACTION_CHUNKS_MAX : limits.inFlightChunks;
  return { ...limits, smallChunks, inFlightChunks };
}

function finishedKey(run: Run, lane: LaneId, generation: Generation): string {
  return `${run} ${lane} ${generation}`;
}

/** Positions of snapshots, with zeros for a lane that has not started. */
export function countersOf(snapshot: LaneSnapshot): LanePosition['counters'] {
  return snapshot.position?.counters ?? zeroCounters;
}
