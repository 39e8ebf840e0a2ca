/**
 * A whole cluster in one process on virtual time: the real coordinator, the real workers and lanes, on a pretend network,
 * Kafka, tables and MetaStore. Starts, ends, stops and cuts off its processes; knows nothing of what should come of it.
 */
import { messageOf } from '../../core/errors.ts';
import { workerId } from '../../core/ids.ts';
import type {
  Connections,
  ControlClient,
  ControlStream,
  FailpointName,
  Failpoints,
  Log,
  Source,
  TableStore,
} from '../../core/ports.ts';
import { InlineExecutor } from '../../engine/inline-executor.ts';
import { loadModule } from '../../worker/load-module.ts';
import { Coordinator } from '../../master/coordinator.ts';
import { Leadership } from '../../master/leadership.ts';
import { LeaderLease } from '../../master/lease.ts';
import type { MasterMessage, WorkerMessage } from '../../proto/gen/control.ts';
import { ByteBudget } from '../../worker/byte-budget.ts';
import type { LaneObserver } from '../../worker/observer.ts';
import { Worker } from '../../worker/worker.ts';
import type { SimNode, Simulation } from './kernel.ts';
import type { Mutations } from './mutations.ts';
import { mutated } from './mutate.ts';
import { SimNetwork } from './network.ts';
import type { SimRng } from './rng.ts';
import { SimBlobServer, SimBlobStore } from './sim-blobs.ts';
import { SimExchangeNetwork } from './sim-exchange.ts';
import { SmallExecutor, delayed } from './sim-executor.ts';
import { SimLogServer, SimSource } from './sim-log.ts';
import { SimLookups, SimLookupServer } from './sim-lookups.ts';
import { SimLogWriter } from './sim-log-writer.ts';
import { SimMetaServer, SimMetaStore } from './sim-meta-store.ts';
import type { SimPlace } from './sim-place.ts';
import { SimTableServer, SimTableStore } from './sim-tables.ts';

export const MASTER = 'master';
const CONNECT_TIMEOUT_MS = 1000;

export interface ClusterOptions {
  readonly mutations: Mutations;
  /** The engine that runs in threads in production, or the small one of the simulation. */
  readonly engine: 'real' | 'small';
  readonly log: Log;
  /** Chance per hit that a worker ends or stands still at a failpoint. */
  readonly failpointChance: () => number;
  /** Topics that jobs write to turn every other call away. */
  readonly fullEverySecondCall?: boolean;
  /** What is behind the feeds of jobs; default: nothing, and nothing is fed. */
  readonly place?: SimPlace;
  /** Of the workers; default: theirs. */
  readonly taskBytes?: number;
  /** Gives the functions of jobs that have some; default: those of their modules. */
  readonly loadModule?: typeof loadModule;
}

/** One life of a worker process. */
export interface WorkerLife {
  readonly slot: string;
  readonly id: string;
  readonly node: SimNode;
  readonly worker: Worker;
  leaving: boolean;
}

/** One life of a master process; it leads or waits for its turn. */
interface MasterLife {
  readonly node: SimNode;
  readonly leadership: Leadership;
  /** Of its present term. */
  coordinator: Coordinator | null;
}

export class SimCluster {
  readonly network: SimNetwork;
  readonly logServer: SimLogServer;
  readonly metaServer: SimMetaServer;
  readonly tableServer: SimTableServer;
  readonly #sim: Simulation;
  readonly #options: ClusterOptions;
  readonly #rng: SimRng;
  readonly #workers = new Map<string, WorkerLife>();
  readonly #workerOfNode = new Map<SimNode, string>();
  readonly exchange: SimExchangeNetwork;
  readonly blobServer = new SimBlobServer();
  readonly lookupServer = new SimLookupServer();
  /** In the order they were started. */
  #masters: MasterLife[] = [];
  #lives = 0;

  constructor(sim: Simulation, options: ClusterOptions) {
    this.#sim = sim;
    this.#options = options;
    this.#rng = sim.rng.fork('cluster');
    this.network = new SimNetwork(sim);
    this.exchange = new SimExchangeNetwork(sim, this.network);
    this.logServer = new SimLogServer();
    this.metaServer = new SimMetaServer({ lastWriteWins: options.mutations.lastWriteRegister === true });
    this.tableServer = new SimTableServer({ arrivalWins: options.mutations.arrivalTimes === true });
  }

