/**
 * Coordinates one run of a stateful job: fences its head, plans epochs, orders them of the workers, commits them. One
 * loop does all of it; messages and people only leave notes for the next turn. What must hold:
 *
 * - no effect of an epoch before its plan is durable: a run order is sent after the change that wrote the plan;
 * - a commit is written when every worker has done the epoch in its current attempt, and while the outcome of a change
 *   is unknown no new attempt begins: the loop waits for it;
 * - only the leader whose token the head carries changes it; a refused change ends this coordinator.
 */
import { backoffMs } from '../core/clock.ts';
import { assert, must } from '../core/assert.ts';
import { WeirError, isWeirError, messageOf } from '../core/errors.ts';
import { changeHead } from '../core/epoch/change-head.ts';
import { EpochPace } from '../core/epoch/epoch-size.ts';
import { attemptDelayMs, attemptFits } from '../core/epoch/time.ts';
import type { EpochAssignment, EpochHead, EpochPlan, OffsetRange, SnapshotRef } from '../core/epoch/types.ts';
import { needsNoDataEpoch, nextWatermark } from '../core/epoch/watermark.ts';
import type { Epoch, LaneId, WorkerId } from '../core/ids.ts';
import { epoch as epochOf } from '../core/ids.ts';
import type { EpochDone, EpochEnds, EpochMapped, EpochOrder, EpochReport, EpochTrouble } from '../proto/gen/control.ts';
import { ClockCheck } from './clock-check.ts';
import { EpochAnswers } from './epochs-answers.ts';
import type { EpochWork, PlannedEpoch, SnapshotNeed } from './epochs-decide.ts';
import {
  SNAPSHOT_INTERVAL_MS,
  STOP_SNAPSHOTS_MAX,
  asksEnds,
  epochsBehind,
  headAfter,
  nextPlanAt,
  nextSnapshotAt,
  planOf,
  snapshotNeed,
  timersDueAt,
  whyNoSlot,
} from './epochs-decide.ts';
import { asCode, asWeirError, fencedBy, mayPass } from './epochs-errors.ts';
import type { Waiting } from './epochs-feeds.ts';
import { EpochFeeds } from './epochs-feeds.ts';
import type { InFlight, Sums } from './epochs-flights.ts';
import { EpochFlights, addDone, newFlight } from './epochs-flights.ts';
import { EpochLogs } from './epochs-logs.ts';
import type { Offsets } from './epochs-logs.ts';
import { EpochMove } from './epochs-move.ts';
import { fenceHead, lastPlan, notedAssignment, plansInFlight } from './epochs-open.ts';
import { EpochPartitions } from './epochs-partitions.ts';
import type { Checkpoint, EpochParts } from './epochs-parts.ts';
import type { EpochWorker } from './epochs-placement.ts';
import { EpochPlacement } from './epochs-placement.ts';
import { EpochProgress } from './epochs-progress.ts';
import type { EpochsView } from './epochs-progress.ts';
import { EpochRepeats } from './epochs-repeats.ts';
import { CheckpointRequests, StepRequests } from './epochs-requests.ts';
import { EpochSnapshots } from './epochs-snapshots.ts';
import { EpochStatics } from './epochs-statics.ts';
import { evictsByWatermark, runsByTheClock } from './evicts.ts';
import { Wake } from './wake.ts';

const DEPTH = 2;
/** A leader gives the workers of its predecessor so long to find it. */
const SETTLE_MS = 1500;
/** A commit with other epochs under way waits so long for a plan to travel with. */
const COMMIT_DELAY_MS = 100;
const STOP_LIMIT_MS = 10_000;
const STOPPED_LIMIT_MS = 3000;

export class EpochCoordinator {
  readonly #parts: EpochParts;
  readonly #logs: EpochLogs;
  readonly #feeds: EpochFeeds;
  readonly #snapshots: EpochSnapshots;
  readonly #progress: EpochProgress;
  readonly #statics: EpochStatics;
  readonly #answers: EpochAnswers;
  readonly #partitions: EpochPartitions;
  readonly #clockCheck: ClockCheck;
  readonly #move: EpochMove;
  readonly #wake: Wake;
  readonly #evicts: boolean;
  readonly #byTheClock: boolean;
  readonly #pace = new EpochPace();
  #plannedAt = Number.NEGATIVE_INFINITY;
  readonly #ending = new AbortController();
  #placement: EpochPlacement;
  #workers: readonly EpochWorker[] = [];
  #opened = false;
  #head: EpochHead | null = null;
  readonly #flights = new EpochFlights();
  readonly #repeats = new EpochRepeats();
  #loop: Promise<void> = Promise.resolve();
  /** When the next epoch with data may be planned, monotonic ms. */
  #planAt = 0;
  /** Monotonic ms when epochs in flight last began another attempt. */
  #orderedAt = Number.NEGATIVE_INFINITY;
  /** When a snapshot was last asked for, and when the next one may be; monotonic ms. */
  #snapshotAskedAt = 0;
  #snapshotAt = 0;
  #placementBlob: string | null = null;
  readonly #steps = new StepRequests();
  readonly #checkpoints = new CheckpointRequests();
  #stopping: { readonly done: PromiseWithResolvers<void>; readonly until: number; asks: number } | null = null;
  /** Ends of an availableNow execution on their way into the head. */
  #fixedEnds: Offsets | null = null;
  #finishing = false;
  #goodbyes: { readonly missing: Set<WorkerId>; readonly until: number } | null = null;
  #failure: WeirError | null = null;
  #running = false;
  #retries = 0;
  readonly #waiting: { current: Waiting | null } = { current: null };

