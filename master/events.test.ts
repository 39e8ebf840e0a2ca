import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventLog } from './events.ts';

test('who comes with the number of another master is told everything, and nobody is told anything twice', () => {
  const events = new EventLog();
  for (const message of ['a', 'b']) events.note(1, { level: 'info', kind: 'audit', message });
  const since = (seq: number): string[] => events.since(seq).map(({ message }) => message);
  assert.deepEqual(since(0), ['a', 'b']);
  assert.deepEqual(since(1), ['b']);
  assert.deepEqual(since(2), []);
  assert.deepEqual(since(900), ['a', 'b']);
});
