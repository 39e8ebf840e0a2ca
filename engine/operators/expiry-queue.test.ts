import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExpiryQueue } from './expiry-queue.ts';

test('property: ids come out by time and then by turn, whatever was added and removed before', () => {
  const step = fc.oneof(
    fc.record({ add: fc.nat(20), time: fc.constantFrom(-3, 0, 1, 2, 3, 4, 5) }),
    fc.record({ remove: fc.nat(20) }),
    fc.record({ until: fc.integer({ min: -4, max: 6 }), inclusive: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const queue = new ExpiryQueue();
      let held: { id: number; time: number }[] = [];
      for (const action of steps) {
        if ('add' in action) {
          if (held.some(({ id }) => id === action.add)) continue;
          held.push({ id: action.add, time: action.time });
          queue.add(action.add, action.time);
        } else if ('remove' in action) {
          held = held.filter(({ id }) => id !== action.remove);
          queue.remove(action.remove);
        } else {
          const isDue = ({ time }: { time: number }) => (action.inclusive ? time <= action.until : time < action.until);
          const expected = held.filter(isDue).toSorted((a, b) => a.time - b.time);
          held = held.filter((entry) => !isDue(entry));
          const taken: number[] = [];
          for (let id = queue.take(action.until, action.inclusive); id >= 0;) {
            taken.push(id);
            id = queue.take(action.until, action.inclusive);
          }
          assert.deepEqual(
            taken,
            expected.map(({ id }) => id),
          );
        }
        assert.equal(queue.count, held.length);
      }
    }),
    { numRuns: 300 },
  );
});
