import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobShapes } from './job-shapes.ts';

const field = { kind: 'new', column: 'town', before: '', after: 'STRING' };
const change = { job: 'j', run: 2, source: 's', ...field, partition: 0, offset: 0 };

test('what every heartbeat of every worker says is one difference; an earlier run says nothing', () => {
  const shapes = new JobShapes();
  shapes.add({ ...change, partition: 1, offset: 17 });
  const list = shapes.of(2);
  shapes.add({ ...change, partition: 0, offset: 3 });
  shapes.add({ ...change, run: 1, column: 'zip' });
  shapes.add({ ...change, kind: 'a kind of a later version' });
  assert.equal(shapes.of(2), list);
  assert.deepEqual(
    list.map(({ message, before, after }) => [message, before, after]),
    [['town STRING is new (partition 1, offset 17)', null, 'STRING']],
  );
  assert.deepEqual([shapes.of(1), shapes.of(3)], [[], []]);
});

test('a new run begins anew; the list is bounded', () => {
  const shapes = new JobShapes();
  shapes.add(change);
  for (let index = 0; index < 200; index++) shapes.add({ ...change, run: 3, column: `c${index}` });
  assert.deepEqual([shapes.of(2).length, shapes.of(3).length], [0, 64]);
});
