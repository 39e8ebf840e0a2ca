/**
 * A stateful job on some workers in one process, with the embedded process beside them and a master that does what it is
 * told: for tests of runners.
 */
import { makeConnections } from '../../connectors/connections.ts';
import { startEmbedded } from '../../connectors/embedded/main.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { must } from '../../core/assert.ts';
import type { Clock } from '../../core/clock.ts';
import type { LaneCounters } from '../../core/lane/position.ts';
import { addCounters, zeroCounters } from '../../core/lane/position.ts';
import { assignGroups } from '../../core/epoch/assign-groups.ts';
import { changeHead } from '../../core/epoch/change-head.ts';
import { encodeManifest, nextManifest } from '../../core/epoch/manifest.ts';
import type { Manifest } from '../../core/epoch/manifest.ts';
import { roomFor } from '../../core/epoch/row-times.ts';
import type { EpochAssignment, EpochHead, EpochPlan, OffsetRange } from '../../core/epoch/types.ts';
import { EPOCH_FORMAT_VERSION } from '../../core/epoch/types.ts';
import { mergeEventTimes, nextWatermark } from '../../core/epoch/watermark.ts';
import {
  epoch,
  fence,
  jobName,
  laneId,
  offset,
  partition,
  revision,
  run,
  timestampUs,
  workerId,
} from '../../core/ids.ts';
import type { LaneId, Offset } from '../../core/ids.ts';
import type { JobRow, MetaStore } from '../../core/meta.ts';
import type { Connections, ExchangeTransport, FailpointName, Failpoints, LogWriter } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { deadLetterTable } from '../../engine/dead-letters.ts';
import type { EpochExecutor, ReduceResult, ReduceTask } from '../../engine/epoch/contract.ts';
import { InlineExecutor } from '../../engine/inline-executor.ts';
import { planOf } from '../../engine/epoch/test-run.ts';
import type { EpochsPlan } from '../../engine/plan/epoch-plan.ts';
import { tableStagesOf } from '../../engine/plan/table-stages.ts';
import type { EpochDone, EpochMapped, EpochReport, EpochTrouble } from '../../proto/gen/control.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import { always } from '../../test/conformance/source.ts';
import { ByteBudget } from '../byte-budget.ts';
import { defaultLaneLimits } from '../lane.ts';
import { silentEpochObserver } from './epoch-observer.ts';
import { EpochRunner } from './epoch-runner.ts';
import { MemoryExchangeNetwork } from './exchange-memory.ts';

export const JOB = jobName('test');
const DEFINITION = 'definition-of-test';
const WAIT_MS_MAX = 10_000;
/** No look takes longer: while it seems to, the process stands still, and all that is waited for with it. */
const LOOK_MS_MAX = 100;

export interface TestWorker {
  readonly name: string;
  readonly runner: EpochRunner;
  readonly executor: EpochExecutor;
  readonly reports: EpochReport[];
  readonly failpoints: Map<FailpointName, () => void | Promise<void>>;
  /** Restored groups, one entry per restore. */
  readonly restored: number[];
  /** Epochs of which some stage was folded, in order. */
  readonly folded: number[];
  readonly transport: ExchangeTransport;
}

export interface Attempted {
  readonly plan: EpochPlan;
  readonly attempt: number;
}

/** The master's side, step by step. */
export class TestCluster {
  readonly plan: EpochsPlan;
  readonly network = new MemoryExchangeNetwork();
  readonly workers = new Map<string, TestWorker>();
  readonly close: () => Promise<void>;
  readonly connections: ReturnType<typeof makeConnections>;
  readonly store: MetaStore;
  head: EpochHead;
  token = 1;
  /** Versions of static tables that the next plans pin. */
  statics: Record<string, number> = {};
  assignment: EpochAssignment | null = null;
  manifest: Manifest | null = null;
  #eventTimes: readonly (number | null)[] = [];
  #lateUs: number | null = null;
  readonly #threads: number;
  readonly #sinkLog: LogWriter | null;
  #version = 0;
  #evictUs: number | null = null;

  private constructor(
    plan: EpochsPlan,
    head: EpochHead,
    connections: ReturnType<typeof makeConnections>,
    store: MetaStore,
    threads: number,
    sinkLog: LogWriter | null,
    close: () => Promise<void>,
  ) {
    this.plan = plan;
    this.head = head;
    this.connections = connections;
    this.store = store;
    this.#threads = threads;
    this.#sinkLog = sinkLog;
    this.close = async () => {
      for (const { runner } of this.workers.values()) await runner.close('the test ends');
      await close();
    };
  }

