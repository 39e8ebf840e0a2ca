/**
 * A pretend MetaStore: one linearizable copy of the job rows and of the heads of stateful jobs, max-registers of lane
 * positions. Its clients see unknown
 * outcomes, changes applied after they gave up, and changes applied twice.
 */
import { WeirError } from '../../core/errors.ts';
import type { EpochHead, EpochPlan, LeaseRow, SavepointRow } from '../../core/epoch/types.ts';
import { PLAN_SLOTS } from '../../core/epoch/types.ts';
import type { Epoch, JobName, Run } from '../../core/ids.ts';
import { laneId } from '../../core/ids.ts';
import type { CasOutcome, JobRow, LaneKey, LaneRow, MetaStore } from '../../core/meta.ts';
import { assert } from '../../core/assert.ts';
import type { SimNode, Simulation } from './kernel.ts';
import { SIM_EPOCH_MS } from './kernel.ts';
import type { SimNetwork } from './network.ts';

export const META_SERVER = 'meta';
const REQUEST_TIMEOUT_MS = 800;

/** What checkers are told. */
export interface MetaWatcher {
  jobChanged(row: JobRow, before: JobRow | undefined): void;
  /** Called for every delivered write, also one that changes nothing. */
  laneWritten(row: LaneRow, before: LaneRow | undefined): void;
  /** `node` was answered with this row; its request left at `sentAt` (virtual ms). */
  ownershipRead(node: SimNode, row: JobRow, sentAt: number): void;
  epochsChanged?(head: EpochHead, plans: readonly EpochPlan[], before: EpochHead | undefined): void;
}

/** How the server behaves: `lastWrite` breaks the max-register on purpose. */
export interface MetaBehaviour {
  readonly lastWriteWins: boolean;
}

export class SimMetaServer {
  readonly #jobs = new Map<JobName, JobRow>();
  /** What QUORUM reads see: a change that nobody was told of may still be invisible to them. */
  readonly #readable = new Map<JobName, JobRow>();
  readonly #lanes = new Map<string, LaneRow>();
  readonly #definitions = new Map<string, string>();
  readonly #heads = new Map<string, EpochHead>();
  readonly #plans = new Map<string, Map<number, EpochPlan>>();
  readonly #savepoints = new Map<string, SavepointRow>();
  #lease: LeaseRow | undefined;
  readonly #behaviour: MetaBehaviour;
  watcher: MetaWatcher | null = null;

  constructor(behaviour: MetaBehaviour) {
    this.#behaviour = behaviour;
  }

