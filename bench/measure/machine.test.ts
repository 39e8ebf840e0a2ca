import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineFacts, machineSeconds } from './machine.ts';

test('busy are user, nice, system and interrupts; stolen stands apart; idle and waiting do not count', () => {
  const text = 'cpu  100 200 300 40000 50000 10 20 700 5 5\ncpu0 1 1 1 1 1 1 1 1 1 1\n';
  assert.deepEqual(machineSeconds(text), { busy: 6.3, stolen: 7 });
});

test('this machine has been busy, and has cores', () => {
  assert.ok(machineSeconds().busy > 0);
  assert.ok(machineFacts().cores >= 1);
});
