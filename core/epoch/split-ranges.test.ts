import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NamedRange } from './split-ranges.ts';
import { splitRanges } from './split-ranges.ts';

const range = (partition: string, from: number, to: number): NamedRange => ({ partition, from, to });

test('without a minimum there is one task per partition with records', () => {
  assert.deepEqual(splitRanges([range('a', 1, 2), range('b', 1, 1)], null), [range('a', 1, 2)]);
});

test('a large partition gives more tasks than a small one', () => {
  assert.deepEqual(splitRanges([range('a', 1, 5), range('b', 1, 21)], 4), [
    range('a', 1, 5),
    range('b', 1, 7),
    range('b', 7, 14),
    range('b', 14, 21),
  ]);
});

test('small partitions are kept whole and do not take tasks from the large ones', () => {
  assert.deepEqual(
    splitRanges([range('a', 0, 10), range('b', 0, 10), range('c', 0, 1)], 6).map(({ from, to }) => to - from),
    [3, 3, 4, 3, 3, 4, 1],
  );
});

test('the parts of a range are the range: nothing is lost, doubled or out of order', () => {
  const ranges = fc.array(fc.tuple(fc.nat(1000), fc.nat(500)), { maxLength: 6 });
  fc.assert(
    fc.property(ranges, fc.option(fc.integer({ min: 1, max: 40 })), (sizes, minPartitions) => {
      const all = sizes.map(([from, size], index) => range(`p${index}`, from, from + size));
      const parts = splitRanges(all, minPartitions);
      for (const whole of all) {
        const own = parts.filter(({ partition }) => partition === whole.partition);
        let at = whole.from;
        for (const part of own) {
          assert.equal(part.from, at);
          assert.ok(part.to > part.from);
          at = part.to;
        }
        assert.equal(at, own.length === 0 ? whole.from : whole.to);
        assert.equal(own.length === 0, whole.from === whole.to);
      }
    }),
  );
});
