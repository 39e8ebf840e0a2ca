import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from './random.ts';

const take = (seed: number | string, label?: string): number[] => {
  const rng = label === undefined ? seededRng(seed) : seededRng(seed).fork(label);
  return Array.from({ length: 50 }, () => rng.u32());
};

test('the seed decides the numbers', () => {
  assert.deepEqual(take(7), take(7));
  assert.deepEqual(take('seven'), take('seven'));
  assert.notDeepEqual(take(7), take(8));
  assert.notDeepEqual(take(7), take(7 + 2 ** 32));
});

test('a fork depends on its label, not on what was taken from the parent', () => {
  const parent = seededRng(1);
  parent.u32();
  assert.equal(parent.fork('a').u32(), seededRng(1).fork('a').u32());
  assert.notDeepEqual(take(1, 'a'), take(1, 'b'));
  assert.notDeepEqual(take(1, 'a'), take(1));
});

test('bits are fair enough', () => {
  const rng = seededRng(3);
  const ones = new Array<number>(32).fill(0);
  const draws = 20_000;
  for (let draw = 0; draw < draws; draw++) {
    const value = rng.u32();
    for (let bit = 0; bit < 32; bit++) ones[bit] = (ones[bit] ?? 0) + ((value >>> bit) & 1);
  }
  for (const count of ones) assert.ok(Math.abs(count - draws / 2) < 5 * Math.sqrt(draws / 4), String(count));
});

test('UUIDs are of version 4 and differ', () => {
  const rng = seededRng(4);
  const ids = Array.from({ length: 1000 }, () => rng.uuid());
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(ids).size, ids.length);
});
