/**
 * Which worker has which key groups and reads which partitions: a pure function of who is there and how it was. Shares
 * follow the workers' threads; what can stay stays.
 */
import { must } from '../assert.ts';
import type { LaneId, WorkerId } from '../ids.ts';
import type { EpochAssignment } from './types.ts';

/** Fixed slices of the key space. */
export const GROUP_COUNT = 256;

export interface WorkerSeat {
  readonly id: WorkerId;
  /** host:port of its exchange. */
  readonly address: string;
  readonly threads: number;
}

/** A new assignment over `workers` (at least one), `version` above the former one's. */
export function assignGroups(
  workers: readonly WorkerSeat[],
  lanes: readonly LaneId[],
  former: EpochAssignment | null,
  version: number,
): EpochAssignment {
  const seats = inFormerOrder(workers, former);
  const owner = (index: number | undefined): WorkerId | undefined =>
    index === undefined ? undefined : former?.workers[index]?.id;
  const groups = share(
    Array.from({ length: GROUP_COUNT }, (_, group) => owner(former?.groups[group])),
    seats,
  );
  const sorted = [...lanes].sort();
  const places = share(
    sorted.map((lane) => owner(former?.partitions[lane])),
    seats,
  );
  const partitions = Object.fromEntries(sorted.map((lane, index) => [lane, places[index] ?? 0]));
  return { version, workers: seats, groups, partitions };
}

/** True when nothing would move and nobody came or left. */
export function sameAssignment(a: EpochAssignment, b: EpochAssignment): boolean {
  return sameGroups(a, b) && isSamePlaces(a.partitions, b.partitions);
}

/** True when no key group would move; partitions may. */
export function sameGroups(a: EpochAssignment, b: EpochAssignment): boolean {
  return (
    a.workers.length === b.workers.length &&
    a.workers.every((seat, index) => isSameSeat(seat, b.workers[index])) &&
    a.groups.every((owner, group) => owner === b.groups[group])
  );
}

function isSameSeat(a: WorkerSeat, b: WorkerSeat | undefined): boolean {
  return a.id === b?.id && a.address === b.address && a.threads === b.threads;
}

function isSamePlaces(a: EpochAssignment['partitions'], b: EpochAssignment['partitions']): boolean {
  const lanes = Object.keys(a) as LaneId[];
  return lanes.length === Object.keys(b).length && lanes.every((lane) => a[lane] === b[lane]);
}

/** Those who stay keep their order, so that their indexes change as little as can be. */
function inFormerOrder(workers: readonly WorkerSeat[], former: EpochAssignment | null): WorkerSeat[] {
  const rank = new Map(former?.workers.map(({ id }, index) => [id, index]));
  const rankOf = ({ id }: WorkerSeat): number => rank.get(id) ?? Number.MAX_SAFE_INTEGER;
  return workers
    .map(({ id, address, threads }) => ({ id, address, threads: Math.max(1, threads) }))
    .sort((a, b) => rankOf(a) - rankOf(b) || (a.id < b.id ? -1 : 1));
}

/** For each item the index of its seat: each seat gets its quota, items stay while their seat's quota lasts. */
function share(owners: readonly (WorkerId | undefined)[], seats: readonly WorkerSeat[]): number[] {
  const indexOf = new Map(seats.map(({ id }, index) => [id, index]));
  const held = seats.map(() => 0);
  const wanted = owners.map((owner) => (owner === undefined ? undefined : indexOf.get(owner)));
  for (const seat of wanted) if (seat !== undefined) held[seat] = (held[seat] ?? 0) + 1;
  const left = quotas(owners.length, seats, held);
  const placed = wanted.map((seat) => (seat !== undefined && take(left, seat) ? seat : undefined));
  let next = 0;
  return placed.map((seat) => {
    if (seat !== undefined) return seat;
    // Takes turns, so that neighbours spread.
    while ((left[next % seats.length] ?? 0) === 0) next += 1;
    const chosen = next % seats.length;
    must(take(left, chosen) || undefined, () => 'quotas do not add up');
    next += 1;
    return chosen;
  });
}

function take(left: number[], seat: number): boolean {
  const count = left[seat] ?? 0;
  if (count === 0) return false;
  left[seat] = count - 1;
  return true;
}

/** Largest remainders; among equals, seats that hold more than their whole part come first: nothing has to move. */
function quotas(count: number, seats: readonly WorkerSeat[], held: readonly number[]): number[] {
  const threads = seats.reduce((sum, seat) => sum + seat.threads, 0);
  const exact = seats.map((seat) => (count * seat.threads) / threads);
  const whole = exact.map(Math.floor);
  const part = (index: number): number => (exact[index] ?? 0) - (whole[index] ?? 0);
  const surplus = (index: number): number => (part(index) > 0 && (held[index] ?? 0) > (whole[index] ?? 0) ? 1 : 0);
  const order = seats.map((_, index) => index).sort((a, b) => surplus(b) - surplus(a) || part(b) - part(a) || a - b);
  let rest = count - whole.reduce((sum, part) => sum + part, 0);
  for (const index of order) {
    if (rest === 0) break;
    whole[index] = (whole[index] ?? 0) + 1;
    rest -= 1;
  }
  return whole;
}