  /**
   * Topics with `partitions` partitions, tables, definition, row and head are there; no worker is. `sinkLog`: where the
   * job's topics are written, if not beside those that it reads.
   */
  static async start(
    jobText: string,
    { partitions = 2, threads = 2, sinkLog = null as LogWriter | null } = {},
  ): Promise<TestCluster> {
    const plan = planOf(jobText);
    const embedded = await startEmbedded({ host: '127.0.0.1', port: 0, dataDir: null, log: noLog, clock: systemClock });
    const parts = { clock: systemClock, rng: systemRng, log: noLog };
    const connections = makeConnections({ WEIR_EMBEDDED: embedded.address }, parts);
    const store = connections.metaStore();
    await store.prepare();
    await store.putDefinition(DEFINITION, JSON.stringify({ plan }));
    const tables = connections.tables('cassandra', {});
    for (const table of [...plan.tables, deadLetterTable]) await tables.create(table);
    const positions: Record<LaneId, Offset> = {};
    for (const { name, topic } of plan.sources) {
      await connections.logWriter('kafka', {}).createTopic(topic, partitions);
      const { topicId } = await connections.source('kafka', {}).describe(topic);
      for (let index = 0; index < partitions; index++)
        positions[laneId({ source: name, topicId, partition: partition(index) })] = offset(0);
    }
    const head: EpochHead = {
      formatVersion: EPOCH_FORMAT_VERSION,
      job: JOB,
      run: run(1),
      ver: 1,
      nonce: systemRng.uuid(),
      fence: fence(1),
      planned: epoch(-1),
      committed: epoch(-1),
      epochTsUs: 1_700_000_000_000_000,
      positions,
      starts: positions,
      eventTimes: [],
      watermarkUs: null,
      evictUs: null,
      ends: null,
      placement: null,
      snapshot: null,
      formerSnapshot: null,
      base: null,
      counters: zeroCounters,
      late: {},
    };
    await changeHead({ store, clock: systemClock, rng: systemRng }, 0, head, []);
    await store.casJob(0, jobRow());
    return new TestCluster(plan, head, connections, store, threads, sinkLog, async () => {
      await connections.close();
      await embedded.close();
    });
  }

