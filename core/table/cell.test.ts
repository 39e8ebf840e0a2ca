import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Cell } from './cell.ts';
import { compareBytes, replaces } from './cell.ts';

const bytes = fc.uint8Array({ maxLength: 3 });
const cell: fc.Arbitrary<Cell> = fc.record(
  { timestamp: fc.integer({ min: -1, max: 3 }), value: fc.option(bytes) },
  { noNullPrototype: true },
);

function merge(a: Cell, b: Cell): Cell {
  return replaces(b, a) ? b : a;
}

function mergeAll(cells: readonly Cell[]): Cell | undefined {
  let current: Cell | undefined;
  for (const write of cells) if (replaces(write, current)) current = write;
  return current;
}

test('merging is commutative, associative and idempotent', () => {
  fc.assert(
    fc.property(cell, cell, cell, (a, b, c) => {
      assert.deepEqual(merge(a, b), merge(b, a));
      assert.deepEqual(merge(merge(a, b), c), merge(a, merge(b, c)));
      assert.deepEqual(merge(a, a), a);
      assert.equal(replaces(a, a), false, 'a repeated write changes nothing');
    }),
    { numRuns: 2000 },
  );
});

test('any order and any repetition of a set of writes ends the same', () => {
  fc.assert(
    fc.property(
      fc.array(cell, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (writes, extra) => {
        const again = extra.map((index) => writes[index % writes.length] as Cell);
        assert.deepEqual(mergeAll([...again, ...[...writes].reverse(), ...again]), mergeAll(writes));
      },
    ),
  );
});

test('larger timestamp, then tombstone, then larger bytes', () => {
  const value = (text: string, timestamp: number): Cell => ({ timestamp, value: new TextEncoder().encode(text) });
  const tombstone = (timestamp: number): Cell => ({ timestamp, value: null });
  const better: readonly (readonly [Cell, Cell])[] = [
    [value('a', 2), value('b', 1)],
    [value('', 2), tombstone(1)],
    [tombstone(1), value('z', 1)],
    [value('b', 1), value('a', 1)],
    [value('aa', 1), value('a', 1)],
    [
      { timestamp: 1, value: Uint8Array.of(0x80) },
      { timestamp: 1, value: Uint8Array.of(0x7f, 0xff) },
    ],
  ];
  for (const [winner, loser] of better) {
    assert.ok(replaces(winner, loser));
    assert.ok(!replaces(loser, winner));
    assert.ok(replaces(loser, undefined));
  }
});

test('bytes compare as unsigned numbers, a prefix before the longer', () => {
  fc.assert(fc.property(bytes, bytes, (a, b) => assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(a, b))));
});
