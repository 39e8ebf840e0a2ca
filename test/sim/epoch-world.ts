/**
 * A world for tests of the epochs' coordinator: the real coordinator on the simulated network, store and log, with
 * workers that follow a script. A scripted worker folds counts per key group exactly as plans say, reads "Kafka" by
 * itself instead of exchanging frames, and writes rows by timestamp. The world checks in every step what must hold.
 */
import { must } from '../../core/assert.ts';
import { noFailpoints } from '../../core/ports.ts';
import type { Failpoints, Log } from '../../core/ports.ts';
import type { EpochAssignment, EpochHead, EpochPlan, OffsetRange } from '../../core/epoch/types.ts';
import { decodeManifest } from '../../core/epoch/manifest.ts';
import { writeTimeUs } from '../../core/epoch/time.ts';
import type { Epoch, Fence, LaneId, Run, WorkerId } from '../../core/ids.ts';
import { jobName, laneId, partition, run as runOf, workerId } from '../../core/ids.ts';
import { zeroCounters } from '../../core/lane/position.ts';
import type { EpochsPlan, StatePlan } from '../../engine/plan/epoch-plan.ts';
import type { EpochChange, EpochParts, RunBegin } from '../../master/epochs-parts.ts';
import { EpochCoordinator } from '../../master/epochs.ts';
import { MoveTurns } from '../../master/move-turns.ts';
import type { EpochFeed, EpochOrder, EpochReport, EpochRun } from '../../proto/gen/control.ts';
import { SimBlobServer, SimBlobStore } from './sim-blobs.ts';
import type { SimNode } from './kernel.ts';
import { Simulation } from './kernel.ts';
import type { StreamPair } from './network.ts';
import { SimNetwork } from './network.ts';
import { SimLogServer, SimSource } from './sim-log.ts';
import { SimMetaServer, SimMetaStore } from './sim-meta-store.ts';

const GROUPS = 256;
export const JOB = jobName('counts');

const countState: StatePlan = {
  kind: 'aggregate',
  keyCount: 1,
  aggregates: [],
  eventTime: { column: 0, kind: 'timestamp' } as unknown as Extract<StatePlan, { kind: 'aggregate' }>['eventTime'],
  mode: 'update',
  watermarkLagUs: 0,
};

export type EpochWorldSource = EpochsPlan['sources'][number];

export function countsSource(changes: Partial<EpochWorldSource> = {}): EpochWorldSource {
  return {
    name: 'events',
    connector: 'kafka',
    options: {},
    topic: 'events',
    startingOffsets: { kind: 'earliest' },
    onDataLoss: 'fail',
    limits: { maxOffsetsPerTrigger: null, minOffsetsPerTrigger: null, maxTriggerDelayMs: 900_000 },
    idleTimeoutMs: null,
    ...changes,
  };
}

/** A plan as the coordinator reads it: sources, trigger, watermarks and what evicts. */
export function countsPlan(changes: Partial<EpochsPlan> = {}): EpochsPlan {
  const empty = { columns: [] } as const;
  return {
    formatVersion: 1,
    job: JOB,
    protocol: 'epochs',
    protocolReason: 'it counts',
    trigger: { kind: 'asap' },
    outputMode: 'update',
    sources: [countsSource()],
    statics: [],
    stages: [
      { kind: 'map', source: 'events', scan: empty, branches: [] } as unknown as EpochsPlan['stages'][number],
      {
        kind: 'state',
        operatorId: 'count-0',
        inputs: [],
        state: countState,
        branch: { operators: [], output: empty, target: { kind: 'sink' } },
      } as unknown as EpochsPlan['stages'][number],
    ],
    watermarks: [{ delayUs: 60_000_000, sources: ['events'], description: 'events.ts' }],
    watermarkPolicy: 'min',
    noDataEpochs: true,
    onLate: 'drop',
    timeZone: 'UTC',
    sinks: [],
    sinkPlans: [],
    tables: [],
    deadLetterTopic: null,
    createsTables: false,
    warnings: [],
    explain: [],
    ...changes,
  };
}