  /** `clock`: of the worker's process. */
  addWorker(name: string, clock: Clock = systemClock): TestWorker {
    const folded: number[] = [];
    const executor = new TestExecutor({ threadCount: this.#threads }, folded);
    const reports: EpochReport[] = [];
    const failpoints: TestWorker['failpoints'] = new Map();
    const hits: Failpoints = { hit: (point) => failpoints.get(point)?.() };
    const transport = this.network.join(name);
    const restored: number[] = [];
    const runner = new EpochRunner(JOB, run(1), {
      worker: workerId(name),
      store: this.store,
      connections: this.#sinkLog === null ? this.connections : writingTo(this.connections, this.#sinkLog),
      executor,
      clock,
      rng: systemRng,
      log: noLog,
      failpoints: hits,
      limits: defaultLaneLimits,
      budget: new ByteBudget(1 << 30),
      observe: () => {
        throw new Error('a stateful job has no lanes');
      },
      link: (address) => transport.open(address),
      report: (report) => {
        reports.push(report);
      },
      observer: { ...silentEpochObserver, restored: (groups) => restored.push(groups) },
    });
    transport.receive((message) => {
      runner.take(message);
      return Promise.resolve();
    });
    const worker = { name, runner, executor, reports, failpoints, restored, folded, transport };
    this.workers.set(name, worker);
    return worker;
  }

  /** The process is gone: nothing more is said or heard of it. */
  async kill(name: string): Promise<void> {
    const worker = must(this.workers.get(name), () => `no worker ${name}`);
    this.workers.delete(name);
    await worker.transport.close();
    await worker.runner.close('it was killed');
  }

  /** Key groups and partitions over these workers; what can stay stays. */
  assign(names: readonly string[]): EpochAssignment {
    const seats = names.map((name) => ({ id: workerId(name), address: name, threads: this.#threads }));
    return assignGroups(seats, Object.keys(this.head.positions) as LaneId[], this.assignment, ++this.#version);
  }

  /** Prepares the workers for an assignment and waits until all are ready. */
  async prepare(assignment: EpochAssignment): Promise<void> {
    for (const worker of this.#members(assignment)) {
      const before = worker.reports.length;
      worker.runner.handle({
        job: JOB,
        run: 1,
        token: this.token,
        prepare: {
          definition: DEFINITION,
          assignment: JSON.stringify(assignment),
          head: JSON.stringify(this.head),
          execution: 0,
        },
      });
      await waitFor(`${worker.name} to be ready`, () => {
        const reports = worker.reports.slice(before);
        const failed = reports.find(({ trouble }) => trouble)?.trouble;
        if (failed) throw new Error(`not ready: ${failed.code} ${failed.message}`);
        return reports.some(({ ready }) => ready?.assignmentVersion === assignment.version);
      });
    }
  }

  async use(names: readonly string[]): Promise<void> {
    const assignment = this.assign(names);
    await this.prepare(assignment);
    this.assignment = assignment;
  }

  /** Appends JSON rows to a partition of a source's topic. */
  async append(source: string, index: number, rows: readonly unknown[]): Promise<void> {
    const { topic } = must(
      this.plan.sources.find(({ name }) => name === source),
      () => `no source ${source}`,
    );
    const records = rows.map((row) => ({
      key: null,
      value: Buffer.from(typeof row === 'string' ? row : JSON.stringify(row)),
      timestampMs: 1_700_000_000_000,
    }));
    await this.connections
      .logWriter('kafka', {})
      .append([{ topic, partition: partition(index), batch: encodeRecordBatch(records) }], always);
  }

  /** Plans an epoch over all that was appended since, durably. */
  async planNext(): Promise<EpochPlan> {
    const ranges: Record<LaneId, OffsetRange> = {};
    const positions: Record<LaneId, Offset> = { ...this.head.positions };
    for (const { name, topic } of this.plan.sources) {
      const source = this.connections.source('kafka', {});
      const { partitions, topicId } = await source.describe(topic);
      const ends = await source.offsets(topic, partitions, 'latest');
      for (const [index, to] of ends) {
        const lane = laneId({ source: name, topicId, partition: index });
        const from = positions[lane] ?? offset(0);
        if (to > from) ranges[lane] = { from, to };
        positions[lane] = to;
      }
    }
    const room = roomFor(ranges, tableStagesOf(this.plan));
    const plan: EpochPlan = {
      formatVersion: EPOCH_FORMAT_VERSION,
      epoch: epoch(this.head.planned + 1),
      epochTsUs: this.head.epochTsUs + 1024 + room,
      ...(room === 0 ? {} : { room }),
      token: fence(this.token),
      ranges,
      lateUs: this.#lateUs,
      evictUs: this.#evictUs,
      idle: [],
      statics: { ...this.statics },
    };
    await this.#change({ planned: plan.epoch, positions, epochTsUs: plan.epochTsUs }, [plan]);
    return plan;
  }

  order({ plan, attempt }: Attempted, snapshot: 'no' | 'changed' | 'all' = 'no', names?: readonly string[]): void {
    const assignment = must(this.assignment, () => 'no assignment');
    for (const worker of this.#members(assignment)) {
      if (names !== undefined && !names.includes(worker.name)) continue;
      worker.runner.handle({
        job: JOB,
        run: 1,
        token: this.token,
        runEpoch: {
          assignmentVersion: assignment.version,
          attempt,
          plan: JSON.stringify(plan),
          committed: this.head.committed,
          snapshot: snapshot !== 'no',
          snapshotAll: snapshot === 'all',
        },
      });
    }
  }

  /** Waits until the attempt is mapped everywhere, and takes the watermark on: before the next epoch is planned. */
  async mapped({ plan, attempt }: Attempted): Promise<void> {
    const all = await this.#all<EpochMapped>('mapped', plan.epoch, attempt, (report) => report.mapped);
    for (const { eventTimesUs } of all)
      this.#eventTimes = mergeEventTimes(
        this.#eventTimes,
        eventTimesUs.map((time) => (time === Number.MIN_SAFE_INTEGER ? null : time)),
      );
    this.#lateUs = plan.evictUs;
    this.#evictUs = nextWatermark({
      rules: this.plan.watermarks,
      policy: this.plan.watermarkPolicy,
      eventTimes: this.#eventTimes,
      idle: new Set(),
      current: plan.evictUs,
    });
  }

  /** As {@link mapped}, false when the attempt ran into trouble before. */
  async mappedOrTroubled(attempted: Attempted): Promise<boolean> {
    try {
      await this.mapped(attempted);
      return true;
    } catch (error) {
      const { plan, attempt } = attempted;
      if (this.troubles().some((each) => each.epoch === plan.epoch && each.attempt === attempt)) return false;
      throw error;
    }
  }

  async done({ plan, attempt }: Attempted): Promise<EpochDone[]> {
    return this.#all('done', plan.epoch, attempt, (report) => report.done);
  }

  /** Makes the epoch committed, and its snapshot if every worker stored one. */
  async commit(plan: EpochPlan, done: readonly EpochDone[]): Promise<void> {
    const counters = done.reduce<LaneCounters>(
      (sum, each) => addCounters(sum, { ...zeroCounters, ...each.counters }),
      this.head.counters,
    );
    let next: Partial<EpochHead> = { committed: plan.epoch, counters };
    if (done.some(({ snapshot }) => snapshot)) {
      const stored = done.flatMap((each) => each.stored);
      const { epochTsUs, positions, starts, eventTimes, watermarkUs, evictUs, late } = this.head;
      const at = { epochTsUs, positions, starts, eventTimes, watermarkUs, evictUs, counters, late };
      this.manifest = nextManifest(this.manifest, plan.epoch, stored, at, DEFINITION);
      const id = `manifest/${plan.epoch}`;
      await this.connections.blobs().put(id, encodeManifest(this.manifest));
      next = { ...next, snapshot: { epoch: plan.epoch, manifest: id }, formerSnapshot: this.head.snapshot };
    }
    await this.#change(next, []);
  }

  /** One whole epoch over what was appended. */
  async step(snapshot: 'no' | 'changed' | 'all' = 'no'): Promise<EpochDone[]> {
    const plan = await this.planNext();
    const attempted = { plan, attempt: 0 };
    this.order(attempted, snapshot);
    await this.mapped(attempted);
    const done = await this.done(attempted);
    await this.commit(plan, done);
    return done;
  }

  async rows(cql: string): Promise<unknown[][]> {
    const { rows } = await this.connections.tables('cassandra', {}).query(cql);
    return rows.map((row) => [...row]).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }

  troubles(): EpochTrouble[] {
    return [...this.workers.values()].flatMap(({ reports }) =>
      reports.flatMap(({ trouble }) => (trouble ? [trouble] : [])),
    );
  }

  async #change(changes: Partial<EpochHead>, plans: readonly EpochPlan[]): Promise<void> {
    const next = { ...this.head, ...changes, ver: this.head.ver + 1, nonce: systemRng.uuid() };
    await changeHead({ store: this.store, clock: systemClock, rng: systemRng }, this.head.ver, next, plans);
    this.head = next;
  }

  #members(assignment: EpochAssignment): TestWorker[] {
    return assignment.workers.flatMap(({ id }) => this.workers.get(id) ?? []);
  }

  async #all<T extends { readonly epoch: number; readonly attempt: number }>(
    what: string,
    number: number,
    attempt: number,
    pick: (report: EpochReport) => T | undefined,
  ): Promise<T[]> {
    const members = this.#members(must(this.assignment, () => 'no assignment'));
    const found = (worker: TestWorker): T | undefined =>
      worker.reports.map(pick).find((report) => report?.epoch === number && report.attempt === attempt);
    await waitFor(`epoch ${number}, attempt ${attempt} to be ${what}`, () => {
      const trouble = this.troubles().find((each) => each.epoch === number && each.attempt === attempt);
      if (trouble) throw new Error(`${trouble.code}: ${trouble.message}`);
      return members.every((worker) => found(worker) !== undefined);
    });
    return members.map((worker) => must(found(worker), () => 'no report'));
  }
}

