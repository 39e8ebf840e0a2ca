/**
 * One simulated life of a cluster: chaos for some seconds of virtual time, then everything heals and the job must finish
 * its work; then what was late arrives, and the tables are held against the log. The seed decides all of it.
 */
import type { JobDefinition } from '../../master/job-definition.ts';
import { defaultGenerator } from '../support/generator.ts';
import { Checker } from './checker.ts';
import { Chaos } from './chaos.ts';
import { SimCluster } from './cluster.ts';
import type { FaultKind } from './faults.ts';
import { drawFaults, networkFaults } from './faults.ts';
import type { SimNode } from './kernel.ts';
import { Simulation } from './kernel.ts';
import { breakPrefixRule } from './mutate.ts';
import type { Mutations } from './mutations.ts';
import { simLog } from './print-log.ts';
import { Producer } from './producer.ts';
import type { SimRng } from './rng.ts';
import { SIM_JOB, SIM_TOPIC, simPlan } from './sim-job.ts';
import { LOG_SERVER } from './sim-log.ts';
import { META_SERVER } from './sim-meta-store.ts';
import { TABLE_SERVER } from './sim-tables.ts';

/** A run whose faults are written down instead of drawn. */
export interface Script {
  readonly workers: number;
  readonly partitions: number;
  /** Virtual ms until everything heals. */
  readonly lastsMs: number;
  /** Called once at the start; `at` calls back at a virtual time. */
  readonly steps: (tools: ScriptTools) => void;
}

export interface ScriptTools {
  readonly cluster: SimCluster;
  readonly at: (ms: number, step: () => void) => void;
  /** Submits the next revision of the job. */
  readonly changeJob: () => void;
}

export interface RunOptions {
  readonly script?: Script;
  readonly mutations?: Mutations;
  /** Default: the real one. */
  readonly engine?: 'real' | 'small';
  /** Instead of those drawn from the seed. */
  readonly faults?: ReadonlySet<FaultKind>;
  /** Called with every line the processes log. */
  readonly print?: (line: string) => void;
}

export interface RunResult {
  readonly seed: number;
  /** null = everything held. */
  readonly violation: string | null;
  readonly faults: readonly FaultKind[];
  readonly traceHash: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly commits: number;
  readonly rowsSent: number;
  readonly runs: number;
  /** Virtual ms from the healing until everything was committed. */
  readonly settledMs: number;
  /** See Checker. */
  readonly offsetsBackAtRunChange: number;
  readonly tiesOfDistantRuns: number;
}

/** After the healing all must be committed within this time, virtual ms. */
const SETTLE_LIMIT_MS = 20_000;
/** What was sent before the healing has arrived by then, ms. */
const LATEST_ARRIVAL_MS = 15_000;
const EVENTS_MAX = 400_000;

export async function simulate(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const mend = options.mutations?.commitAnyAck === true ? breakPrefixRule() : (): void => undefined;
  try {
    return await new Scenario(seed, options).run();
  } finally {
    mend();
  }
}

class Scenario {
  readonly #seed: number;
  readonly #sim: Simulation;
  readonly #rng: SimRng;
  readonly #faults: ReadonlySet<FaultKind>;
  readonly #cluster: SimCluster;
  readonly #producer: Producer;
  readonly #checker: Checker;
  readonly #chaosMs: number;
  readonly #script: Script | null;
  readonly #plainRegister: boolean;
  readonly #chaos: Chaos;
  #revision = 0;