/** Behaviour of a scripted worker; a test may change it at any time. */
export interface WorkerScript {
  mapMs: number;
  foldMs: number;
  writeMs: number;
  restoreMs: number;
  /** Says nothing any more, but works on. */
  mute: boolean;
  /** Reports are sent so many times. */
  repeat: number;
  /** Called before an order is carried out; a text is reported as trouble that a new attempt may heal. */
  trouble: (order: EpochRun, plan: EpochPlan) => { code: string; retry: boolean; peer?: string } | null;
  /** Asked for a snapshot, it gives none. */
  withholds: () => boolean;
}

interface Row {
  readonly ts: number;
  readonly count: number;
}

export interface OrderSeen {
  readonly worker: WorkerId;
  readonly epoch: number;
  readonly attempt: number;
  readonly token: number;
  readonly version: number;
}

export class EpochWorld {
  readonly sim: Simulation;
  readonly network: SimNetwork;
  readonly meta = new SimMetaServer({ lastWriteWins: false });
  readonly blobs = new SimBlobServer();
  readonly log = new SimLogServer();
  readonly workers = new Map<WorkerId, ScriptedWorker>();
  readonly orders: OrderSeen[] = [];
  readonly commits: { readonly epoch: number; readonly at: number; readonly token: number }[] = [];
  readonly plans = new Map<number, EpochPlan>();
  /** The table: count per key group. */
  readonly table = new Map<number, Row>();
  /** Times of records by partition. */
  readonly times: number[][] = [];
  readonly topic: string;
  plan: EpochsPlan;
  run: Run = runOf(1);
  master: Master | null = null;
  /** Whom workers connect to. */
  leader: Leader | null = null;
  /** Epoch of the first plan seen. */
  firstPlan = 0;
  /** By epoch from {@link firstPlan} on. */
  readonly #counts: Map<number, number>[] = [];
  #token = 0;
  /** Write times seen per epoch: two attempts never share one. */
  readonly #writeTimes = new Map<string, string>();

  constructor(seed: number, partitions: number, plan: EpochsPlan = countsPlan()) {
    this.sim = new Simulation(seed);
    this.network = new SimNetwork(this.sim);
    this.plan = plan;
    this.topic = must(plan.sources[0], () => 'a source').topic;
    this.log.createTopic(this.topic, partitions);
    for (let index = 0; index < partitions; index++) this.times.push([]);
    this.meta.watcher = {
      jobChanged: () => undefined,
      laneWritten: () => undefined,
      ownershipRead: () => undefined,
      epochsChanged: (head, plans, before) => this.#checkChange(head, plans, before),
    };
  }

  lane(index: number): LaneId {
    return laneId({ source: 'events', topicId: this.log.topic(this.topic).id, partition: partition(index) });
  }

  /** Appends records of these event times (ms) as one batch. */
  append(index: number, times: readonly number[]): void {
    while (this.times.length <= index) this.times.push([]);
    this.times[index]?.push(...times);
    this.log.append(
      this.topic,
      index,
      times.map((timestampMs) => ({ key: null, value: Uint8Array.of(1), timestampMs })),
    );
  }

  addPartition(): void {
    this.log.addPartition(this.topic);
    this.times.push([]);
  }

  get head(): EpochHead {
    return must(this.meta.head(JOB, this.run), () => 'no head');
  }

