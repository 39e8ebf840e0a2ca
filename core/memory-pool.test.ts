import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryPool } from './memory-pool.ts';

test('memory is large enough, and nobody else has it', () => {
  const steps = fc.array(fc.oneof(fc.integer({ min: 0, max: 1 << 20 }), fc.constant('give' as const)));
  fc.assert(
    fc.property(steps, (actions) => {
      const pool = new MemoryPool(1 << 20);
      const held: ArrayBuffer[] = [];
      for (const action of actions) {
        if (action === 'give') {
          const memory = held.shift();
          if (memory !== undefined) pool.give(memory);
        } else {
          const memory = pool.take(action);
          assert.ok(memory.byteLength >= action);
          assert.ok(!held.includes(memory));
          held.push(memory);
        }
        assert.ok(pool.idleBytes >= 0 && pool.idleBytes <= 1 << 20);
      }
    }),
  );
});

test('what was given is taken again; detached, odd and excess memory is forgotten', () => {
  const pool = new MemoryPool(1 << 20);
  const memory = pool.take(700_000);
  assert.equal(memory.byteLength, 1 << 20);
  pool.give(memory);
  assert.equal(pool.idleBytes, 1 << 20);
  pool.give(new ArrayBuffer(1 << 20));
  assert.equal(pool.idleBytes, 1 << 20, 'no more than it keeps');
  assert.equal(pool.take(600_000), memory);
  structuredClone(memory, { transfer: [memory] });
  pool.give(memory);
  pool.give(new ArrayBuffer(100_000));
  pool.give(new ArrayBuffer(64));
  assert.equal(pool.idleBytes, 0);
});
