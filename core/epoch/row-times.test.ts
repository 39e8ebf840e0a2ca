import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { fence } from '../ids.ts';
import { EPOCH_SPAN_US, nextEpochTsUs, writeTimeUs } from './time.ts';
import { offsetsPerPlace, recordTimes, roomFor, stateTimes } from './row-times.ts';
import type { EpochPlan } from './types.ts';

type Planned = Pick<EpochPlan, 'epochTsUs' | 'token' | 'ranges'> & { readonly room: number };

function rangesOf(sizes: readonly number[]): EpochPlan['ranges'] {
  return Object.fromEntries(sizes.map((size, lane) => [`l${lane}`, { from: lane * 7, to: lane * 7 + size }])) as never;
}

/** A row of one key, and its place by hand: what holds no more, then records, then states. */
interface Row {
  readonly rank: readonly number[];
  readonly timeAt: (writeTime: number) => number;
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

const rowSeed = fc.record({
  kind: fc.constantFrom('past', 'record', 'state'),
  a: fc.nat(3),
  b: fc.nat(300),
});

suite('times of table rows', () => {
  test('the last place wins, whatever attempts wrote before and in whatever order it arrives', () => {
    const attempts = fc.array(fc.record({ leader: fc.nat(3), applied: fc.infiniteStream(fc.boolean()) }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 3 }),
        fc.array(rowSeed, { minLength: 1, maxLength: 8 }),
        attempts,
        (sizes, stateful, seeds, tries) => {
          const ranges = rangesOf(sizes);
          const stages = { records: true, stateful };
          const room = roomFor(ranges, stages);
          const before = 5_000_000;
          const plan: Planned = { epochTsUs: nextEpochTsUs(before, 0, room), token: fence(1), ranges, room };
          const lanes = Object.keys(ranges);
          const rows = seeds.map(({ kind, a, b }): Row => {
            if (kind === 'record') {
              const lane = a % lanes.length;
              const delta = b % sizes[lane]!;
              const timeAt = (writeTime: number): number => {
                const { firstUs, step } = recordTimes(plan, lanes, stages, writeTime)!.get(lanes[lane]!)!;
                return firstUs + delta / step;
              };
              return { rank: [1, lane, delta], timeAt };
            }
            const [stage, group] = [a % stateful, b % 256];
            const timeAt = (writeTime: number): number => {
              const { givenUs, pastUs } = stateTimes({ room, writeTimeUs: writeTime }, stages, stage);
              return (kind === 'past' ? pastUs : givenUs) + group;
            };
            return { rank: [kind === 'past' ? 0 : 2, stage, group], timeAt };
          });
          const winner = rows.reduce((best, row) => (compare(row.rank, best.rank) > 0 ? row : best));
          const written: { readonly time: number; readonly row: Row }[] = [];
          let leader = 1;
          let attempt = -1;
          for (const [index, { leader: newer, applied }] of tries.entries()) {
            attempt = newer > 0 ? 0 : attempt + 1;
            leader += newer;
            const writeTime = writeTimeUs(plan, fence(leader), attempt);
            // The last one is committed: all of it was acknowledged. The others may have written anything of theirs.
            for (const row of rows)
              if (index === tries.length - 1 || applied.next().value)
                written.push({ time: row.timeAt(writeTime), row });
          }
          const latest = Math.max(...written.map(({ time }) => time));
          for (const { time, row } of written) if (time === latest) assert.deepEqual(row.rank, winner.rank);
          for (const { time } of written) {
            assert.ok(time >= before + EPOCH_SPAN_US, 'above every attempt of the epoch before');
            assert.ok(time < plan.epochTsUs + EPOCH_SPAN_US, 'below the room of the epoch behind');
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('an epoch of very many offsets has a bounded room, and offsets share its places', () => {
    const ranges = rangesOf([10_000_000, 1, 3]);
    const stages = { records: true, stateful: 0 };
    const room = roomFor(ranges, stages);
    assert.ok(room < 70_000, `${room} µs`);
    const step = offsetsPerPlace({ room, ranges });
    assert.equal(step, 153);
    const times = recordTimes({ room, ranges }, ['l0', 'l1', 'l2'], stages, 1_000_000)!;
    const last = 9_999_999;
    assert.ok(times.get('l0')!.firstUs + Math.floor(last / step) < times.get('l1')!.firstUs);
    assert.equal(times.get('l2')!.firstUs, 999_999);
  });

  test('plans without rows for tables need no room', () => {
    assert.equal(roomFor(rangesOf([5, 6]), { records: false, stateful: 0 }), 0);
    assert.equal(recordTimes({ ranges: rangesOf([5]) }, ['l0'], { records: true, stateful: 0 }, 10), null);
    assert.equal(offsetsPerPlace({ ranges: rangesOf([10_000_000]) }), 1);
  });
});
