import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { LaneId } from '../ids.ts';
import { offset } from '../ids.ts';
import type { Admission } from './admission.ts';
import type { Mark } from './marks.ts';
import { LaneMarks } from './marks.ts';
import type { LaneFacts, RangeFacts } from './plan-ranges.ts';
import { planRanges, planRangesTo } from './plan-ranges.ts';

const unlimited: Admission = { maxOffsetsPerTrigger: null, minOffsetsPerTrigger: null, maxTriggerDelayMs: 1000 };

/** Marks as [end, ms]; `more` = the log goes on behind them. */
function lane(position: number, marks: readonly (readonly [number, number])[], more = 0): LaneFacts {
  const last = marks.at(-1)?.[0] ?? position;
  return {
    position: offset(position),
    marks: marks.map(([end, timestampMs]): Mark => ({ end: offset(end), timestampMs })),
    logEnd: offset(last + more),
    known: true,
  };
}

function plan(lanes: readonly LaneFacts[], changes: Partial<RangeFacts> = {}, limits = unlimited): unknown {
  const named = new Map(lanes.map((facts, index) => [`s/t/${index}` as LaneId, facts]));
  const ranges = planRanges({
    sources: [{ name: 's', lanes: named, limits, sinceLastMs: null }],
    slackMs: 0,
    ...changes,
  });
  return Object.fromEntries([...ranges].map(([id, { from, to }]) => [id.slice(4), [from, to]]));
}

suite('alignment by record time', () => {
  test('what has been read to its end is taken whole', () => {
    assert.deepEqual(plan([lane(0, [[5, 1000]]), lane(3, [[9, 90_000]]), lane(4, [])]), { 0: [0, 5], 1: [3, 9] });
  });

  test('a partition with more to come holds the others at its last known time', () => {
    const behind = lane(
      0,
      [
        [10, 1000],
        [20, 2000],
      ],
      500,
    );
    const ahead = lane(0, [
      [10, 1500],
      [20, 2500],
      [30, 9000],
    ]);
    assert.deepEqual(plan([behind, ahead]), { 0: [0, 20], 1: [0, 10] });
    assert.deepEqual(plan([behind, ahead], { slackMs: 500 }), { 0: [0, 20], 1: [0, 20] });
    assert.deepEqual(plan([behind, ahead], { slackMs: null }), { 0: [0, 20], 1: [0, 30] });
  });

  test('nothing is taken beside a partition nobody has reported on', () => {
    const unknown = { ...lane(0, []), known: false };
    assert.deepEqual(plan([unknown, lane(0, [[5, 1]])]), {});
    assert.deepEqual(plan([unknown, lane(0, [[5, 1]])], { slackMs: null }), { 1: [0, 5] });
  });

  test('a limit is spent on the earliest records of all partitions; within one batch pro rata', () => {
    const lanes = [
      lane(0, [
        [4, 1000],
        [8, 3000],
      ]),
      lane(0, [
        [4, 2000],
        [8, 4000],
      ]),
    ];
    const limits = { ...unlimited, maxOffsetsPerTrigger: 13 };
    assert.deepEqual(plan(lanes, {}, limits), { 0: [0, 8], 1: [0, 4] });
    assert.deepEqual(plan(lanes, {}, { ...unlimited, maxOffsetsPerTrigger: 3 }), { 0: [0, 3] });
    assert.deepEqual(plan(lanes, { slackMs: null }, { ...unlimited, maxOffsetsPerTrigger: 3 }), {
      0: [0, 1],
      1: [0, 1],
    });
  });

  test('whatever the backlog, it is read without gaps to its end and rows of one epoch are about as old', () => {
    const batches = fc.array(fc.record({ size: fc.integer({ min: 1, max: 50 }), gapMs: fc.nat(60_000) }), {
      maxLength: 30,
    });
    const max = fc.option(fc.integer({ min: 1, max: 200 }), { nil: null });
    fc.assert(
      fc.property(
        fc.array(batches, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 5 }),
        max,
        (logs, ahead, limit) => {
          const all = logs.map((list, index) => {
            let end = 0;
            let time = index * 3_600_000;
            return list.map(({ size, gapMs }): [number, number] => [(end += size), (time += gapMs)]);
          });
          const positions = all.map(() => 0);
          let newest = Number.NEGATIVE_INFINITY;
          for (let epoch = 0; ; epoch++) {
            assert.ok(epoch < 10_000, 'it does not end');
            const lanes = all.map((marks, index) => {
              const rest = marks.filter(([end]) => end > (positions[index] ?? 0));
              const known = rest.slice(0, ahead);
              return lane(positions[index] ?? 0, known, (rest.at(-1)?.[0] ?? 0) - (known.at(-1)?.[0] ?? 0));
            });
            const ranges = plan(lanes, {}, { ...unlimited, maxOffsetsPerTrigger: limit }) as Record<
              string,
              [number, number]
            >;
            if (Object.keys(ranges).length === 0) break;
            let seen = newest;
            for (const [id, [from, to]] of Object.entries(ranges)) {
              assert.equal(from, positions[Number(id)]);
              for (const [end, time] of all[Number(id)] ?? []) {
                // Nothing is older than what an epoch before has seen, but for the rest of a batch that a limit cut.
                if (limit === null && end > from && end <= to) assert.ok(time >= newest, `${time} after ${newest}`);
                if (end > from && end <= to) seen = Math.max(seen, time);
              }
              positions[Number(id)] = to;
            }
            newest = seen;
          }
          assert.deepEqual(
            positions,
            all.map((marks) => marks.at(-1)?.[0] ?? 0),
          );
        },
      ),
      { numRuns: 200 },
    );
  });
});

test('ranges up to given ends are Spark’s, source by source', () => {
  const lanes = new Map([
    ['s/t/0' as LaneId, { from: offset(0), end: offset(21) }],
    ['s/t/1' as LaneId, { from: offset(0), end: offset(11) }],
  ]);
  const limits = { ...unlimited, minOffsetsPerTrigger: 40, maxOffsetsPerTrigger: 20 };
  const source = { name: 's', limits, sinceLastMs: null };
  assert.deepEqual(
    [...planRangesTo([source], () => lanes).values()].map(({ to }) => to),
    [13, 6],
  );
  assert.equal(planRangesTo([{ ...source, sinceLastMs: 10 }], () => lanes).size, 0);
});

suite('marks', () => {
  test('reports may overlap, repeat and come late', () => {
    const marks = new LaneMarks();
    marks.add(offset(0), [5, 10], [1000, 900], 20);
    marks.add(offset(0), [5, 10, 15], [1000, 900, 2000], 18);
    assert.deepEqual(marks.marks, [
      { end: 5, timestampMs: 1000 },
      { end: 10, timestampMs: 1000 },
      { end: 15, timestampMs: 2000 },
    ]);
    assert.equal(marks.logEnd, 20);
    marks.planned(offset(10));
    assert.deepEqual(
      marks.marks.map(({ end }) => end),
      [15],
    );
    marks.add(offset(10), [8], [1], 9);
    assert.deepEqual(
      marks.marks.map(({ end }) => end),
      [15],
    );
  });
});
