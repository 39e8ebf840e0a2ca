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
import { manifestBytes } from '../core/epoch/manifest.ts';
import type { SavepointRow } from '../core/epoch/types.ts';
import type { Fence, Generation, JobName, LaneId, Offset, Revision, Run, WorkerId } from '../core/ids.ts';
import { jobName, laneId, revision, run, workerId } from '../core/ids.ts';
import { OWNERSHIP_TERM_MS } from '../core/lane/permit.ts';
import type { LanePosition } from '../core/lane/position.ts';
import { ATTEMPT_SLOTS, nextRunStart, strideFor } from '../core/lane/timestamps.ts';
import type { JobRow, LaneAssignment, MetaStore, StartPoint } from '../core/meta.ts';
import { META_FORMAT_VERSION, changeJob } from '../core/meta.ts';
import type { Connections, ControlStream, Failpoints, Log } from '../core/ports.ts';
import { noFailpoints } from '../core/ports.ts';
import type { JobState } from '../core/states.ts';
import { jobTransitions, mayFollow } from '../core/states.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import type { Heartbeat, LaneStatus, MasterMessage, Register, Report, WorkerMessage } from '../proto/gen/control.ts';
import { PROTOCOL_VERSION } from '../proto/version.ts';
import { EpochJob, requireCompatible } from './epoch-job.ts';
import type { EpochWorker } from './epochs-placement.ts';
import { MoveTurns } from './move-turns.ts';
import { deleteSnapshots, readManifest } from './epochs-snapshots.ts';
import { JobFiguresWindow } from './figures.ts';
import { JobShapes } from './job-shapes.ts';
import { limitWorkers } from './scale.ts';
import { scheduleChange, scheduledRow } from './schedules.ts';
import { viewJob } from './view-job.ts';
import type { JobView, WorkerView } from './views.ts';

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
  /** Told after each change of a job's row. */
  readonly onJobChange?: (name: JobName) => void;
}

export interface JobDefinition {
  readonly name: JobName;
  /** Content hash of `text`. */
  readonly hash: string;
  readonly text: string;
  readonly plan: JobPlan;
}

export interface ApplyOptions {
  /** Where the new run starts; default: a new job as its startingOffsets say, a changed one where it stood. */
  readonly start?: 'earliest' | 'latest' | 'continue' | { readonly savepoint: string } | ImportedStart;
  /** Refused with CONFLICT when the job is at another revision; 0 = there must be none. */
  readonly expectedRevision?: number;
}

const HEARTBEAT_INTERVAL_MS = 500;
/** A worker silent for so long is taken for dead. */
const SILENCE_LIMIT_MS = 2500;
/** A broken connection may come back within this time before its worker is taken for dead. */
const RECONNECT_GRACE_MS = 1000;
const TICK_MS = 250;
const PARTITION_REFRESH_MS = 5000;
const PARTITION_RETRY_MS = 1000;
const UNKNOWN_TOPIC_PARTITIONS = 8;
/** Revisions that a job can be taken back to. */
const FORMER_REVISIONS_MAX = 20;

/** States in which nothing of a job runs. */
const atRest: readonly JobState[] = ['stopped', 'finished', 'failed'];

/** Where another system stood. */
export type ImportedStart = Omit<Extract<StartPoint, { readonly kind: 'offsets' }>, 'kind'>;

/** Where {@link Coordinator.restartFrom} begins. */
export type RestartPoint = Extract<StartPoint, { readonly kind: 'earliest' | 'latest' | 'offsets' | 'initial' }>;

