/**
 * Who gets which lane: a pure function of the job's row and what the master sees. Sticky (a lane stays where it is
 * unless that worker is gone, drains, or has two lanes more than another), spread per job first, then by load.
 */
import { assert } from '../assert.ts';
import type { Generation, LaneId, Offset, Partition, TopicId, WorkerId } from '../ids.ts';
import { laneId } from '../ids.ts';
import { ordinalFits } from '../lane/timestamps.ts';
import type { JobRow, LaneAssignment } from '../meta.ts';

export interface WorkerFacts {
  readonly id: WorkerId;
  /** Gets no lanes and gives away those it has. */
  readonly draining: boolean;
  /** Load of all its lanes of all jobs, in any unit that adds up. */
  readonly load: number;
}

export interface PartitionFacts {
  readonly source: string;
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: Partition;
  /** Where an availableNow execution ends. */
  readonly end: Offset | null;
}

export interface AssignFacts {
  /** Workers that may be taken for alive. */
  readonly workers: readonly WorkerFacts[];
  /** Partitions as last seen. */
  readonly partitions: readonly PartitionFacts[];
  /** Places of a record's rows in time (`ATTEMPT_SLOTS` of core/lane/timestamps.ts); default 1. */
  readonly slots?: number;
  /** True when this owner acknowledged that it writes no more under this generation. */
  readonly released: (lane: LaneId, generation: Generation) => boolean;
}

export type LaneTable = JobRow['lanes'];

/** The lanes as they should be; the same object when nothing changes. Never removes a lane. */
export function decideLanes(row: Pick<JobRow, 'lanes' | 'stride'>, facts: AssignFacts): LaneTable {
  const lanes = new Map(Object.entries(row.lanes) as [LaneId, LaneAssignment][]);
  const changed = [addPartitions(lanes, row.stride, facts), clearReleased(lanes, facts), placeLanes(lanes, facts)].some(
    Boolean,
  );
  return changed ? (Object.fromEntries(lanes) as LaneTable) : row.lanes;
}

/** True when a partition was seen that has no ordinal yet and the run's stride holds no more of them. */
export function needsNewStride(row: Pick<JobRow, 'lanes' | 'stride'>, facts: AssignFacts): boolean {
  const unknown = facts.partitions.filter((seen) => row.lanes[laneId(seen)] === undefined).length;
  return unknown > 0 && !ordinalFits(Object.keys(row.lanes).length + unknown - 1, row.stride, facts.slots);
}

/** The smallest that no lane has: a reset may have left out lanes in between. */
function freeOrdinal(lanes: Iterable<LaneAssignment>): number {
  const taken = new Set<number>();
  for (const lane of lanes) taken.add(lane.ordinal);
  let ordinal = 0;
  while (taken.has(ordinal)) ordinal++;
  return ordinal;
}

function addPartitions(lanes: Map<LaneId, LaneAssignment>, stride: number, facts: AssignFacts): boolean {
  let added = false;
  const initial = lanes.size === 0;
  for (const seen of facts.partitions) {
    const id = laneId(seen);
    if (lanes.has(id)) continue;
    const ordinal = freeOrdinal(lanes.values());
    if (!ordinalFits(ordinal, stride, facts.slots)) return added;
    lanes.set(id, {
      topic: seen.topic,
      ordinal,
      generation: 0 as Generation,
      owner: null,
      previousOwner: null,
      end: seen.end,
      initial,
    });
    added = true;
  }
  return added;
}

function clearReleased(lanes: Map<LaneId, LaneAssignment>, facts: AssignFacts): boolean {
  let changed = false;
  for (const [id, lane] of lanes) {
    if (lane.previousOwner === null || !facts.released(id, (lane.generation - 1) as Generation)) continue;
    lanes.set(id, { ...lane, previousOwner: null });
    changed = true;
  }
  return changed;
}

interface Slot {
  readonly id: WorkerId;
  readonly lanes: LaneId[];
  load: number;
}

function placeLanes(lanes: Map<LaneId, LaneAssignment>, facts: AssignFacts): boolean {
  const slots = new Map<WorkerId, Slot>();
  for (const worker of facts.workers) {
    if (!worker.draining) slots.set(worker.id, { id: worker.id, lanes: [], load: worker.load });
  }
  if (slots.size === 0) return false;
  const homeless: LaneId[] = [];
  for (const [id, lane] of lanes) {
    const slot = lane.owner === null ? undefined : slots.get(lane.owner);
    if (slot === undefined) homeless.push(id);
    else slot.lanes.push(id);
  }
  const moves = new Map<LaneId, WorkerId>();
  const give = (id: LaneId, to: Slot): void => {
    to.lanes.push(id);
    to.load += 1;
    moves.set(id, to.id);
  };
  for (const id of homeless) give(id, least(slots));
  for (
    let from = most(slots), to = least(slots);
    from.lanes.length - to.lanes.length >= 2;
    from = most(slots), to = least(slots)
  ) {
    const movable = from.lanes.findIndex((id) => !inHandOver(lanes.get(id)));
    if (movable < 0) break;
    const [id] = from.lanes.splice(movable, 1);
    assert(id !== undefined, () => 'a slot lost its lane');
    from.load -= 1;
    give(id, to);
  }
  for (const [id, owner] of moves) lanes.set(id, handOver(lanes.get(id), owner));
  return moves.size > 0;
}

/** A lane on its way is not moved again for balance only: its new owner has not even started. */
function inHandOver(lane: LaneAssignment | undefined): boolean {
  return lane?.previousOwner !== null;
}

function handOver(lane: LaneAssignment | undefined, owner: WorkerId): LaneAssignment {
  assert(lane !== undefined, () => 'cannot hand over an unknown lane');
  return { ...lane, owner, generation: (lane.generation + 1) as Generation, previousOwner: lane.owner };
}

function least(slots: ReadonlyMap<WorkerId, Slot>): Slot {
  return [...slots.values()].reduce((a, b) => (compare(b, a) < 0 ? b : a));
}

function most(slots: ReadonlyMap<WorkerId, Slot>): Slot {
  return [...slots.values()].reduce((a, b) => (compare(b, a) > 0 ? b : a));
}

function compare(a: Slot, b: Slot): number {
  return a.lanes.length - b.lanes.length || a.load - b.load || (a.id < b.id ? -1 : 1);
}
