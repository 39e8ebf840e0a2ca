/**
 * One stateful job on one worker: follows the orders of the master. The life of an epoch here is `#begin` (its map side,
 * as soon as it is ordered) and `#fold` (its state stages, one epoch after the other):
 *
 *   ranges → map tasks → frames to the workers of the assignment → whole inputs → fold, stage by stage → sinks → DONE
 *
 * Invariants: a stage of a key group folds every epoch exactly once, in order, from whole inputs of one attempt; what an
 * epoch gave is kept until it is committed, so that another attempt sends the same again; orders of an older token are
 * ignored; nothing is written for an attempt that was replaced.
 */
import { assert, must } from '../../core/assert.ts';
import { WeirError, codeOf, isWeirError, messageOf } from '../../core/errors.ts';
import { writeTimeUs } from '../../core/epoch/time.ts';
import type { EpochAssignment, EpochHead, EpochPlan, OffsetRange } from '../../core/epoch/types.ts';
import type { Fence, JobName, LaneId, Offset, Run, WorkerId } from '../../core/ids.ts';
import { offset, parseLaneId } from '../../core/ids.ts';
import type { ExchangeLink, ExchangeMessage } from '../../core/ports.ts';
import type { MapResult } from '../../engine/epoch/contract.ts';
import { splitFrame } from '../../engine/epoch/frame.ts';
import type { EpochsPlan } from '../../engine/plan/epoch-plan.ts';
import type {
  EpochDone,
  EpochMapped,
  EpochOrder,
  EpochPrepare,
  EpochReport,
  EpochRun,
} from '../../proto/gen/control.ts';
import type { FeedingMode } from '../feeds/epoch-feeders.ts';
import { EpochFeeders } from '../feeds/epoch-feeders.ts';
import type { EpochRows } from '../epoch-transactions.ts';
import type { WorkerPorts } from '../job-runner.ts';
import { AssignmentView, localRouting } from './assignment-view.ts';
import type { Cohort, KeptPart } from './cohort.ts';
import { Cohorts } from './cohorts.ts';
import { EpochAttempt } from './epoch-attempt.ts';
import { envOf } from './epoch-env.ts';
import type { InputFrame } from './epoch-inbox.ts';
import { EpochInbox } from './epoch-inbox.ts';
import type { EpochObserver } from './epoch-observer.ts';
import { FrameSender } from './frame-sender.ts';
import { Gate, waitForAny } from './gate.ts';
import { GroupStore } from './group-store.ts';
import { appendsOf, framesOf } from './log-rows.ts';
import { mapEpoch } from './map-phase.ts';
import { OpenJob } from './open-job.ts';
import { PartitionFeeds } from './partition-feeds.ts';
import type { Written } from './rewrite.ts';
import { laterBy } from './rewrite.ts';
import { StaticTables } from './static-tables.ts';
import { OrderedWrites } from './ordered-writes.ts';

/** Stands for "no event time" in reports. */
const NO_TIME = Number.MIN_SAFE_INTEGER;
/**
 * A stage whose input does not grow for so long gives the epoch up, ms. The last resort: a dead worker is noticed by the
 * master, a broken connection by the sender.
 */
const INPUT_SILENCE_MS = 60_000;

/** Groups that wait to come into force follow the job so often, ms. */
const WARM_INTERVAL_MS = 100;

type Body = Omit<EpochReport, 'job' | 'run' | 'token'>;

export interface EpochRunnerParts extends WorkerPorts {
  readonly worker: WorkerId;
  readonly link: (address: string) => ExchangeLink;
  readonly report: (report: EpochReport) => void;
  readonly observer: EpochObserver;
}

export interface LanePositionView {
  readonly lane: LaneId;
  readonly topic: string;
  /** Offset up to which epochs were committed, as far as this worker knows. */
  readonly committed: number;
  /** End of the log as last seen; -1 = not yet. */
  readonly logEnd: number;
}

interface Preparation {
  readonly view: AssignmentView;
  readonly token: number;
  ready: boolean;
}

/** What is open once the first preparation arrived. */
interface Opened {
  readonly job: OpenJob;
  readonly feeds: PartitionFeeds;
  readonly feeders: EpochFeeders;
  readonly cohorts: Cohorts;
  readonly groups: GroupStore;
  readonly statics: StaticTables;
}

