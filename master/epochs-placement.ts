/**
 * Who runs a stateful job's epochs: the assignment in force, the one being prepared, and who is ready for it. Decides
 * nothing about epochs; the coordinator asks `next` and carries the answer out.
 */
import type { Clock, Rng } from '../core/clock.ts';
import { backoffMs } from '../core/clock.ts';
import { must } from '../core/assert.ts';
import { assignGroups, sameAssignment, sameGroups } from '../core/epoch/assign-groups.ts';
import type { EpochAssignment } from '../core/epoch/types.ts';
import type { Epoch, LaneId, WorkerId } from '../core/ids.ts';

/** A worker as the master knows it. */
export interface EpochWorker {
  readonly id: WorkerId;
  /** host:port of its exchange. */
  readonly address: string;
  readonly threads: number;
  /** Is about to leave. */
  readonly draining: boolean;
  /** Grows when it connects anew: what was sent before may be lost. */
  readonly session: number;
}

/** Times that others could not reach a worker before it is left out for a while. */
const STRIKES_MAX = 3;
const SUSPENSION_MS = 10_000;
/** Preparations that failed without a committed epoch between are repeated after a growing pause. */
const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 5000;
/**
 * Workers that come or go as planned mostly do so together: they are waited for until nothing has changed for a while, so
 * that key groups move once. Nobody waits for them meanwhile: epochs go on where they are.
 */
const GATHER_JOINING_MS = 2000;
const GATHER_LEAVING_MS = 250;
const GATHER_MS_MAX = 10_000;
/** A warm worker so far behind is prepared again before the switch. */
const WARM_LAG_EPOCHS = 4;
/** But not more often than this: one who never catches up catches up with his first epoch. */
const WARM_AGAIN_MAX = 10;

interface Placement {
  readonly assignment: EpochAssignment;
  readonly sessions: ReadonlyMap<WorkerId, number>;
  /** Epoch that each worker's groups stand at. */
  readonly ready: Map<WorkerId, Epoch>;
  again: number;
}

export type PlacementStep =
  | { readonly kind: 'none' }
  /** No worker is there. */
  | { readonly kind: 'noWorkers' }
  /** Send this to all workers of it. */
  | { readonly kind: 'prepare'; readonly assignment: EpochAssignment }
  /** Its workers are too far behind by now. */
  | { readonly kind: 'prepareAgain'; readonly assignment: EpochAssignment }
  /** Epochs in flight are to be ordered anew under it. */
  | { readonly kind: 'recover'; readonly assignment: EpochAssignment }
  /** Once nothing is in flight. */
  | { readonly kind: 'switch'; readonly assignment: EpochAssignment };

