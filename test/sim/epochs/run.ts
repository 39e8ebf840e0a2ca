/**
 * One simulated life of a cluster with stateful jobs: chaos for some seconds of virtual time, then everything heals and
 * every epoch must come through; then what was late arrives, and every table is held against all that was produced.
 */
import type { EpochHead } from '../../../core/epoch/types.ts';
import { blobsOf, decodeManifest } from '../../../core/epoch/manifest.ts';
import { Chaos } from '../chaos.ts';
import { SimCluster } from '../cluster.ts';
import { networkFaults } from '../faults.ts';
import { Simulation } from '../kernel.ts';
import type { SimRng } from '../rng.ts';
import { simLog } from '../print-log.ts';
import { BLOB_SERVER } from '../sim-blobs.ts';
import { LOG_SERVER } from '../sim-log.ts';
import { META_SERVER } from '../sim-meta-store.ts';
import { SimPlace } from '../sim-place.ts';
import { TABLE_SERVER } from '../sim-tables.ts';
import { EpochChecker } from './checker.ts';
import type { EpochFaultKind } from './faults.ts';
import { drawEpochFaults } from './faults.ts';
import type { JobSettings, JobVariant, SimEpochJob } from './jobs.ts';
import { definitionOf, jobNameOf, NAMES, simEpochJobs, TEAMS, userFunctions } from './jobs.ts';
import type { EpochMutation } from './mutations.ts';
import { clusterMutations } from './mutations.ts';
import { EVENTS, EpochProducer, FED, KEYS, MARKS } from './producer.ts';

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
/** Chance that the place behind the feed does not answer. */
const PLACE_FAILING = 0.1;
/** Partitions are found within seconds once a master looks; a source that nobody reads may seem to be idle for as long. */
const LONG_DELAY_MS = 25_000;
const IDLE_MS = 3000;
/** Less than most batches have. */
const PART_BYTES = 200;
/** Names in the table that the job `look` asks: few, so that groups have records that were told different things. */
const TEAM_COUNT = 5;
/** Chance that the table has no row for a key. */
const WITHOUT_TEAM = 0.15;

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
  readonly #place = new SimPlace();
  readonly #producer: EpochProducer;
  readonly #checker: EpochChecker;
  readonly #chaosMs: number;
  readonly #chaos: Chaos;
  #revisions = 0;
  #renamed = 0;
  readonly #savepoints: { readonly job: SimEpochJob; readonly name: string }[] = [];
  readonly #settings: JobSettings;
  /** Manifest of the snapshot that was named last. */
  #newest = '';

  constructor(seed: number, options: EpochRunOptions) {
    this.#seed = seed;
    this.#sim = new Simulation(seed);
    this.#rng = this.#sim.rng.fork('epoch scenario');
    const drawn = drawEpochFaults(this.#rng);
    this.#faults = options.faults ?? drawn;
    const isIdle = this.#faults.has('idle') && !this.#faults.has('backlog');
    this.#settings = {
      delayMs: isIdle || this.#faults.has('partitions') ? LONG_DELAY_MS : DELAY_MS,
      idleMs: isIdle ? IDLE_MS : null,
      executions: this.#faults.has('executions'),
    };
    const first = this.#rng.int(0, simEpochJobs.length);
    this.#jobs = simEpochJobs.filter(({ name }, index) => options.jobs?.includes(name) ?? index === first);
    this.#chaosMs = this.#rng.int(2500, 7500);
    this.#cluster = new SimCluster(this.#sim, {
      place: this.#place,
      mutations: clusterMutations(options.mutation),
      engine: 'real',
      log: simLog(this.#sim, options.print ?? ((): void => undefined)),
      failpointChance: () => (this.#faults.has('failpoint') && !this.#chaos.healed ? 0.01 : 0),
      loadModule: () => Promise.resolve(userFunctions),
      // Nearly every batch is a part of its range; not where each part would be told something of its own.
      ...(this.#has('tally') && !this.#has('look') ? { taskBytes: PART_BYTES } : {}),
    });
    this.#chaos = new Chaos({
      sim: this.#sim,
      rng: this.#rng,
      cluster: this.#cluster,
      faults: this.#faults,
      others: () => [
        META_SERVER,
        TABLE_SERVER,
        LOG_SERVER,
        BLOB_SERVER,
        ...this.#cluster.workers.map(({ slot }) => slot),
      ],
      jobs: this.#jobs.map(jobNameOf),
    });
    const { logServer, metaServer, tableServer, blobServer } = this.#cluster;
    this.#producer = new EpochProducer(this.#sim, logServer, this.#place, this.#rng.int(1, 4));
    this.#place.failing = () => (this.#chaos.healed ? 0 : PLACE_FAILING);
    this.#checker = new EpochChecker(this.#sim, metaServer, tableServer, blobServer, this.#producer, this.#jobs);
    this.#checker.onHead = (head) => this.#repair(head);
  }

  async run(): Promise<EpochRunResult> {
    const sim = this.#sim;
    this.#begin();
    await sim.run(this.#chaosMs, undefined, EVENTS_MAX);
    const healedAt = sim.now;
    // Executions go on being started to the end.
    this.#chaos.heal(this.#settings.executions ? Infinity : SETTLE_LIMIT_MS);
    let settledMs = 0;
    const unfinished = (): string | null => this.#checker.unfinished(this.#ends());
    if (sim.violation === null) {
      await sim.run(healedAt + SETTLE_LIMIT_MS, () => unfinished() === null, EVENTS_MAX);
      settledMs = sim.now - healedAt;
      const what = unfinished();
      if (what !== null) sim.fail(`${SETTLE_LIMIT_MS} ms after everything was healed: ${what}`);
    }
    if (sim.violation === null) {
      // An execution is over long before a source without records counts as idle.
      const { idleMs, executions } = this.#settings;
      const lastMs = this.#producer.finish(FINISH_AHEAD_MS, idleMs === null || executions ? [EVENTS, MARKS] : [EVENTS]);
      await sim.run(Math.max(sim.now, healedAt) + LATEST_ARRIVAL_MS, undefined, EVENTS_MAX);
      // The next execution may just be starting.
      if (this.#settings.executions) await sim.run(sim.now + SETTLE_LIMIT_MS, () => unfinished() === null, EVENTS_MAX);
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
    const logs = [EVENTS, MARKS].flatMap((topic) =>
      [...logServer.topic(topic).partitions.keys()].map(
        (index) => [`${topic}/${index}`, logServer.lastStableOffset(topic, index)] as const,
      ),
    );
    return new Map([...logs, [`${FED}/0`, this.#place.rows.length]]);
  }

  // ------------------------------------------------------------------------------------------------- what happens

  #begin(): void {
    const rng = this.#rng;
    this.#rename();
    if (this.#has('look')) this.#changeTeams(this.#sim.rng.fork('teams'));
    if (this.#faults.has('backlog')) this.#producer.backlog();
    for (let count = rng.int(0, 20); count > 0; count--) this.#producer.produce();
    this.#cluster.network.faults = networkFaults(this.#faults, rng);
    this.#cluster.startMaster(this.#chaos.skew());
    if (rng.chance(0.4)) this.#cluster.startMaster(this.#chaos.skew());
    for (let count = rng.int(1, 4); count > 0; count--) this.#chaos.startWorker();
    for (const job of this.#jobs) {
      const definition = definitionOf(job, ++this.#revisions, this.#settings);
      this.#chaos.submit(definition.name, (coordinator) => coordinator.apply(definition));
    }
    this.#produceAgain();
    this.#chaos.begin(this.#faults, (kind) => this.#strike(kind));
  }

  #produceAgain(): void {
    this.#sim.at(this.#rng.unit() * 200, null, () => {
      if (this.#chaos.healed) return;
      this.#producer.produce();
      this.#producer.come();
      this.#produceAgain();
    });
  }

  /** The static table gets other rows, and again in a while. */
  #rename(): void {
    const columns = ['k', 'name'].map((name) => ({ name, type: '' }));
    const rows = Array.from({ length: KEYS }, (_, k) => [k, `${k}-${this.#renamed}`]);
    this.#renamed++;
    this.#cluster.tableServer.contents.set(`sim.${NAMES}`, { columns, rows });
    this.#sim.at(this.#rng.unit() * 2500, null, () => this.#rename());
  }

  /** Whoever asks a moment later is told something else of most keys. */
  #changeTeams(rng: SimRng): void {
    const rows = Array.from({ length: KEYS }, (_, k) => [String(k), [k, `t${rng.int(0, TEAM_COUNT)}`]] as const);
    this.#cluster.lookupServer.tables.set(TEAMS, new Map(rows.filter(() => !rng.chance(WITHOUT_TEAM))));
    this.#sim.at(rng.unit() * 20, null, () => this.#changeTeams(rng));
  }

  #has(job: string): boolean {
    return this.#jobs.some(({ name }) => name === job);
  }

  #strike(kind: EpochFaultKind): void {
    if (this.#chaos.strike(kind)) return;
    const rng = this.#rng;
    const cluster = this.#cluster;
    switch (kind) {
      case 'revision': {
        const job = rng.pick(this.#jobs);
        const isCount = job.name === 'agg';
        if (rng.chance(0.2)) this.#chaos.ask((coordinator) => coordinator.rollback(jobNameOf(job)));
        else
          this.#apply(job, {
            more: isCount && rng.chance(0.5),
            longer: rng.chance(0.5),
            filtered: isCount && rng.chance(0.4),
          });
        break;
      }
      case 'partitions': {
        const topic = rng.pick([EVENTS, MARKS]);
        if (cluster.logServer.topic(topic).partitions.length < 6) cluster.logServer.addPartition(topic);
        break;
      }
      case 'damage': {
        this.#damage();
        const victim = this.#chaos.victim();
        if (victim !== null) this.#chaos.crash(victim);
        break;
      }
      case 'savepoint':
        this.#savepoint();
        break;
      case 'executions': {
        const name = jobNameOf(rng.pick(this.#jobs));
        if (cluster.metaServer.job(name)?.state === 'finished')
          this.#chaos.ask((coordinator) => coordinator.start(name));
        break;
      }
      default:
        break;
    }
  }

  #apply(job: SimEpochJob, variant: JobVariant): void {
    const definition = definitionOf(job, ++this.#revisions, this.#settings, variant);
    this.#chaos.ask((coordinator) => coordinator.apply(definition));
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
      this.#chaos.ask((coordinator) => coordinator.createSavepoint(jobNameOf(job), name));
    } else if (rng.chance(0.3))
      this.#chaos.ask((coordinator) => coordinator.deleteSavepoint(jobNameOf(known.job), known.name));
    else {
      const definition = definitionOf(known.job, ++this.#revisions, this.#settings);
      this.#chaos.ask((coordinator) => coordinator.apply(definition, { start: { savepoint: known.name } }));
    }
  }
}