interface KnownWorker {
  readonly id: WorkerId;
  stream: ControlStream<WorkerMessage, MasterMessage> | null;
  registered: Register;
  heardAt: number;
  lostAt: number | null;
  draining: boolean;
  /** Told that nothing is left of it here. */
  drained: boolean;
  /** Number of its registration: grows with every connection. */
  session: number;
  heartbeat: Heartbeat | null;
}

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
  readonly #workers = new Map<WorkerId, KnownWorker>();
  readonly #stopping = new AbortController();
  /** Until then workers named in rows may still be on their way to this master. */
  #settledAt = 0;
  /** When the store was last asked for jobs this master does not know. */
  #lookedAt = 0;
  #loop: Promise<void> = Promise.resolve();
  #wake = Promise.withResolvers<void>();
  #sessions = 0;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    this.#turns = new MoveTurns(parts.clock);
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
    for (const worker of this.#workers.values()) worker.stream?.close();
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
      const row = this.#firstRow(definition, options.start, await this.#partitionCount(definition.plan));
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
        if (active) return row;
        return this.#replace(job, await this.#restarted(job));
      }
      const begin = beginOf(row, options);
      await this.#notesOf(job, definition, begin);
      // One that goes on is brought to a boundary: epochs under way come through and a snapshot is taken.
      if (begin === 'continue' && definition.plan.protocol === 'epochs') await job.epochs.stop();
      const next = await this.#newRun(job, definition, begin);
      return this.#replace(job, next, definition.plan);
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
    const { store, clock, connections } = this.#parts;
    const { row, plan, epochs } = this.#known(name);
    if (plan.protocol !== 'epochs')
      throw new WeirError('CONFLICT', `job ${name} keeps no state: there is nothing a savepoint could hold`);
    if ((await store.getSavepoint(name, savepoint)) !== undefined)
      throw new WeirError('CONFLICT', `job ${name} has a savepoint ${savepoint} already; choose another name`);
    if (row.state === 'running') await epochs.checkpoint();
    const head = await store.readEpochs(name, row.run);
    if (head === undefined || head.snapshot === null)
      throw new WeirError('CONFLICT', `job ${name} has no snapshot yet; start it and try again when it runs`);
    const manifest = await readManifest(connections.blobs(), head.snapshot.manifest);
    const at = head.snapshot.epoch;
    const kept: SavepointRow = {
      formatVersion: META_FORMAT_VERSION,
      job: name,
      name: savepoint,
      run: row.run,
      revision: row.revision,
      definition: row.definition,
      head: {
        ...head,
        ...manifest.at,
        planned: at,
        committed: at,
        formerSnapshot: null,
        base: head.snapshot,
        ends: null,
      },
      createdAt: clock.now(),
      bytes: manifestBytes(manifest),
    };
    await store.putSavepoint(kept);
    return kept;
  }

  /** Newest first; also of jobs that were deleted. */
  async savepoints(name: JobName): Promise<readonly SavepointRow[]> {
    return (await this.#parts.store.listSavepoints(name)).toSorted((a, b) => b.createdAt - a.createdAt);
  }

  /** Its state goes too, but for what the job itself still needs. Throws: NOT_FOUND. */
  async deleteSavepoint(name: JobName, savepoint: string): Promise<void> {
    const { store, connections, log } = this.#parts;
    const { head } = await this.#savepoint(name, savepoint);
    await store.deleteSavepoint(name, savepoint);
    const row = this.#jobs.get(name)?.row;
    const now = row === undefined || row.state === 'deleted' ? undefined : await store.readEpochs(name, row.run);
    const kept = [now?.snapshot ?? null, now?.formerSnapshot ?? null];
    if (head.snapshot === null || kept.some((ref) => ref?.manifest === head.snapshot?.manifest)) return;
    await deleteSnapshots({ store, blobs: connections.blobs(), job: name }, [head.snapshot.manifest], kept).catch(
      (error: unknown) => log.warn({ job: name, err: error }, `the savepoint's state stays: ${messageOf(error)}`),
    );
  }

  async #savepoint(name: JobName, savepoint: string): Promise<SavepointRow> {
    const found = await this.#parts.store.getSavepoint(name, savepoint);
    if (found === undefined)
      throw new WeirError(
        'NOT_FOUND',
        `job ${name} has no savepoint ${savepoint}; 'weir savepoint list ${name}' lists those there are`,
      );
    return found;
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
    const worker = this.#workers.get(id);
    if (worker === undefined)
      throw new WeirError('NOT_FOUND', `there is no worker ${id}; 'weir get workers' lists them`);
    worker.draining = true;
    this.#tellWorkers();
    this.#wakeUp();
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
    const now = this.#parts.clock.mono();
    return [...this.#workers.values()].map((worker) => ({
      id: worker.id,
      state: worker.draining ? 'draining' : worker.stream === null ? 'silent' : 'alive',
      httpAddress: worker.registered.httpAddress ?? '',
      threads: worker.registered.threads ?? 0,
      version: worker.registered.weirVersion ?? '',
      lanes: [...this.#jobs.values()].reduce(
        (sum, job) => sum + lanesOf(job.row, worker.id).length + job.epochs.partitionsOf(worker.id),
        0,
      ),
      rssBytes: worker.heartbeat?.rssBytes ?? 0,
      eventLoopDelayMs: worker.heartbeat?.eventLoopDelayMs ?? 0,
      heartbeatAgeMs: now - worker.heardAt,
    }));
  }

  // ------------------------------------------------------------------------------------------------------- workers

  /** Takes over a new connection of a worker. */
  attach(stream: ControlStream<WorkerMessage, MasterMessage>): void {
    let known: KnownWorker | null = null;
    stream.onMessage((message) => {
      if (message.register !== undefined && message.register !== null) known = this.#register(stream, message.register);
      else if (known !== null && known.stream === stream) this.#hear(known, message);
    });
    stream.onClose((reason) => {
      if (known === null || known.stream !== stream) return;
      known.stream = null;
      known.lostAt = this.#parts.clock.mono();
      this.#parts.log.warn({ worker: known.id }, `connection to worker lost: ${reason}`);
      this.#wakeUp();
    });
  }

  #register(stream: ControlStream<WorkerMessage, MasterMessage>, register: Register): KnownWorker | null {
    const { id, clock, log, token, sameToken } = this.#parts;
    if (token !== '' && !sameToken(token, register.token ?? '')) {
      stream.send({
        refused: {
          code: 'UNAUTHORIZED',
          message: "the master refused the worker's token; set WEIR_TOKEN to the master's token",
        },
      });
      return null;
    }
    if (register.protocolVersion !== PROTOCOL_VERSION || (register.formatVersion ?? 0) < META_FORMAT_VERSION) {
      const message = `the master speaks protocol ${PROTOCOL_VERSION} and writes format ${META_FORMAT_VERSION}, the worker ${register.protocolVersion} and ${register.formatVersion}; run the same version of Weir on both`;
      stream.send({ refused: { code: 'VERSION_MISMATCH', message } });
      return null;
    }
    const name = workerId(register.workerId ?? '');
    const before = this.#workers.get(name);
    this.#sessions += 1;
    const known: KnownWorker = {
      id: name,
      session: this.#sessions,
      stream,
      registered: register,
      heardAt: clock.mono(),
      lostAt: null,
      draining: before?.draining ?? false,
      drained: false,
      heartbeat: before?.heartbeat ?? null,
    };
    this.#workers.set(name, known);
    if (before?.stream !== null && before !== undefined) before.stream.close();
    stream.send({
      registered: { masterId: id, heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS, silenceLimitMs: SILENCE_LIMIT_MS },
    });
    stream.send({
      assign: {
        jobs: [...this.#jobs.values()]
          .filter((job) => names(job.row, name))
          .map(({ row }) => ({ job: row.name, ver: row.ver })),
      },
    });
    log.info({ worker: name, http: register.httpAddress }, 'worker joined');
    this.#tellWorkers();
    this.#wakeUp();
    return known;
  }

  #hear(worker: KnownWorker, message: WorkerMessage): void {
    worker.heardAt = this.#parts.clock.mono();
    if (message.heartbeat !== undefined && message.heartbeat !== null) this.#takeHeartbeat(worker, message.heartbeat);
    else if (message.report !== undefined && message.report !== null) this.#takeReport(message.report);
    else if (message.epoch !== undefined && message.epoch !== null)
      this.#jobs.get(jobName(message.epoch.job))?.epochs.hear(worker.id, message.epoch);
    else if (message.drain !== undefined && message.drain !== null) {
      worker.draining = true;
      this.#tellWorkers();
      this.#wakeUp();
    }
  }

  #takeHeartbeat(worker: KnownWorker, heartbeat: Heartbeat): void {
    worker.heartbeat = heartbeat;
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
      this.#jobs.get(jobName(figures.job ?? ''))?.figures.add(this.#parts.clock.mono(), figures, worker.id);
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
      this.#dropDeadWorkers();
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
      if (this.#allReleased(job)) await this.#replace(job, { ...row, state: 'stopped' });
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
    const state = this.#stateOf(job, lanes);
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
    return [...this.#workers.values()].map((worker) => ({
      id: worker.id,
      draining: worker.draining,
      load: [...this.#jobs.values()].reduce((sum, job) => sum + lanesOf(job.row, worker.id).length, 0),
    }));
  }

  #stateOf(job: ManagedJob, lanes: JobRow['lanes']): JobState {
    const entries = Object.entries(lanes) as [LaneId, LaneAssignment][];
    if (entries.length === 0) return job.row.state;
    if (entries.every(([id, { generation }]) => job.finished.has(acknowledged(id, job.row.run, generation))))
      return 'finished';
    const settled = entries.every(([id, { generation }]) => {
      const status = job.statuses.get(id);
      return (
        status?.generation === generation &&
        (status.state === 'running' || status.state === 'finished' || status.state === 'draining')
      );
    });
    return settled ? 'running' : job.row.state;
  }

  /** After a start of this master: owners named in the row get time to come back before their lanes move. */
  #mayBeOnTheirWay(row: JobRow): boolean {
    if (this.#parts.clock.mono() >= this.#settledAt) return false;
    return Object.values(row.lanes).some((lane) => lane.owner !== null && !this.#workers.has(lane.owner));
  }

  #allReleased(job: ManagedJob): boolean {
    const { clock } = this.#parts;
    if (clock.mono() - job.durableAt > OWNERSHIP_TERM_MS + 500) return true;
    return (Object.entries(job.row.lanes) as [LaneId, LaneAssignment][]).every(([id, lane]) => {
      const key = acknowledged(id, job.row.run, lane.generation);
      return lane.owner === null || job.released.has(key) || job.finished.has(key);
    });
  }

  #dropDeadWorkers(): void {
    const now = this.#parts.clock.mono();
    for (const worker of this.#workers.values()) {
      const silent = now - worker.heardAt > SILENCE_LIMIT_MS;
      const gone = worker.lostAt !== null && (worker.draining || now - worker.lostAt > RECONNECT_GRACE_MS);
      if (!silent && !gone) continue;
      this.#parts.log.warn({ worker: worker.id }, worker.draining ? 'worker left' : 'worker is gone: its lanes move');
      this.#workers.delete(worker.id);
      worker.stream?.close();
      this.#tellWorkers();
    }
  }

  /** Stateful jobs learn at once who is there. */
  #tellWorkers(): void {
    for (const job of this.#jobs.values()) job.epochs.setWorkers(this.#epochWorkers(job));
  }

  #epochWorkers({ row, epochs }: ManagedJob): EpochWorker[] {
    const workers = [...this.#workers.values()].map(({ id, registered, draining, session }) => ({
      id,
      address: registered.exchangeAddress,
      threads: registered.threads,
      draining,
      session,
    }));
    const holders = row.workersMax == null ? [] : (epochs.view()?.workers ?? []).map((worker) => worker.id);
    return limitWorkers(workers, row.workersMax, new Set(holders));
  }

  #sayDrained(): void {
    for (const worker of this.#workers.values()) {
      if (!worker.draining || worker.drained || worker.stream === null) continue;
      const jobs = [...this.#jobs.values()];
      const busy = jobs.some(
        (job) =>
          lanesOf(job.row, worker.id).length > 0 && (job.row.state === 'starting' || job.row.state === 'running'),
      );
      const folding = jobs.some((job) => job.epochs.involves(worker.id));
      const handing = jobs.some((job) => Object.values(job.row.lanes).some((lane) => lane.previousOwner === worker.id));
      const others = [...this.#workers.values()].some((other) => !other.draining);
      if ((busy || handing || folding) && others) continue;
      worker.drained = true;
      worker.stream.send({ drained: {} });
    }
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
    job.partitions = await this.#seePartitions(job.plan, (id) => job.row.lanes[id] === undefined);
  }

  /** The partitions as they are now; for an availableNow execution with the end of those that `needsEnd` names. */
  async #seePartitions(plan: JobPlan, needsEnd: (id: LaneId) => boolean): Promise<PartitionFacts[]> {
    const { connections } = this.#parts;
    const seen: PartitionFacts[] = [];
    for (const laneSource of plan.sources) {
      const source = connections.source(laneSource.connector, laneSource.options);
      const { topic, topicId, partitions } = await source.describe(laneSource.topic);
      const id = (partition: PartitionFacts['partition']): LaneId =>
        laneId({ source: laneSource.name, topicId, partition });
      const open =
        plan.trigger.kind === 'availableNow' && laneSource.feed === undefined
          ? partitions.filter((partition) => needsEnd(id(partition)))
          : [];
      const ends =
        open.length > 0 ? await source.offsets(topic, open, 'latest') : new Map<PartitionFacts['partition'], Offset>();
      for (const partition of partitions)
        seen.push({ source: laneSource.name, topic, topicId, partition, end: ends.get(partition) ?? null });
    }
    return seen;
  }

  // ---------------------------------------------------------------------------------------------------- rows and runs

  /** Partitions to leave room for; a topic that is not there yet counts as a few. */
  async #partitionCount(plan: JobPlan): Promise<number> {
    try {
      return (await this.#seePartitions(plan, () => false)).length;
    } catch (error) {
      if (isWeirError(error) && error.retryable) return plan.sources.length * UNKNOWN_TOPIC_PARTITIONS;
      throw error;
    }
  }

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
    const savepoint = await this.#savepoint(definition.name, name);
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
    const partitions = await this.#seePartitions(plan, () => true);
    const stride = Math.max(row.stride, strideFor(partitions.length * slotsOf(plan)));
    // What goes on stays above the former run position by position; what begins anew must be above all that was written.
    const runStart =
      start.kind === 'continue'
        ? nextRunStart(0, [row.runStart], stride)
        : nextRunStart(clock.now(), [row.runStart, ...committed.map((lane) => lane.position.bound)], stride);
    const lanes = plan.protocol === 'epochs' ? {} : this.#nextGeneration(job, partitions, start.kind !== 'continue');
    job.partitions = null;
    return { ...row, ...next, run: run(row.run + 1), runStart, stride, start, state: 'starting', reason: null, lanes };
  }

  /** The row of a job that starts again within its run. */
  async #restarted(job: ManagedJob): Promise<JobRow> {
    const partitions = await this.#seePartitions(job.plan, () => true);
    return { ...job.row, state: 'starting', reason: null, lanes: this.#nextGeneration(job, partitions, false) };
  }

  /**
   * Every lane under a new generation; owners that have not acknowledged are waited for. `reset` begins anew: lanes of
   * partitions that are no more (a recreated topic) are left out, the rest start as the run says.
   */
  #nextGeneration(job: ManagedJob, partitions: readonly PartitionFacts[], reset: boolean): JobRow['lanes'] {
    const { row } = job;
    const ends = new Map(partitions.map((seen) => [laneId(seen), seen.end]));
    const entries = (Object.entries(row.lanes) as [LaneId, LaneAssignment][]).filter(([id]) => !reset || ends.has(id));
    const next = entries.map(([id, lane]): [LaneId, LaneAssignment] => {
      const key = acknowledged(id, row.run, lane.generation);
      const quiet = lane.owner === null || job.released.has(key) || job.finished.has(key);
      return [
        id,
        {
          ...lane,
          generation: (lane.generation + 1) as Generation,
          previousOwner: quiet ? null : lane.owner,
          end: ends.get(id) ?? null,
          initial: lane.initial || reset,
        },
      ];
    });
    return Object.fromEntries(next) as JobRow['lanes'];
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
    for (const worker of this.#workers.values()) {
      if (!names(before, worker.id) && !names(after, worker.id)) continue;
      worker.stream?.send({ assign: { jobs: [{ job: after.name, ver: after.ver }] } });
    }
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
        send: (worker, order) => this.#workers.get(worker)?.stream?.send({ epoch: order }),
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