function jobRow(): JobRow {
  return {
    formatVersion: 1,
    name: JOB,
    ver: 1,
    nonce: systemRng.uuid(),
    revision: revision(1),
    definition: DEFINITION,
    run: run(1),
    runStart: timestampUs(0),
    stride: 1,
    start: { kind: 'initial' },
    state: 'running',
    reason: null,
    lanes: {},
    submittedAt: 1_700_000_000_000,
    changedAt: 1_700_000_000_000,
  };
}

function writingTo(connections: Connections, log: LogWriter): Connections {
  return {
    source: (connector, options) => connections.source(connector, options),
    logWriter: () => log,
    tables: (connector, options) => connections.tables(connector, options),
    rowSinks: (connector) => connections.rowSinks(connector),
    blobs: () => connections.blobs(),
    describe: () => connections.describe(),
    close: () => connections.close(),
  };
}

/** Notes what live hosts fold. */
class TestExecutor extends InlineExecutor {
  readonly #folded: number[];

  constructor(options: { readonly threadCount: number }, folded: number[]) {
    super(options);
    this.#folded = folded;
  }

  override async reduce(key: string, thread: number, task: ReduceTask): Promise<ReduceResult> {
    const result = await super.reduce(key, thread, task);
    if (!key.includes('/replay-')) this.#folded.push(task.env.epoch);
    return result;
  }
}

/** Looks again and again; fails after some seconds, naming what did not come. */
export async function waitFor(what: string, holds: () => boolean): Promise<void> {
  let waitedMs = 0;
  while (!holds()) {
    if (waitedMs > WAIT_MS_MAX) throw new Error(`waited in vain for ${what}`);
    const from = performance.now();
    await systemClock.sleep(2);
    waitedMs += Math.min(LOOK_MS_MAX, performance.now() - from);
  }
}
