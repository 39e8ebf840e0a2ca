/**
 * What befalls the processes of a simulated cluster until it is healed, whatever runs on it; and people who ask its
 * masters for something. The seed decides all of it.
 */
import { isWeirError } from '../../core/errors.ts';
import type { JobName } from '../../core/ids.ts';
import type { Coordinator } from '../../master/coordinator.ts';
import { MASTER } from './cluster.ts';
import type { SimCluster, WorkerLife } from './cluster.ts';
import { networkFaults } from './faults.ts';
import type { Simulation } from './kernel.ts';
import type { SimRng } from './rng.ts';

const WORKERS_MAX = 6;

export interface ChaosParts {
  readonly sim: Simulation;
  readonly rng: SimRng;
  readonly cluster: SimCluster;
  readonly faults: ReadonlySet<string>;
  /** What a worker may be cut off from, besides the master. */
  readonly others: () => readonly string[];
  readonly jobs: readonly JobName[];
}

export class Chaos {
  /** Everything works from here on. */
  healed = false;
  readonly #parts: ChaosParts;
  #slots = 0;

  constructor(parts: ChaosParts) {
    this.#parts = parts;
  }

  /** Strikes again and again, each kind at times of its own. */
  begin<Kind extends string>(kinds: ReadonlySet<Kind>, strike: (kind: Kind) => void): void {
    for (const kind of kinds) this.#again(kind, strike);
  }

  #again<Kind extends string>(kind: Kind, strike: (kind: Kind) => void): void {
    const { sim, rng } = this.#parts;
    sim.at(200 + rng.unit() * 3000, null, () => {
      if (this.healed) return;
      strike(kind);
      this.#again(kind, strike);
    });
  }

  /** Some worker, if there is one. */
  victim(): WorkerLife | null {
    const { rng, cluster } = this.#parts;
    return cluster.workers.length === 0 ? null : rng.pick(cluster.workers);
  }

  /** Kinds that befall processes and their network; false for any other. */
  strike(kind: string): boolean {
    const { sim, rng, cluster, faults } = this.#parts;
    switch (kind) {
      case 'workerCrash': {
        const victim = this.victim();
        if (victim !== null) this.crash(victim);
        else this.later(2000, () => this.startWorker());
        return true;
      }
      case 'failpoint':
        // A failpoint may have ended any process.
        this.later(2000, () => {
          if (cluster.workers.length === 0 || rng.chance(0.5)) this.startWorker();
          if (cluster.masterNode === null) cluster.startMaster(this.skew());
        });
        return true;
      case 'workerPause': {
        const victim = this.victim();
        if (victim !== null) sim.pause(victim.node, rng.unit() * 9000);
        return true;
      }
      case 'cutMaster': {
        const victim = this.victim();
        if (victim !== null) this.#cut(victim.slot, MASTER);
        return true;
      }
      case 'cutServer': {
        const victim = this.victim();
        if (victim !== null) this.#cut(victim.slot, rng.pick(this.#parts.others()));
        return true;
      }
      case 'masterCrash':
        cluster.crashMaster();
        this.later(4000, () => {
          // Now and then beside one that has taken over.
          if (cluster.masterNode === null || rng.chance(0.3)) cluster.startMaster(this.skew());
        });
        return true;
      case 'masterPause':
        if (cluster.masterNode !== null) sim.pause(cluster.masterNode, rng.unit() * 5000);
        this.later(2500, () => cluster.startMaster(this.skew()));
        return true;
      case 'joinLeave': {
        const victim = this.victim();
        if (victim !== null && rng.chance(0.5)) cluster.leaveWorker(victim.slot);
        else this.startWorker();
        return true;
      }
      case 'noWorkers':
        for (const { slot } of cluster.workers) cluster.crashWorker(slot);
        this.later(3000, () => {
          for (let count = rng.int(1, 4); count > 0; count--) this.startWorker();
        });
        return true;
      case 'stopStart': {
        const job = rng.pick(this.#parts.jobs);
        const cancels = rng.chance(0.5);
        this.ask((coordinator) => (cancels ? coordinator.cancel(job) : coordinator.stop(job)));
        this.later(2000, () => this.ask((coordinator) => coordinator.start(job)));
        return true;
      }
      case 'clocks': {
        const victim = this.victim();
        if (victim !== null) victim.node.wallSkewMs = this.skew();
        return true;
      }
      case 'loss':
      case 'lateWrites':
      case 'brokenStreams':
        cluster.network.faults = networkFaults(faults, rng);
        return true;
      default:
        return false;
    }
  }

  /** The process ends; another of its name is started in a while. */
  crash({ slot }: WorkerLife): void {
    this.#parts.cluster.crashWorker(slot);
    this.later(2000, () => this.startWorker(slot));
  }

  later(withinMs: number, act: () => void): void {
    const { sim, rng } = this.#parts;
    sim.at(rng.unit() * withinMs, null, () => {
      if (!this.healed) act();
    });
  }

  #cut(worker: string, other: string): void {
    if (worker === other) return;
    const { rng, cluster } = this.#parts;
    const lot = rng.int(0, 3);
    if (lot !== 0) cluster.network.cut(worker, other);
    if (lot !== 1) cluster.network.cut(other, worker);
    this.later(6000, () => cluster.network.mend(worker, other));
  }

  /** By how much a process's wall clock is off, ms. */
  skew(): number {
    const { faults, rng } = this.#parts;
    return faults.has('clocks') ? rng.unit() * 120_000 - 60_000 : 0;
  }

  /** Under the name of one that ended, or under a new one; not beyond so many. */
  startWorker(slot?: string): void {
    const { cluster } = this.#parts;
    if (cluster.workers.length >= WORKERS_MAX || cluster.workers.some((life) => life.slot === slot)) return;
    cluster.startWorker(slot ?? `w${this.#slots++}`, this.skew());
  }

  /** Somebody asks the master for something; with `isDone`, again and again until it is. */
  ask(question: (coordinator: Coordinator) => Promise<unknown>, isDone?: () => boolean): void {
    const { sim, cluster } = this.#parts;
    const { coordinator, masterNode } = cluster;
    if (isDone !== undefined)
      sim.at(500, null, () => {
        if (!isDone()) this.ask(question, isDone);
      });
    if (coordinator === null || masterNode === null) return;
    const ask = async (): Promise<void> => {
      try {
        await question(coordinator);
      } catch (error) {
        if (!isWeirError(error)) throw error;
      }
    };
    sim.at(0, masterNode, () => void ask());
  }

  /** Asks for a job until it is there. */
  submit(job: JobName, question: (coordinator: Coordinator) => Promise<unknown>): void {
    this.ask(question, () => this.#parts.cluster.metaServer.job(job) !== undefined);
  }

  /** Everything works from here on, and whatever people stopped is started again for so long, virtual ms. */
  heal(forMs: number): void {
    const { sim, cluster, jobs } = this.#parts;
    this.healed = true;
    cluster.heal();
    for (const { node } of cluster.workers) node.wallSkewMs = 0;
    if (cluster.masterNode !== null) cluster.masterNode.wallSkewMs = 0;
    const until = sim.now + forMs;
    const start = (): void => {
      for (const job of jobs) {
        const state = cluster.metaServer.job(job)?.state;
        if (state !== undefined && state !== 'running' && state !== 'starting')
          this.ask((coordinator) => coordinator.start(job));
      }
      if (sim.now < until) sim.at(500, null, start);
    };
    start();
  }
}