/** Where the row's run stands; for lanes that never began in it, where the run before it stands, and so on. */
function continued(row: JobRow): StartPoint {
  const { start } = row;
  if (start.kind === 'continue') return { ...start, run: row.run };
  if (start.kind === 'offsets')
    return { ...start, kind: 'continue', run: row.run, since: row.run, otherwise: 'initial' };
  const otherwise = start.kind === 'savepoint' ? 'initial' : start.kind;
  return { kind: 'continue', run: row.run, since: row.run, otherwise };
}

type Begin = NonNullable<ApplyOptions['start']> | 'initial';

function isSavepoint(start: Begin | undefined): start is { readonly savepoint: string } {
  return typeof start === 'object' && 'savepoint' in start;
}

/** Where the next run of a changed job begins. */
function beginOf(row: JobRow, { start }: ApplyOptions): Begin {
  return start ?? (row.state === 'deleted' ? 'initial' : 'continue');
}

/** A sink that comes holds nothing of what went to the others before. In complete mode every epoch gives the whole result. */
function notesOfSinks(before: JobPlan, after: JobPlan): string[] {
  if (after.protocol === 'epochs' && after.outputMode === 'complete') return [];
  const had = new Set(before.sinks.map(({ description }) => description));
  return after.sinks
    .filter(({ description, connector }) => !had.has(description) && connector !== 'blackhole')
    .map(({ description }) => `${description} gets what comes out from now on, nothing of what came out before`);
}

