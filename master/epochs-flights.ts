/**
 * The epochs of one job that are planned and not committed, in their order: which attempt of each counts, who has mapped
 * and who has done it, and what follows from that.
 */
import { must } from '../core/assert.ts';
import type { HeadFacts } from '../core/epoch/manifest.ts';
import { mergeEventTimes } from '../core/epoch/watermark.ts';
import type { EpochHead, EpochPlan, OffsetRange } from '../core/epoch/types.ts';
import type { Epoch, LaneId, Offset, WorkerId } from '../core/ids.ts';
import { addCounters, zeroCounters } from '../core/lane/position.ts';
import type { EpochDone, EpochMapped } from '../proto/gen/control.ts';

export interface InFlight {
  readonly plan: EpochPlan;
  attempt: number;
  /** Which assignment its current attempt was ordered under. */
  version: number;
  readonly snapshot: boolean;
  mapped: Set<WorkerId>;
  eventTimes: readonly (number | null)[];
  readonly sources: Set<string>;
  done: Map<WorkerId, EpochDone>;
  /** Monotonic ms; null = not yet. */
  readonly plannedAt: number;
  /** Greatest event times of all epochs before it. */
  readonly eventTimesBefore: readonly (number | null)[];
  mappedAt: number | null;
  doneAt: number | null;
}

/** Greatest event time per watermark of the plan, µs; null = none yet. */
type EventTimes = readonly (number | null)[];

export class EpochFlights {
  readonly #flights: InFlight[] = [];

  get none(): boolean {
    return this.#flights.length === 0;
  }

  get all(): readonly InFlight[] {
    return this.#flights;
  }

  get first(): InFlight | undefined {
    return this.#flights[0];
  }

  add(flight: InFlight): void {
    this.#flights.push(flight);
  }

  /** The same epoch in another attempt. What its ranges hold is a fact: it stays. */
  again(index: number, attempt: number, version: number): InFlight {
    const flight = must(this.#flights[index], () => `there is no epoch in flight at ${index}`);
    const { plan, snapshot, plannedAt, eventTimesBefore, mappedAt, eventTimes } = flight;
    const again = newFlight(plan, attempt, version, snapshot, plannedAt, eventTimesBefore);
    if (mappedAt !== null) {
      again.mappedAt = mappedAt;
      again.eventTimes = eventTimes;
    }
    this.#flights[index] = again;
    return again;
  }

  /** Takes the first one away if it is committed by now. */
  shift(committed: Epoch): InFlight | undefined {
    const [first] = this.#flights;
    return first !== undefined && first.plan.epoch <= committed ? this.#flights.shift() : undefined;
  }

  /** Only the current attempt of an epoch counts. */
  current(epoch: number, attempt: number): InFlight | undefined {
    return this.#flights.find((flight) => flight.plan.epoch === epoch && flight.attempt === attempt);
  }

  /** A worker has mapped its share; with all `members`, the epoch is mapped. `now`: monotonic ms. */
  takeMapped(flight: InFlight, worker: WorkerId, mapped: EpochMapped, members: readonly WorkerId[], now: number): void {
    if (flight.mappedAt !== null || flight.mapped.has(worker)) return;
    flight.mapped.add(worker);
    flight.eventTimes = mergeEventTimes(
      flight.eventTimes,
      mapped.eventTimesUs.map((time) => (time <= Number.MIN_SAFE_INTEGER ? null : time)),
    );
    for (const source of mapped.sources) flight.sources.add(source);
    if (members.every((member) => flight.mapped.has(member))) flight.mappedAt = now;
  }

  /** Last epoch up to which all are done: what a commit may cover. */
  doneTo(committed: Epoch): Epoch {
    let last = committed;
    for (const { doneAt, plan } of this.#flights) {
      if (doneAt === null) break;
      last = plan.epoch;
    }
    return last;
  }

  get allMapped(): boolean {
    return this.#flights.every(({ mappedAt }) => mappedAt !== null);
  }

  /** Those of the head and of all epochs that are mapped. */
  eventTimes(head: EpochHead): EventTimes {
    return this.#flights
      .filter(({ mappedAt }) => mappedAt !== null)
      .reduce((times: EventTimes, flight) => mergeEventTimes(times, flight.eventTimes), head.eventTimes);
  }

  /** Sums of the head with those of the epochs up to `committed`. */
  sumsTo(head: EpochHead, committed: Epoch): Sums {
    return this.#flights
      .filter(({ plan }) => plan.epoch > head.committed && plan.epoch <= committed)
      .reduce((sum: Sums, flight) => addDone(sum, flight), head);
  }

  /** Where the job stands after an epoch that is in flight no more, whatever has been planned since. */
  factsAfter(plan: EpochPlan, head: EpochHead, { counters, late }: Sums): HeadFacts {
    const positions: Record<LaneId, Offset> = { ...head.positions };
    for (const flight of this.#flights.toReversed())
      for (const [lane, { from }] of Object.entries(flight.plan.ranges) as [LaneId, OffsetRange][])
        positions[lane] = from;
    const following = this.#flights[0];
    return {
      epochTsUs: plan.epochTsUs,
      positions,
      starts: head.starts,
      eventTimes: following === undefined ? head.eventTimes : following.eventTimesBefore,
      watermarkUs: following === undefined ? head.watermarkUs : following.plan.evictUs,
      evictUs: plan.evictUs,
      counters,
      late,
    };
  }
}

export type Sums = Pick<EpochHead, 'counters' | 'late'>;

/** With what the workers counted in one more epoch. */
export function addDone(sum: Sums, flight: InFlight): Sums {
  let { counters } = sum;
  const late: Record<string, number> = { ...sum.late };
  for (const done of flight.done.values()) {
    counters = addCounters(counters, done.counters ?? zeroCounters);
    for (const { operatorId, rows } of done.late) late[operatorId] = (late[operatorId] ?? 0) + rows;
  }
  return { counters, late };
}

/** An epoch that nobody has mapped or done yet. */
export function newFlight(
  plan: EpochPlan,
  attempt: number,
  version: number,
  snapshot: boolean,
  plannedAt: number,
  eventTimesBefore: readonly (number | null)[],
): InFlight {
  return {
    plan,
    attempt,
    version,
    snapshot,
    mapped: new Set(),
    eventTimes: [],
    sources: new Set(),
    done: new Map(),
    plannedAt,
    eventTimesBefore,
    mappedAt: null,
    doneAt: null,
  };
}
