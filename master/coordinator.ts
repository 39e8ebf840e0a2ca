/**
 * The master's loop: for every job it compares the row with what it sees (workers, partitions, reports), asks
 * core/assign/decide.ts what the row should be, changes it by compare-and-set, and nudges the workers concerned.
 * The rows are the truth; everything held here can be lost and is found again.
 */
import type { Clock, Rng } from '../core/clock.ts';
import type { AssignFacts, PartitionFacts, WorkerFacts } from '../core/assign/decide.ts';
import { decideLanes, needsNewStride } from '../core/assign/decide.ts';
import { must } from '../core/assert.ts';
import { WeirError, codeOf, isWeirError, messageOf } from '../core/errors.ts';
import type { SavepointRow } from '../core/epoch/types.ts';
import type { Fence, Generation, JobName, LaneId, Revision, WorkerId } from '../core/ids.ts';
import { jobName, laneId, revision, run } from '../core/ids.ts';
import { OWNERSHIP_TERM_MS } from '../core/lane/permit.ts';
import type { LanePosition } from '../core/lane/position.ts';
import { nextRunStart, strideFor } from '../core/lane/timestamps.ts';
import type { JobRow, MetaStore, StartPoint } from '../core/meta.ts';
import { META_FORMAT_VERSION, changeJob } from '../core/meta.ts';
import type { Connections, ControlStream, Failpoints, Log } from '../core/ports.ts';
import { noFailpoints } from '../core/ports.ts';
import type { JobState } from '../core/states.ts';
import { jobTransitions, mayFollow } from '../core/states.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import type { Heartbeat, LaneStatus, MasterMessage, Report, WorkerLogs, WorkerMessage } from '../proto/gen/control.ts';
import { EpochJob, requireCompatible } from './epoch-job.ts';
import type { EpochWorker } from './epochs-placement.ts';
import { JobFiguresWindow } from './figures.ts';
import type { ApplyOptions, Begin, JobDefinition, RestartPoint } from './job-definition.ts';
import {
  beginOf,
  continued,
  isSavepoint,
  notesOfSinks,
  requireRevision,
  restingIf,
  startPoint,
} from './job-definition.ts';
import { JobShapes } from './job-shapes.ts';
import {
  acknowledged,
  allReleased,
  holdersOf,
  laneOfFormerTopic,
  lanesOf,
  names,
  nextGeneration,
  slotsOf,
  stateOfLanes,
  topicRecreated,
} from './lane-rows.ts';
import { MoveTurns } from './move-turns.ts';
import { Savepoints } from './savepoints.ts';
import { limitWorkers } from './scale.ts';
import { scheduleChange, scheduledRow } from './schedules.ts';
import { partitionCount, seePartitions } from './see-partitions.ts';
import { viewJob } from './view-job.ts';
import type { JobView, WorkerView } from './views.ts';
import { WorkerPool } from './worker-pool.ts';

export interface CoordinatorParts {
  readonly id: string;
  readonly store: MetaStore;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** Workers must present it; empty = none asked. Compared by `sameToken`, in constant time. */
  readonly token: string;
  readonly sameToken: (expected: string, given: string) => boolean;
  /** Token of this leader's lease: greater than that of every leader before. */
  readonly fence: Fence;
  readonly failpoints?: Failpoints;
  /** Told of what workers send of their logs. */
  readonly onLogs?: (worker: WorkerId, logs: WorkerLogs) => void;
  /** Told after each change of a job's row. */
  readonly onJobChange?: (name: JobName) => void;
}

const TICK_MS = 250;
const PARTITION_REFRESH_MS = 5000;
const PARTITION_RETRY_MS = 1000;
/** Revisions that a job can be taken back to. */
const FORMER_REVISIONS_MAX = 20;

/** States in which nothing of a job runs. */
const atRest: readonly JobState[] = ['stopped', 'finished', 'failed'];

interface ManagedJob {
  row: JobRow;
  plan: JobPlan;
  partitions: PartitionFacts[] | null;
  partitionsReadAt: number;
  /** Acknowledged hand-overs: `lane@run@generation`. */
  readonly released: Set<string>;
  readonly finished: Set<string>;
  readonly statuses: Map<LaneId, LaneStatus>;
  /** Positions of lanes nobody reports on (stopped jobs), from the store. */
  committed: Map<LaneId, LanePosition>;
  readonly figures: JobFiguresWindow;
  /** What workers met of records with another shape than their schema. */
  readonly shapes: JobShapes;
  /** Monotonic ms when this master knew the last change of state, run or owners to be durable. */
  durableAt: number;
  /** One change at a time. */
  busy: Promise<void>;
  stepping: boolean;
  /** Why nothing moves, shown until it does. */
  waiting: { readonly code: string; readonly message: string } | null;
  /** The part of a stateful job. */
  readonly epochs: EpochJob;
}

