/** Decisions of the coordinator of a stateful job: functions of what it knows, without I/O and without a clock. */
import { roomFor } from '../core/epoch/row-times.ts';
import { nextEpochTsUs } from '../core/epoch/time.ts';
import type { EpochHead, EpochPlan, OffsetRange, SnapshotRef } from '../core/epoch/types.ts';
import { EPOCH_FORMAT_VERSION } from '../core/epoch/types.ts';
import { planSlotFree } from '../core/epoch/slots.ts';
import type { Epoch, Fence, LaneId } from '../core/ids.ts';
import { epoch as epochOf, offset } from '../core/ids.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import { tableStagesOf } from '../engine/plan/table-stages.ts';
import type { Sums } from './epochs-flights.ts';
import type { Waiting } from './epochs-feeds.ts';
import type { Offsets } from './epochs-logs.ts';

type Trigger = EpochsPlan['trigger'];

/** Plans of one job follow each other no closer, ms. */
const PACE_MS_MIN = 2;
/** Without data, an epoch that looks at timers by the clock comes so often. */
const TIMERS_INTERVAL_MS = 1000;
const SNAPSHOT_INTERVAL_EPOCHS = 512;
/** A snapshot that a worker could not give, or that was not stored, is asked for again so often before a stop. */
export const STOP_SNAPSHOTS_MAX = 3;

/** Whether a snapshot comes with the next epoch, or is a reason for one. */
export type SnapshotNeed = 'no' | 'with' | 'now';

/** Reasons for an epoch. */
export interface EpochWork {
  readonly ranges: ReadonlyMap<LaneId, OffsetRange>;
  readonly idle: readonly string[];
  readonly watermarkUs: number | null;
  readonly snapshot: SnapshotNeed;
  /** See {@link EpochPlan.repeats}. */
  readonly repeats?: number;
}

export interface PlannedEpoch {
  readonly plan: EpochPlan;
  /** A snapshot is asked for with it. */
  readonly snapshot: boolean;
  /** Greatest event times before it. */
  readonly eventTimes: readonly (number | null)[];
}

/** Reads up to ends that the master asks for, not what workers have read ahead. */
export function asksEnds(trigger: Trigger): boolean {
  return trigger.kind === 'manual' || trigger.kind === 'availableNow';
}

/** Why nothing is planned though there may be work: the ring of plans is full of what no snapshot covers. */
export function whyNoSlot(head: EpochHead): Waiting | null {
  if (planSlotFree(epochOf(head.planned + 1), head)) return null;
  return {
    code: 'STORE_UNAVAILABLE',
    message: `job ${head.job} plans nothing before a snapshot is stored: ${head.planned} epochs wait to be covered`,
  };
}

export interface SnapshotFacts {
  /** One is being taken, or an assignment is about to come into force. */
  readonly isHeldUp: boolean;
  /** Epochs planned since the one that the newest snapshot is of. */
  readonly behind: number;
  /** Somebody waits for one. */
  readonly isAskedFor: boolean;
  /** How often one was asked for since the job was told to stop; null = it was not. */
  readonly stopAsks: number | null;
  readonly nothingInFlight: boolean;
  readonly hasData: boolean;
  /** It is long ago that one was asked for. */
  readonly isTime: boolean;
}

export function snapshotNeed(facts: SnapshotFacts): SnapshotNeed {
  const { isHeldUp, behind, isAskedFor, stopAsks, nothingInFlight, hasData, isTime } = facts;
  if (isHeldUp) return 'no';
  if (isAskedFor) return 'now';
  if (stopAsks !== null) return stopAsks < STOP_SNAPSHOTS_MAX && behind > 0 && nothingInFlight ? 'now' : 'no';
  if (!hasData) return 'no';
  return isTime || behind >= SNAPSHOT_INTERVAL_EPOCHS ? 'with' : 'no';
}

/** Snapshots are asked for no closer together, ms. */
export const SNAPSHOT_INTERVAL_MS = 5000;
/** Nor further apart, when they take long: a replay begins at the last one. */
const SNAPSHOT_INTERVAL_MS_MAX = 60_000;
/** Taking them is to be so small a part of the time. */
const SNAPSHOT_TIME_PART = 10;

/** When the next snapshot may be asked for, after one that was asked for and stored at these times. Monotonic ms. */
export function nextSnapshotAt(askedAt: number, storedAt: number): number {
  const interval = Math.max(SNAPSHOT_INTERVAL_MS, (storedAt - askedAt) * SNAPSHOT_TIME_PART);
  return askedAt + Math.min(SNAPSHOT_INTERVAL_MS_MAX, interval);
}