export class EpochRunner {
  readonly job: JobName;
  readonly run: Run;
  readonly #parts: EpochRunnerParts;
  readonly #stop = new AbortController();
  readonly #views = new Map<string, AssignmentView>();
  readonly #attempts = new Map<number, EpochAttempt>();
  /** Messages for attempts whose order has not arrived yet, by token, epoch and attempt. */
  readonly #early = new Map<string, EpochInbox>();
  /** Ends of the ranges of committed epochs. */
  readonly #positions = new Map<LaneId, number>();
  readonly #changed = new Gate();
  #token = -1;
  #head: EpochHead | null = null;
  #prepared: Preparation | null = null;
  #opening: Promise<Opened> | null = null;
  #opened: Opened | null = null;
  #folding: Promise<void> | null = null;
  #committed = -1;
  readonly #ordered: OrderedWrites;
  #orders = 0;
  #closing: Promise<void> | null = null;

  constructor(job: JobName, run: Run, parts: EpochRunnerParts) {
    this.job = job;
    this.run = run;
    this.#parts = parts;
    this.#ordered = new OrderedWrites({
      clock: parts.clock,
      knownCommitted: () => Math.max(this.#committed, this.#head?.committed ?? -1),
      readCommitted: async () => (await parts.store.readEpochs(job, run))?.committed ?? -1,
    });
  }

  /** Grows with every order: a runner that gets none may have been forgotten. */
  get orders(): number {
    return this.#orders;
  }

  get opened(): OpenJob | null {
    return this.#opened?.job ?? null;
  }

  /** Resolves when everything of the job is gone from here; null before it is asked to go. */
  get closing(): Promise<void> | null {
    return this.#closing;
  }

  /** Where the partitions that are read here stand, for metrics and for display. */
  positions(): LanePositionView[] {
    const opened = this.#opened;
    if (opened === null) return [];
    return [...opened.feeds.positions()].map(({ lane, logEnd }) => ({
      lane,
      topic: opened.job.topicOf(lane),
      committed: this.#positions.get(lane) ?? this.#head?.positions[lane] ?? 0,
      logEnd,
    }));
  }

  /** Records of a source that lie before the job, of the partitions that are read here. */
  #behind(source: string): number {
    const mine = this.positions().filter(({ lane }) => parseLaneId(lane).source === source);
    return mine.reduce((sum, { logEnd, committed }) => sum + Math.max(0, logEnd - committed), 0);
  }

  // ------------------------------------------------------------------------------------------------------- orders

  handle(order: EpochOrder): void {
    this.#orders += 1;
    if (order.token < this.#token || this.#closing !== null) return;
    this.#token = order.token;
    if (order.prepare) this.#onPrepare(order.prepare, order.token);
    else if (order.runEpoch) this.#onRun(order.runEpoch, order.token);
    else if (order.stop)
      void this.close(order.stop.reason).then(() => {
        this.#parts.report({ job: this.job, run: this.run, token: order.token, stopped: {} });
      });
  }

  /** Tells a master that this worker is connected to again what it may have missed. */
  resend(): void {
    this.#opened?.feeds.tellAll();
    this.#opened?.feeders.tellAll();
    if (this.#prepared?.ready === true) this.#reportReady(this.#prepared.view, this.#prepared.token);
    for (const attempt of this.#attempts.values()) {
      if (attempt.mapped !== null) this.#report(attempt.key.token, { mapped: attempt.mapped });
      if (attempt.isDone) void this.#reportDone(attempt);
    }
  }

  /** Rows of another worker. They are dropped unless they are of the newest attempt of an epoch that is not committed. */
  take(message: ExchangeMessage): void {
    const { token, epoch, attempt } = message;
    if (token < this.#token || epoch <= this.#committed) return;
    const current = this.#attempts.get(epoch);
    if (current !== undefined && isSame(current, message)) return current.inbox.take(message);
    if (current !== undefined && current.key.token === token && current.key.attempt > attempt) return;
    this.#inboxOf(token, epoch, attempt).take(message);
  }

  /** Ends everything of the job here. Idempotent. */
  close(reason: string): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: string): Promise<void> {
    const { log } = this.#parts;
    log.info({ run: this.run }, `the stateful job leaves this worker: ${reason}`);
    for (const attempt of this.#attempts.values()) attempt.end(reason);
    this.#stop.abort(new WeirError('FENCED', `job ${this.job} stopped here: ${reason}`));
    this.#changed.open();
    const opened = await this.#opening?.catch(() => null);
    await this.#folding;
    await opened?.cohorts.close();
    await opened?.feeders.close();
    await opened?.feeds.close();
    await opened?.job.close();
    this.#parts.observer.left();
    this.#attempts.clear();
    this.#early.clear();
  }

  // -------------------------------------------------------------------------------------------------- preparation

  #onPrepare(prepare: EpochPrepare, token: number): void {
    const head = JSON.parse(prepare.head) as EpochHead;
    const view = new AssignmentView(JSON.parse(prepare.assignment) as EpochAssignment, this.#parts.worker);
    // Whoever prepares may be new, and know nothing of what was told to the one before.
    this.#opened?.feeds.tellAll();
    if (this.#head === null || head.ver >= this.#head.ver) this.#head = head;
    this.#views.set(viewKey(token, view.assignment.version), view);
    const prepared: Preparation = { view, token, ready: false };
    this.#prepared = prepared;
    this.#connect(view);
    this.#prepare(prepare, view, head)
      .then(() => {
        prepared.ready = true;
        this.#reportReady(view, token);
        return this.#keepWarm(prepared);
      })
      .catch((error: unknown) => this.#preparationFailed(view, token, error));
  }

  /** Its first epoch is not to wait for connections. */
  #connect(view: AssignmentView): void {
    if (view.self < 0) return;
    for (let worker = 0; worker < view.workerCount; worker++)
      if (worker !== view.self) this.#parts.link(view.addressOf(worker)).connect();
  }

  async #prepare(prepare: EpochPrepare, view: AssignmentView, head: EpochHead): Promise<void> {
    this.#opening ??= this.#open(prepare.definition);
    const opened = await this.#opening;
    for (const lane of view.partitions) {
      const from = head.positions[lane] ?? head.starts[lane];
      if (from !== undefined) opened.feeds.follow(lane, from);
    }
    opened.feeders.keep(view.partitions, feedingMode(opened.job.plan, prepare.execution));
    if (view.self < 0) return;
    const needed = [view, ...[...this.#attempts.values()].map((attempt) => attempt.view)];
    await opened.cohorts.prepare(view, needed, head.committed);
  }

  /** Until the assignment is in force or another is prepared: the switch is to find little left to replay. */
  async #keepWarm({ view, token }: Preparation): Promise<void> {
    const { clock, store } = this.#parts;
    const { signal } = this.#stop;
    const { cohorts, feeds } = must(this.#opened, () => 'ready before anything was open');
    const isNewest = (): boolean => this.#prepared?.view === view && this.#prepared.token === token;
    while (isNewest() && cohorts.waits(view)) {
      await clock.sleep(WARM_INTERVAL_MS, signal);
      const head = await store.readEpochs(this.job, this.run).catch(() => undefined);
      if (head === undefined || !isNewest() || signal.aborted) continue;
      if (head.ver > (this.#head?.ver ?? 0)) this.#head = head;
      for (const lane of view.partitions) feeds.release(lane, this.#neededFrom(lane, head));
      await cohorts.follow(view, head.committed);
    }
  }

  /** Below, no epoch reads the partition's records here any more. */
  #neededFrom(lane: LaneId, head: EpochHead): Offset {
    let from: number = head.positions[lane] ?? 0;
    for (const attempt of this.#attempts.values()) {
      const range = attempt.plan.ranges[lane];
      if (range !== undefined && attempt.mapped === null && attempt.valid()) from = Math.min(from, range.from);
    }
    return offset(from);
  }

  async #open(definition: string): Promise<Opened> {
    const { store, connections, executor, clock, rng, log, limits, failpoints, observer, observeLookup } = this.#parts;
    const { signal } = this.#stop;
    const { fetchBytes, taskBytes } = limits;
    const sizes = taskBytes === undefined ? { fetchBytes } : { fetchBytes, taskBytes };
    const base = { job: this.job, run: this.run, store, connections, executor, clock, rng, log, signal, ...sizes };
    const observed = observeLookup === undefined ? {} : { observeLookup };
    const job = await OpenJob.open({ ...base, ...observed, failpoints }, definition);
    const feeds = new PartitionFeeds({
      open: job,
      clock,
      signal,
      feedBytesMax: limits.inFlightBytes / 2,
      report: (ends) => this.#report(this.#token, { ends: { ends } }),
      onFetched: (source, bytes) => observer.read(source, bytes),
      onBlocked: (ms, partitions) => observer.blocked(ms, partitions),
    });
    const blobs = () => connections.blobs();
    const groups = new GroupStore(executor, blobs, failpoints, job.graph.stateStages, signal);
    const statics = new StaticTables(job.plan, executor, blobs, this.job, this.run);
    const head = async (): Promise<EpochHead> =>
      (await store.readEpochs(this.job, this.run)) ?? must(this.#head, () => 'nothing was prepared');
    const cohorts = new Cohorts({ ...base, open: job, blobs, failpoints, observer, groups, statics, head });
    const feeders = new EpochFeeders({
      ports: this.#parts,
      job: this.job,
      sources: job.plan.sources,
      behind: (source) => this.#behind(source),
      report: (feed) => this.#report(this.#token, { feed }),
    });
    this.#opened = { job, feeds, feeders, cohorts, groups, statics };
    this.#folding = this.#foldAll(this.#opened);
    return this.#opened;
  }

  #reportReady(view: AssignmentView, token: number): void {
    const epoch = this.#opened?.cohorts.standsAt(view) ?? Infinity;
    const committed = this.#head?.committed ?? -1;
    this.#report(token, {
      ready: { assignmentVersion: view.assignment.version, epoch: Number.isFinite(epoch) ? epoch : committed },
    });
  }

  #preparationFailed(view: AssignmentView, token: number, error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#parts.log.error({ code: codeOf(error), err: error }, messageOf(error));
    this.#report(token, {
      trouble: {
        epoch: -1,
        attempt: -1,
        assignmentVersion: view.assignment.version,
        retry: isWeirError(error) && error.retryable,
        code: codeOf(error),
        message: messageOf(error),
        peer: '',
      },
    });
  }

  // ------------------------------------------------------------------------------------------------- an epoch's map

  #onRun(order: EpochRun, token: number): void {
    const plan = JSON.parse(order.plan) as EpochPlan;
    try {
      this.#start(order, plan, token);
    } catch (error) {
      this.#parts.log.error({ epoch: plan.epoch, err: error }, messageOf(error));
      this.#refuse(order, plan, token, { retry: false, code: codeOf(error), message: messageOf(error) });
    }
  }

  #start(order: EpochRun, plan: EpochPlan, token: number): void {
    this.#forget(order.committed);
    if (plan.epoch <= this.#committed) return;
    const former = this.#attempts.get(plan.epoch);
    if (former !== undefined && former.key.token === token && former.key.attempt >= order.attempt) return;
    former?.end('a newer attempt of it was ordered');
    const view = this.#views.get(viewKey(token, order.assignmentVersion));
    if (view === undefined || view.self < 0) {
      this.#attempts.delete(plan.epoch);
      // The preparation may have been lost with a connection.
      const message = `job ${this.job}, epoch ${plan.epoch}: this worker was not prepared for assignment ${order.assignmentVersion}`;
      this.#refuse(order, plan, token, { retry: true, code: 'INTERNAL', message });
      return;
    }
    const key = { job: this.job, run: this.run, token, epoch: plan.epoch, attempt: order.attempt };
    const inbox = this.#inboxOf(token, plan.epoch, order.attempt);
    this.#dropEarly((of) => of.epoch === plan.epoch && (of.token < token || of.attempt <= order.attempt));
    const { link, observer, clock } = this.#parts;
    const attempt = new EpochAttempt({
      key,
      plan,
      env: envOf(plan, this.run, writeTimeUs(plan, token as Fence, order.attempt)),
      view,
      snapshot: order.snapshot ? (order.snapshotAll ? 'all' : 'changed') : 'none',
      inbox,
      sender: new FrameSender(key, view, inbox, link, (bytes) => observer.sent(bytes)),
      orderedAt: clock.mono(),
    });
    this.#attempts.set(plan.epoch, attempt);
    void this.#begin(attempt);
    this.#changed.open();
  }

  /** Never rejects. */
  async #begin(attempt: EpochAttempt): Promise<void> {
    const { executor, clock, failpoints, observer, memory } = this.#parts;
    try {
      const { job, feeds, statics } = await must(
        this.#opening,
        () => 'an epoch was ordered before its job was prepared',
      );
      attempt.check();
      feeds.keep(new Set([...attempt.view.partitions, ...(this.#prepared?.view.partitions ?? [])]));
      await statics.use(attempt.plan.statics, [job.hostKey], () => this.#mappedBefore(attempt));
      const write = (of: EpochAttempt, result: MapResult): void => this.#write(of, result, () => undefined);
      const end = (of: EpochAttempt, stage: number, receiver: number): void => this.#endFlow(of, stage, receiver);
      const waits = (of: EpochAttempt, error: WeirError): void => this.#waits(of, error);
      const base = { open: job, feeds, executor, clock, failpoints, observer, write, waits, end };
      const parts = memory === undefined ? base : { ...base, memory };
      const mapped = await mapEpoch(parts, attempt);
      observer.phase('map', clock.mono() - attempt.orderedAt, attempt.key.epoch);
      await failpoints.hit('epoch.afterMap');
      attempt.check();
      attempt.mapped = {
        epoch: attempt.key.epoch,
        attempt: attempt.key.attempt,
        eventTimesUs: mapped.eventTimesUs.map((time) => (Number.isFinite(time) ? time : NO_TIME)),
        sources: [...mapped.sources],
      } satisfies EpochMapped;
      feeds.tellNow();
      this.#report(attempt.key.token, { mapped: attempt.mapped });
      this.#changed.open();
      this.#finishSoon(attempt);
    } catch (error) {
      this.#trouble(attempt, error);
    }
  }

  /** Epochs before this one are mapped here: what their tasks see may change. */
  async #mappedBefore(attempt: EpochAttempt): Promise<void> {
    const earlier = (): boolean =>
      [...this.#attempts.values()].some((other) => other.key.epoch < attempt.key.epoch && other.mapped === null);
    while (earlier() && attempt.valid()) await this.#changed.wait(attempt.signal);
  }

  // -------------------------------------------------------------------------------------------------- folding

  /** Epoch by epoch until the job stops. Never rejects. */
  async #foldAll(opened: Opened): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const next = this.#nextToFold();
      if (next === null) await this.#changed.wait(signal);
      else await this.#fold(opened, next).catch((error: unknown) => this.#trouble(next, error));
    }
  }

  /** The first epoch that is not folded; nothing while it waits for another attempt. */
  #nextToFold(): EpochAttempt | null {
    let next: EpochAttempt | null = null;
    for (const attempt of this.#attempts.values())
      if (!attempt.isFolded && (next === null || attempt.key.epoch < next.key.epoch)) next = attempt;
    return next?.valid() === true ? next : null;
  }

  async #fold(opened: Opened, attempt: EpochAttempt): Promise<void> {
    const { clock, failpoints, observer } = this.#parts;
    const { graph } = opened.job;
    const startedAt = clock.mono();
    const cohorts = await opened.cohorts.align(attempt);
    const hosts = cohorts.map(({ key }) => key);
    await opened.statics.use(attempt.plan.statics, hosts, () => Promise.resolve());
    attempt.check();
    for (const stage of graph.stateStages) {
      // An earlier epoch may have to be gone through again before.
      const input = await this.#inputOf(opened, attempt, stage, () => this.#nextToFold() === attempt);
      if (input === 'later') return;
      const parts = await Promise.all(
        cohorts.map((cohort) => this.#foldStage(opened, attempt, cohort, stage, input, cohorts.length)),
      );
      await failpoints.hit('epoch.afterFold');
      attempt.check();
      for (const part of parts.flat()) await this.#emit(attempt, stage, part);
      for (const receiver of graph.receiversOf(stage)) this.#endFlow(attempt, stage, receiver);
      attempt.inbox.forget(stage);
    }
    attempt.check();
    for (const [index, figures] of attempt.state) {
      const stage = opened.job.plan.stages[index];
      if (stage?.kind === 'state') observer.state(stage.operatorId, figures);
    }
    observer.phase('fold', clock.mono() - startedAt, attempt.key.epoch);
    await opened.cohorts.merge();
    await this.#snapshot(opened, attempt);
    attempt.isFolded = true;
    this.#changed.open();
    this.#finishSoon(attempt);
  }

  /** Whole input of a stage; 'later' when `isDue` says that something else has to be done before. */
  async #inputOf(
    opened: Opened,
    attempt: EpochAttempt,
    stage: number,
    isDue: () => boolean,
  ): Promise<InputFrame[] | 'later'> {
    const { clock } = this.#parts;
    const senders = opened.job.graph.sendersTo(stage);
    const { inbox, view, signal } = attempt;
    let seen = -1;
    let seenAt = clock.mono();
    for (;;) {
      attempt.check();
      if (!isDue()) return 'later';
      const input = inbox.inputOf(stage, senders, view.workerCount);
      if (input !== null) return input;
      if (inbox.messageCount !== seen) {
        seen = inbox.messageCount;
        seenAt = clock.mono();
      } else if (clock.mono() - seenAt >= INPUT_SILENCE_MS)
        throw silent(attempt, stage, inbox.missing(stage, senders, view.workerCount));
      const cancel = clock.timer(INPUT_SILENCE_MS, () => this.#changed.open());
      await waitForAny([inbox.changed, this.#changed], signal);
      cancel();
    }
  }

  async #foldStage(
    opened: Opened,
    attempt: EpochAttempt,
    cohort: Cohort,
    stage: number,
    input: readonly InputFrame[],
    cohortCount: number,
  ): Promise<readonly KeptPart[]> {
    const { epoch } = attempt.env;
    if (cohort.epochOf(stage) >= epoch)
      return must(cohort.kept(epoch, stage), () => `epoch ${epoch} of stage ${stage} was not kept`);
    assert(
      cohort.epochOf(stage) === epoch - 1,
      () => `stage ${stage} stands at epoch ${cohort.epochOf(stage)} and epoch ${epoch} is to be folded`,
    );
    if (cohort.groups.size === 0) return [];
    const own = cohortCount === 1 ? input : input.flatMap((frame) => this.#ownRows(cohort, frame));
    const part = await cohort.fold(stage, attempt.env, attempt.view, own, opened.job.sinks.logPartitions);
    for (const { result } of part.results) this.#parts.observer.folded(result);
    return [part];
  }

  /** The rows of a frame that are for groups of this cohort. */
  #ownRows(cohort: Cohort, frame: InputFrame): InputFrame[] {
    const routing = localRouting(cohort.groups, this.#parts.executor.threadCount);
    return splitFrame(frame.bytes, routing).map(({ rowCount, bytes, destination }) => {
      assert(destination === frame.thread, () => `rows for thread ${destination} came to thread ${frame.thread}`);
      return { ...frame, rowCount, bytes };
    });
  }

  /** Sends the results of a stage on and hands them to the sinks, once per attempt. */
  async #emit(attempt: EpochAttempt, stage: number, part: KeptPart): Promise<void> {
    if (attempt.emitted.has(part)) return;
    attempt.emitted.add(part);
    const { routing } = attempt.view;
    const { graph } = must(this.#opened, () => 'rows before the job was opened').job;
    for (const { thread, result } of part.results) {
      const frames =
        part.view === attempt.view ? result.frames : result.frames.flatMap(({ bytes }) => splitFrame(bytes, routing));
      attempt.addResult(result);
      attempt.addState(stage, result.state);
      attempt.staged.add(result.sinks, `s${stage}`, thread);
      // Rows that are set apart within the epoch are so within an attempt: it writes all of them.
      if (attempt.env.room !== undefined || !part.written.has(result)) {
        const later = attempt.env.writeTimeUs - part.writeTimeUs;
        const rows = later === 0 ? result : laterBy(result, later);
        this.#write(attempt, rows, () => part.written.add(result));
      }
      const logFrames = framesOf(result.sinks, graph, attempt.view);
      await attempt.sender.send(stage, thread, logFrames.length === 0 ? frames : [...frames, ...logFrames]);
    }
  }

  /** Closes a flow; the epoch is done when every receiver has all of it. */
  #endFlow(attempt: EpochAttempt, stage: number, receiver: number): void {
    const flow = `${stage}/${receiver}`;
    if (attempt.ended.has(flow)) return;
    attempt.ended.add(flow);
    const { graph } = must(this.#opened, () => 'a flow before the job was opened').job;
    this.#awaitBeforeDone(attempt, attempt.sender.end(stage, receiver, graph.isSink(receiver) ? 'writer' : 'all'));
  }

  #awaitBeforeDone(attempt: EpochAttempt, work: Promise<void>): void {
    work.catch((error: unknown) => this.#trouble(attempt, error));
    attempt.writes.push(work);
  }

  /** Starts a write; the epoch is done when all its writes are. */
  #write(attempt: EpochAttempt, rows: Written, onWritten: () => void): void {
    if (rows.deadLetters.rowCount === 0 && rows.sinks.every(({ rowCount }) => rowCount === 0)) return onWritten();
    const { failpoints, observer } = this.#parts;
    const { sinks, plan } = must(this.#opened, () => 'rows before the job was opened').job;
    const written = (async () => {
      if (sinks.keepsOrder(rows.sinks)) await this.#ordered.turn(attempt);
      // A stage whose rows all go on to others may still have dead letters.
      const writing = rows.sinks.length === 0 ? sinks.bury(rows.deadLetters, attempt) : sinks.write(rows, attempt);
      writing.catch(() => undefined);
      await failpoints.hit('epoch.midWrite');
      await writing;
      onWritten();
      observer.written(
        plan.sinkPlans.map(({ name }) => name),
        rows,
      );
    })();
    this.#awaitBeforeDone(attempt, written);
  }

  async #writeWhole(attempt: EpochAttempt): Promise<void> {
    const opened = must(this.#opened, () => 'an epoch ends before its job was opened');
    const { sinks } = opened.job;
    await this.#ordered.writeWhole(sinks, attempt, await this.#logRows(opened, attempt));
  }

  /** Rows of all workers for topics that are written exactly once, where this worker writes them. */
  async #logRows(opened: Opened, attempt: EpochAttempt): Promise<ReadonlyMap<number, EpochRows>> {
    const { graph, sinks } = opened.job;
    const { plan, view } = attempt;
    const rows = new Map<number, EpochRows>();
    if (!view.isWriter) return rows;
    for (const { stage, sink } of graph.sinkStages) {
      const input = await this.#inputOf(opened, attempt, stage, () => true);
      assert(input !== 'later', () => `nothing comes before the rows of sink ${sink}`);
      const timeUs = plan.repeats ?? plan.epochTsUs;
      rows.set(sink, { timeUs, appends: appendsOf(input, sinks.epochTopic(sink)) });
    }
    return rows;
  }

  async #snapshot({ cohorts, groups }: Opened, attempt: EpochAttempt): Promise<void> {
    const { snapshot, env, key } = attempt;
    if (snapshot === 'none') return;
    const { active } = cohorts;
    // After another attempt some may stand beyond this epoch already: the next snapshot is whole again.
    if (active.some(({ reaches }) => reaches !== env.epoch)) return;
    const { clock, observer } = this.#parts;
    const { stored } = await groups.take(active, snapshot === 'all', key);
    const takenAt = clock.mono();
    stored.then(
      (of) =>
        observer.snapshot(
          clock.mono() - takenAt,
          of.reduce((sum, { bytes }) => sum + bytes, 0),
        ),
      () => undefined,
    );
    attempt.storing = stored;
  }

  // ------------------------------------------------------------------------------------------------------ reports

  /** Once the epoch is mapped, folded, written and stored, it is done. */
  #finishSoon(attempt: EpochAttempt): void {
    if (!attempt.isFolded || attempt.mapped === null || attempt.isDone || !attempt.valid()) return;
    this.#finish(attempt).catch((error: unknown) => this.#trouble(attempt, error));
  }

  async #finish(attempt: EpochAttempt): Promise<void> {
    const { clock, failpoints, observer } = this.#parts;
    const foldedAt = clock.mono();
    const written = Promise.all([...attempt.writes, this.#writeWhole(attempt)]);
    // The next one's rows wait for this one's, not for its snapshot.
    await Promise.all([written.then(() => this.#ordered.wrote(attempt)), attempt.storing]);
    observer.phase('write', clock.mono() - foldedAt, attempt.key.epoch);
    await failpoints.hit('epoch.afterAck');
    attempt.check();
    attempt.isDone = true;
    observer.phase('total', clock.mono() - attempt.orderedAt, attempt.key.epoch);
    for (const [timestampMs, records] of attempt.appended) observer.latency(clock.now() - timestampMs, records);
    const { job } = must(this.#opened, () => 'an epoch is done before its job was opened');
    observer.done(attempt.late, attempt, job.plan.sources);
    await this.#reportDone(attempt);
    await failpoints.hit('epoch.afterDone');
  }

  async #reportDone(attempt: EpochAttempt): Promise<void> {
    const stored = await attempt.storing;
    const done: EpochDone = {
      epoch: attempt.key.epoch,
      attempt: attempt.key.attempt,
      counters: attempt.counters,
      late: [...attempt.late].map(([operatorId, rows]) => ({ operatorId, rows })),
      state: [...attempt.state].map(([stage, figures]) => ({ stage, ...figures })),
      stored: stored ?? [],
      snapshot: stored !== null,
    };
    this.#report(attempt.key.token, { done });
  }

  /** The attempt cannot be finished as ordered. */
  #trouble(attempt: EpochAttempt, error: unknown): void {
    if (!attempt.valid() || this.#stop.signal.aborted) return;
    attempt.end(messageOf(error));
    this.#changed.open();
    const retry = isWeirError(error) && error.retryable;
    const { log } = this.#parts;
    const fields = { epoch: attempt.key.epoch, attempt: attempt.key.attempt, code: codeOf(error), err: error };
    if (retry) log.warn(fields, messageOf(error));
    else log.error(fields, messageOf(error));
    const peer = isWeirError(error)
      ? attempt.view.assignment.workers.find(({ address }) => address === error.facts['peer'])
      : undefined;
    this.#report(attempt.key.token, {
      trouble: {
        epoch: attempt.key.epoch,
        attempt: attempt.key.attempt,
        assignmentVersion: attempt.view.assignment.version,
        retry,
        code: codeOf(error),
        message: messageOf(error),
        peer: peer?.id ?? '',
      },
    });
  }

  /** The attempt goes on when a place outside answers; the master is told what it waits for. */
  #waits(attempt: EpochAttempt, { code, message }: WeirError): void {
    if (!attempt.valid()) return;
    const { epoch, attempt: number, token } = attempt.key;
    const assignmentVersion = attempt.view.assignment.version;
    this.#report(token, {
      trouble: { epoch, attempt: number, assignmentVersion, retry: true, code, message, peer: '' },
    });
  }

  #refuse(
    order: EpochRun,
    plan: EpochPlan,
    token: number,
    why: { readonly retry: boolean; readonly code: string; readonly message: string },
  ): void {
    const { attempt, assignmentVersion } = order;
    this.#report(token, { trouble: { epoch: plan.epoch, attempt, assignmentVersion, ...why, peer: '' } });
  }

  #report(token: number, body: Body): void {
    this.#parts.report({ job: this.job, run: this.run, token, ...body });
  }

  // ------------------------------------------------------------------------------------------------------ inboxes

  #inboxOf(token: number, epoch: number, attempt: number): EpochInbox {
    const name = `${token}/${epoch}/${attempt}`;
    let inbox = this.#early.get(name);
    if (inbox === undefined) {
      inbox = new EpochInbox();
      this.#early.set(name, inbox);
    }
    return inbox;
  }

  #dropEarly(unwanted: (of: { token: number; epoch: number; attempt: number }) => boolean): void {
    for (const name of this.#early.keys()) {
      const [token = 0, epoch = 0, attempt = 0] = name.split('/').map(Number);
      if (unwanted({ token, epoch, attempt })) this.#early.delete(name);
    }
  }

  /** Lets go of everything kept for committed epochs. */
  #forget(committed: number): void {
    if (committed <= this.#committed) return;
    this.#committed = committed;
    for (const [epoch, attempt] of this.#attempts) {
      if (epoch > committed) continue;
      attempt.end('it is committed');
      for (const [lane, { to }] of Object.entries(attempt.plan.ranges) as [LaneId, OffsetRange][])
        this.#positions.set(lane, to);
      this.#attempts.delete(epoch);
    }
    this.#dropEarly(({ epoch }) => epoch <= committed);
    this.#opened?.cohorts.forget(committed);
  }
}

function feedingMode({ trigger }: EpochsPlan, execution: number): FeedingMode {
  if (trigger.kind !== 'availableNow') return { kind: 'forEver' };
  return execution === 0 ? { kind: 'none' } : { kind: 'execution', number: execution };
}

function viewKey(token: number, version: number): string {
  return `${token}/${version}`;
}

function isSame(attempt: EpochAttempt, message: ExchangeMessage): boolean {
  const { token, epoch, attempt: number } = attempt.key;
  return token === message.token && epoch === message.epoch && number === message.attempt;
}

function silent(attempt: EpochAttempt, stage: number, missing: readonly number[]): WeirError {
  const peer = missing[0] ?? 0;
  return new WeirError(
    'PEER_UNREACHABLE',
    `job ${attempt.key.job}, epoch ${attempt.key.epoch}: nothing came for stage ${stage} for ${INPUT_SILENCE_MS / 1000} s; ` +
      `workers ${missing.map((index) => attempt.view.idOf(index)).join(', ')} have not sent their rows, the epoch is tried again`,
    { facts: { peer: attempt.view.addressOf(peer), stage } },
  );
}
