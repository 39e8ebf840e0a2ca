import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { LaneId } from '../ids.ts';
import { offset } from '../ids.ts';
import type { Admission, Pending } from './admission.ts';
import { mustWait, proRata, sizeOf } from './admission.ts';

function pending(...ranges: readonly (readonly [number, number])[]): Map<LaneId, Pending> {
  return new Map(
    ranges.map(([from, end], index) => [`s/t/${index}` as LaneId, { from: offset(from), end: offset(end) }]),
  );
}

const between = (min: number | null, max: number | null): Admission => ({
  minOffsetsPerTrigger: min,
  maxOffsetsPerTrigger: max,
  maxTriggerDelayMs: 5000,
});

suite('pro rata', () => {
  test('shares as Spark gives them: small ones up, others down', () => {
    assert.deepEqual([...proRata(pending([0, 21], [0, 11], [0, 1]), 20).values()], [12, 6, 1]);
    assert.deepEqual([...proRata(pending([12, 29], [6, 21], [1, 2]), 20).values()], [22, 15, 2]);
    assert.deepEqual([...proRata(pending([22, 29], [15, 21], [2, 2]), 20).values()], [29, 21, 2]);
  });

  test('never beyond the end, nothing starves, no more than the limit but for the small ones', () => {
    const sizes = fc.array(fc.nat(10_000), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 50_000 }), (list, limit) => {
        const all = pending(...list.map((size): [number, number] => [7, 7 + size]));
        const ends = [...proRata(all, limit).values()];
        const taken = ends.map((end) => end - 7);
        for (const [index, size] of list.entries()) {
          assert.ok((taken[index] ?? 0) <= size);
          assert.equal((taken[index] ?? 0) > 0, size > 0);
        }
        const total = taken.reduce((sum, part) => sum + part, 0);
        assert.ok(total <= Math.min(sizeOf(all), limit + list.length));
      }),
    );
  });
});

suite('waiting for more', () => {
  test('the first epoch never waits, later ones for the minimum or the delay', () => {
    const limits = between(15, null);
    assert.equal(mustWait(pending([0, 6]), limits, null), false);
    assert.equal(mustWait(pending([16, 22]), limits, 100), true);
    assert.equal(mustWait(pending([16, 34]), limits, 100), false);
    assert.equal(mustWait(pending([34, 44]), limits, 4999), true);
    assert.equal(mustWait(pending([34, 44]), limits, 5000), false);
  });

  test('without a minimum nothing waits', () => {
    assert.equal(mustWait(pending([0, 0]), between(null, 10), 0), false);
  });
});
