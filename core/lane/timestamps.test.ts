import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { offset, run, timestampUs } from '../ids.ts';
import type { BatchHeader } from '../record-batch.ts';
import type { Cursor } from './chunk.ts';
import { planChunk } from './chunk.ts';
import type { RunTiming } from './timestamps.ts';
import { ATTEMPT_SLOTS, nextRunStart, ordinalFits, recordTime, strideFor, timeBatch } from './timestamps.ts';

const NOW_MS = 1_700_000_000_000;

/** What one batch of a partition looks like: how many offsets, how many of them still hold records, when, of what kind. */
interface BatchShape {
  readonly span: number;
  readonly gapBefore: number;
  readonly timeMs: number;
  readonly kind: 'data' | 'control' | 'empty';
}

const batchShape: fc.Arbitrary<BatchShape> = fc.record({
  span: fc.integer({ min: 1, max: 40 }),
  gapBefore: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 1000 }) },
  ),
  timeMs: fc.oneof(
    fc.integer({ min: NOW_MS - 10_000, max: NOW_MS + 3000 }),
    fc.integer({ min: 0, max: NOW_MS }),
    fc.constant(-1),
  ),
  kind: fc.constantFrom('data', 'data', 'data', 'control', 'empty'),
});

interface Log {
  readonly headers: BatchHeader[];
  readonly visible: boolean[];
}

function makeLog(shapes: readonly BatchShape[]): Log {
  const headers: BatchHeader[] = [];
  const visible: boolean[] = [];
  let next = 0;
  for (const { span, gapBefore, timeMs, kind } of shapes) {
    const base = next + gapBefore;
    next = base + span;
    headers.push({
      start: 0,
      end: 0,
      baseOffset: offset(base),
      nextOffset: offset(next),
      attributes: 0,
      maxTimestampMs: timeMs,
      producerId: -1n,
      recordCount: kind === 'empty' ? 0 : span,
    });
    visible.push(kind !== 'control');
  }
  return { headers, visible };
}

const log = fc.array(batchShape, { minLength: 1, maxLength: 25 }).map(makeLog);
const stride = fc.integer({ min: 3, max: 12 }).map((bits) => 2 ** bits);
const lane = stride.chain((width) =>
  fc.record({ stride: fc.constant(width), ordinal: fc.integer({ min: 0, max: width / 2 - 1 }) }),
);
const runStart = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: NOW_MS * 1000 + 5_000_000 }));
const timing = fc
  .record({ lane, number: fc.integer({ min: 1, max: 50 }), start: runStart, ignoreRecordTimes: fc.boolean() })
  .map(({ lane: { stride: width, ordinal }, number, start, ignoreRecordTimes }) =>
    timingOf(number, width, ordinal, start, ignoreRecordTimes),
  );

function timingOf(number: number, width: number, ordinal: number, start: number, ignoreRecordTimes = false): RunTiming {
  return { run: run(number), stride: width, ordinal, runStart: timestampUs(start), ignoreRecordTimes };
}

interface Reading {
  /** Write time by offset, in the order of offsets. */
  readonly times: Map<number, number>;
  /** Cursors at batch boundaries, the start included. */
  readonly boundaries: Cursor[];
}

/** Reads the log from `start` in fetches that hold as many batches as `cuts` says. */
function read({ headers, visible }: Log, timing: RunTiming, start: Cursor, cuts: readonly number[] = [1]): Reading {
  const times = new Map<number, number>();
  const boundaries = [start];
  let cursor = start;
  let index = headers.findIndex((header) => header.nextOffset > start.offset);
  for (let turn = 0; index >= 0 && index < headers.length; turn++) {
    const size = cuts[turn % cuts.length] ?? 1;
    // A fetch may begin with batches that were read before.
    const first = Math.max(0, index - (turn % 2));
    const chunk = planChunk(
      headers.slice(first, index + size),
      visible.slice(first, index + size),
      cursor,
      timing,
      null,
      NOW_MS,
    );
    for (const { header, baseTime } of chunk.batches) {
      for (let at = Math.max(header.baseOffset, cursor.offset); at < header.nextOffset; at++) {
        times.set(at, recordTime(timing, timestampUs(baseTime), at - header.baseOffset));
      }
    }
    cursor = chunk.next;
    boundaries.push(cursor);
    index += size;
  }
  return { times, boundaries };
}

const fromBeginning = (timing: RunTiming): Cursor => ({ offset: offset(0), clock: { bound: timing.runStart } });

