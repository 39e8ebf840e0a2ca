import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { LeaseRow } from '../../core/epoch/types.ts';
import { WeirError } from '../../core/errors.ts';
import { fence } from '../../core/ids.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import { TAKEOVER_MS } from '../lease.ts';
import { folderId, requireSharedFolder } from './shared-folder.ts';

const lease: LeaseRow = {
  ver: 7,
  nonce: 'n',
  token: fence(1),
  holder: 'a',
  address: 'a:7077',
  httpAddress: 'http://a:7080',
  beat: 3,
  security: 'theirs',
};

/** Looks at leases as they are at each moment, ms; resolves with when it was done. */
async function look(readLease: (now: number) => LeaseRow | undefined): Promise<number> {
  let now = 0;
  const sleep = (ms: number): Promise<void> => {
    now += ms;
    return Promise.resolve();
  };
  const store = { readLease: async () => await Promise.resolve(readLease(now)) };
  await requireSharedFolder({ store, clock: { mono: () => now, sleep }, log: noLog, id: 'own', directory: '/own' });
  return now;
}

suite('a master compares its security folder with the leader’s', () => {
  test('one that leads with another folder: no start, with both places and the remedy', async () => {
    const renewed = (now: number): LeaseRow => ({ ...lease, ver: 7 + Math.floor(now / 500) });
    await assert.rejects(look(renewed), (error: WeirError) => {
      assert.equal(error.code, 'CONFIG_INVALID');
      assert.match(error.message, /http:\/\/a:7080.*theirs.*\/own.*own.*WEIR_SECURITY_DIR/);
      return true;
    });
  });

  test('nobody leads, the same folder, one that says nothing, a lease that was given back: at once', async () => {
    const { security: _, ...silent } = lease;
    for (const row of [undefined, { ...lease, security: 'own' }, silent, { ...lease, holder: '' }])
      assert.equal(await look(() => row), 0);
  });

  test('a dead leader of another folder is outlived, and no longer than a takeover takes', async () => {
    const waited = await look(() => lease);
    assert.ok(waited >= TAKEOVER_MS && waited < TAKEOVER_MS + 500, `${waited} ms`);
  });

  test('the same folder as the next leader: no more waiting', async () => {
    assert.equal(await look((now) => (now < 500 ? lease : { ...lease, ver: 8, security: 'own' })), 500);
  });

  test('a store that does not answer keeps nobody from starting', async () => {
    const broken = (): never => {
      throw new WeirError('STORE_UNAVAILABLE', 'no answer');
    };
    assert.equal(await look(broken), 0);
  });
});

test('a folder has one id for good, and one that cannot be kept is none', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-folder-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const id = folderId(join(folder, 'a'));
  assert.match(id ?? '', /^[0-9a-f]{32}$/);
  assert.equal(folderId(join(folder, 'a')), id);
  assert.equal(readFileSync(join(folder, 'a', 'folder-id'), 'utf8').trim(), id);
  assert.notEqual(folderId(join(folder, 'b')), id);
  writeFileSync(join(folder, 'file'), '');
  assert.equal(folderId(join(folder, 'file', 'below')), null);
});
