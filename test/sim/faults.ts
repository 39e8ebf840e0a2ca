/** Which faults a run has. Drawn from the seed, a few kinds at a time: rare combinations meet more often that way. */
import type { NetworkFaults } from './network.ts';
import { healthy } from './network.ts';
import type { SimRng } from './rng.ts';

export const faultKinds = [
  /** A worker's process ends and another is started some time later. */
  'workerCrash',
  /** A worker ends at a failpoint of a lane, or stands still there. */
  'failpoint',
  /** A worker stops for up to three times the ownership term, then goes on (SIGSTOP, SIGCONT). */
  'workerPause',
  /** Requests and answers are lost or slow. */
  'loss',
  /** Writes are applied late, in part or twice, compare-and-set included. */
  'lateWrites',
  /** One direction between a worker and the master is cut. */
  'cutMaster',
  /** One direction between a worker and the store, the tables or the log is cut. */
  'cutServer',
  /** Control streams break. */
  'brokenStreams',
  /** The master's process ends and another is started. */
  'masterCrash',
  /** The master stops, another one takes over, the first one goes on. */
  'masterPause',
  /** Workers join, and leave in good order. */
  'joinLeave',
  /** The job is changed: a new revision, a new run. */
  'revision',
  /** The job is stopped and started again. */
  'stopStart',
  /** The topic gets more partitions. */
  'partitions',
  /** Wall clocks of processes are up to a minute off and jump. */
  'clocks',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Two to four kinds; now and then none, now and then all. */
export function drawFaults(rng: SimRng): ReadonlySet<FaultKind> {
  if (rng.chance(0.03)) return new Set();
  if (rng.chance(0.05)) return new Set(faultKinds);
  const kinds = new Set<FaultKind>();
  const wanted = rng.int(2, 5);
  while (kinds.size < wanted) kinds.add(rng.pick(faultKinds));
  return kinds;
}

/** How the network misbehaves while the faults last. */
export function networkFaults(kinds: ReadonlySet<string>, rng: SimRng): NetworkFaults {
  const upTo = (limit: number): number => rng.unit() * limit;
  return {
    ...healthy,
    ...(kinds.has('loss') ? { requestLost: upTo(0.1), replyLost: upTo(0.1), slow: upTo(0.1) } : {}),
    ...(kinds.has('lateWrites')
      ? { late: upTo(0.1), twice: upTo(0.1), slow: upTo(0.1), requestLost: upTo(0.03), replyLost: upTo(0.05) }
      : {}),
    ...(kinds.has('brokenStreams') ? { streamBroken: upTo(0.05) } : {}),
  };
}
