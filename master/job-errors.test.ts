import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterEvent } from './events.ts';
import { errorsOf } from './job-errors.ts';
import type { JobView } from './views.ts';

/** Of a view only what is looked at. */
function view(codes: readonly (string | null)[], reason: string | null = null): JobView {
  const row = { name: 'orders', reason: reason === null ? null : { code: reason, message: '' } };
  return { row, lanes: codes.map((code) => ({ code })) } as unknown as JobView;
}

let seq = 0;
function event(at: number, message: string, facts: Partial<ClusterEvent> = {}): ClusterEvent {
  seq++;
  return {
    seq,
    at,
    level: 'warn',
    kind: 'lane',
    job: 'orders',
    worker: null,
    code: 'SINK_UNAVAILABLE',
    message,
    ...facts,
  };
}

test('what differs in numbers alone is one kind: counted, with its first and last time and the newest words', () => {
  const found = errorsOf(view([]), [
    event(1, 'Partition 3 of orders waits: no answer in 500 ms.'),
    event(2, 'Job orders failed.', { level: 'error', kind: 'job', code: 'SINK_SCHEMA' }),
    event(3, 'Partition 0 of orders waits: no answer in 900 ms.'),
    event(4, 'Partition 1 of payments waits: no answer in 500 ms.'),
  ]);
  assert.deepEqual(
    found.map(({ code, count, firstAt, lastAt, message }) => [code, count, firstAt, lastAt, message]),
    [
      ['SINK_UNAVAILABLE', 1, 4, 4, 'Partition 1 of payments waits: no answer in 500 ms.'],
      ['SINK_UNAVAILABLE', 2, 1, 3, 'Partition 0 of orders waits: no answer in 900 ms.'],
      ['SINK_SCHEMA', 1, 2, 2, 'Job orders failed.'],
    ],
  );
});

test('what the job or a partition is in now is told from what is over', () => {
  const events = [event(1, 'waits'), event(2, 'failed', { code: 'SINK_SCHEMA' }), event(3, 'odd', { code: null })];
  const current = (of: JobView): boolean[] => errorsOf(of, events).map((found) => found.current);
  assert.deepEqual(current(view([null, 'SINK_UNAVAILABLE'])), [false, false, true]);
  assert.deepEqual(current(view([null], 'SINK_SCHEMA')), [false, true, false]);
  assert.deepEqual(current(view([null])), [false, false, false]);
});

test('good news and what people asked for are no errors', () => {
  const events = [event(1, 'runs', { level: 'info' }), event(2, 'olga was refused', { kind: 'audit' })];
  assert.deepEqual(errorsOf(view([]), events), []);
});