  /** A new leader; the former one may go on in the dark. */
  lead(changes: Partial<EpochParts> = {}, begin?: RunBegin): Master {
    this.#token += 1;
    const former = this.master;
    const master = new Master(this, this.#token as Fence, changes, begin ?? null);
    this.master = master;
    this.leader = master;
    master.coordinator.open();
    for (const worker of this.workers.values()) if (former === null || !worker.node.dead) worker.connect(master);
    return master;
  }

  addWorker(name: string, script: Partial<WorkerScript> = {}, threads = 1): ScriptedWorker {
    const worker = new ScriptedWorker(this, workerId(name), threads, script);
    this.workers.set(worker.id, worker);
    if (this.leader !== null) worker.connect(this.leader);
    return worker;
  }

  /** The process is gone; its writes under way still arrive. */
  kill(worker: ScriptedWorker): void {
    worker.node.dead = true;
    this.workers.delete(worker.id);
    this.leader?.detach(worker);
  }

  async until(done: () => boolean, limitMs = 60_000): Promise<void> {
    const end = this.sim.now + limitMs;
    await this.sim.run(end, done);
    if (this.sim.violation !== null) throw this.sim.violation;
    if (!done()) throw new Error(`not done after ${limitMs} ms: ${JSON.stringify(this.master?.coordinator.view())}`);
  }

  async pass(ms: number): Promise<void> {
    await this.sim.run(this.sim.now + ms);
    if (this.sim.violation !== null) throw this.sim.violation;
  }

  async settle<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | null = null;
    promise.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    );
    await this.until(() => outcome !== null, limitMs);
    const settled = outcome as { readonly value: T } | { readonly error: unknown } | null;
    if (settled === null) throw new Error('not settled');
    if ('error' in settled) throw settled.error;
    return settled.value;
  }

  /** Records of all partitions are committed. */
  allRead(): boolean {
    const head = this.meta.head(JOB, this.run);
    if (head === undefined || head.committed !== head.planned) return false;
    return this.times.every((times, index) => head.positions[this.lane(index)] === times.length);
  }

  fail(message: string): void {
    this.sim.fail(message);
  }

  /** Epochs planned after this one are not of the history that counts. */
  forgetAfter(epoch: number): void {
    this.#counts.splice(epoch + 1 - this.firstPlan);
    for (const planned of this.plans.keys()) if (planned > epoch) this.plans.delete(planned);
  }

  /** Another run begins; with `empty` it counts from the start again. */
  beginRun(run: number, empty = false): void {
    this.run = runOf(run);
    if (!empty) return;
    this.plans.clear();
    this.#counts.splice(0);
    this.#writeTimes.clear();
    this.table.clear();
  }

  /** Exact counts of all that was ever appended. */
  logCounts(): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const [index, times] of this.times.entries())
      for (const at of times.keys()) counts.set(groupOf(index, at), (counts.get(groupOf(index, at)) ?? 0) + 1);
    return counts;
  }

  records(): number {
    return this.times.reduce((sum, times) => sum + times.length, 0);
  }

  /** Workers of the assignment that an order names. */
  members(order: EpochRun): string[] {
    for (const worker of this.workers.values())
      for (const { assignment } of worker.prepares)
        if (assignment.version === order.assignmentVersion) return assignment.workers.map(({ id }) => id);
    return [];
  }

  /** Exact counts of the plans up to an epoch. */
  counts(to: number): ReadonlyMap<number, number> {
    return this.#counts[to - this.firstPlan] ?? new Map<number, number>();
  }

  /** A worker's row reaches the table; the later time wins, as in Cassandra. */
  write(group: number, row: Row, writer: string, epoch: number): void {
    const key = `${epoch}@${row.ts}`;
    const other = this.#writeTimes.get(key);
    if (other !== undefined && other !== writer)
      this.fail(`write time ${row.ts} of epoch ${epoch}: ${other}, ${writer}`);
    this.#writeTimes.set(key, writer);
    const before = this.table.get(group);
    if (before === undefined || row.ts >= before.ts) this.table.set(group, row);
  }

  #checkChange(head: EpochHead, plans: readonly EpochPlan[], before: EpochHead | undefined): void {
    if (head.run > this.run) this.run = head.run;
    if (head.run !== this.run) return;
    if (before !== undefined) {
      if (head.committed < before.committed)
        this.fail(`committed went back from ${before.committed} to ${head.committed}`);
      if (head.fence < before.fence) this.fail('an older leader changed the head');
      if (head.planned > before.planned + 1) this.fail(`planned jumped from ${before.planned} to ${head.planned}`);
      for (const [lane, position] of Object.entries(before.positions))
        if ((head.positions[lane as LaneId] ?? 0) < position) this.fail(`position of ${lane} went back`);
    }
    for (const plan of plans) {
      if (this.plans.has(plan.epoch)) this.fail(`epoch ${plan.epoch} was planned twice`);
      this.#checkPlan(plan, before);
      if (this.plans.size === 0) this.firstPlan = plan.epoch;
      this.plans.set(plan.epoch, plan);
      const counts = new Map(this.#counts.at(-1) ?? []);
      addRanges(counts, plan);
      this.#counts.push(counts);
    }
    for (let epoch = (before?.committed ?? head.committed) + 1; epoch <= head.committed; epoch++)
      this.commits.push({ epoch, at: this.sim.now, token: head.fence });
    if (before !== undefined && head.committed > before.committed) this.#checkTable(head.committed);
  }

  #checkPlan(plan: EpochPlan, before: EpochHead | undefined): void {
    const last = this.plans.get(plan.epoch - 1);
    if (last !== undefined && plan.epochTsUs < last.epochTsUs + 1024)
      this.fail(`time of epoch ${plan.epoch} is too small`);
    if (last !== undefined && plan.lateUs !== last.evictUs)
      this.fail(`epoch ${plan.epoch} judges lateness by another watermark`);
    const before0 = plan.lateUs ?? Number.NEGATIVE_INFINITY;
    if ((plan.evictUs ?? Number.NEGATIVE_INFINITY) < before0) this.fail('the watermark went back');
    for (const [lane, { from, to }] of Object.entries(plan.ranges) as [LaneId, OffsetRange][]) {
      if (before !== undefined && before.positions[lane] !== from)
        this.fail(`epoch ${plan.epoch} leaves a gap in ${lane}`);
      if (to <= from) this.fail('an empty range');
    }
  }

  /** Every row of a committed epoch is there, none older. */
  #checkTable(committed: number): void {
    const exact = this.counts(committed);
    for (const [group, count] of exact) {
      const row = this.table.get(group);
      if (row === undefined || row.count < count)
        this.fail(`group ${group} shows ${row?.count} of ${count} at ${committed}`);
    }
  }
}