function startPoint(start: Exclude<NonNullable<ApplyOptions['start']>, 'continue'> | 'initial'): StartPoint {
  if (typeof start !== 'object') return { kind: start };
  if (isSavepoint(start)) return { kind: 'savepoint', name: start.savepoint };
  return { kind: 'offsets', ...start };
}

/** Rows of jobs with lookups are no functions of records alone: owners in turn write them at times of their own. */
function slotsOf(plan: JobPlan): number {
  return plan.protocol === 'lanes' && plan.sources.some(({ lookups }) => lookups !== undefined) ? ATTEMPT_SLOTS : 1;
}

function acknowledged(lane: LaneId, inRun: Run, generation: Generation): string {
  return `${lane}@${inRun}@${generation}`;
}

function lanesOf(row: JobRow, worker: WorkerId): LaneAssignment[] {
  return Object.values(row.lanes).filter((lane) => lane.owner === worker);
}

function names(row: JobRow, worker: WorkerId): boolean {
  return Object.values(row.lanes).some((lane) => lane.owner === worker || lane.previousOwner === worker);
}

/** A lane of the same source and partition under another topic id: the topic is not the one that was read. */
function laneOfFormerTopic(row: JobRow, seen: PartitionFacts): LaneId | undefined {
  const current = laneId(seen);
  return (Object.keys(row.lanes) as LaneId[]).find(
    (id) => id !== current && id.startsWith(`${seen.source}/`) && id.endsWith(`/${seen.partition}`),
  );
}

function holdersOf(row: JobRow): ReadonlySet<string> {
  return new Set(Object.values(row.lanes).flatMap(({ owner }) => (owner === null ? [] : [owner])));
}

function requireRevision(name: JobName, row: JobRow | undefined, { expectedRevision }: ApplyOptions): void {
  const current = row === undefined || row.state === 'deleted' ? 0 : row.revision;
  if (expectedRevision === undefined || expectedRevision === current) return;
  throw new WeirError(
    'CONFLICT',
    `job ${name} is at revision ${current}, not ${expectedRevision}: somebody changed it meanwhile; look at it and try again`,
    { facts: { revision: current, expectedRevision } },
  );
}

function topicRecreated(name: JobName, topic: string): { readonly code: string; readonly message: string } {
  const message =
    `job ${name}: topic ${topic} was deleted and created again, so the committed offsets mean nothing in it; ` +
    `submit the job with --from earliest or --from latest to begin a new run on the new topic`;
  return { code: 'TOPIC_RECREATED', message };
}

function changedMeanwhile(name: JobName): WeirError {
  return new WeirError('CONFLICT', `job ${name} was changed by another master meanwhile; look at it and try again`);
}
