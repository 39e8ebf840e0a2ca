import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SendWindow } from './send-window.ts';

const answered = (ms: number) => ({ kind: 'answered', ms }) as const;

test('a few at first, then first come, first served', async () => {
  const window = new SendWindow();
  for (let slot = 0; slot < 4; slot++) assert.equal(window.acquire(1), undefined);
  const order: number[] = [];
  const waiting = [5, 6].map((id) => window.acquire(1)?.then(() => order.push(id)));
  window.release(1, { kind: 'other' });
  await waiting[0];
  window.release(1, { kind: 'other' });
  await waiting[1];
  assert.deepEqual([order, window.inFlight], [[5, 6], 4]);
});

test('quick answers widen it, push-back halves it down to one', () => {
  const window = new SendWindow();
  for (let round = 0; round < 100; round++) {
    void window.acquire(1);
    window.release(1, answered(1));
  }
  const wide = window.limit;
  assert.ok(wide > 8);
  void window.acquire(1);
  window.release(1, answered(50));
  assert.equal(window.limit, wide, 'slow answers do not widen it');
  void window.acquire(1);
  window.release(1, { kind: 'pushedBack' });
  assert.equal(window.limit, wide / 2);
  for (let round = 0; round < 20; round++) {
    void window.acquire(1);
    window.release(1, { kind: 'pushedBack' });
  }
  assert.equal(window.limit, 1);
  for (let round = 0; round < 20; round++) {
    void window.acquire(1);
    window.release(1, answered(1000));
  }
  assert.ok(window.limit >= 4, 'it comes back to where it starts even when answers are slow');
});

test('bytes under way are bounded, but one is always let through', async () => {
  const window = new SendWindow(100);
  assert.equal(window.acquire(1000), undefined);
  const second = window.acquire(60);
  assert.ok(second !== undefined);
  window.release(1000, { kind: 'other' });
  await second;
  assert.ok(window.acquire(60) !== undefined);
  assert.equal(window.inFlight, 1);
});