function addRanges(counts: Map<number, number>, plan: EpochPlan): Set<number> {
  const touched = new Set<number>();
  for (const [lane, { from, to }] of Object.entries(plan.ranges) as [LaneId, OffsetRange][]) {
    const index = Number(lane.split('/')[2]);
    for (let at: number = from; at < to; at++) {
      const group = groupOf(index, at);
      counts.set(group, (counts.get(group) ?? 0) + 1);
      touched.add(group);
    }
  }
  return touched;
}

function groupOf(lane: number, at: number): number {
  return (lane * 37 + at * 11) % GROUPS;
}

/** What a scripted worker connects to. */
export interface Leader {
  readonly node: SimNode;
  attach(worker: ScriptedWorker, pair: StreamPair<EpochReport, EpochOrder>): void;
  detach(worker: ScriptedWorker): void;
}

/** One master process with a coordinator of one run. */
export class Master implements Leader {
  readonly node: SimNode;
  readonly coordinator: EpochCoordinator;
  readonly changes: EpochChange[] = [];
  readonly world: EpochWorld;
  readonly #streams = new Map<
    WorkerId,
    { readonly pair: StreamPair<EpochReport, EpochOrder>; readonly session: number }
  >();
  readonly #draining = new Set<WorkerId>();
  #sessions = 0;

