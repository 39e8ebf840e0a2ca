/**
 * A worker: keeps in touch with the master, reads the rows of its jobs once a second, and lets each job's runner follow
 * its row. Nothing here is in a record's way, and a lost master stops nothing.
 */
import { backoffMs } from '../core/clock.ts';
import { WeirError, isWeirError, messageOf } from '../core/errors.ts';
import type { JobName, LaneId, Offset, Partition, Run, WorkerId } from '../core/ids.ts';
import { jobName, offset, parseLaneId, run as runOf } from '../core/ids.ts';
import { OWNERSHIP_READ_INTERVAL_MS } from '../core/lane/permit.ts';
import { META_FORMAT_VERSION } from '../core/meta.ts';
import type { ControlClient, ControlStream, ExchangeTransport } from '../core/ports.ts';
import type {
  EpochOrder,
  EpochReport,
  Heartbeat,
  JobFigures,
  SchemaChange,
  LaneStatus,
  MasterMessage,
  WorkerLogs,
  WorkerMessage,
} from '../proto/gen/control.ts';
import type { LaneSource } from '../engine/plan/job-plan.ts';
import type { JobState } from '../core/states.ts';
import { PROTOCOL_VERSION } from '../proto/version.ts';
import type { EpochObserver } from './epochs/epoch-observer.ts';
import { silentEpochObserver } from './epochs/epoch-observer.ts';
import { EpochRunner } from './epochs/epoch-runner.ts';
import type { LaneReport, LaneSnapshot, WorkerPorts } from './job-runner.ts';
import { JobRunner, countersOf } from './job-runner.ts';

export interface WorkerParts extends WorkerPorts {
  readonly id: WorkerId;
  readonly control: ControlClient<MasterMessage, WorkerMessage>;
  /** Figures since the last call, for the heartbeat. */
  readonly takeFigures: () => JobFigures[];
  /** All that is known of records that differ from the schema of their source; default: nothing. */
  readonly schemaChanges?: () => SchemaChange[];
  /** Lines of its log that the master has not been sent; default: it is sent none. */
  readonly logs?: { take(): WorkerLogs | null; rewind(): void };
  readonly vitals: () => { readonly eventLoopDelayMs: number; readonly rssBytes: number };
  readonly httpAddress: string;
  /** How rows of stateful jobs go between workers; without it this worker runs such jobs alone. */
  readonly exchange?: { readonly transport: ExchangeTransport; readonly address: string };
  readonly observeEpochs?: (job: JobName) => EpochObserver;
  readonly threads: number;
  readonly token: string;
  readonly version: string;
}

/** Positions for display go to the job's consumer group so often, ms. */
const SHOW_OFFSETS_INTERVAL_MS = 5000;
/** Stateful jobs that got no order for so long are looked at, ms. */
const FORGOTTEN_INTERVAL_MS = 10_000;

/** Less than what containers are given to stop, ms. */
const STATE_HANDOVER_MS = 8000;

const over: ReadonlySet<JobState> = new Set(['stopped', 'finished', 'failed', 'deleted']);

