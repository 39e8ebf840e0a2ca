/**
 * One simulated life of a cluster with stateful jobs: chaos for some seconds of virtual time, then everything heals and
 * every epoch must come through; then what was late arrives, and every table is held against all that was produced.
 */
import { isWeirError } from '../../../core/errors.ts';
import type { EpochHead } from '../../../core/epoch/types.ts';
import { blobsOf, decodeManifest } from '../../../core/epoch/manifest.ts';
import { MASTER, SimCluster } from '../cluster.ts';
import { networkFaults } from '../faults.ts';
import { Simulation } from '../kernel.ts';
import type { SimRng } from '../rng.ts';
import { simLog } from '../run.ts';
import { BLOB_SERVER } from '../sim-blobs.ts';
import { LOG_SERVER } from '../sim-log.ts';
import { META_SERVER } from '../sim-meta-store.ts';
import { TABLE_SERVER } from '../sim-tables.ts';
import { EpochChecker } from './checker.ts';
import type { EpochFaultKind } from './faults.ts';
import { drawEpochFaults } from './faults.ts';
import type { JobVariant, SimEpochJob } from './jobs.ts';
import { definitionOf, jobNameOf, plainVariant, simEpochJobs } from './jobs.ts';
import type { EpochMutation } from './mutations.ts';
import { clusterMutations } from './mutations.ts';
import { EVENTS, EpochProducer, MARKS } from './producer.ts';

export interface EpochRunOptions {
  /** Names of jobs; default: some, drawn from the seed. */
  readonly jobs?: readonly string[];
  readonly faults?: ReadonlySet<EpochFaultKind>;
  /** Its mechanism has been taken away by `mutate`. */
  readonly mutation?: EpochMutation;
  readonly print?: (line: string) => void;
}

export interface EpochRunResult {
  readonly seed: number;
  readonly violation: string | null;
  readonly faults: readonly EpochFaultKind[];
  readonly jobs: readonly string[];
  readonly traceHash: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly commits: number;
  readonly runs: number;
  readonly rowsSent: number;
  readonly records: number;
  /** Virtual ms from the healing until everything was committed. */
  readonly settledMs: number;
}

const SETTLE_LIMIT_MS = 30_000;
const LATEST_ARRIVAL_MS = 15_000;
const EVENTS_MAX = 600_000;
/** Ahead of everything by more than any watermark's delay, gap and bound together. */
const FINISH_AHEAD_MS = 120_000;
/** What is farther back than this from the last record is final. */
const FINAL_MS = 60_000;

/** Rows come out of order by 2 s, and a reader that is cut off is noticed within as much again. */
const DELAY_MS = 6000;
/** Partitions are found within seconds once a master looks. */
const NEW_PARTITION_DELAY_MS = 25_000;

export async function simulateEpochs(seed: number, options: EpochRunOptions = {}): Promise<EpochRunResult> {
  return await new EpochScenario(seed, options).run();
}

class EpochScenario {
  readonly #seed: number;
  readonly #sim: Simulation;
  readonly #rng: SimRng;
  readonly #faults: ReadonlySet<EpochFaultKind>;
  readonly #jobs: readonly SimEpochJob[];
  readonly #cluster: SimCluster;
  readonly #producer: EpochProducer;
  readonly #checker: EpochChecker;
  readonly #chaosMs: number;
  #healed = false;
  #slots = 0;
  #revisions = 0;
  readonly #savepoints: { readonly job: SimEpochJob; readonly name: string }[] = [];
  readonly #delayMs: number;
  /** Manifest of the snapshot that was named last. */
  #newest = '';

