import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { LaneId } from '../ids.ts';
import { workerId } from '../ids.ts';
import type { WorkerSeat } from './assign-groups.ts';
import { GROUP_COUNT, assignGroups, sameAssignment } from './assign-groups.ts';
import type { EpochAssignment } from './types.ts';

const seat = (id: string, threads = 1): WorkerSeat => ({ id: workerId(id), address: `${id}:1`, threads });
const lanes = (count: number): LaneId[] => Array.from({ length: count }, (_, index) => `s/t/${index}` as LaneId);

function shares(assignment: EpochAssignment): number[] {
  return assignment.workers.map((_, index) => assignment.groups.filter((owner) => owner === index).length);
}

function ownerOf(assignment: EpochAssignment, group: number): string {
  return assignment.workers[assignment.groups[group] ?? -1]?.id ?? 'nobody';
}

suite('assignment of key groups and partitions', () => {
  test('shares follow threads', () => {
    const assignment = assignGroups([seat('a'), seat('b', 3)], lanes(8), null, 1);
    assert.deepEqual(shares(assignment), [64, 192]);
    const partitions = Object.values(assignment.partitions);
    assert.deepEqual(
      [0, 1].map((index) => partitions.filter((owner) => owner === index).length),
      [2, 6],
    );
  });

  test('the same workers keep everything', () => {
    const first = assignGroups([seat('a'), seat('b')], lanes(3), null, 1);
    assert.ok(sameAssignment(assignGroups([seat('b'), seat('a')], lanes(3), first, 2), first));
  });

  test('only what a lost worker had moves, a new one gets its share from all', () => {
    const three = assignGroups([seat('a'), seat('b'), seat('c')], lanes(3), null, 1);
    const two = assignGroups([seat('a'), seat('c')], lanes(3), three, 2);
    for (let group = 0; group < GROUP_COUNT; group++)
      if (ownerOf(three, group) !== 'b') assert.equal(ownerOf(two, group), ownerOf(three, group));
    const again = assignGroups([seat('a'), seat('c'), seat('d')], lanes(3), two, 3);
    for (let group = 0; group < GROUP_COUNT; group++)
      if (ownerOf(again, group) !== 'd') assert.equal(ownerOf(again, group), ownerOf(two, group));
  });

  test('always whole, balanced to one, and with the least movement', () => {
    const crew = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), { minLength: 1, maxLength: 7 });
    const threads = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(fc.array(crew, { minLength: 1, maxLength: 6 }), threads, fc.nat(20), (crews, sizes, laneCount) => {
        let former: EpochAssignment | null = null;
        for (const [version, names] of crews.entries()) {
          const seats = names.map((name) => seat(name, sizes[name.charCodeAt(0) - 97] ?? 1));
          const assignment = assignGroups(seats, lanes(laneCount), former, version);
          const total = seats.reduce((sum, each) => sum + each.threads, 0);
          const counts = shares(assignment);
          assert.equal(
            counts.reduce((sum, count) => sum + count, 0),
            GROUP_COUNT,
          );
          assert.equal(Object.keys(assignment.partitions).length, laneCount);
          for (const [index, worker] of assignment.workers.entries()) {
            const exact = (GROUP_COUNT * worker.threads) / total;
            assert.ok(Math.abs((counts[index] ?? 0) - exact) < 1);
          }
          if (former !== null) assertLeastMovement(former, assignment, counts);
          former = assignment;
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** A worker that stays keeps what it had, up to its share. */
function assertLeastMovement(before: EpochAssignment, after: EpochAssignment, counts: readonly number[]): void {
  for (const [index, { id }] of after.workers.entries()) {
    const had = Array.from({ length: GROUP_COUNT }, (_, group) => group).filter(
      (group) => ownerOf(before, group) === id,
    );
    const kept = had.filter((group) => ownerOf(after, group) === id).length;
    assert.equal(kept, Math.min(had.length, counts[index] ?? 0));
  }
}
