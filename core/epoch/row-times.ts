/**
 * Times of an epoch's table rows. Tables keep the newer of two values, cell by cell, and of two of one time the larger
 * bytes; so rows of one primary key that come out of several tasks of an epoch may not have one time, or a bit of each
 * would stay. An epoch whose rows go to tables has room of its own below its time, and in it a place for every row:
 *
 *   rows that hold no more, by state stage and key group | rows of records, by source, partition and offset |
 *   rows of state stages, by stage and key group
 *
 *   time = write time of the attempt - room + place
 *
 * So the last place wins, whoever wrote it and in whatever order writes arrive: an attempt writes all of its rows, at
 * times above those that the attempts before gave to the same places. Within a place one task decides.
 */
import { assert } from '../assert.ts';
import { GROUP_COUNT } from './assign-groups.ts';
import type { EpochPlan, OffsetRange } from './types.ts';

/** Places for rows of records in one epoch; beyond that, neighbouring offsets share one. */
const RECORD_PLACES_MAX = 65_536;

/** What of a job's plan decides the places. */
export interface TableStages {
  /** Rows of map stages go to tables. */
  readonly records: boolean;
  /** Number of state stages whose rows go to tables. */
  readonly stateful: number;
}

type Ranges = Readonly<Record<string, OffsetRange>>;

/** Room that an epoch with these ranges needs below its time, µs. */
export function roomFor(ranges: Ranges, { records, stateful }: TableStages): number {
  return 2 * GROUP_COUNT * stateful + (records ? recordPlaces(ranges) : 0);
}

/** Offsets that share a place. Batches of one place are not to be taken apart. */
export function offsetsPerPlace({ room, ranges }: Pick<EpochPlan, 'room' | 'ranges'>): number {
  return room === undefined ? 1 : stepOf(ranges);
}

/** Times of the rows of one partition's records. */
export interface RecordTimes {
  /** Of the offset that the range begins with, µs. */
  readonly firstUs: number;
  /** Offsets per µs. */
  readonly step: number;
}

/**
 * Times of the rows of each partition's records. `order`: the partitions of the plan; a later one's rows win. Null for
 * an epoch without room: all rows have the attempt's write time.
 */
export function recordTimes<Lane extends string>(
  { room, ranges }: Pick<EpochPlan, 'room' | 'ranges'>,
  order: readonly Lane[],
  stages: TableStages,
  writeTimeUs: number,
): ReadonlyMap<Lane, RecordTimes> | null {
  if (room === undefined || !stages.records) return null;
  assert(
    room >= roomFor(ranges, stages),
    () => `an epoch has a room of ${room} µs for ${roomFor(ranges, stages)} places`,
  );
  const step = stepOf(ranges);
  let firstUs = writeTimeUs - room + GROUP_COUNT * stages.stateful;
  const times = new Map<Lane, RecordTimes>();
  for (const lane of order) {
    const range = (ranges as Ranges)[lane];
    if (range === undefined) continue;
    times.set(lane, { firstUs, step });
    firstUs += placesIn(range, step);
  }
  return times;
}

/** Times of key group 0's rows, µs; those of the others follow, one µs each. */
export interface StateTimes {
  readonly givenUs: number;
  /** Of rows that hold no more. */
  readonly pastUs: number;
}

/** `stage` counts the state stages whose rows go to tables. With no room there are no such times. */
export function stateTimes(
  { room, writeTimeUs }: { readonly room: number; readonly writeTimeUs: number },
  { stateful }: TableStages,
  stage: number,
): StateTimes {
  const place = stage * GROUP_COUNT;
  return { givenUs: writeTimeUs - GROUP_COUNT * stateful + place, pastUs: writeTimeUs - room + place };
}

function recordPlaces(ranges: Ranges): number {
  const step = stepOf(ranges);
  return Object.values(ranges).reduce((sum, range) => sum + placesIn(range, step), 0);
}

function placesIn({ from, to }: OffsetRange, step: number): number {
  return Math.ceil((to - from) / step);
}

function stepOf(ranges: Ranges): number {
  const offsets = Object.values(ranges).reduce((sum, { from, to }) => sum + (to - from), 0);
  return Math.max(1, Math.ceil(offsets / RECORD_PLACES_MAX));
}
