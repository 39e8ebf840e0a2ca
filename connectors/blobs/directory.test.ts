/** Blobs in a directory: the contract, and what only files have. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { blobStoreContract } from '../../test/conformance/blob-store.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { DirectoryBlobStore } from './directory.ts';

const parts = { clock: systemClock, rng: systemRng };

blobStoreContract('directory', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weir-blobs-'));
  const inside = join(directory, 'made/by/the store');
  const store = new DirectoryBlobStore(inside, parts);
  return {
    store,
    second: new DirectoryBlobStore(inside, parts),
    damage: async (id, how) => {
      // The newest file is the one just written; its name is the store's own affair.
      const bytes = await store.get(id);
      const path = readdirSync(inside)
        .filter((name) => name.endsWith('.blob'))
        .map((name) => join(inside, name))
        .find((name) => bytes !== undefined && readFileSync(name).subarray(-bytes.byteLength).equals(bytes));
      assert.ok(path !== undefined);
      const file = readFileSync(path);
      if (how === 'shorten') truncateSync(path, file.byteLength - 1);
      else {
        file[file.byteLength - 1] = (file[file.byteLength - 1] ?? 0) ^ 1;
        writeFileSync(path, file);
      }
    },
    close: async () => rmSync(directory, { recursive: true }),
  };
});

test('a file cut to nothing, as after a power cut, is damaged, not absent', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weir-blobs-'));
  const store = new DirectoryBlobStore(directory, parts);
  await store.put('a', new Uint8Array(100));
  const [name = ''] = readdirSync(directory);
  truncateSync(join(directory, name), 0);
  await assert.rejects(store.get('a'), { code: 'STATE_DAMAGED' });
  rmSync(directory, { recursive: true });
});

test('a directory that cannot be is a mistake of the settings', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weir-blobs-'));
  writeFileSync(join(directory, 'file'), '');
  const store = new DirectoryBlobStore(join(directory, 'file', 'below'), parts);
  await assert.rejects(store.put('a', new Uint8Array(1)), { code: 'CONFIG_INVALID' });
  rmSync(directory, { recursive: true });
});
