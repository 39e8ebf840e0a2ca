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
import type { ErrorCode } from '../core/errors.ts';
import { WeirError, codeOf, errorTable, isWeirError, messageOf } from '../core/errors.ts';
import { changeHead } from '../core/epoch/change-head.ts';
import { EpochPace } from '../core/epoch/epoch-size.ts';
import type { HeadFacts } from '../core/epoch/manifest.ts';
import { planSlotFree } from '../core/epoch/slots.ts';
import { roomFor } from '../core/epoch/row-times.ts';
import { attemptDelayMs, attemptFits, nextEpochTsUs } from '../core/epoch/time.ts';
import type { EpochAssignment, EpochHead, EpochPlan, OffsetRange, SnapshotRef } from '../core/epoch/types.ts';
import { EPOCH_FORMAT_VERSION } from '../core/epoch/types.ts';
import { needsNoDataEpoch, nextWatermark } from '../core/epoch/watermark.ts';
import type { Epoch, JobName, LaneId, WorkerId } from '../core/ids.ts';
import { epoch as epochOf, offset } from '../core/ids.ts';
import { zeroCounters } from '../core/lane/position.ts';
import type { BlobStore } from '../core/ports.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import { tableStagesOf } from '../engine/plan/table-stages.ts';
import type { EpochDone, EpochEnds, EpochMapped, EpochOrder, EpochReport, EpochTrouble } from '../proto/gen/control.ts';
import type { InFlight, Sums } from './epochs-flights.ts';
import { EpochFlights, addDone, newFlight } from './epochs-flights.ts';
import { EpochLogs } from './epochs-logs.ts';
import type { Offsets } from './epochs-logs.ts';
import type { Checkpoint, EpochParts, RunBegin } from './epochs-parts.ts';
import type { EpochWorker } from './epochs-placement.ts';
import { EpochPlacement } from './epochs-placement.ts';
import { EpochProgress } from './epochs-progress.ts';
import type { EpochsView } from './epochs-progress.ts';
import { EpochRepeats } from './epochs-repeats.ts';
import { EpochSnapshots } from './epochs-snapshots.ts';
import { EpochStatics } from './epochs-statics.ts';
import { evictsByWatermark, runsByTheClock } from './evicts.ts';

const DEPTH = 2;
const SNAPSHOT_INTERVAL_MS = 5000;
const SNAPSHOT_INTERVAL_EPOCHS = 512;
const DISCOVERY_INTERVAL_MS = 5000;
const DISCOVERY_RETRY_MS = 1000;
const CLOCK_CHECK_INTERVAL_MS = 60_000;
const CLOCK_SKEW_MS_MAX = 3_600_000;
/** A leader gives the workers of its predecessor so long to find it. */
const SETTLE_MS = 1500;
/** After a switch, the turn to move is kept for the first commit, or so long. */
const SWITCH_SETTLED_MS = 1000;
/** A commit with other epochs under way waits so long for a plan to travel with. */
const COMMIT_DELAY_MS = 25;
const PACE_MS_MIN = 2;
/** Without data, an epoch that looks at timers by the clock comes so often. */
const TIMERS_INTERVAL_MS = 1000;
const STOP_LIMIT_MS = 10_000;
/** A snapshot that a worker could not give, or that was not stored, is asked for again so often before a stop. */
const STOP_SNAPSHOTS_MAX = 3;
const STOPPED_LIMIT_MS = 3000;

interface StepRequest {
  ends: Offsets | null;
  epochs: number;
  /** The last epoch that belongs to it. */
  last: Epoch | null;
  readonly resolve: (result: { readonly epochs: number }) => void;
  readonly reject: (error: unknown) => void;
}

interface CheckpointRequest {
  /** The snapshot must be of this epoch or a later one; null = not planned yet. */
  from: Epoch | null;
  readonly resolve: (checkpoint: Checkpoint) => void;
  readonly reject: (error: unknown) => void;
}

