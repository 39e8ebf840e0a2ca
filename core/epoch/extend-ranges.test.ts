import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { LaneId } from '../ids.ts';
import { offset } from '../ids.ts';
import type { LaneReach } from './extend-ranges.ts';
import { extendRanges } from './extend-ranges.ts';
import type { OffsetRange } from './types.ts';

const laneOf = (index: number): LaneId => `s/t/${index}` as LaneId;
const range = (from: number, to: number): OffsetRange => ({ from: offset(from), to: offset(to) });
const reach = (position: number, limit: number, recordBytes = 100): LaneReach => ({
  position: offset(position),
  limit: offset(limit),
  recordBytes,
});
const plenty = 1 << 30;

describe('ranges behind what was read', () => {
  test('nothing left, or no room, leaves them as they are', () => {
    const ranges = new Map([[laneOf(0), range(0, 100)]]);
    assert.equal(extendRanges(ranges, new Map([[laneOf(0), reach(0, 100)]]), { records: 1000, bytes: plenty }), ranges);
    assert.equal(extendRanges(ranges, new Map([[laneOf(0), reach(0, 500)]]), { records: 100, bytes: plenty }), ranges);
  });

  test('far behind, the rest of the size is shared by what is left of each partition', () => {
    const ranges = new Map([[laneOf(0), range(0, 100)]]);
    const lanes = new Map([
      [laneOf(0), reach(0, 1100)],
      [laneOf(1), reach(50, 3050)],
      [laneOf(2), reach(7, 7)],
    ]);
    assert.deepEqual(
      extendRanges(ranges, lanes, { records: 500, bytes: plenty }),
      new Map([
        [laneOf(0), range(0, 200)],
        [laneOf(1), range(50, 350)],
      ]),
    );
  });

  test('bytes bound it too', () => {
    const lanes = new Map([[laneOf(0), reach(0, 10_000, 1000)]]);
    const extended = extendRanges(new Map(), lanes, { records: 1e6, bytes: 50_000 });
    assert.deepEqual(extended, new Map([[laneOf(0), range(0, 50)]]));
  });

  test('no range shrinks, none goes over its limit, and together they keep to the size', () => {
    const lane = fc.record({
      position: fc.nat(100),
      read: fc.nat(50),
      left: fc.nat(500),
      recordBytes: fc.integer({ min: 0, max: 500 }),
    });
    fc.assert(
      fc.property(fc.array(lane, { maxLength: 6 }), fc.nat(600), fc.nat(60_000), (facts, records, bytes) => {
        const ranges = new Map<LaneId, OffsetRange>();
        const lanes = new Map<LaneId, LaneReach>();
        facts.forEach(({ position, read, left, recordBytes }, index) => {
          if (read > 0) ranges.set(laneOf(index), range(position, position + read));
          lanes.set(laneOf(index), reach(position, position + read + left, recordBytes));
        });
        const extended = extendRanges(ranges, lanes, { records, bytes });
        let size = 0;
        for (const [name, { from, to }] of extended) {
          const known = lanes.get(name);
          assert.ok(known !== undefined && from === known.position && to > from && to <= known.limit);
          assert.ok(to >= (ranges.get(name)?.to ?? 0));
          size += to - from;
        }
        const planned = [...ranges.values()].reduce((sum, { from, to }) => sum + to - from, 0);
        // Shares below one are rounded up.
        assert.ok(size <= Math.max(planned, records + facts.length));
      }),
    );
  });
});
