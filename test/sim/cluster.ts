/**
 * A whole cluster in one process on virtual time: the real coordinator, the real workers and lanes, on a pretend network,
 * Kafka, tables and MetaStore. Starts, ends, stops and cuts off its processes; knows nothing of what should come of it.
 */
import { WeirError, messageOf } from '../../core/errors.ts';
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
import type { Executor } from '../../engine/stage.ts';
import { Coordinator } from '../../master/coordinator.ts';
import type { MasterMessage, WorkerMessage } from '../../proto/gen/control.ts';
import { ByteBudget } from '../../worker/byte-budget.ts';
import type { LaneObserver } from '../../worker/observer.ts';
import { Worker } from '../../worker/worker.ts';
import type { SimNode, Simulation } from './kernel.ts';
import type { Mutations } from './mutations.ts';
import { mutated } from './mutate.ts';
import { SimNetwork } from './network.ts';
import type { SimRng } from './rng.ts';
import { SmallExecutor, delayed } from './sim-executor.ts';
import { SimLogServer, SimSource } from './sim-log.ts';
import { SimMetaServer, SimMetaStore } from './sim-meta-store.ts';
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
}

/** One life of a worker process. */
export interface WorkerLife {
  readonly slot: string;
  readonly id: string;
  readonly node: SimNode;
  readonly worker: Worker;
  leaving: boolean;
}

interface MasterLife {
  readonly node: SimNode;
  readonly coordinator: Coordinator;
  open: boolean;
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
  /** Former masters that stand still or go on beside the one that answers now. */
  readonly #formerMasters = new Set<SimNode>();
  #master: MasterLife | null = null;
  #lives = 0;

  constructor(sim: Simulation, options: ClusterOptions) {
    this.#sim = sim;
    this.#options = options;
    this.#rng = sim.rng.fork('cluster');
    this.network = new SimNetwork(sim);
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
    const master = this.#master;
    return master === null || !master.open || master.node.dead || master.node.pausedUntil > this.#sim.now
      ? null
      : master.coordinator;
  }

  get masterNode(): SimNode | null {
    return this.#master?.node ?? null;
  }

  startMaster(skewMs = 0): void {
    const life = ++this.#lives;
    const node = this.#sim.node(MASTER, skewMs);
    const clock = this.#sim.clock(node);
    const coordinator = new Coordinator({
      id: `master-${life}`,
      store: new SimMetaStore(this.#sim, this.network, this.metaServer, node, { hideFormerOwners: false }),
      connections: this.#connections(node),
      clock,
      rng: this.#rng.fork(`master ${life}`),
      log: this.#options.log.child({ node: `master-${life}` }),
      token: '',
      sameToken: (a, b) => a === b,
    });
    const master: MasterLife = { node, coordinator, open: false };
    if (this.#master !== null) this.#formerMasters.add(this.#master.node);
    this.#master = master;
    const open = async (): Promise<void> => {
      for (;;) {
        try {
          await coordinator.open();
          master.open = true;
          return;
        } catch (error) {
          if (!(error instanceof WeirError) || !error.retryable) throw error;
          await clock.sleep(200);
        }
      }
    };
    this.#sim.at(0, node, () => void open());
  }

  crashMaster(): void {
    if (this.#master !== null) this.#master.node.dead = true;
    this.#master = null;
  }

  // ------------------------------------------------------------------------------------------------- workers

  startWorker(slot: string, skewMs = 0): void {
    const life = ++this.#lives;
    const id = `${slot}-${life}`;
    const node = this.#sim.node(slot, skewMs);
    const clock = this.#sim.clock(node);
    const rng = this.#rng.fork(id);
    const small: Executor = this.#options.engine === 'real' ? new InlineExecutor() : new SmallExecutor();
    const worker = new Worker({
      id: workerId(id),
      control: this.#controlClient(node),
      store: new SimMetaStore(this.#sim, this.network, this.metaServer, node, {
        hideFormerOwners: this.#options.mutations.noHandOver === true,
      }),
      connections: this.#connections(node),
      executor: delayed(mutated(small, this.#options.mutations), clock, rng.fork('executor')),
      clock,
      rng,
      log: this.#options.log.child({ node: id }),
      failpoints: this.#failpoints(node, rng.fork('failpoints')),
      limits: {
        fetchBytes: rng.pick([300, 2000, 1 << 20]),
        inFlightBytes: rng.pick([1000, 1 << 20]),
        inFlightChunks: rng.int(1, 9),
      },
      budget: new ByteBudget(rng.pick([2000, 1 << 20])),
      observe: () => silentObserver,
      takeFigures: () => [],
      vitals: () => ({ eventLoopDelayMs: 0, rssBytes: 0 }),
      httpAddress: `${id}:0`,
      threads: 1,
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
    for (const node of this.#formerMasters) node.dead = true;
    if (this.#master === null) this.startMaster();
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
    return {
      source: () => source,
      logWriter: () => {
        throw new WeirError('UNSUPPORTED', 'the simulated log takes no writes of jobs');
      },
      tables: () => tables,
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
    const master = this.#master;
    if (master === null || !master.open || this.network.isCut(node.name, MASTER)) return promise;
    this.#sim.at(this.network.latency(), master.node, () => {
      const pair = this.network.stream<WorkerMessage, MasterMessage>(node, master.node);
      master.coordinator.attach(pair.server);
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
  fenced: () => undefined,
  lost: () => undefined,
};