/** Epochs planned since the newest snapshot. */
export function epochsBehind({ planned, snapshot }: EpochHead): number {
  return planned - (snapshot?.epoch ?? -1);
}

/** When an epoch without data looks at timers by the clock; `plannedAt`: when the last epoch was planned. Monotonic ms. */
export function timersDueAt(trigger: Trigger, plannedAt: number): number {
  return plannedAt + (trigger.kind === 'interval' ? trigger.everyMs : TIMERS_INTERVAL_MS);
}

export interface PaceFacts {
  /** When the plan before was due, when the last one was sent, and now; monotonic ms. */
  readonly planAt: number;
  readonly sentAt: number;
  readonly now: number;
  /** How long it takes to make a plan durable, ms. */
  readonly planMsP50: number;
}

/** When the next epoch with data may be planned, monotonic ms. */
export function nextPlanAt(trigger: Trigger, { planAt, sentAt, now, planMsP50 }: PaceFacts): number {
  if (trigger.kind === 'asap') return sentAt + Math.max(PACE_MS_MIN, 2 * planMsP50);
  if (trigger.kind !== 'interval') return sentAt;
  const due = Math.max(planAt, sentAt - trigger.everyMs) + trigger.everyMs;
  return due > now ? due : sentAt + trigger.everyMs;
}

export interface PlanningFacts {
  readonly plan: EpochsPlan;
  readonly token: Fence;
  /** ms since 1970. */
  readonly now: number;
  readonly statics: EpochPlan['statics'];
}

/** The plan of the epoch after the head's last one. */
export function planOf(head: EpochHead, work: EpochWork, { plan, token, now, statics }: PlanningFacts): EpochPlan {
  const { ranges, idle, watermarkUs, repeats } = work;
  const read = Object.fromEntries(ranges) as Record<LaneId, OffsetRange>;
  const room = roomFor(read, tableStagesOf(plan));
  return {
    formatVersion: EPOCH_FORMAT_VERSION,
    epoch: epochOf(head.planned + 1),
    epochTsUs: nextEpochTsUs(head.epochTsUs, now, room),
    ...(repeats === undefined ? {} : { repeats }),
    ...(room === 0 ? {} : { room }),
    token,
    ranges: read,
    lateUs: head.evictUs,
    evictUs: watermarkUs,
    idle,
    statics,
  };
}

/** What one change of the head is to say. */
export interface HeadChange {
  readonly nonce: string;
  readonly committed: Epoch;
  /** Sums over the epochs up to `committed`. */
  readonly sums: Sums;
  readonly eventTimes: EpochHead['eventTimes'];
  /** Of all partitions that are known, with those that were just found. */
  readonly positions: Offsets;
  readonly ends: EpochHead['ends'];
  readonly placement: string | null;
  /** A snapshot that is stored and not named yet. */
  readonly snapshot: SnapshotRef | null;
  /** What the head says of repeated epochs from this plan on. */
  readonly repeats: Partial<EpochHead>;
  readonly planned: EpochPlan | null;
  /** Without a plan: the watermark that the next epoch will have, once all before it are mapped; undefined = not yet. */
  readonly watermarkUs: number | null | undefined;
}

/** The head after one change: commits, a plan, a snapshot, partitions and ends all at once. */
export function headAfter(head: EpochHead, change: HeadChange): EpochHead {
  const { nonce, committed, sums, eventTimes, positions, ends, placement, snapshot, planned, watermarkUs } = change;
  const next: EpochHead = {
    ...head,
    ver: head.ver + 1,
    nonce,
    committed,
    counters: sums.counters,
    late: sums.late,
    eventTimes,
    positions,
    ends,
    placement,
    ...(snapshot === null ? {} : { snapshot, formerSnapshot: head.snapshot }),
  };
  if (planned === null) return watermarkUs === undefined ? next : { ...next, watermarkUs };
  return {
    ...next,
    ...change.repeats,
    planned: planned.epoch,
    epochTsUs: planned.epochTsUs,
    positions: { ...positions, ...endsOfRanges(planned.ranges) },
    watermarkUs: planned.evictUs,
    evictUs: planned.evictUs,
  };
}

function endsOfRanges(ranges: EpochPlan['ranges']): Offsets {
  return Object.fromEntries(
    (Object.entries(ranges) as [LaneId, OffsetRange][]).map(([lane, { to }]) => [lane, offset(to)]),
  ) as Offsets;
}