export class EpochCoordinator {
  readonly #parts: EpochParts;
  readonly #logs: EpochLogs;
  readonly #snapshots: EpochSnapshots;
  readonly #progress: EpochProgress;
  readonly #statics: EpochStatics;
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
  #wake = Promise.withResolvers<void>();
  #wakeAt = Number.POSITIVE_INFINITY;
  /** Lanes found that the head does not know yet, with their start. */
  #found: Offsets = {};
  #discovering = false;
  #discoverAt = 0;
  #clockCheckedAt = Number.NEGATIVE_INFINITY;
  #checkingClock = false;
  #skew: WeirError | null = null;
  #planAt = 0;
  /** Monotonic ms when epochs in flight last began another attempt. */
  #orderedAt = Number.NEGATIVE_INFINITY;
  #snapshotAt = 0;
  #placementBlob: string | null = null;
  /** The move to other workers that is under way, until its first commit; monotonic ms. */
  #move: { readonly preparedAt: number; readyAt: number; switchedAt: number } | null = null;
  readonly #steps: StepRequest[] = [];
  readonly #checkpoints: CheckpointRequest[] = [];
  #stopping: { readonly done: PromiseWithResolvers<void>; readonly until: number; asks: number } | null = null;
  /** Ends of an availableNow execution on their way into the head. */
  #fixedEnds: Offsets | null = null;
  #finishing = false;
  #goodbyes: { readonly missing: Set<WorkerId>; readonly until: number } | null = null;
  #failure: WeirError | null = null;
  #discoveryFailure: WeirError | null = null;
  /** Why the sources were not seen the last time. */
  #discoveryCode: ErrorCode | null = null;
  #running = false;
  #retries = 0;
  #waiting: { readonly code: string; readonly message: string } | null = null;