  constructor(world: EpochWorld, token: Fence, changes: Partial<EpochParts>, begin: RunBegin | null) {
    this.world = world;
    this.node = world.sim.node(`master-${token}`);
    const store = new SimMetaStore(world.sim, world.network, world.meta, this.node, { hideFormerOwners: false });
    const source = new SimSource(world.sim, world.network, world.log, this.node);
    this.coordinator = new EpochCoordinator({
      store,
      blobs: new SimBlobStore(world.sim, world.network, world.blobs, this.node, world.sim.rng.fork(`blobs ${token}`)),
      clock: world.sim.clock(this.node),
      rng: world.sim.rng.fork(`master ${token}`),
      log: silent,
      failpoints: noFailpoints,
      job: JOB,
      run: world.run,
      definition: 'definition',
      plan: world.plan,
      token,
      begin: () => Promise.resolve(begin ?? { kind: 'offsets', at: 'initial', aboveUs: 0 }),
      source: () => source,
      tables: () => {
        throw new Error('no tables in this world');
      },
      send: (worker, order) => {
        this.#checkOrder(order);
        this.#streams.get(worker)?.pair.server.send(order);
      },
      turns: new MoveTurns(world.sim.clock(this.node)),
      attempts: new Map<Epoch, number>(),
      onChange: (change) => this.changes.push(change),
      ...changes,
    });
  }

  /** A leader that is still one begins no attempt of an epoch that is committed, whether it knows or not. */
  #checkOrder({ runEpoch, token }: EpochOrder): void {
    const head = this.world.meta.head(JOB, this.world.run);
    if (!runEpoch || head === undefined || head.fence !== token) return;
    const { epoch } = JSON.parse(runEpoch.plan) as EpochPlan;
    if (epoch <= head.committed) this.world.fail(`attempt ${runEpoch.attempt} of the committed epoch ${epoch} begins`);
  }

  attach(worker: ScriptedWorker, pair: StreamPair<EpochReport, EpochOrder>): void {
    this.#sessions += 1;
    this.#streams.set(worker.id, { pair, session: this.#sessions });
    pair.server.onMessage((report) => this.coordinator.hear(worker.id, report));
    pair.server.onClose(() => {
      if (this.#streams.get(worker.id)?.pair !== pair) return;
      this.#streams.delete(worker.id);
      this.#tell();
    });
    this.#tell();
  }

  detach(worker: ScriptedWorker): void {
    this.#streams.get(worker.id)?.pair.server.close();
    this.#streams.delete(worker.id);
    this.#tell();
  }

  drain(worker: ScriptedWorker): void {
    this.#draining.add(worker.id);
    this.#tell();
  }

  #tell(): void {
    this.coordinator.setWorkers(
      [...this.#streams].map(([id, { session }]) => ({
        id,
        address: `${id}:1`,
        threads: this.world.workers.get(id)?.threads ?? 1,
        draining: this.#draining.has(id),
        session,
      })),
    );
  }
}

interface GroupState {
  epoch: number;
  count: number;
  dirty: boolean;
  /** What the group held after each epoch folded here: later attempts send it again. */
  readonly kept: Map<number, number>;
}

export class ScriptedWorker {
  readonly id: WorkerId;
  readonly threads: number;
  readonly node: SimNode;
  readonly script: WorkerScript;
  readonly world: EpochWorld;
  readonly groups = new Map<number, GroupState>();
  /** Groups brought back from a snapshot or by replay. */
  restored = 0;
  /** Asks to be let go. */
  leaving = false;
  readonly prepares: {
    readonly assignment: EpochAssignment;
    readonly head: EpochHead;
    readonly token: number;
    readonly execution: number;
  }[] = [];
  readonly stops: string[] = [];
  #stream: StreamPair<EpochReport, EpochOrder> | null = null;
  #master: Leader | null = null;
  #closed = true;
  #token = 0;
  #run: Run = runOf(0);
  #queue: Promise<void> = Promise.resolve();
  #assignments = new Map<number, EpochAssignment>();
  #newest: EpochAssignment | null = null;
  #head: EpochHead | null = null;
  readonly #reported = new Map<LaneId, number>();
  /** Grows with every order; a later attempt makes the former stop. */
  readonly #attempts = new Map<number, number>();

