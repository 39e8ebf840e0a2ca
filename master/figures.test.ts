import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobFiguresWindow } from './figures.ts';

const nothing = { job: 'users', records: 0, rows: 0, dead: 0, latencyBuckets: [], busy: [], blockedMs: 0, sinks: [] };

test('parts of the time are those of the worker that has most of it', () => {
  const window = new JobFiguresWindow();
  assert.deepEqual(window.summary(0).blocked, null);
  for (let at = 500; at <= 5000; at += 500) {
    window.add(at, { ...nothing, busy: [{ stage: 0, ms: 100 }], blockedMs: 50, sinks: [{ sink: 0, ms: 400 }] }, 'a');
    window.add(at, { ...nothing, busy: [{ stage: 0, ms: 450 }], sinks: [{ sink: 0, ms: 25 }] }, 'b');
    window.add(at, { ...nothing, busy: [{ stage: 1, ms: 900 }] }, 'c');
  }
  const { busy, blocked, sinks } = window.summary(5000);
  assert.deepEqual(
    [...busy],
    [
      [0, 0.9],
      [1, 1],
    ],
  );
  assert.equal(blocked, 0.1);
  assert.deepEqual([...sinks], [[0, 0.8]]);
});

test('what is older than the window does not count', () => {
  const window = new JobFiguresWindow();
  window.add(500, { ...nothing, records: 100, busy: [{ stage: 0, ms: 500 }], blockedMs: 500 }, 'a');
  const { busy, blocked, recordsPerSecond } = window.summary(9000);
  assert.deepEqual([busy.size, blocked, recordsPerSecond], [0, null, 0]);
});