  constructor(seed: number, options: EpochRunOptions) {
    this.#seed = seed;
    this.#sim = new Simulation(seed);
    this.#rng = this.#sim.rng.fork('epoch scenario');
    const drawn = drawEpochFaults(this.#rng);
    this.#faults = options.faults ?? drawn;
    this.#delayMs = this.#faults.has('partitions') ? NEW_PARTITION_DELAY_MS : DELAY_MS;
    const first = this.#rng.int(0, simEpochJobs.length);
    this.#jobs = simEpochJobs.filter(({ name }, index) => options.jobs?.includes(name) ?? index === first);
    this.#chaosMs = this.#rng.int(2500, 7500);
    this.#cluster = new SimCluster(this.#sim, {
      mutations: clusterMutations(options.mutation),
      engine: 'real',
      log: simLog(this.#sim, options.print ?? ((): void => undefined)),
      failpointChance: () => (this.#faults.has('failpoint') && !this.#healed ? 0.01 : 0),
    });
    const { logServer, metaServer, tableServer } = this.#cluster;
    this.#producer = new EpochProducer(this.#sim, logServer, this.#rng.int(1, 4));
    this.#checker = new EpochChecker(this.#sim, metaServer, tableServer, this.#producer, this.#jobs);
    this.#checker.onHead = (head) => this.#repair(head);
  }

  async run(): Promise<EpochRunResult> {
    const sim = this.#sim;
    this.#begin();
    await sim.run(this.#chaosMs, undefined, EVENTS_MAX);
    const healedAt = sim.now;
    this.#heal();
    let settledMs = 0;
    const unfinished = (): string | null => this.#checker.unfinished(this.#ends());
    if (sim.violation === null) {
      await sim.run(healedAt + SETTLE_LIMIT_MS, () => unfinished() === null, EVENTS_MAX);
      settledMs = sim.now - healedAt;
      const what = unfinished();
      if (what !== null) sim.fail(`${SETTLE_LIMIT_MS} ms after everything was healed: ${what}`);
    }
    if (sim.violation === null) {
      const lastMs = this.#producer.finish(FINISH_AHEAD_MS);
      await sim.run(Math.max(sim.now, healedAt) + LATEST_ARRIVAL_MS, undefined, EVENTS_MAX);
      const what = unfinished();
      if (what !== null && sim.violation === null) sim.fail(`all was done, and then: ${what}`);
      if (sim.violation === null) this.#checker.checkTables(lastMs - FINAL_MS);
    }
    const { events, now, traceHash, violation } = sim;
    return {
      seed: this.#seed,
      violation: violation?.message ?? null,
      faults: [...this.#faults],
      jobs: this.#jobs.map(({ name }) => name),
      traceHash,
      events,
      virtualMs: now,
      commits: this.#checker.commits,
      runs: this.#checker.runs,
      rowsSent: this.#checker.writes,
      records: this.#producer.records.length,
      settledMs,
    };
  }

  #ends(): ReadonlyMap<string, number> {
    const { logServer } = this.#cluster;
    return new Map(
      [EVENTS, MARKS].flatMap((topic) =>
        [...logServer.topic(topic).partitions.keys()].map(
          (index) => [`${topic}/${index}`, logServer.lastStableOffset(topic, index)] as const,
        ),
      ),
    );
  }

  // ------------------------------------------------------------------------------------------------- what happens

  #begin(): void {
    const rng = this.#rng;
    if (this.#faults.has('backlog')) this.#producer.backlog();
    for (let count = rng.int(0, 20); count > 0; count--) this.#producer.produce();
    this.#cluster.network.faults = networkFaults(this.#faults, rng);
    this.#cluster.startMaster(this.#skew());
    if (rng.chance(0.4)) this.#cluster.startMaster(this.#skew());
    for (let count = rng.int(1, 4); count > 0; count--) this.#startWorker();
    for (const job of this.#jobs) this.#apply(job, plainVariant, job);
    this.#produceAgain();
    for (const kind of this.#faults) this.#again(kind);
  }

  #produceAgain(): void {
    this.#sim.at(this.#rng.unit() * 200, null, () => {
      if (this.#healed) return;
      this.#producer.produce();
      this.#produceAgain();
    });
  }

  #again(kind: EpochFaultKind): void {
    this.#sim.at(200 + this.#rng.unit() * 3000, null, () => {
      if (this.#healed) return;
      this.#strike(kind);
      this.#again(kind);
    });
  }