  constructor(world: EpochWorld, id: WorkerId, threads: number, script: Partial<WorkerScript>) {
    this.world = world;
    this.id = id;
    this.threads = threads;
    this.node = world.sim.node(id);
    this.script = {
      mapMs: 1,
      foldMs: 1,
      writeMs: 3,
      restoreMs: 5,
      mute: false,
      repeat: 1,
      trouble: () => null,
      withholds: () => false,
      ...script,
    };
    this.#poll();
  }

  connect(master: Leader): void {
    const pair = this.world.network.stream<EpochReport, EpochOrder>(this.node, master.node);
    this.#stream = pair;
    this.#master = master;
    this.#closed = false;
    pair.client.onClose(() => {
      if (this.#stream === pair) this.#closed = true;
    });
    pair.client.onMessage((order) => this.#take(order));
    master.attach(this, pair);
  }

  /** Connects again if it is not connected to this master. */
  keepConnected(master: Leader): void {
    if (this.#master !== master || this.#closed) this.connect(master);
  }

  /** How a feed does that this worker runs. */
  tellFeed(feed: Partial<EpochFeed> & Pick<EpochFeed, 'source'>): void {
    this.#send(this.#token, { feed: { code: '', message: '', fetched: 0, end: 0, ...feed } });
  }

  /** The connection breaks and comes back: what was under way is lost. */
  reconnect(master: Leader): void {
    this.#stream?.client.close();
    this.connect(master);
  }

  #take(order: EpochOrder): void {
    if (order.token < this.#token) return;
    if (order.token > this.#token || order.run !== this.#run) {
      this.#token = order.token;
      this.#run = order.run as Run;
      this.#attempts.clear();
      this.#reported.clear();
    }
    if (order.stop) {
      this.stops.push(order.stop.reason);
      this.#then(() => {
        this.groups.clear();
        return Promise.resolve();
      });
      this.#newest = null;
      this.#send(order.token, { stopped: {} });
      return;
    }
    if (order.prepare) {
      const assignment = JSON.parse(order.prepare.assignment) as EpochAssignment;
      const head = JSON.parse(order.prepare.head) as EpochHead;
      const { execution } = order.prepare;
      this.prepares.push({ assignment, head, token: order.token, execution });
      this.#assignments.set(assignment.version, assignment);
      this.#newest = assignment;
      this.#head = head;
      this.#reported.clear();
      this.#then(() => this.#prepare(order.token, assignment, head));
      return;
    }
    const run = must(order.runEpoch, () => 'an order');
    const plan = JSON.parse(run.plan) as EpochPlan;
    this.world.orders.push({
      worker: this.id,
      epoch: plan.epoch,
      attempt: run.attempt,
      token: order.token,
      version: run.assignmentVersion,
    });
    if (JSON.stringify(this.world.plans.get(plan.epoch)) !== run.plan)
      this.world.fail(`epoch ${plan.epoch} was ordered before its plan was durable`);
    const before = this.#attempts.get(plan.epoch);
    if (before !== undefined && run.attempt <= before)
      this.world.fail(`attempt ${run.attempt} of ${plan.epoch} came twice`);
    this.#attempts.set(plan.epoch, run.attempt);
    this.#then(() => this.#runEpoch(order.token, run, plan));
  }

  #then(work: () => Promise<void>): void {
    this.#queue = this.#queue.then(work);
  }

