import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StreamIds } from './stream-ids.ts';

const ALL = 32767;

function opened(): StreamIds {
  const ids = new StreamIds();
  ids.opened();
  return ids;
}

test('0 is for opening a connection alone', () => {
  const ids = new StreamIds();
  assert.equal(ids.pop(), 0);
  // Signing in begins before the frame of the answer is done with.
  assert.notEqual(ids.pop(), 0);
  ids.push(0);
  assert.equal(ids.pop(), 0);
  ids.push(0);
  ids.opened();
  const given = new Set(Array.from({ length: ALL - 1 }, () => ids.pop()));
  assert.equal(given.size, ALL - 1);
  assert.ok(!given.has(0) && !given.has(null));
});

test('an id is used again after all others', () => {
  const ids = opened();
  const first = ids.pop();
  assert.ok(first !== null);
  ids.push(first);
  const others = Array.from({ length: ALL - 1 }, () => {
    const id = ids.pop();
    assert.ok(id !== null);
    ids.push(id);
    return id;
  });
  assert.ok(!others.includes(first));
  assert.equal(new Set(others).size, ALL - 1);
  assert.equal(ids.pop(), first);
});

test('all are in use: none is given until one is free', () => {
  const ids = opened();
  for (let count = 0; count < ALL; count++) assert.notEqual(ids.pop(), null);
  assert.equal(ids.inUse, ALL);
  assert.equal(ids.pop(), null);
  ids.push(77);
  assert.equal(ids.pop(), 77);
});

test('no id is in use twice, whatever is freed, and however often', () => {
  const steps = fc.array(fc.oneof(fc.constant(null), fc.nat({ max: 60 })), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (frees) => {
      const ids = opened();
      const used = new Set<number>();
      for (const free of frees) {
        if (free === null) {
          const id = ids.pop();
          assert.ok(id !== null && id > 0 && id <= ALL && !used.has(id));
          used.add(id);
        } else {
          ids.push(free);
          used.delete(free);
        }
        assert.equal(ids.inUse, used.size);
      }
    }),
  );
});
