/**
 * One simulated life of a cluster: chaos for some seconds of virtual time, then everything heals and the job must finish
 * its work; then what was late arrives, and the tables are held against the log. The seed decides all of it.
 */
import { isWeirError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import type { JobDefinition } from '../../master/coordinator.ts';
import { defaultGenerator } from '../support/generator.ts';
import { Checker } from './checker.ts';
import { MASTER, SimCluster } from './cluster.ts';
import type { FaultKind } from './faults.ts';
import { drawFaults, networkFaults } from './faults.ts';
import type { SimNode } from './kernel.ts';
import { Simulation } from './kernel.ts';
import { breakPrefixRule } from './mutate.ts';
import type { Mutations } from './mutations.ts';
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
  #healed = false;
  #revision = 0;
  #slots = 0;

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
      failpointChance: () => (this.#faults.has('failpoint') && !this.#healed ? 0.01 : 0),
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
    this.#heal();
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
    this.#cluster.startMaster(this.#skew());
    for (let count = this.#script?.workers ?? rng.int(1, 4); count > 0; count--) this.#startWorker();
    this.#changeJob();
    this.#produceAgain();
    for (const kind of this.#faults) this.#again(kind);
    this.#script?.steps({
      cluster: this.#cluster,
      at: (ms, step) => void this.#sim.at(ms, null, step),
      changeJob: () => this.#changeJob(),
    });
  }

  #produceAgain(): void {
    this.#sim.at(this.#rng.unit() * 150, null, () => {
      if (this.#healed) return;
      this.#producer.produce();
      this.#produceAgain();
    });
  }

  #again(kind: FaultKind): void {
    this.#sim.at(200 + this.#rng.unit() * 3000, null, () => {
      if (this.#healed) return;
      this.#strike(kind);
      this.#again(kind);
    });
  }

  #strike(kind: FaultKind): void {
    const rng = this.#rng;
    const cluster = this.#cluster;
    const victim = cluster.workers.length === 0 ? null : rng.pick(cluster.workers);
    switch (kind) {
      case 'workerCrash':
      case 'failpoint':
        if (kind === 'workerCrash' && victim !== null) cluster.crashWorker(victim.slot);
        this.#later(2000, () => this.#startWorker(victim?.slot));
        break;
      case 'workerPause':
        if (victim !== null) this.#sim.pause(victim.node, rng.unit() * 9000);
        break;
      case 'cutMaster':
        if (victim !== null) this.#cut(victim.slot, MASTER);
        break;
      case 'cutServer':
        if (victim !== null) this.#cut(victim.slot, rng.pick([META_SERVER, TABLE_SERVER, LOG_SERVER]));
        break;
      case 'masterCrash':
        cluster.crashMaster();
        this.#later(4000, () => {
          if (cluster.masterNode === null) cluster.startMaster(this.#skew());
        });
        break;
      case 'masterPause':
        if (cluster.masterNode !== null) this.#sim.pause(cluster.masterNode, rng.unit() * 5000);
        this.#later(2500, () => cluster.startMaster(this.#skew()));
        break;
      case 'joinLeave':
        if (victim !== null && rng.chance(0.5)) cluster.leaveWorker(victim.slot);
        else if (cluster.workers.length < 6) this.#startWorker();
        break;
      case 'revision':
        this.#changeJob();
        break;
      case 'stopStart':
        this.#ask((coordinator) => (rng.chance(0.5) ? coordinator.stop(SIM_JOB) : coordinator.cancel(SIM_JOB)));
        this.#later(2000, () => this.#ask((coordinator) => coordinator.start(SIM_JOB)));
        break;
      case 'partitions':
        if (cluster.logServer.topic(SIM_TOPIC).partitions.length < 7) cluster.logServer.addPartition(SIM_TOPIC);
        break;
      case 'clocks':
        if (victim !== null) victim.node.wallSkewMs = this.#skew();
        break;
      case 'loss':
      case 'lateWrites':
      case 'brokenStreams':
        cluster.network.faults = networkFaults(this.#faults, rng);
        break;
    }
  }

  #later(withinMs: number, act: () => void): void {
    this.#sim.at(this.#rng.unit() * withinMs, null, () => {
      if (!this.#healed) act();
    });
  }

  #cut(worker: string, other: string): void {
    const lot = this.#rng.int(0, 3);
    if (lot !== 0) this.#cluster.network.cut(worker, other);
    if (lot !== 1) this.#cluster.network.cut(other, worker);
    this.#later(6000, () => this.#cluster.network.mend(worker, other));
  }

  #skew(): number {
    return this.#faults.has('clocks') ? this.#rng.unit() * 120_000 - 60_000 : 0;
  }

  #startWorker(slot?: string): void {
    if (slot !== undefined && this.#cluster.workers.some((life) => life.slot === slot)) return;
    this.#cluster.startWorker(slot ?? `w${this.#slots++}`, this.#skew());
  }

  /** People change the job: a new revision, which is a new run. */
  #changeJob(): void {
    const revision = ++this.#revision;
    const text = JSON.stringify({
      formatVersion: 1,
      source: `revision ${revision}`,
      plan: simPlan({ rev: revision, onDataLoss: 'fail' }),
    });
    const definition: JobDefinition = {
      name: SIM_JOB,
      hash: `hash-${revision}`,
      text,
      plan: simPlan({ rev: revision, onDataLoss: 'fail' }),
    };
    this.#checker.revs.set(definition.hash, revision);
    this.#ask((coordinator) => coordinator.apply(definition), revision === 1);
  }

  /** Somebody asks the master for something, and again when `mustWork` and it could not. */
  #ask(question: (coordinator: NonNullable<SimCluster['coordinator']>) => Promise<unknown>, mustWork = false): void {
    const { coordinator, masterNode } = this.#cluster;
    const again = (): void => {
      if (mustWork) this.#sim.at(100, null, () => this.#ask(question, true));
    };
    if (coordinator === null || masterNode === null) {
      again();
      return;
    }
    const ask = async (): Promise<void> => {
      try {
        await question(coordinator);
      } catch (error) {
        if (!isWeirError(error)) throw error;
        again();
      }
    };
    this.#sim.at(0, masterNode, () => void ask());
    // The master may end before it answers.
    if (mustWork) this.#sim.at(3000, null, () => this.#cluster.metaServer.job(SIM_JOB) ?? this.#ask(question, true));
  }

  /** Everything works from here on; whatever people stopped is started again. */
  #heal(): void {
    this.#healed = true;
    this.#cluster.heal();
    for (const { node } of this.#cluster.workers) node.wallSkewMs = 0;
    const start = (): void => {
      const state = this.#cluster.metaServer.job(SIM_JOB)?.state;
      if (state !== 'running' && state !== 'starting') this.#ask((coordinator) => coordinator.start(SIM_JOB));
      if (this.#sim.now < this.#chaosMs + SETTLE_LIMIT_MS) this.#sim.at(500, null, start);
    };
    start();
  }
}

/** Lines with virtual time in front. */
export function simLog(
  sim: Simulation,
  print: (line: string) => void,
  base: Readonly<Record<string, unknown>> = {},
): Log {
  const write =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      const { err, ...rest } = { ...base, ...fields };
      const cause = err instanceof Error ? ` ${err.stack ?? err.message}` : '';
      print(`${sim.now.toFixed(1).padStart(9)} ${level.padEnd(5)} ${message} ${JSON.stringify(rest)}${cause}`);
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => simLog(sim, print, { ...base, ...fields }),
  };
}
