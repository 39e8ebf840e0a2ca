import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

function weir(...args: string[]): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

test('weir functions NAME shows how a function is called, with examples', () => {
  const { code, stdout } = weir('functions', 'NVL', '-o', 'json');
  assert.equal(code, 0);
  const doc = JSON.parse(stdout) as { name: string; examples: readonly { sql: string; result: string }[] };
  assert.equal(doc.name, 'nvl');
  assert.deepEqual(doc.examples[0], { sql: 'nvl(NULL, 1)', result: '1' });
});

test('weir functions lists aggregates and generators too', () => {
  const names = weir('functions', '-o', 'name').stdout.trim().split('\n');
  for (const name of ['split', 'sum', 'window', 'explode', 'if']) assert.ok(names.includes(name), name);
});

test('a name that is no function is not found, with the nearest one', () => {
  const { code, stderr } = weir('functions', 'splt');
  assert.equal(code, 4);
  assert.match(stderr, /did you mean split\?/);
});
