/** What happens to stateful jobs: what happens to any cluster, and to their snapshots. */
import type { SimRng } from '../rng.ts';
import { faultKinds } from '../faults.ts';

export const epochFaultKinds = [
  ...faultKinds,
  /** A blob of the newest snapshot is damaged while a worker restores from it. */
  'damage',
  /** Savepoints are made, deleted, and jobs started from them. */
  'savepoint',
  /** One partition of each topic begins an hour behind the others. */
  'backlog',
  /** All workers end at once, and for a while there is none. */
  'noWorkers',
  /** Jobs read what is there and finish, and are started again (availableNow). */
  'executions',
  /** A source without records does not hold the watermark back, and in the end one has none. */
  'idle',
] as const;
export type EpochFaultKind = (typeof epochFaultKinds)[number];

/** Two to four kinds; now and then none, now and then all. */
export function drawEpochFaults(rng: SimRng): ReadonlySet<EpochFaultKind> {
  if (rng.chance(0.03)) return new Set();
  if (rng.chance(0.05)) return new Set(epochFaultKinds);
  const kinds = new Set<EpochFaultKind>();
  const wanted = rng.int(2, 5);
  while (kinds.size < wanted) kinds.add(rng.pick(epochFaultKinds));
  return kinds;
}
