import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { offset, timestampUs } from '../ids.ts';
import type { LanePosition } from './position.ts';
import { zeroCounters } from './position.ts';
import { AcknowledgedPrefix } from './prefix.ts';

const position = (next: number): LanePosition => ({
  nextOffset: offset(next),
  bound: timestampUs(next * 8),
  counters: zeroCounters,
});

test('what may be committed is the end of the longest acknowledged prefix, in whatever order acknowledgements come', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.nat()), { minLength: 1, maxLength: 30 }),
      fc.infiniteStream(fc.nat()),
      (batches, order) => {
        const prefix = new AcknowledgedPrefix(position(5));
        const ends: number[] = [];
        let end = 5;
        for (const [size] of batches) ends.push((end += size));
        const acknowledgements = ends.map((at) => prefix.open(position(at)));
        const done = new Set<number>();
        const open = ends.map((_, index) => index);
        while (open.length > 0) {
          const [index] = open.splice((order.next().value as number) % open.length, 1) as [number];
          acknowledgements[index]?.();
          done.add(index);
          let expected = 5;
          for (let at = 0; done.has(at); at++) expected = ends[at] as number;
          assert.equal(prefix.committable.nextOffset, expected);
          assert.equal(prefix.committable.bound, expected * 8, 'the whole position is that of its batch');
        }
        assert.equal(prefix.openCount, 0);
      },
    ),
  );
});

test('opening and acknowledging in turns gives the same as opening all first', () => {
  const prefix = new AcknowledgedPrefix(position(0));
  const first = prefix.open(position(10));
  const second = prefix.open(position(20));
  second();
  assert.equal(prefix.committable.nextOffset, 0);
  assert.equal(prefix.openCount, 2);
  first();
  assert.equal(prefix.committable.nextOffset, 20);
  prefix.open(position(30))();
  assert.equal(prefix.committable.nextOffset, 30);
});

test('a batch acknowledged twice and a batch that goes back are bugs, not positions', () => {
  const prefix = new AcknowledgedPrefix(position(0));
  const acknowledge = prefix.open(position(10));
  acknowledge();
  assert.throws(acknowledge, /twice/);
  assert.throws(() => prefix.open(position(9)), /before/);
});
