/**
 * Where a lane goes on from. A lane without a row of its own in this run decides its start once and makes it durable
 * before it fetches anything, so that a second start finds the same.
 */
import type { Offset, TimestampUs } from '../core/ids.ts';
import { laneId, run } from '../core/ids.ts';
import type { LanePosition } from '../core/lane/position.ts';
import { zeroCounters } from '../core/lane/position.ts';
import type { RunTiming } from '../core/lane/timestamps.ts';
import type { LaneKey, MetaStore, StartPoint } from '../core/meta.ts';
import type { OffsetQuery, Source } from '../core/ports.ts';
import { must } from '../core/assert.ts';
import type { StartingOffsets } from '../engine/plan/job-plan.ts';

export interface StartFacts {
  readonly key: LaneKey;
  readonly topic: string;
  readonly timing: RunTiming;
  readonly start: StartPoint;
  readonly startingOffsets: StartingOffsets;
  /** True for a partition that was there when the run was made; later ones start at their beginning. */
  readonly initialPartition: boolean;
}

/** Throws: STORE_UNAVAILABLE, SOURCE_UNAVAILABLE, TOPIC_NOT_FOUND: all worth another try. */
export async function startPosition(facts: StartFacts, store: MetaStore, source: Source): Promise<LanePosition> {
  const own = await store.readLane(facts.key);
  if (own !== undefined) return own.position;
  const position = await decideStart(facts, store, source);
  await store.writeLane({ ...facts.key, position });
  return position;
}

async function decideStart(facts: StartFacts, store: MetaStore, source: Source): Promise<LanePosition> {
  const { start, timing } = facts;
  if (start.kind === 'continue') {
    for (let former = start.run; former >= start.since; former = run(former - 1)) {
      const before = await store.readLane({ ...facts.key, run: former });
      if (before === undefined) continue;
      // Above the former run's last committed time, whatever it had reached after the new run was decided.
      const bound = Math.max(timing.runStart, before.position.bound + 2 * timing.stride) as TimestampUs;
      return { nextOffset: before.position.nextOffset, bound, counters: zeroCounters };
    }
  }
  const told = start.kind === 'continue' || start.kind === 'offsets' ? start.offsets?.[laneId(facts.key)] : undefined;
  if (told !== undefined) return { nextOffset: told, bound: timing.runStart, counters: zeroCounters };
  const query = startQuery(facts);
  const offsets = await source.offsets(facts.topic, [facts.key.partition], query);
  const nextOffset: Offset = must(
    offsets.get(facts.key.partition),
    () => `no offset for partition ${facts.key.partition}`,
  );
  return { nextOffset, bound: timing.runStart, counters: zeroCounters };
}

function startQuery(facts: StartFacts): OffsetQuery {
  const { start, startingOffsets } = facts;
  const kind = start.kind === 'continue' ? start.otherwise : start.kind;
  if (!facts.initialPartition) return 'earliest';
  if (kind === 'earliest' || kind === 'latest') return kind;
  return startingOffsets.kind === 'timestamp' ? { timestampMs: startingOffsets.timestampMs } : startingOffsets.kind;
}
