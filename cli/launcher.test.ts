/** The `weir` launcher finds a Node that is new enough, wherever it is installed, or says what to do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, suite, test } from 'node:test';

const launcher = join(import.meta.dirname, '..', 'weir');
const base = mkdtempSync(join(tmpdir(), 'weir-launcher-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** A pretend Node that tells its version and otherwise prints how it was called. */
function fakeNode(path: string, version: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(
    path,
    `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; else echo "${version} cache=$NODE_COMPILE_CACHE" "$@"; fi\n`,
  );
  chmodSync(path, 0o755);
}

interface Place {
  readonly root: string;
  readonly run: (...args: string[]) => {
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
  };
}

/** An installation in `folder`, with a system Node of this version or none. */
function place(name: string, folder: string, systemNode: string | null, main: string): Place {
  const root = join(base, name, folder);
  mkdirSync(join(root, dirname(main)), { recursive: true });
  cpSync(launcher, join(root, 'weir'));
  writeFileSync(join(root, main), '');
  const bin = join(base, name, 'system');
  mkdirSync(bin, { recursive: true });
  for (const tool of ['dirname', 'find', 'head', 'readlink', 'sh'])
    symlinkSync(spawnSync('which', [tool]).stdout.toString().trim(), join(bin, tool));
  if (systemNode !== null) fakeNode(join(bin, 'node'), systemNode);
  const run: Place['run'] = (...args) => {
    const done = spawnSync(join(root, 'weir'), args, {
      env: { PATH: bin, HOME: join(base, name, 'home') },
      encoding: 'utf8',
    });
    return { status: done.status, stdout: done.stdout.trim(), stderr: done.stderr.trim() };
  };
  return { root, run };
}

suite('weir launcher', () => {
  test('the Node of the package comes before the system’s', () => {
    const { root, run } = place('own', 'weir', 'v26.0.0', 'cli/main.ts');
    fakeNode(join(root, 'node_modules/.bin/node'), 'v24.21.0');
    assert.equal(
      run('get', 'a b').stdout,
      `v24.21.0 cache=${base}/own/home/.cache/weir/compile --disable-warning=ExperimentalWarning --conditions=weir-source ${root}/cli/main.ts get a b`,
    );
  });

  test('master and worker get a young generation of their size, other commands V8’s own', () => {
    const { run } = place('young', 'weir', 'v24.0.0', 'cli/main.ts');
    assert.match(run('master', '--port', '1').stdout, / --max-semi-space-size=1 .*main\.ts master --port 1$/);
    assert.match(run('worker').stdout, / --max-semi-space-size=2 .*main\.ts worker$/);
    assert.doesNotMatch(run('get', 'master').stdout, /semi/);
  });

  test('as a dependency it finds the Node hoisted beside it, and built files', () => {
    const { root, run } = place('hoisted', 'app/node_modules/weir', 'v20.20.2', 'dist/cli/main.js');
    fakeNode(join(base, 'hoisted/app/node_modules/.bin/node'), 'v22.18.0');
    assert.match(run('version').stdout, new RegExp(`^v22\\.18\\.0 .*Warning ${root}/dist/cli/main\\.js version$`));
  });

  test('a link to it (node_modules/.bin/weir) leads to the same place', () => {
    const { root } = place('linked', 'app/node_modules/weir', null, 'dist/cli/main.js');
    const bin = join(base, 'linked/app/node_modules/.bin');
    fakeNode(join(bin, 'node'), 'v24.0.0');
    symlinkSync('../weir/weir', join(bin, 'weir'));
    const done = spawnSync(join(bin, 'weir'), ['x'], { env: { PATH: join(base, 'linked/system') }, encoding: 'utf8' });
    assert.match(done.stdout, new RegExp(`${root}/dist/cli/main\\.js x`));
  });

  test('a package’s Node that is too old or broken is passed over', () => {
    const { root, run } = place('old', 'weir', 'v22.18.1', 'cli/main.ts');
    fakeNode(join(root, 'node_modules/.bin/node'), 'v22.17.9');
    assert.match(run().stdout, /^v22\.18\.1 /);
  });

  test('a checkout runs what was built of it, until a source is newer, new or gone', () => {
    const { root, run } = place('built', 'weir', 'v24.0.0', 'cli/main.ts');
    const ran = (): string => /(dist|weir)\/cli\/main\.\w+ x$/.exec(run('x').stdout)?.[0] ?? '';
    const sourceAt = (path: string): string => join(root, path);
    for (const path of ['dist/cli/main.js', 'dist/built', 'worker/lane.ts', 'worker/old.ts']) {
      mkdirSync(dirname(sourceAt(path)), { recursive: true });
      writeFileSync(sourceAt(path), '');
    }
    // Everything is of one moment, what was built a second younger.
    const settle = (): void => {
      for (const path of ['cli/main.ts', 'worker/lane.ts', 'worker/old.ts', 'cli', 'worker'])
        utimesSync(sourceAt(path), 1000, 1000);
      utimesSync(sourceAt('dist/built'), 1001, 1001);
    };
    settle();
    assert.equal(ran(), 'dist/cli/main.js x');
    utimesSync(sourceAt('worker/lane.ts'), 1002, 1002);
    assert.equal(ran(), 'weir/cli/main.ts x', 'a changed file');
    settle();
    assert.equal(ran(), 'dist/cli/main.js x');
    writeFileSync(sourceAt('worker/new.ts'), '');
    assert.equal(ran(), 'weir/cli/main.ts x', 'a new file');
    utimesSync(sourceAt('worker/new.ts'), 1000, 1000);
    settle();
    assert.equal(ran(), 'dist/cli/main.js x');
    unlinkSync(sourceAt('worker/new.ts'));
    assert.equal(ran(), 'weir/cli/main.ts x', 'a file less');
    settle();
    unlinkSync(sourceAt('dist/built'));
    assert.equal(ran(), 'weir/cli/main.ts x', 'built by somebody else');
  });

  test('without any it says one sentence and fails', () => {
    for (const [name, system] of [
      ['none', null],
      ['ancient', 'v20.20.2'],
      ['odd', 'garbage'],
    ] as const) {
      const { status, stderr } = place(name, 'weir', system, 'cli/main.ts').run('get', 'jobs');
      assert.equal(status, 1);
      assert.match(stderr, /^weir: no Node\.js 22\.18 or newer was found; run "npm ci" .*\.$/);
    }
  });
});
