import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zeroCounters } from '../lane/position.ts';
import type { HeadFacts, StoredEntry } from './manifest.ts';
import {
  blobsOf,
  changedManifest,
  decodeManifest,
  encodeManifest,
  formatPlace,
  manifestBytes,
  nextManifest,
  parsePlace,
} from './manifest.ts';

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
  const moved = changedManifest(
    first,
    'd2',
    new Map([
      [1, { to: 2, aggregates: null }],
      [2, { to: 1, aggregates: [1, -1] }],
      [3, { to: -1, aggregates: null }],
    ]),
  );
  assert.deepEqual(moved.groups, { '2/0': 'a', '1/5': 'b' });
  assert.deepEqual(moved.sections, { '1/5': [1, -1] });
  assert.equal(moved.definition, 'd2');
  assert.equal(manifestBytes(moved), 3);
  const swapped = changedManifest(
    moved,
    'd3',
    new Map([
      [1, { to: 2, aggregates: null }],
      [2, { to: 1, aggregates: null }],
    ]),
  );
  assert.deepEqual(swapped.groups, { '1/0': 'a', '2/5': 'b' });
  assert.deepEqual(swapped.sections, { '2/5': [1, -1] });
});

test('groups that are not stored anew go through every change of the aggregates', () => {
  const change = (aggregates: readonly number[]) => new Map([[1, { to: 1, aggregates }]]);
  const first = nextManifest(null, 3, [entry(1, 0, 'a'), entry(1, 7, 'b')], at, 'd');
  // sum, count, max; count alone; a new one that may look like sum, and count; what is stored anew is as the job has it.
  const less = changedManifest(first, 'd2', change([1]));
  assert.deepEqual(less.sections, { '1/0': [1], '1/7': [1] });
  const more = changedManifest(less, 'd3', change([-1, 0]));
  assert.deepEqual(more.sections, { '1/0': [-1, 1], '1/7': [-1, 1] });
  const stored = nextManifest(more, 9, [entry(1, 0, 'a2')], at, 'd3');
  assert.deepEqual(stored.sections, { '1/7': [-1, 1] });
  const last = changedManifest(stored, 'd4', change([1, 0]));
  assert.deepEqual(last.sections, { '1/0': [1, 0], '1/7': [1, -1] });
  assert.equal(nextManifest(last, 12, [entry(1, 0, 'a3'), entry(1, 7, '')], at, 'd4').sections, undefined);
});

test('a manifest of a newer format is not read', () => {
  const newer = { ...nextManifest(null, 3, [], at, 'd'), formatVersion: 99 };
  assert.throws(() => decodeManifest(encodeManifest(newer)), /newer version/);
});

test('groups may share a blob, which is named as long as one of them is in it', () => {
  const place = (offset: number): string => formatPlace({ blob: 'job/1/#0+1', part: { offset, length: 5 } });
  assert.deepEqual(parsePlace(place(7)), { blob: 'job/1/#0+1', part: { offset: 7, length: 5 } });
  assert.deepEqual(parsePlace('whole'), { blob: 'whole', part: null });
  const first = nextManifest(null, 1, [entry(0, 1, place(0)), entry(0, 2, place(5))], at, 'd');
  const second = nextManifest(first, 2, [entry(0, 1, 'own')], at, 'd');
  assert.deepEqual(blobsOf('m', first), new Set(['m', 'job/1/#0+1']));
  assert.deepEqual(blobsOf('m', second), new Set(['m', 'job/1/#0+1', 'own']));
  assert.deepEqual(blobsOf('m', nextManifest(second, 3, [entry(0, 2, '')], at, 'd')), new Set(['m', 'own']));
});
