/** What dist/ must hold for code that is started, or imported, by an address that is put together at run time. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { bundleEntries, external } from './bundle.ts';

const root = join(import.meta.dirname, '..');
const sources = globSync('{cli,connectors,core,engine,master,proto,sdk,worker}/**/*.ts', { cwd: root }).filter(
  (path) => !/\.(test|bench|fixture)\.ts$/.test(path) && !path.includes('/assembly/'),
);
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Files named in `new URL(…, import.meta.url)` without their extension, which is that of the file that names them. */
function addressed(path: string): string[] {
  return [...read(path).matchAll(/new URL\(`(\.[^`$]*?)\.?\$\{/g)].map(([, name = '']) =>
    relative(root, join(root, dirname(path), `${name}.ts`)),
  );
}

test('files that are started or imported by their address are built as files of their own', () => {
  const named = sources.flatMap(addressed);
  assert.ok(named.includes('worker/thread.ts'), 'addresses are found');
  assert.deepEqual(
    named.filter((path) => !(bundleEntries as readonly string[]).includes(path)),
    [],
  );
});

test('every entry is there, and every package that stays outside is a dependency', () => {
  assert.deepEqual(
    bundleEntries.filter((path) => !existsSync(join(root, path))),
    [],
  );
  const { dependencies } = JSON.parse(read('package.json')) as { readonly dependencies: Record<string, string> };
  assert.deepEqual(
    external.filter((name) => dependencies[name] === undefined),
    [],
  );
});

test('packages that code asks for by require() stay outside: a second copy would be another package', () => {
  const required = sources.flatMap((path) =>
    [...read(path).matchAll(/createRequire\(import\.meta\.url\)\('([^'/]+)/g)].map(([, name = '']) => name),
  );
  assert.ok(required.includes('hyparquet-writer'));
  // These two hold no state that two copies could disagree about, and are read from node_modules when first needed.
  const harmless = ['protobufjs', 'yaml'];
  assert.deepEqual(
    required.filter((name) => !external.includes(name) && !harmless.includes(name)),
    [],
  );
});