test('a replay from any committed boundary, fetched in any pieces, writes at the same times', () => {
  fc.assert(
    fc.property(
      log,
      timing,
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
      (someLog, someTiming, cuts) => {
        const whole = read(someLog, someTiming, fromBeginning(someTiming));
        for (const boundary of whole.boundaries) {
          const replay = read(someLog, someTiming, boundary, cuts);
          for (const [at, time] of replay.times)
            assert.equal(time, whole.times.get(at), `offset ${at} after a restart at ${boundary.offset}`);
          assert.deepEqual(
            replay.boundaries.at(-1),
            whole.boundaries.at(-1),
            'the bound is a function of the position',
          );
        }
      },
    ),
  );
});

test('times grow strictly with positions, whatever the producers say, and are safe integers above runStart', () => {
  fc.assert(
    fc.property(log, timing, (someLog, someTiming) => {
      let before = someTiming.runStart - 1;
      for (const [at, time] of read(someLog, someTiming, fromBeginning(someTiming)).times) {
        assert.ok(time > before, `offset ${at}: ${time} after ${before}`);
        assert.ok(Number.isSafeInteger(time));
        before = time;
      }
    }),
  );
});

test('a record is written at its own time or later, and at most a stride later when nothing holds it back', () => {
  fc.assert(
    fc.property(timing, fc.integer({ min: 0, max: NOW_MS }), (someTiming, timeMs) => {
      const unheld = { ...someTiming, runStart: timestampUs(0), ignoreRecordTimes: false };
      const batch = { baseOffset: offset(7), nextOffset: offset(8), maxTimestampMs: timeMs };
      const { base } = timeBatch(unheld, { bound: timestampUs(0) }, batch);
      const wanted = timeMs * 1000 + unheld.run * unheld.stride;
      assert.ok(base >= wanted && base < wanted + 2 * unheld.stride, `${base} for ${wanted}`);
    }),
  );
});

test('two partitions never write at the same time', () => {
  const two = stride.chain((width) =>
    fc.record({
      width: fc.constant(width),
      ordinals: fc.uniqueArray(fc.integer({ min: 0, max: width / 2 - 1 }), { minLength: 2, maxLength: 2 }),
    }),
  );
  fc.assert(
    fc.property(
      log,
      log,
      two,
      fc.integer({ min: 1, max: 9 }),
      runStart,
      (logA, logB, { width, ordinals }, number, start) => {
        const [a, b] = ordinals.map((ordinal) => timingOf(number, width, ordinal, start)) as [RunTiming, RunTiming];
        const timesOfA = new Set(read(logA, a, fromBeginning(a)).times.values());
        for (const time of read(logB, b, fromBeginning(b)).times.values()) assert.ok(!timesOfA.has(time));
      },
    ),
  );
});

/** Two neighbouring runs; the second may have a larger stride. */
const neighbours = fc
  .record({ lane, number: fc.integer({ min: 1, max: 20 }), start: runStart, growth: fc.integer({ min: 0, max: 3 }) })
  .chain(({ lane: { stride: width, ordinal }, number, start, growth }) =>
    fc.record({
      former: fc.constant(timingOf(number, width, ordinal, start)),
      width: fc.constant(width * 2 ** growth),
      otherOrdinal: fc.integer({ min: 0, max: (width * 2 ** growth) / 2 - 1 }),
    }),
  );

test('two neighbouring runs never write at the same time, on any two partitions, also when the stride grows', () => {
  fc.assert(
    fc.property(log, log, neighbours, (logA, logB, { former, width, otherOrdinal }) => {
      const later = timingOf(former.run + 1, width, otherOrdinal, former.runStart);
      const timesBefore = new Set(read(logA, former, fromBeginning(former)).times.values());
      for (const time of read(logB, later, fromBeginning(later)).times.values())
        assert.ok(!timesBefore.has(time), `${time} twice`);
    }),
    { numRuns: 300 },
  );
});

test('a run that goes on where the former one had committed outdoes everything that one wrote or still writes', () => {
  fc.assert(
    fc.property(log, neighbours, fc.nat(), (someLog, { former, width }, pick) => {
      const before = read(someLog, former, fromBeginning(former));
      const committed = before.boundaries[pick % before.boundaries.length] as Cursor;
      const later = timingOf(former.run + 1, width, former.ordinal, 0);
      const start = { offset: committed.offset, clock: { bound: timestampUs(committed.clock.bound + 2 * width) } };
      for (const [at, time] of read(someLog, later, start).times) {
        assert.ok(time > (before.times.get(at) ?? 0), `offset ${at}: ${time}, the former run ${before.times.get(at)}`);
      }
    }),
    { numRuns: 300 },
  );
});