  constructor(parts: EpochParts) {
    this.#parts = parts;
    this.#wake = new Wake(parts.clock);
    this.#logs = new EpochLogs(parts.job, parts.plan, parts.clock, parts.source);
    this.#feeds = new EpochFeeds(parts.plan);
    this.#snapshots = new EpochSnapshots({
      ...parts,
      onWritten: () => {
        this.#snapshotAt = nextSnapshotAt(this.#snapshotAskedAt, parts.clock.mono());
        this.#wake.call();
      },
      signal: this.#ending.signal,
    });
    this.#progress = new EpochProgress(parts.plan);
    this.#answers = new EpochAnswers(parts);
    this.#statics = new EpochStatics({ ...parts, onRead: () => this.#wake.call(), signal: this.#ending.signal });
    const { clock, job, log, store, turns } = parts;
    this.#partitions = new EpochPartitions({ clock, logs: this.#logs, wake: this.#wake, waiting: this.#waiting });
    this.#clockCheck = new ClockCheck({ job, store, clock, onChecked: () => this.#wake.call() });
    this.#move = new EpochMove({ job, clock, log, turns, wake: this.#wake });
    this.#placement = new EpochPlacement(parts.clock, parts.rng, null, 0);
    this.#evicts = evictsByWatermark(parts.plan);
    this.#byTheClock = runsByTheClock(parts.plan);
  }

  /** Begins. Everything that happens is told through `onChange`. */
  open(): void {
    this.#loop = this.#run();
  }

  /** Ends at once, without a word to the store; the workers are told to stop. */
  async close(reason: string): Promise<void> {
    this.#end(new WeirError('CONFLICT', reason));
    for (const worker of this.#workers) this.#send(worker.id, { stop: { reason } });
    await this.#loop;
  }

  /** The workers that are there now. */
  setWorkers(workers: readonly EpochWorker[]): void {
    this.#workers = workers;
    this.#placement.setWorkers(workers);
    this.#wake.call();
  }

  /** True while this worker has a part in the job. */
  involves(worker: WorkerId): boolean {
    return !this.#ending.signal.aborted && this.#placement.involved().has(worker);
  }

  /** Lets epochs in flight finish, takes a snapshot, and ends. Resolves when the workers have let go. */
  stop(): Promise<void> {
    this.#stopping ??= {
      done: Promise.withResolvers<void>(),
      until: this.#parts.clock.mono() + STOP_LIMIT_MS,
      asks: 0,
    };
    if (this.#ending.signal.aborted) this.#stopping.done.resolve();
    this.#wake.call();
    return this.#stopping.done.promise;
  }

  /**
   * One epoch (more under a limit) of what stands in the logs at the time of the call, and one without data when the
   * watermark asks for it. Resolves when all are committed. Throws: what the job fails of; CONFLICT when it ends.
   */
  step(): Promise<{ readonly epochs: number }> {
    if (this.#ending.signal.aborted) return Promise.reject(asWeirError(this.#ending.signal.reason));
    const step = this.#steps.ask();
    this.#wake.call();
    return step;
  }

  /** A snapshot of a moment after the call, named in the head. Throws: as {@link step}. */
  checkpoint(): Promise<Checkpoint> {
    if (this.#ending.signal.aborted) return Promise.reject(asWeirError(this.#ending.signal.reason));
    const checkpoint = this.#checkpoints.ask();
    this.#wake.call();
    return checkpoint;
  }

  /** Why nothing is planned or committed at the moment; null = all goes well. */
  get waiting(): EpochsView['waiting'] {
    return this.#waiting.current ?? this.#feeds.blocked;
  }

  view(): EpochsView {
    return this.#progress.view({
      head: this.#head,
      assignment: this.#placement.current,
      logs: this.#logs,
      snapshotBytes: this.#snapshots.bytes,
      now: this.#parts.clock.mono(),
      waiting: this.waiting,
    });
  }

  // ------------------------------------------------------------------------------------------------------- reports

  hear(worker: WorkerId, report: EpochReport): void {
    const { job, run, token } = this.#parts;
    if (report.job !== job || report.run !== run || report.token !== token || this.#ending.signal.aborted) return;
    if (report.ready) this.#placement.ready(worker, report.ready.assignmentVersion, epochOf(report.ready.epoch));
    else if (report.ends) this.#takeEnds(worker, report.ends);
    else if (report.mapped) this.#takeMapped(worker, report.mapped);
    else if (report.done) this.#takeDone(worker, report.done);
    else if (report.trouble) this.#takeTrouble(worker, report.trouble);
    else if (report.feed) this.#feeds.take(report.feed);
    else if (report.stopped) this.#goodbyes?.missing.delete(worker);
    this.#wake.call();
  }

  #takeEnds(worker: WorkerId, { ends }: EpochEnds): void {
    const head = this.#head;
    if (head === null) return;
    for (const end of ends) {
      this.#logs.report(head.positions, end, worker);
      if (end.code === '' || mayPass(end.code)) continue;
      this.#fail(new WeirError(asCode(end.code), end.message));
    }
  }

  /** Of an epoch in flight, in its current attempt; others do not count. */
  #current(worker: WorkerId, epoch: number, attempt: number): InFlight | undefined {
    return this.#placement.isMember(worker) ? this.#flights.current(epoch, attempt) : undefined;
  }

  #takeMapped(worker: WorkerId, mapped: EpochMapped): void {
    const flight = this.#current(worker, mapped.epoch, mapped.attempt);
    if (flight === undefined) return;
    this.#flights.takeMapped(flight, worker, mapped, this.#placement.members(), this.#parts.clock.mono());
  }

  #takeDone(worker: WorkerId, done: EpochDone): void {
    const flight = this.#current(worker, done.epoch, done.attempt);
    if (flight === undefined || flight.done.has(worker)) return;
    flight.done.set(worker, done);
    // A former attempt stored what its assignment gave the worker then.
    if (done.snapshot) this.#snapshots.stored(worker, epochOf(done.epoch), done.stored);
    // It cannot give what it was asked for: the next snapshot is whole again.
    if (flight.snapshot && !done.snapshot) this.#snapshots.abandon();
    if (this.#placement.members().every((member) => flight.done.has(member))) this.#flightDone(flight);
  }

  #flightDone(flight: InFlight): void {
    if (flight.doneAt !== null) return;
    flight.doneAt = this.#parts.clock.mono();
    const ranges = Object.values<OffsetRange>(flight.plan.ranges);
    const records = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
    this.#pace.done(records, flight.plannedAt, flight.doneAt);
  }

  #takeTrouble(worker: WorkerId, trouble: EpochTrouble): void {
    const { log, job } = this.#parts;
    const ofCurrent = this.#current(worker, trouble.epoch, trouble.attempt) !== undefined;
    if (!ofCurrent && !this.#placement.knows(trouble.assignmentVersion)) return;
    if (!trouble.retry) {
      this.#fail(new WeirError(asCode(trouble.code), trouble.message));
      return;
    }
    log.warn({ job, worker, epoch: trouble.epoch, code: trouble.code }, trouble.message);
    this.#waiting.current = { code: trouble.code, message: trouble.message };
    // The attempt waits for the place by itself, and goes on when it answers.
    if (trouble.code === 'LOOKUP_UNAVAILABLE') return;
    const peer = trouble.peer === '' ? null : (trouble.peer as WorkerId);
    this.#placement.fail(ofCurrent ? null : trouble.assignmentVersion, peer);
  }

  // ---------------------------------------------------------------------------------------------------------- loop

  async #run(): Promise<void> {
    const { clock, rng } = this.#parts;
    while (!this.#ending.signal.aborted) {
      try {
        this.#wake.begin();
        await this.#turn();
        this.#retries = 0;
      } catch (error) {
        if (this.#ending.signal.aborted) break;
        if (!isWeirError(error) || !error.retryable) {
          this.#endWith(error);
          break;
        }
        this.#waiting.current = { code: error.code, message: error.message };
        if (this.#stopping !== null && clock.mono() >= this.#stopping.until) {
          this.#end(new WeirError('CONFLICT', `job ${this.#parts.job} was stopped`));
          break;
        }
        this.#wake.after(backoffMs(rng, this.#retries, 50, 1000));
        this.#retries += 1;
      }
      await this.#wake.wait();
    }
    this.#stopping?.done.resolve();
  }

  /** One look at everything. */
  async #turn(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    if (!this.#opened) await this.#fence();
    this.#partitions.look(this.#heldHead());
    this.#clockCheck.look();
    this.#wake.at(this.#statics.refresh(this.#heldHead()));
    if (this.#goodbyes !== null) {
      this.#takeLeave();
      return;
    }
    this.#place();
    await this.#askEnds();
    await this.#advance();
    this.#settleSteps();
    this.#settleStop();
    this.#wake.at(Math.min(this.#placement.wakeAt, this.#logs.idleAt));
  }

  async #fence(): Promise<void> {
    const { store, blobs, clock, rng, plan } = this.#parts;
    const drop = (manifests: readonly string[]): void => this.#snapshots.drop(manifests);
    const head = await fenceHead({ ...this.#parts, logs: this.#logs, drop, signal: this.#ending.signal });
    this.#head = head;
    if (plan.trigger.kind === 'availableNow' && head.ends === null) this.#feeds.begin(head.ver);
    const plans = await plansInFlight(store, head);
    await this.#snapshots.open(head);
    await this.#repeats.open(blobs, head);
    this.#statics.open(await lastPlan(store, head));
    await this.#answers.open(head);
    this.#placementBlob = head.placement;
    const former = await notedAssignment(blobs, head);
    this.#placement = new EpochPlacement(clock, rng, former, clock.mono() + SETTLE_MS);
    this.#placement.setWorkers(this.#workers);
    // Ordered by the recovery that brings the first assignment into force.
    for (const planned of plans) this.#flights.add(newFlight(planned, -1, -1, false, clock.mono(), head.eventTimes));
    this.#snapshotAt = clock.mono() + SNAPSHOT_INTERVAL_MS;
    this.#opened = true;
  }

  // ----------------------------------------------------------------------------------------------------- assignments

  /** Carries out what the placement asks for. */
  #place(): void {
    const { job } = this.#parts;
    const head = this.#heldHead();
    const lanes = Object.keys(head.positions) as LaneId[];
    const step = this.#placement.next(lanes, head.committed, () => this.#move.mayBegin());
    if (!this.#placement.moving) this.#move.giveTurn();
    switch (step.kind) {
      case 'none':
        return;
      case 'noWorkers':
        this.#waiting.current = { code: 'NOT_FOUND', message: `job ${job} waits for a worker: none is connected` };
        return;
      case 'prepare':
        if (this.#placement.broken) this.#move.drop();
        else this.#move.prepared();
        this.#prepare(step.assignment);
        return;
      case 'prepareAgain':
        this.#prepare(step.assignment);
        return;
      case 'recover':
        // Whether an epoch is committed must be known before another attempt of it begins.
        if (this.#flights.doneTo(head.committed) > head.committed) return;
        if (!this.#mayTryAgain()) return;
        this.#move.drop();
        this.#enforce();
        this.#reorder();
        return;
      case 'switch':
        this.#move.ready();
        if (this.#flights.none && !this.#snapshots.busy) this.#enforce();
        return;
    }
  }

  /** Whether the epochs in flight may have another attempt now. */
  #mayTryAgain(): boolean {
    const { first } = this.#flights;
    if (first === undefined) return true;
    const at = this.#orderedAt + attemptDelayMs((this.#parts.attempts.get(first.plan.epoch) ?? -1) + 1);
    if (this.#parts.clock.mono() >= at) return true;
    this.#wake.at(at);
    return false;
  }

  #prepare(assignment: EpochAssignment): void {
    const prepare = {
      definition: this.#parts.definition,
      assignment: JSON.stringify(assignment),
      head: JSON.stringify(this.#heldHead()),
      execution: this.#feeds.execution,
    };
    // Whoever is prepared tells all it knows of its partitions; what was known before a failure is old by now.
    if (this.#placement.broken) this.#logs.forgetReaders();
    for (const { id } of assignment.workers) this.#send(id, { prepare });
  }

  #ownerOf(lane: LaneId): WorkerId | undefined {
    const { current } = this.#placement;
    const index = current?.partitions[lane];
    return index === undefined ? undefined : current?.workers[index]?.id;
  }

  #enforce(): void {
    const before = this.#placement.members();
    const assignment = this.#placement.enforce();
    this.#move.switched();
    this.#logs.keepReaders((lane) => this.#ownerOf(lane));
    const now = new Set(assignment.workers.map(({ id }) => id));
    for (const worker of before)
      if (!now.has(worker)) this.#send(worker, { stop: { reason: 'its key groups are with other workers' } });
    if (!this.#running) {
      this.#running = true;
      this.#parts.onChange({ kind: 'running' });
    }
    this.#waiting.current = null;
    void this.#notePlacement(assignment);
  }

  /** Best effort: without it the next leader only moves more state. */
  async #notePlacement(assignment: EpochAssignment): Promise<void> {
    const { blobs, job, run, token, log } = this.#parts;
    const id = `${job}/${run}/placement/${token}-${assignment.version}`;
    try {
      await blobs.put(id, new TextEncoder().encode(JSON.stringify(assignment)), this.#ending.signal);
      this.#placementBlob = id;
    } catch (error) {
      log.warn({ job, err: error }, `the assignment is not noted: ${messageOf(error)}`);
    }
  }

  /** Every epoch in flight again, in order, as a new attempt under the assignment in force. */
  #reorder(): void {
    const { token, job, clock } = this.#parts;
    this.#orderedAt = clock.mono();
    this.#snapshots.abandon();
    const version = must(this.#placement.current, () => 'no assignment').version;
    for (const [index, flight] of this.#flights.all.entries()) {
      const attempt = this.#nextAttempt(flight.plan.epoch);
      if (!attemptFits(flight.plan.token, token, attempt))
        throw new WeirError(
          'INTERNAL',
          `job ${job}: epoch ${flight.plan.epoch} failed in ${attempt} attempts; see the log for why, then start the job`,
        );
      const again = this.#flights.again(index, attempt, version);
      if (again.snapshot) this.#snapshots.request(flight.plan.epoch, this.#placement.members());
      this.#order(again);
    }
  }

  #nextAttempt(epoch: Epoch): number {
    const { attempts } = this.#parts;
    const attempt = (attempts.get(epoch) ?? -1) + 1;
    attempts.set(epoch, attempt);
    return attempt;
  }

  #order(flight: InFlight): void {
    const head = this.#heldHead();
    const runEpoch = {
      assignmentVersion: flight.version,
      attempt: flight.attempt,
      plan: JSON.stringify(flight.plan),
      committed: head.committed,
      snapshot: flight.snapshot,
      snapshotAll: flight.snapshot && this.#snapshots.needsAll,
    };
    for (const worker of this.#placement.members()) this.#send(worker, { runEpoch });
  }

  // ----------------------------------------------------------------------------------------------- planning, committing

  /** Commits what is done and plans what can be, in one change of the head. */
  async #advance(): Promise<void> {
    const { clock, failpoints } = this.#parts;
    const head = this.#heldHead();
    const committed = this.#flights.doneTo(head.committed);
    const plan = this.#nextPlan(head, committed);
    const commits = committed > head.committed;
    const named = this.#snapshots.written;
    const lanes = this.#partitions.isNewTo(head);
    if (plan === null && !lanes && named === null && this.#endsOf(head) === head.ends) {
      if (!commits) return;
      const doneAt = this.#flights.all.find(({ plan: { epoch } }) => epoch === committed)?.doneAt ?? 0;
      if (committed < head.planned && clock.mono() < doneAt + COMMIT_DELAY_MS) {
        this.#wake.at(doneAt + COMMIT_DELAY_MS);
        return;
      }
    }
    const next = this.#nextHead(head, committed, plan, named);
    if (commits) await failpoints.hit('epoch.beforeCommit');
    if (plan !== null) await failpoints.hit('epoch.beforePlan');
    const sentAt = clock.mono();
    await this.#change(head, next, plan === null ? [] : [plan.plan]);
    if (plan !== null) this.#progress.planTook(clock.mono() - sentAt);
    if (commits) await failpoints.hit('epoch.afterCommit');
    if (plan !== null) await failpoints.hit('epoch.afterPlan');
    if (this.#ending.signal.aborted) return;
    if (named !== null) this.#settleSnapshot(head, next);
    // What was planned with the commit is in flight before anybody asks where the job stood without it.
    if (plan !== null) this.#begin(plan, sentAt);
    if (commits) this.#settleCommit(head, next);
    this.#wake.after(0);
  }

  async #change(before: EpochHead, next: EpochHead, plans: readonly EpochPlan[]): Promise<void> {
    const outcome = await changeHead(this.#parts, before.ver, next, plans, this.#ending.signal);
    if (outcome.kind === 'rejected') throw fencedBy(this.#parts.job, outcome.current);
    this.#head = next;
    const unnamed = [
      before.placement === next.placement ? null : before.placement,
      before.repeats === next.repeats ? null : before.repeats,
    ].filter((id) => id !== null && id !== undefined);
    if (unnamed.length > 0) await this.#parts.blobs.delete(unnamed).catch(() => undefined);
  }

  #nextHead(head: EpochHead, committed: Epoch, planned: PlannedEpoch | null, named: SnapshotRef | null): EpochHead {
    const isCaughtUp = planned === null && this.#flights.allMapped;
    return headAfter(head, {
      nonce: this.#parts.rng.uuid(),
      committed,
      sums: this.#flights.sumsTo(head, committed),
      eventTimes: this.#flights.eventTimes(head),
      positions: this.#partitions.known(head),
      ends: this.#endsOf(head),
      placement: this.#placementBlob,
      snapshot: named,
      repeats: planned === null ? {} : this.#repeats.nameAt(head, planned.plan.epoch),
      planned: planned?.plan ?? null,
      watermarkUs: isCaughtUp ? this.#watermark(head, this.#logs.idle(head.positions)) : undefined,
    });
  }

  /** The next epoch, if there is reason and room for one now. */
  #nextPlan(head: EpochHead, committed: Epoch): PlannedEpoch | null {
    if (this.#placement.broken || this.#placement.current === null) return null;
    if (!this.#flights.allMapped || head.planned - committed >= DEPTH || this.#switchPending()) return null;
    const why = this.#clockCheck.skew ?? whyNoSlot(head);
    if (why !== null) {
      this.#waiting.current = { code: why.code, message: why.message };
      return null;
    }
    if (!this.#statics.ready) {
      this.#waiting.current = this.#statics.waiting ?? this.#waiting.current;
      return null;
    }
    const work = this.#work(head);
    if (work === null) return null;
    const { clock, plan, token } = this.#parts;
    return {
      plan: planOf(head, work, { plan, token, now: clock.now(), statics: this.#statics.versions }),
      snapshot: work.snapshot !== 'no',
      eventTimes: this.#flights.eventTimes(head),
    };
  }

  /** What an epoch would do now, were there room for one; null = nothing. */
  #work(head: EpochHead): EpochWork | null {
    if (this.#repeats.pending(head.planned)) return this.#repeatedWork(head);
    const idle = this.#logs.idle(head.positions);
    const watermarkUs = this.#watermark(head, idle);
    const ranges = this.#nextRanges(head);
    const snapshot = this.#snapshotNeed(head, ranges.size > 0);
    const { noDataEpochs } = this.#parts.plan;
    const empty =
      this.#mayRunEmpty() && needsNoDataEpoch({ noDataEpochs, evicts: this.#evicts }, head.evictUs, watermarkUs);
    if (ranges.size === 0 && !empty && snapshot !== 'now' && !this.#timersDue()) return null;
    return { ranges, idle, watermarkUs, snapshot };
  }

  /** Epochs of the run before come first, whatever the trigger says: they were asked for. */
  #repeatedWork(head: EpochHead): EpochWork | null {
    const repeated = this.#repeats.after(head.planned, this.#assignedPositions(head));
    const snapshot = this.#snapshotNeed(head, true);
    // A job that stops needs one more only for its snapshot.
    if (repeated === null || (this.#stopping !== null && snapshot !== 'now')) return null;
    const { ranges, idle, evictUs, timeUs } = repeated;
    return { ranges, idle, watermarkUs: evictUs, snapshot, repeats: timeUs };
  }

  /** What the next epoch reads; empty also when its time has not come. */
  #nextRanges(head: EpochHead): ReadonlyMap<LaneId, OffsetRange> {
    const { trigger } = this.#parts.plan;
    const nothing = new Map<LaneId, OffsetRange>();
    const positions = this.#assignedPositions(head);
    if (this.#stopping !== null) return nothing;
    // What was asked for is read whole: new partitions get a reader first.
    if (asksEnds(trigger) && this.#lanesPending(head)) return nothing;
    if (trigger.kind === 'manual') {
      const { ends } = this.#steps;
      return ends === null ? nothing : this.#logs.upTo(positions, ends, true);
    }
    if (trigger.kind === 'availableNow')
      return head.ends === null ? nothing : this.#logs.upTo(positions, head.ends, false);
    if (this.#isTooSoon()) return nothing;
    return this.#logs.readable(positions, (lane) => this.#ownerOf(lane), this.#pace.next);
  }

  /** Before the time of the next epoch with data, which the loop wakes up for. */
  #isTooSoon(): boolean {
    const isTooSoon = this.#parts.clock.mono() < this.#planAt;
    if (isTooSoon) this.#wake.at(this.#planAt);
    return isTooSoon;
  }

  /**
   * Epochs without data run by themselves, but with a manual trigger only within a step. Where epochs follow each other as
   * soon as possible, the next one with data may do what one without would: it is waited for.
   */
  #mayRunEmpty(): boolean {
    if (this.#stopping !== null) return false;
    const { kind } = this.#parts.plan.trigger;
    if (kind === 'asap') return !this.#isTooSoon();
    return kind !== 'manual' || this.#steps.ends !== null;
  }

  /** Timers by the clock are looked at by an epoch now and then, and by every step. */
  #timersDue(): boolean {
    const { trigger } = this.#parts.plan;
    if (!this.#byTheClock || !this.#mayRunEmpty() || trigger.kind === 'availableNow') return false;
    if (trigger.kind === 'manual') return this.#steps.isNew;
    const dueAt = timersDueAt(trigger, this.#plannedAt);
    if (this.#parts.clock.mono() >= dueAt) return true;
    this.#wake.at(dueAt);
    return false;
  }

  #snapshotNeed(head: EpochHead, hasData: boolean): SnapshotNeed {
    return snapshotNeed({
      isHeldUp: this.#snapshots.busy || this.#placement.switchReady,
      behind: epochsBehind(head),
      isAskedFor: this.#checkpoints.any,
      stopAsks: this.#stopping?.asks ?? null,
      nothingInFlight: this.#flights.none,
      hasData,
      isTime: this.#parts.clock.mono() >= this.#snapshotAt,
    });
  }

  #begin({ plan, snapshot, eventTimes }: PlannedEpoch, sentAt: number): void {
    const { clock } = this.#parts;
    const now = clock.mono();
    const version = must(this.#placement.current, () => 'no assignment').version;
    const flight = newFlight(plan, this.#nextAttempt(plan.epoch), version, snapshot, now, eventTimes);
    this.#flights.add(flight);
    this.#plannedAt = now;
    this.#logs.planned(plan, this.#heldHead().positions);
    this.#answers.planned(plan);
    if (Object.keys(plan.ranges).length > 0 || this.#parts.plan.trigger.kind === 'asap')
      this.#planAt = this.#nextPlanAt(sentAt);
    this.#steps.planned();
    if (snapshot) {
      this.#snapshotAskedAt = now;
      this.#snapshotAt = now + SNAPSHOT_INTERVAL_MS;
      if (this.#stopping !== null) this.#stopping.asks += 1;
      this.#checkpoints.planned(plan.epoch);
      this.#snapshots.request(plan.epoch, this.#placement.members());
    }
    // A worker may have been lost meanwhile: then the recovery orders it.
    if (!this.#placement.broken) this.#order(flight);
  }

  #nextPlanAt(sentAt: number): number {
    const { clock, plan } = this.#parts;
    const { planMsP50 } = this.#progress;
    return nextPlanAt(plan.trigger, { planAt: this.#planAt, sentAt, now: clock.mono(), planMsP50 });
  }

  #settleCommit(before: EpochHead, head: EpochHead): void {
    let sums: Sums = before;
    for (;;) {
      const flight = this.#flights.shift(head.committed);
      if (flight === undefined) break;
      assert(flight.plan.epoch > before.committed, () => `epoch ${flight.plan.epoch} is committed twice`);
      this.#parts.attempts.delete(flight.plan.epoch);
      sums = addDone(sums, flight);
      this.#snapshots.committed(flight.plan.epoch, this.#flights.factsAfter(flight.plan, head, sums));
      this.#progress.committed(flight, this.#parts.clock.mono());
    }
    this.#placement.succeeded();
    this.#waiting.current = null;
    this.#move.committed(this.#placement.members().length);
  }

  #settleSnapshot(before: EpochHead, head: EpochHead): void {
    const manifest = this.#snapshots.named(before);
    const ref = must(head.snapshot, () => 'a snapshot');
    this.#progress.snapshotTaken(this.#parts.clock.mono());
    this.#checkpoints.settle({ ref, manifest });
    if (this.#placement.preparing) return;
    this.#snapshots.collect(head);
    this.#answers.collect(head);
  }

  /** A prepared assignment comes into force between two epochs: nothing new is planned until then. */
  #switchPending(): boolean {
    return this.#placement.switchReady && !this.#snapshots.busy;
  }

  #watermark(head: EpochHead, idle: readonly string[]): number | null {
    const { watermarks, watermarkPolicy } = this.#parts.plan;
    return nextWatermark({
      rules: watermarks,
      policy: watermarkPolicy,
      eventTimes: this.#flights.eventTimes(head),
      idle: new Set(idle),
      current: head.watermarkUs,
    });
  }

  // ------------------------------------------------------------------------------------- steps, executions, the end

  /** Fixes the ends of a step or of an availableNow execution before anything of it is planned. */
  async #askEnds(): Promise<void> {
    const { trigger } = this.#parts.plan;
    const head = this.#heldHead();
    const wanted = trigger.kind === 'manual' && this.#steps.wantsEnds;
    const begins =
      trigger.kind === 'availableNow' && head.ends === null && this.#fixedEnds === null && !this.#finishing;
    if ((!wanted && !begins) || !this.#flights.none || this.#placement.current === null) return;
    if (begins && this.#feeds.pending) return;
    await this.#partitions.lookOnce(Object.keys(this.#partitions.known(head)) as LaneId[]);
    const ends = await this.#logs.ends(this.#partitions.known(head));
    if (this.#partitions.isNewTo(head)) this.#wake.after(0);
    if (wanted) this.#steps.begin(ends);
    else {
      this.#fixedEnds = this.#feeds.beyond(ends);
      this.#feeds.settle();
    }
  }

  #endsOf(head: EpochHead): EpochHead['ends'] {
    return this.#finishing ? null : (head.ends ?? this.#fixedEnds);
  }

  /** Whether nothing more is to come of what was asked for. */
  #settleSteps(): void {
    const head = this.#heldHead();
    if (!this.#flights.none || this.#placement.broken || this.#stopping !== null) return;
    // An epoch that has to wait (for workers on their way, for a snapshot) is still to come.
    if (this.#lanesPending(head) || this.#repeats.pending(head.planned) || this.#work(head) !== null) return;
    if (this.#clockCheck.skew !== null) return;
    if (this.#steps.ends !== null) {
      this.#steps.settle();
      this.#wake.after(0);
    }
    if (this.#parts.plan.trigger.kind === 'availableNow' && head.ends !== null && !this.#finishing) {
      this.#finishing = true;
      void this.stop();
    }
  }

  /** Of the lanes that somebody has; a new one waits until then. */
  #assignedPositions(head: EpochHead): Offsets {
    const partitions = this.#placement.current?.partitions ?? {};
    return Object.fromEntries(
      Object.entries(head.positions).filter(([lane]) => partitions[lane as LaneId] !== undefined),
    ) as Offsets;
  }

  /** Partitions are on their way into the head or to a worker. */
  #lanesPending(head: EpochHead): boolean {
    const partitions = this.#placement.current?.partitions ?? {};
    return (
      this.#partitions.isNewTo(head) ||
      Object.keys(head.positions).some((lane) => partitions[lane as LaneId] === undefined)
    );
  }

  /** With nothing in flight and the last snapshot named, the workers are told to let go. */
  #settleStop(): void {
    const stopping = this.#stopping;
    if (stopping === null) return;
    const { clock } = this.#parts;
    const idle = this.#flights.none && !this.#snapshots.busy && !(this.#finishing && this.#head?.ends !== null);
    const covered = stopping.asks >= STOP_SNAPSHOTS_MAX || this.#head === null || epochsBehind(this.#head) <= 0;
    const helpless = this.#workers.length === 0;
    if (!(idle && covered) && !helpless && clock.mono() < stopping.until) {
      this.#wake.at(stopping.until);
      return;
    }
    const involved = this.#placement.involved();
    for (const worker of involved) this.#send(worker, { stop: { reason: 'the job stops' } });
    this.#goodbyes = { missing: involved, until: clock.mono() + STOPPED_LIMIT_MS };
    this.#wake.after(0);
  }

  #takeLeave(): void {
    const goodbyes = must(this.#goodbyes, () => 'not leaving');
    const alive = new Set(this.#workers.map(({ id }) => id));
    for (const worker of goodbyes.missing) if (!alive.has(worker)) goodbyes.missing.delete(worker);
    if (goodbyes.missing.size > 0 && this.#parts.clock.mono() < goodbyes.until) {
      this.#wake.at(goodbyes.until);
      return;
    }
    this.#end(new WeirError('CONFLICT', `job ${this.#parts.job} was stopped`));
    if (this.#finishing) this.#parts.onChange({ kind: 'finished' });
  }

  #fail(error: WeirError): void {
    this.#failure ??= error;
    this.#wake.call();
  }

  #endWith(error: unknown): void {
    const { job, log, onChange } = this.#parts;
    const known = asWeirError(error);
    if (known.code === 'FENCED') log.warn({ job }, known.message);
    else log.error({ job, code: known.code, err: error }, known.message);
    for (const worker of this.#placement.involved()) this.#send(worker, { stop: { reason: known.message } });
    this.#end(known);
    if (known.code === 'FENCED') onChange({ kind: 'fenced', message: known.message });
    else onChange({ kind: 'failed', code: known.code, message: known.message });
  }

  #end(error: WeirError): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(error);
    this.#move.leave();
    this.#steps.reject(error);
    this.#checkpoints.reject(error);
    this.#wake.call();
  }

  // ------------------------------------------------------------------------------------------------------ small things

  #send(worker: WorkerId, body: Pick<EpochOrder, 'prepare' | 'runEpoch' | 'stop'>): void {
    const { job, run, token } = this.#parts;
    this.#parts.send(worker, { job, run, token, ...body });
  }

  #heldHead(): EpochHead {
    return must(this.#head, () => `job ${this.#parts.job} has no head yet`);
  }
}