  #send(token: number, body: Partial<EpochReport>): void {
    if (this.script.mute) return;
    for (let time = 0; time < this.script.repeat; time++)
      this.#stream?.client.send({ job: JOB, run: this.#run, token, ...body });
  }

  #mine(assignment: EpochAssignment): number[] {
    const index = assignment.workers.findIndex(({ id }) => id === this.id);
    return assignment.groups.flatMap((owner, group) => (owner === index ? [group] : []));
  }

  async #prepare(token: number, assignment: EpochAssignment, head: EpochHead): Promise<void> {
    if (this.#mine(assignment).some((group) => !this.groups.has(group))) await this.#sleep(this.script.restoreMs);
    if (!this.#bring(this.#mine(assignment), head, head.committed)) {
      this.#send(token, {
        trouble: {
          epoch: -1,
          attempt: -1,
          assignmentVersion: assignment.version,
          retry: true,
          code: 'STATE_DAMAGED',
          message: 'a blob is gone',
          peer: '',
        },
      });
      return;
    }
    this.#send(token, { ready: { assignmentVersion: assignment.version, epoch: head.committed } });
  }

  /** Snapshot and replay up to `to`, for groups that are not there yet. */
  #bring(groups: readonly number[], head: EpochHead, to: number): boolean {
    let manifest: ReturnType<typeof decodeManifest> | null = null;
    for (const group of groups) {
      let state = this.groups.get(group);
      if (state === undefined) {
        state = { epoch: -1, count: 0, dirty: false, kept: new Map() };
        if (head.snapshot !== null) {
          const bytes = this.world.blobs.blobs.get(head.snapshot.manifest);
          if (bytes === undefined) return this.#gone(head.snapshot.manifest);
          manifest ??= decodeManifest(bytes);
          state.epoch = head.snapshot.epoch;
          const blob = manifest.groups[`1/${group}`];
          if (blob !== undefined) {
            const stored = this.world.blobs.blobs.get(blob);
            if (stored === undefined) return this.#gone(blob);
            state.count = (JSON.parse(new TextDecoder().decode(stored)) as { count: number }).count;
          }
        }
        this.groups.set(group, state);
        this.restored += 1;
      }
      while (state.epoch < to)
        this.#fold(
          group,
          state,
          must(this.world.plans.get(state.epoch + 1), () => 'a plan'),
        );
    }
    return true;
  }

  #gone(blob: string): false {
    this.world.fail(`${this.id} restores from ${blob}, which was deleted`);
    return false;
  }

  /** True when the epoch brings something to the group. */
  #fold(group: number, state: GroupState, plan: EpochPlan): boolean {
    const counts = new Map<number, number>();
    addRanges(counts, plan);
    const more = counts.get(group) ?? 0;
    state.epoch = plan.epoch;
    state.count += more;
    state.kept.set(plan.epoch, state.count);
    state.kept.delete(plan.epoch - 8);
    if (more > 0) state.dirty = true;
    return more > 0;
  }

  async #runEpoch(token: number, run: EpochRun, plan: EpochPlan): Promise<void> {
    const { epoch } = plan;
    const stale = (): boolean => token !== this.#token || this.#attempts.get(epoch) !== run.attempt;
    if (stale()) return;
    const trouble = this.script.trouble(run, plan);
    if (trouble !== null) {
      const { assignmentVersion, attempt } = run;
      this.#send(token, {
        trouble: { epoch, attempt, assignmentVersion, message: 'scripted', peer: '', ...trouble },
      });
      return;
    }
    const assignment = must(this.#assignments.get(run.assignmentVersion), () => 'an order without a preparation');
    await this.#sleep(this.script.mapMs);
    this.#mapped(token, run, plan, assignment);
    await this.#sleep(this.script.foldMs);
    const groups = this.#mine(assignment);
    if (
      !this.#bring(
        groups,
        must(this.#head, () => 'a head'),
        epoch,
      )
    )
      return;
    await this.#write(token, run, plan, groups);
    // A worker writes on after it was told of another attempt only what is under way; it does not report.
    if (stale()) return;
    const snapshot = run.snapshot && !this.script.withholds();
    const stored = snapshot ? this.#store(groups, run.snapshotAll, epoch, token) : [];
    const index = assignment.workers.findIndex(({ id }) => id === this.id);
    const read = (Object.entries(plan.ranges) as [LaneId, OffsetRange][])
      .filter(([lane]) => assignment.partitions[lane] === index)
      .reduce((sum, [, { from, to }]) => sum + (to - from), 0);
    const rows = groups.length;
    this.#send(token, {
      done: {
        epoch,
        attempt: run.attempt,
        counters: { ...zeroCounters, read, passed: read },
        late: [],
        state: [{ stage: 1, rows, bytes: rows * 8, evicted: 0 }],
        stored,
        snapshot,
      },
    });
  }

  #mapped(token: number, run: EpochRun, plan: EpochPlan, assignment: EpochAssignment): void {
    const index = assignment.workers.findIndex(({ id }) => id === this.id);
    let greatest = Number.MIN_SAFE_INTEGER;
    const sources: string[] = [];
    for (const [lane, { from, to }] of Object.entries(plan.ranges) as [LaneId, OffsetRange][]) {
      if (assignment.partitions[lane] !== index) continue;
      sources.push('events');
      for (const time of this.world.times[Number(lane.split('/')[2])]?.slice(from, to) ?? [])
        greatest = Math.max(greatest, time * 1000);
    }
    this.#send(token, { mapped: { epoch: plan.epoch, attempt: run.attempt, eventTimesUs: [greatest], sources } });
  }

  async #write(token: number, run: EpochRun, plan: EpochPlan, groups: readonly number[]): Promise<void> {
    const touched = addRanges(new Map(), plan);
    const ts = writeTimeUs(plan, token as Fence, run.attempt);
    const writer = `${token}/${run.attempt}`;
    for (const group of groups) {
      if (!touched.has(group)) continue;
      // The row as of this epoch: what was folded ahead is taken off again.
      const count = must(this.groups.get(group)?.kept.get(plan.epoch), () => `group ${group} lost epoch ${plan.epoch}`);
      const row = { ts, count };
      this.world.sim.at(this.script.writeMs * this.world.sim.rng.unit(), null, () =>
        this.world.write(group, row, writer, plan.epoch),
      );
    }
    await this.#sleep(this.script.writeMs);
  }

  #store(
    groups: readonly number[],
    all: boolean,
    epoch: number,
    token: number,
  ): { stage: number; group: number; blob: string; bytes: number }[] {
    return groups.flatMap((group) => {
      const state = must(this.groups.get(group), () => 'a group');
      if (!state.dirty && !(all && state.count > 0)) return [];
      if (state.epoch !== epoch)
        this.world.fail(`${this.id} stores group ${group} of ${state.epoch} for epoch ${epoch}`);
      state.dirty = false;
      const blob = `${JOB}/${this.#run}/${group}/${epoch}/${token}`;
      const bytes = new TextEncoder().encode(JSON.stringify({ epoch, count: state.count }));
      this.world.blobs.put(blob, bytes);
      return [{ stage: 1, group, blob, bytes: bytes.length }];
    });
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.sim.at(ms, this.node, resolve));
  }

  /** Reads ahead of its partitions. */
  #poll(): void {
    this.world.sim.at(4, this.node, () => {
      this.#readAhead();
      this.#poll();
    });
  }

  #readAhead(): void {
    const assignment = this.#newest;
    if (assignment === null) return;
    const index = assignment.workers.findIndex(({ id }) => id === this.id);
    const ends = (Object.entries(assignment.partitions) as [LaneId, number][]).flatMap(([lane, owner]) => {
      if (owner !== index) return [];
      const [source, , partitionText] = lane.split('/');
      const topic = this.world.plan.sources.find(({ name }) => name === source)?.topic ?? this.world.topic;
      const log = this.world.log.partition(topic, Number(partitionText));
      const reported = this.#reported.get(lane);
      if (reported === log.end) return [];
      const fresh = log.visible.filter(({ nextOffset }) => nextOffset > (reported ?? 0));
      this.#reported.set(lane, log.end);
      return [
        {
          lane,
          offsets: fresh.map(({ nextOffset }) => nextOffset),
          timestampsMs: fresh.map(({ maxTimestampMs }) => maxTimestampMs),
          logEnd: log.end,
          code: '',
          message: '',
          recordBytes: 0,
        },
      ];
    });
    if (ends.length > 0) this.#send(this.#token, { ends: { ends } });
  }
}

export const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

/** Failpoints that call a function. */
export function failpoints(hit: Failpoints['hit']): Failpoints {
  return { hit };
}
