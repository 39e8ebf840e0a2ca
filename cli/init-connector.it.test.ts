/** Packages that `weir init connector` writes pass their own tests, and those tests can fail. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

const root = join(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'weir-connector-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

function weir(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [join(root, 'cli', 'main.ts'), ...args], { cwd: scratch, encoding: 'utf8' });
}

/** The folder, with Weir where npm would put it. */
function made(kind: 'sink' | 'source'): string {
  const { status, stderr } = weir('init', 'connector', `my-${kind}`, '--kind', kind);
  assert.equal(status, 0, stderr);
  const folder = join(scratch, `weir-connector-my-${kind}`);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'weir'));
  return folder;
}

/** What `npm test` runs; Weir itself by its sources. */
function runTests(folder: string): { readonly passed: number; readonly failed: number; readonly output: string } {
  const script = (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { scripts: { test: string } })
    .scripts.test;
  assert.equal(script, 'node --test');
  // A test that runs within another one of node:test would report to that one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=weir-source', '--test', '--test-reporter=tap'],
    {
      cwd: folder,
      encoding: 'utf8',
      env,
    },
  );
  const count = (word: string): number => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(stdout)?.[1] ?? -1);
  return { passed: count('pass'), failed: count('fail'), output: stdout + stderr };
}

function change(folder: string, from: string, to: string): void {
  const path = join(folder, 'src', 'index.js');
  const text = readFileSync(path, 'utf8');
  assert.ok(text.includes(from), from);
  writeFileSync(path, text.replace(from, to));
}

describe('weir init connector', () => {
  test('a sink passes the contract; without its check of the permit it does not', () => {
    const folder = made('sink');
    const { passed, failed, output } = runTests(folder);
    assert.deepEqual({ passed, failed }, { passed: 8, failed: 0 }, output);
    change(folder, 'permit.check();', '');
    assert.equal(runTests(folder).failed, 1);
  });

  test('a source passes the contract; with a cursor that forgets it does not', () => {
    const folder = made('source');
    const { passed, failed, output } = runTests(folder);
    assert.deepEqual({ passed, failed }, { passed: 7, failed: 0 }, output);
    change(folder, 'cursor: end,', 'cursor: lines.length + 3,');
    assert.ok(runTests(folder).failed > 0);
  });

  test('nothing is overwritten, and mistakes are named', () => {
    const again = weir('init', 'connector', 'my-sink');
    assert.equal(again.status, 5);
    assert.match(again.stderr, /is there already/);
    assert.match(weir('init', 'connector', 'My_Sink').stderr, /words of a-z and 0-9/);
    assert.match(weir('init', 'connector', 'other', '--kind', 'table').stderr, /a sink or a source/);
  });
});