  constructor(seed: number, options: RunOptions) {
    this.#seed = seed;
    this.#plainRegister = options.mutations?.lastWriteRegister === true;
    this.#sim = new Simulation(seed);
    this.#rng = this.#sim.rng.fork('scenario');
    const drawn = drawFaults(this.#rng);
    this.#script = options.script ?? null;
    this.#faults = options.faults ?? (this.#script === null ? drawn : new Set());
    this.#chaosMs = this.#script?.lastsMs ?? this.#rng.int(4000, 12_000);
    this.#cluster = new SimCluster(this.#sim, {
      mutations: options.mutations ?? {},
      engine: options.engine ?? 'real',
      log: simLog(this.#sim, options.print ?? ((): void => undefined)),
      failpointChance: () => (this.#faults.has('failpoint') && !this.#chaos.healed ? 0.01 : 0),
    });
    this.#chaos = new Chaos({
      sim: this.#sim,
      rng: this.#rng,
      cluster: this.#cluster,
      faults: this.#faults,
      others: () => [META_SERVER, TABLE_SERVER, LOG_SERVER],
      jobs: [SIM_JOB],
    });
    const { logServer, metaServer, tableServer } = this.#cluster;
    this.#producer = new Producer(
      this.#sim,
      logServer,
      { ...defaultGenerator, seed, badPerMille: 30, nullPerMille: 30 },
      this.#rng.chance(0.5),
    );
    this.#checker = new Checker(this.#sim, logServer, metaServer, tableServer, this.#producer, (node: SimNode) =>
      this.#cluster.workerOf(node),
    );
  }

  async run(): Promise<RunResult> {
    const sim = this.#sim;
    this.#begin();
    await sim.run(this.#chaosMs, undefined, EVENTS_MAX);
    const healedAt = sim.now;
    this.#chaos.heal(SETTLE_LIMIT_MS);
    let settledMs = 0;
    if (sim.violation === null) {
      await sim.run(healedAt + SETTLE_LIMIT_MS, () => this.#checker.unfinished() === null, EVENTS_MAX);
      settledMs = sim.now - healedAt;
      const unfinished = this.#checker.unfinished();
      if (unfinished !== null) sim.fail(`${SETTLE_LIMIT_MS} ms after everything was healed: ${unfinished}`);
    }
    if (sim.violation === null) {
      await sim.run(Math.max(sim.now, healedAt + LATEST_ARRIVAL_MS), undefined, EVENTS_MAX);
      this.#checker.checkOutcome();
      const unfinished = this.#checker.unfinished();
      // A late position may move a plain register back; nobody asks for it before the next owner does.
      if (unfinished !== null && !this.#plainRegister) sim.fail(`all was done, and then: ${unfinished}`);
    }
    return this.#result(settledMs);
  }

  #result(settledMs: number): RunResult {
    const { events, now, traceHash, violation } = this.#sim;
    const { commits, writes, offsetsBackAtRunChange, tiesOfDistantRuns } = this.#checker;
    return {
      seed: this.#seed,
      violation: violation?.message ?? null,
      faults: [...this.#faults],
      traceHash,
      events,
      virtualMs: now,
      commits,
      rowsSent: writes,
      runs: this.#cluster.metaServer.job(SIM_JOB)?.run ?? 0,
      settledMs,
      offsetsBackAtRunChange,
      tiesOfDistantRuns,
    };
  }

  // ------------------------------------------------------------------------------------------------- what happens

  #begin(): void {
    const rng = this.#rng;
    this.#cluster.logServer.createTopic(SIM_TOPIC, this.#script?.partitions ?? rng.int(1, 5));
    for (let count = rng.int(0, 20); count > 0; count--) this.#producer.produce();
    this.#cluster.network.faults = networkFaults(this.#faults, rng);
    this.#cluster.startMaster(this.#chaos.skew());
    for (let count = this.#script?.workers ?? rng.int(1, 4); count > 0; count--) this.#chaos.startWorker();
    this.#changeJob();
    this.#produceAgain();
    this.#chaos.begin(this.#faults, (kind) => this.#strike(kind));
    this.#script?.steps({
      cluster: this.#cluster,
      at: (ms, step) => void this.#sim.at(ms, null, step),
      changeJob: () => this.#changeJob(),
    });
  }

  #produceAgain(): void {
    this.#sim.at(this.#rng.unit() * 150, null, () => {
      if (this.#chaos.healed) return;
      this.#producer.produce();
      this.#produceAgain();
    });
  }

  #strike(kind: FaultKind): void {
    if (this.#chaos.strike(kind)) return;
    const { logServer } = this.#cluster;
    if (kind === 'revision') this.#changeJob();
    else if (kind === 'partitions' && logServer.topic(SIM_TOPIC).partitions.length < 7)
      logServer.addPartition(SIM_TOPIC);
  }

  /** People change the job: a new revision, which is a new run. */
  #changeJob(): void {
    const revision = ++this.#revision;
    const plan = simPlan({ rev: revision, onDataLoss: 'fail' });
    const definition: JobDefinition = {
      name: SIM_JOB,
      hash: `hash-${revision}`,
      text: JSON.stringify({ formatVersion: 1, source: `revision ${revision}`, plan }),
      plan,
    };
    this.#checker.revs.set(definition.hash, revision);
    if (revision === 1) this.#chaos.submit(SIM_JOB, (coordinator) => coordinator.apply(definition));
    else this.#chaos.ask((coordinator) => coordinator.apply(definition));
  }
}