export class Worker {
  readonly #parts: WorkerParts;
  readonly #runners = new Map<JobName, JobRunner>();
  /** Stateful jobs by job and run. */
  readonly #epochs = new Map<string, EpochRunner>();
  #leaves = false;
  /** Orders that each had got when it was last looked at. */
  readonly #ordersSeen = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #reading = new Map<JobName, Promise<void>>();
  readonly #readAgain = new Set<JobName>();
  #stream: ControlStream<MasterMessage, WorkerMessage> | null = null;
  #heartbeatIntervalMs = 500;
  #sequence = 0;
  /** The master at the other end of the stream leads. */
  #accepted = false;
  #drained = Promise.withResolvers<void>();
  #ready = Promise.withResolvers<void>();

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    parts.exchange?.transport.receive((message) => {
      // Rows of a job that is not here any more are dropped: whoever sent them learns it from the master.
      this.#epochs.get(epochsKey(message.job, message.run))?.take(message);
      return Promise.resolve();
    });
  }

  /** Resolves when the master has accepted this worker for the first time. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Runs until {@link close}. Throws: UNAUTHORIZED, VERSION_MISMATCH when the master refuses this worker for good. */
  async run(): Promise<void> {
    await Promise.all([
      this.#keepConnected(),
      this.#keepBeating(),
      this.#keepReading(),
      this.#keepShowingOffsets(),
      this.#keepTidy(),
    ]);
  }

  /** Hands everything over and stops: finish, commit, let the master move the lanes, leave. */
  async close(): Promise<void> {
    this.#stream?.send({ drain: { reason: 'the worker was asked to stop' } });
    if (this.#stream !== null && this.#runners.size + this.#epochs.size > 0) await this.#handedOver();
    this.#leaves = true;
    await Promise.all([...this.#runners.values()].map((runner) => runner.close()));
    await Promise.all([...this.#epochs.values()].map((runner) => runner.close('the worker stops')));
    this.#stopping.abort(new WeirError('FENCED', 'the worker stops'));
    this.#sendLogs();
    this.#stream?.close();
  }

  snapshots(): { readonly job: JobName; readonly runner: JobRunner; readonly lanes: LaneSnapshot[] }[] {
    return [...this.#runners.values()].map((runner) => ({ job: runner.job, runner, lanes: runner.snapshots() }));
  }

  /** Runners of stateful jobs, for metrics. */
  epochRunners(): readonly EpochRunner[] {
    return [...this.#epochs.values()];
  }

  /**
   * The master says when everything has a new owner. Without a master lanes just finish and commit, and the state of
   * key groups is restored elsewhere; while there is one, it takes them a moment to come up there.
   */
  async #handedOver(): Promise<void> {
    const { clock } = this.#parts;
    const ms = this.#epochs.size > 0 ? STATE_HANDOVER_MS : OWNERSHIP_READ_INTERVAL_MS * 3;
    await Promise.race([this.#drained.promise, clock.sleep(ms)]);
  }

  // ------------------------------------------------------------------------------------------------- the master

  async #keepConnected(): Promise<void> {
    const { control, clock, rng, log } = this.#parts;
    let attempt = 0;
    while (!this.#stopping.signal.aborted) {
      try {
        const stream = await control.connect();
        if (this.#stopping.signal.aborted) {
          stream.close();
          return;
        }
        this.#accepted = false;
        const closed = this.#serve(stream);
        attempt = 0;
        const reason = await closed;
        // While nobody leads every master asked turns this worker away, several times a second.
        const level = this.#accepted ? 'warn' : 'debug';
        if (!this.#stopping.signal.aborted) log[level]({}, `connection to the master lost: ${reason}`);
      } catch (error) {
        if (isWeirError(error) && !error.retryable) throw error;
        if (attempt === 1) log.warn({}, messageOf(error));
      }
      await clock.sleep(backoffMs(rng, attempt++, 50, 1000), this.#stopping.signal).catch(() => undefined);
    }
  }

  /** Resolves with the reason when the stream ends. */
  #serve(stream: ControlStream<MasterMessage, WorkerMessage>): Promise<string> {
    const { id, httpAddress, threads, token, version } = this.#parts;
    return new Promise((resolve, reject) => {
      stream.onMessage((message) => {
        if (message.refused !== undefined && message.refused !== null) {
          const code = message.refused.code === 'UNAUTHORIZED' ? 'UNAUTHORIZED' : 'VERSION_MISMATCH';
          reject(new WeirError(code, message.refused.message ?? 'the master refused this worker'));
          stream.close();
        } else this.#receive(message);
      });
      stream.onClose((reason) => {
        if (this.#stream === stream) this.#stream = null;
        resolve(reason);
      });
      stream.send({
        register: {
          workerId: id,
          protocolVersion: PROTOCOL_VERSION,
          formatVersion: META_FORMAT_VERSION,
          httpAddress,
          threads,
          token,
          weirVersion: version,
          exchangeAddress: this.#parts.exchange?.address ?? '',
        },
      });
      this.#stream = stream;
    });
  }

  #receive(message: MasterMessage): void {
    if (message.registered !== undefined && message.registered !== null) {
      this.#heartbeatIntervalMs = message.registered.heartbeatIntervalMs ?? this.#heartbeatIntervalMs;
      this.#ready.resolve();
      this.#accepted = true;
      this.#parts.logs?.rewind();
      this.#beat();
      for (const runner of this.#epochs.values()) runner.resend();
    } else if (message.assign !== undefined && message.assign !== null) {
      for (const { job } of message.assign.jobs ?? []) this.#follow(jobName(job ?? ''));
    } else if (message.drained !== undefined && message.drained !== null) {
      this.#drained.resolve();
    } else if (message.epoch !== undefined && message.epoch !== null) this.#order(message.epoch);
  }

  // ------------------------------------------------------------------------------------------------- stateful jobs

  /** Hands an order to the runner of its job and run; a preparation makes one. */
  #order(order: EpochOrder): void {
    const key = epochsKey(order.job, order.run);
    const { log } = this.#parts;
    let runner = this.#epochs.get(key);
    // It has handed over: its runners end, and no new ones begin.
    if (this.#leaves) return;
    if (runner?.closing) {
      const former = runner;
      void runner.closing.then(() => {
        if (this.#epochs.get(key) === former) this.#epochs.delete(key);
        this.#order(order);
      });
      return;
    }
    if (runner === undefined && order.prepare) {
      runner = this.#epochRunner(jobName(order.job), runOf(order.run));
      this.#epochs.set(key, runner);
    }
    if (runner === undefined) {
      const { job, run, token, runEpoch } = order;
      if (order.stop) this.#reportEpoch({ job, run, token, stopped: {} });
      else if (runEpoch) log.warn({ job, run }, 'an epoch was ordered of a job that is not prepared here');
      return;
    }
    try {
      runner.handle(order);
    } catch (error) {
      log.error({ job: order.job, err: error }, `an order of the master cannot be followed: ${messageOf(error)}`);
    }
    void runner.closing?.then(() => this.#epochs.delete(key));
  }

  /**
   * Lets go of stateful jobs that are over: a master that died could not say so. One that gets orders is not over,
   * whatever a row says that was read before.
   */
  async #dropForgotten(): Promise<void> {
    const { store } = this.#parts;
    for (const [key, runner] of this.#epochs) {
      const { orders } = runner;
      if (this.#ordersSeen.get(key) === orders) {
        const row = await store.readOwnership(runner.job).catch(() => null);
        const isOver = row === undefined || (row !== null && (row.run !== runner.run || over.has(row.state)));
        if (isOver && runner.orders === orders) {
          await runner.close('the job does not run any more');
          this.#epochs.delete(key);
        }
      }
      this.#ordersSeen.set(key, orders);
    }
    for (const key of this.#ordersSeen.keys()) if (!this.#epochs.has(key)) this.#ordersSeen.delete(key);
  }

  #epochRunner(job: JobName, run: Run): EpochRunner {
    const { id, store, connections, executor, clock, rng, log, failpoints, limits, budget, observe } = this.#parts;
    const { exchange, memory, observeEpochs } = this.#parts;
    return new EpochRunner(job, run, {
      ...(memory === undefined ? {} : { memory }),
      worker: id,
      store,
      connections,
      executor,
      clock,
      rng: rng.fork(`${job}/${run}`),
      log: log.child({ job }),
      failpoints,
      limits,
      budget,
      observe,
      ...feedPorts(this.#parts),
      link: (address) => {
        if (exchange === undefined)
          throw new WeirError('PEER_UNREACHABLE', `this worker has no exchange and cannot send rows to ${address}`);
        return exchange.transport.open(address);
      },
      report: (report) => this.#reportEpoch(report),
      observer: observeEpochs?.(job) ?? silentEpochObserver,
    });
  }

  #reportEpoch(epoch: EpochReport): void {
    this.#stream?.send({ epoch });
  }

  #report(report: LaneReport): void {
    this.#stream?.send({ report });
  }

  async #keepBeating(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(this.#heartbeatIntervalMs, this.#stopping.signal).catch(() => undefined);
      this.#beat();
    }
  }

  #beat(): void {
    if (this.#stream === null) return;
    const { vitals, takeFigures, schemaChanges } = this.#parts;
    const lanes = this.snapshots().flatMap(({ job, lanes: snapshots }) =>
      snapshots.map((snapshot) => laneStatus(job, snapshot)),
    );
    const heartbeat: Heartbeat = {
      sequence: this.#sequence++,
      ...vitals(),
      lanes,
      jobs: takeFigures(),
      schemaChanges: schemaChanges?.() ?? [],
    };
    this.#stream.send({ heartbeat });
    this.#sendLogs();
  }

  /** A master that does not lead would forget what it is told. */
  #sendLogs(): void {
    const lines = this.#stream !== null && this.#accepted ? this.#parts.logs?.take() : null;
    if (lines !== undefined && lines !== null) this.#stream?.send({ logs: lines });
  }

  // --------------------------------------------------------------------------------------------------- the rows

  /** Reads the row of every job once a second: the right to write lives on these reads. */
  async #keepReading(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(OWNERSHIP_READ_INTERVAL_MS, this.#stopping.signal).catch(() => undefined);
      for (const job of this.#runners.keys()) this.#follow(job);
    }
  }

  async #keepTidy(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(FORGOTTEN_INTERVAL_MS, this.#stopping.signal).catch(() => undefined);
      if (!this.#stopping.signal.aborted) await this.#dropForgotten();
    }
  }

  /** Reads the job's row now; while a read is under way, once more after it. */
  #follow(job: JobName): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#reading.has(job)) {
      this.#readAgain.add(job);
      return;
    }
    const read = this.#readRow(job).finally(() => {
      this.#reading.delete(job);
      if (this.#readAgain.delete(job)) this.#follow(job);
    });
    this.#reading.set(job, read);
  }

  async #readRow(job: JobName): Promise<void> {
    const { clock, store, log } = this.#parts;
    const sentAt = clock.mono();
    try {
      const row = await store.readOwnership(job);
      if (row === undefined) {
        await this.#forget(job);
        return;
      }
      const runner = this.#runner(job);
      runner.reconcile(row, sentAt);
      if (runner.idle && !Object.values(row.lanes).some((lane) => lane.owner === this.#parts.id))
        await this.#forget(job);
    } catch (error) {
      // Without a confirmed row the lanes' right to write runs out by itself.
      if (isWeirError(error)) log.warn({ job, code: error.code }, error.message);
      else log.error({ job, err: error }, messageOf(error));
      // Keeps the job among those that are read once a second: nobody may tell of it again.
      if (!this.#stopping.signal.aborted) this.#runner(job);
    }
  }

  #runner(job: JobName): JobRunner {
    const existing = this.#runners.get(job);
    if (existing !== undefined) return existing;
    const { id, store, connections, executor, clock, rng, log, failpoints, limits, budget, memory, observe } =
      this.#parts;
    const { observeLookup } = this.#parts;
    const runner = new JobRunner(job, {
      worker: id,
      store,
      connections,
      executor,
      clock,
      rng: rng.fork(job),
      log: log.child({ job }),
      failpoints,
      limits,
      budget,
      ...(memory === undefined ? {} : { memory }),
      observe,
      ...(observeLookup === undefined ? {} : { observeLookup }),
      ...feedPorts(this.#parts),
      report: (report) => this.#report(report),
      wake: (name) => this.#follow(name),
    });
    this.#runners.set(job, runner);
    return runner;
  }

  async #forget(job: JobName): Promise<void> {
    const runner = this.#runners.get(job);
    this.#runners.delete(job);
    await runner?.close();
  }

  // ------------------------------------------------------------------------------------------------- for display

  async #keepShowingOffsets(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(SHOW_OFFSETS_INTERVAL_MS, this.#stopping.signal).catch(() => undefined);
      for (const { job, runner, lanes } of this.snapshots()) {
        for (const source of runner.plan?.sources ?? []) {
          const own = lanes.flatMap(({ lane, position }) =>
            position === null ? [] : [{ lane, committed: position.nextOffset }],
          );
          await this.#showOffsets(job, source, own);
        }
      }
      for (const runner of this.#epochs.values())
        for (const source of runner.opened?.plan.sources ?? [])
          await this.#showOffsets(runner.job, source, runner.positions());
    }
  }

  async #showOffsets(
    job: JobName,
    source: Pick<LaneSource, 'name' | 'connector' | 'options' | 'topic'>,
    positions: readonly { readonly lane: LaneId; readonly committed: number }[],
  ): Promise<void> {
    const { connections, log } = this.#parts;
    const offsets = new Map<Partition, Offset>();
    for (const { lane, committed } of positions) {
      const { source: name, partition } = parseLaneId(lane);
      if (name === source.name) offsets.set(partition, offset(committed));
    }
    if (offsets.size === 0) return;
    await connections
      .source(source.connector, source.options)
      .showOffsets(job, source.topic, offsets)
      .catch((error: unknown) => log.debug({ job }, `consumer group offsets not shown: ${messageOf(error)}`));
  }
}

function feedPorts({ openFeed, observeFeed }: WorkerParts): Pick<WorkerPorts, 'openFeed' | 'observeFeed'> {
  return { ...(openFeed === undefined ? {} : { openFeed }), ...(observeFeed === undefined ? {} : { observeFeed }) };
}

function epochsKey(job: string, run: number): string {
  return `${job}/${run}`;
}

function laneStatus(job: JobName, snapshot: LaneSnapshot): LaneStatus {
  return {
    job,
    run: snapshot.run,
    lane: snapshot.lane,
    generation: snapshot.generation,
    state: snapshot.state,
    code: snapshot.reason?.code ?? '',
    message: snapshot.reason?.message ?? '',
    committedOffset: snapshot.position?.nextOffset ?? -1,
    readOffset: snapshot.readOffset,
    endOffset: snapshot.endOffset,
    bytesPerSecond: 0,
    counters: countersOf(snapshot),
    aheadMs: snapshot.aheadMs,
  };
}
