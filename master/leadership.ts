/**
 * The coordinator of whoever leads, as the doors of this process see it: while this master leads they reach it, while
 * another one does they are told so. One term, one coordinator: nothing of a former term is kept.
 */
import { WeirError } from '../core/errors.ts';
import type { SavepointRow } from '../core/epoch/types.ts';
import type { Fence, JobName, Revision, WorkerId } from '../core/ids.ts';
import type { JobRow, MetaStore } from '../core/meta.ts';
import type { ControlStream } from '../core/ports.ts';
import type { MasterMessage, WorkerMessage } from '../proto/gen/control.ts';
import type { RestartPoint } from './job-definition.ts';
import type { LeaderLease } from './lease.ts';
import type { ClusterControl, JobDefinition, StartOptions } from './service.ts';
import type { JobView, WorkerView } from './views.ts';

/** What one term is led with. */
export interface TermCoordinator extends ClusterControl {
  /** Throws: STORE_UNAVAILABLE. */
  open(): Promise<void>;
  close(): Promise<void>;
  attach(stream: ControlStream<WorkerMessage, MasterMessage>): void;
}

/**
 * `store` for a leader: refuses its changes once `mayAct` says no. A leader that was frozen does not know yet, when it
 * wakes up, that another one leads, and would take all its workers for dead.
 */
export function whileLeading(store: MetaStore, mayAct: () => boolean): MetaStore {
  const guarded = new Set<string | symbol>(['casJob', 'casEpochs'] satisfies (keyof MetaStore)[]);
  return new Proxy(store, {
    get(target, name) {
      const method = target[name as keyof MetaStore] as (...args: unknown[]) => unknown;
      return async (...args: unknown[]) => {
        if (guarded.has(name) && !mayAct())
          throw new WeirError('FENCED', 'This master does not lead any more; its change was not sent.');
        return await method.apply(target, args);
      };
    },
  });
}

/** What this master is to others at the moment. */
export type Standing =
  | { readonly role: 'leader' }
  /** Leads, but has not read its jobs yet. */
  | { readonly role: 'opening' }
  /** `leader`: base URL of the leader's REST interface; null while nobody is known to lead. */
  | { readonly role: 'standby'; readonly leader: string | null };

/** Workers are served, here or by the leader that this master names to them. */
export function servesWorkers(standing: Standing): boolean {
  return standing.role === 'leader' || (standing.role === 'standby' && standing.leader !== null);
}

/** What is asked of the lease. */
type LeaseView = Pick<LeaderLease, 'leader' | 'leading'> & Partial<Pick<LeaderLease, 'remainingMs'>>;

export class Leadership implements ClusterControl {
  readonly #make: (token: Fence) => TermCoordinator;
  readonly #streams = new Set<ControlStream<WorkerMessage, MasterMessage>>();
  #lease: LeaseView | null = null;
  /** Takes workers. */
  #coordinator: TermCoordinator | null = null;
  /** Has read its jobs: takes requests. */
  #opened = false;

  constructor(make: (token: Fence) => TermCoordinator) {
    this.#make = make;
  }

  /** The lease that calls {@link lead}. */
  follow(lease: LeaseView): void {
    this.#lease = lease;
  }

  /** One term, until `signal`. Throws: STORE_UNAVAILABLE when the jobs cannot be read. */
  async lead(token: Fence, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const coordinator = this.#make(token);
    this.#coordinator = coordinator;
    try {
      await coordinator.open();
      this.#opened = !signal.aborted;
      await aborted(signal);
    } finally {
      this.#opened = false;
      this.#coordinator = null;
      for (const stream of this.#streams) this.#sendAway(stream);
      this.#streams.clear();
      await coordinator.close();
    }
  }

  /** Whether the lease lets this master change anything at this moment. */
  get mayAct(): boolean {
    return this.#lease?.leading === true;
  }

  /** ms for which this master may lead without another renewal of its lease; 0 = it does not. */
  get leaseMs(): number {
    return this.#lease?.remainingMs ?? 0;
  }

  get standing(): Standing {
    if (this.#coordinator !== null && this.#lease?.leading === true)
      return this.#opened ? { role: 'leader' } : { role: 'opening' };
    return { role: 'standby', leader: this.#coordinator === null ? (this.#lease?.leader?.httpAddress ?? null) : null };
  }

  /** A new connection of a worker. The result is called when it has ended. */
  attach(stream: ControlStream<WorkerMessage, MasterMessage>): () => void {
    if (this.#coordinator === null) {
      this.#sendAway(stream);
      return () => undefined;
    }
    this.#streams.add(stream);
    this.#coordinator.attach(stream);
    return () => this.#streams.delete(stream);
  }

  #sendAway(stream: ControlStream<WorkerMessage, MasterMessage>): void {
    // While this process still holds a lease it no longer uses, it would name itself.
    const address = this.#lease?.leading === true ? '' : (this.#lease?.leader?.address ?? '');
    stream.send({ notLeader: { address } });
    stream.close();
  }

  // ------------------------------------------------------------------------------------------------ what people ask

  changes(definition: JobDefinition, options?: StartOptions): Promise<readonly string[]> {
    return this.#here().changes(definition, options);
  }

  apply(definition: JobDefinition, options?: StartOptions): Promise<JobRow> {
    return this.#here().apply(definition, options);
  }

  stop(name: JobName): Promise<unknown> {
    return this.#here().stop(name);
  }

  cancel(name: JobName): Promise<unknown> {
    return this.#here().cancel(name);
  }

  start(name: JobName): Promise<unknown> {
    return this.#here().start(name);
  }

  remove(name: JobName): Promise<unknown> {
    return this.#here().remove(name);
  }

  step(name: JobName): Promise<{ readonly epochs: number }> {
    return this.#here().step(name);
  }

  createSavepoint(name: JobName, savepoint: string): Promise<SavepointRow> {
    return this.#here().createSavepoint(name, savepoint);
  }

  savepoints(name: JobName): Promise<readonly SavepointRow[]> {
    return this.#here().savepoints(name);
  }

  deleteSavepoint(name: JobName, savepoint: string): Promise<void> {
    return this.#here().deleteSavepoint(name, savepoint);
  }

  rollback(name: JobName, to?: Revision): ReturnType<ClusterControl['rollback']> {
    return this.#here().rollback(name, to);
  }

  restartFrom(name: JobName, point: RestartPoint, options: { readonly start: boolean }): Promise<JobRow> {
    return this.#here().restartFrom(name, point, options);
  }

  definition(name: JobName, hash: string): Promise<string> {
    return this.#here().definition(name, hash);
  }

  scale(name: JobName, workers: number | null): Promise<JobRow> {
    return this.#here().scale(name, workers);
  }

  drain(worker: WorkerId): void {
    this.#here().drain(worker);
  }

  /** None while this master does not lead: its figures would be old. */
  jobs(): readonly JobView[] {
    return this.#coordinator?.jobs() ?? [];
  }

  job(name: JobName): JobView | undefined {
    return this.#here().job(name);
  }

  workers(): readonly WorkerView[] {
    return this.#coordinator?.workers() ?? [];
  }

  /** Throws: MASTER_UNREACHABLE. A request may outlive the term it began in. */
  #here(): TermCoordinator {
    if (this.#coordinator !== null) return this.#coordinator;
    throw new WeirError('MASTER_UNREACHABLE', 'This master does not lead any more; ask again, another one takes over.');
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