test('a reset outdoes what the former run wrote, up to its commit and beyond', () => {
  fc.assert(
    fc.property(
      log,
      neighbours,
      fc.nat(),
      fc.integer({ min: 0, max: NOW_MS }),
      (someLog, { former, width }, pick, nowMs) => {
        const before = read(someLog, former, fromBeginning(former));
        const committed = before.boundaries[pick % before.boundaries.length] as Cursor;
        const later = timingOf(
          former.run + 1,
          width,
          former.ordinal,
          nextRunStart(nowMs, [committed.clock.bound], width),
        );
        for (const [at, time] of read(someLog, later, fromBeginning(later)).times) {
          assert.ok(
            time > (before.times.get(at) ?? 0),
            `offset ${at}: ${time}, the former run ${before.times.get(at)}`,
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('the stride has room for every partition, twice over, and is a power of two', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), (partitions) => {
      const width = strideFor(partitions);
      assert.equal(Math.log2(width) % 1, 0);
      assert.ok(ordinalFits(2 * partitions - 1, width));
      assert.ok(!ordinalFits(width / 2, width));
    }),
  );
});

test('batches dated more than an hour ahead stop the lane, unless their times are ignored', () => {
  const shapes: BatchShape[] = [{ span: 3, gapBefore: 0, timeMs: NOW_MS + 3_600_001, kind: 'data' }];
  const { headers, visible } = makeLog(shapes);
  const timing = timingOf(1, 8, 0, 0);
  assert.throws(() => planChunk(headers, visible, fromBeginning(timing), timing, null, NOW_MS), {
    code: 'RECORD_FROM_FUTURE',
  });
  const ignoring = { ...timing, ignoreRecordTimes: true };
  assert.equal(planChunk(headers, visible, fromBeginning(ignoring), ignoring, null, NOW_MS).next.offset, 3);
});

test('an execution that ends within a batch stops there, and the next one goes on in it above all that was written', () => {
  const timing = timingOf(1, 8, 1, 0);
  const someLog = makeLog([
    { span: 10, gapBefore: 0, timeMs: NOW_MS, kind: 'data' },
    { span: 5, gapBefore: 0, timeMs: NOW_MS - 5000, kind: 'data' },
  ]);
  const first = planChunk(someLog.headers, someLog.visible, fromBeginning(timing), timing, offset(4), NOW_MS);
  assert.equal(first.next.offset, 4);
  assert.equal(first.batches.length, 1);
  const lastWritten = recordTime(timing, timestampUs(first.batches[0]?.baseTime ?? 0), 3);
  const rest = read(someLog, timing, first.next);
  assert.deepEqual([...rest.times.keys()], [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  for (const time of rest.times.values()) assert.ok(time > lastWritten);
});

test('owners in turn write at times of their own, which no partition, run or neighbouring offset shares', () => {
  const partitions = 5;
  const stride = strideFor(partitions * ATTEMPT_SLOTS);
  assert.ok(ordinalFits(partitions - 1, stride, ATTEMPT_SLOTS));
  assert.ok(!ordinalFits(stride / 2 / ATTEMPT_SLOTS, stride, ATTEMPT_SLOTS));
  const seen = new Set<number>();
  const batch = { baseOffset: offset(0), nextOffset: offset(3), maxTimestampMs: NOW_MS };
  for (let attempt = 7; attempt < 7 + ATTEMPT_SLOTS; attempt++)
    for (let ordinal = 0; ordinal < partitions; ordinal++)
      for (const life of [4, 5]) {
        // Both runs from one start: their record times differ by a stride.
        const timing: RunTiming = {
          run: run(life),
          stride,
          runStart: timestampUs(0),
          ordinal,
          ignoreRecordTimes: true,
          attempt,
        };
        const { base, clock } = timeBatch(timing, { bound: timestampUs(0) }, batch);
        assert.equal(clock.bound, 3 * stride);
        for (let delta = 0; delta < 3; delta++) seen.add(recordTime(timing, base, delta));
      }
  assert.equal(seen.size, ATTEMPT_SLOTS * partitions * 2 * 3);
  assert.ok(Math.max(...seen) < 3 * stride);
});
