/** An assignment as one worker sees it: what is its own, and where rows of every key group go. */
import { assert, must } from '../../core/assert.ts';
import type { EpochAssignment } from '../../core/epoch/types.ts';
import type { LaneId, WorkerId } from '../../core/ids.ts';
import { NO_DESTINATION } from '../../engine/epoch/contract.ts';
import type { Routing } from '../../engine/epoch/contract.ts';
import { KEY_GROUPS } from '../../engine/plan/epoch-plan.ts';

/** A thread of a worker. */
export interface Destination {
  readonly worker: number;
  readonly thread: number;
}

export class AssignmentView {
  readonly assignment: EpochAssignment;
  /** Index of this worker in the assignment; -1 when it is not in it. */
  readonly self: number;
  readonly groups: ReadonlySet<number>;
  readonly partitions: ReadonlySet<LaneId>;
  readonly routing: Routing;
  /** By the destination numbers of `routing`. */
  readonly destinations: readonly Destination[];

  constructor(assignment: EpochAssignment, worker: WorkerId) {
    assert(assignment.groups.length === KEY_GROUPS, () => `an assignment of ${assignment.groups.length} key groups`);
    this.assignment = assignment;
    this.self = assignment.workers.findIndex(({ id }) => id === worker);
    this.groups = new Set(assignment.groups.flatMap((owner, group) => (owner === this.self ? [group] : [])));
    const lanes = Object.entries(assignment.partitions) as [LaneId, number][];
    this.partitions = new Set(lanes.flatMap(([lane, owner]) => (owner === this.self ? [lane] : [])));
    this.destinations = assignment.workers.flatMap(({ threads }, index) =>
      Array.from({ length: Math.max(1, threads) }, (_, thread) => ({ worker: index, thread })),
    );
    assert(this.destinations.length < NO_DESTINATION, () => `${this.destinations.length} threads in one assignment`);
    this.routing = routingOf(assignment, this.destinations);
  }

  /**
   * The destination that writes what only one worker may write. It goes with key group 0, which stays where it is as
   * long as it can.
   */
  get writer(): number {
    return must(this.routing.destinationOf[0], () => 'an assignment without key groups');
  }

  /** This worker is the one. */
  get isWriter(): boolean {
    return this.assignment.groups[0] === this.self;
  }

  get workerCount(): number {
    return this.assignment.workers.length;
  }

  addressOf(worker: number): string {
    return this.#worker(worker).address;
  }

  idOf(worker: number): WorkerId {
    return this.#worker(worker).id;
  }

  #worker(index: number): EpochAssignment['workers'][number] {
    return must(this.assignment.workers[index], () => `the assignment has no worker ${index}`);
  }
}

/** Thread of a worker that a key group lives in. The same under every assignment, so that state stays where it is. */
export function threadOf(group: number, threads: number): number {
  return group % Math.max(1, threads);
}

function routingOf(assignment: EpochAssignment, destinations: readonly Destination[]): Routing {
  const first: number[] = [];
  destinations.forEach(({ thread }, index) => thread === 0 && first.push(index));
  const destinationOf = new Uint8Array(KEY_GROUPS);
  assignment.groups.forEach((owner, group) => {
    const threads = must(assignment.workers[owner], () => `key group ${group} has no worker`).threads;
    destinationOf[group] = must(first[owner], () => `worker ${owner} has no thread`) + threadOf(group, threads);
  });
  return { destinationOf, destinationCount: destinations.length };
}

/** Rows of these groups go to the threads of one worker (destination = thread), all others nowhere. */
export function localRouting(groups: Iterable<number>, threads: number): Routing {
  const destinationOf = new Uint8Array(KEY_GROUPS).fill(NO_DESTINATION);
  for (const group of groups) destinationOf[group] = threadOf(group, threads);
  return { destinationOf, destinationCount: Math.max(1, threads) };
}
