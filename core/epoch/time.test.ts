import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { epoch, fence } from '../ids.ts';
import { planSlotFree } from './slots.ts';
import { ATTEMPTS_PER_LEADER, attemptDelayMs, attemptFits, nextEpochTsUs, writeTimeUs } from './time.ts';
import { PLAN_SLOTS } from './types.ts';

suite('write times', () => {
  test('a later epoch writes later, whatever the clock and the attempts', () => {
    const step = fc.record({ now: fc.nat(2 ** 40), token: fc.nat(3), attempt: fc.nat(15) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 30 }), (steps) => {
        let token = 1;
        let ts = 0;
        let latest = 0;
        for (const { now, token: newer, attempt } of steps) {
          token += newer;
          ts = nextEpochTsUs(ts, now);
          const plan = { epochTsUs: ts, token: fence(token) };
          const first = writeTimeUs(plan, fence(token), 0);
          assert.ok(first > latest);
          assert.ok(ts >= now * 1000);
          latest = Math.max(writeTimeUs(plan, fence(token), attempt), writeTimeUs(plan, fence(token + 5), attempt));
        }
      }),
    );
  });

  test('attempts of a later leader write above all of an earlier one', () => {
    const plan = { epochTsUs: 1_000_000, token: fence(3) };
    assert.equal(writeTimeUs(plan, fence(3), 0), 1_000_000);
    assert.equal(writeTimeUs(plan, fence(3), 15), 1_000_015);
    assert.equal(writeTimeUs(plan, fence(4), 0), 1_000_016);
  });

  test('attempts that have no time of their own are refused', () => {
    const plan = { epochTsUs: 0, token: fence(1) };
    assert.equal(attemptFits(fence(1), fence(1), 16), false);
    assert.equal(attemptFits(fence(1), fence(64), 15), true);
    assert.equal(attemptFits(fence(1), fence(65), 0), false);
    assert.throws(() => writeTimeUs(plan, fence(65), 0), /has no write time/);
    assert.throws(() => writeTimeUs(plan, fence(0), 0), /older/);
  });
});

test('the attempts of one leader reach over more than half a minute of peers that come and go', () => {
  const delays = Array.from({ length: ATTEMPTS_PER_LEADER }, (_, attempt) => attemptDelayMs(attempt));
  assert.equal(delays[1], 0, 'the first failure is met at once');
  assert.deepEqual(
    delays,
    delays.toSorted((a, b) => a - b),
  );
  assert.ok(delays.reduce((sum, ms) => sum + ms, 0) > 30_000);
});

suite('the ring of plans', () => {
  const ref = (at: number): { epoch: ReturnType<typeof epoch>; manifest: string } => ({
    epoch: epoch(at),
    manifest: '',
  });

  test('a plan that recovery may need is not written over', () => {
    const none = { snapshot: null, formerSnapshot: null, base: null };
    assert.equal(planSlotFree(epoch(0), none), true);
    assert.equal(planSlotFree(epoch(PLAN_SLOTS - 1), none), true);
    assert.equal(planSlotFree(epoch(PLAN_SLOTS), none), false);
    // With one snapshot only the beginning is there to fall back to.
    assert.equal(planSlotFree(epoch(PLAN_SLOTS), { ...none, snapshot: ref(4000) }), false);
    const two = { snapshot: ref(4000), formerSnapshot: ref(100), base: null };
    assert.equal(planSlotFree(epoch(PLAN_SLOTS + 100), two), true);
    assert.equal(planSlotFree(epoch(PLAN_SLOTS + 101), two), false);
  });

  test('a run that began with a snapshot needs no plan before it', () => {
    const begun = { snapshot: ref(7000), formerSnapshot: null, base: ref(7000) };
    assert.equal(planSlotFree(epoch(7001), begun), true);
    assert.equal(planSlotFree(epoch(7000 + PLAN_SLOTS + 1), begun), false);
  });
});
