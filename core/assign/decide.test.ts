import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Generation, LaneId, WorkerId } from '../ids.ts';
import { laneId, partition, topicId, workerId } from '../ids.ts';
import { strideFor } from '../lane/timestamps.ts';
import type { LaneAssignment } from '../meta.ts';
import type { AssignFacts, LaneTable, PartitionFacts } from './decide.ts';
import { decideLanes, needsNewStride } from './decide.ts';

const nobodyReleased = (): boolean => false;

function partitions(count: number, source = 'users', topic = 't1'): PartitionFacts[] {
  return Array.from({ length: count }, (_, index) => ({
    source,
    topic: source,
    topicId: topicId(topic),
    partition: partition(index),
    end: null,
  }));
}

function workers(...names: string[]): AssignFacts['workers'] {
  return names.map((name) => ({ id: workerId(name), draining: false, load: 0 }));
}

function decide(lanes: LaneTable, facts: Partial<AssignFacts>): LaneTable {
  return decideLanes({ lanes, stride: 64 }, { workers: [], partitions: [], released: nobodyReleased, ...facts });
}

/** Lanes by owner. */
function shares(lanes: LaneTable): Map<WorkerId | null, number> {
  const counts = new Map<WorkerId | null, number>();
  for (const { owner } of Object.values(lanes)) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return counts;
}

const only = (lanes: LaneTable): LaneAssignment => {
  const [first, ...more] = Object.values(lanes);
  assert.equal(more.length, 0);
  return first as LaneAssignment;
};

test('a new job is spread evenly and its lanes start at once', () => {
  const lanes = decide({}, { workers: workers('a', 'b'), partitions: partitions(5) });
  assert.deepEqual([...shares(lanes).values()].sort(), [2, 3]);
  for (const lane of Object.values(lanes)) {
    assert.equal(lane.generation, 1);
    assert.equal(lane.previousOwner, null);
    assert.equal(lane.initial, true);
  }
});

test('nothing changes while nothing happens: the same object comes back', () => {
  const facts = { workers: workers('a', 'b'), partitions: partitions(5) };
  const lanes = decide({}, facts);
  assert.equal(decide(lanes, facts), lanes);
});

test('a partition added later starts at its beginning', () => {
  const before = decide({}, { workers: workers('a'), partitions: partitions(2) });
  const after = decide(before, { workers: workers('a'), partitions: partitions(3) });
  assert.deepEqual(
    Object.values(after).map((lane) => lane.initial),
    [true, true, false],
  );
});

test('a lane that moves waits for its former owner until that one has released it', () => {
  const facts = { partitions: partitions(1) };
  const first = decide({}, { ...facts, workers: workers('a') });
  const moved = decide(first, { ...facts, workers: workers('b') });
  assert.deepEqual(only(moved), { ...only(first), owner: 'b', previousOwner: 'a', generation: 2 });
  const asked: (readonly [LaneId, Generation])[] = [];
  const released = decide(moved, {
    ...facts,
    workers: workers('b'),
    released: (lane, generation) => {
      asked.push([lane, generation]);
      return true;
    },
  });
  assert.deepEqual(only(released), { ...only(moved), previousOwner: null });
  assert.deepEqual(asked, [[laneId(partitions(1)[0] as PartitionFacts), 1]]);
});

test('a lane on its way is not moved again for balance', () => {
  const facts = { partitions: partitions(4) };
  const atA = decide({}, { ...facts, workers: workers('a') });
  const shared = decide(atA, { ...facts, workers: workers('a', 'b') });
  assert.deepEqual([...shares(shared).values()], [2, 2]);
  const withC = decide(shared, { ...facts, workers: workers('a', 'b', 'c') });
  for (const [id, lane] of Object.entries(shared)) {
    if (lane.previousOwner !== null) assert.equal(withC[id as LaneId]?.owner, lane.owner);
  }
});

test('a draining worker keeps nothing; without any worker everything stays as it is', () => {
  const lanes = decide({}, { workers: workers('a', 'b'), partitions: partitions(4) });
  const draining = [{ id: workerId('a'), draining: true, load: 2 }, ...workers('b')];
  assert.deepEqual([...shares(decide(lanes, { workers: draining, partitions: partitions(4) })).keys()], ['b']);
  assert.equal(decide(lanes, { workers: [], partitions: partitions(4) }), lanes);
});

test('more partitions than the stride has room for ask for a new run; those that fit are still added', () => {
  const row = { lanes: {}, stride: strideFor(1) };
  const facts = { workers: workers('a'), partitions: partitions(17), released: nobodyReleased };
  assert.equal(needsNewStride(row, facts), true);
  assert.equal(Object.keys(decideLanes(row, facts)).length, 16);
  assert.equal(needsNewStride({ ...row, stride: strideFor(17) }, facts), false);
});

test('after a reset has left out the lanes of a recreated topic no two lanes share an ordinal', () => {
  const facts = { workers: workers('a') };
  const both = [...partitions(2, 'left', 'old'), ...partitions(2, 'right', 'same')];
  const before = decide({}, { ...facts, partitions: both });
  const kept = Object.fromEntries(Object.entries(before).filter(([id]) => id.startsWith('right/'))) as LaneTable;
  const after = decide(kept, {
    ...facts,
    partitions: [...partitions(2, 'left', 'new'), ...partitions(2, 'right', 'same')],
  });
  assert.deepEqual(
    Object.values(after)
      .map((lane) => lane.ordinal)
      .sort(),
    [0, 1, 2, 3],
  );
});

interface Step {
  readonly alive: readonly number[];
  readonly draining: readonly number[];
  readonly partitions: number;
  readonly releases: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  alive: fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { maxLength: 5 }),
  draining: fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { maxLength: 2 }),
  partitions: fc.integer({ min: 1, max: 12 }),
  releases: fc.boolean(),
});

test('whatever workers and partitions do: ordinals are distinct, generations grow with owners, the load is even', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
      let lanes: LaneTable = {};
      let seen = 1;
      for (const { alive, draining, partitions: count, releases } of steps) {
        seen = Math.max(seen, count);
        const facts: AssignFacts = {
          workers: alive.map((index) => ({ id: workerId(`w${index}`), draining: draining.includes(index), load: 0 })),
          partitions: partitions(seen),
          released: () => releases,
        };
        const before = lanes;
        lanes = decideLanes({ lanes, stride: 64 }, facts);
        assert.equal(new Set(Object.values(lanes).map((lane) => lane.ordinal)).size, Object.keys(lanes).length);
        for (const [id, lane] of Object.entries(lanes) as [LaneId, LaneAssignment][]) {
          const was = before[id];
          if (was === undefined) continue;
          assert.equal(lane.ordinal, was.ordinal);
          if (lane.owner === was.owner) assert.equal(lane.generation, was.generation);
          else {
            assert.equal(lane.generation, was.generation + 1);
            assert.equal(lane.previousOwner, was.owner);
          }
        }
        const usable = facts.workers.filter((worker) => !worker.draining);
        if (usable.length === 0) continue;
        const counts = shares(lanes);
        for (const owner of counts.keys())
          assert.ok(
            usable.some((worker) => worker.id === owner),
            `${owner} has lanes and is not there`,
          );
        const settled = Object.values(lanes).every((lane) => lane.previousOwner === null);
        const sizes = usable.map((worker) => counts.get(worker.id) ?? 0);
        if (settled) assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `shares ${sizes.join()}`);
      }
    }),
    { numRuns: 300 },
  );
});
