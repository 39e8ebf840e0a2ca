import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookupCache } from './lookup-cache.ts';

const limits = { ttlMs: 1000, missTtlMs: 100, maxEntries: 3, maxBytes: 1 << 20 };
const row = (bytes: number): Uint8Array => new Uint8Array(bytes);

test('rows live for their time, the absence of rows for its own', () => {
  const cache = new LookupCache(limits);
  cache.set('a', row(1), 0);
  cache.set('b', null, 0);
  assert.equal(cache.get('a', 999)?.byteLength, 1);
  assert.equal(cache.get('b', 99), null);
  assert.equal(cache.get('b', 100), undefined);
  assert.equal(cache.get('a', 1000), undefined);
  assert.deepEqual([cache.entries, cache.bytes], [0, 0]);
});

test('what was used longest ago goes first, by entries and by bytes', () => {
  const cache = new LookupCache(limits);
  for (const key of ['a', 'b', 'c']) cache.set(key, row(10), 0);
  cache.get('a', 1);
  cache.set('d', row(10), 1);
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((key) => cache.get(key, 2) !== undefined),
    [true, false, true, true],
  );
  const small = new LookupCache({ ...limits, maxEntries: 100, maxBytes: 1000 });
  for (let key = 0; key < 50; key++) small.set(String(key), row(200), 0);
  assert.ok(small.bytes <= 1000 && small.entries > 0, `${small.entries} entries of ${small.bytes} bytes`);
  assert.ok(small.get('49', 1) !== undefined);
});

test('a life of nothing keeps nothing, and a newer answer takes the place of the older', () => {
  const cache = new LookupCache({ ...limits, missTtlMs: 0 });
  cache.set('a', row(5), 0);
  const { bytes } = cache;
  cache.set('a', row(5), 500);
  assert.equal(cache.bytes, bytes);
  assert.ok(cache.get('a', 1400) !== undefined);
  cache.set('a', null, 1400);
  assert.equal(cache.get('a', 1400), undefined);
  assert.equal(cache.bytes, 0);
});