export class Coordinator {
  readonly #parts: CoordinatorParts;
  readonly #jobs = new Map<JobName, ManagedJob>();
  readonly #turns: MoveTurns;
  readonly #workers: WorkerPool;
  readonly #savepoints: Savepoints;
  readonly #stopping = new AbortController();
  /** Until then workers named in rows may still be on their way to this master. */
  #settledAt = 0;
  /** When the store was last asked for jobs this master does not know. */
  #lookedAt = 0;
  #loop: Promise<void> = Promise.resolve();
  #wake = Promise.withResolvers<void>();

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    this.#turns = new MoveTurns(parts.clock);
    this.#savepoints = new Savepoints({ ...parts, blobs: () => parts.connections.blobs() });
    this.#workers = new WorkerPool({
      ...parts,
      jobsOf: (worker) =>
        [...this.#jobs.values()]
          .filter(({ row }) => names(row, worker))
          .map(({ row }) => ({ job: row.name, ver: row.ver })),
      onMessage: (worker, message) => this.#hear(worker, message),
      onChange: () => this.#tellWorkers(),
      wake: () => this.#wakeUp(),
    });
  }

  /** Reads all jobs and begins to follow them. Throws: STORE_UNAVAILABLE. */
  async open(): Promise<void> {
    const { store, clock } = this.#parts;
    await store.prepare();
    this.#settledAt = clock.mono() + OWNERSHIP_TERM_MS;
    await this.#adoptMissing();
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#stopping.abort(new WeirError('FENCED', 'the master stops'));
    this.#wakeUp();
    await this.#loop;
    await Promise.all([...this.#jobs.values()].map((job) => job.busy));
    await Promise.all([...this.#jobs.values()].map((job) => job.epochs.close('the master stops')));
    this.#workers.close();
  }

  // ------------------------------------------------------------------------------------------------ what people ask

  /**
   * Creates the job or changes it. A changed definition is a new revision and a new run; the same definition starts a
   * stopped job again and changes nothing on a running one.
   *
   * Throws: STORE_UNAVAILABLE; CONFLICT when another master changed the job meanwhile.
   */
  async apply(definition: JobDefinition, options: ApplyOptions = {}): Promise<JobRow> {
    const { store } = this.#parts;
    const standing = this.#jobs.get(definition.name);
    requireRevision(definition.name, standing?.row, options);
    await store.putDefinition(definition.hash, definition.text);
    let known = this.#jobs.get(definition.name);
    if (known === undefined) {
      if (isSavepoint(options.start)) await this.#fitsSavepoint(definition, options.start.savepoint);
      const row = restingIf(
        options.paused,
        this.#firstRow(definition, options.start, await partitionCount(this.#parts.connections, definition.plan)),
      );
      const outcome = await changeJob(store, this.#parts.clock, this.#parts.rng, 0, row, this.#stopping.signal);
      if (outcome.kind === 'applied') {
        await this.#manage(row, definition.plan);
        this.#wakeUp();
        return row;
      }
      // Made before, by a request whose outcome nobody learned or by another master.
      known = await this.#adopt(must(outcome.current, () => `job ${definition.name} was refused and is not there`));
    }
    const job = known;
    return this.#exclusively(job, async () => {
      const { row } = job;
      requireRevision(definition.name, row, options);
      const active = row.state === 'starting' || row.state === 'running';
      if (row.definition === definition.hash && options.start === undefined && row.state !== 'deleted') {
        if (active || options.paused === true) return row;
        return this.#replace(job, await this.#restarted(job));
      }
      if (options.paused === true && row.state !== 'deleted' && !atRest.includes(row.state))
        throw new WeirError(
          'CONFLICT',
          `job ${row.name} is ${row.state}; stop it before it is changed to stay at rest`,
        );
      const begin = beginOf(row, options);
      await this.#notesOf(job, definition, begin);
      // One that goes on is brought to a boundary: epochs under way come through and a snapshot is taken.
      if (begin === 'continue' && definition.plan.protocol === 'epochs') await job.epochs.stop();
      const next = await this.#newRun(job, definition, begin);
      return this.#replace(job, restingIf(options.paused, next), definition.plan);
    });
  }

  /**
   * What a changed definition would do to the state and the sinks that the job has, for people; none for a job that is
   * not there. Changes nothing. Throws as {@link apply} would refuse it.
   */
  async changes(definition: JobDefinition, options: ApplyOptions = {}): Promise<readonly string[]> {
    const job = this.#jobs.get(definition.name);
    if (job !== undefined) return await this.#notesOf(job, definition, beginOf(job.row, options));
    return isSavepoint(options.start) ? await this.#fitsSavepoint(definition, options.start.savepoint) : [];
  }

  /** Lets the lanes finish and commit, then stops. Throws: NOT_FOUND, CONFLICT. */
  stop(name: JobName): Promise<JobRow> {
    return this.#moveTo(name, 'stopping');
  }

  /** Stops now; what was not committed is read again when the job is started again. Throws: NOT_FOUND, CONFLICT. */
  cancel(name: JobName): Promise<JobRow> {
    return this.#moveTo(name, 'stopped');
  }

  /** Starts a stopped, failed or finished job where it stood. Throws: NOT_FOUND, CONFLICT. */
  start(name: JobName): Promise<JobRow> {
    const known = this.#known(name);
    return this.#exclusively(known, async () => {
      if (known.row.state === 'starting' || known.row.state === 'running') return known.row;
      this.#requireState(known.row, 'starting');
      return this.#replace(known, await this.#restarted(known));
    });
  }

  /**
   * Runs a stateful job with `trigger: manual` up to what stands in its sources now, empty epochs that follow included;
   * how many epochs that took. Throws: NOT_FOUND; CONFLICT when it does not run or is not triggered by hand.
   */
  async step(name: JobName): Promise<{ readonly epochs: number }> {
    const known = this.#known(name);
    if (known.plan.protocol !== 'epochs' || known.plan.trigger.kind !== 'manual')
      throw new WeirError(
        'CONFLICT',
        `job ${name} runs by itself; only a stateful job with 'trigger: manual' has steps`,
      );
    await this.#exclusively(known, () => this.#step(known));
    return known.epochs.step();
  }

  /**
   * Keeps the state and positions of a stateful job under a name: of a running one as of now, of one at rest as of its
   * last snapshot. Throws: NOT_FOUND; CONFLICT when the name is taken or there is nothing to keep.
   */
  async createSavepoint(name: JobName, savepoint: string): Promise<SavepointRow> {
    const { row, plan, epochs } = this.#known(name);
    if (plan.protocol !== 'epochs')
      throw new WeirError('CONFLICT', `job ${name} keeps no state: there is nothing a savepoint could hold`);
    await this.#savepoints.requireFree(name, savepoint);
    if (row.state === 'running') await epochs.checkpoint();
    return await this.#savepoints.keep(row, savepoint);
  }

  /** Newest first; also of jobs that were deleted. */
  async savepoints(name: JobName): Promise<readonly SavepointRow[]> {
    return await this.#savepoints.list(name);
  }

  /** Its state goes too, but for what the job itself still needs. Throws: NOT_FOUND. */
  async deleteSavepoint(name: JobName, savepoint: string): Promise<void> {
    await this.#savepoints.delete(name, savepoint, async () => {
      const row = this.#jobs.get(name)?.row;
      return row === undefined || row.state === 'deleted'
        ? undefined
        : await this.#parts.store.readEpochs(name, row.run);
    });
  }

  /**
   * Begins a new run of the same definition, without the state of the run before. `start`: it runs at once; otherwise
   * the job must be at rest and stays so. Throws: NOT_FOUND, CONFLICT.
   */
  async restartFrom(name: JobName, point: RestartPoint, { start }: { readonly start: boolean }): Promise<JobRow> {
    const known = this.#known(name);
    return this.#exclusively(known, async () => {
      const { row, plan } = known;
      if (!start && !atRest.includes(row.state))
        throw new WeirError('CONFLICT', `job ${name} is ${row.state}; its offsets are changed while it is stopped`);
      const next = await this.#newRunOf(known, plan, row, point);
      return this.#replace(known, start ? next : { ...next, state: 'stopped' });
    });
  }

  /** The stored text of a definition that the job has or had. Throws: STORE_UNAVAILABLE. */
  async definition(name: JobName, hash: string): Promise<string> {
    return await this.#definition(name, hash);
  }

  /** How many workers the job may use at most; null = all. Throws: NOT_FOUND, CONFLICT. */
  async scale(name: JobName, workers: number | null): Promise<JobRow> {
    const known = this.#known(name);
    return this.#exclusively(known, async () => {
      const row = await this.#replace(known, { ...known.row, workersMax: workers });
      known.epochs.setWorkers(this.#epochWorkers(known));
      return row;
    });
  }

  /** Moves everything away from a worker and gives it nothing more, until it comes back as another. Throws: NOT_FOUND. */
  drain(id: WorkerId): void {
    this.#workers.drain(id);
  }

  /** Makes an earlier definition (default: the one before) the job's next revision. Throws: NOT_FOUND, as {@link apply}. */
  async rollback(name: JobName, to?: Revision): Promise<{ readonly row: JobRow; readonly notes: readonly string[] }> {
    const { row } = this.#known(name);
    const target = to === undefined ? row.former?.[0] : row.former?.find((former) => former.revision === to);
    if (target === undefined) {
      const known = (row.former ?? []).map((former) => former.revision).join(', ');
      throw new WeirError(
        'NOT_FOUND',
        `job ${name} has no revision ${to ?? 'before this one'} to go back to; there ${known === '' ? 'is none' : `are ${known}`}`,
      );
    }
    const text = await this.#definition(name, target.definition);
    const plan = await this.#planNamed(name, target.definition);
    const definition = { name, hash: target.definition, text, plan };
    const notes = row.definition === target.definition ? [] : await this.changes(definition);
    return { row: await this.apply(definition), notes };
  }

  /**
   * Takes a job at rest out of sight; its tables and savepoints stay, its state goes. Throws: NOT_FOUND, CONFLICT when it
   * still runs.
   */
  async remove(name: JobName): Promise<void> {
    const { plan, epochs } = this.#known(name);
    const row = await this.#moveTo(name, 'deleted');
    if (plan.protocol !== 'epochs') return;
    void epochs
      .deleteState(row)
      .catch((error: unknown) =>
        this.#parts.log.warn({ job: name, err: error }, `the state of the deleted job stays: ${messageOf(error)}`),
      );
  }

  jobs(): JobView[] {
    return [...this.#jobs.values()].filter((job) => job.row.state !== 'deleted').map((job) => this.#view(job));
  }

  job(name: JobName): JobView | undefined {
    const known = this.#jobs.get(name);
    return known === undefined || known.row.state === 'deleted' ? undefined : this.#view(known);
  }

  workers(): WorkerView[] {
    return this.#workers.views((id) => this.#lanesAt(id, (job) => job.epochs.partitionsOf(id)));
  }

  /** Lanes that a worker has, and what `more` says of each job. */
  #lanesAt(id: WorkerId, more: (job: ManagedJob) => number = () => 0): number {
    return [...this.#jobs.values()].reduce((sum, job) => sum + lanesOf(job.row, id).length + more(job), 0);
  }

  // ------------------------------------------------------------------------------------------------------- workers

  /** Takes over a new connection of a worker. */
  attach(stream: ControlStream<WorkerMessage, MasterMessage>): void {
    this.#workers.attach(stream);
  }

  #hear(worker: WorkerId, { heartbeat, report, epoch, logs }: WorkerMessage): void {
    if (heartbeat !== undefined && heartbeat !== null) this.#takeHeartbeat(worker, heartbeat);
    else if (report !== undefined && report !== null) this.#takeReport(report);
    else if (epoch !== undefined && epoch !== null) this.#jobs.get(jobName(epoch.job))?.epochs.hear(worker, epoch);
    else if (logs !== undefined && logs !== null) this.#parts.onLogs?.(worker, logs);
  }

  #takeHeartbeat(worker: WorkerId, heartbeat: Heartbeat): void {
    for (const status of heartbeat.lanes ?? []) {
      const job = this.#jobs.get(jobName(status.job ?? ''));
      const lane = (status.lane ?? '') as LaneId;
      if (job === undefined || status.run !== job.row.run) continue;
      const assignment = job.row.lanes[lane];
      if (assignment === undefined || assignment.generation !== status.generation) continue;
      const before = job.statuses.get(lane);
      job.statuses.set(lane, status);
      if (status.state === 'finished') job.finished.add(acknowledged(lane, job.row.run, assignment.generation));
      if (before?.state !== status.state) this.#wakeUp();
    }
    for (const figures of heartbeat.jobs ?? [])
      this.#jobs.get(jobName(figures.job ?? ''))?.figures.add(this.#parts.clock.mono(), figures, worker);
    for (const change of heartbeat.schemaChanges ?? []) this.#jobs.get(jobName(change.job ?? ''))?.shapes.add(change);
  }

  #takeReport(report: Report): void {
    const job = this.#jobs.get(jobName(report.job ?? ''));
    if (job === undefined) return;
    const key = acknowledged(
      (report.lane ?? '') as LaneId,
      run(report.run ?? 0),
      (report.generation ?? 0) as Generation,
    );
    if (report.event === 'released') job.released.add(key);
    else if (report.event === 'finished') job.finished.add(key);
    else if (report.event === 'failed' && report.run === job.row.run)
      void this.#failJob(job, report.code ?? 'INTERNAL', report.message ?? '');
    this.#wakeUp();
  }

  async #failJob(job: ManagedJob, code: string, message: string): Promise<void> {
    const failedRun = job.row.run;
    await this.#exclusively(job, async () => {
      if (
        job.row.run !== failedRun ||
        !mayFollow(jobTransitions, job.row.state, 'failed') ||
        job.row.state === 'failed'
      )
        return;
      this.#parts.log.error({ job: job.row.name, code }, message);
      await this.#replace(job, { ...job.row, state: 'failed', reason: { code, message } });
    }).catch((error: unknown) => this.#parts.log.error({ job: job.row.name, err: error }, messageOf(error)));
  }

  // ---------------------------------------------------------------------------------------------------------- loop

  async #run(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#stopping.signal.aborted) {
      this.#workers.dropDead();
      if (clock.mono() - this.#lookedAt > PARTITION_REFRESH_MS) await this.#adoptMissing().catch(() => undefined);
      for (const job of this.#jobs.values()) this.#stepSoon(job);
      this.#sayDrained();
      const tick = new AbortController();
      await Promise.race([this.#wake.promise, clock.sleep(TICK_MS, tick.signal).catch(() => undefined)]);
      tick.abort();
      this.#wake = Promise.withResolvers<void>();
    }
  }

  /** A job whose store or source does not answer must not hold up the others. */
  #stepSoon(job: ManagedJob): void {
    if (job.stepping) return;
    job.stepping = true;
    void this.#exclusively(job, () => this.#step(job))
      .catch((error: unknown) => {
        if (job.waiting?.message !== messageOf(error))
          this.#parts.log.warn({ job: job.row.name, code: codeOf(error) }, messageOf(error));
        job.waiting = { code: codeOf(error), message: messageOf(error) };
      })
      .finally(() => {
        job.stepping = false;
      });
  }

  /** One job, one look: what should its row be now? */
  async #step(job: ManagedJob): Promise<void> {
    const { row } = job;
    if (await this.#followSchedule(job)) return;
    if (job.plan.protocol === 'epochs') {
      await this.#stepEpochs(job, job.plan);
      return;
    }
    await job.epochs.close('the job no longer runs as epochs');
    if (row.state === 'stopping') {
      if (this.#isReleased(job)) await this.#replace(job, { ...row, state: 'stopped' });
      return;
    }
    if (row.state !== 'starting' && row.state !== 'running') return;
    await this.#refreshPartitions(job);
    if (job.partitions === null || this.#mayBeOnTheirWay(row)) return;
    const recreated = job.partitions.find((seen) => laneOfFormerTopic(row, seen) !== undefined);
    if (recreated !== undefined) {
      await this.#replace(job, { ...row, state: 'failed', reason: topicRecreated(row.name, recreated.topic) });
      return;
    }
    const facts = this.#facts(job, job.partitions);
    if (needsNewStride(row, facts)) {
      await this.#replace(job, await this.#newRunOf(job, job.plan, row, continued(row)));
      return;
    }
    const lanes = decideLanes(row, facts);
    const state = stateOfLanes(row, lanes, job);
    const reason = state === row.state ? row.reason : null;
    if (lanes !== row.lanes || state !== row.state) await this.#replace(job, { ...row, lanes, state, reason });
    job.waiting =
      facts.workers.length === 0
        ? { code: 'NOT_FOUND', message: `job ${row.name} waits for a worker: none is connected` }
        : null;
  }

  /** Starts and ends runs of a job with a schedule; true when the row was changed. */
  async #followSchedule(job: ManagedJob): Promise<boolean> {
    const { row, plan } = job;
    if (plan.schedule === undefined) return false;
    const change = scheduleChange(plan.schedule, row, this.#parts.clock.now());
    if (change === null) return false;
    const { kind, schedule } = change;
    if (kind === 'start') await this.#replace(job, { ...(await this.#restarted(job)), schedule });
    else if (kind === 'fail') await this.#replace(job, { ...row, state: 'failed', reason: change.reason, schedule });
    else await this.#replace(job, { ...row, schedule });
    return true;
  }

  /** A stateful job has no lanes: its coordinator runs while the job is to run. */
  async #stepEpochs(job: ManagedJob, plan: EpochsPlan): Promise<void> {
    const { row } = job;
    const active = row.state === 'starting' || row.state === 'running' || row.state === 'stopping';
    if (!active) {
      await job.epochs.close(`job ${row.name} is ${row.state}`);
      return;
    }
    job.epochs.follow(row, plan, this.#epochWorkers(job));
    const change = job.epochs.take();
    if (change?.kind === 'fenced') return;
    if (change?.kind === 'failed') {
      const { code, message } = change;
      await this.#replace(job, { ...row, state: 'failed', reason: { code, message } });
    } else if (row.state === 'stopping') {
      if (job.epochs.stopSoon(() => this.#wakeUp())) await this.#replace(job, { ...row, state: 'stopped' });
    } else if (change?.kind === 'finished') await this.#replace(job, { ...row, state: 'finished', reason: null });
    else if (row.state === 'starting' && job.epochs.running)
      await this.#replace(job, { ...row, state: 'running', reason: null });
    job.waiting = job.epochs.waiting;
  }

  #facts(job: ManagedJob, partitions: readonly PartitionFacts[]): AssignFacts {
    const { clock } = this.#parts;
    const { row } = job;
    // Long after the row became durable a former owner cannot write any more, with or without its acknowledgement.
    const expired = clock.mono() - job.durableAt > OWNERSHIP_TERM_MS + 500;
    return {
      workers: limitWorkers(this.#aliveWorkers(), row.workersMax, holdersOf(row)),
      partitions,
      slots: slotsOf(job.plan),
      released: (lane, generation) =>
        expired ||
        job.released.has(acknowledged(lane, row.run, generation)) ||
        job.released.has(acknowledged(lane, run(row.run - 1), generation)),
    };
  }

  #aliveWorkers(): WorkerFacts[] {
    return this.#workers.list().map(({ id, draining }) => ({ id, draining, load: this.#lanesAt(id) }));
  }

  /** After a start of this master: owners named in the row get time to come back before their lanes move. */
  #mayBeOnTheirWay(row: JobRow): boolean {
    if (this.#parts.clock.mono() >= this.#settledAt) return false;
    return Object.values(row.lanes).some((lane) => lane.owner !== null && !this.#workers.has(lane.owner));
  }

  #isReleased(job: ManagedJob): boolean {
    return this.#parts.clock.mono() - job.durableAt > OWNERSHIP_TERM_MS + 500 || allReleased(job.row, job);
  }

  /** Stateful jobs learn at once who is there. */
  #tellWorkers(): void {
    for (const job of this.#jobs.values()) job.epochs.setWorkers(this.#epochWorkers(job));
  }

  #epochWorkers({ row, epochs }: ManagedJob): EpochWorker[] {
    const holders = row.workersMax == null ? [] : (epochs.view()?.workers ?? []).map((worker) => worker.id);
    return limitWorkers(this.#workers.list(), row.workersMax, new Set(holders));
  }

  #sayDrained(): void {
    const jobs = [...this.#jobs.values()];
    this.#workers.sayDrained((id) =>
      jobs.some(
        ({ row, epochs }) =>
          (lanesOf(row, id).length > 0 && (row.state === 'starting' || row.state === 'running')) ||
          epochs.involves(id) ||
          Object.values(row.lanes).some((lane) => lane.previousOwner === id),
      ),
    );
  }

  async #refreshPartitions(job: ManagedJob): Promise<void> {
    const { clock } = this.#parts;
    const interval = job.partitions === null ? PARTITION_RETRY_MS : PARTITION_REFRESH_MS;
    if (clock.mono() - job.partitionsReadAt < interval) {
      if (job.partitions === null && job.waiting !== null)
        throw new WeirError('SOURCE_UNAVAILABLE', job.waiting.message);
      return;
    }
    job.partitionsReadAt = clock.mono();
    job.partitions = await seePartitions(this.#parts.connections, job.plan, (id) => job.row.lanes[id] === undefined);
  }

  // ---------------------------------------------------------------------------------------------------- rows and runs

  #firstRow(definition: JobDefinition, start: ApplyOptions['start'], partitionCount: number): JobRow {
    const { clock, rng } = this.#parts;
    const now = clock.now();
    const row: JobRow = {
      formatVersion: META_FORMAT_VERSION,
      name: definition.name,
      ver: 1,
      nonce: rng.uuid(),
      revision: revision(1),
      definition: definition.hash,
      run: run(1),
      runStart: definition.plan.createsTables ? nextRunStart(0, [], 8) : nextRunStart(now, [], 8),
      stride: strideFor(partitionCount * slotsOf(definition.plan)),
      start: start === undefined || start === 'continue' ? { kind: 'initial' } : startPoint(start),
      state: 'starting',
      reason: null,
      lanes: {},
      submittedAt: now,
      changedAt: now,
    };
    return scheduledRow(row, definition.plan.schedule, now);
  }

  async #newRun(job: ManagedJob, definition: JobDefinition, start: Begin): Promise<JobRow> {
    const { row } = job;
    const point = start === 'continue' ? continued(row) : startPoint(start);
    const before = { revision: row.revision, definition: row.definition };
    const former = [before, ...(row.former ?? [])].slice(0, FORMER_REVISIONS_MAX);
    const next = await this.#newRunOf(
      job,
      definition.plan,
      { revision: revision(row.revision + 1), definition: definition.hash, former },
      point,
    );
    return scheduledRow(next, definition.plan.schedule, this.#parts.clock.now());
  }

  /** Whether a changed job may begin its next run this way. Throws: CONFLICT, STATE_INCOMPATIBLE, NOT_FOUND. */
  async #notesOf(job: ManagedJob, definition: JobDefinition, begin: Begin): Promise<readonly string[]> {
    const { plan } = definition;
    if (isSavepoint(begin)) return await this.#fitsSavepoint(definition, begin.savepoint);
    if (begin !== 'continue') return [];
    if (job.plan.protocol !== plan.protocol)
      throw new WeirError(
        'CONFLICT',
        `job ${definition.name} would run as ${plan.protocol} and runs as ${job.plan.protocol}: neither can go on where ` +
          `the other stands; submit it with --from earliest or --from latest, or under another name`,
      );
    if (plan.protocol !== 'epochs' || job.plan.protocol !== 'epochs') return notesOfSinks(job.plan, plan);
    if (job.row.state === 'deleted')
      throw new WeirError(
        'CONFLICT',
        `job ${definition.name} was deleted, and its state with it; submit it without --from continue, or from a savepoint`,
      );
    return [...requireCompatible(job.plan, plan), ...notesOfSinks(job.plan, plan)];
  }

  async #fitsSavepoint(definition: JobDefinition, name: string): Promise<readonly string[]> {
    const { plan } = definition;
    const savepoint = await this.#savepoints.get(definition.name, name);
    const before = await this.#planNamed(definition.name, savepoint.definition);
    if (plan.protocol !== 'epochs' || before.protocol !== 'epochs')
      throw new WeirError('CONFLICT', `job ${definition.name} keeps no state: it cannot start from a savepoint`);
    return [...requireCompatible(before, plan), ...notesOfSinks(before, plan)];
  }

  /** A new life of the job above everything its lanes have committed. Lanes keep their places; former owners are waited for. */
  async #newRunOf(
    job: ManagedJob,
    plan: JobPlan,
    next: Pick<JobRow, 'revision' | 'definition' | 'former'>,
    start: StartPoint,
  ): Promise<JobRow> {
    const { store, clock } = this.#parts;
    const { row } = job;
    const committed = await store.readLanes(row.name, row.run);
    const partitions = await seePartitions(this.#parts.connections, plan, () => true);
    const stride = Math.max(row.stride, strideFor(partitions.length * slotsOf(plan)));
    // What goes on stays above the former run position by position; what begins anew must be above all that was written.
    const runStart =
      start.kind === 'continue'
        ? nextRunStart(0, [row.runStart], stride)
        : nextRunStart(clock.now(), [row.runStart, ...committed.map((lane) => lane.position.bound)], stride);
    const lanes = plan.protocol === 'epochs' ? {} : nextGeneration(row, partitions, job, start.kind !== 'continue');
    job.partitions = null;
    return { ...row, ...next, run: run(row.run + 1), runStart, stride, start, state: 'starting', reason: null, lanes };
  }

  /** The row of a job that starts again within its run. */
  async #restarted(job: ManagedJob): Promise<JobRow> {
    const partitions = await seePartitions(this.#parts.connections, job.plan, () => true);
    return { ...job.row, state: 'starting', reason: null, lanes: nextGeneration(job.row, partitions, job, false) };
  }

  async #moveTo(name: JobName, state: JobState): Promise<JobRow> {
    const known = this.#known(name);
    return this.#exclusively(known, async () => {
      if (known.row.state === state || (state === 'stopping' && known.row.state === 'stopped')) return known.row;
      const { row } = known;
      // Between two runs of its schedule there is nothing to wait for.
      const rests = row.schedule !== undefined && (row.state === 'finished' || row.state === 'failed');
      const next = state === 'stopping' && rests ? 'stopped' : state;
      this.#requireState(row, next);
      return this.#replace(known, { ...row, state: next, reason: null });
    });
  }

  #requireState(row: JobRow, next: JobState): void {
    if (mayFollow(jobTransitions, row.state, next)) return;
    throw new WeirError('CONFLICT', `job ${row.name} is ${row.state}; it cannot become ${next} from there`);
  }

  #known(name: JobName): ManagedJob {
    const known = this.#jobs.get(name);
    if (known === undefined || known.row.state === 'deleted')
      throw new WeirError('NOT_FOUND', `there is no job called ${name}; 'weir get jobs' lists them`);
    return known;
  }

  /** Writes `next` over the job's row; on success the workers concerned are nudged. */
  async #replace(job: ManagedJob, next: JobRow, plan = job.plan): Promise<JobRow> {
    const { rng, clock } = this.#parts;
    const before = job.row;
    const row: JobRow = { ...next, ver: before.ver + 1, nonce: rng.uuid(), changedAt: clock.now() };
    try {
      await this.#change(before.ver, row);
    } catch (error) {
      if (isWeirError(error, 'CONFLICT')) await this.#follow(job);
      throw error;
    }
    job.row = row;
    job.plan = plan;
    // What a schedule records meanwhile is nothing that owners take notice of.
    const concernsOwners = row.lanes !== before.lanes || row.run !== before.run || row.state !== before.state;
    if (concernsOwners) job.durableAt = clock.mono();
    if (row.run !== before.run) forgetLanes(job);
    if (row.state === 'stopped' || row.state === 'failed') await this.#readPositions(job);
    this.#nudge(before, row);
    this.#wakeUp();
    this.#parts.onJobChange?.(row.name);
    return row;
  }

  /** Another master changed the job: its row and, with it, its plan are taken over. */
  async #follow(job: ManagedJob): Promise<void> {
    const row = must(await this.#parts.store.readJob(job.row.name), () => `job ${job.row.name} is gone`);
    if (row.definition !== job.row.definition) job.plan = await this.#planOf(row);
    if (row.run !== job.row.run) forgetLanes(job);
    job.partitions = null;
    job.row = row;
    job.durableAt = this.#parts.clock.mono();
  }

  async #change(expectedVer: number, row: JobRow): Promise<void> {
    const { store, clock, rng } = this.#parts;
    const outcome = await changeJob(store, clock, rng, expectedVer, row, this.#stopping.signal);
    if (outcome.kind === 'rejected') throw changedMeanwhile(row.name);
  }

  #nudge(before: JobRow, after: JobRow): void {
    for (const id of this.#workers.ids)
      if (names(before, id) || names(after, id))
        this.#workers.send(id, { assign: { jobs: [{ job: after.name, ver: after.ver }] } });
  }

  /** Takes over every job that this master does not know or that another one has changed. Throws: STORE_UNAVAILABLE when they cannot be listed. */
  async #adoptMissing(): Promise<void> {
    const { store, log, clock } = this.#parts;
    this.#lookedAt = clock.mono();
    for (const name of await store.listJobs()) {
      try {
        const row = await store.readOwnership(name);
        if (row === undefined) continue;
        const job = this.#jobs.get(name);
        if (job === undefined) await this.#adopt(row);
        else if (row.ver > job.row.ver) await this.#exclusively(job, () => this.#follow(job));
      } catch (error) {
        log.error({ job: name, err: error }, messageOf(error));
      }
    }
  }

  async #adopt(row: JobRow): Promise<ManagedJob> {
    return this.#jobs.get(row.name) ?? this.#manage(row, await this.#planOf(row));
  }

  #planOf(row: JobRow): Promise<JobPlan> {
    return this.#planNamed(row.name, row.definition);
  }

  async #planNamed(name: JobName, definition: string): Promise<JobPlan> {
    return (JSON.parse(await this.#definition(name, definition)) as { readonly plan: JobPlan }).plan;
  }

  async #definition(name: JobName, hash: string): Promise<string> {
    return must(await this.#parts.store.getDefinition(hash), () => `job ${name} has no definition ${hash}`);
  }

  async #manage(row: JobRow, plan: JobPlan): Promise<ManagedJob> {
    const { clock } = this.#parts;
    const known = this.#jobs.get(row.name);
    if (known !== undefined) return known;
    const job: ManagedJob = {
      row,
      plan,
      partitions: null,
      partitionsReadAt: Number.NEGATIVE_INFINITY,
      released: new Set(),
      finished: new Set(),
      statuses: new Map(),
      committed: new Map(),
      figures: new JobFiguresWindow(),
      shapes: new JobShapes(),
      durableAt: clock.mono(),
      busy: Promise.resolve(),
      stepping: false,
      waiting: null,
      epochs: new EpochJob({
        ...this.#parts,
        name: row.name,
        failpoints: this.#parts.failpoints ?? noFailpoints,
        planOf: (hash) => this.#planNamed(row.name, hash),
        send: (worker, order) => this.#workers.send(worker, { epoch: order }),
        turns: this.#turns,
        onChange: () => this.#wakeUp(),
      }),
    };
    this.#jobs.set(row.name, job);
    await this.#readPositions(job);
    // Workers that came before may be waiting to be told.
    this.#nudge(row, row);
    return job;
  }

  async #readPositions(job: ManagedJob): Promise<void> {
    if (job.plan.protocol === 'epochs') {
      await job.epochs.readHead(job.row, job.plan).catch(() => undefined);
      return;
    }
    const rows = await this.#parts.store.readLanes(job.row.name, job.row.run).catch(() => []);
    job.committed = new Map(rows.map((lane) => [laneId(lane), lane.position]));
  }

  #exclusively<T>(job: ManagedJob, work: () => Promise<T>): Promise<T> {
    const result = job.busy.then(work);
    job.busy = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  #view(job: ManagedJob): JobView {
    return viewJob({ ...job, epochs: job.epochs.view() }, this.#parts.clock.mono());
  }

  #wakeUp(): void {
    this.#wake.resolve();
  }
}

/** What is known of lanes is known of one run. */
function forgetLanes(job: ManagedJob): void {
  job.statuses.clear();
  job.committed = new Map();
}

function changedMeanwhile(name: JobName): WeirError {
  return new WeirError('CONFLICT', `job ${name} was changed by another master meanwhile; look at it and try again`);
}
