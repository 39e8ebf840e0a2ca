import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { WatermarkFacts } from './watermark.ts';
import { mergeEventTimes, needsNoDataEpoch, nextWatermark } from './watermark.ts';

const rules = [
  { delayUs: 10_000, sources: ['a'] },
  { delayUs: 20_000, sources: ['b'] },
];

function next(changes: Partial<WatermarkFacts>): number | null {
  return nextWatermark({ rules, policy: 'min', eventTimes: [null, null], idle: new Set(), current: null, ...changes });
}

suite('the watermark', () => {
  test('is the smallest, or with policy max the greatest, of event time less delay', () => {
    assert.equal(next({ eventTimes: [100_000, 100_000] }), 80_000);
    assert.equal(next({ eventTimes: [100_000, 100_000], policy: 'max' }), 90_000);
  });

  test('is none until all have seen data; with policy max, until one has', () => {
    assert.equal(next({ eventTimes: [100_000, null] }), null);
    assert.equal(next({ eventTimes: [null, 100_000], policy: 'max' }), 80_000);
  });

  test('counts whole milliseconds, below zero too', () => {
    assert.equal(nextWatermark({ ...base(), eventTimes: [1_999] }), 1_000);
    assert.equal(nextWatermark({ ...base(), eventTimes: [-1] }), -1_000);
  });

  test('is not held back by what is idle', () => {
    assert.equal(next({ eventTimes: [100_000, null], idle: new Set(['b']) }), 90_000);
    assert.equal(next({ eventTimes: [100_000, 50_000], idle: new Set(['b']) }), 90_000);
    // All are idle: none of them holds the others back.
    assert.equal(next({ eventTimes: [100_000, 50_000], idle: new Set(['a', 'b']) }), 90_000);
    assert.equal(next({ eventTimes: [null, null], idle: new Set(['a', 'b']) }), null);
  });

  test('waits for a rule over several sources while one of them is not idle', () => {
    const both = [{ delayUs: 0, sources: ['a', 'b'] }, ...rules.slice(1)];
    const facts = { ...base(), rules: both, eventTimes: [null, 100_000] };
    assert.equal(nextWatermark({ ...facts, idle: new Set(['a']) }), null);
    assert.equal(nextWatermark({ ...facts, idle: new Set(['a', 'b']) }), 80_000);
  });

  test('never goes back, whatever comes', () => {
    const time = fc.option(fc.integer({ min: -1e9, max: 1e12 }), { nil: null });
    const step = fc.record({
      eventTimes: fc.tuple(time, time),
      idle: fc.subarray(['a', 'b']),
      policy: fc.constantFrom('min' as const, 'max' as const),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        let current: number | null = null;
        let eventTimes: readonly (number | null)[] = [null, null];
        for (const { eventTimes: seen, idle, policy } of steps) {
          eventTimes = mergeEventTimes(eventTimes, seen);
          const watermark: number | null = next({ eventTimes, idle: new Set(idle), policy, current });
          if (current !== null) assert.ok(watermark !== null && watermark >= current);
          current = watermark;
        }
      }),
    );
  });
});

test('greatest event times merge in any order and any number of times', () => {
  assert.deepEqual(mergeEventTimes([1, null, 3], [2, null]), [2, null, 3]);
  const times = fc.array(fc.option(fc.integer(), { nil: null }), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(times, times, (a, b) => {
      const merged = mergeEventTimes(a, b);
      assert.deepEqual(mergeEventTimes(b, a), merged);
      assert.deepEqual(mergeEventTimes(merged, a), merged);
    }),
  );
});

test('an empty epoch follows a watermark that moved, where something evicts by it', () => {
  const wanted = { noDataEpochs: true, evicts: true };
  assert.equal(needsNoDataEpoch(wanted, null, 5), true);
  assert.equal(needsNoDataEpoch(wanted, 4, 5), true);
  assert.equal(needsNoDataEpoch(wanted, 5, 5), false);
  assert.equal(needsNoDataEpoch(wanted, null, null), false);
  assert.equal(needsNoDataEpoch({ ...wanted, evicts: false }, 4, 5), false);
  assert.equal(needsNoDataEpoch({ ...wanted, noDataEpochs: false }, 4, 5), false);
});

function base(): WatermarkFacts {
  return { rules: [{ delayUs: 0, sources: ['a'] }], policy: 'min', eventTimes: [], idle: new Set(), current: null };
}