  #strike(kind: EpochFaultKind): void {
    const rng = this.#rng;
    const cluster = this.#cluster;
    const victim = cluster.workers.length === 0 ? null : rng.pick(cluster.workers);
    switch (kind) {
      case 'workerCrash':
      case 'failpoint':
        if (kind === 'workerCrash' && victim !== null) cluster.crashWorker(victim.slot);
        this.#later(2000, () => {
          this.#startWorker(victim?.slot);
          if (cluster.masterNode === null) cluster.startMaster(this.#skew());
        });
        break;
      case 'workerPause':
        if (victim !== null) this.#sim.pause(victim.node, rng.unit() * 9000);
        break;
      case 'cutMaster':
        if (victim !== null) this.#cut(victim.slot, MASTER);
        break;
      case 'cutServer':
        if (victim !== null)
          this.#cut(victim.slot, rng.pick([META_SERVER, TABLE_SERVER, LOG_SERVER, BLOB_SERVER, ...this.#slotNames()]));
        break;
      case 'masterCrash':
        cluster.crashMaster();
        this.#later(4000, () => cluster.startMaster(this.#skew()));
        break;
      case 'masterPause':
        if (cluster.masterNode !== null) this.#sim.pause(cluster.masterNode, rng.unit() * 5000);
        this.#later(2500, () => cluster.startMaster(this.#skew()));
        break;
      case 'joinLeave':
        if (victim !== null && rng.chance(0.5)) cluster.leaveWorker(victim.slot);
        else if (cluster.workers.length < 6) this.#startWorker();
        break;
      case 'stopStart': {
        const job = rng.pick(this.#jobs);
        const name = jobNameOf(job);
        this.#ask((coordinator) => (rng.chance(0.5) ? coordinator.stop(name) : coordinator.cancel(name)));
        this.#later(2000, () => this.#ask((coordinator) => coordinator.start(name)));
        break;
      }
      case 'clocks':
        if (victim !== null) victim.node.wallSkewMs = this.#skew();
        break;
      case 'loss':
      case 'lateWrites':
      case 'brokenStreams':
        cluster.network.faults = networkFaults(this.#faults, rng);
        break;
      case 'revision': {
        const job = rng.pick(this.#jobs);
        if (rng.chance(0.2)) this.#ask((coordinator) => coordinator.rollback(jobNameOf(job)));
        else this.#apply(job, { more: job.name === 'agg' && rng.chance(0.5), longer: rng.chance(0.5) });
        break;
      }
      case 'partitions': {
        const topic = rng.pick([EVENTS, MARKS]);
        if (cluster.logServer.topic(topic).partitions.length < 6) cluster.logServer.addPartition(topic);
        break;
      }
      case 'damage':
        this.#damage();
        if (victim !== null) {
          cluster.crashWorker(victim.slot);
          this.#later(2000, () => this.#startWorker(victim.slot));
        }
        break;
      case 'savepoint':
        this.#savepoint();
        break;
      case 'backlog':
        break;
    }
  }

  #apply(job: SimEpochJob, variant: JobVariant, until?: SimEpochJob): void {
    const definition = definitionOf(job, ++this.#revisions, this.#delayMs, variant);
    this.#ask((coordinator) => coordinator.apply(definition), until);
  }

  /** A blob that the newest snapshot alone names fails its checksum. */
  #damage(): void {
    const { metaServer, blobServer } = this.#cluster;
    // One at a time: of two snapshots one is whole.
    if (blobServer.isDamaged) return;
    const name = jobNameOf(this.#rng.pick(this.#jobs));
    const row = metaServer.job(name);
    const head = row === undefined ? undefined : metaServer.head(name, row.run);
    if (head === undefined || head.snapshot === null || head.snapshot.manifest === head.base?.manifest) return;
    const named = (manifest: string): string[] => {
      const bytes = blobServer.get(manifest);
      return bytes === undefined ? [] : [...blobsOf(manifest, decodeManifest(bytes))];
    };
    const former = head.formerSnapshot ?? head.base;
    const kept = new Set(former === null ? [] : named(former.manifest));
    const own = named(head.snapshot.manifest).filter((blob) => !kept.has(blob));
    if (own.length > 0) blobServer.damage(this.#rng.chance(0.3) ? head.snapshot.manifest : this.#rng.pick(own));
  }

  /** Damage lasts until the next snapshot, which would name the damaged blob too, or the next run. */
  #repair({ snapshot, base }: EpochHead): void {
    if (snapshot?.manifest === this.#newest && base === null) return;
    this.#newest = snapshot?.manifest ?? '';
    this.#cluster.blobServer.repair();
  }

  #savepoint(): void {
    const rng = this.#rng;
    const known = this.#savepoints.length === 0 ? null : rng.pick(this.#savepoints);
    if (known === null || rng.chance(0.5)) {
      const job = rng.pick(this.#jobs);
      const name = `s${this.#savepoints.length}`;
      this.#savepoints.push({ job, name });
      this.#ask((coordinator) => coordinator.createSavepoint(jobNameOf(job), name));
    } else if (rng.chance(0.3))
      this.#ask((coordinator) => coordinator.deleteSavepoint(jobNameOf(known.job), known.name));
    else {
      const definition = definitionOf(known.job, ++this.#revisions, this.#delayMs);
      this.#ask((coordinator) => coordinator.apply(definition, { start: { savepoint: known.name } }));
    }
  }

  #slotNames(): string[] {
    return this.#cluster.workers.map(({ slot }) => slot);
  }

  #later(withinMs: number, act: () => void): void {
    this.#sim.at(this.#rng.unit() * withinMs, null, () => {
      if (!this.#healed) act();
    });
  }

  #cut(worker: string, other: string): void {
    if (worker === other) return;
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

  /** Somebody asks the master for something; with a job, again and again until the job is there. */
  #ask(question: (coordinator: NonNullable<SimCluster['coordinator']>) => Promise<unknown>, until?: SimEpochJob): void {
    const { coordinator, masterNode } = this.#cluster;
    const isThere = (): boolean => until !== undefined && this.#cluster.metaServer.job(jobNameOf(until)) !== undefined;
    if (until !== undefined)
      this.#sim.at(500, null, () => {
        if (!isThere()) this.#ask(question, until);
      });
    if (coordinator === null || masterNode === null) return;
    const ask = async (): Promise<void> => {
      try {
        await question(coordinator);
      } catch (error) {
        if (!isWeirError(error)) throw error;
      }
    };
    this.#sim.at(0, masterNode, () => void ask());
  }

  /** Everything works from here on; whatever people stopped is started again. */
  #heal(): void {
    this.#healed = true;
    this.#cluster.heal();
    for (const { node } of this.#cluster.workers) node.wallSkewMs = 0;
    const { masterNode } = this.#cluster;
    if (masterNode !== null) masterNode.wallSkewMs = 0;
    const start = (): void => {
      for (const job of this.#jobs) {
        const state = this.#cluster.metaServer.job(jobNameOf(job))?.state;
        if (state !== undefined && state !== 'running' && state !== 'starting')
          this.#ask((coordinator) => coordinator.start(jobNameOf(job)));
      }
      if (this.#sim.now < this.#chaosMs + SETTLE_LIMIT_MS) this.#sim.at(500, null, start);
    };
    start();
  }
}
