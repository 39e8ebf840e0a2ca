/**
 * A worker: keeps in touch with the master, reads the rows of its jobs once a second, and lets each job's runner follow
 * its row. Nothing here is in a record's way, and a lost master stops nothing.
 */
import { backoffMs } from '../core/clock.ts';
import { WeirError, isWeirError, messageOf } from '../core/errors.ts';
import type { JobName, WorkerId } from '../core/ids.ts';
import { jobName } from '../core/ids.ts';
import { OWNERSHIP_READ_INTERVAL_MS } from '../core/lane/permit.ts';
import { META_FORMAT_VERSION } from '../core/meta.ts';
import type { ControlClient, ControlStream } from '../core/ports.ts';
import type { Heartbeat, JobFigures, LaneStatus, MasterMessage, WorkerMessage } from '../proto/gen/control.ts';
import { PROTOCOL_VERSION } from '../proto/version.ts';
import type { LaneReport, LaneSnapshot, WorkerPorts } from './job-runner.ts';
import { JobRunner, countersOf } from './job-runner.ts';

export interface WorkerParts extends WorkerPorts {
  readonly id: WorkerId;
  readonly control: ControlClient<MasterMessage, WorkerMessage>;
  /** Figures since the last call, for the heartbeat. */
  readonly takeFigures: () => JobFigures[];
  readonly vitals: () => { readonly eventLoopDelayMs: number; readonly rssBytes: number };
  readonly httpAddress: string;
  readonly threads: number;
  readonly token: string;
  readonly version: string;
}

/** Positions for display go to the job's consumer group so often, ms. */
const SHOW_OFFSETS_INTERVAL_MS = 5000;

export class Worker {
  readonly #parts: WorkerParts;
  readonly #runners = new Map<JobName, JobRunner>();
  readonly #stopping = new AbortController();
  readonly #reading = new Map<JobName, Promise<void>>();
  readonly #readAgain = new Set<JobName>();
  #stream: ControlStream<MasterMessage, WorkerMessage> | null = null;
  #heartbeatIntervalMs = 500;
  #sequence = 0;
  #drained = Promise.withResolvers<void>();
  #ready = Promise.withResolvers<void>();

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  /** Resolves when the master has accepted this worker for the first time. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Runs until {@link close}. Throws: UNAUTHORIZED, VERSION_MISMATCH when the master refuses this worker for good. */
  async run(): Promise<void> {
    await Promise.all([this.#keepConnected(), this.#keepBeating(), this.#keepReading(), this.#keepShowingOffsets()]);
  }

  /** Hands everything over and stops: finish, commit, let the master move the lanes, leave. */
  async close(): Promise<void> {
    this.#stream?.send({ drain: { reason: 'the worker was asked to stop' } });
    if (this.#stream !== null && this.#runners.size > 0) await this.#handedOver();
    await Promise.all([...this.#runners.values()].map((runner) => runner.close()));
    this.#stopping.abort(new WeirError('FENCED', 'the worker stops'));
    this.#stream?.close();
  }

  snapshots(): { readonly job: JobName; readonly runner: JobRunner; readonly lanes: LaneSnapshot[] }[] {
    return [...this.#runners.values()].map((runner) => ({ job: runner.job, runner, lanes: runner.snapshots() }));
  }

  /** The master says when all lanes have a new owner; without a master the lanes just finish and commit. */
  async #handedOver(): Promise<void> {
    const { clock } = this.#parts;
    await Promise.race([this.#drained.promise, clock.sleep(OWNERSHIP_READ_INTERVAL_MS * 3)]);
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
        const closed = this.#serve(stream);
        attempt = 0;
        const reason = await closed;
        if (!this.#stopping.signal.aborted) log.warn({}, `connection to the master lost: ${reason}`);
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
        },
      });
      this.#stream = stream;
    });
  }

  #receive(message: MasterMessage): void {
    if (message.registered !== undefined && message.registered !== null) {
      this.#heartbeatIntervalMs = message.registered.heartbeatIntervalMs ?? this.#heartbeatIntervalMs;
      this.#ready.resolve();
      this.#beat();
    } else if (message.assign !== undefined && message.assign !== null) {
      for (const { job } of message.assign.jobs ?? []) this.#follow(jobName(job ?? ''));
    } else if (message.drained !== undefined && message.drained !== null) {
      this.#drained.resolve();
    }
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
    const { vitals, takeFigures } = this.#parts;
    const lanes = this.snapshots().flatMap(({ job, lanes: snapshots }) =>
      snapshots.map((snapshot) => laneStatus(job, snapshot)),
    );
    const heartbeat: Heartbeat = { sequence: this.#sequence++, ...vitals(), lanes, jobs: takeFigures() };
    this.#stream.send({ heartbeat });
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
    const { id, store, connections, executor, clock, rng, log, failpoints, limits, budget, observe } = this.#parts;
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
      observe,
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
    const { clock, connections, log } = this.#parts;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(SHOW_OFFSETS_INTERVAL_MS, this.#stopping.signal).catch(() => undefined);
      for (const { job, runner, lanes } of this.snapshots()) {
        for (const source of runner.plan?.sources ?? []) {
          const own = lanes.filter((lane) => lane.lane.startsWith(`${source.name}/`) && lane.position !== null);
          const offsets = new Map(own.map((lane) => [partitionOf(lane), lane.position?.nextOffset ?? 0] as const));
          if (offsets.size === 0) continue;
          await connections
            .source(source.connector, source.options)
            .showOffsets(job, source.topic, offsets as never)
            .catch((error: unknown) => log.debug({ job }, `consumer group offsets not shown: ${messageOf(error)}`));
        }
      }
    }
  }
}

function partitionOf(snapshot: LaneSnapshot): number {
  return Number(snapshot.lane.slice(snapshot.lane.lastIndexOf('/') + 1));
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
