import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../core/clock.ts';
import { MoveTurns } from './move-turns.ts';

function manualClock(): { readonly clock: Clock; advance(ms: number): void } {
  let now = 0;
  const clock = { mono: () => now } as unknown as Clock;
  return {
    clock,
    advance: (ms) => {
      now += ms;
    },
  };
}

test('one moves at a time; the next hears of it when the first is done', () => {
  const turns = new MoveTurns(manualClock().clock);
  const [a, b] = [{}, {}];
  const woken: string[] = [];
  assert.equal(
    turns.take(a, () => woken.push('a')),
    true,
  );
  assert.equal(
    turns.take(b, () => woken.push('b')),
    false,
  );
  assert.equal(
    turns.take(a, () => woken.push('a')),
    true,
    'who has the turn keeps it',
  );
  turns.give(b);
  assert.equal(woken.length, 0, 'who waits has nothing to give');
  turns.give(a);
  assert.deepEqual(woken, ['b']);
  assert.equal(
    turns.take(b, () => woken.push('b')),
    true,
  );
});

test('a move that does not come to its end holds up nobody for ever', () => {
  const { clock, advance } = manualClock();
  const turns = new MoveTurns(clock);
  const [a, b] = [{}, {}];
  turns.take(a, () => undefined);
  const { endsAt } = turns;
  assert.ok(Number.isFinite(endsAt));
  advance(endsAt);
  assert.equal(
    turns.take(b, () => undefined),
    true,
  );
  turns.give(a);
  assert.equal(
    turns.take(a, () => undefined),
    false,
    'the late one does not end the turn of another',
  );
});
