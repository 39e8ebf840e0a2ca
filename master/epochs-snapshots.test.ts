import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WeirError } from '../core/errors.ts';
import { encodeManifest, nextManifest } from '../core/epoch/manifest.ts';
import { epoch, jobName } from '../core/ids.ts';
import { zeroCounters } from '../core/lane/position.ts';
import type { MetaStore } from '../core/meta.ts';
import type { BlobStore } from '../core/ports.ts';
import { deleteSnapshots } from './epochs-snapshots.ts';

const job = jobName('counts');
const store = { listSavepoints: () => Promise.resolve([]) } as unknown as MetaStore;
const at = {
  epochTsUs: 0,
  positions: {},
  starts: {},
  eventTimes: [],
  watermarkUs: null,
  evictUs: null,
  counters: zeroCounters,
  late: {},
};

/** A manifest of one group, whose state is the blob. */
function manifestOf(blob: string): Uint8Array {
  return encodeManifest(nextManifest(null, epoch(1), [{ stage: 1, group: 0, blob, bytes: 1 }], at, 'definition'));
}

test('a damaged manifest that nobody needs does not keep the snapshots beside it', async () => {
  const kept = new Map([
    ['damaged', manifestOf('lost')],
    ['old', manifestOf('state')],
    ['state', Uint8Array.of(1)],
    ['newest', manifestOf('fresh')],
    ['fresh', Uint8Array.of(2)],
  ]);
  const blobs: BlobStore = {
    put: () => Promise.resolve(),
    get: (id) =>
      id === 'damaged'
        ? Promise.reject(new WeirError('STATE_DAMAGED', 'the blob damaged fails its checksum'))
        : Promise.resolve(kept.get(id)),
    claim: (_id, _part, bytes) => Promise.resolve(bytes),
    claimed: () => Promise.resolve(undefined),
    delete: (ids) => {
      for (const id of ids) kept.delete(id);
      return Promise.resolve();
    },
  };
  const newest = { epoch: epoch(2), manifest: 'newest' };
  await deleteSnapshots({ store, blobs, job }, ['damaged', 'old'], [newest]);
  assert.deepEqual([...kept.keys()], ['newest', 'fresh']);
});