  get workers(): readonly WorkerLife[] {
    return [...this.#workers.values()];
  }

  /** Id of the worker whose process this node is. */
  workerOf(node: SimNode): string | undefined {
    return this.#workerOfNode.get(node);
  }

  // ------------------------------------------------------------------------------------------------- the master

  /** The coordinator that answers now, if one does. */
  get coordinator(): Coordinator | null {
    return this.#leader?.coordinator ?? null;
  }

  /** The process that leads; while none does, the newest one. */
  get masterNode(): SimNode | null {
    return (this.#leader ?? this.#aliveMasters.at(-1))?.node ?? null;
  }

  get #aliveMasters(): readonly MasterLife[] {
    return this.#masters.filter(({ node }) => !node.dead);
  }

  get #leader(): MasterLife | null {
    const leads = ({ node, leadership }: MasterLife): boolean =>
      node.pausedUntil <= this.#sim.now && leadership.standing.role === 'leader';
    return this.#aliveMasters.find(leads) ?? null;
  }

  startMaster(skewMs = 0): void {
    const life = ++this.#lives;
    const node = this.#sim.node(MASTER, skewMs);
    const clock = this.#sim.clock(node);
    const rng = this.#rng.fork(`master ${life}`);
    const log = this.#options.log.child({ node: `master-${life}` });
    const store = new SimMetaStore(this.#sim, this.network, this.metaServer, node, { hideFormerOwners: false });
    const leadership = new Leadership((fence) => {
      master.coordinator = new Coordinator({
        id: `master-${life}`,
        fence,
        store,
        connections: this.#connections(node),
        clock,
        rng: rng.fork(`term ${fence}`),
        log,
        token: '',
        failpoints: this.#failpoints(node, rng.fork('failpoints')),
        sameToken: (a, b) => a === b,
      });
      return master.coordinator;
    });
    const master: MasterLife = { node, leadership, coordinator: null };
    const lease = new LeaderLease({
      store,
      clock,
      rng: rng.fork('lease'),
      log,
      holder: `master-${life}`,
      address: `master-${life}`,
      httpAddress: '',
      lead: (token, signal) => leadership.lead(token, signal),
    });
    leadership.follow(lease);
    this.#masters.push(master);
    this.#sim.at(0, node, () => lease.open());
  }

  /** The process that leads ends at once; while none leads, the newest one. */
  crashMaster(): void {
    const node = this.masterNode;
    if (node !== null) node.dead = true;
  }

  // ------------------------------------------------------------------------------------------------- workers

  startWorker(slot: string, skewMs = 0): void {
    const life = ++this.#lives;
    const id = `${slot}-${life}`;
    const node = this.#sim.node(slot, skewMs);
    const clock = this.#sim.clock(node);
    const rng = this.#rng.fork(id);
    const threads = rng.int(1, 3);
    const engine =
      this.#options.engine === 'real'
        ? new InlineExecutor({ threadCount: threads, loadModule: this.#options.loadModule ?? loadModule })
        : new SmallExecutor({ threadCount: threads });
    const { place } = this.#options;
    const worker = new Worker({
      ...(place === undefined ? {} : { openFeed: () => Promise.resolve(place.open(clock, rng.fork('feed'))) }),
      id: workerId(id),
      control: this.#controlClient(node),
      store: new SimMetaStore(this.#sim, this.network, this.metaServer, node, {
        hideFormerOwners: this.#options.mutations.noHandOver === true,
      }),
      connections: this.#connections(node),
      executor: delayed(mutated(engine, this.#options.mutations), clock, rng.fork('executor')),
      clock,
      rng,
      log: this.#options.log.child({ node: id }),
      failpoints: this.#failpoints(node, rng.fork('failpoints')),
      limits: {
        fetchBytes: rng.pick([300, 2000, 1 << 20]),
        inFlightBytes: rng.pick([1000, 1 << 20]),
        inFlightChunks: rng.int(1, 9),
        unprocessedChunks: 2,
        smallChunks: rng.int(1, 4),
        smallChunkBytes: rng.pick([0, 500, 1 << 16]),
        ...(this.#options.taskBytes === undefined ? {} : { taskBytes: this.#options.taskBytes }),
      },
      budget: new ByteBudget(rng.pick([2000, 1 << 20])),
      observe: () => silentObserver,
      takeFigures: () => [],
      vitals: () => ({ eventLoopDelayMs: 0, rssBytes: 0 }),
      httpAddress: `${id}:0`,
      exchange: { transport: this.exchange.join(node, `${id}:1`), address: `${id}:1` },
      threads,
      token: '',
      version: 'sim',
    });
    const lifeOfWorker: WorkerLife = { slot, id, node, worker, leaving: false };
    this.#workers.set(slot, lifeOfWorker);
    this.#workerOfNode.set(node, id);
    this.#sim.at(0, node, () => {
      worker.run().catch((error: unknown) => this.#sim.fail(`worker ${id} ended: ${messageOf(error)}`));
    });
  }

  /** The process ends at once. */
  crashWorker(slot: string): void {
    const life = this.#workers.get(slot);
    if (life === undefined) return;
    life.node.dead = true;
    this.#workers.delete(slot);
  }

  /** The process hands over and ends (SIGTERM). */
  leaveWorker(slot: string): void {
    const life = this.#workers.get(slot);
    if (life === undefined || life.leaving) return;
    life.leaving = true;
    const gone = (): void => {
      life.node.dead = true;
      if (this.#workers.get(slot) === life) this.#workers.delete(slot);
    };
    this.#sim.at(0, life.node, () => {
      life.worker
        .close()
        .then(gone, (error: unknown) => this.#sim.fail(`worker ${life.id} could not leave: ${messageOf(error)}`));
    });
  }

  /** Everything works again: cuts heal, one master is there and no other; who stands still goes on in a while. */
  heal(): void {
    this.network.heal();
    const stays = this.#leader ?? this.#aliveMasters.at(-1);
    for (const master of this.#masters) if (master !== stays) master.node.dead = true;
    if (stays === undefined) this.startMaster();
    if (![...this.#workers.values()].some((life) => !life.leaving)) this.startWorker('w0');
  }

  // ------------------------------------------------------------------------------------------------- parts

  #connections(node: SimNode): Connections {
    const source: Source = new SimSource(this.#sim, this.network, this.logServer, node);
    const { mutations } = this.#options;
    const tables: TableStore = new SimTableStore(this.#sim, this.network, this.tableServer, node, {
      ackWithoutWaiting: mutations.commitBeforeAck === true,
      ignorePermit: mutations.ignorePermit === true,
    });
    const writer = new SimLogWriter(this.#sim, this.network, this.logServer, node, this.#rng.fork(`log ${node.name}`), {
      fullEverySecondCall: this.#options.fullEverySecondCall === true,
    });
    const blobs = new SimBlobStore(
      this.#sim,
      this.network,
      this.blobServer,
      node,
      this.#rng.fork(`blobs ${node.name}`),
    );
    const lookups = new SimLookups(this.network, this.lookupServer, node);
    return {
      source: () => source,
      lookups: () => lookups,
      blobs: () => blobs,
      logWriter: () => writer,
      tables: () => tables,
      rowSinks: () => {
        throw new Error('the simulated cluster has no such sinks');
      },
      describe: () => ({ log: 'simulated', tables: 'simulated' }),
      close: () => Promise.resolve(),
    };
  }

  #controlClient(node: SimNode): ControlClient<MasterMessage, WorkerMessage> {
    return { connect: () => this.#connect(node) };
  }

  /** Resolves at the worker when the master's process has taken the connection. */
  #connect(node: SimNode): Promise<ControlStream<MasterMessage, WorkerMessage>> {
    const { promise, resolve, reject } = Promise.withResolvers<ControlStream<MasterMessage, WorkerMessage>>();
    const cancel = this.#sim.at(CONNECT_TIMEOUT_MS, node, () =>
      reject(SimNetwork.unreachable('the way to the master')),
    );
    // As a worker that knows several addresses: any of them, until one leads.
    const masters = this.#aliveMasters;
    const master = masters.length === 0 ? undefined : this.#rng.pick(masters);
    if (master === undefined || this.network.isCut(node.name, MASTER)) return promise;
    this.#sim.at(this.network.latency(), master.node, () => {
      const pair = this.network.stream<WorkerMessage, MasterMessage>(node, master.node);
      const ended = master.leadership.attach(pair.server);
      void ended;
      if (this.network.isCut(MASTER, node.name)) return;
      this.#sim.at(this.network.latency(), node, () => {
        cancel();
        resolve(pair.client);
      });
    });
    return promise;
  }

  /** At each failpoint a worker may end, stop for a while, or be slow. */
  #failpoints(node: SimNode, rng: SimRng): Failpoints {
    const clock = this.#sim.clock(node);
    return {
      hit: (name: FailpointName): void | Promise<void> => {
        if (!rng.chance(this.#options.failpointChance())) return undefined;
        this.#sim.note(`${node.name} ${name}`);
        const lot = rng.int(0, 3);
        if (lot === 0) {
          const life = [...this.#workers.values()].find((candidate) => candidate.node === node);
          if (life !== undefined) this.crashWorker(life.slot);
          else node.dead = true;
          return new Promise(() => undefined);
        }
        if (lot === 1) this.#sim.pause(node, rng.unit() * 8000);
        return clock.sleep(rng.unit() * 1000);
      },
    };
  }
}

const silentObserver: LaneObserver = {
  read: () => undefined,
  batch: () => undefined,
  phase: () => undefined,
  latency: () => undefined,
  blocked: () => undefined,
  fenced: () => undefined,
  lost: () => undefined,
};
