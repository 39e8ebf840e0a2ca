import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zeroCounters } from '../lane/position.ts';
import type { HeadFacts, StoredEntry } from './manifest.ts';
import { blobsOf, decodeManifest, encodeManifest, manifestBytes, nextManifest, withStages } from './manifest.ts';

const at: HeadFacts = {
  epochTsUs: 1,
  positions: {},
  starts: {},
  eventTimes: [],
  watermarkUs: null,
  evictUs: null,
  counters: zeroCounters,
  late: {},
};
const entry = (stage: number, group: number, blob: string, bytes = 10): StoredEntry => ({ stage, group, blob, bytes });

test('unchanged groups keep their blobs, emptied ones go', () => {
  const first = nextManifest(null, 3, [entry(1, 0, 'a'), entry(1, 7, 'b'), entry(2, 0, 'c')], at, 'd');
  const second = nextManifest(first, 9, [entry(1, 7, 'b2', 25), entry(2, 0, '')], at, 'd');
  assert.deepEqual(second.groups, { '1/0': 'a', '1/7': 'b2' });
  assert.equal(manifestBytes(second), 35);
  assert.deepEqual(blobsOf('m', second), new Set(['m', 'a', 'b2']));
  assert.deepEqual(decodeManifest(encodeManifest(second)), second);
});

test('a whole snapshot forgets what was before', () => {
  const first = nextManifest(null, 3, [entry(1, 0, 'a')], at, 'd');
  assert.deepEqual(nextManifest(null, 4, [entry(1, 1, 'x')], at, 'd').groups, { '1/1': 'x' });
  assert.deepEqual(first.groups, { '1/0': 'a' });
});

test('stages of a changed job may have other numbers', () => {
  const first = nextManifest(null, 3, [entry(1, 0, 'a', 1), entry(2, 5, 'b', 2), entry(3, 0, 'c', 4)], at, 'd');
  const moved = withStages(
    first,
    new Map([
      [1, 2],
      [2, 1],
      [3, -1],
    ]),
  );
  assert.deepEqual(moved.groups, { '2/0': 'a', '1/5': 'b' });
  assert.equal(manifestBytes(moved), 3);
});

test('a manifest of a newer format is not read', () => {
  const newer = { ...nextManifest(null, 3, [], at, 'd'), formatVersion: 99 };
  assert.throws(() => decodeManifest(encodeManifest(newer)), /newer version/);
});