  constructor(parts: EpochParts) {
    this.#parts = parts;
    this.#logs = new EpochLogs(parts.job, parts.plan, parts.clock, parts.source);
    this.#snapshots = new EpochSnapshots({
      ...parts,
      onWritten: () => this.#wakeUp(),
      signal: this.#ending.signal,
    });
    this.#progress = new EpochProgress(parts.plan);
    this.#statics = new EpochStatics({ ...parts, onRead: () => this.#wakeUp(), signal: this.#ending.signal });
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
    this.#wakeUp();
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
    this.#wakeUp();
    return this.#stopping.done.promise;
  }

  /**
   * One epoch (more under a limit) of what stands in the logs at the time of the call, and one without data when the
   * watermark asks for it. Resolves when all are committed. Throws: what the job fails of; CONFLICT when it ends.
   */
  step(): Promise<{ readonly epochs: number }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly epochs: number }>();
    if (this.#ending.signal.aborted) reject(this.#ending.signal.reason);
    else this.#steps.push({ ends: null, epochs: 0, last: null, resolve, reject });
    this.#wakeUp();
    return promise;
  }

  /** A snapshot of a moment after the call, named in the head. Throws: as {@link step}. */
  checkpoint(): Promise<Checkpoint> {
    const { promise, resolve, reject } = Promise.withResolvers<Checkpoint>();
    if (this.#ending.signal.aborted) reject(this.#ending.signal.reason);
    else this.#checkpoints.push({ from: null, resolve, reject });
    this.#wakeUp();
    return promise;
  }

  /** Why nothing is planned or committed at the moment; null = all goes well. */
  get waiting(): EpochsView['waiting'] {
    return this.#waiting;
  }

  view(): EpochsView {
    return this.#progress.view({
      head: this.#head,
      assignment: this.#placement.current,
      logs: this.#logs,
      snapshotBytes: this.#snapshots.bytes,
      now: this.#parts.clock.mono(),
      waiting: this.#waiting,
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
    else if (report.stopped) this.#goodbyes?.missing.delete(worker);
    this.#wakeUp();
  }

  #takeEnds(worker: WorkerId, { ends }: EpochEnds): void {
    const head = this.#head;
    if (head === null) return;
    for (const end of ends) {
      this.#logs.report(head.positions, end, worker);
      if (end.code === '' || isRetryable(end.code)) continue;
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
    this.#waiting = { code: trouble.code, message: trouble.message };
    const peer = trouble.peer === '' ? null : (trouble.peer as WorkerId);
    this.#placement.fail(ofCurrent ? null : trouble.assignmentVersion, peer);
  }

  // ---------------------------------------------------------------------------------------------------------- loop

  async #run(): Promise<void> {
    const { clock, rng } = this.#parts;
    while (!this.#ending.signal.aborted) {
      try {
        this.#wakeAt = Number.POSITIVE_INFINITY;
        await this.#turn();
        this.#retries = 0;
      } catch (error) {
        if (this.#ending.signal.aborted) break;
        if (!isWeirError(error) || !error.retryable) {
          this.#endWith(error);
          break;
        }
        this.#waiting = { code: error.code, message: error.message };
        if (this.#stopping !== null && clock.mono() >= this.#stopping.until) {
          this.#end(new WeirError('CONFLICT', `job ${this.#parts.job} was stopped`));
          break;
        }
        this.#wakeAfter(backoffMs(rng, this.#retries, 50, 1000));
        this.#retries += 1;
      }
      const ms = this.#wakeAt - clock.mono();
      const cancel = Number.isFinite(ms) ? clock.timer(Math.max(0, ms), () => this.#wakeUp()) : null;
      await this.#wake.promise;
      cancel?.();
      this.#wake = Promise.withResolvers<void>();
    }
    this.#stopping?.done.resolve();
  }

  /** One look at everything. */
  async #turn(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    if (!this.#opened) await this.#fence();
    this.#discover();
    this.#checkClock();
    this.#wakeAt = Math.min(this.#wakeAt, this.#statics.refresh(this.#heldHead()));
    if (this.#goodbyes !== null) {
      this.#takeLeave();
      return;
    }
    this.#place();
    await this.#askEnds();
    await this.#advance();
    this.#settleSteps();
    this.#settleStop();
    this.#wakeAt = Math.min(this.#wakeAt, this.#placement.wakeAt, this.#logs.idleAt);
  }

  /** First the fence goes into the head, then that row is used: nobody older can change it from then on. */
  async #fence(): Promise<void> {
    const { store, blobs, clock, rng, job, run, token } = this.#parts;
    for (;;) {
      const found = await store.readEpochs(job, run);
      if (found !== undefined && found.fence > token) throw fencedBy(job, found);
      const next: EpochHead =
        found === undefined
          ? await this.#firstHead()
          : { ...found, ver: found.ver + 1, nonce: rng.uuid(), fence: token };
      const outcome = await changeHead(this.#parts, next.ver - 1, next, [], this.#ending.signal);
      if (outcome.kind !== 'applied') continue;
      this.#head = next;
      break;
    }
    const head = this.#heldHead();
    const plans =
      head.planned > head.committed ? await store.readPlans(job, run, epochOf(head.committed + 1), head.planned) : [];
    await this.#snapshots.open(head);
    await this.#repeats.open(blobs, head);
    this.#statics.open(await this.#lastPlan(head));
    this.#placementBlob = head.placement;
    const former = await readAssignment(blobs, head.placement);
    this.#placement = new EpochPlacement(clock, rng, former, clock.mono() + SETTLE_MS);
    this.#placement.setWorkers(this.#workers);
    // Ordered by the recovery that brings the first assignment into force.
    for (const plan of plans) this.#flights.add(newFlight(plan, -1, -1, false, clock.mono(), head.eventTimes));
    this.#snapshotAt = clock.mono() + SNAPSHOT_INTERVAL_MS;
    this.#opened = true;
  }

  async #firstHead(): Promise<EpochHead> {
    const { job, run, rng, token } = this.#parts;
    const begin = await this.#parts.begin();
    this.#snapshots.drop(begin.garbage ?? []);
    const facts = await this.#firstFacts(begin);
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

  /** Of this run; undefined before its first epoch. */
  async #lastPlan({ job, run, planned, base }: EpochHead): Promise<EpochPlan | undefined> {
    if (planned <= (base?.epoch ?? -1)) return undefined;
    const [plan] = await this.#parts.store.readPlans(job, run, planned, planned);
    return plan;
  }

  async #firstFacts(begin: RunBegin): Promise<HeadFacts> {
    if (begin.kind === 'state') return { ...begin.at, starts: begin.at.positions };
    const positions =
      begin.kind === 'positions' ? begin.positions : await this.#logs.starts(await this.#logs.describe([]), begin.at);
    const watermark = begin.kind === 'positions' ? begin.watermark : undefined;
    const reached = watermark === undefined ? {} : { watermarkUs: watermark.currentUs, evictUs: watermark.formerUs };
    return { ...emptyFacts(this.#parts.plan), ...reached, starts: positions, positions };
  }

  // ------------------------------------------------------------------------------------------------ partitions, clock

  /** Looks for new partitions now and then, beside the loop: a broker that does not answer holds up nobody. */
  #discover(): void {
    const { clock } = this.#parts;
    if (this.#discoveryFailure !== null) throw this.#discoveryFailure;
    if (this.#discovering || clock.mono() < this.#discoverAt) {
      this.#wakeAt = Math.min(this.#wakeAt, this.#discovering ? Number.POSITIVE_INFINITY : this.#discoverAt);
      return;
    }
    this.#discovering = true;
    const known = Object.keys(this.#heldHead().positions) as LaneId[];
    void this.#discoverOnce(known)
      .then(
        () => {
          this.#discoverAt = clock.mono() + DISCOVERY_INTERVAL_MS;
          if (this.#waiting?.code === this.#discoveryCode) this.#waiting = null;
          this.#discoveryCode = null;
        },
        (error: unknown) => {
          this.#discoverAt = clock.mono() + DISCOVERY_RETRY_MS;
          if (isWeirError(error) && error.retryable) {
            this.#waiting = { code: error.code, message: error.message };
            this.#discoveryCode = error.code;
          } else this.#discoveryFailure = asWeirError(error);
        },
      )
      .finally(() => {
        this.#discovering = false;
        this.#wakeUp();
      });
  }

  async #discoverOnce(known: readonly LaneId[]): Promise<void> {
    const seen = await this.#logs.describe(known);
    const before = new Set(known);
    const added = seen.filter((lane) => !before.has(lane));
    if (added.length > 0) this.#found = { ...this.#found, ...(await this.#logs.starts(added, 'earliest')) };
  }

  #checkClock(): void {
    const { store, clock, job } = this.#parts;
    if (this.#checkingClock || clock.mono() - this.#clockCheckedAt < CLOCK_CHECK_INTERVAL_MS) return;
    this.#checkingClock = true;
    void store
      .now()
      .then((theirs) => {
        const ahead = clock.now() - theirs;
        this.#clockCheckedAt = clock.mono();
        this.#skew =
          Math.abs(ahead) <= CLOCK_SKEW_MS_MAX
            ? null
            : new WeirError(
                'CLOCK_SKEW',
                `job ${job} plans nothing: the master's clock is ${Math.round(Math.abs(ahead) / 60_000)} minutes ` +
                  `${ahead > 0 ? 'ahead of' : 'behind'} the metadata store's; set it right`,
              );
      })
      .catch(() => undefined)
      .finally(() => {
        this.#checkingClock = false;
        this.#wakeUp();
      });
  }

  // ----------------------------------------------------------------------------------------------------- assignments

  /** Carries out what the placement asks for. */
  #place(): void {
    const { job, clock } = this.#parts;
    const head = this.#heldHead();
    const lanes = Object.keys(head.positions) as LaneId[];
    const step = this.#placement.next(lanes, head.committed, () => this.#mayMove());
    this.#endTurn();
    switch (step.kind) {
      case 'none':
        return;
      case 'noWorkers':
        this.#waiting = { code: 'NOT_FOUND', message: `job ${job} waits for a worker: none is connected` };
        return;
      case 'prepare':
        this.#move = this.#placement.broken
          ? null
          : { preparedAt: clock.mono(), readyAt: Infinity, switchedAt: -Infinity };
        this.#prepare(step.assignment);
        return;
      case 'prepareAgain':
        this.#prepare(step.assignment);
        return;
      case 'recover':
        // Whether an epoch is committed must be known before another attempt of it begins.
        if (this.#flights.doneTo(head.committed) > head.committed) return;
        if (!this.#mayTryAgain()) return;
        // Taken over after a failure, and not moved as planned.
        this.#move = null;
        this.#enforce();
        this.#reorder();
        return;
      case 'switch':
        if (this.#move !== null) this.#move.readyAt = Math.min(this.#move.readyAt, clock.mono());
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
    this.#wakeAt = Math.min(this.#wakeAt, at);
    return false;
  }

  /** The next job is not to take the processors away from the first epoch in the new places. */
  #endTurn(): void {
    if (this.#placement.moving) return;
    const until = (this.#move?.switchedAt ?? Number.NEGATIVE_INFINITY) + SWITCH_SETTLED_MS;
    if (until > this.#parts.clock.mono()) this.#wakeAt = Math.min(this.#wakeAt, until);
    else this.#parts.turns.give(this);
  }

  #mayMove(): boolean {
    const { turns } = this.#parts;
    if (turns.take(this, () => this.#wakeUp())) return true;
    this.#wakeAt = Math.min(this.#wakeAt, turns.endsAt);
    return false;
  }

  #prepare(assignment: EpochAssignment): void {
    const prepare = {
      definition: this.#parts.definition,
      assignment: JSON.stringify(assignment),
      head: JSON.stringify(this.#heldHead()),
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
    if (this.#move !== null) {
      this.#move.switchedAt = this.#parts.clock.mono();
      this.#wakeAfter(SWITCH_SETTLED_MS);
    }
    this.#logs.keepReaders((lane) => this.#ownerOf(lane));
    const now = new Set(assignment.workers.map(({ id }) => id));
    for (const worker of before)
      if (!now.has(worker)) this.#send(worker, { stop: { reason: 'its key groups are with other workers' } });
    if (!this.#running) {
      this.#running = true;
      this.#parts.onChange({ kind: 'running' });
    }
    this.#waiting = null;
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
    const lanes = this.#lanesFound(head);
    if (plan === null && !lanes && named === null && this.#endsOf(head) === head.ends) {
      if (!commits) return;
      const doneAt = this.#flights.all.find(({ plan: { epoch } }) => epoch === committed)?.doneAt ?? 0;
      if (committed < head.planned && clock.mono() < doneAt + COMMIT_DELAY_MS) {
        this.#wakeAt = Math.min(this.#wakeAt, doneAt + COMMIT_DELAY_MS);
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
    this.#wakeAfter(0);
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
    const facts = this.#flights.sumsTo(head, committed);
    const eventTimes = this.#flights.eventTimes(head);
    const known = { ...this.#found, ...head.positions };
    const snapshots = named === null ? {} : { snapshot: named, formerSnapshot: head.snapshot };
    const next: EpochHead = {
      ...head,
      ver: head.ver + 1,
      nonce: this.#parts.rng.uuid(),
      committed,
      counters: facts.counters,
      late: facts.late,
      eventTimes,
      positions: known,
      ends: this.#endsOf(head),
      placement: this.#placementBlob,
      ...snapshots,
    };
    if (planned === null)
      return this.#flights.allMapped
        ? { ...next, watermarkUs: this.#watermark(head, this.#logs.idle(head.positions)) }
        : next;
    const { plan } = planned;
    return {
      ...next,
      ...this.#repeats.nameAt(head, plan.epoch),
      planned: plan.epoch,
      epochTsUs: plan.epochTsUs,
      positions: { ...known, ...endsOfRanges(plan.ranges) },
      watermarkUs: plan.evictUs,
      evictUs: plan.evictUs,
    };
  }

  /** The next epoch, if there is reason and room for one now. */
  #nextPlan(head: EpochHead, committed: Epoch): PlannedEpoch | null {
    const { clock, token } = this.#parts;
    const next = epochOf(head.planned + 1);
    if (this.#placement.broken || this.#placement.current === null) return null;
    if (!this.#flights.allMapped || head.planned - committed >= DEPTH) return null;
    if (this.#switchPending()) return null;
    if (this.#skew !== null) {
      this.#waiting = { code: this.#skew.code, message: this.#skew.message };
      return null;
    }
    if (!planSlotFree(next, head)) {
      this.#waiting = {
        code: 'STORE_UNAVAILABLE',
        message: `job ${head.job} plans nothing before a snapshot is stored: ${head.planned} epochs wait to be covered`,
      };
      return null;
    }
    if (!this.#statics.ready) {
      this.#waiting = this.#statics.waiting ?? this.#waiting;
      return null;
    }
    const work = this.#work(head);
    if (work === null) return null;
    const { ranges, idle, watermarkUs, snapshot, repeats } = work;
    const read = Object.fromEntries(ranges) as Record<LaneId, OffsetRange>;
    const room = roomFor(read, tableStagesOf(this.#parts.plan));
    const plan: EpochPlan = {
      formatVersion: EPOCH_FORMAT_VERSION,
      epoch: next,
      epochTsUs: nextEpochTsUs(head.epochTsUs, clock.now(), room),
      ...(repeats === undefined ? {} : { repeats }),
      ...(room === 0 ? {} : { room }),
      token,
      ranges: read,
      lateUs: head.evictUs,
      evictUs: watermarkUs,
      idle,
      statics: this.#statics.versions,
    };
    return { plan, snapshot: snapshot !== 'no', eventTimes: this.#flights.eventTimes(head) };
  }

  /** What an epoch would do now, were there room for one; null = nothing. */
  #work(head: EpochHead): EpochWork | null {
    if (this.#repeats.pending(head.planned)) return this.#repeatedWork(head);
    const idle = this.#logs.idle(head.positions);
    const watermarkUs = this.#watermark(head, idle);
    const ranges = this.#nextRanges(head);
    const snapshot = this.#snapshotDue(head, ranges.size > 0);
    const { noDataEpochs } = this.#parts.plan;
    const empty =
      this.#mayRunEmpty() && needsNoDataEpoch({ noDataEpochs, evicts: this.#evicts }, head.evictUs, watermarkUs);
    if (ranges.size === 0 && !empty && snapshot !== 'now' && !this.#timersDue()) return null;
    return { ranges, idle, watermarkUs, snapshot };
  }

  /** Epochs of the run before come first, whatever the trigger says: they were asked for. */
  #repeatedWork(head: EpochHead): EpochWork | null {
    const repeated = this.#repeats.after(head.planned, this.#assignedPositions(head));
    const snapshot = this.#snapshotDue(head, true);
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
      const step = this.#steps[0];
      return step === undefined || step.ends === null ? nothing : this.#logs.upTo(positions, step.ends, true);
    }
    if (trigger.kind === 'availableNow')
      return head.ends === null ? nothing : this.#logs.upTo(positions, head.ends, false);
    const now = this.#parts.clock.mono();
    if (now < this.#planAt) {
      this.#wakeAt = Math.min(this.#wakeAt, this.#planAt);
      return nothing;
    }
    return this.#logs.readable(positions, (lane) => this.#ownerOf(lane), this.#pace.next);
  }

  /** Epochs without data run by themselves, but with a manual trigger only within a step. */
  #mayRunEmpty(): boolean {
    if (this.#stopping !== null) return false;
    return this.#parts.plan.trigger.kind !== 'manual' || (this.#steps[0]?.ends ?? null) !== null;
  }

  /** Timers by the clock are looked at by an epoch now and then, and by every step. */
  #timersDue(): boolean {
    const { trigger } = this.#parts.plan;
    if (!this.#byTheClock || !this.#mayRunEmpty() || trigger.kind === 'availableNow') return false;
    if (trigger.kind === 'manual') return this.#steps[0]?.epochs === 0;
    const dueAt = this.#plannedAt + (trigger.kind === 'interval' ? trigger.everyMs : TIMERS_INTERVAL_MS);
    if (this.#parts.clock.mono() >= dueAt) return true;
    this.#wakeAt = Math.min(this.#wakeAt, dueAt);
    return false;
  }

  #snapshotDue(head: EpochHead, hasData: boolean): 'no' | 'with' | 'now' {
    if (this.#snapshots.busy || this.#placement.switchReady) return 'no';
    const behind = head.planned - (head.snapshot?.epoch ?? -1);
    if (this.#checkpoints.length > 0) return 'now';
    if (this.#stopping !== null)
      return this.#stopping.asks < STOP_SNAPSHOTS_MAX && behind > 0 && this.#flights.none ? 'now' : 'no';
    if (!hasData) return 'no';
    return this.#parts.clock.mono() >= this.#snapshotAt || behind >= SNAPSHOT_INTERVAL_EPOCHS ? 'with' : 'no';
  }

  #begin({ plan, snapshot, eventTimes }: PlannedEpoch, sentAt: number): void {
    const { clock } = this.#parts;
    const now = clock.mono();
    const version = must(this.#placement.current, () => 'no assignment').version;
    const flight = newFlight(plan, this.#nextAttempt(plan.epoch), version, snapshot, now, eventTimes);
    this.#flights.add(flight);
    this.#plannedAt = now;
    this.#logs.planned(plan, this.#heldHead().positions);
    if (Object.keys(plan.ranges).length > 0 || this.#parts.plan.trigger.kind === 'asap')
      this.#planAt = this.#nextPlanAt(sentAt);
    const step = this.#steps[0];
    if (step !== undefined && step.ends !== null) {
      step.epochs += 1;
      step.last = plan.epoch;
    }
    if (snapshot) {
      this.#snapshotAt = now + SNAPSHOT_INTERVAL_MS;
      if (this.#stopping !== null) this.#stopping.asks += 1;
      for (const request of this.#checkpoints) request.from ??= plan.epoch;
      this.#snapshots.request(plan.epoch, this.#placement.members());
    }
    // A worker may have been lost meanwhile: then the recovery orders it.
    if (!this.#placement.broken) this.#order(flight);
  }

  #nextPlanAt(sentAt: number): number {
    const { trigger } = this.#parts.plan;
    if (trigger.kind === 'asap') return sentAt + Math.max(PACE_MS_MIN, 2 * this.#progress.planMsP50);
    if (trigger.kind !== 'interval') return sentAt;
    const { clock } = this.#parts;
    const due = Math.max(this.#planAt, sentAt - trigger.everyMs) + trigger.everyMs;
    return due > clock.mono() ? due : sentAt + trigger.everyMs;
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
    this.#waiting = null;
    this.#settleMove();
  }

  /** The first commit in the new places. */
  #settleMove(): void {
    const move = this.#move;
    if (move === null || !Number.isFinite(move.switchedAt)) return;
    this.#move = null;
    const { clock, job, log } = this.#parts;
    const ms = (from: number, to: number): number => Math.round(to - from);
    const times = {
      warmMs: ms(move.preparedAt, move.readyAt),
      waitedMs: ms(move.readyAt, move.switchedAt),
      firstCommitMs: ms(move.switchedAt, clock.mono()),
    };
    log.info({ job, workers: this.#placement.members().length, ...times }, 'key groups have moved');
  }

  #settleSnapshot(before: EpochHead, head: EpochHead): void {
    const manifest = this.#snapshots.named(before);
    const ref = must(head.snapshot, () => 'a snapshot');
    this.#progress.snapshotTaken(this.#parts.clock.mono());
    for (let index = this.#checkpoints.length - 1; index >= 0; index--) {
      const request = this.#checkpoints[index];
      if (request === undefined || request.from === null || request.from > ref.epoch) continue;
      this.#checkpoints.splice(index, 1);
      request.resolve({ ref, manifest });
    }
    if (!this.#placement.preparing) this.#snapshots.collect(head);
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
    const step = this.#steps[0];
    const head = this.#heldHead();
    const wanted = trigger.kind === 'manual' && step !== undefined && step.ends === null;
    const begins =
      trigger.kind === 'availableNow' && head.ends === null && this.#fixedEnds === null && !this.#finishing;
    if ((!wanted && !begins) || !this.#flights.none || this.#placement.current === null) return;
    const known = Object.keys({ ...this.#found, ...head.positions }) as LaneId[];
    await this.#discoverOnce(known);
    const positions = { ...this.#found, ...head.positions };
    const ends = await this.#logs.ends(positions);
    if (this.#lanesFound(head)) this.#wakeAfter(0);
    if (wanted) step.ends = ends;
    else this.#fixedEnds = ends;
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
    const step = this.#steps[0];
    if (step !== undefined && step.ends !== null && this.#skew === null) {
      this.#steps.shift();
      step.resolve({ epochs: step.epochs });
      this.#wakeAfter(0);
    }
    if (
      this.#parts.plan.trigger.kind === 'availableNow' &&
      head.ends !== null &&
      !this.#finishing &&
      this.#skew === null
    ) {
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

  /** Partitions were found that the head does not know yet. */
  #lanesFound(head: EpochHead): boolean {
    return Object.keys(this.#found).some((lane) => head.positions[lane as LaneId] === undefined);
  }

  /** Partitions are on their way into the head or to a worker. */
  #lanesPending(head: EpochHead): boolean {
    const partitions = this.#placement.current?.partitions ?? {};
    return (
      this.#lanesFound(head) || Object.keys(head.positions).some((lane) => partitions[lane as LaneId] === undefined)
    );
  }

  /** With nothing in flight and the last snapshot named, the workers are told to let go. */
  #settleStop(): void {
    const stopping = this.#stopping;
    if (stopping === null) return;
    const { clock } = this.#parts;
    const idle = this.#flights.none && !this.#snapshots.busy && !(this.#finishing && this.#head?.ends !== null);
    const covered =
      stopping.asks >= STOP_SNAPSHOTS_MAX || (this.#head?.planned ?? -1) <= (this.#head?.snapshot?.epoch ?? -1);
    const helpless = this.#workers.length === 0;
    if (!(idle && covered) && !helpless && clock.mono() < stopping.until) {
      this.#wakeAt = Math.min(this.#wakeAt, stopping.until);
      return;
    }
    const involved = this.#placement.involved();
    for (const worker of involved) this.#send(worker, { stop: { reason: 'the job stops' } });
    this.#goodbyes = { missing: involved, until: clock.mono() + STOPPED_LIMIT_MS };
    this.#wakeAfter(0);
  }

  #takeLeave(): void {
    const goodbyes = must(this.#goodbyes, () => 'not leaving');
    const alive = new Set(this.#workers.map(({ id }) => id));
    for (const worker of goodbyes.missing) if (!alive.has(worker)) goodbyes.missing.delete(worker);
    if (goodbyes.missing.size > 0 && this.#parts.clock.mono() < goodbyes.until) {
      this.#wakeAt = Math.min(this.#wakeAt, goodbyes.until);
      return;
    }
    this.#end(new WeirError('CONFLICT', `job ${this.#parts.job} was stopped`));
    if (this.#finishing) this.#parts.onChange({ kind: 'finished' });
  }

  #fail(error: WeirError): void {
    this.#failure ??= error;
    this.#wakeUp();
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
    this.#parts.turns.leave(this);
    for (const step of this.#steps.splice(0)) step.reject(error);
    for (const request of this.#checkpoints.splice(0)) request.reject(error);
    this.#wakeUp();
  }

  // ------------------------------------------------------------------------------------------------------ small things

  #send(worker: WorkerId, body: Pick<EpochOrder, 'prepare' | 'runEpoch' | 'stop'>): void {
    const { job, run, token } = this.#parts;
    this.#parts.send(worker, { job, run, token, ...body });
  }

  #heldHead(): EpochHead {
    return must(this.#head, () => `job ${this.#parts.job} has no head yet`);
  }

  #wakeUp(): void {
    this.#wake.resolve();
  }

  #wakeAfter(ms: number): void {
    this.#wakeAt = Math.min(this.#wakeAt, this.#parts.clock.mono() + ms);
  }
}

/** Reasons for an epoch. */
interface EpochWork {
  readonly ranges: ReadonlyMap<LaneId, OffsetRange>;
  readonly idle: readonly string[];
  readonly watermarkUs: number | null;
  readonly snapshot: 'no' | 'with' | 'now';
  /** See {@link EpochPlan.repeats}. */
  readonly repeats?: number;
}

interface PlannedEpoch {
  readonly plan: EpochPlan;
  /** A snapshot is asked for with it. */
  readonly snapshot: boolean;
  /** Greatest event times before it. */
  readonly eventTimes: readonly (number | null)[];
}

function endsOfRanges(ranges: EpochPlan['ranges']): Offsets {
  return Object.fromEntries(
    (Object.entries(ranges) as [LaneId, OffsetRange][]).map(([lane, { to }]) => [lane, offset(to)]),
  ) as Offsets;
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

async function readAssignment(blobs: BlobStore, id: string | null): Promise<EpochAssignment | null> {
  if (id === null) return null;
  const bytes = await blobs.get(id).catch(() => undefined);
  return bytes === undefined ? null : (JSON.parse(new TextDecoder().decode(bytes)) as EpochAssignment);
}

/** Reads up to ends that the master asks for, not what workers have read ahead. */
function asksEnds(trigger: EpochsPlan['trigger']): boolean {
  return trigger.kind === 'manual' || trigger.kind === 'availableNow';
}

function fencedBy(job: JobName, head: EpochHead | undefined): WeirError {
  return new WeirError('FENCED', `job ${job} is led by another master (token ${head?.fence ?? 'unknown'})`);
}

function asWeirError(error: unknown): WeirError {
  return isWeirError(error) ? error : new WeirError(codeOf(error), messageOf(error), { cause: error });
}

function asCode(code: string): ErrorCode {
  return code in errorTable ? (code as ErrorCode) : 'INTERNAL';
}

function isRetryable(code: string): boolean {
  return errorTable[asCode(code)].retry === 'backoff';
}