export class EpochPlacement {
  readonly #clock: Clock;
  readonly #rng: Rng;
  #workers = new Map<WorkerId, EpochWorker>();
  #current: Placement | null = null;
  #next: Placement | null = null;
  /** How it was before this leader: keeps state where it is. */
  #former: EpochAssignment | null;
  #settledAt: number;
  /** When workers began to come or go since the last assignment was prepared, and until when others are waited for. */
  #gathering: { readonly since: number; readonly until: number } | null = null;
  #broken = true;
  #version = 0;
  #failures = 0;
  #retryAt = 0;
  readonly #strikes = new Map<WorkerId, number>();
  readonly #suspendedUntil = new Map<WorkerId, number>();
  /** What was decided last, and from what. */
  #asked: { facts: string; before: EpochAssignment | null; wanted: EpochAssignment | null } = {
    facts: '',
    before: null,
    wanted: null,
  };

  /** Workers of `former` get until `settledAt` (monotonic ms) to come back. */
  constructor(clock: Clock, rng: Rng, former: EpochAssignment | null, settledAt: number) {
    this.#clock = clock;
    this.#rng = rng;
    this.#former = former;
    this.#settledAt = settledAt;
  }

  /** In force; null before the first. */
  get current(): EpochAssignment | null {
    return this.#current?.assignment ?? null;
  }

  /** True while epochs in flight cannot be finished under the present assignment. */
  get broken(): boolean {
    return this.#broken;
  }

  /** True while a worker may be restoring from what the head named when it was told to. */
  get preparing(): boolean {
    return this.#next !== null && !allReady(this.#next);
  }

  /** The prepared assignment waits for a moment with nothing in flight. */
  get switchReady(): boolean {
    return !this.#broken && this.#next !== null && allReady(this.#next);
  }

  knows(version: number): boolean {
    return version === this.#current?.assignment.version || version === this.#next?.assignment.version;
  }

  members(): WorkerId[] {
    return this.#current?.assignment.workers.map(({ id }) => id) ?? [];
  }

  /** Everybody who was told something and has not been told to stop. */
  involved(): Set<WorkerId> {
    return new Set([...this.members(), ...(this.#next?.assignment.workers.map(({ id }) => id) ?? [])]);
  }

  isMember(worker: WorkerId): boolean {
    return this.#current?.sessions.has(worker) === true;
  }

  setWorkers(workers: readonly EpochWorker[]): void {
    const before = this.#workers;
    this.#workers = new Map(workers.map((worker) => [worker.id, worker]));
    const joins = workers.some(({ id }) => !before.has(id));
    const leaves = workers.some(({ id, draining }) => draining && before.get(id)?.draining === false);
    if (joins || leaves) {
      const now = this.#clock.mono();
      const since = this.#gathering?.since ?? now;
      const until = Math.max(this.#gathering?.until ?? 0, now + (joins ? GATHER_JOINING_MS : GATHER_LEAVING_MS));
      this.#gathering = { since, until: Math.min(until, since + GATHER_MS_MAX) };
    }
    if (this.#current !== null && !this.#intact(this.#current)) this.#broken = true;
    if (this.#next !== null && !this.#intact(this.#next)) this.#next = null;
  }

  /** A worker answered a preparation. */
  ready(worker: WorkerId, version: number, epoch: Epoch): void {
    if (this.#next?.assignment.version === version && this.#next.sessions.has(worker))
      this.#next.ready.set(worker, epoch);
  }

  /** An epoch or a preparation failed; `peer` is a worker that another one could not reach. */
  fail(version: number | null, peer: WorkerId | null): void {
    if (version === null || version === this.#current?.assignment.version) this.#broken = true;
    else if (version !== this.#next?.assignment.version) return;
    this.#next = null;
    this.#retryAt = this.#clock.mono() + (this.#failures === 0 ? 0 : this.#pause());
    this.#failures += 1;
    if (peer === null || !this.#workers.has(peer)) return;
    const strikes = (this.#strikes.get(peer) ?? 0) + 1;
    this.#strikes.set(peer, strikes);
    if (strikes < STRIKES_MAX) return;
    this.#strikes.delete(peer);
    this.#suspendedUntil.set(peer, this.#clock.mono() + SUSPENSION_MS);
  }

  /** Epochs go through: earlier failures are forgotten. */
  succeeded(): void {
    this.#failures = 0;
    this.#strikes.clear();
  }

  /** Key groups are on their way to other workers while epochs go on where they are. */
  get moving(): boolean {
    return this.#next !== null && !this.#broken;
  }

  /** What is to be done about the workers now. `mayMove` is asked before key groups move as planned. */
  next(lanes: readonly LaneId[], committed: Epoch, mayMove: () => boolean): PlacementStep {
    const now = this.#clock.mono();
    const usable = this.#usable(now);
    if (usable.length === 0) return { kind: 'noWorkers' };
    if (this.#onTheirWay(now)) return { kind: 'none' };
    if (this.#next !== null && this.#broken)
      return allReady(this.#next) ? { kind: 'recover', assignment: this.#next.assignment } : { kind: 'none' };
    const before = this.#current?.assignment ?? this.#former;
    const wanted = this.#wanted(this.#broken ? withoutNewcomers(usable, before) : usable, lanes, before);
    if (!this.#broken && before !== null && sameAssignment(wanted, before)) {
      this.#next = null;
      return { kind: 'none' };
    }
    if (this.#next === null || !sameAssignment(wanted, this.#next.assignment)) {
      if (now < this.#retryAt) return { kind: 'none' };
      if (!this.#broken && now < this.#gatheredAt) return { kind: 'none' };
      // A partition that is new moves no state.
      const moves = !this.#broken && before !== null && !sameGroups(wanted, before);
      if (moves && !mayMove()) return { kind: 'none' };
      this.#gathering = null;
      this.#version += 1;
      const assignment = { ...wanted, version: this.#version };
      this.#next = {
        assignment,
        sessions: new Map(wanted.workers.map(({ id }) => [id, must(this.#workers.get(id), () => id).session])),
        ready: new Map(),
        again: 0,
      };
      return { kind: 'prepare', assignment };
    }
    if (!allReady(this.#next)) return { kind: 'none' };
    const behind = committed - Math.min(...this.#next.ready.values());
    if (behind > WARM_LAG_EPOCHS && this.#next.again < WARM_AGAIN_MAX) {
      this.#next.again += 1;
      this.#next.ready.clear();
      return { kind: 'prepareAgain', assignment: this.#next.assignment };
    }
    return { kind: 'switch', assignment: this.#next.assignment };
  }

  /** Asked in every turn of the coordinator, and nearly always the same. */
  #wanted(usable: readonly EpochWorker[], lanes: readonly LaneId[], before: EpochAssignment | null): EpochAssignment {
    const facts = JSON.stringify([usable.map(({ id, address, threads }) => [id, address, threads]), lanes]);
    const { wanted } = this.#asked;
    if (wanted !== null && this.#asked.before === before && this.#asked.facts === facts) return wanted;
    this.#asked = { facts, before, wanted: assignGroups(usable, lanes, before, 0) };
    return this.#wanted(usable, lanes, before);
  }

  /** The prepared assignment is in force from here on. */
  enforce(): EpochAssignment {
    const next = must(this.#next, () => 'no assignment was prepared');
    this.#current = next;
    this.#next = null;
    this.#broken = false;
    this.#former = null;
    return next.assignment;
  }

  /** Monotonic ms when something may change by itself; infinite when not. */
  get wakeAt(): number {
    const now = this.#clock.mono();
    return Math.min(
      this.#retryAt > now ? this.#retryAt : Number.POSITIVE_INFINITY,
      this.#gatheredAt > now ? this.#gatheredAt : Number.POSITIVE_INFINITY,
      this.#settledAt > now && this.#former !== null ? this.#settledAt : Number.POSITIVE_INFINITY,
      ...[...this.#suspendedUntil.values()].filter((until) => until > now),
    );
  }

  /** When those who come or go together are all there, monotonic ms. */
  get #gatheredAt(): number {
    return this.#gathering?.until ?? Number.NEGATIVE_INFINITY;
  }

  #usable(now: number): EpochWorker[] {
    const all = [...this.#workers.values()];
    const trusted = all.filter(({ id }) => (this.#suspendedUntil.get(id) ?? 0) <= now);
    const some = trusted.length > 0 ? trusted : all;
    const staying = some.filter(({ draining }) => !draining);
    return staying.length > 0 ? staying : some.filter(({ id }) => this.isMember(id));
  }

  #onTheirWay(now: number): boolean {
    if (this.#former === null || this.#current !== null || now >= this.#settledAt) return false;
    return this.#former.workers.some(({ id }) => !this.#workers.has(id));
  }

  #intact(placement: Placement): boolean {
    return [...placement.sessions].every(([id, session]) => this.#workers.get(id)?.session === session);
  }

  #pause(): number {
    return backoffMs(this.#rng, this.#failures, RETRY_BASE_MS, RETRY_CAP_MS);
  }
}

/**
 * While epochs stand still, those who have key groups already take over what is missing: one who has just come would
 * begin everything cold, and gets his part when epochs go on. Unless most of them are gone: too few would have to take
 * over too much.
 */
function withoutNewcomers(usable: readonly EpochWorker[], before: EpochAssignment | null): readonly EpochWorker[] {
  if (before === null) return usable;
  const known = usable.filter(({ id }) => before.workers.some((worker) => worker.id === id));
  return known.length * 2 >= before.workers.length && known.length > 0 ? known : usable;
}

function allReady(placement: Placement): boolean {
  return placement.assignment.workers.every(({ id }) => placement.ready.has(id));
}