  listJobs(): JobName[] {
    return [...this.#jobs.keys()];
  }

  job(name: JobName): JobRow | undefined {
    return this.#jobs.get(name);
  }

  /** A linearizable read completes what was in flight. */
  readJob(name: JobName): JobRow | undefined {
    this.publish(name);
    return this.#jobs.get(name);
  }

  readOwnership(name: JobName): JobRow | undefined {
    return this.#readable.get(name);
  }

  /** From now on every reader sees the row as it is. */
  publish(name: JobName): void {
    const row = this.#jobs.get(name);
    if (row !== undefined) this.#readable.set(name, row);
  }

  cas(expectedVer: number, next: JobRow): CasOutcome<JobRow> {
    assert(next.ver === expectedVer + 1, () => `change from version ${expectedVer} to ${next.ver}`);
    const before = this.readJob(next.name);
    if ((before?.ver ?? 0) !== expectedVer) return { kind: 'rejected', current: before };
    const row = structuredClone(next);
    this.#jobs.set(next.name, row);
    this.watcher?.jobChanged(row, before);
    return { kind: 'applied' };
  }

  putDefinition(hash: string, text: string): void {
    this.#definitions.set(hash, text);
  }

  definition(hash: string): string | undefined {
    return this.#definitions.get(hash);
  }

  lane(key: LaneKey): LaneRow | undefined {
    return this.#lanes.get(laneKeyText(key));
  }

  lanes(job: JobName, run: Run): LaneRow[] {
    return [...this.#lanes.values()].filter((row) => row.job === job && row.run === run);
  }

  writeLane(row: LaneRow): void {
    const key = laneKeyText(row);
    const before = this.#lanes.get(key);
    this.watcher?.laneWritten(row, before);
    if (this.#behaviour.lastWriteWins || before === undefined || row.position.nextOffset > before.position.nextOffset)
      this.#lanes.set(key, row);
  }

  head(job: JobName, run: Run): EpochHead | undefined {
    return this.#heads.get(`${job}/${run}`);
  }

  casEpochs(expectedVer: number, next: EpochHead, plans: readonly EpochPlan[]): CasOutcome<EpochHead> {
    assert(next.ver === expectedVer + 1, () => `change from version ${expectedVer} to ${next.ver}`);
    const key = `${next.job}/${next.run}`;
    const before = this.#heads.get(key);
    if ((before?.ver ?? 0) !== expectedVer) return { kind: 'rejected', current: before };
    this.#heads.set(key, structuredClone(next));
    const slots = this.#plans.get(key) ?? new Map<number, EpochPlan>();
    this.#plans.set(key, slots);
    for (const plan of plans) slots.set(plan.epoch % PLAN_SLOTS, structuredClone(plan));
    this.watcher?.epochsChanged?.(next, plans, before);
    return { kind: 'applied' };
  }

  plans(job: JobName, run: Run, from: Epoch, to: Epoch): EpochPlan[] {
    const found: EpochPlan[] = [];
    for (let epoch: number = from; epoch <= to; epoch++) {
      const plan = this.#plans.get(`${job}/${run}`)?.get(epoch % PLAN_SLOTS);
      if (plan?.epoch !== epoch) throw new WeirError('NOT_FOUND', `the plan of epoch ${epoch} of job ${job} is gone`);
      found.push(plan);
    }
    return found;
  }

  get lease(): LeaseRow | undefined {
    return this.#lease;
  }

  casLease(expectedVer: number, next: LeaseRow): CasOutcome<LeaseRow> {
    assert(next.ver === expectedVer + 1, () => `lease from version ${expectedVer} to ${next.ver}`);
    if ((this.#lease?.ver ?? 0) !== expectedVer) return { kind: 'rejected', current: this.#lease };
    this.#lease = structuredClone(next);
    return { kind: 'applied' };
  }

  putSavepoint(row: SavepointRow): void {
    this.#savepoints.set(`${row.job}/${row.name}`, structuredClone(row));
  }

  savepoint(job: JobName, name: string): SavepointRow | undefined {
    return this.#savepoints.get(`${job}/${name}`);
  }

  savepoints(job: JobName): SavepointRow[] {
    return [...this.#savepoints.values()].filter((row) => row.job === job);
  }

  deleteSavepoint(job: JobName, name: string): void {
    this.#savepoints.delete(`${job}/${name}`);
  }
}

function laneKeyText(key: LaneKey): string {
  return `${key.job}/${key.run}/${laneId(key)}`;
}

/** How a client behaves: `hideFormerOwners` makes its worker start at once, on purpose. */
export interface MetaClientBehaviour {
  readonly hideFormerOwners: boolean;
}

/** One process's client. */
export class SimMetaStore implements MetaStore {
  readonly #sim: Simulation;
  readonly #network: SimNetwork;
  readonly #server: SimMetaServer;
  readonly #node: SimNode;
  readonly #behaviour: MetaClientBehaviour;

  constructor(
    sim: Simulation,
    network: SimNetwork,
    server: SimMetaServer,
    node: SimNode,
    behaviour: MetaClientBehaviour,
  ) {
    this.#behaviour = behaviour;
    this.#sim = sim;
    this.#network = network;
    this.#server = server;
    this.#node = node;
  }

  #call<T>(write: boolean, apply: () => T): Promise<T> {
    const unavailable = (): WeirError => new WeirError('STORE_UNAVAILABLE', 'the simulated store does not answer');
    return this.#network.request(
      { client: this.#node, server: META_SERVER, timeoutMs: REQUEST_TIMEOUT_MS, write, unavailable },
      apply,
    );
  }

  async prepare(): Promise<void> {
    await this.#call(false, () => undefined);
  }

  listJobs(): Promise<JobName[]> {
    return this.#call(false, () => this.#server.listJobs());
  }

  readJob(name: JobName): Promise<JobRow | undefined> {
    return this.#call(false, () => this.#server.readJob(name));
  }

  async readOwnership(name: JobName): Promise<JobRow | undefined> {
    const sentAt = this.#sim.now;
    const row = await this.#call(false, () => this.#server.readOwnership(name));
    if (row === undefined) return undefined;
    this.#server.watcher?.ownershipRead(this.#node, row, sentAt);
    return this.#behaviour.hideFormerOwners ? withoutFormerOwners(row) : row;
  }

  /** Readers see the change when its outcome is on its way back, or some time later when nobody learns of it. */
  async casJob(expectedVer: number, next: JobRow): Promise<CasOutcome<JobRow>> {
    const publish = (): void => this.#server.publish(next.name);
    try {
      const outcome = await this.#call(true, () => {
        const result = this.#server.cas(expectedVer, next);
        if (result.kind === 'applied') this.#sim.at(this.#network.latency() * 100, null, publish);
        return result;
      });
      if (outcome.kind === 'applied') publish();
      return outcome;
    } catch (cause) {
      return { kind: 'unknown', cause };
    }
  }

  async putDefinition(hash: string, text: string): Promise<void> {
    await this.#call(true, () => this.#server.putDefinition(hash, text));
  }

  getDefinition(hash: string): Promise<string | undefined> {
    return this.#call(false, () => this.#server.definition(hash));
  }

  readLane(key: LaneKey): Promise<LaneRow | undefined> {
    return this.#call(false, () => this.#server.lane(key));
  }

  readLanes(job: JobName, run: Run): Promise<LaneRow[]> {
    return this.#call(false, () => this.#server.lanes(job, run));
  }

  async writeLane(row: LaneRow): Promise<void> {
    await this.#call(true, () => this.#server.writeLane(row));
  }

  readEpochs(job: JobName, run: Run): Promise<EpochHead | undefined> {
    return this.#call(false, () => this.#server.head(job, run));
  }

  async casEpochs(expectedVer: number, next: EpochHead, plans: readonly EpochPlan[]): Promise<CasOutcome<EpochHead>> {
    try {
      return await this.#call(true, () => this.#server.casEpochs(expectedVer, next, plans));
    } catch (cause) {
      return { kind: 'unknown', cause };
    }
  }

  readPlans(job: JobName, run: Run, from: Epoch, to: Epoch): Promise<EpochPlan[]> {
    return this.#call(false, () => this.#server.plans(job, run, from, to));
  }

  readLease(): Promise<LeaseRow | undefined> {
    return this.#call(false, () => this.#server.lease);
  }

  async casLease(expectedVer: number, next: LeaseRow): Promise<CasOutcome<LeaseRow>> {
    try {
      return await this.#call(true, () => this.#server.casLease(expectedVer, next));
    } catch (cause) {
      return { kind: 'unknown', cause };
    }
  }

  async putSavepoint(row: SavepointRow): Promise<void> {
    await this.#call(true, () => this.#server.putSavepoint(row));
  }

  getSavepoint(job: JobName, name: string): Promise<SavepointRow | undefined> {
    return this.#call(false, () => this.#server.savepoint(job, name));
  }

  listSavepoints(job: JobName): Promise<SavepointRow[]> {
    return this.#call(false, () => this.#server.savepoints(job));
  }

  async deleteSavepoint(job: JobName, name: string): Promise<void> {
    await this.#call(true, () => this.#server.deleteSavepoint(job, name));
  }

  /** The server's wall clock is the world's. */
  now(): Promise<number> {
    return this.#call(false, () => SIM_EPOCH_MS + Math.floor(this.#sim.now));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function withoutFormerOwners(row: JobRow): JobRow {
  const lanes = Object.entries(row.lanes).map(([id, lane]) => [id, { ...lane, previousOwner: null }] as const);
  return { ...row, lanes: Object.fromEntries(lanes) };
}
